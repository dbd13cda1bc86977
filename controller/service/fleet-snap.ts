/** A point of a fleet that somebody waits for. Whatever ends the wait, nothing stays armed unless it was asked to (`--detach`). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PointKeeper } from '../fleet/point-keeper.js';
import type { PointSpec } from '../fleet/points.js';
import type { SnapshotRecord, Store } from '../store/store.js';
import type { SnapHooks, SnapOptions, SnapOutcome } from './controller-api.js';
import type { PointDocument } from './documents.js';
import { checkSnapOptions, expiryOf, noHit } from './snap-options.js';

const progressMs = 1000;

export interface FleetSnapContext {
  readonly points: PointKeeper;
  readonly store: Store;
}

export async function snapInFleet(
  { points, store }: FleetSnapContext,
  options: SnapOptions,
  hooks: SnapHooks,
): Promise<SnapOutcome> {
  checkSnapOptions(options);
  const set = await points.set(specOf(options), { strict: true });
  if (options.detach) {
    hooks.armed?.(set);
    return { point: set, snapshots: [] };
  }
  const wait = new FleetWait(set, options, hooks);
  // From here on it is told of all that comes; what came before is in the store.
  using _listening = points.listen(wait);
  try {
    hooks.armed?.(set);
    for (const record of store.listSnapshots({ point: set.id })) wait.take(record);
    await wait.run();
  } finally {
    const reason =
      hooks.signal?.aborted === true ? 'who waited for it is gone' : 'nobody waits for it any more';
    // Of one that ended this waits until its last snapshots are in, and changes nothing.
    wait.end(await points.remove(set.id, `removed, for ${reason}`));
  }
  return wait.outcome();
}

function specOf(options: SnapOptions): PointSpec {
  return {
    kind: 'snapshot',
    target: options.target,
    location: options.location,
    ...(options.condition === undefined ? {} : { condition: options.condition }),
    captures: options.captures,
    engine: options.engine,
    bounds: options.bounds,
    maxHits: options.hits,
    everyProcess: options.everyProcess,
    minIntervalNs: options.minIntervalNs,
    expiresMs: expiryOf(options, Date.now()),
    owner: options.owner ?? '',
    note: options.note ?? '',
    ...(options.terms === undefined ? {} : { terms: options.terms }),
    ...(options.watch === undefined ? {} : { watch: options.watch }),
  };
}

class FleetWait {
  readonly #options: SnapOptions;
  readonly #hooks: SnapHooks;
  readonly #snapshots = new Map<string, SnapshotRecord>();
  readonly #deadlineMs: number;
  #point: PointDocument;
  /** The last that it said of itself before nobody waited for it any more. */
  #lastWhy: string;
  #toldMs = 0;
  #wake = new AbortController();

  constructor(point: PointDocument, options: SnapOptions, hooks: SnapHooks) {
    this.#point = point;
    this.#lastWhy = point.why;
    this.#options = options;
    this.#hooks = hooks;
    this.#deadlineMs = Date.now() + options.waitMs;
  }

  point(point: PointDocument): void {
    if (point.id !== this.#point.id) return;
    this.#point = point;
    this.#wake.abort();
  }

  snapshot(record: SnapshotRecord): void {
    this.take(record);
    this.#wake.abort();
  }

  take(record: SnapshotRecord): void {
    if (record.point !== this.#point.id || this.#snapshots.has(record.id)) return;
    this.#snapshots.set(record.id, record);
    this.#hooks.snapshot?.(record);
  }

  /** Until all has come, the point ended, or nobody waits any longer. */
  async run(): Promise<void> {
    while (!this.#isOver()) {
      this.#lastWhy = this.#point.why;
      if (this.#snapshots.size === 0 && Date.now() >= this.#toldMs + progressMs) {
        this.#toldMs = Date.now();
        this.#hooks.progress?.(this.#point.why);
      }
      await this.#pause(Math.min(progressMs, this.#deadlineMs - Date.now()));
    }
  }

  end(point: PointDocument): void {
    this.#point = point;
  }

  /** Throws when nothing came. */
  outcome(): SnapOutcome {
    const { id, end = '', why } = this.#point;
    if (this.#snapshots.size === 0) {
      const interrupted = this.#hooks.signal?.aborted === true;
      const last = end === 'removed' || end === 'hits' ? this.#lastWhy : why;
      throw noHit({ id, end, why: last, interrupted, waitMs: this.#options.waitMs });
    }
    return { point: this.#point, snapshots: [...this.#snapshots.values()] };
  }

  #isOver(): boolean {
    if (this.#point.state === 'ended' || this.#point.state === 'failed') return true;
    return this.#hooks.signal?.aborted === true || Date.now() >= this.#deadlineMs;
  }

  /** Until something happens, at most so long. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#hooks;
    const ends = signal === undefined ? this.#wake.signal : AbortSignal.any([signal, this.#wake.signal]);
    try {
      await sleep(Math.max(1, ms), undefined, { signal: ends });
    } catch {
      // Woken.
    }
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
  }
}
