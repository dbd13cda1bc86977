/**
 * How much CPU the hits of points may take from the threads that pass: a share over some seconds, so that a burst is no reason to suspend anything. Of what
 * was spent beyond the share a debt is left, which time pays off; a debt of {@link windowMs} of the share is too much. No I/O, no clock.
 */
import type { CpuRule } from '../policy/policy.js';

export interface SpentByPoint {
  readonly id: string;
  /** Since it was armed. */
  readonly spentNs: bigint;
  /** What it may take, where it is not what every point may. */
  readonly percent?: number | undefined;
}

export interface OverBudget {
  readonly id: string;
  readonly detail: string;
}

const windowMs = 10_000;

interface Account {
  /** As it was seen last. */
  spentNs: bigint;
  debtMs: number;
  /** Of the time since the look before this one. */
  share: number;
}

export class CpuBudget {
  readonly #rule: CpuRule;
  readonly #points = new Map<string, Account>();
  #hostDebtMs = 0;
  #lookedMs: number | undefined;

  constructor(rule: CpuRule) {
    this.#rule = rule;
  }

  /** Those that must be suspended now. What is not listed any more is forgotten. */
  look(nowMs: number, points: readonly SpentByPoint[]): readonly OverBudget[] {
    const elapsedMs = this.#lookedMs === undefined ? 0 : nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
    const listed = new Set(points.map(({ id }) => id));
    for (const id of this.#points.keys()) if (!listed.has(id)) this.#points.delete(id);
    let spentMs = 0;
    const over: OverBudget[] = [];
    for (const { id, spentNs, percent = this.#rule.point } of points) {
      const account = this.#points.get(id) ?? { spentNs: 0n, debtMs: 0, share: 0 };
      this.#points.set(id, account);
      // Counters of a process that was armed anew begin anew.
      const newMs = Number(spentNs < account.spentNs ? 0n : spentNs - account.spentNs) / 1e6;
      account.spentNs = spentNs;
      account.share = elapsedMs === 0 ? 0 : (100 * newMs) / elapsedMs;
      spentMs += newMs;
      account.debtMs = debtAfter(account.debtMs + newMs, elapsedMs, percent);
      if (isTooMuch(account.debtMs, percent)) over.push({ id, detail: this.#pointDetail(account, percent) });
    }
    this.#hostDebtMs = debtAfter(this.#hostDebtMs + spentMs, elapsedMs, this.#rule.host);
    if (over.length === 0 && isTooMuch(this.#hostDebtMs, this.#rule.host)) {
      const most = this.#mostExpensive();
      if (most !== undefined) {
        const { id, account } = most;
        over.push({
          id,
          detail: `${tookText(account)} ${this.#rule.name} allows all points together ${inTime(this.#rule.host, 'cpuPercent.host')}`,
        });
        // The others have the time until the next look to show that it was this one.
        this.#hostDebtMs = 0;
      }
    }
    for (const { id } of over) this.#points.delete(id);
    return over;
  }

  #mostExpensive(): { readonly id: string; readonly account: Account } | undefined {
    const [most] = [...this.#points].toSorted(([, a], [, b]) => b.share - a.share);
    return most === undefined ? undefined : { id: most[0], account: most[1] };
  }

  #pointDetail(account: Account, percent: number): string {
    const allowed =
      percent === this.#rule.point
        ? `${this.#rule.name} allows a point ${inTime(percent, 'cpuPercent.point')}`
        : `it may take ${inTime(percent, '--cpu')}`;
    return `${tookText(account)} ${allowed}`;
  }
}

function tookText({ share }: Account): string {
  const took = share < 10 ? share.toFixed(1) : share.toFixed(0);
  return `suspended, for its hits took ${took}% of a CPU from the threads that pass, and`;
}

function inTime(percent: number, key: string): string {
  return `${percent}% over ${windowMs / 1000} s (${key}); \`stillframe resume\` arms it again`;
}

function debtAfter(debtMs: number, elapsedMs: number, percent: number): number {
  return Math.max(0, debtMs - (elapsedMs * percent) / 100);
}

function isTooMuch(debtMs: number, percent: number): boolean {
  return percent > 0 && debtMs > (windowMs * percent) / 100;
}
