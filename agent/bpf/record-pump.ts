/**
 * Brings records from ring buffers to the main thread: one worker thread blocks in `poll` on all rings (and on descriptors that only become
 * ready once, such as a pidfd), copies complete records and posts them. The main thread never polls.
 */
import { closeSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { withContext } from '../../format/error.js';
import { callInt, resolveForWorkers, systemError } from '../linux/ffi.js';
import type { RingBuffer } from './ring-buffer.js';
import type { FromWorker, ToWorker } from './ring-buffer-worker.js';

const EFD_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;

export interface PumpHandlers {
  /** Records, copied: the handler owns them. */
  readonly records: (list: readonly Uint8Array[]) => void;
  /** The descriptor that is watched beside the ring became ready. Called once. */
  readonly ready?: () => void;
  /** No more records will come: the thread that brings them died. */
  readonly failed: (error: Error) => void;
}

/** A ring on the pump. */
export interface PumpedRing {
  /** Delivers what is still in the ring, then forgets it; after that the ring may be unmapped. Idempotent. */
  remove(): Promise<void>;
}

let shared: RecordPump | undefined;

/** The one pump of this process, started when it is first wanted, and again when it died. */
export function sharedPump(): RecordPump {
  if (shared === undefined || shared.hasFailed) shared = new RecordPump();
  return shared;
}

export class RecordPump implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #wakeFd: number;
  readonly #handlers = new Map<number, PumpHandlers>();
  readonly #removals = new Map<number, () => void>();
  #nextId = 1;
  #stopped: Promise<void> | undefined;
  readonly #atExit = (): void => {
    this.#send({ kind: 'stop' });
  };
  readonly #exited: Promise<void>;
  /** Set when the worker died: everything that waits for it is told. */
  #failure: Error | undefined;

  constructor() {
    resolveForWorkers();
    const { value, errno } = callInt('eventfd', { i32: 0 }, { i32: EFD_NONBLOCK_CLOEXEC });
    if (value < 0) throw systemError('cannot start the ring buffer consumer', 'eventfd', errno);
    this.#wakeFd = value;
    this.#worker = new Worker(new URL('ring-buffer-worker.js', import.meta.url), {
      workerData: { wakeFd: value },
      // Not the tests' options, nor an inspector's.
      execArgv: [],
    });
    this.#worker.on('message', (message: FromWorker) => {
      this.#receive(message);
    });
    this.#worker.on('error', (error) => {
      this.#fail(withContext('the ring buffer consumer failed', error));
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        resolve();
      });
    });
    this.#worker.unref();
    // Node joins its workers when it exits; one that blocks in poll would hold it up.
    process.on('exit', this.#atExit);
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  #fail(error: Error): void {
    this.#failure = error;
    for (const resolve of this.#removals.values()) resolve();
    this.#removals.clear();
    for (const handlers of this.#handlers.values()) handlers.failed(error);
  }

  #send(message: ToWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker is not a window
    this.#worker.postMessage(message);
    const one = Buffer.alloc(8);
    one.writeBigUInt64LE(1n, 0);
    writeSync(this.#wakeFd, one);
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case 'records':
        this.#handlers.get(message.id)?.records(message.list);
        return;
      case 'ready':
        this.#handlers.get(message.id)?.ready?.();
        return;
      case 'removed':
        this.#handlers.delete(message.id);
        this.#removals.get(message.id)?.();
        this.#removals.delete(message.id);
        return;
    }
  }

  /** Puts a ring, or a descriptor to watch, or both, on the pump. `watchFd` stays the caller's; it must be open until they are removed. */
  add(ring: RingBuffer | undefined, handlers: PumpHandlers, watchFd?: number): PumpedRing {
    if (this.#failure !== undefined) throw this.#failure;
    const id = this.#nextId++;
    this.#handlers.set(id, handlers);
    this.#worker.ref();
    const pumped = ring === undefined ? undefined : { fd: ring.map.fd, place: ring.place };
    this.#send({ kind: 'add', id, ring: pumped, watchFd });
    let removed: Promise<void> | undefined;
    return {
      remove: () => {
        removed ??= new Promise<void>((resolve) => {
          if (this.#failure !== undefined) {
            resolve();
            return;
          }
          this.#removals.set(id, resolve);
          this.#send({ kind: 'remove', id });
        }).finally(() => {
          this.#handlers.delete(id);
          if (this.#handlers.size === 0) this.#worker.unref();
        });
        return removed;
      },
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    process.off('exit', this.#atExit);
    this.#worker.ref();
    this.#send({ kind: 'stop' });
    await this.#exited;
    closeSync(this.#wakeFd);
  }
}
