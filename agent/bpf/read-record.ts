/** A record of a compiled site, read back; the other half of {@link ./record-layout.ts}. Pure. */
import { badData } from '../../format/error.js';
import { ptRegsBytes } from '../../format/registers/x86-64.js';
import {
  fullOffset,
  rangeCodes,
  type RangeCode,
  rangeStatus,
  recordHead,
  type RecordLayout,
  repeatEntry,
  statusOffset,
} from './record-layout.js';

export interface HitRecord {
  /** CLOCK_MONOTONIC. */
  readonly timeNs: bigint;
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  readonly site: number;
  /** Of a plan with timing: since the function was entered, undefined where that is not known. */
  readonly durationNs: bigint | undefined;
  /** Of a watch. */
  readonly before: bigint;
  readonly after: bigint;
  /** `struct pt_regs`, as it was at the probe. */
  readonly registers: Uint8Array;
  readonly stackAddress: bigint;
  /** What could be read of the stack window. */
  readonly stack: Uint8Array;
  /** In the order in which they were looked at: in preorder, as the plan has them, but for those that repeat, which are there once for each item. */
  readonly ranges: readonly RangeRecord[];
}

export interface RangeRecord {
  /** In preorder. */
  readonly index: number;
  readonly code: RangeCode;
  readonly address: bigint;
  /** For `address-unreadable` and `length-unreadable` the address that could not be read; else the length that was wanted. */
  readonly detail: bigint;
  /** Collected, or (`unreadable`) wanted. */
  readonly length: number;
  /** The bytes, where the range was collected. */
  readonly bytes: Uint8Array | undefined;
}

const codeNames: ReadonlyMap<number, RangeCode> = new Map(
  (Object.keys(rangeCodes) as RangeCode[]).map((name) => [rangeCodes[name], name]),
);

/** Index of the site that a record is from; its layout follows from that. */
export function siteOfRecord(bytes: Uint8Array): number {
  if (bytes.length < recordHead.registers) throw badData(`a record has only ${bytes.length} bytes`);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(recordHead.site, true);
}

/** The parts are views into `bytes`. */
export function readRecord(bytes: Uint8Array, layout: RecordLayout): HitRecord {
  if (bytes.length < layout.bytes)
    throw badData(`a record has ${bytes.length} bytes, not the ${layout.bytes} of its site`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pidTgid = view.getBigUint64(recordHead.pidTgid, true);
  const comm = bytes.subarray(recordHead.comm, recordHead.comm + 16);
  const nul = comm.indexOf(0);
  const stackLength = Math.min(view.getUint32(recordHead.stackLength, true), layout.stackBytes);
  const ranges = new RangeReader(bytes, layout).read();
  const durationNs = view.getBigInt64(recordHead.duration, true);
  return {
    durationNs: durationNs < 0n ? undefined : durationNs,
    timeNs: view.getBigUint64(recordHead.time, true),
    pid: Number(pidTgid >> 32n),
    tid: Number(pidTgid & 0xffff_ffffn),
    comm: Buffer.from(comm.subarray(0, nul < 0 ? 16 : nul)).toString('utf8'),
    site: view.getUint32(recordHead.site, true),
    before: view.getBigUint64(recordHead.before, true),
    after: view.getBigUint64(recordHead.after, true),
    registers: bytes.subarray(recordHead.registers, recordHead.registers + ptRegsBytes),
    stackAddress: view.getBigUint64(recordHead.stackAddress, true),
    stack: bytes.subarray(layout.stackOffset, layout.stackOffset + stackLength),
    ranges,
  };
}

/** Goes through the states of ranges and the entries of repeats as the program did, so that each finds its bytes. */
class RangeReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #layout: RecordLayout;
  readonly #entries: number;
  readonly #ranges: RangeRecord[] = [];
  /** Where the next bytes are. */
  #at: number;
  #entry = 0;

  constructor(bytes: Uint8Array, layout: RecordLayout) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#layout = layout;
    this.#at = layout.dataOffset;
    this.#entries = Math.min(this.#view.getUint32(recordHead.entryCount, true), layout.maxEntries);
  }

  read(): readonly RangeRecord[] {
    const { rangeCount, repeated } = this.#layout;
    for (let index = 0; index < rangeCount;) {
      const end = repeated.get(index);
      if (end === undefined) {
        this.#take(index, statusOffset(index));
        index++;
      } else {
        this.#repeat(index, end);
        index = end;
      }
    }
    return this.#ranges;
  }

  /** What came of the ranges from a repeat up to the end of what lies below it. */
  #repeat(index: number, end: number): void {
    const status = statusOffset(index);
    if (this.#view.getUint32(status + rangeStatus.code, true) === rangeCodes['parent-missing'])
      this.#take(index, status);
    for (; this.#entry < this.#entries; this.#entry++) {
      const entry = this.#layout.entriesOffset + this.#entry * repeatEntry.bytes;
      const which = this.#view.getUint32(entry + repeatEntry.index, true);
      if (which < index || which >= end) break;
      this.#take(which, entry);
    }
    const full = this.#view.getUint32(fullOffset, true) - 1;
    if (full < index || full >= end) return;
    this.#ranges.push({ index: full, code: 'full', address: 0n, detail: 0n, length: 0, bytes: undefined });
  }

  #take(index: number, status: number): void {
    const code = codeNames.get(this.#view.getUint32(status + rangeStatus.code, true));
    if (code === undefined) throw badData(`a record has an unknown state of range ${index}`);
    const length = this.#view.getUint32(status + rangeStatus.length, true);
    const isCollected = rangeCodes[code] <= rangeCodes.clipped;
    const at = this.#at;
    if (isCollected && at + length > this.#bytes.length)
      throw badData(`a record is too short for ${length} bytes of range ${index}`);
    this.#ranges.push({
      index,
      code,
      address: this.#view.getBigUint64(status + rangeStatus.address, true),
      detail: this.#view.getBigUint64(status + rangeStatus.detail, true),
      length,
      bytes: isCollected ? this.#bytes.subarray(at, at + length) : undefined,
    });
    if (isCollected) this.#at += length;
  }
}
