/** One process as its tracing thread sees it: its threads, the breakpoints of its points, and what each stop means. What a hit is says hits.ts. */
import type { Capture } from '../../../format/capture.js';
import { StillframeError, toStillframeError } from '../../../format/error.js';
import { readStatus } from '../../linux/proc.js';
import {
  PTRACE_EVENT_EXEC,
  PTRACE_EVENT_STOP,
  PTRACE_O_TRACECLONE,
  PTRACE_O_TRACEEXEC,
  type WaitResult,
  detach,
  getEventMessage,
  getSignalInfo,
  setOptions,
} from '../../linux/ptrace.js';
import type { NowRequest, PointEnd } from '../engine.js';
import { findReadAhead } from './ahead.js';
import {
  Breakpoints,
  checkMaySignal,
  chooseSignal,
  isCaught,
  maxBreakpoints,
  tooMany,
} from './breakpoints.js';
import { findDecidedSites } from './decided-points.js';
import type { PointSpec } from './messages.js';
import { restartInterrupted } from './interrupted-call.js';
import { releaseLate } from './late-threads.js';
import { captureNow } from './now.js';
import { Hits, type ProcessReports, type Stopped } from './hits.js';
import { type Mechanism, TracedPoint } from './points.js';
import { RegisterSlots } from './registers.js';
import { SoftwareTracing, softwareOptions } from './software-tracing.js';
import { type Heard, StopQueue } from './stop-queue.js';
import type { AwaitedStops } from './stop-wait.js';
import { type Stop, Tracees, isGroupStop, isTrap, pendingSignal } from './tracees.js';
import { Waiting } from './waiting.js';
import { YoungGarbage } from './young-garbage.js';

export interface ProcessMeans {
  /** The folder of the journal of software breakpoints. */
  readonly journal: string;
  /** A process of ours that the calling thread traces, too. */
  readonly doorbell?: number;
  readonly reports: ProcessReports;
}

/** si_code of a signal that F_SETSIG sends: POLL_IN, or SI_SIGIO for signals whose codes mean something else. */
const POLL_IN = 1;
const SI_SIGIO = -5;
/** How often it is checked that the process has not got a handler for our signal. */
const handlerCheckNs = 100_000_000n;
/** For how long hits are decided one after another before it is looked whether others wait: one thread alone has nobody to be fair to. */
const fairNs = 4_000_000n;
const aloneNs = 20_000_000n;
/** The slot of any thread but the one at a breakpoint. */
const otherSlot = 1;

export class TracedProcess implements Disposable {
  readonly pid: number;
  readonly #journal: string;
  readonly #doorbell: number | undefined;
  readonly #reports: ProcessReports;
  readonly #tracees: Tracees;
  readonly #queue: StopQueue;
  readonly #slots = new RegisterSlots(2);
  #hardware: Breakpoints | undefined;
  #software: SoftwareTracing | undefined;
  #checkedNs = 0n;
  #mayHold = false;
  readonly #hits: Hits;
  readonly #waiting: Waiting;
  readonly #garbage = new YoungGarbage();

