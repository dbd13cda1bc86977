/** One process as its tracing thread sees it: its threads, its points, and what each stop means. */
import { StillframeError, toStillframeError } from '../../../format/error.js';
import type { Capture } from '../../../format/capture.js';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import { ProcessMemory } from '../../linux/memory.js';
import { readStatus } from '../../linux/proc.js';
import {
  PTRACE_EVENT_EXEC,
  PTRACE_O_TRACECLONE,
  PTRACE_O_TRACEEXEC,
  type WaitResult,
  detach,
  getSignalInfo,
} from '../../linux/ptrace.js';
import type { NowRequest, PointEnd } from '../engine.js';
import { Breakpoints, chooseSignal, isCaught } from './breakpoints.js';
import type { PointSpec } from './messages.js';
import { captureNow } from './now.js';
import { type TakenHit, TracedPoint } from './points.js';
import { RegisterSlots } from './registers.js';
import { type Stop, Tracees, pendingSignal } from './tracees.js';

export interface ProcessReports {
  hit(pointId: string, capture: Capture): void;
  ended(pointId: string, reason: PointEnd): void;
}

/** si_code of a signal that F_SETSIG sends: POLL_IN, or SI_SIGIO for signals whose codes mean something else. */
const POLL_IN = 1;
const SI_SIGIO = -5;
/** How often it is checked that the process has not got a handler for our signal. */
const handlerCheckNs = 100_000_000n;

export class TracedProcess implements Disposable {
  readonly pid: number;
  readonly #reports: ProcessReports;
  readonly #tracees: Tracees;
  readonly #points = new Map<string, TracedPoint>();
  readonly #slots = new RegisterSlots(1);
  #breakpoints: Breakpoints | undefined;
  #memory: ProcessMemory | undefined;
  #checkedNs = 0n;

  constructor(pid: number, reports: ProcessReports) {
    this.pid = pid;
    this.#reports = reports;
    this.#tracees = new Tracees(pid);
  }

