/**
 * To let a thread go on from a hit, to wait for the next stop of any, and to read what a hit is known by: one batch of calls. A hit whose
 * condition is false costs one of these.
 */
import { CallBatch, Label } from '../../linux/call-batch.js';
import {
  NT_PRSTATUS,
  type SignalInfo,
  WNOHANG,
  type WaitResult,
  decodeStatus,
  encodeStop,
  siginfoBytes,
  siginfoOffsets,
} from '../../linux/ptrace.js';
import {
  clockCall,
  goOnCall,
  readCall,
  registersCall,
  setRegistersCall,
  signalInfoCall,
  waitCall,
  writeCall,
} from '../../linux/stop-calls.js';
import type { ReadAhead } from './ahead.js';
import { LookOrSleep } from './look-or-sleep.js';
import type { RegisterSlots } from './registers.js';

const nsPerSecond = 1e9;
const wordBytes = 8n;
const records = 30;
const dataWords = 40;
const anyThread = -1n;
/** The thread, in the arguments of ptrace. */
const tidArgument = 1;
/** How often it is looked for a stop before the thread sleeps, for less than a quarter of a millisecond. */
const spins = 300;
/** Only where the last hit came as soon is the next one waited for by looking. */
const soonNs = 250_000;
/** Records of one wait. */
const maxSteps = records + 4 * spins;
const none: WaitResult = { kind: 'none' };
const stuck = { kind: 'stuck' } as const;
/** In halves of words. */
const controlAt = { signal: 0, trap: 2, spun: 4, limit: 6 } as const;
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
  readonly #aheadLengths: readonly bigint[];
  readonly #aheadBytes: Uint8Array;
  #seen: SeenStop | undefined;
  readonly #choice = new LookOrSleep();
  /** The last stop came soon after a thread was let go. */
  #isSoon = false;

  /** Reads registers into slot 0. */
  constructor(slots: RegisterSlots) {
    this.#slots = slots;
    const batch = new CallBatch(records, dataWords);
    this.#batch = batch;
    const [tid, status, control] = [batch.reserve(1), batch.reserve(1), batch.reserve(4)];
    const [signal, trap, spun, limit] = [0n, 1n, 2n, 3n].map((i) => control + i * wordBytes) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    const [released, stopped] = [batch.reserve(2), batch.reserve(2)];
    const info = batch.reserve(siginfoBytes / 8);
    this.#tid = batch.ints(tid, 1);
    this.#status = batch.ints(status, 1);
    this.#control = batch.ints(control, 4);
    this.#released = batch.ints(released, 2);
    this.#stopped = batch.ints(stopped, 2);
    this.#info = batch.ints(info, siginfoBytes / 8);
    const [go, look, sleep, found, seen, other, ended, unread] = Array.from(
      { length: 8 },
      () => new Label(),
    ) as [Label, Label, Label, Label, Label, Label, Label, Label];
    const { iovecAddress, address: registers } = slots.prepare(0).general;
    this.#pushed = batch.reserve(1);
    const [from, to] = [batch.reserve(2, this.#pushed, wordBytes), batch.reserve(2, 0n, wordBytes)];
    this.#pushedTo = to;
    const jam = new Label();
    this.#push = batch.call(writeCall(0n, from, to));
    batch.compare(
      { at: batch.resultAddress(this.#push), value: wordBytes },
      { negative: jam, positive: jam },
    );
    this.#setRegisters = batch.call(setRegistersCall(0n, NT_PRSTATUS, iovecAddress), { zero: go });
    batch.place(jam);
    this.#endStuck = batch.end();
    batch.place(go);
    this.#goOn = batch.call(goOnCall('continue', 0n));
    batch.call(clockCall(released));
    this.#wait = batch.compare({ at: limit, value: 0n }, { zero: sleep });
    batch.place(look);
    const looked = batch.call(waitCall(anyThread, status, WNOHANG), { negative: ended });
    batch.copy({ to: tid, from: batch.resultAddress(looked) }, { positive: found });
    batch.copy({ to: spun, from: spun, add: 1n });
    batch.compare({ at: spun, with: limit }, { negative: look });
    batch.place(sleep);
    const slept = batch.call(waitCall(anyThread, status), { negative: ended });
    batch.copy({ to: tid, from: batch.resultAddress(slept) });
    batch.place(found);
    batch.call(clockCall(stopped));
    batch.compare({ at: status, with: signal }, { zero: seen });
    batch.compare({ at: status, with: trap }, { negative: other, positive: other });
    batch.place(seen);
    const toInfo = batch.copy({ to: 0n, from: tid });
    const toRegisters = batch.copy({ to: 0n, from: tid });
    this.#infoRecord = batch.call(signalInfoCall(0n, info));
    const general = registersCall(0n, NT_PRSTATUS, iovecAddress);
    const bytes = batch.reserve(1);
    const [local, remote] = [batch.reserve(2, bytes, 0n), batch.reserve(2)];
    this.#registersRecord = batch.call(general, { negative: unread });
    this.#aheadFrom = batch.copy({ to: remote, from: registers });
    const toRead = batch.copy({ to: 0n, from: tid });
    this.#aheadRecord = batch.call(readCall(0n, local, remote));
    batch.place(unread);
    this.#endSeen = batch.end();
    batch.place(other);
    this.#endOther = batch.end();
    batch.place(ended);
    batch.end();
    batch.seal();
    batch.setArgument(toInfo, 0, batch.argumentAddress(this.#infoRecord, tidArgument));
    batch.setArgument(toRegisters, 0, batch.argumentAddress(this.#registersRecord, tidArgument));
    batch.setArgument(toRead, 0, batch.argumentAddress(this.#aheadRecord, 0));
    this.#aheadLengths = [local + wordBytes, remote + wordBytes];
    this.#registers = registers;
    const words = batch.ints(bytes, 1);
    this.#aheadBytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
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
    const ended = batch.run(goOn === undefined ? this.#wait : this.#prepareToGoOn(goOn), maxSteps);
    if (ended === this.#endStuck) return stuck;
    this.#seen = undefined;
    if (ended !== this.#endSeen && ended !== this.#endOther) return none;
    const tid = this.#tid[0] ?? 0;
    const stoppedNs = nanoseconds(this.#stopped);
    if (goOn !== undefined) {
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

  /** What is read with stops that are awaited. */
  setAhead(ahead: ReadAhead | undefined): void {
    const batch = this.#batch;
    for (const cell of this.#aheadLengths) batch.write(cell, BigInt(ahead?.length ?? 0));
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