  constructor(pid: number, means: ProcessMeans) {
    this.pid = pid;
    this.#journal = means.journal;
    this.#doorbell = means.doorbell;
    this.#reports = means.reports;
    this.#tracees = new Tracees(pid);
    this.#queue = new StopQueue(this.#tracees);
    const slots = this.#slots;
    const disarm = (pointId: string): void => this.disarm(pointId);
    this.#hits = new Hits({ pid, slots, reports: this.#reports, disarm });
    const points = (): Iterable<TracedPoint> => this.#hits.points.values();
    this.#waiting = new Waiting({
      slots,
      sites: () =>
        findDecidedSites(points(), this.#hardware, this.#software?.breakpoints, (point, site, hit) =>
          this.#hits.takeListed(point, site, hit),
        ),
      ahead: () => findReadAhead(points()),
      goOn: (goOn) => this.#software?.goOn(goOn),
      goOnItself: (goOn) => this.#software?.goOnItself(goOn),
    });
  }

  now(request: NowRequest): Capture {
    // A process that has, or had, points: threads may be in stops that only `handle` understands.
    const stays = this.#tracees.options !== 0;
    try {
      return this.#captureNow(request, stays);
    } finally {
      if (stays) this.#settle();
      else releaseLate(this.#tracees);
    }
  }

  #captureNow(request: NowRequest, stays: boolean): Capture {
    return captureNow(request, {
      tracees: this.#tracees,
      goOn: stays ? 'continue' : 'detach',
      letGo: (stop) => {
        if (stays && this.#software !== undefined && isTrap(stop)) {
          // It stands at a breakpoint of its own accord, and is stepped over it when its turn comes.
          this.#queue.add(stop);
        } else if (stays) {
          this.handle(stop);
        } else {
          detach(stop.tid, pendingSignal(stop));
          this.#tracees.forget(stop.tid);
        }
      },
      correct: (stop, registers) => this.#software?.correct(stop, registers),
    });
  }

  /**
   * Arms a point; throws, with nothing of it armed, when that cannot be. Gives why software breakpoints had to be taken, undefined
   * when hardware breakpoints suffice.
   */
  arm(spec: PointSpec): string | undefined {
    this.#waiting.expire();
    this.#hits.prepare(spec);
    try {
      // Told before anything is seized, since software breakpoints need other options from the start.
      const count = new Set([...(this.#hardware?.addresses ?? []), ...spec.addresses]).size;
      if (count > maxBreakpoints) throw tooMany(this.pid, count);
      checkMaySignal(this.pid);
      this.#armHardware(spec);
      this.#hits.points.set(spec.pointId, new TracedPoint(spec, 'hardware'));
      return undefined;
    } catch (error) {
      const { code, message, detail } = toStillframeError(error);
      if (code !== 'unsupported' && code !== 'denied' && code !== 'system') throw error;
      if (!spec.allowSoftware) {
        throw new StillframeError(code, message, {
          detail,
          cause: error,
          hint: 'breakpoints in the code itself, which a kill -9 of the tracer can leave behind for a moment, are set only with --engine ptrace',
        });
      }
      this.#armSoftware(spec);
      this.#hits.points.set(spec.pointId, new TracedPoint(spec, 'software'));
      return message;
    }
  }

  #armHardware(spec: PointSpec): void {
    this.#hardware ??= new Breakpoints(this.pid, chooseSignal(this.pid));
    const before = new Set(this.#hardware.addresses);
    this.#tracees.options ||= PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    this.#tracees.seizeAll();
    try {
      for (const tid of this.#tracees.tids) this.#hardware.addThread(tid);
      for (const address of spec.addresses) this.#hardware.addAddress(address);
    } catch (error) {
      for (const address of spec.addresses) {
        if (!before.has(address)) this.#hardware.removeAddress(address);
      }
      throw error;
    }
  }

  #armSoftware(spec: PointSpec): void {
    this.#software ??= new SoftwareTracing(this.pid, this.#journal, {
      tracees: this.#tracees,
      slots: this.#slots,
      letGo: (stop) => this.#handle(stop),
      seen: (tid) => this.#waiting.takeSeen(tid),
      hit: (hit) => this.#hit({ mechanism: 'software', ...hit }, this.#mayHold),
      fail: (detail) => this.#endAll({ kind: 'failed', detail }, 'software'),
    });
    if (this.#tracees.tids.size === 0) this.#tracees.options = softwareOptions;
    else this.#software.widenOptions();
    // Before the first byte is patched: nobody may run into it who is not traced.
    this.#tracees.seizeAll();
    this.#software.breakpoints.add(spec.addresses);
  }

  disarm(pointId: string): void {
    const point = this.#hits.points.get(pointId);
    if (point === undefined) return;
    this.#waiting.expire();
    this.#hits.points.delete(pointId);
    const free = point.spec.addresses.filter(
      (address) => this.#hits.pointsAt(address, point.mechanism).length === 0,
    );
    if (point.mechanism === 'software') this.#software?.breakpoints.remove(free);
    else for (const address of free) this.#hardware?.removeAddress(address);
  }

  /** Waits for a stop or the end of any thread of the calling thread's. A thread that {@link handleNext} left standing is let run before. */
  next(): WaitResult {
    for (;;) {
      const heard = this.#nextHeard();
      if (heard !== undefined) return heard;
      if (this.#waiting.isStale) this.#renewWaiting();
      else {
        const result = this.#waiting.next(this.#awaited());
        if (result !== undefined) return result;
        this.#settle();
        // Hits that a list takes are not seen by anybody else.
        if (this.#isCheckDue) this.#checkHandler();
      }
    }
  }

  /** What has been heard of already, and looks for more from time to time, so that nobody is passed over for ever. */
  #nextHeard(): Heard | undefined {
    if (!this.#queue.isDue) return undefined;
    this.#waiting.release();
    this.#queue.collect();
    this.#settle();
    const heard = this.#queue.take();
    if (heard === undefined && this.#hits.points.size > 0) this.#garbage.collect();
    return heard;
  }

  #awaited(): AwaitedStops {
    const decides = this.#software?.isReturning !== true;
    return {
      signal: this.#hardware?.signal,
      traps: this.#software !== undefined,
      decidesForNs: !decides ? 0n : this.#tracees.tids.size > 1 ? fairNs : aloneNs,
    };
  }

  #renewWaiting(): void {
    this.#waiting.release();
    this.#settle();
    this.#hits.forgetAhead();
    this.#waiting.renew();
  }

  /** Takes what {@link next} gave. The thread of a hit that brings nothing may stand still until {@link next} is called, at once. */
  handleNext(result: Heard): void {
    this.#mayHold = true;
    try {
      this.#handle(result);
    } finally {
      this.#mayHold = false;
    }
    this.#settle();
  }

  /** Takes what wait4 said of any thread, and lets a stopped one run on. Reports when that is done. */
  handle(result: Heard): void {
    this.#handle(result);
    this.#settle();
  }

  /**
   * Lets all threads run that were stopped meanwhile, but for those that stand at breakpoints: they wait for their turn, since to step over one is to
   * stop all others again. Then reports.
   */
  #settle(): void {
    const { stops, ended } = this.#tracees;
    this.#waiting.forgetSeen();
    for (let others = this.#queue.separate(); others.length > 0; others = this.#queue.separate()) {
      this.#waiting.release();
      for (const stop of others) {
        if (stops.get(stop.tid) !== stop) continue;
        stops.delete(stop.tid);
        this.#handle(stop);
      }
    }
    for (let tid = ended.shift(); tid !== undefined; tid = ended.shift()) this.#exited(tid);
    this.#hits.report();
  }

  #handle(result: Heard): void {
    if (result.kind === 'exited') this.#exited(result.tid);
    else if (result.event === PTRACE_EVENT_EXEC) this.#executed(result);
    else if (!this.#tracees.tids.has(result.tid)) this.#appeared(result);
    else if (this.#software?.take(result) === true) return;
    else if (result.event === 0 && result.signal === this.#hardware?.signal) this.#signalled(result);
    else this.#release(result);
  }

  /** A traced thread wakes also for signals that are ignored, and its system call may end of that. */
  #release(stop: Stop): void {
    this.#restart(stop);
    this.#tracees.release(stop);
  }

  #restart(stop: Stop): void {
    const interrupted = stop.event === 0 || stop.event === PTRACE_EVENT_STOP;
    if (interrupted && !isGroupStop(stop) && this.#slots.readGeneral(otherSlot, stop.tid)) {
      restartInterrupted(stop.tid, this.#slots, otherSlot);
    }
  }

  /** A thread that was made by one of ours, or another process, which is let go. */
  #appeared(stop: Stop): void {
    let own = false;
    try {
      own = readStatus(stop.tid).tgid === this.pid;
    } catch {
      // It was killed meanwhile.
    }
    if (!own || this.#hits.points.size === 0) {
      if (!own) this.#software?.restoreIn(stop.tid);
      this.#restart(stop);
      detach(stop.tid, pendingSignal(stop));
      return;
    }
    this.#tracees.tids.add(stop.tid);
    // It has those of the thread that made it, which may have been seized for less.
    if (this.#software !== undefined) setOptions(stop.tid, this.#tracees.options);
    try {
      this.#hardware?.addThread(stop.tid);
      this.#waiting.refresh();
    } catch (error) {
      this.#endAll({ kind: 'failed', detail: toStillframeError(error).message }, 'hardware');
    }
    this.#tracees.release(stop);
  }

  #exited(tid: number): void {
    this.#tracees.forget(tid);
    this.#software?.forget(tid);
    this.#hardware?.removeThread(tid);
    this.#waiting.refresh();
    if (this.#tracees.tids.size === 0) {
      this.#endAll({ kind: 'target-gone', detail: `process ${this.pid} is gone` });
    }
  }

  /** The addresses mean nothing in another program. */
  #executed(stop: Stop): void {
    // ptrace(2), "execve(2) under ptrace": all other threads are gone, and of this one's former number nothing is told.
    const former = Number(getEventMessage(stop.tid) ?? 0n);
    this.#tracees.stops.clear();
    if (former !== stop.tid) this.#tracees.forget(former);
    this.#software?.breakpoints.abandon();
    this.#endAll({ kind: 'target-gone', detail: `process ${this.pid} executed another program` });
    this.#hardware?.[Symbol.dispose]();
    this.#tracees.release(stop);
  }

  #endAll(reason: PointEnd, mechanism?: Mechanism): void {
    for (const [pointId, point] of this.#hits.points) {
      if (mechanism !== undefined && point.mechanism !== mechanism) continue;
      this.disarm(pointId);
      this.#reports.ended(pointId, reason);
    }
  }

  /** Our signal, or one of the same number from elsewhere, which is passed on. */
  #signalled(stop: Stop): void {
    const { tid } = stop;
    const seen = this.#waiting.takeSeen(tid);
    const info = seen === undefined ? getSignalInfo(tid) : seen.info;
    const address =
      info !== undefined && (info.code === POLL_IN || info.code === SI_SIGIO)
        ? this.#hardware?.addressOf(info.fd)
        : undefined;
    if (address === undefined) {
      this.#release(stop);
      return;
    }
    // Nobody stands still while /proc is read.
    const isCheckDue = this.#isCheckDue;
    const stopped = {
      mechanism: 'hardware' as const,
      tid,
      address,
      seen,
      goOn: () => ({ tid, registers: false }),
    };
    this.#hit(stopped, this.#mayHold && !isCheckDue, () => this.#tracees.release({ ...stop, signal: 0 }));
    if (isCheckDue) this.#checkHandler();
  }

  /** A thread stands at an address: true when it is held for the next wait. */
  #hit(stopped: Stopped, mayHold: boolean, release?: () => void): boolean {
    const held = this.#hits.hit(stopped, mayHold, release);
    if (held !== undefined) this.#waiting.hold(held);
    return held !== undefined;
  }

  get #isCheckDue(): boolean {
    return process.hrtime.bigint() - this.#checkedNs >= handlerCheckNs;
  }

  #checkHandler(): void {
    if (this.#hardware === undefined) return;
    this.#checkedNs = process.hrtime.bigint();
    try {
      if (!isCaught(this.pid, this.#hardware.signal)) return;
    } catch {
      return;
    }
    const detail = `process ${this.pid} has got a handler for signal ${this.#hardware.signal}, which announces the breakpoints`;
    this.#endAll({ kind: 'failed', detail }, 'hardware');
  }

  [Symbol.dispose](): void {
    this.#hits.points.clear();
    this.#software?.[Symbol.dispose]();
    // Newborns among them: a child that was forked has breakpoints in its memory.
    for (let heard = this.#queue.take(); heard !== undefined; heard = this.#queue.take()) {
      if (heard.tid !== this.#doorbell) this.#handle(heard);
    }
    this.#hardware?.[Symbol.dispose]();
    this.#hits[Symbol.dispose]();
    this.#waiting[Symbol.dispose]();
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
