/**
 * To let a thread go on from a hit, to wait for the next stop of any, and to read what a hit is known by: one batch of calls. A hit whose
 * condition is false costs one of these, or none of its own where the list decides it.
 */
import type { UserRegisterName } from '../../../format/registers/x86-64.js';
import { CallBatch } from '../../linux/call-batch.js';
import {
  type SignalInfo,
  type WaitResult,
  decodeStatus,
  encodeStop,
  siginfoBytes,
  siginfoOffsets,
} from '../../linux/ptrace.js';
import type { WaitLimit } from '../../linux/wait-limit.js';
import type { ReadAhead } from './ahead.js';
import { type DecidedSite, roomOf } from './decided-sites.js';
import type { LookOrSleep, Manner } from './look-or-sleep.js';
import type { RegisterSlots } from './registers.js';
import {
  type GoOnRecords,
  type SeenRecords,
  type WaitWords,
  addGoOn,
  addWait,
  lookRecords,
  reserveWaitWords,
  waitRecords,
  waitWords,
} from './wait-list.js';

const nsPerSecond = 1_000_000_000n;
const wordBytes = 8n;
/** The thread, in the arguments of ptrace. */
const tidArgument = 1;
/** How often it is looked for a stop before the thread sleeps, for less than a quarter of a millisecond. */
const maxLooks = 300;
/** Only where the last hit came as soon is the next one waited for by looking. */
const soonNs = 250_000;
/** Hits that the list decides at most. */
const maxDecided = 1000;
const none: WaitResult = { kind: 'none' };
const stuck = { kind: 'stuck' } as const;
const taken = { kind: 'taken' } as const;
/** No status of a stop. */
const nothing = -1n;
const SIGTRAP = 5;
const trapStop = BigInt(encodeStop({ signal: SIGTRAP, event: 0 }));

/** How a thread that stands still goes on, without a signal. */
export interface GoOn {
  readonly tid: number;
  /** What slot 0 has is written first. */
  readonly registers: boolean;
  /** What these registers were before, so that it can run the instruction itself after all. */
  readonly before?: readonly (readonly [name: UserRegisterName, value: bigint])[];
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
  /** How a stop is waited for that TypeScript decides, and those that the list does. */
  readonly choice: LookOrSleep;
  readonly listChoice: LookOrSleep;
  readonly sites: readonly DecidedSite[];
  readonly ahead: ReadAhead | undefined;
}

export interface SeenStop {
  readonly tid: number;
  /** Of a stop that was asked for; the general registers are in slot 0 then. */
  readonly info: SignalInfo | undefined;
  readonly registers: boolean;
  /** What {@link StopWaitOptions.ahead} asked for; until the next wait. */
  readonly ahead: { readonly address: bigint; readonly bytes: Uint8Array } | undefined;
  /** CLOCK_MONOTONIC. */
  readonly stoppedNs: number;
}

export class StopWait implements Disposable {
  readonly #batch: CallBatch;
  readonly #slots: RegisterSlots;
  readonly #choice: LookOrSleep;
  readonly #listChoice: LookOrSleep;
  readonly #words: WaitWords;
  readonly #going: GoOnRecords;
  readonly #waiting: SeenRecords;
  readonly #maxSteps: number;
  /** Views of what the batch leaves. */
  readonly #released: Int32Array;
  readonly #stopped: Int32Array;
  readonly #info: Int32Array;
  #seen: SeenStop | undefined;
  /** The last stop came soon after a thread was let go. */
  #isSoon = false;
  /** The hits that the last list decided came one soon after the other. */
  #isBusy = false;

  constructor({ slots, limit, choice, listChoice, sites, ahead }: StopWaitOptions) {
    this.#slots = slots;
    this.#choice = choice;
    this.#listChoice = listChoice;
    const room = roomOf(sites);
    const records = waitRecords + room.records;
    const batch = new CallBatch(records, waitWords + room.words);
    this.#batch = batch;
    // Nothing in it leads back but looks and hits that are decided: it is never too short, which would leave a thread standing.
    this.#maxSteps = (records + lookRecords * maxLooks) * (maxDecided + 2);
    const words = reserveWaitWords(batch);
    this.#words = words;
    const { general } = slots.prepare(0);
    this.#going = addGoOn(batch, words, general);
    this.#waiting = addWait(batch, { words, general, limit, sites, ahead });
    batch.seal();
    this.#released = batch.ints(words.released, 2);
    this.#stopped = batch.ints(words.stopped, 2);
    this.#info = batch.ints(words.info, siginfoBytes / 8);
  }

