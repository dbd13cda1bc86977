/** The points of one traced process: what a thread that stopped at an address means to them. Runs on the tracing thread. */
import { absent } from '../../../format/absent.js';
import type { Capture, CapturedRange, MissingRange } from '../../../format/capture.js';
import { type PlanSiteResult, rangeBytes, runPlanSite } from '../../../format/plan/run.js';
import { hasDecisions, type PlanSite } from '../../../format/plan/plan.js';
import type { MemoryReader } from '../../../format/memory.js';
import { readUserRegister, userRegisterOffset } from '../../../format/registers/x86-64.js';
import type { ProcessMemory } from '../../linux/memory.js';
import { readThreadStat } from '../../linux/proc.js';
import { redZoneBytes } from '../stack-window.js';
import type { ListedHit } from './decided-sites.js';
import { type CounterSlot, type PointSpec, slotNumbers } from './messages.js';
import type { RegisterSlots } from './registers.js';

/** A hit as it was taken while the thread stood still; its capture is made after it runs again. */
export interface TakenHit {
  readonly point: TracedPoint;
  /** Counts from 1 to `maxHits`. */
  readonly number: number;
  readonly capture: (stoppedNs: bigint) => Capture;
}

/** What was taken of it, and when. */
interface DeliveredHit {
  readonly site: PlanSite;
  readonly siteIndex: number;
  readonly pid: number;
  readonly tid: number;
  readonly copy: ReturnType<RegisterSlots['copy']>;
  readonly result: PlanSiteResult;
  readonly timeNs: bigint;
  readonly stack: { readonly address: bigint; readonly bytes: Uint8Array; readonly length: number };
}

const rehearsals = 30;
const maxRehearsedBytes = 4096;
/** No thread has this number. */
const nobody = 0;

/** A thread whose general registers are in slot 0. */
export interface StoppedAtPoint {
  readonly tid: number;
  readonly slots: RegisterSlots;
  readonly memory: ProcessMemory;
  /** The same memory, of which some may be at hand. */
  readonly reader: MemoryReader;
}

/** What stops threads at a point's addresses. */
export type Mechanism = 'hardware' | 'software';

export class TracedPoint {
  readonly spec: PointSpec;
  readonly mechanism: Mechanism;
  readonly #counters: BigInt64Array;
  readonly #sites = new Map<bigint, readonly number[]>();
  #notBeforeNs = 0n;

  constructor(spec: PointSpec, mechanism: Mechanism) {
    this.spec = spec;
    this.mechanism = mechanism;
    this.#counters = new BigInt64Array(spec.counters);
    for (const [index, address] of spec.addresses.entries()) {
      this.#sites.set(address, [...(this.#sites.get(address) ?? []), index]);
    }
  }

  count(slot: CounterSlot, by = 1n): void {
    Atomics.add(this.#counters, slotNumbers[slot], by);
  }

  counter(slot: CounterSlot): number {
    return Number(Atomics.load(this.#counters, slotNumbers[slot]));
  }

  get isUsedUp(): boolean {
    return !this.spec.countOnly && this.counter('delivered') >= this.spec.maxHits;
  }

  /** When the next hit may be delivered, by CLOCK_MONOTONIC. */
  get notBeforeNs(): bigint {
    return this.#notBeforeNs;
  }

  /** Of candidates the interval is up to twice as long, by chance: what comes at a steady pace would else always show the same of its phases. */
  #spread(intervalNs: bigint): bigint {
    if (!hasDecisions(this.spec.plan)) return intervalNs;
    return intervalNs + (intervalNs * BigInt(Math.floor(Math.random() * 1024))) / 1024n;
  }

  /** Indices of the sites at an address. */
  sitesAt(address: bigint): readonly number[] {
    return this.#sites.get(address) ?? [];
  }

  /** Decides whether the stopped thread in `slot` is a hit, and takes what the plan wants. The thread stands still meanwhile. */
  take(siteIndex: number, thread: StoppedAtPoint): TakenHit | undefined {
    const { tid, slots, memory, reader } = thread;
    const { plan, countOnly } = this.spec;
    const site = plan.sites[siteIndex];
    const registers = slots.registers(0);
    if (site === undefined || registers === undefined) return undefined;
    this.count('hits');
    const result = runPlanSite(site, { registers, memory: reader, maxBytes: rangeBytes(plan) });
    if (result.faults > 0) this.count('faults', BigInt(result.faults));
    if (!result.hit) {
      if (result.faults === 0) this.count('conditionFalse');
      return undefined;
    }
    if (countOnly) return undefined;
    const nowNs = process.hrtime.bigint();
    if (nowNs < this.#notBeforeNs) {
      this.count('limited');
      return undefined;
    }
    if (this.isUsedUp) return undefined;
    slots.readXstate(0, tid);
    const sp = BigInt.asUintN(64, readUserRegister(registers, 'rsp') - redZoneBytes);
    const stack = new Uint8Array(Math.min(plan.stackBytes, plan.maxBytes));
    const stackLength = memory.readInto(sp, stack);
    return this.#deliver({
      site,
      siteIndex,
      pid: memory.pid,
      tid,
      copy: slots.copy(0),
      result,
      timeNs: nowNs,
      stack: { address: sp, bytes: stack, length: stackLength },
    });
  }

