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
  decodeSignalInfo,
  decodeStatus,
  encodeStop,
  siginfoBytes,
} from '../../linux/ptrace.js';
import { clockCall, goOnCall, registersCall, signalInfoCall, waitCall } from '../../linux/stop-calls.js';
import type { RegisterSlots } from './registers.js';

const nsPerSecond = 1_000_000_000n;
const wordBytes = 8n;
const records = 24;
const dataWords = 32;
const anyThread = -1n;
/** The thread, in the arguments of ptrace. */
const tidArgument = 1;
/**
 * How often it is looked for a stop before the thread sleeps: about as long as a hit takes to come after the last one where every one that passes hits. To be
 * woken takes longer than that.
 */
const spins = 60n;
/** A hit that comes later than this after the one before was not waited for by looking. */
const spinWithinNs = 200_000n;
const maxSteps = 1000;

export interface SeenStop {
  readonly tid: number;
  /** Of a stop by the signal that was asked for; the general registers are in slot 0 then. */
  readonly info: SignalInfo | undefined;
  readonly registers: boolean;
  /** CLOCK_MONOTONIC. */
  readonly stoppedNs: bigint;
}

export class StopWait implements Disposable {
  readonly #batch: CallBatch;
  readonly #slots: RegisterSlots;
  readonly #cells: {
    readonly tid: bigint;
    readonly status: bigint;
    readonly expected: bigint;
    readonly spun: bigint;
    readonly spins: bigint;
    readonly released: bigint;
    readonly stopped: bigint;
    readonly info: bigint;
  };
  readonly #goOn: number;
  readonly #wait: number;
  readonly #infoRecord: number;
  readonly #registersRecord: number;
  readonly #endSeen: number;
  readonly #endNone: number;
  readonly #infoBytes = Buffer.alloc(siginfoBytes);
  #seen: SeenStop | undefined;
  /** The last stop came soon after a thread was let go. */
  #isSoon = false;

  /** Reads registers into slot 0. */
  constructor(slots: RegisterSlots) {
    this.#slots = slots;
    const batch = new CallBatch(records, dataWords);
    this.#batch = batch;
    const cells = {
      tid: batch.reserve(1),
      status: batch.reserve(1),
      expected: batch.reserve(1),
      spun: batch.reserve(1),
      spins: batch.reserve(1),
      released: batch.reserve(2),
      stopped: batch.reserve(2),
      info: batch.reserve(siginfoBytes / 8),
    };
    this.#cells = cells;
    const [look, sleep, found, other, ended] = Array.from({ length: 5 }, () => new Label()) as [
      Label,
      Label,
      Label,
      Label,
      Label,
    ];
    this.#goOn = batch.call(goOnCall('continue', 0n));
    batch.call(clockCall(cells.released));
    this.#wait = batch.compare({ at: cells.spins, value: 0n }, { zero: sleep });
    batch.place(look);
    const looked = batch.call(waitCall(anyThread, cells.status, WNOHANG), { negative: ended });
    batch.copy({ to: cells.tid, from: batch.resultAddress(looked) }, { positive: found });
    batch.copy({ to: cells.spun, from: cells.spun, add: 1n });
    batch.compare({ at: cells.spun, with: cells.spins }, { negative: look });
    batch.place(sleep);
    const slept = batch.call(waitCall(anyThread, cells.status), { negative: ended });
    batch.copy({ to: cells.tid, from: batch.resultAddress(slept) });
    batch.place(found);
    batch.call(clockCall(cells.stopped));
    batch.compare({ at: cells.status, with: cells.expected }, { negative: other, positive: other });
    const toInfo = batch.copy({ to: 0n, from: cells.tid });
    const toRegisters = batch.copy({ to: 0n, from: cells.tid });
    this.#infoRecord = batch.call(signalInfoCall(0n, cells.info));
    const general = registersCall(0n, NT_PRSTATUS, slots.prepare(0).general.iovecAddress);
    this.#registersRecord = batch.call(general);
    this.#endSeen = batch.end();
    batch.place(other);
    batch.end();
    batch.place(ended);
    this.#endNone = batch.end();
    batch.seal();
    batch.setArgument(toInfo, 0, batch.argumentAddress(this.#infoRecord, tidArgument));
    batch.setArgument(toRegisters, 0, batch.argumentAddress(this.#registersRecord, tidArgument));
  }

  /**
   * Waits, for ever, for a stop or the end of any thread. `goOn` is let run before, without a signal. Of stops by `signal` more is read, see {@link takeSeen}.
   * Gives `none` when the wait was interrupted or nobody is left.
   */
  next(signal: number | undefined, goOn: number | undefined): WaitResult {
    const batch = this.#batch;
    const cells = this.#cells;
    const expected = signal === undefined ? 0 : encodeStop({ signal, event: 0 });
    batch.write(cells.expected, BigInt(expected));
    batch.write(cells.status, 0n);
    batch.write(cells.spun, 0n);
    batch.write(cells.spins, goOn !== undefined && this.#isSoon ? spins : 0n);
    if (goOn !== undefined) batch.setArgument(this.#goOn, tidArgument, BigInt(goOn));
    const ended = batch.run(goOn === undefined ? this.#wait : this.#goOn, maxSteps);
    this.#seen = undefined;
    if (ended === this.#endNone) return { kind: 'none' };
    const tid = Number(batch.read(cells.tid));
    const stoppedNs = this.#time(cells.stopped);
    this.#isSoon = goOn !== undefined && stoppedNs - this.releasedNs < spinWithinNs;
    if (ended === this.#endSeen) {
      const registers = batch.result(this.#registersRecord) === 0n;
      const info = batch.result(this.#infoRecord) === 0n ? this.#info() : undefined;
      this.#slots.accept(0, { general: registers, xstate: false });
      this.#seen = { tid, info, registers, stoppedNs };
    }
    return decodeStatus(tid, Number(batch.read(cells.status)));
  }

  /** What was read of the thread that the last wait gave, once. */
  takeSeen(tid: number): SeenStop | undefined {
    const seen = this.#seen;
    this.#seen = undefined;
    return seen?.tid === tid ? seen : undefined;
  }

  /** When the thread that was let go last ran again. */
  get releasedNs(): bigint {
    return this.#time(this.#cells.released);
  }

  #info(): SignalInfo {
    for (let at = 0; at < siginfoBytes; at += 8) {
      this.#infoBytes.writeBigInt64LE(this.#batch.read(this.#cells.info + BigInt(at)), at);
    }
    return decodeSignalInfo(this.#infoBytes);
  }

  #time(time: bigint): bigint {
    return this.#batch.read(time) * nsPerSecond + this.#batch.read(time + wordBytes);
  }

  [Symbol.dispose](): void {
    this.#batch[Symbol.dispose]();
  }
}
