/** `.debug_ranges` (DWARF4 2.17.3) and `.debug_rnglists` (DWARF5 2.17.3, 7.25). */
import type { ByteCursor } from '../../format/bytes.js';
import { DW_AT, DW_RLE } from './constants.js';
import type { Die } from './die.js';
import { type PcRange, readAddress, readOffset, toPc } from './sections.js';
import type { Unit } from './unit.js';

/** The ranges of a DIE in the order written: DW_AT_ranges, or DW_AT_low_pc with DW_AT_high_pc. Empty ones are left out. */
export function rangesOf(die: Die): PcRange[] {
  const { unit } = die;
  const value = die.value(DW_AT.ranges);
  if (value !== undefined) {
    if (value.kind === 'range-list-index') return parseRangeList(unit, indexedListOffset(unit, value.index));
    const offset = die.sectionOffset(DW_AT.ranges);
    if (offset !== undefined) return parseRangeList(unit, offset);
  }
  const low = die.address(DW_AT.low_pc);
  const high = die.value(DW_AT.high_pc);
  if (low === undefined || high === undefined) return [];
  const end = high.kind === 'constant' ? low + high.value : unit.resolveAddress(high);
  const range = { start: toPc(low), end: end === undefined ? 0 : toPc(end) };
  return range.start < range.end ? [range] : [];
}

function indexedListOffset(unit: Unit, index: number): number {
  const base = unit.base(DW_AT.rnglists_base, 'DW_AT_rnglists_base');
  return (
    base + readOffset(unit.sections.at('debug_rnglists', base + index * unit.offsetSize), unit.offsetSize)
  );
}

/** The list at an offset of the section that the unit's version uses. Each entry takes bytes, so the section bounds the loop. */
export function parseRangeList(unit: Unit, offset: number): PcRange[] {
  const ranges: PcRange[] = [];
  const add = (start: bigint, end: bigint): void => {
    const from = toPc(start);
    if (from !== Infinity && end > start) ranges.push({ start: from, end: toPc(end) });
  };
  if (unit.version >= 5) parseModern(unit, unit.sections.at('debug_rnglists', offset), add);
  else parseOld(unit, oldRangeList(unit, offset), add);
  return ranges;
}

/** Lists of split units are in the linked file before version 5, behind the skeleton's DW_AT_GNU_ranges_base. */
function oldRangeList(unit: Unit, offset: number): ByteCursor {
  const { skeleton } = unit;
  if (skeleton === undefined) return unit.sections.at('debug_ranges', offset);
  const base = skeleton.root.sectionOffset(DW_AT.GNU_ranges_base) ?? 0;
  return skeleton.sections.at('debug_ranges', base + offset);
}

type Add = (start: bigint, end: bigint) => void;

function parseOld(unit: Unit, cursor: ByteCursor, add: Add): void {
  const selector = unit.addressSize === 8 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
  let base = unit.baseAddress;
  for (;;) {
    const start = readAddress(cursor, unit.addressSize);
    const end = readAddress(cursor, unit.addressSize);
    if (start === 0n && end === 0n) return;
    if (start === selector) base = end;
    else add(base + start, base + end);
  }
}

function parseModern(unit: Unit, cursor: ByteCursor, add: Add): void {
  const address = (): bigint => readAddress(cursor, unit.addressSize);
  const indexed = (): bigint => unit.addressOfIndex(cursor.ulebNumber());
  let base = unit.baseAddress;
  for (;;) {
    const at = cursor.offset;
    const kind = cursor.u8();
    switch (kind) {
      case DW_RLE.end_of_list:
        return;
      case DW_RLE.base_addressx:
        base = indexed();
        break;
      case DW_RLE.startx_endx: {
        const start = indexed();
        add(start, indexed());
        break;
      }
      case DW_RLE.startx_length: {
        const start = indexed();
        add(start, start + cursor.uleb());
        break;
      }
      case DW_RLE.offset_pair: {
        const start = cursor.uleb();
        add(base + start, base + cursor.uleb());
        break;
      }
      case DW_RLE.base_address:
        base = address();
        break;
      case DW_RLE.start_end: {
        const start = address();
        add(start, address());
        break;
      }
      case DW_RLE.start_length: {
        const start = address();
        add(start, start + cursor.uleb());
        break;
      }
      default:
        throw cursor.error(`unknown range list entry 0x${kind.toString(16)}`, at);
    }
  }
}
