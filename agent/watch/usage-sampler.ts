/** What processes use, for all watches together: a process that many look at is read once. */
import type { ProcessUsage, TracerClient } from '../tracer/client.js';

/** A reading that is no older is as good as a new one. */
const freshMs = 150;
const maxKnown = 4096;

export class UsageSampler {
  readonly #tracer: Pick<TracerClient, 'usage'>;
  readonly #known = new Map<number, { readonly usage: ProcessUsage; readonly readMs: number }>();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(tracer: Pick<TracerClient, 'usage'>) {
    this.#tracer = tracer;
  }

  /** Those that are gone are left out. */
  async sample(pids: readonly number[], descriptors: boolean): Promise<readonly ProcessUsage[]> {
    const sampled = this.#queue.then(() => this.#sample(pids, descriptors));
    this.#queue = sampled.catch(() => undefined);
    return await sampled;
  }

  async #sample(pids: readonly number[], descriptors: boolean): Promise<readonly ProcessUsage[]> {
    const nowMs = performance.now();
    const isFresh = (pid: number): boolean => {
      const known = this.#known.get(pid);
      if (known === undefined || nowMs - known.readMs > freshMs) return false;
      return !descriptors || known.usage.descriptors !== undefined;
    };
    const missing = pids.filter((pid) => !isFresh(pid));
    if (missing.length > 0) {
      if (this.#known.size > maxKnown) this.#known.clear();
      for (const pid of missing) this.#known.delete(pid);
      const readMs = performance.now();
      for (const usage of await this.#tracer.usage({ pids: missing, descriptors })) {
        this.#known.set(usage.pid, { usage, readMs });
      }
    }
    return pids.flatMap((pid) => this.#known.get(pid)?.usage ?? []);
  }
}
