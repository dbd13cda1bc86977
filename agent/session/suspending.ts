/** Disarms points that cost more than the host allows; they stay listed as suspended until somebody resumes them. */
import type { CpuRule } from '../policy/policy.js';
import type { Arming } from './arming.js';
import { canaryFailure } from './canary.js';
import { CpuBudget } from './cpu-budget.js';
import type { Newcomers } from './newcomers.js';
import type { PastPoints } from './past-points.js';
import type { Point } from './point.js';
import type { SessionLog } from './session-log.js';

export interface SuspendingContext {
  readonly arming: Arming;
  readonly newcomers: Newcomers;
  readonly past: PastPoints;
  readonly log: SessionLog;
  /** Has the counters of points as they are now. */
  readonly refresh: (points: readonly Point[]) => Promise<unknown>;
  readonly suspended: (point: Point) => void;
}

export class Suspending {
  readonly #budget: CpuBudget;
  readonly #context: SuspendingContext;
  readonly #passed = new Set<string>();

  constructor(rule: CpuRule, context: SuspendingContext) {
    this.#budget = new CpuBudget(rule);
    this.#context = context;
  }

  /** What these cost is looked at next time; what nobody passed costs nothing. */
  passed(pointIds: readonly string[]): void {
    for (const id of pointIds) this.#passed.add(id);
  }

  /** Once a second or so. */
  async look(points: readonly Point[]): Promise<void> {
    const armed = points.filter((point) => point.active && point.armed.size > 0);
    const passed = armed.filter(({ request }) => this.#passed.has(request.id));
    this.#passed.clear();
    if (passed.length > 0) await this.#context.refresh(passed);
    const spent = armed.map((point) => ({
      id: point.request.id,
      spentNs: point.spentNs,
      percent: point.request.terms?.cpuPercent,
    }));
    for (const { id, detail } of this.#budget.look(performance.now(), spent)) {
      const point = armed.find(({ request }) => request.id === id);
      if (point?.phase === 'armed') await this.#suspend(point, detail);
    }
  }

  async #suspend(point: Point, why: string): Promise<void> {
    const { canary } = point;
    const detail = canary === undefined ? why : canaryFailure(canary, why);
    const { arming, newcomers, past, log, suspended } = this.#context;
    point.suspend(detail);
    if (canary !== undefined) point.canary = { ...canary, untilMs: 0 };
    // Also for who asks when it is over: it has not seen everything.
    point.refuse(detail);
    newcomers.remove(point);
    past.keep(point);
    const [failure] = await arming.disarm(point);
    suspended(point);
    if (failure !== undefined)
      log.error({ point: point.request.id, error: failure.message }, 'cannot disarm');
  }
}
