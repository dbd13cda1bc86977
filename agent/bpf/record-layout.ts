/**
 * Where things lie in the record that a compiled site sends through the ring buffer; used by the compiler and by whoever
 * reads the records. Everything but `data` has a fixed place; `data` is packed in the order in which it was collected.
 *
 * The status of a range within a repeat is that of the item at hand, for the program's own use. What became of each item is an entry behind the data,
 * in the order in which they were looked at.
 */
import { decodeExpression } from '../../format/dwarf-op/decode.js';
import { flattenRanges, type Plan, type PlanRange, type PlanSite } from '../../format/plan/plan.js';
import { maxRepeated } from '../../format/plan/repeat.js';
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
  /** u32: entries of repeats. */
  entryCount: 52,
  /** u64: nanoseconds since the function was entered, negative where that is not known; of plans with timing. */
  duration: 56,
  /** u64, of a watch: the values before the write and after it. The first lies where other plans have a duration. */
  before: 56,
  after: 64,
  /** `struct pt_regs`. */
  registers: 72,
} as const;

/** u32: one more than the index of the range that was the first of repeats for which there was no entry left; 0 where there was none. */
export const fullOffset: number = recordHead.registers + ptRegsBytes;
const statusesOffset = fullOffset + 8;

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
  /** Of a repeat: there are more items than it brings. */
  more: 10,
  'count-unreadable': 11,
  'count-division': 12,
  'next-unreadable': 13,
  'next-division': 14,
  /** In no status: there was no room for more of repeats, see {@link fullOffset}. */
  full: 15,
} as const;
export type RangeCode = keyof typeof rangeCodes;

/** Whether something went wrong, and was not just cut. */
export function isFault(code: RangeCode): boolean {
  return rangeCodes[code] >= rangeCodes.unreadable && !['no-room', 'more', 'full'].includes(code);
}

/** Offsets within an entry of a repeat: a range's status, and which range it is. */
export const repeatEntry = { index: 24, bytes: 32 } as const;

/** Offsets within what a repeat remembers from item to item, all u64. */
export const repeatState = { next: 0, first: 8, length: 16, count: 24, done: 32, bytes: 40 } as const;

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
  /** By index of the range: where a {@link repeatState} is. */
  readonly repeats: ReadonlyMap<number, number>;
  /** Of repeats that lie in no other: the index behind all that lies below. */
  readonly repeated: ReadonlyMap<number, number>;
  readonly entriesOffset: number;
  /** Entries that there is room for. */
  readonly maxEntries: number;
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

function spillOf({ address, length, path, repeat }: PlanRange): number {
  const bytes = (expression: Uint8Array | undefined, what: string): number =>
    expression === undefined
      ? 0
      : spillBytes(decodeExpression(expression, { addressSize: 8, name: `the ${what} of "${path}"` }));
  return Math.max(
    bytes(address, 'address'),
    bytes(length, 'length'),
    bytes(repeat?.count, 'count'),
    bytes(repeat?.next, 'next'),
  );
}

/** By index, the index behind what lies below. */
function outermostRepeats(ranges: readonly PlanRange[]): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  let index = 0;
  const walk = (list: readonly PlanRange[], isOutermost: boolean): void => {
    for (const { repeat, children } of list) {
      const own = index++;
      walk(children, isOutermost && repeat === undefined);
      if (isOutermost && repeat !== undefined) found.set(own, index);
    }
  };
  walk(ranges, true);
  return found;
}

/** What the repeats among ranges can bring: entries, and bytes of all. */
interface Most {
  readonly entries: number;
  readonly bytes: number;
}

/** Bounded, for repeats in repeats multiply. */
function mostOf(ranges: readonly PlanRange[], isNested: boolean): Most {
  let [entries, bytes] = [0, 0];
  for (const { repeat, maxBytes, children } of ranges) {
    const below = mostOf(children, isNested || repeat !== undefined);
    const items = repeat?.maxItems ?? 1;
    bytes += items * (maxBytes + below.bytes);
    // A repeat can end with one more, for what there is no item for.
    if (repeat !== undefined) entries += items * (1 + below.entries) + 1;
    else entries += below.entries + (isNested ? 1 : 0);
  }
  return { entries: Math.min(entries, maxRepeated), bytes: Math.min(bytes, Number.MAX_SAFE_INTEGER / 2) };
}

export function layoutRecord(plan: Plan, site: PlanSite): RecordLayout {
  const ranges = flattenRanges(site.ranges);
  const stackBytes = Math.min(plan.stackBytes, plan.maxBytes);
  const repeats = new Map<number, number>();
  let repeatOffset = wholeWords(placeOffset(ranges.length, ranges.length));
  for (const [index, { range }] of ranges.entries()) {
    if (range.repeat === undefined) continue;
    repeats.set(index, repeatOffset);
    repeatOffset += repeatState.bytes;
  }
  const sharedOffset = repeatOffset;
  const sharedReads = placeSharedReads(findSharedReads(ranges.map(({ range }) => range)), sharedOffset);
  const sharedBytes = sharedReads.reduce((sum, { bytes }) => sum + 8 + wholeWords(bytes), 0);
  const spillOffset = sharedOffset + sharedBytes;
  const stackOffset = spillOffset + ranges.reduce((most, { range }) => Math.max(most, spillOf(range)), 0);
  // A last piece that reaches past the window by less than a page is simpler for the verifier than one cut to size.
  const dataOffset = stackOffset + (stackBytes === 0 ? 0 : stackBytes + pageBytes);
  const most = mostOf(site.ranges, false);
  // Not more than the ranges can bring: a small record stays in the cache.
  const dataBytes = Math.min(plan.maxBytes - stackBytes, most.bytes);
  const largest = ranges.reduce((bytes, { range }) => Math.max(bytes, range.maxBytes), 0);
  // The verifier knows "used < dataBytes" and "length <= largest", not their sum: so leave room for both, and for the NUL of a string, and for what
  // is copied by words.
  const slack = ranges.length === 0 ? 0 : wholeWords(Math.min(largest, dataBytes) + 1);
  const entriesOffset = wholeWords(dataOffset + (ranges.length === 0 ? 0 : dataBytes + slack));
  return {
    rangeCount: ranges.length,
    repeats,
    repeated: outermostRepeats(site.ranges),
    entriesOffset,
    maxEntries: most.entries,
    sharedReads,
    spillOffset,
    stackOffset,
    stackBytes,
    dataOffset,
    dataBytes,
    bytes: entriesOffset + most.entries * repeatEntry.bytes,
  };
}
