/** Makes symbol indexes that a cache lacks, one after another, in a thread of its own: whoever asked has had the answer meanwhile. */
import { Worker } from 'node:worker_threads';
import type { IndexOrder, IndexReport } from './index-worker.js';
import type { IndexCacheOptions } from './index-cache.js';
import type { IndexIdentity } from './symbol-index.js';

/** Files that wait; more are left for the next question about them. */
const maxWaiting = 16;
/** Of the thread's own heap; tables and sections lie outside of it, bounded by what is indexed. */
const maxHeapMb = 1024;

export class IndexBuilder {
  readonly #cache: IndexCacheOptions;
  readonly #log: (message: string) => void;
  readonly #waiting: IndexOrder[] = [];
  /** Those that were asked for in this process, made or not. */
  readonly #asked = new Set<string>();
  #running: Promise<void> | undefined;

  constructor(cache: IndexCacheOptions, log: (message: string) => void) {
    this.#cache = cache;
    this.#log = log;
  }

  want(path: string, identity: IndexIdentity): void {
    const key = JSON.stringify(identity);
    if (this.#asked.has(key) || this.#waiting.length >= maxWaiting) return;
    this.#asked.add(key);
    this.#waiting.push({ path, identity, cache: this.#cache });
    this.#running ??= this.#run();
  }

  /** Until nothing is being made any more. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    for (let order = this.#waiting.shift(); order !== undefined; order = this.#waiting.shift()) {
      await this.#make(order);
    }
    this.#running = undefined;
  }

  #make(order: IndexOrder): Promise<void> {
    return new Promise((resolve) => {
      const worker = new Worker(new URL('./index-worker.js', import.meta.url), {
        workerData: order,
        resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
        // Flags of the main thread (a profiler, a debugger) are not for it.
        execArgv: [],
      });
      worker.on('message', ({ message }: IndexReport) => this.#log(message));
      worker.on('error', (error) =>
        this.#log(`no symbol index is made for "${order.path}": ${error.message}`),
      );
      worker.on('exit', () => resolve());
    });
  }
}
