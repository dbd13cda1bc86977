/**
 * All threads, this instant: seize, interrupt, registers, stacks in one batch, let go. What can be prepared is prepared before the
 * first thread stops, and what can wait is done after the last one runs. Past `maxStopMs` all threads run on, with what was had.
 */
import { closeSync, openSync } from 'node:fs';
import type { Capture } from '../../../format/capture.js';
import { StillframeError } from '../../../format/error.js';
import { defaultLimits } from '../../../format/limits.js';
import { readMaps, readThreadStat, readTids } from '../../linux/proc.js';
import { decodeStatus } from '../../linux/ptrace.js';
import type { GoOn } from '../../linux/stop-calls.js';
import { Urgency } from '../../linux/urgency.js';
import { WaitLimit } from '../../linux/wait-limit.js';
import type { NowRequest } from '../engine.js';
import { stackShare } from '../stack-window.js';
import { restartInterrupted } from './interrupted-call.js';
import { type ThreadRecord, buildNow } from './now-capture.js';
import { RegisterSlots } from './registers.js';
import { StopBatch } from './stop-batch.js';
import type { Stop, Tracees } from './tracees.js';

/** Threads that may appear between the count and the stop: at least so many, or a part of those that there are. */
const spareThreads = 8;
const spareShare = 8;
const nsPerMs = 1_000_000n;
const uninterruptibleCheckNs = 500_000n;

/** What differs between processes with and without points. */
export interface NowMeans {
  readonly tracees: Tracees;
  /** How a thread that stopped for nothing else is let run, and {@link letGo} would do no more; undefined where it does. */
  readonly goOn: GoOn | undefined;
  /** Resumes a stopped thread. */
  readonly letGo: (stop: Stop) => void;
  /**
   * Where the thread really is, in its registers that were just read: a trap of ours lies behind its breakpoint, and an instruction may be run elsewhere. `stop` is
   * undefined of a thread that runs on already.
   */
  readonly correct?: (stop: Stop | undefined, registers: Buffer) => void;
  /**
   * Called when all that can be read was read and every thread still stands. What it gives is called when all threads run again but for
   * `holds`, which is let go last.
   */
  readonly atStop?: (stopped: readonly StoppedThread[], slots: RegisterSlots) => AfterStop;
  /** Nothing comes of it: what is seldom needed is done as well, so that its code has run when it is needed. */
  readonly rehearses?: boolean;
  /** The longest stop, `maxStopMs` of the limits unless told. */
  readonly maxStopMs?: number;
}

export interface StoppedThread {
  readonly tid: number;
  /** Its registers, -1 when they could not be read. */
  readonly slot: number;
  readonly state: string;
  readonly stop: Stop | undefined;
}

export interface AfterStop {
  readonly holds: number;
  /** Gives the stop that the held thread is in then. */
  readonly finish: () => Stop;
}

export function captureNow(request: NowRequest, means: NowMeans): Capture {
  return new NowCapture(request, means).take();
}

class NowCapture {
  readonly #request: NowRequest;
  readonly #tracees: Tracees;
  readonly #means: NowMeans;
  readonly #threads: ThreadRecord[] = [];
  readonly #states = new Map<number, { readonly comm: string; readonly state: string }>();
  #deadlineNs = 0n;
  #after: AfterStop | undefined;

  constructor(request: NowRequest, means: NowMeans) {
    this.#request = request;
    this.#tracees = means.tracees;
    this.#means = means;
  }

