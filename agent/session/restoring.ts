/** Points of an agent before this one: each is known at once, and armed again one after another where its processes are still there. */
import { toStillframeError } from '../../format/error.js';
import type { TracerClient } from '../tracer/client.js';
import type { ProcessToArm } from './arming.js';
import { canaryFailure } from './canary.js';
import { type ProcessKey, isSame } from './delivered.js';
import type { PastPoints } from './past-points.js';
import type { Point, PointEnding, PointView } from './point.js';
import type { PointRecord } from './point-records.js';
import type { SessionLog } from './session-log.js';

export interface RestoringContext {
  readonly tracer: TracerClient;
  readonly past: PastPoints;
  readonly log: SessionLog;
  /** Whoever lists or arms it from now on gets it. */
  readonly known: (point: Point) => void;
  readonly armOnce: (id: string, work: () => Promise<PointView>) => Promise<PointView>;
  readonly start: (point: Point, processes: readonly ProcessToArm[]) => Promise<PointView>;
  readonly close: (point: Point, end: PointEnding, detail: string) => Promise<PointView>;
  readonly announce: (point: Point) => void;
}

/** A point that outlives so many tracers, or agents, is suspected of killing them. */
export const maxRestarts = 3;
/** How much longer than otherwise a point outlives those who waited for it, where it was the agent that went. */
const reconnectMs = 25_000;

export class Restoring {
  readonly #context: RestoringContext;

  constructor(context: RestoringContext) {
    this.#context = context;
  }

  /** When it returns all points are known; when it resolves they are armed. */
  restore(): Promise<void> {
    const { past, known, log } = this.#context;
    let turn: Promise<unknown> = Promise.resolve();
    for (const record of past.read()) {
      const { request, restores } = record;
      const point = past.makePoint(request, record);
      if (record.ended !== undefined) {
        const { phase, end, detail } = record.ended;
        point.close(phase, end, detail);
        point.desertedMs = Date.now() + reconnectMs;
        known(point);
      } else if (restores >= maxRestarts) {
        log.warn({ point: request.id, restores }, 'not armed again, for it may be the cause');
      } else {
        point.restores = restores + 1;
        point.detail = 'is being armed again, for the agent was restarted';
        known(point);
        turn = this.#restoreAfter(turn, point, record);
      }
    }
    return turn.then(() => undefined);
  }

  /** Never rejects. */
  async #restoreAfter(turn: Promise<unknown>, point: Point, record: PointRecord): Promise<void> {
    const { id } = point.request;
    const { armOnce, announce, log } = this.#context;
    try {
      await armOnce(id, async () => {
        await turn;
        return await this.#restore(point, record);
      });
      // Whoever waited for it has to find this agent first.
      if (point.holders === 0) point.desertedMs = Date.now() + reconnectMs;
      // Who has found it was told that it was not armed yet.
      if (point.active) announce(point);
    } catch (error) {
      log.warn({ point: id, error: toStillframeError(error).message }, 'cannot arm again');
    }
  }

  async #restore(point: Point, record: PointRecord): Promise<PointView> {
    const { tracer, start, close } = this.#context;
    // Removed meanwhile.
    if (!point.active) return point.view();
    if (Date.now() >= point.request.expiresMs) {
      return await close(point, 'expired', 'expired while no agent ran');
    }
    const alive: ProcessKey[] = [];
    for (const { pid, startTicks, armed } of record.processes) {
      const [target] = await tracer.listTargets(String(pid));
      if (target?.startTicks !== startTicks) point.delivered.forget(isSame({ pid, startTicks }));
      else if (armed) alive.push({ pid, startTicks });
    }
    const { canary } = point;
    if (canary !== undefined && !alive.some(isSame(canary))) {
      return await close(point, 'failed', canaryFailure(canary, 'it was gone when an agent ran again'));
    }
    if (alive.length === 0 && point.request.selector === '' && !point.isUsedUp) {
      return await close(point, 'target-gone', 'its process is gone, and no agent ran when it went');
    }
    return await start(point, alive);
  }
}
