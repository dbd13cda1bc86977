/**
 * A worker thread that traces one process. ptrace(2) ties a tracee to the thread that seized it, and that thread blocks in wait4; so
 * each traced process has a thread of its own. To let go of everything the thread ends: the kernel then detaches without stopping anybody.
 *
 * A thread that blocks in wait4 cannot look at its messages. So it also traces a doorbell: a process of ours that waits for the end of its
 * input. SIGURG to it (which it ignores) makes it stop, and wait4 return.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { StillframeError } from '../../../format/error.js';
import { resolveForWorkers } from '../../linux/ffi.js';
import { machineCode } from '../../linux/machine-code.js';
import { fromWireError } from '../wire-error.js';
import type { Command, Report, ThreadData } from './messages.js';

export interface ThreadEvents {
  report(report: Extract<Report, { kind: 'hit' | 'ended' }>): void;
  /** The thread ended, asked or not. */
  exited(): void;
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Keeps `cat` apart from Node's own children, whose exits libuv waits for: the shell is the child, and `cat` is an orphan. */
const doorbellScript = 'cat <&3 >/dev/null 2>&1 & echo $!';

export class TracingThread implements AsyncDisposable {
  readonly pid: number;
  readonly #worker: Worker;
  readonly #doorbell: number;
  readonly #shell: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<unknown>;
  #lastId = 0;
  #stopping: Promise<void> | undefined;
  #running = true;

  private constructor(pid: number, journal: string, doorbell: OrphanProcess, events: ThreadEvents) {
    this.pid = pid;
    this.#doorbell = doorbell.pid;
    this.#shell = doorbell.shell;
    resolveForWorkers();
    machineCode();
    const workerData: ThreadData = { pid, doorbell: doorbell.pid, journal };
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData,
      // It closes perf events, which Node has not opened.
      trackUnmanagedFds: false,
    });
    // NB: not events.once(), which would reject on 'error', and nobody may be waiting for it then.
    this.#exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.#worker.on('message', (report: Report) => {
      if (report.kind === 'hit' || report.kind === 'ended') {
        events.report(report);
        return;
      }
      const pending = this.#pending.get(report.id);
      this.#pending.delete(report.id);
      if (report.kind === 'reply') pending?.resolve(report.result);
      else pending?.reject(fromWireError(report.error));
    });
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => {
      this.#running = false;
      this.#shell.stdio[3]?.destroy();
      this.#fail(new StillframeError('unreachable', `the thread that traces process ${pid} ended`));
      events.exited();
    });
  }

  /** `journal` is the folder of the journal of software breakpoints. */
  static async open(pid: number, journal: string, events: ThreadEvents): Promise<TracingThread> {
    return new TracingThread(pid, journal, await startOrphan(), events);
  }

  request(command: WithoutId<Command>): Promise<unknown> {
    if (!this.#running || this.#stopping !== undefined) {
      return Promise.reject(
        new StillframeError('unreachable', `the thread that traces process ${this.pid} ended`),
      );
    }
    return this.#send(command);
  }

  #send(command: WithoutId<Command>): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ ...command, id }, []);
      try {
        process.kill(this.#doorbell, 'SIGURG');
      } catch {
        // It died; the thread sees that, and ends.
      }
    });
  }

  #fail(error: unknown): void {
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }

  /** Ends the thread. All that it traces runs on. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    if (this.#running) await this.#send({ command: 'stop' }).catch(() => undefined);
    await this.#exited;
  }
}

export interface OrphanProcess {
  readonly pid: number;
  /** It ends when the shell's descriptor 3 is closed. */
  readonly shell: ChildProcess;
}

/** A process of ours that does nothing. NB: of a child of Node's own, libuv would take the stops that its tracer waits for. */
export async function startOrphan(): Promise<OrphanProcess> {
  const shell = spawn('/bin/sh', ['-c', doorbellScript], { stdio: ['ignore', 'pipe', 'ignore', 'pipe'] });
  const { stdout } = shell;
  if (stdout === null) throw new StillframeError('internal', 'the doorbell has no output');
  const exit = once(shell, 'exit');
  let output = '';
  for await (const text of stdout.setEncoding('utf8')) output += String(text);
  const [code] = await exit;
  const pid = Number.parseInt(output, 10);
  if (code !== 0 || !(pid > 0)) {
    throw new StillframeError('system', 'cannot start the doorbell: /bin/sh or cat is missing');
  }
  return { pid, shell };
}