  /** Takes a hit that the list of a wait has counted, and read while the thread stood still. What the plan wants is looked for in that. */
  takeListed(siteIndex: number, hit: ListedHit, pid: number): TakenHit | undefined {
    const { plan } = this.spec;
    const site = plan.sites[siteIndex];
    const { registers } = hit.registers;
    if (site === undefined || registers === undefined || this.isUsedUp) return undefined;
    const result = runPlanSite(site, { registers, memory: hit.memory, maxBytes: rangeBytes(plan) });
    if (result.faults > 0) this.count('faults', BigInt(result.faults));
    if (!result.hit) {
      // It was one when the list read the same: what was read of it is not whole.
      this.count('dropped');
      return undefined;
    }
    const { address, bytes } = hit.stack;
    return this.#deliver({
      site,
      siteIndex,
      pid,
      tid: hit.tid,
      copy: hit.registers,
      result,
      timeNs: hit.stoppedAtNs,
      stack: { address, bytes, length: bytes.length },
    });
  }

  /** Counts it, and puts off the next. */
  #deliver(hit: DeliveredHit): TakenHit {
    this.#notBeforeNs = hit.timeNs + this.#spread(this.spec.minIntervalNs);
    this.count('delivered');
    const { registers } = hit.copy;
    if (registers !== undefined && this.mechanism === 'hardware') hideResumeFlag(registers);
    return {
      point: this,
      number: this.counter('delivered'),
      capture: (stoppedNs) => this.#capture(hit, stoppedNs),
    };
  }

  /** Decides of a thread that is not there, as often as makes code quick that is run for the first time: no thread should stand still for that. */
  static rehearse(spec: PointSpec, slots: RegisterSlots, memory: ProcessMemory): void {
    const counters = new SharedArrayBuffer(spec.counters.byteLength);
    const point = new TracedPoint({ ...spec, counters, maxHits: rehearsals }, 'hardware');
    const reader: MemoryReader = {
      read: (_, length) =>
        length > maxRehearsedBytes
          ? absent('unreadable', 'nobody is there')
          : { bytes: new Uint8Array(length), provenance: 'racy' },
    };
    slots.pretend(0);
    for (let i = 0; i < rehearsals; i++) {
      for (const index of spec.plan.sites.keys()) point.take(index, { tid: nobody, slots, memory, reader });
    }
  }

  #capture(hit: DeliveredHit, stoppedNs: bigint): Capture {
    const { pid, tid } = hit;
    const ranges: CapturedRange[] = [];
    const missing: MissingRange[] = [];
    const path = `stack of ${tid}`;
    if (hit.stack.length > 0) {
      const bytes = hit.stack.bytes.subarray(0, hit.stack.length);
      ranges.push({ address: hit.stack.address, bytes, provenance: 'at-hit', path });
    } else if (hit.stack.bytes.length > 0) {
      missing.push({
        path,
        address: hit.stack.address,
        length: hit.stack.bytes.length,
        reason: 'unreadable',
        detail: `memory at 0x${hit.stack.address.toString(16)} cannot be read`,
      });
    }
    ranges.push(...hit.result.ranges);
    missing.push(...hit.result.missing);
    return {
      engine: 'ptrace',
      pid,
      tid,
      timeNs: hit.timeNs,
      site: hit.siteIndex,
      threads: [
        {
          tid,
          comm: commOf(pid, tid),
          state: 'R',
          ...hit.copy,
          unknownRegisters: [],
          provenance: 'at-hit',
          stoppedNs: Number(stoppedNs),
        },
      ],
      ranges,
      missing,
      cost: {
        hits: this.counter('hits'),
        conditionFalse: this.counter('conditionFalse'),
        dropped: this.counter('dropped'),
        faults: this.counter('faults'),
        bytes: ranges.reduce((sum, range) => sum + range.bytes.length, 0),
        stoppedNs: this.counter('stoppedNs'),
      },
    };
  }
}

/** RF, by which the kernel lets the instruction at a hardware breakpoint run: the program did not set it. */
const resumeFlag = 0x1_0000n;

function hideResumeFlag(registers: Uint8Array): void {
  const view = new DataView(registers.buffer, registers.byteOffset, registers.byteLength);
  const at = userRegisterOffset('eflags');
  view.setBigUint64(at, view.getBigUint64(at, true) & ~resumeFlag, true);
}

function commOf(pid: number, tid: number): string {
  try {
    return readThreadStat(pid, tid).comm;
  } catch {
    return '';
  }
}
