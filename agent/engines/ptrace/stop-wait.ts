/**
 * To let a thread go on from a hit, to wait for the next stop of any, and to read what a hit is known by: one batch of calls. A hit whose
 * condition is false costs one of these.
 */
import { CallBatch, Label } from '../../linux/call-batch.js';
import {
  NT_PRSTATUS,
  type RegisterBuffer,
  type SignalInfo,
  WNOHANG,
  type WaitResult,
  decodeStatus,
  encodeStop,
  siginfoBytes,
  siginfoOffsets,
} from '../../linux/ptrace.js';
import {
  addCallOf,
  clockCall,
  goOnCall,
  readCall,
  registersCall,
  setRegistersCall,
  signalInfoCall,
  waitCall,
  writeCall,
} from '../../linux/stop-calls.js';
import type { WaitLimit } from '../../linux/wait-limit.js';
import type { ReadAhead } from './ahead.js';
import { type DecidedSite, DecidedSites, roomOf } from './decided-sites.js';
import type { LookOrSleep } from './look-or-sleep.js';
import type { RegisterSlots } from './registers.js';

const nsPerSecond = 1e9;
const wordBytes = 8n;
const records = 48;
const dataWords = 60;
const anyThread = -1n;
/** The thread, in the arguments of ptrace. */
const tidArgument = 1;
/** How often it is looked for a stop before the thread sleeps, for less than a quarter of a millisecond. */
const spins = 300;
/** Only where the last hit came as soon is the next one waited for by looking. */
const soonNs = 250_000;
const spinRecords = 4;
/** Hits that one batch decides at most. */
const maxDecided = 1000;
/** How soon is told of hits that were decided when no more come: half a `struct itimerspec`. */
const tellingNs = 50_000_000n;
const none: WaitResult = { kind: 'none' };
const stuck = { kind: 'stuck' } as const;
/** In halves of words. */
const controlAt = { signal: 0, trap: 2, spun: 4, limit: 6, left: 8, isTimed: 10 } as const;
const controlWords = 6;
/** No status of a stop. */
const nothing = -1;
const trapStop = encodeStop({ signal: 5, event: 0 });

/** How a thread that stands still goes on, without a signal. */
export interface GoOn {
  readonly tid: number;
  /** What slot 0 has is written first. */
  readonly registers: boolean;
  /** The address of the instruction that it need not run, then. */
  readonly from?: bigint;
  /** A word that is written before, as the thread itself could. */
  readonly pushed?: { readonly address: bigint; readonly value: bigint };
}

/** Stops that more is read of. */
export interface AwaitedStops {
  readonly signal: number | undefined;
  /** SIGTRAP. */
  readonly traps: boolean;
  /** For how long those at sites may be decided at once; 0 where none may. */
  readonly decidesForNs: bigint;
}

export interface StopWaitOptions {
  /** Registers go into slot 0. */
  readonly slots: RegisterSlots;
  /** Of this thread. */
  readonly limit: WaitLimit;
  readonly choice: LookOrSleep;
  readonly sites: readonly DecidedSite[];
  readonly ahead: ReadAhead | undefined;
}

export interface SeenStop {
  readonly tid: number;
  /** Of a stop that was asked for; the general registers are in slot 0 then. */
  readonly info: SignalInfo | undefined;
  readonly registers: boolean;
  /** What {@link StopWait.setAhead} asked for; until the next wait. */
  readonly ahead: { readonly address: bigint; readonly bytes: Uint8Array } | undefined;
  /** CLOCK_MONOTONIC. */
  readonly stoppedNs: number;
}

export class StopWait implements Disposable {
  readonly #batch: CallBatch;
  readonly #slots: RegisterSlots;
  /** Views of what the batch leaves. */
  readonly #tid: Int32Array;
  readonly #status: Int32Array;
  readonly #released: Int32Array;
  readonly #stopped: Int32Array;
  readonly #info: Int32Array;
  readonly #control: Int32Array;
  readonly #push: number;
  readonly #setRegisters: number;
  readonly #goOn: number;
  readonly #endStuck: number;
  readonly #pushed: bigint;
  readonly #pushedTo: bigint;
  readonly #wait: number;
  readonly #infoRecord: number;
  readonly #registersRecord: number;
  readonly #endSeen: number;
  readonly #endOther: number;
  readonly #registers: bigint;
  readonly #aheadFrom: number;
  readonly #aheadRecord: number;
  readonly #aheadBytes: Uint8Array;
  #seen: SeenStop | undefined;
  readonly #choice: LookOrSleep;
  readonly #sites: DecidedSites;
  readonly #deadline: bigint;
  readonly #maxSteps: number;
  /** The last stop came soon after a thread was let go. */
  #isSoon = false;

