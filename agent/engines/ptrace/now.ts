/**
 * All threads, this instant: seize, interrupt, registers, stacks in one batch, let go. What can be prepared is prepared before the
 * first thread stops, and what can wait is done after the last one runs. Past `maxStopMs` all threads run on, with what was had.
 */
import type {
  Capture,
  CapturedRange,
  CapturedThread,
  Mapping,
  MissingRange,
} from '../../../format/capture.js';
import { StillframeError } from '../../../format/error.js';
import { defaultLimits } from '../../../format/limits.js';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import { VectorReader } from '../../linux/memory-vector.js';
import { readMaps, readThreadStat, readTids } from '../../linux/proc.js';
import { napBetween } from '../../linux/ptrace.js';
import type { NowRequest } from '../engine.js';
import { stackShare, stackWindow } from '../stack-window.js';
import { restartInterrupted } from './interrupted-call.js';
import { RegisterSlots } from './registers.js';
import type { Stop, Tracees } from './tracees.js';

/** Threads that may appear between the count and the stop. */
const spareThreads = 32;
const nsPerMs = 1_000_000n;
const uninterruptibleCheckNs = 500_000n;

interface ThreadRecord {
  readonly tid: number;
  readonly comm: string;
  /** Before it was stopped by us. */
  readonly state: string;
  slot: number;
  windowAddress: bigint;
  windowLength: number;
  /** Where its stack lies in the batch. */
  batchOffset: number;
  batchLength: number;
  beganNs: bigint;
  endedNs: bigint;
}

/** What differs between processes with and without points. */
export interface NowMeans {
  readonly tracees: Tracees;
  /** Resumes a stopped thread. */
  readonly letGo: (stop: Stop) => void;
  /** Where the thread really is, in its registers that were just read: a trap of ours lies behind its breakpoint. */
  readonly correct?: (stop: Stop, registers: Buffer) => void;
  /**
   * Called when all that can be read was read and every thread still stands. What it gives is called when all threads run again but for
   * `holds`, which is let go last.
   */
  readonly atStop?: (stopped: readonly StoppedThread[], slots: RegisterSlots) => AfterStop;
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
  #mappings: readonly Mapping[] = [];
  #deadlineNs = 0n;
  #after: AfterStop | undefined;

  constructor(request: NowRequest, means: NowMeans) {
    this.#request = request;
    this.#tracees = means.tracees;
    this.#means = means;
  }