  /**
   * Waits, for ever, for a stop or the end of any thread. `goOn` is let run before. Of stops that are `awaited` more is read, see {@link takeSeen}.
   * Gives `none` when the wait was interrupted or nobody is left, `stuck` when the thread cannot go on like that: it stands still as before, and nobody was waited for; `taken` when
   * hits were taken of threads that run again, and there is no other stop.
   */
  next(awaited: AwaitedStops, goOn: GoOn | undefined): WaitResult | typeof stuck | typeof taken {
    const batch = this.#batch;
    const { seen, other, over, captured, sites } = this.#waiting;
    const manner = goOn !== undefined && this.#isSoon ? this.#choice.next() : 'sleep';
    const listManner = awaited.decidesForNs > 0n && this.#isBusy ? this.#listChoice.next() : 'sleep';
    this.#prepare(awaited, { manner, listManner });
    const beganNs = process.hrtime.bigint();
    const ended = batch.run(this.#beginning(goOn), this.#maxSteps);
    if (ended === this.#going.stuck) return stuck;
    const decided = awaited.decidesForNs > 0n ? maxDecided - Number(batch.read(this.#words.left)) : 0;
    const hasDecided = decided > 0;
    if (hasDecided) this.#learnOfList(listManner, Number(process.hrtime.bigint() - beganNs) / decided);
    if (awaited.decidesForNs > 0n) sites.tell();
    this.#seen = undefined;
    if (ended === captured) sites.take();
    if (ended === captured || ended === over) return taken;
    if (ended !== seen && ended !== other) return none;
    if (goOn !== undefined && !hasDecided) this.#learn(manner);
    const tid = Number(batch.read(this.#words.tid));
    if (ended === seen) this.#seen = this.#take(tid);
    return decodeStatus(tid, Number(batch.read(this.#words.status)));
  }

  #prepare(
    awaited: AwaitedStops,
    { manner, listManner }: { readonly manner: Manner; readonly listManner: Manner },
  ): void {
    const batch = this.#batch;
    const {
      signal,
      trap,
      looked,
      looks,
      looksAgain,
      decides: mayDecide,
      left,
      isTimed,
      deadline,
    } = this.#words;
    const expected =
      awaited.signal === undefined ? nothing : BigInt(encodeStop({ signal: awaited.signal, event: 0 }));
    batch.write(signal, expected);
    batch.write(trap, awaited.traps ? trapStop : nothing);
    batch.write(looked, 0n);
    batch.write(looks, looksOf(manner));
    batch.write(looksAgain, looksOf(listManner));
    batch.write(isTimed, 0n);
    const decides = awaited.decidesForNs > 0n;
    batch.write(mayDecide, decides ? 1n : 0n);
    batch.write(left, BigInt(maxDecided));
    if (!decides) return;
    this.#waiting.sites.prepare();
    const untilNs = process.hrtime.bigint() + awaited.decidesForNs;
    batch.write(deadline, untilNs / nsPerSecond);
    batch.write(deadline + wordBytes, untilNs % nsPerSecond);
  }

  /** Gives where the batch begins. */
  #beginning(goOn: GoOn | undefined): number {
    if (goOn === undefined) return this.#waiting.wait;
    const batch = this.#batch;
    const { push, setRegisters, goOn: letGo, pushed, pushedTo } = this.#going;
    const tid = BigInt(goOn.tid);
    batch.setArgument(letGo, tidArgument, tid);
    if (!goOn.registers) return letGo;
    batch.setArgument(setRegisters, tidArgument, tid);
    if (goOn.pushed === undefined) return setRegisters;
    batch.setArgument(push, 0, tid);
    batch.write(pushed, goOn.pushed.value);
    batch.write(pushedTo, goOn.pushed.address);
    return push;
  }

  #learn(manner: Manner): void {
    const tookNs = nanoseconds(this.#stopped) - this.releasedNs;
    if (this.#isSoon) this.#choice.learn(manner, tookNs);
    this.#isSoon = tookNs < soonNs;
  }

  /** Of what each hit took, the thread's own time included: less where the other manner is better. */
  #learnOfList(manner: Manner, tookNs: number): void {
    if (this.#isBusy) this.#listChoice.learn(manner, tookNs);
    this.#isBusy = tookNs < soonNs;
  }

  #take(tid: number): SeenStop {
    const batch = this.#batch;
    const { info, registers, ahead, aheadFrom, aheadBytes } = this.#waiting;
    const isRead = batch.result(registers) === 0n;
    this.#slots.accept(0, { general: isRead, xstate: false });
    const read = isRead ? Number(batch.result(ahead)) : 0;
    return {
      tid,
      info: batch.result(info) === 0n ? this.#signal() : undefined,
      registers: isRead,
      ahead:
        read > 0
          ? { address: BigInt.asUintN(64, batch.result(aheadFrom)), bytes: aheadBytes.subarray(0, read) }
          : undefined,
      stoppedNs: nanoseconds(this.#stopped),
    };
  }

  /** To be called when threads have come or gone. */
  refresh(): void {
    this.#waiting.sites.refresh();
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
    this.#waiting.sites[Symbol.dispose]();
    this.#batch[Symbol.dispose]();
  }
}

const looksOf = (manner: Manner): bigint => (manner === 'look' ? BigInt(maxLooks) : 0n);

/** Of a `struct timespec`, whose parts fit into 31 bits. A number has them exactly. */
const nanoseconds = (time: Int32Array): number => (time[0] ?? 0) * Number(nsPerSecond) + (time[2] ?? 0);
