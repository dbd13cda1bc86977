/** `.debug_loc` (DWARF4 2.6.2) and `.debug_loclists` (DWARF5 2.6.2, 7.29): which expression locates an object at which addresses. */
import type { ByteCursor } from '../../format/bytes.js';
import { DW_AT, DW_LLE } from './constants.js';
import type { Die } from './die.js';
import { readAddress, readOffset, toPc } from './sections.js';
import type { Unit } from './unit.js';

export interface LocationEntry {
  readonly start: number;
  /** First address after it. Equal to `start` in entries that hold at a function's entry only, as gcc writes them. */
  readonly end: number;
  readonly expression: Uint8Array;
  /** DW_LLE_default_location: holds wherever no other entry does; `start` and `end` mean nothing. */
  readonly isDefault: boolean;
}

/** What an attribute such as DW_AT_location says: one expression for all addresses, or a list; undefined when there is none. */
export type LocationAttribute =
  | { readonly kind: 'expression'; readonly expression: Uint8Array }
  | { readonly kind: 'list'; readonly entries: readonly LocationEntry[] };

export function locationOf(die: Die, attribute: number): LocationAttribute | undefined {
  const value = die.value(attribute);
  if (value === undefined) return undefined;
  if (value.kind === 'block') return { kind: 'expression', expression: value.bytes };
  const { unit } = die;
  if (value.kind === 'location-list-index') {
    const base = unit.base(DW_AT.loclists_base, 'DW_AT_loclists_base');
    const cursor = unit.sections.at('debug_loclists', base + value.index * unit.offsetSize);
    return {
      kind: 'list',
      entries: parseLocationList(unit, base + readOffset(cursor, unit.offsetSize)),
    };
  }
  const offset = die.sectionOffset(attribute);
  return offset === undefined ? undefined : { kind: 'list', entries: parseLocationList(unit, offset) };
}

/** The expression of an attribute that holds at an address; undefined where none does. */
export function expressionAt(die: Die, attribute: number, pc: number): Uint8Array | undefined {
  const location = locationOf(die, attribute);
  if (location === undefined) return undefined;
  if (location.kind === 'expression') return location.expression;
  const { entries } = location;
  const covering = entries.find((each) => !each.isDefault && pc >= each.start && pc < each.end);
  return (covering ?? entries.find((each) => each.isDefault))?.expression;
}

/** The list at an offset of the section that the unit's version uses, in the order written. */
export function parseLocationList(unit: Unit, offset: number): LocationEntry[] {
  const entries: LocationEntry[] = [];
  const add = (start: bigint, end: bigint, expression: Uint8Array): void => {
    const from = toPc(start);
    if (from !== Infinity && end >= start) {
      entries.push({ start: from, end: toPc(end), expression, isDefault: false });
    }
  };
  const addDefault = (expression: Uint8Array): void => {
    entries.push({ start: 0, end: 0, expression, isDefault: true });
  };
  const into = { add, addDefault };
  if (unit.version >= 5) parseKinds(unit, unit.sections.at('debug_loclists', offset), modern, into);
  else if (unit.info.isSplit) parseKinds(unit, unit.sections.at('debug_loc', offset), split, into);
  else parseOld(unit, unit.sections.at('debug_loc', offset), add);
  return entries;
}

type Add = (start: bigint, end: bigint, expression: Uint8Array) => void;

function parseOld(unit: Unit, cursor: ByteCursor, add: Add): void {
  const selector = unit.addressSize === 8 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
  let base = unit.baseAddress;
  for (;;) {
    const start = readAddress(cursor, unit.addressSize);
    const end = readAddress(cursor, unit.addressSize);
    if (start === 0n && end === 0n) return;
    if (start === selector) base = end;
    else add(base + start, base + end, cursor.take(cursor.u16()));
  }
}

/** How entries of a version write what differs between them; the kinds up to DW_LLE_offset_pair are the same. */
interface Encoding {
  /** A length, or an offset from the base. */
  readonly number: (cursor: ByteCursor) => bigint;
  readonly expression: (cursor: ByteCursor) => Uint8Array;
  /** The last kind that there is. */
  readonly lastKind: number;
}

/** DWARF5 7.29. */
const modern: Encoding = {
  number: (cursor) => cursor.uleb(),
  expression: (cursor) => cursor.take(cursor.ulebNumber()),
  lastKind: 0xff,
};

/** `.debug_loc.dwo` before version 5: lengths of fixed size (GNU DebugFission). */
const split: Encoding = {
  number: (cursor) => BigInt(cursor.u32()),
  expression: (cursor) => cursor.take(cursor.u16()),
  lastKind: DW_LLE.offset_pair,
};

function parseKinds(
  unit: Unit,
  cursor: ByteCursor,
  encoding: Encoding,
  into: { readonly add: Add; readonly addDefault: (expression: Uint8Array) => void },
): void {
  const { add, addDefault } = into;
  const address = (): bigint => readAddress(cursor, unit.addressSize);
  const indexed = (): bigint => unit.addressOfIndex(cursor.ulebNumber());
  const number = (): bigint => encoding.number(cursor);
  const expression = (): Uint8Array => encoding.expression(cursor);
  let base = unit.baseAddress;
  for (;;) {
    const at = cursor.offset;
    const kind = cursor.u8();
    if (kind > encoding.lastKind) throw unknownKind(cursor, kind, at);
    switch (kind) {
      case DW_LLE.end_of_list:
        return;
      case DW_LLE.base_addressx:
        base = indexed();
        break;
      case DW_LLE.startx_endx: {
        const start = indexed();
        const end = indexed();
        add(start, end, expression());
        break;
      }
      case DW_LLE.startx_length: {
        const start = indexed();
        const end = start + number();
        add(start, end, expression());
        break;
      }
      case DW_LLE.offset_pair: {
        const start = base + number();
        const end = base + number();
        add(start, end, expression());
        break;
      }
      case DW_LLE.default_location:
        addDefault(expression());
        break;
      case DW_LLE.base_address:
        base = address();
        break;
      case DW_LLE.start_end: {
        const start = address();
        const end = address();
        add(start, end, expression());
        break;
      }
      case DW_LLE.start_length: {
        const start = address();
        const end = start + number();
        add(start, end, expression());
        break;
      }
      case DW_LLE.GNU_view_pair:
        // Location views of gcc: finer than an address, and so of no use to whoever knows only an address.
        cursor.uleb();
        cursor.uleb();
        break;
      default:
        throw unknownKind(cursor, kind, at);
    }
  }
}

function unknownKind(cursor: ByteCursor, kind: number, at: number): Error {
  return cursor.error(`unknown location list entry 0x${kind.toString(16)}`, at);
}
