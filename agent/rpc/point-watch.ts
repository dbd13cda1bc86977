/** States of points as they change, looked at at an interval: counters rise without anybody saying so. */
import { isDeepStrictEqual } from 'node:util';
import { toStillframeError } from '../../format/error.js';
import type { PointView } from '../session/point.js';
import type { SessionLog } from '../session/session-log.js';
import type { Session } from '../session/session.js';

export interface PointWatchOptions {
  readonly session: Session;
  /** None: all, those that are armed later included. */
  readonly ids: readonly string[];
  readonly intervalMs: number;
  readonly log: SessionLog;
  readonly changed: (view: PointView) => void;
}

export const minWatchMs = 200;

export class PointWatch implements Disposable {
  readonly #options: PointWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #known: ReadonlyMap<string, PointView>;
  #isLooking = false;

  /** `known`: as they were told when it was asked for. */
  constructor(options: PointWatchOptions, known: readonly PointView[]) {
    this.#options = options;
    this.#known = new Map(known.map((view) => [view.id, view]));
    this.#timer = setInterval(() => void this.#look(), Math.max(minWatchMs, options.intervalMs));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { session, ids, log, changed } = this.#options;
    try {
      const present = ids.filter((id) => session.hasPoint(id));
      // None at all would mean all.
      const views = ids.length > 0 && present.length === 0 ? [] : await session.points(present);
      const before = this.#known;
      this.#known = new Map(views.map((view) => [view.id, view]));
      for (const view of views) if (!isDeepStrictEqual(before.get(view.id), view)) changed(view);
    } catch (error) {
      log.warn({ error: toStillframeError(error).message }, 'cannot look at the points');
    } finally {
      this.#isLooking = false;
    }
  }
}