  constructor({ slots, limit, choice, sites, ahead }: StopWaitOptions) {
    this.#slots = slots;
    this.#choice = choice;
    const room = roomOf(sites);
    const batch = new CallBatch(records + room.records, dataWords + room.words);
    this.#batch = batch;
    this.#maxSteps = (records + room.records) * (maxDecided + 2) + spinRecords * spins;
    const [tid, status, control] = [batch.reserve(1), batch.reserve(1), batch.reserve(controlWords)];
    const [signal, trap, spun, most, left, isTimed] = Array.from(
      { length: controlWords },
      (_, i) => control + BigInt(i) * wordBytes,
    ) as [bigint, bigint, bigint, bigint, bigint, bigint];
    const [released, stopped] = [batch.reserve(2), batch.reserve(2)];
    const info = batch.reserve(siginfoBytes / 8);
    this.#tid = batch.ints(tid, 1);
    this.#status = batch.ints(status, 1);
    this.#control = batch.ints(control, controlWords);
    this.#released = batch.ints(released, 2);
    this.#stopped = batch.ints(stopped, 2);
    this.#info = batch.ints(info, siginfoBytes / 8);
    this.#deadline = batch.reserve(2);
    const { general } = slots.prepare(0);
    this.#registers = general.address;
    const [set, unset] = [batch.reserve(4, 0n, 0n, 0n, tellingNs), batch.reserve(4)];

    [this.#push, this.#setRegisters, this.#goOn, this.#endStuck, this.#pushed, this.#pushedTo] = addGoOn(
      batch,
      general,
    );
    batch.call(clockCall(released));
    const [look, sleep, found, seen] = [new Label(), new Label(), new Label(), new Label()];
    const [again, undecided] = [new Label(), new Label()];
    const [unread, other, ended] = [new Label(), new Label(), new Label()];
    this.#wait = batch.compare({ at: most, value: 0n }, { zero: sleep });
    batch.place(look);
    const looked = batch.call(waitCall(anyThread, status, WNOHANG), { negative: ended });
    batch.copy({ to: tid, from: batch.resultAddress(looked) }, { positive: found });
    batch.copy({ to: spun, from: spun, add: 1n });
    batch.compare({ at: spun, with: most }, { negative: look });
    batch.compare({ at: unset, value: 0n }, { zero: sleep });

    batch.place(again);
    batch.copy({ to: left, from: left, add: -1n });
    batch.compare({ at: isTimed, value: 0n }, { positive: sleep });
    batch.copy({ to: isTimed, from: batch.reserve(1, 1n) });
    batch.call(limit.setCall(set));
    batch.place(sleep);
    const slept = batch.call(waitCall(anyThread, status), { negative: ended });
    batch.copy({ to: tid, from: batch.resultAddress(slept) });
    batch.place(found);
    batch.call(clockCall(stopped));
    batch.compare({ at: status, with: signal }, { zero: seen });
    batch.compare({ at: status, with: trap }, { negative: other, positive: other });
    batch.place(seen);
    this.#infoRecord = addCallOf(batch, tid, signalInfoCall(0n, info));
    const read = registersCall(0n, NT_PRSTATUS, general.iovecAddress);
    this.#registersRecord = addCallOf(batch, tid, read, { flow: { negative: unread } });
    batch.compare({ at: left, value: 0n }, { negative: undecided, zero: undecided });
    const early = new Label();
    batch.compare({ at: stopped, with: this.#deadline }, { negative: early, positive: undecided });
    batch.compare({ at: stopped + wordBytes, with: this.#deadline + wordBytes }, { positive: undecided });
    batch.place(early);
    this.#sites = new DecidedSites(batch, sites, { tid, status, info, general, stopped, again, undecided });
    batch.place(undecided);
    const bytes = batch.reserve(1);
    const [local, remote] = [batch.reserve(2, bytes, 0n), batch.reserve(2)];
    this.#aheadFrom = batch.copy({ to: remote, from: this.#registers });
    this.#aheadRecord = addCallOf(batch, tid, readCall(0n, local, remote), { argument: 0 });
    const words = batch.ints(bytes, 1);
    this.#aheadBytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    this.#setAhead([local + wordBytes, remote + wordBytes], ahead);

    const end = (label: Label): number => {
      const last = new Label();
      batch.place(label);
      batch.compare({ at: isTimed, value: 0n }, { zero: last });
      batch.call(limit.setCall(unset));
      batch.place(last);
      return batch.end();
    };
    this.#endSeen = end(unread);
    this.#endOther = end(other);
    end(ended);
    batch.seal();
  }

  /**
   * Waits, for ever, for a stop or the end of any thread. `goOn` is let run before. Of stops that are `awaited` more is read, see {@link takeSeen}.
   * Gives `none` when the wait was interrupted or nobody is left, `stuck` when the thread cannot go on like that: it stands still as before, and nobody was waited for.
   */
  next(awaited: AwaitedStops, goOn: GoOn | undefined): WaitResult | { readonly kind: 'stuck' } {
    const batch = this.#batch;
    this.#control[controlAt.signal] =
      awaited.signal === undefined ? nothing : encodeStop({ signal: awaited.signal, event: 0 });
    this.#control[controlAt.trap] = awaited.traps ? trapStop : nothing;
    this.#control[controlAt.spun] = 0;
    const manner = goOn !== undefined && this.#isSoon ? this.#choice.next() : 'sleep';
    this.#control[controlAt.limit] = manner === 'look' ? spins : 0;
    this.#control[controlAt.isTimed] = 0;
    const most = awaited.decidesForNs > 0n ? maxDecided : 0;
    this.#control[controlAt.left] = most;
    if (most > 0) this.#setDeadline(process.hrtime.bigint() + awaited.decidesForNs);
    const ended = batch.run(goOn === undefined ? this.#wait : this.#prepareToGoOn(goOn), this.#maxSteps);
    if (ended === this.#endStuck) return stuck;
    const hasDecided = this.#control[controlAt.left] !== most;
    if (hasDecided) this.#sites.tell();
    this.#seen = undefined;
    if (ended !== this.#endSeen && ended !== this.#endOther) return none;
    const tid = this.#tid[0] ?? 0;
    const stoppedNs = nanoseconds(this.#stopped);
    if (goOn !== undefined && !hasDecided) {
      const tookNs = stoppedNs - this.releasedNs;
      if (this.#isSoon) this.#choice.learn(manner, tookNs);
      this.#isSoon = tookNs < soonNs;
    }
    if (ended === this.#endSeen) {
      const registers = batch.result(this.#registersRecord) === 0n;
      const info = batch.result(this.#infoRecord) === 0n ? this.#signal() : undefined;
      this.#slots.accept(0, { general: registers, xstate: false });
      const read = registers ? Number(batch.result(this.#aheadRecord)) : 0;
      const ahead =
        read > 0
          ? {
              address: BigInt.asUintN(64, batch.result(this.#aheadFrom)),
              bytes: this.#aheadBytes.subarray(0, read),
            }
          : undefined;
      this.#seen = { tid, info, registers, ahead, stoppedNs };
    }
    return decodeStatus(tid, this.#status[0] ?? 0);
  }

  /** Gives where the batch begins. */
  #prepareToGoOn({ tid, registers, pushed }: GoOn): number {
    const batch = this.#batch;
    const thread = BigInt(tid);
    batch.setArgument(this.#goOn, tidArgument, thread);
    if (!registers) return this.#goOn;
    batch.setArgument(this.#setRegisters, tidArgument, thread);
    if (pushed === undefined) return this.#setRegisters;
    batch.setArgument(this.#push, 0, thread);
    batch.write(this.#pushed, pushed.value);
    batch.write(this.#pushedTo, pushed.address);
    return this.#push;
  }

  /** To be called when threads have come or gone. */
  refresh(): void {
    this.#sites.refresh();
  }

  #setDeadline(ns: bigint): void {
    this.#batch.write(this.#deadline, ns / BigInt(nsPerSecond));
    this.#batch.write(this.#deadline + wordBytes, ns % BigInt(nsPerSecond));
  }

  /** What is read with stops that are awaited. */
  #setAhead(lengths: readonly bigint[], ahead: ReadAhead | undefined): void {
    const batch = this.#batch;
    for (const cell of lengths) batch.write(cell, BigInt(ahead?.length ?? 0));
    batch.setArgument(this.#aheadFrom, 1, this.#registers + BigInt(ahead?.registerOffset ?? 0));
    batch.setArgument(this.#aheadFrom, 2, ahead?.offset ?? 0n);
  }

  /** What was read of the thread that the last wait gave, once. */
  takeSeen(tid: number): SeenStop | undefined {
    const seen = this.#seen;
    this.#seen = undefined;
    return seen?.tid === tid ? seen : undefined;
  }

  /** When the thread that was let go last ran again. */
  get releasedNs(): number {
    return nanoseconds(this.#released);
  }

  #signal(): SignalInfo {
    const at = (offset: number): number => this.#info[offset / 4] ?? 0;
    return {
      signal: at(siginfoOffsets.signal),
      code: at(siginfoOffsets.code),
      fd: at(siginfoOffsets.fd),
    };
  }

  [Symbol.dispose](): void {
    this.#batch[Symbol.dispose]();
  }
}

/** Of a `struct timespec`, whose parts fit into 31 bits. A number has them exactly. */
const nanoseconds = (time: Int32Array): number => (time[0] ?? 0) * nsPerSecond + (time[2] ?? 0);

/** Lets a thread go on: a word is pushed, registers are set, or neither, by where it begins. Behind it the thread runs; {@link GoOnRecords} says where the thread still stands. */
type GoOnRecords = [
  push: number,
  setRegisters: number,
  goOn: number,
  stuck: number,
  pushed: bigint,
  to: bigint,
];

function addGoOn(batch: CallBatch, general: RegisterBuffer): GoOnRecords {
  const pushed = batch.reserve(1);
  const [from, to] = [batch.reserve(2, pushed, wordBytes), batch.reserve(2, 0n, wordBytes)];
  const [go, jam] = [new Label(), new Label()];
  const push = batch.call(writeCall(0n, from, to));
  batch.compare({ at: batch.resultAddress(push), value: wordBytes }, { negative: jam, positive: jam });
  const set = setRegistersCall(0n, NT_PRSTATUS, general.iovecAddress);
  const setRegisters = batch.call(set, { zero: go });
  batch.place(jam);
  const end = batch.end();
  batch.place(go);
  return [push, setRegisters, batch.call(goOnCall('continue', 0n)), end, pushed, to];
}
