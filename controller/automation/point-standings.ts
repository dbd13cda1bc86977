/** How the points of one incident stand, and which changes of that are worth telling. */
import type { PointDocument } from '../service/documents.js';
import type { PointStanding } from './rule-engine.js';

/** What was in flight when a point ended is here after so long. */
const graceMs = 5000;
/** Changes that are told. A process that comes and goes makes one each time. */
const maxTold = 200;

export class PointStandings {
  readonly #points = new Map<string, PointDocument>();
  /** Since when a point is seen to be ended. */
  readonly #endedMs = new Map<string, number>();
  #told = 0;

  clear(): void {
    this.#points.clear();
    this.#endedMs.clear();
    this.#told = 0;
  }

  /** What there is to tell of it now: a line; undefined where nothing changed for people. */
  see(point: PointDocument): string | undefined {
    const before = this.#points.get(point.id);
    this.#points.set(point.id, point);
    if (before === undefined || standingText(before) === standingText(point) || this.#told > maxTold) {
      return undefined;
    }
    if (++this.#told > maxTold) return 'points change their state too often: no more of it is noted';
    return `point ${point.id} is ${point.state}${point.why === '' ? '' : `: ${point.why}`}`;
  }

  /** A point is over once its snapshots had time to come: what an agent spooled comes after the news that the point has ended. */
  list(
    nowMs: number,
    { counted, onTheWay }: { readonly counted: number; readonly onTheWay: number },
  ): readonly PointStanding[] {
    const points = [...this.#points.values()];
    const delivered = points.reduce((sum, point) => sum + point.delivered, 0);
    const isAllThere = delivered > 0 && counted >= delivered;
    return points.map(({ id, state, why, delivered: own }) => {
      if (state === 'ended' && !this.#endedMs.has(id)) this.#endedMs.set(id, nowMs);
      const since = this.#endedMs.get(id) ?? nowMs;
      const ended = state === 'ended' && onTheWay === 0 && (isAllThere || nowMs - since >= graceMs);
      return { ended, why, delivered: own };
    });
  }
}

export function wasArmed({ state, processes, hits, delivered, hosts }: PointDocument): boolean {
  if (state === 'armed' || processes.length > 0 || hits > 0 || delivered > 0) return true;
  return (hosts ?? []).some((host) => host.state === 'armed' || host.hits > 0);
}

/** What makes two standings of a point different to people: not its counters. */
function standingText({ state, hosts }: PointDocument): string {
  return [state, ...(hosts ?? []).map((host) => `${host.host}=${host.state}`)].join(' ');
}
