/**
 * The thread that reads logs and matches their lines, so that neither a burst of a gigabyte nor a pattern that is hard to match holds up the
 * front. It works a part of its time at most; what it does not manage it says.
 */
import { getHeapStatistics } from 'node:v8';
import { parentPort } from 'node:worker_threads';
import type { RegularExpression } from '../../format/regular-expression.js';
import { toStillframeError } from '../../format/error.js';
import { LogFile } from './log-file.js';
import type { FromLogWorker, LogWatchSpec, ToLogWorker } from './log-messages.js';
import { compileLogPattern } from './log-pattern.js';

const tickMs = 250;
/** Of each tick, for all watches together. */
const workMs = 100;
/** After work that took longer (one line can), so many times as long is rested. */
const restFactor = 1.5;
const sendMs = 1000;
/** How often a lag is told that changes all the time. */
const lagMs = 5000;
const maxShownBytes = 1024;
/** Tables of compiled patterns grow while they match; above this they are begun anew. */
const maxHeapBytes = 96 * 1024 * 1024;

class Watch implements Disposable {
  readonly #id: number;
  readonly #post: (message: FromLogWorker) => void;
  readonly #pattern: RegularExpression;
  readonly #file: LogFile;
  #count = 0;
  #newest = '';
  #newestMs = 0;
  #sentMs = -Infinity;
  #toldDetail = '';
  #lagToldMs = -Infinity;
  #skippedBytes = 0;
  #failure = '';

  constructor(id: number, { path, pattern, rule }: LogWatchSpec, post: (message: FromLogWorker) => void) {
    this.#id = id;
    this.#post = post;
    this.#pattern = compileLogPattern(pattern);
    this.#file = new LogFile({ path, rule, line: (text) => this.#line(text) });
  }

  look(nowMs: number): void {
    this.#failure = '';
    this.#attempt(() => {
      this.#file.look(nowMs);
      this.#skippedBytes += this.#file.skipExcess();
    });
  }

  /** A piece; false when there is nothing to read, or it cannot be read. */
  read(nowMs: number): boolean {
    let hasRead = false;
    this.#attempt(() => (hasRead = this.#file.read(nowMs)));
    return hasRead;
  }

  /** Says what there is to say, after the work of a tick. */
  tell(nowMs: number): void {
    if (this.#count > 0 && nowMs - this.#sentMs >= sendMs) {
      const line = cut(this.#newest);
      this.#post({ kind: 'matched', id: this.#id, timeMs: this.#newestMs, line, count: this.#count });
      this.#sentMs = nowMs;
      this.#count = 0;
    }
    const reason = this.#failure === '' ? this.#file.detail : this.#failure;
    const detail = reason === '' ? this.#lag(nowMs) : reason;
    if (detail === undefined || detail === this.#toldDetail) return;
    this.#toldDetail = detail;
    this.#post({ kind: 'state', id: this.#id, detail });
  }

  releaseMemory(): void {
    this.#pattern.reset();
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  /** A file that fails to be read is its own watch's matter. */
  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failure = `cannot read the log: ${toStillframeError(error).message}`;
    }
  }

  /** Undefined: as it was told last. */
  #lag(nowMs: number): string | undefined {
    const behind = this.#file.behind();
    if (behind === 0 && this.#skippedBytes === 0) return '';
    if (nowMs - this.#lagToldMs < lagMs) return undefined;
    this.#lagToldMs = nowMs;
    const skipped = this.#skippedBytes === 0 ? '' : `, and ${this.#skippedBytes} were passed over`;
    this.#skippedBytes = 0;
    return `lines come faster than they are read: ${behind} bytes are not read yet${skipped}`;
  }

  #line(text: string): void {
    if (!this.#pattern.test(text)) return;
    this.#count += 1;
    this.#newest = text;
    this.#newestMs = Date.now();
  }
}

/** At most so many bytes of UTF-8, whole characters. */
function cut(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxShownBytes) return text;
  return bytes.toString('utf8', 0, maxShownBytes).replace(/�+$/, '');
}

class LogWorker {
  readonly #post: (message: FromLogWorker) => void;
  readonly #watches = new Map<number, Watch>();
  #isTicking = false;
  /** Which watch is first the next time: with a part of the time for all, no one is served before the others always. */
  #turn = 0;

  constructor(post: (message: FromLogWorker) => void) {
    this.#post = post;
  }

  receive(message: ToLogWorker): void {
    switch (message.kind) {
      case 'add':
        this.#add(message.id, message.watch);
        return;
      case 'remove':
        this.#watches.get(message.id)?.[Symbol.dispose]();
        this.#watches.delete(message.id);
        return;
    }
  }

  #add(id: number, spec: LogWatchSpec): void {
    try {
      const watch = new Watch(id, spec, this.#post);
      this.#watches.set(id, watch);
      // At once: what is written from now on counts.
      watch.look(performance.now());
      watch.tell(performance.now());
    } catch (error) {
      this.#post({ kind: 'state', id, detail: toStillframeError(error).message });
    }
    this.#post({ kind: 'added', id });
    if (this.#isTicking) return;
    this.#isTicking = true;
    setTimeout(() => this.#tick(), tickMs);
  }

  #tick(): void {
    const startedMs = performance.now();
    const watches = [...this.#watches.values()];
    for (const watch of watches) watch.look(startedMs);
    this.#read(watches, startedMs);
    for (const watch of watches) watch.tell(performance.now());
    if (getHeapStatistics().used_heap_size > maxHeapBytes) {
      for (const watch of watches) watch.releaseMemory();
    }
    const usedMs = performance.now() - startedMs;
    const restMs = Math.max(tickMs - usedMs, usedMs * restFactor);
    this.#isTicking = this.#watches.size > 0;
    if (this.#isTicking) setTimeout(() => this.#tick(), restMs);
  }

  /** A piece of each in turn, for as long as there is time and something to read. */
  #read(watches: readonly Watch[], startedMs: number): void {
    let idle = 0;
    while (idle < watches.length && performance.now() - startedMs < workMs) {
      this.#turn = (this.#turn + 1) % watches.length;
      idle = watches[this.#turn]?.read(startedMs) === true ? 0 : idle + 1;
    }
  }
}

if (parentPort !== null) {
  const port = parentPort;
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker is not a window
  const worker = new LogWorker((message) => port.postMessage(message));
  port.on('message', (message: ToLogWorker) => worker.receive(message));
}
