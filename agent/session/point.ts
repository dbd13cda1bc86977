/** One point as the front knows it: what was asked, where it is armed, what came. No I/O. */
import type { EngineName } from '../../format/capture.js';
import type { Plan } from '../../format/plan/plan.js';
import type { PointCounters, TracerArmed } from '../tracer/client.js';
import { Delivered, type ProcessKey, keyOf } from './delivered.js';
import type { PointRecord } from './point-records.js';
import { addCounters, noCounters, whyLine } from './why.js';

export interface PointRequest {
  readonly id: string;
  readonly pids: readonly number[];
  /** Processes that fit it are armed when they appear; empty for none. */
  readonly selector: string;
  readonly plan: Plan;
  readonly engine?: EngineName;
  /** Hits are counted and nothing is captured; it has no limit of hits. */
  readonly countOnly: boolean;
  readonly maxHits: number;
  /** Each process may deliver `maxHits`; otherwise all of them together. */
  readonly everyProcess: boolean;
  readonly minIntervalNs: bigint;
  readonly expiresMs: number;
  /** Who asked, and why: for whoever lists the points of this host. */
  readonly owner: string;
  readonly note: string;
  /** It goes when nobody waits for it any more. */
  readonly whileConnected?: boolean;
}

export type PointPhase = 'pending' | 'armed' | 'suspended' | 'ended' | 'failed';
export type PointEnding = 'hits' | 'expired' | 'removed' | 'target-gone' | 'failed';

/** How a point stands, for whoever asks. */
export interface PointView {
  readonly id: string;
  readonly phase: PointPhase;
  readonly engine: string;
  readonly processes: readonly { readonly pid: number; readonly addresses: readonly bigint[] }[];
  readonly counters: PointCounters;
  readonly why: string;
  readonly end?: PointEnding;
  readonly location: string;
  readonly condition?: string;
  readonly expiresMs: number;
  readonly refusals: readonly string[];
  readonly owner: string;
  readonly note: string;
  readonly countOnly: boolean;
}

/** Where a point is armed: one process. */
export interface Armed extends ProcessKey {
  readonly armed: TracerArmed;
}

export class Point {
  readonly request: PointRequest;
  readonly armed: Map<number, Armed> = new Map();
  phase: PointPhase = 'pending';
  end: PointEnding | undefined;
  /** What it says of itself where the counters say nothing. */
  detail = 'not armed yet';
  readonly delivered: Delivered = new Delivered();
  /** Snapshots that were taken and could not be kept. */
  lost = 0;
  /** Who waits for it, and since when nobody does; only for a point that lives while somebody waits. */
  holders = 0;
  desertedMs: number | undefined;
  /** How often the tracer died while it was armed, and how many agents armed it again. */
  restarts = 0;
  restores = 0;
  /** Processes whose end was told before the answer to their arming. */
  readonly goneEarly: Set<number> = new Set();
  readonly refusals: Set<string> = new Set();
  /** Of processes that are no longer armed. */
  #banked: PointCounters = noCounters;
  /** As last seen, by process. A hit can come before its process is known to be armed. */
  readonly #seen = new Map<number, PointCounters>();
  /** Kept for lists when nothing is armed any more. */
  #engine = '';

  constructor(request: PointRequest) {
    this.request = request;
  }

  get active(): boolean {
    return this.phase !== 'ended' && this.phase !== 'failed';
  }

  add(pid: number, armed: TracerArmed): void {
    this.armed.set(pid, { pid, startTicks: armed.startTicks, armed });
    this.#engine = armed.engine;
    for (const refusal of armed.refusals) this.refusals.add(refusal);
    this.phase = 'armed';
  }

  seen(pid: number, counters: PointCounters): void {
    this.#seen.set(pid, counters);
  }

  /** Takes a process off the list and keeps its counters. */
  release(pid: number, last?: PointCounters): void {
    this.armed.delete(pid);
    this.#banked = addCounters(this.#banked, last ?? this.#seen.get(pid) ?? noCounters);
    this.#seen.delete(pid);
  }

  /** Hits that one process may still deliver. */
  remaining(process: ProcessKey): number {
    const { everyProcess, maxHits, countOnly } = this.request;
    if (countOnly) return maxHits;
    return Math.max(0, maxHits - (everyProcess ? this.delivered.of(process) : this.delivered.total));
  }

  /** Whether no process, whichever comes, may deliver anything. */
  get isUsedUp(): boolean {
    const { everyProcess, maxHits, countOnly } = this.request;
    return !countOnly && !everyProcess && this.delivered.total >= maxHits;
  }

  close(phase: 'ended' | 'failed', end: PointEnding, detail: string): void {
    this.phase = phase;
    this.end = end;
    this.detail = detail;
  }

  counters(): PointCounters {
    let sum = this.#banked;
    for (const counters of this.#seen.values()) sum = addCounters(sum, counters);
    return { ...sum, delivered: BigInt(this.delivered.total), dropped: sum.dropped + BigInt(this.lost) };
  }

  /** What another agent would need to go on with it. */
  record(): PointRecord {
    const { request, restores, phase, end, detail } = this;
    const processes = new Map(
      this.delivered.processes().map((process) => [keyOf(process), { ...process, armed: false }]),
    );
    for (const { pid, startTicks } of this.armed.values()) {
      const process = { pid, startTicks };
      const delivered = this.delivered.of(process);
      processes.set(keyOf(process), { ...process, delivered, armed: true });
    }
    return {
      request,
      processes: [...processes.values()],
      delivered: this.delivered.total,
      restores,
      ...(end === undefined ? {} : { ended: { phase: phase === 'failed' ? phase : 'ended', end, detail } }),
    };
  }

  view(): PointView {
    const { plan, id, expiresMs, maxHits, owner, note, countOnly } = this.request;
    const processes = [...this.armed.values()].map(({ pid, armed }) => ({ pid, addresses: armed.addresses }));
    const counters = this.counters();
    const addresses = processes.reduce((sum, process) => sum + process.addresses.length, 0);
    const { location, condition } = plan.request;
    return {
      id,
      phase: this.phase,
      engine: this.#engine,
      processes,
      counters,
      why: whyLine({
        phase: this.phase,
        addresses,
        pids: processes.map(({ pid }) => pid),
        engine: this.#engine,
        counters,
        maxHits,
        hasCondition: condition !== undefined,
        detail: this.detail,
      }),
      ...(this.end === undefined ? {} : { end: this.end }),
      location,
      ...(condition === undefined ? {} : { condition }),
      expiresMs,
      refusals: [...this.refusals],
      owner,
      note,
      countOnly,
    };
  }
}
