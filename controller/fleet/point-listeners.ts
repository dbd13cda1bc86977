/** Who wants to know of points, and is told of each no more than a few times a second. */
import { toStillframeError } from '../../format/error.js';
import type { PointDocument } from '../service/documents.js';
import type { SnapshotRecord } from '../store/store.js';
import type { FleetLog } from './fleet.js';
import { KeptPoint } from './kept-point.js';
import type { PointListener } from './points.js';

export interface PointListenersOptions {
  readonly documentOf: (point: KeptPoint) => PointDocument;
  /** Somebody wants counters as they rise; or nobody does any more. */
  readonly countersWanted: (wanted: boolean) => void;
  readonly log: FleetLog;
}

const minIntervalMs = 200;

export class PointListeners implements Disposable {
  readonly #options: PointListenersOptions;
  readonly #listeners = new Set<PointListener>();
  readonly #waiting = new Map<KeptPoint, NodeJS.Timeout | NodeJS.Immediate>();

  constructor(options: PointListenersOptions) {
    this.#options = options;
  }

  get wantCounters(): boolean {
    return [...this.#listeners].some((listener) => listener.point !== undefined);
  }

  add(listener: PointListener): Disposable {
    const before = this.wantCounters;
    this.#listeners.add(listener);
    if (this.wantCounters !== before) this.#options.countersWanted(true);
    return {
      [Symbol.dispose]: () => {
        if (!this.#listeners.delete(listener)) return;
        if (listener.point !== undefined && !this.wantCounters) this.#options.countersWanted(false);
      },
    };
  }

  /** At once when nothing was told of it for a while. */
  changed(point: KeptPoint): void {
    if (this.#waiting.has(point) || !this.wantCounters) return;
    const delayMs = point.toldMs + minIntervalMs - Date.now();
    const tell = (): void => {
      this.#waiting.delete(point);
      this.#tell(point);
    };
    this.#waiting.set(point, delayMs > 0 ? setTimeout(tell, delayMs) : setImmediate(tell));
  }

  snapshot(record: SnapshotRecord, about: KeptPoint | PointDocument | undefined): void {
    if (about === undefined) return;
    const point = about instanceof KeptPoint ? this.#options.documentOf(about) : about;
    for (const listener of this.#listeners) this.#guard(() => listener.snapshot?.(record, point));
  }

  [Symbol.dispose](): void {
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting as NodeJS.Timeout);
      clearImmediate(waiting as NodeJS.Immediate);
    }
    this.#waiting.clear();
    this.#listeners.clear();
  }

  #tell(point: KeptPoint): void {
    point.toldMs = Date.now();
    const document = this.#options.documentOf(point);
    for (const listener of this.#listeners) this.#guard(() => listener.point?.(document));
  }

  /** A listener that fails costs neither the others nor the point. */
  #guard(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      const { message } = toStillframeError(error);
      this.#options.log.error({ error: message }, 'a listener of points failed');
    }
  }
}