  now(request: NowRequest): Capture {
    const stays = this.#breakpoints !== undefined;
    return captureNow(request, this.#tracees, (stop) => {
      if (stays) {
        this.handle(stop);
      } else {
        detach(stop.tid, pendingSignal(stop));
        this.#tracees.forget(stop.tid);
      }
    });
  }

  /** Arms a point; throws, with nothing of it armed, when that cannot be. */
  arm(spec: PointSpec): void {
    this.#memory ??= new ProcessMemory(this.pid, 'at-hit');
    this.#breakpoints ??= new Breakpoints(this.pid, chooseSignal(this.pid));
    const before = new Set(this.#breakpoints.addresses);
    this.#tracees.options = PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    this.#tracees.seizeAll();
    for (const tid of this.#tracees.tids) this.#breakpoints.addThread(tid);
    try {
      for (const address of spec.addresses) this.#breakpoints.addAddress(address);
    } catch (error) {
      for (const address of spec.addresses) {
        if (!before.has(address)) this.#breakpoints.removeAddress(address);
      }
      throw error;
    }
    this.#points.set(spec.pointId, new TracedPoint(spec));
  }

  disarm(pointId: string): void {
    const point = this.#points.get(pointId);
    if (point === undefined) return;
    this.#points.delete(pointId);
    for (const address of point.spec.addresses) {
      const shared = [...this.#points.values()].some((other) => other.spec.addresses.includes(address));
      if (!shared) this.#breakpoints?.removeAddress(address);
    }
  }

  /** Takes what wait4 said of any thread, and lets a stopped one run on. */
  handle(result: Exclude<WaitResult, { kind: 'none' }>): void {
    if (result.kind === 'exited') this.#exited(result.tid);
    else if (result.event === PTRACE_EVENT_EXEC) this.#executed(result);
    else if (!this.#tracees.tids.has(result.tid)) this.#appeared(result);
    else if (result.event === 0 && result.signal === this.#breakpoints?.signal) this.#signalled(result);
    else this.#tracees.release(result);
  }

  /** A thread that was made by one of ours; other processes that come by clone are let go. */
  #appeared(stop: Stop): void {
    let own = false;
    try {
      own = readStatus(stop.tid).tgid === this.pid;
    } catch {
      // It was killed meanwhile.
    }
    if (!own || this.#breakpoints === undefined) {
      detach(stop.tid, pendingSignal(stop));
      return;
    }
    this.#tracees.tids.add(stop.tid);
    try {
      this.#breakpoints.addThread(stop.tid);
    } catch (error) {
      this.#endAll({ kind: 'failed', detail: toStillframeError(error).message });
    }
    this.#tracees.release(stop);
  }

  #exited(tid: number): void {
    this.#tracees.forget(tid);
    this.#breakpoints?.removeThread(tid);
    if (this.#tracees.tids.size === 0) {
      this.#endAll({ kind: 'target-gone', detail: `process ${this.pid} is gone` });
    }
  }

  /** The addresses mean nothing in another program. */
  #executed(stop: Stop): void {
    this.#endAll({ kind: 'target-gone', detail: `process ${this.pid} executed another program` });
    this.#breakpoints?.[Symbol.dispose]();
    this.#tracees.release(stop);
  }

  #endAll(reason: PointEnd): void {
    for (const pointId of this.#points.keys()) {
      this.disarm(pointId);
      this.#reports.ended(pointId, reason);
    }
  }

  /** Our signal, or one of the same number from elsewhere, which is passed on. */
  #signalled(stop: Stop): void {
    const stoppedNs = process.hrtime.bigint();
    const { tid } = stop;
    const info = getSignalInfo(tid);
    const address =
      info !== undefined && (info.code === POLL_IN || info.code === SI_SIGIO)
        ? this.#breakpoints?.addressOf(info.fd)
        : undefined;
    if (address === undefined) {
      this.#tracees.release(stop);
      return;
    }
    let taken: TakenHit[] = [];
    try {
      taken = this.#takeHits(tid, address);
    } finally {
      this.#tracees.release({ ...stop, signal: 0 });
    }
    const durationNs = process.hrtime.bigint() - stoppedNs;
    for (const point of this.#pointsAt(address)) point.count('stoppedNs', durationNs);
    for (const hit of taken) {
      this.#reports.hit(hit.point.spec.pointId, hit.capture(durationNs));
      if (hit.point.isUsedUp) this.#usedUp(hit.point);
    }
    this.#checkHandler(stoppedNs);
  }

  #takeHits(tid: number, address: bigint): TakenHit[] {
    const points = this.#pointsAt(address);
    if (this.#memory === undefined || !this.#slots.readGeneral(0, tid)) return [];
    const registers = this.#slots.registers(0);
    if (registers === undefined || readUserRegister(registers, 'rip') !== address) {
      // The signal was blocked when the thread passed, and comes late: what it would show is not the point.
      for (const point of points) point.count('dropped');
      return [];
    }
    const taken: TakenHit[] = [];
    for (const point of points) {
      for (const site of point.sitesAt(address)) {
        const hit = point.take(site, tid, this.#slots, this.#memory);
        if (hit !== undefined) taken.push(hit);
      }
    }
    return taken;
  }

  #pointsAt(address: bigint): TracedPoint[] {
    return [...this.#points.values()].filter((point) => point.spec.addresses.includes(address));
  }

  #usedUp(point: TracedPoint): void {
    const { pointId, maxHits } = point.spec;
    if (!this.#points.has(pointId)) return;
    this.disarm(pointId);
    this.#reports.ended(pointId, { kind: 'hits', detail: `${maxHits} of ${maxHits} hits delivered` });
  }

  #checkHandler(nowNs: bigint): void {
    if (this.#breakpoints === undefined || nowNs - this.#checkedNs < handlerCheckNs) return;
    this.#checkedNs = nowNs;
    try {
      if (!isCaught(this.pid, this.#breakpoints.signal)) return;
    } catch {
      return;
    }
    this.#endAll({
      kind: 'failed',
      detail: `process ${this.pid} has got a handler for signal ${this.#breakpoints.signal}, which announces the breakpoints`,
    });
  }

  [Symbol.dispose](): void {
    this.#breakpoints?.[Symbol.dispose]();
    this.#memory?.[Symbol.dispose]();
    this.#slots[Symbol.dispose]();
  }
}

/** Tries on a thread of our own what points need. Throws what is not allowed. */
export function probeTracing(tid: number): void {
  using breakpoints = new Breakpoints(tid, 23);
  breakpoints.addThread(tid);
  breakpoints.addAddress(0x1000n);
  using slots = new RegisterSlots(1);
  if (!slots.readGeneral(0, tid)) {
    throw new StillframeError('system', 'cannot read the registers of a stopped process');
  }
}
