/**
 * What a hit brings, as records of a batch of calls: all its registers, the stack window and the ranges, read into room that was there before the thread stopped. The capture is made
 * of that afterwards (taken-hit.ts). Where anything cannot be read in full, the list leaves the thread standing, and the interpreter of plans takes the hit.
 */
import { userRegisterOffset } from '../../../format/registers/x86-64.js';
import { type CallBatch, Label } from '../../linux/call-batch.js';
import { Arena } from '../../linux/mmap.js';
import { NT_PRSTATUS, NT_X86_XSTATE, type RegisterBuffer } from '../../linux/ptrace.js';
import { addCallOf, readCall, registersCall } from '../../linux/stop-calls.js';
import { redZoneBytes } from '../stack-window.js';
import type { CaptureSteps, RangeSteps } from './capture-steps.js';
import {
  type ExpressionPlace,
  type KeptReads,
  addExpression,
  recordsOfStep,
  wordsOfStep,
} from './condition-records.js';
import { RegisterSlots } from './registers.js';

const recordsOfRange = 10;
const wordsOfRange = 6;
const recordsOfAll = 10;
const wordsOfAll = 4;

/** Room that a capture takes in a batch. */
export function roomOfCapture({ count }: CaptureSteps): { records: number; words: number } {
  return {
    records: recordsOfAll + count.ranges * recordsOfRange + count.steps * recordsOfStep,
    words: wordsOfAll + count.ranges * wordsOfRange + count.steps * wordsOfStep + count.slots,
  };
}

/** Where a hit is read to: of one at a time. */
export class CaptureRoom implements Disposable {
  readonly #slots = new RegisterSlots(1);
  readonly general: RegisterBuffer;
  readonly xstate: RegisterBuffer;
  readonly #arena: Arena;

  /** Room for the largest of them. */
  constructor(captures: readonly CaptureSteps[]) {
    const { general, xstate } = this.#slots.prepare(0);
    this.general = general;
    this.xstate = xstate;
    const bytes = captures.map(({ stackBytes, rangeBytes }) => stackBytes + rangeBytes);
    this.#arena = new Arena(Math.max(1, ...bytes), { populate: true });
  }

  get address(): bigint {
    return this.#arena.address;
  }

  part(from: number, length: number): Uint8Array {
    return this.#arena.bytes.subarray(from, from + length);
  }

  /** Copies of what was read, with the address where the thread really is. */
  registers(address: bigint): ReturnType<RegisterSlots['copy']> {
    this.#slots.accept(0, { general: true, xstate: true });
    const copy = this.#slots.copy(0);
    if (copy.registers !== undefined) {
      new DataView(copy.registers.buffer).setBigUint64(userRegisterOffset('rip'), address, true);
    }
    return copy;
  }

  [Symbol.dispose](): void {
    this.#arena[Symbol.dispose]();
    this.#slots[Symbol.dispose]();
  }
}

export interface CapturePlace extends Omit<ExpressionPlace, 'slots' | 'object' | 'reads'> {
  readonly room: CaptureRoom;
  readonly reads: KeptReads;
}

/** What was read of the stack: words with a `struct iovec`, from where and how much was asked for, and the record that read. */
export interface CaptureRecords {
  readonly stack: { readonly remote: bigint; readonly read: number; readonly bytes: Uint8Array } | undefined;
}

/** Adds records that lead to `unknown` where anything cannot be read, and to the next one else. */
export function addCapture(batch: CallBatch, capture: CaptureSteps, place: CapturePlace): CaptureRecords {
  const { room, tid, unknown } = place;
  for (const [set, { iovecAddress }] of [
    [NT_PRSTATUS, room.general],
    [NT_X86_XSTATE, room.xstate],
  ] as const) {
    addCallOf(batch, tid, registersCall(0n, set, iovecAddress), { flow: { negative: unknown } });
  }
  const stack = capture.stackBytes === 0 ? undefined : addStack(batch, capture.stackBytes, place);
  addRanges(batch, capture, place);
  return { stack };
}

/** The part of it that follows expressions. */
export function addRanges(batch: CallBatch, capture: CaptureSteps, place: CapturePlace): void {
  new Ranges(batch, place, capture.stackBytes).add(capture.ranges, undefined);
}

/** As far as it goes; a stack of which nothing is there is left to others. */
function addStack(
  batch: CallBatch,
  stackBytes: number,
  { room, tid, registers, unknown }: CapturePlace,
): NonNullable<CaptureRecords['stack']> {
  const length = BigInt(stackBytes);
  const [local, remote] = [batch.reserve(2, room.address, length), batch.reserve(2, 0n, length)];
  const sp = registers + BigInt(userRegisterOffset('rsp'));
  batch.copy({ to: remote, from: sp, add: -redZoneBytes });
  const flow = { negative: unknown, zero: unknown };
  const read = addCallOf(batch, tid, readCall(0n, local, remote), { argument: 0, flow });
  return { remote, read, bytes: room.part(0, stackBytes) };
}

class Ranges {
  readonly #batch: CallBatch;
  readonly #place: CapturePlace;
  #used: number;

  constructor(batch: CallBatch, place: CapturePlace, from: number) {
    this.#batch = batch;
    this.#place = place;
    this.#used = from;
  }

  /** In the order in which `runPlanSite` reads. `object` is a word with the address of the range that these belong to. */
  add(ranges: readonly RangeSteps[], object: bigint | undefined): void {
    for (const range of ranges) this.#addOne(range, object);
  }

  #addOne({ address, length, maxBytes, untilNul, children }: RangeSteps, object: bigint | undefined): void {
    const batch = this.#batch;
    const { tid, unknown, room, reads } = this.#place;
    const place = { ...this.#place, ...(object === undefined ? {} : { object }) };
    const most = BigInt(maxBytes);
    const local = batch.reserve(2, room.address + BigInt(this.#used));
    const remote = batch.reserve(2);
    const bytes = room.part(this.#used, maxBytes);
    this.#used += maxBytes;
    const from = addExpression(batch, address, { ...place, slots: batch.reserve(address.slots) });
    batch.copy({ to: remote, from });
    const wanted = addExpression(batch, length, { ...place, slots: batch.reserve(length.slots) });
    const [next, clipped] = [new Label(), new Label()];
    const remoteLength = remote + 8n;
    batch.copy({ to: remoteLength, from: wanted }, { negative: next, zero: next });
    batch.compare({ at: remoteLength, value: most }, { negative: clipped, zero: clipped });
    batch.copy({ to: remoteLength, from: batch.reserve(1, most) });
    batch.place(clipped);
    batch.copy({ to: local + 8n, from: remoteLength });
    const read = addCallOf(batch, tid, readCall(0n, local, remote), { argument: 0 });
    const otherwise = { negative: unknown, positive: unknown };
    batch.compare({ at: batch.resultAddress(read), with: remoteLength }, otherwise);
    const made = batch.reserve(1);
    batch.copy({ to: made, from: reads.stop });
    reads.list.push({ made, remote, at: { bytes }, isString: untilNul });
    this.add(children, remote);
    batch.place(next);
  }
}
