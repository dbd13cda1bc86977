/**
 * Looks after all that is armed, once a second: whether somebody passed, and whether processes still run the programs that points were made for. It is all that
 * a tracer does while nothing happens, so it is made to cost next to nothing: counters are read from mapped memory, a process is looked at once, however
 * many points it has, and the front hears of points only when they were passed, or their library was loaded or is gone.
 */
import { toStillframeError } from '../../format/error.js';
import type { ArmedPoint, PointCounters } from '../engines/engine.js';
import { ProgramImages } from '../targets/program-image.js';
import type { PointOfProcess } from './protocol.js';

export interface LookedAfter extends PointOfProcess {
  readonly point: ArmedPoint;
}

/** What was told of it, and whether it was said that it cannot be looked after. */
interface Seen extends Pick<PointCounters, 'hits' | 'awaited'> {
  readonly isFailing: boolean;
}

export interface PointLooksEvents {
  passed(pointIds: readonly string[]): void;
  log(level: 'info' | 'warn' | 'error', message: string): void;
}

const intervalMs = 1000;
/** A look that takes long is followed by a pause that is so many times longer, up to some seconds. */
const restFactor = 500;
const maxRestMs = 4000;

export class PointLooks implements Disposable {
  readonly #events: PointLooksEvents;
  readonly #points = new Map<LookedAfter, Seen>();
  #timer: NodeJS.Timeout | undefined;

  constructor(events: PointLooksEvents) {
    this.#events = events;
  }

  add(point: LookedAfter): void {
    this.#points.set(point, { hits: 0n, isFailing: false });
    this.#schedule(intervalMs);
  }

  remove(point: LookedAfter): void {
    this.#points.delete(point);
    if (this.#points.size === 0) this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#points.clear();
  }

  #schedule(restMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const begin = performance.now();
      this.#look();
      const tookMs = performance.now() - begin;
      if (this.#points.size > 0)
        this.#schedule(Math.min(Math.max(intervalMs, restFactor * tookMs), maxRestMs));
    }, restMs);
    this.#timer.unref();
  }

  #look(): void {
    const images = new ProgramImages();
    const passed = new Set<string>();
    for (const [looked, before] of this.#points) {
      const { point, pointId, pid } = looked;
      try {
        const { hits, awaited } = point.look?.(images) ?? point.counters();
        if (hits === before.hits && awaited === before.awaited) continue;
        this.#points.set(looked, { hits, ...(awaited === undefined ? {} : { awaited }), isFailing: false });
        passed.add(pointId);
      } catch (error) {
        if (before.isFailing) continue;
        this.#points.set(looked, { ...before, isFailing: true });
        const { message } = toStillframeError(error);
        this.#events.log('warn', `cannot look after point "${pointId}" in process ${pid}: ${message}`);
      }
    }
    if (passed.size > 0) this.#events.passed([...passed]);
  }
}
