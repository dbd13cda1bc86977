/** Watches of logs, as the front has them: starts the thread that reads when the first is wanted, and ends it with the last. */
import { Worker } from 'node:worker_threads';
import { StillframeError } from '../../format/error.js';
import type { LogFileRule } from '../policy/log-files.js';
import type { SessionLog } from '../session/session-log.js';
import { checkLogPath } from './log-file.js';
import type { FromLogWorker, LogWatchSpec, ToLogWorker } from './log-messages.js';
import { compileLogPattern } from './log-pattern.js';

export interface LogMatch {
  readonly timeMs: number;
  readonly line: string;
  /** Lines since the last match that was told. */
  readonly count: number;
}

export interface LogWatchListener {
  /** At most once a second. */
  matched(match: LogMatch): void;
  /** Why it does not read (all) now; empty when it does again. */
  state(detail: string): void;
}

interface LogWatch {
  readonly spec: LogWatchSpec;
  readonly listener: LogWatchListener;
  /** Called when it reads, or never will. */
  readonly begun: () => void;
}

/** Of all conversations: each holds a descriptor or more. */
const maxWatches = 512;
const maxWorkerMegabytes = 256;
const restartMs = 1000;

export class LogReader implements AsyncDisposable {
  readonly #rule: LogFileRule;
  readonly #log: SessionLog;
  readonly #watches = new Map<number, LogWatch>();
  #lastId = 0;
  #worker: Worker | undefined;
  #restart: NodeJS.Timeout | undefined;

  constructor(rule: LogFileRule, log: SessionLog) {
    this.#rule = rule;
    this.#log = log;
  }

  /**
   * Until it is disposed; what is written after it resolves counts. Rejects with `usage`, `bad-expression` or `limit`; that the file is not
   * there, or may not be read, is told as a state.
   */
  async watch(
    { path, pattern }: { readonly path: string; readonly pattern: string },
    listener: LogWatchListener,
  ): Promise<Disposable> {
    checkLogPath(path);
    compileLogPattern(pattern);
    if (this.#watches.size >= maxWatches) {
      throw new StillframeError('limit', `cannot watch "${path}": ${maxWatches} logs are watched already`);
    }
    const id = ++this.#lastId;
    const spec = { path, pattern, rule: this.#rule };
    await new Promise<void>((begun) => {
      this.#watches.set(id, { spec, listener, begun });
      if (this.#worker === undefined && this.#restart === undefined) this.#start();
      else this.#send({ kind: 'add', id, watch: spec });
    });
    return {
      [Symbol.dispose]: () => {
        if (!this.#watches.delete(id)) return;
        this.#send({ kind: 'remove', id });
        if (this.#watches.size === 0) void this.#stop();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { begun } of this.#watches.values()) begun();
    this.#watches.clear();
    await this.#stop();
  }

  #start(): void {
    this.#restart = undefined;
    const worker = new Worker(new URL('log-worker.js', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: maxWorkerMegabytes },
      // Not the tests' options, nor an inspector's.
      execArgv: [],
    });
    this.#worker = worker;
    worker.on('message', (message: FromLogWorker) => {
      if (worker === this.#worker) this.#receive(message);
    });
    worker.on('error', (error) => this.#failed(worker, error.message));
    worker.on('exit', () => this.#failed(worker, 'it ended'));
    for (const [id, { spec }] of this.#watches) this.#send({ kind: 'add', id, watch: spec });
  }

  /** What was written meanwhile is not read: the next one begins at the end. */
  #failed(worker: Worker, why: string): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#log.error({ error: why }, 'the thread that reads logs died');
    for (const { listener, begun } of this.#watches.values()) {
      begun();
      listener.state('the thread that reads logs died');
    }
    this.#restart = setTimeout(() => {
      this.#restart = undefined;
      if (this.#watches.size > 0) this.#start();
      // A watch that reads says nothing of itself, and it was said that it does not.
      for (const { listener } of this.#watches.values()) listener.state('');
    }, restartMs);
  }

  #receive(message: FromLogWorker): void {
    const watch = this.#watches.get(message.id);
    switch (message.kind) {
      case 'added':
        watch?.begun();
        return;
      case 'state':
        watch?.listener.state(message.detail);
        return;
      case 'matched':
        watch?.listener.matched(message);
        return;
    }
  }

  #send(message: ToLogWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker is not a window
    this.#worker?.postMessage(message);
  }

  /** Its descriptors are closed with it. */
  async #stop(): Promise<void> {
    clearTimeout(this.#restart);
    this.#restart = undefined;
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}
