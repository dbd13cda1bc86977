/** One point as the front knows it: what was asked, where it is armed, what came. No I/O. */
import { type CanaryState, canaryText } from '../../format/canary-text.js';
import type { EngineName } from '../../format/capture.js';
import type { PointTerms } from '../../format/point-terms.js';
import type { Plan } from '../../format/plan/plan.js';
import type { PointCounters, TracerArmed } from '../tracer/client.js';
import { type Canary, stateOf } from './canary.js';
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
  /** Each hit is told as it comes, without an end: `maxHits` is not looked at, and nothing is kept for later. */
  readonly stream?: boolean;
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
  readonly terms?: PointTerms;
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
  readonly canary?: CanaryState;
  readonly cpuPercent?: number;
}

/** Where a point is armed: one process. */
export interface Armed extends ProcessKey {
  readonly armed: TracerArmed;
}

/** As many as an engine can count to. */
const endless = 0x7fff_ffff;
/** As many are told. */
const maxRefusals = 20;

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
  /** It has ended, and is being disarmed: resolves when the kernel has said that no probe is left. */
  closing: Promise<void> | undefined;
  /** How many wait for the kernel to let go of its probes: while any does, it is told as armed, whatever it is going to be. */
  disarming = 0;
  /** How often the tracer died while it was armed, and how many agents armed it again. */
  restarts = 0;
  restores = 0;
  /** Processes that it is being armed in, and those of them whose end was told before the answer. */
  readonly arming: Map<number, Promise<unknown>> = new Map();
  readonly goneEarly: Set<number> = new Set();
  /** Where it was armed before the tracer died or it was suspended, and is not again yet. */
  readonly unarmed: Map<number, ProcessKey> = new Map();
  /** Why better engines were passed over, and processes that were named. */
  readonly #refusals = new Set<string>();
  /** Why it is not armed in processes that fit its selector, by process; those that left are forgotten. */
  readonly refused: Map<string, string> = new Map();
  /** Of processes that are no longer armed. */
  #banked: PointCounters = noCounters;
  /** As last seen, by process. A hit can come before its process is known to be armed. */
  readonly #seen = new Map<number, PointCounters>();
  /** While it is armed in one process before the others. */
  canary: Canary | undefined;
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
    for (const refusal of armed.refusals) this.refuse(refusal);
    // One that was suspended or ended meanwhile stays so: whoever did that disarms it here, too.
    if (this.phase === 'pending') this.phase = 'armed';
    else if (this.phase === 'suspended') this.unarmed.set(pid, { pid, startTicks: armed.startTicks });
  }

  refuse(reason: string): void {
    if (this.#refusals.size < maxRefusals) this.#refusals.add(reason);
  }

  /** Nothing is armed now, and something may be later. */
  wait(reason?: string): void {
    this.phase = 'pending';
    const { selector } = this.request;
    this.detail =
      reason === undefined
        ? `no process fits ${selector} yet`
        : `waiting for a process that fits ${selector}: ${reason}`;
  }

  /** It costs too much: nothing is armed until somebody resumes it. To be disarmed by the caller. */
  suspend(detail: string): void {
    this.phase = 'suspended';
    this.detail = detail;
    for (const { pid, startTicks } of this.armed.values()) this.unarmed.set(pid, { pid, startTicks });
  }

  /** What comes with a hit says less than what is asked for: what it leaves out is as before. */
  seen(pid: number, counters: PointCounters): void {
    this.#seen.set(pid, { ...this.#seen.get(pid), ...counters });
  }

  /** Takes a process off the list; its counters stay as they were last seen, until it is released. */
  leave(pid: number): void {
    this.armed.delete(pid);
  }

  /** Takes a process off the list and keeps its counters. */
  release(pid: number, last?: PointCounters): void {
    this.armed.delete(pid);
    this.#banked = this.#add(this.#banked, last ?? this.#seen.get(pid) ?? noCounters);
    this.#seen.delete(pid);
  }

  /** Hits that one process may still deliver. */
  remaining(process: ProcessKey): number {
    const { everyProcess, maxHits, countOnly, stream } = this.request;
    if (stream === true) return endless;
    if (countOnly) return maxHits;
    return Math.max(0, maxHits - (everyProcess ? this.delivered.of(process) : this.delivered.total));
  }

  /** Whether no process, whichever comes, may deliver anything. */
  get isUsedUp(): boolean {
    const { everyProcess, maxHits, countOnly, stream } = this.request;
    return !countOnly && stream !== true && !everyProcess && this.delivered.total >= maxHits;
  }

  get allDelivered(): string {
    const { total } = this.delivered;
    return total === 1 ? 'delivered its hit' : `delivered ${total} hits, all that were asked`;
  }

  close(phase: 'ended' | 'failed', end: PointEnding, detail: string): void {
    this.phase = phase;
    this.canary = undefined;
    this.unarmed.clear();
    this.refused.clear();
    this.end = end;
    this.detail = detail;
  }

  /** By its hits in the processes that it is armed in now, since it was armed there. */
  get spentNs(): bigint {
    return [...this.#seen.values()].reduce((sum, { spentNs = 0n }) => sum + spentNs, 0n);
  }

  counters(): PointCounters {
    let sum = this.#banked;
    for (const counters of this.#seen.values()) sum = this.#add(sum, counters);
    return { ...sum, delivered: BigInt(this.delivered.total), dropped: sum.dropped + BigInt(this.lost) };
  }

  #add(a: PointCounters, b: PointCounters): PointCounters {
    return addCounters(a, b, this.request.plan.aggregate?.maxGroups);
  }

  /** As last seen of a process whose library is not loaded. */
  #awaited(): string | undefined {
    for (const { pid, armed } of this.armed.values()) {
      const awaited = this.#seen.get(pid)?.awaited ?? armed.awaited ?? '';
      if (awaited !== '') return awaited;
    }
    return undefined;
  }

  #pendingDetail(): string | undefined {
    const [first] = this.refused.values();
    if (this.phase !== 'pending' || first === undefined) return undefined;
    const others = this.refused.size - 1;
    const more = others === 0 ? '' : `, and ${others} more`;
    return `no process that fits ${this.request.selector} can be armed: ${first}${more}`;
  }

  #allRefusals(): string[] {
    const all = [...this.#refusals, ...this.refused.values()];
    const left = all.length - maxRefusals;
    return left <= 0 ? all : [...all.slice(0, maxRefusals), `and ${left} more`];
  }

  /** What another agent would need to go on with it. */
  record(): PointRecord {
    const { request, restores, phase, end, detail, canary } = this;
    const processes = new Map(
      this.delivered.processes().map((process) => [keyOf(process), { ...process, armed: false }]),
    );
    for (const { pid, startTicks } of [...this.armed.values(), ...this.unarmed.values()]) {
      const process = { pid, startTicks };
      const delivered = this.delivered.of(process);
      processes.set(keyOf(process), { ...process, delivered, armed: true });
    }
    return {
      request,
      processes: [...processes.values()],
      delivered: this.delivered.total,
      restores,
      ...(canary === undefined ? {} : { canary }),
      ...(end === undefined ? {} : { ended: { phase: phase === 'failed' ? phase : 'ended', end, detail } }),
    };
  }

  view(): PointView {
    const { plan, id, expiresMs, maxHits, owner, note, countOnly, stream, terms } = this.request;
    const processes = [...this.armed.values()].map(({ pid, armed }) => ({ pid, addresses: armed.addresses }));
    const counters = this.counters();
    const addresses = processes.reduce((sum, process) => sum + process.addresses.length, 0);
    const { location, condition } = plan.request;
    const awaited = this.#awaited();
    const { canary } = this;
    const leaving = this.disarming > 0 && this.phase !== 'pending' && this.phase !== 'armed';
    const phase = leaving ? 'armed' : this.phase;
    return {
      id,
      phase,
      engine: this.#engine,
      processes,
      counters,
      why: whyLine({
        phase,
        leaving,
        addresses,
        pids: processes.map(({ pid }) => pid),
        engine: this.#engine,
        ...(awaited === undefined ? {} : { awaited }),
        counters,
        maxHits: stream === true ? 0 : maxHits,
        hasCondition: condition !== undefined,
        detail: this.#pendingDetail() ?? this.detail,
        ...(canary === undefined ? {} : { canary: canaryText(stateOf(canary)) }),
      }),
      ...(this.end === undefined || leaving ? {} : { end: this.end }),
      location,
      ...(condition === undefined ? {} : { condition }),
      expiresMs,
      refusals: this.#allRefusals(),
      owner,
      note,
      countOnly,
      ...(canary === undefined ? {} : { canary: stateOf(canary) }),
      ...(terms?.cpuPercent === undefined ? {} : { cpuPercent: terms.cpuPercent }),
    };
  }
}