  take(): Capture {
    const { pid, tids } = this.#request;
    // Before it is seized: a thread that is group-stopped (T) would be in a tracing stop (t) after.
    for (const tid of readTids(pid)) this.#readState(tid);
    this.#tracees.seizeAll();
    this.#addThreads();
    if (this.#threads.length === 0) {
      throw new StillframeError('not-found', `process ${pid} has no such thread`, {
        detail: { pid },
        candidates: [...this.#tracees.tids].map(String),
      });
    }
    this.#mappings = readMaps(pid);
    const room = this.#threads.length + (tids.length === 0 ? spareThreads : 0);
    const share = stackShare(this.#request, this.#threads.length);
    using slots = new RegisterSlots(room);
    using stacks = new VectorReader(Math.max(1, room * share));
    const got: number[] = [];
    const timeNs = process.hrtime.bigint();
    this.#deadlineNs = timeNs + BigInt(this.#means.maxStopMs ?? defaultLimits.maxStopMs) * nsPerMs;
    let endedNs: bigint;
    try {
      this.#stopAll(slots.count);
      this.#readAll(slots, stacks, share, got);
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
      endedNs = process.hrtime.bigint();
    }
    this.#finish(slots);
    return this.#build({ slots, stacks, got, share, timeNs, stoppedNs: endedNs - timeNs });
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
        windowAddress: 0n,
        windowLength: 0,
        batchOffset: 0,
        batchLength: 0,
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

  #stopAll(most: number): void {
    const { pid, tids } = this.#request;
    let from = 0;
    // Threads that a running one made before it stopped are found by looking again until there is none.
    while (from < this.#threads.length) {
      const fresh = this.#threads.slice(from);
      from = this.#threads.length;
      for (const thread of fresh) {
        thread.beganNs = process.hrtime.bigint();
        this.#tracees.interrupt(thread.tid);
      }
      this.#waitFor(fresh);
      if (tids.length > 0 || this.#threads.length >= most || this.#isLate()) break;
      if (readTids(pid).length === this.#tracees.tids.size) break;
      this.#tracees.seizeAll();
      this.#addThreads();
      this.#threads.length = Math.min(this.#threads.length, most);
    }
  }

  /** Half of the time is for waiting. Threads in uninterruptible system calls are given up as soon as they are seen to be. */
  #waitFor(threads: readonly ThreadRecord[]): void {
    const until = process.hrtime.bigint() + (this.#deadlineNs - process.hrtime.bigint()) / 2n;
    let checkNs = process.hrtime.bigint() + uninterruptibleCheckNs;
    let waiting = threads.filter((thread) => this.#tracees.tids.has(thread.tid));
    for (let turn = 0; ; turn++) {
      waiting = waiting.filter(({ tid }) => !this.#tracees.stops.has(tid) && !this.#tracees.poll(tid));
      const nowNs = process.hrtime.bigint();
      if (waiting.length === 0 || nowNs > until) break;
      if (nowNs > checkNs) {
        waiting = waiting.filter(({ tid }) => this.#readState(tid)?.state !== 'D');
        checkNs = nowNs + uninterruptibleCheckNs;
      }
      napBetween(turn);
    }
  }

  #isLate(): boolean {
    return process.hrtime.bigint() > this.#deadlineNs;
  }

  #readAll(slots: RegisterSlots, stacks: VectorReader, share: number, got: number[]): void {
    const pieces: { address: bigint; length: number }[] = [];
    let batchLength = 0;
    for (const [i, thread] of this.#threads.entries()) {
      const stop = this.#tracees.stops.get(thread.tid);
      if (stop === undefined || this.#isLate()) continue;
      if (!slots.readGeneral(i, thread.tid)) continue;
      thread.slot = i;
      const registers = slots.registers(i);
      if (registers === undefined) continue;
      this.#means.correct?.(stop, registers);
      const sp = readUserRegister(registers, 'rsp');
      const window = stackWindow(this.#mappings, sp, this.#request.stackBytes);
      if (window === undefined) continue;
      thread.windowAddress = window.address;
      thread.windowLength = window.length;
      thread.batchOffset = batchLength;
      thread.batchLength = Math.min(window.length, share, Math.max(0, this.#request.maxBytes - batchLength));
      batchLength += thread.batchLength;
      pieces.push({ address: window.address, length: thread.batchLength });
    }
    if (pieces.length > 0 && !this.#isLate()) stacks.read(this.#request.pid, pieces, got);
    for (const thread of this.#threads) {
      if (thread.slot < 0 || this.#isLate()) continue;
      slots.readXstate(thread.slot, thread.tid);
    }
  }

  #releaseAll(slots: RegisterSlots): void {
    for (const thread of this.#threads) {
      if (thread.tid === this.#after?.holds) continue;
      const stop = this.#tracees.stops.get(thread.tid);
      if (stop === undefined) {
        // One that was let go before it may have had to let this one go too.
        thread.endedNs = process.hrtime.bigint();
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

  #finish(slots: RegisterSlots): void {
    const after = this.#after;
    const thread = this.#threads.find(({ tid }) => tid === after?.holds);
    if (after === undefined || thread === undefined) return;
    this.#release(thread, after.finish(), slots);
  }

  #build(taken: {
    readonly slots: RegisterSlots;
    readonly stacks: VectorReader;
    readonly got: readonly number[];
    readonly share: number;
    readonly timeNs: bigint;
    readonly stoppedNs: bigint;
  }): Capture {
    const { pid, maxBytes } = this.#request;
    const threads: CapturedThread[] = [];
    const ranges: CapturedRange[] = [];
    const missing: MissingRange[] = [];
    let piece = 0;
    for (const thread of this.#threads) {
      const { tid, comm, state } = thread;
      const path = `stack of ${tid}`;
      if (thread.slot < 0) {
        threads.push({
          tid,
          comm,
          state,
          unknownRegisters: [],
          provenance: 'stopped',
          absent: absence(state),
        });
        continue;
      }
      const copy = taken.slots.copy(thread.slot);
      const stoppedNs = Number(thread.endedNs - thread.beganNs);
      threads.push({ tid, comm, state, ...copy, unknownRegisters: [], provenance: 'stopped', stoppedNs });
      if (thread.windowLength === 0) {
        const sp = copy.registers === undefined ? 0n : readUserRegister(copy.registers, 'rsp');
        const detail = 'the stack pointer is in no readable mapping';
        if (this.#request.stackBytes > 0) missing.push({ path, address: sp, reason: 'unreadable', detail });
        continue;
      }
      const length = taken.got[piece++] ?? 0;
      const address = thread.windowAddress;
      if (length > 0) {
        const bytes = Uint8Array.from(taken.stacks.view(thread.batchOffset, length));
        ranges.push({ address, bytes, provenance: 'stopped', path });
      }
      if (length < thread.windowLength) {
        const limited = length === thread.batchLength;
        missing.push({
          path,
          address: address + BigInt(length),
          length: thread.windowLength - length,
          reason: limited ? 'limit' : 'unreadable',
          detail: limited
            ? `${maxBytes} bytes for all threads are ${taken.share} for each`
            : 'the memory could not be read while the thread was stopped',
        });
      }
    }
    const bytes = ranges.reduce((sum, range) => sum + range.bytes.length, 0);
    return {
      engine: 'ptrace',
      pid,
      tid: threads.some((thread) => thread.tid === pid) ? pid : (threads[0]?.tid ?? pid),
      timeNs: taken.timeNs,
      threads,
      ranges,
      missing,
      cost: {
        hits: 0,
        conditionFalse: 0,
        dropped: 0,
        faults: 0,
        bytes,
        stoppedNs: Number(taken.stoppedNs),
      },
    };
  }
}

function absence(state: string): NonNullable<CapturedThread['absent']> {
  const within = `within ${defaultLimits.maxStopMs} ms, the longest that the process may stand still`;
  return {
    reason: 'limit',
    detail:
      state === 'D'
        ? `it is in an uninterruptible system call and did not stop ${within}`
        : `it was not read ${within}`,
  };
}
