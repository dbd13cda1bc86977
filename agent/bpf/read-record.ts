/** A record of a compiled site, read back; the other half of {@link ./record-layout.ts}. Pure. */
import { badData } from '../../format/error.js';
import { ptRegsBytes } from '../../format/registers/x86-64.js';
import {
  rangeCodes,
  type RangeCode,
  rangeStatus,
  recordHead,
  type RecordLayout,
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
  /** In preorder, as the plan has them. */
  readonly ranges: readonly RangeRecord[];
}

export interface RangeRecord {
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
  const ranges: RangeRecord[] = [];
  let at = layout.dataOffset;
  for (let index = 0; index < layout.rangeCount; index++) {
    const status = statusOffset(index);
    const code = codeNames.get(view.getUint32(status + rangeStatus.code, true));
    if (code === undefined) throw badData(`a record has an unknown state of range ${index}`);
    const length = view.getUint32(status + rangeStatus.length, true);
    const collected = rangeCodes[code] <= rangeCodes.clipped;
    if (collected && at + length > bytes.length)
      throw badData(`a record is too short for ${length} bytes of range ${index}`);
    ranges.push({
      code,
      address: view.getBigUint64(status + rangeStatus.address, true),
      detail: view.getBigUint64(status + rangeStatus.detail, true),
      length,
      bytes: collected ? bytes.subarray(at, at + length) : undefined,
    });
    if (collected) at += length;
  }
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