  take(): Capture {
    const { pid, tids } = this.#request;
    const rehearses = this.#means.rehearses === true;
    // Before it is seized: a thread that is group-stopped (T) would be in a tracing stop (t) after.
    for (const tid of readTids(pid)) this.#readState(tid);
    const count = this.#tracees.seizeAll();
    this.#addThreads();
    if (this.#threads.length === 0) {
      throw new StillframeError('not-found', `process ${pid} has no such thread`, {
        detail: { pid },
        candidates: [...this.#tracees.tids].map(String),
      });
    }
    const mappings = readMaps(pid);
    const room =
      this.#threads.length +
      (tids.length === 0 ? Math.max(spareThreads, Math.ceil(this.#threads.length / spareShare)) : 0);
    const share = stackShare(this.#request, this.#threads.length);
    using slots = new RegisterSlots(room);
    using limit = new WaitLimit();
    using _urgency = new Urgency();
    using listing = new OpenFolder(`/proc/${pid}/task`);
    using batch = new StopBatch({
      tids: this.#threads.map(({ tid }) => tid),
      slots,
      limit,
      share,
      goOn: this.#means.atStop === undefined ? this.#means.goOn : undefined,
      all: tids.length > 0 ? undefined : { fd: listing.fd, count: count + (rehearses ? 1 : 0) },
    });
    const timeNs = process.hrtime.bigint();
    this.#deadlineNs = timeNs + BigInt(this.#means.maxStopMs ?? defaultLimits.maxStopMs) * nsPerMs;
    try {
      this.#stopAll(batch, slots);
      this.#after = this.#means.atStop?.(
        this.#threads.map(({ tid, slot, state }) => ({
          tid,
          slot,
          state,
          stop: this.#tracees.stops.get(tid),
        })),
        slots,
      );
    } finally {
      this.#releaseAll(slots);
    }
    const stoppedNs = this.#stoppedNs();
    this.#finish(slots);
    return buildNow({
      request: this.#request,
      threads: this.#threads,
      mappings,
      slots,
      batch,
      share,
      timeNs,
      stoppedNs,
    });
  }

  #addThreads(): void {
    const { tids } = this.#request;
    const known = new Set(this.#threads.map((thread) => thread.tid));
    for (const tid of this.#tracees.tids) {
      if (known.has(tid) || (tids.length > 0 && !tids.includes(tid))) continue;
      const state = this.#states.get(tid) ?? this.#readState(tid);
      if (state === undefined) continue;
      this.#threads.push({
        tid,
        ...state,
        slot: -1,
        beganNs: 0n,
        endedNs: 0n,
      });
    }
  }

  /** undefined when it ended. */
  #readState(tid: number): { readonly comm: string; readonly state: string } | undefined {
    try {
      const { comm, state } = readThreadStat(this.#request.pid, tid);
      this.#states.set(tid, { comm, state });
      return { comm, state };
    } catch {
      return undefined;
    }
  }

  #stopAll(batch: StopBatch, slots: RegisterSlots): void {
    const untilNs = process.hrtime.bigint() + (this.#deadlineNs - process.hrtime.bigint()) / 2n;
    this.#tellStops(batch);
    let patienceNs = process.hrtime.bigint() + uninterruptibleCheckNs;
    let outcome = batch.stop(patienceNs, this.#deadlineNs);
    // Half of the time is for waiting.
    while (outcome === 'threads are missing' && patienceNs < untilNs) {
      this.#giveUp(batch);
      patienceNs = process.hrtime.bigint() + uninterruptibleCheckNs;
      outcome = batch.goOn(patienceNs);
    }
    this.#takeStops(batch);
    if (this.#means.rehearses === true) this.#giveUp(batch);
    if (outcome !== 'complete') {
      if (outcome === 'threads appeared') this.#stopOthers(slots.count);
      this.#tellStops(batch);
      batch.read(this.#deadlineNs);
      this.#takeStops(batch);
    }
    for (const [i, thread] of this.#threads.entries()) {
      const taken = batch.taken(i);
      if (taken === undefined) continue;
      slots.accept(i, { general: taken.registers, xstate: taken.registers });
      const registers = slots.registers(i);
      // What could not be taken as a whole, for want of time, is not taken.
      if (registers === undefined || !taken.whole) continue;
      thread.slot = i;
      this.#means.correct?.(this.#tracees.stops.get(thread.tid), registers);
    }
  }

  /** Has the batch know who stands still already. */
  #tellStops(batch: StopBatch): void {
    for (const [i, { tid }] of this.#threads.entries()) {
      const stop = this.#tracees.stops.get(tid);
      batch.setThread(i, tid);
      if (stop !== undefined) batch.setStop(i, stop);
    }
  }

  /** Which threads stand still, and which were let go. */
  #takeStops(batch: StopBatch): void {
    for (const [i, thread] of this.#threads.entries()) {
      const { tid } = thread;
      const taken = batch.taken(i);
      if (taken === undefined) continue;
      if (taken.beganNs !== 0n) thread.beganNs = taken.beganNs;
      if (taken.gone) this.#tracees.forget(tid);
      if (taken.status === undefined) continue;
      const result = decodeStatus(tid, taken.status);
      if (result.kind === 'exited') {
        this.#tracees.end(tid);
      } else if (taken.letGo) {
        thread.endedNs = taken.endedNs;
        this.#tracees.stops.delete(tid);
        if (this.#means.goOn === 'detach') this.#tracees.forget(tid);
      } else {
        this.#tracees.stops.set(tid, result);
      }
    }
  }

  /** Threads in uninterruptible system calls are given up as soon as they are seen to be. */
  #giveUp(batch: StopBatch): void {
    for (const [i, { tid }] of this.#threads.entries()) {
      if (batch.taken(i)?.status === undefined && this.#readState(tid)?.state === 'D') batch.giveUp(i);
    }
  }

  /** Threads that a running one made before it stopped are found by looking again until there is none. */
  #stopOthers(most: number): void {
    const { pid } = this.#request;
    while (this.#threads.length < most && !this.#isLate()) {
      if (readTids(pid).length === this.#tracees.tids.size) break;
      this.#tracees.seizeAll();
      const before = this.#threads.length;
      this.#addThreads();
      this.#threads.length = Math.min(this.#threads.length, most);
      const fresh = this.#threads.slice(before);
      if (fresh.length === 0) break;
      for (const thread of fresh) thread.beganNs = process.hrtime.bigint();
      const nowNs = process.hrtime.bigint();
      this.#tracees.stopAll(
        fresh.map(({ tid }) => tid),
        nowNs + (this.#deadlineNs - nowNs) / 2n,
      );
    }
  }

  #isLate(): boolean {
    return process.hrtime.bigint() > this.#deadlineNs;
  }

  #releaseAll(slots: RegisterSlots): void {
    for (const thread of this.#threads) {
      if (thread.tid === this.#after?.holds) continue;
      const stop = this.#tracees.stops.get(thread.tid);
      if (stop === undefined) {
        // One that was let go before it may have had to let this one go too.
        if (thread.endedNs === 0n) thread.endedNs = process.hrtime.bigint();
        continue;
      }
      this.#release(thread, stop, slots);
    }
  }

  #release(thread: ThreadRecord, stop: Stop, slots: RegisterSlots): void {
    // One for whose registers there was no time needs it no less.
    const slot = thread.slot >= 0 ? thread.slot : this.#threads.indexOf(thread);
    if (thread.slot >= 0 || slots.readGeneral(slot, thread.tid)) restartInterrupted(thread.tid, slots, slot);
    this.#tracees.stops.delete(thread.tid);
    this.#means.letGo(stop);
    thread.endedNs = process.hrtime.bigint();
  }

  /** From the first that was asked to stop to the last that was let go. */
  #stoppedNs(): bigint {
    let [beganNs, endedNs] = [0n, 0n];
    for (const thread of this.#threads) {
      if (thread.beganNs !== 0n && (beganNs === 0n || thread.beganNs < beganNs)) beganNs = thread.beganNs;
      if (thread.endedNs > endedNs) endedNs = thread.endedNs;
    }
    return endedNs > beganNs ? endedNs - beganNs : 0n;
  }

  #finish(slots: RegisterSlots): void {
    const after = this.#after;
    const thread = this.#threads.find(({ tid }) => tid === after?.holds);
    if (after === undefined || thread === undefined) return;
    this.#release(thread, after.finish(), slots);
  }
}

class OpenFolder implements Disposable {
  readonly fd: number;

  constructor(path: string) {
    this.fd = openSync(path, 'r');
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
