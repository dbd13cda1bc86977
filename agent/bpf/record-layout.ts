/**
 * Where things lie in the record that a compiled site sends through the ring buffer; used by the compiler and by whoever
 * reads the records. Everything but `data` has a fixed place; `data` is packed in the order of the ranges.
 */
import { decodeExpression } from '../../format/dwarf-op/decode.js';
import { flattenRanges, type Plan, type PlanRange, type PlanSite } from '../../format/plan/plan.js';
import { ptRegsBytes } from '../../format/registers/x86-64.js';
import { spillBytes } from './frame.js';
import { findSharedReads, type SharedRead } from './leading-read.js';

/** Offsets of the record's head. */
export const recordHead = {
  /** u64, `bpf_ktime_get_ns`: CLOCK_MONOTONIC. */
  time: 0,
  /** u64: process in the upper half, thread in the lower. */
  pidTgid: 8,
  /** 16 bytes, NUL-terminated. */
  comm: 16,
  /** u32: index of the site. */
  site: 32,
  /** u32: bytes of the stack window that were read; can exceed the window by what is to be ignored. */
  stackLength: 36,
  /** u64: address of the stack window. */
  stackAddress: 40,
  /** u32: bytes of `data` in use. */
  dataLength: 48,
  /** u64: nanoseconds since the function was entered, negative where that is not known; of plans with timing. */
  duration: 56,
  /** u64, of a watch: the values before the write and after it. The first lies where other plans have a duration. */
  before: 56,
  after: 64,
  /** `struct pt_regs`. */
  registers: 72,
} as const;

const statusesOffset = recordHead.registers + ptRegsBytes;

/** Offsets within the status of a range. */
export const rangeStatus = {
  /** u64: the range's address; valid unless the address itself could not be computed. */
  address: 0,
  /** u64: the address that could not be read, for `address-unreadable` and `length-unreadable`; else the length that was wanted. */
  detail: 8,
  /** u32: bytes collected, or for `unreadable` bytes wanted. */
  length: 16,
  /** u32: a {@link rangeCodes}. */
  code: 20,
  bytes: 24,
} as const;

/** What became of a range. Up to `clipped` it was collected. */
export const rangeCodes = {
  collected: 0,
  /** Collected, but not as much as wanted: `maxBytes` of the range, or of the plan, came first; or a string had no NUL within it. */
  clipped: 1,
  /** The length was zero or negative. */
  empty: 2,
  'parent-missing': 3,
  unreadable: 4,
  'address-unreadable': 5,
  'address-division': 6,
  'length-unreadable': 7,
  'length-division': 8,
  /** The plan's `maxBytes` was used up before. */
  'no-room': 9,
} as const;
export type RangeCode = keyof typeof rangeCodes;

/** Memory that the program itself wants at hand; readers of records have no use for it. */
export interface PlacedSharedRead extends SharedRead {
  /** u64: whether it could be read. */
  readonly knownOffset: number;
  /** The bytes, up to a multiple of eight. */
  readonly bytesOffset: number;
}

export interface RecordLayout {
  /** Ranges of the site, in preorder. */
  readonly rangeCount: number;
  readonly sharedReads: readonly PlacedSharedRead[];
  /** Where deep expressions spill to. */
  readonly spillOffset: number;
  readonly stackOffset: number;
  /** Bytes of the window, as asked for. */
  readonly stackBytes: number;
  readonly dataOffset: number;
  /** Bytes of data that one hit may bring. */
  readonly dataBytes: number;
  /** The size of the record, a multiple of eight. */
  readonly bytes: number;
}

export const pageBytes = 4096;

/** Offset of range `index`'s status. */
export function statusOffset(index: number): number {
  return statusesOffset + index * rangeStatus.bytes;
}

/** Offset of a u32: where in `data` range `index` of `rangeCount` begins, if it was collected. For its children only. */
export function placeOffset(rangeCount: number, index: number): number {
  return statusOffset(rangeCount) + index * 4;
}

function placeSharedReads(reads: readonly SharedRead[], offset: number): PlacedSharedRead[] {
  return reads.map((read) => {
    const knownOffset = offset;
    offset += 8 + wholeWords(read.bytes);
    return { ...read, knownOffset, bytesOffset: knownOffset + 8 };
  });
}

/** Rounds up to what eBPF moves in whole words. */
export function wholeWords(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function spillOf({ address, length, path }: PlanRange): number {
  const bytes = (expression: Uint8Array, what: string): number =>
    spillBytes(decodeExpression(expression, { addressSize: 8, name: `the ${what} of "${path}"` }));
  return Math.max(bytes(address, 'address'), bytes(length, 'length'));
}

export function layoutRecord(plan: Plan, site: PlanSite): RecordLayout {
  const ranges = flattenRanges(site.ranges);
  const stackBytes = Math.min(plan.stackBytes, plan.maxBytes);
  const sharedOffset = wholeWords(placeOffset(ranges.length, ranges.length));
  const sharedReads = placeSharedReads(findSharedReads(ranges.map(({ range }) => range)), sharedOffset);
  const sharedBytes = sharedReads.reduce((sum, { bytes }) => sum + 8 + wholeWords(bytes), 0);
  const spillOffset = sharedOffset + sharedBytes;
  const stackOffset = spillOffset + ranges.reduce((most, { range }) => Math.max(most, spillOf(range)), 0);
  // A last piece that reaches past the window by less than a page is simpler for the verifier than one cut to size.
  const dataOffset = stackOffset + (stackBytes === 0 ? 0 : stackBytes + pageBytes);
  // Not more than the ranges can bring: a small record stays in the cache.
  const sum = ranges.reduce((all, { range }) => all + range.maxBytes, 0);
  const dataBytes = Math.min(plan.maxBytes - stackBytes, sum);
  const largest = ranges.reduce((most, { range }) => Math.max(most, range.maxBytes), 0);
  // The verifier knows "used < dataBytes" and "length <= largest", not their sum: so leave room for both, and for the NUL of a string, and for what
  // is copied by words.
  const slack = ranges.length === 0 ? 0 : wholeWords(Math.min(largest, dataBytes) + 1);
  const bytes = dataOffset + (ranges.length === 0 ? 0 : dataBytes + slack);
  return {
    rangeCount: ranges.length,
    sharedReads,
    spillOffset,
    stackOffset,
    stackBytes,
    dataOffset,
    dataBytes,
    bytes: wholeWords(bytes),
  };
}
