/** Values of attributes as their forms write them (DWARF5 7.5.5, 7.5.6); indices are left for the unit to resolve. */
import type { ByteCursor } from '../../format/bytes.js';
import { DW_FORM, formName } from './constants.js';
import { type Encoding, readAddress, readOffset } from './sections.js';

export type FormValue =
  | { readonly kind: 'address'; readonly address: bigint }
  | { readonly kind: 'address-index'; readonly index: number }
  /** `value` is zero-extended unless `signed`; `size` in bytes, 0 where the form says none (LEB128, implicit). */
  | { readonly kind: 'constant'; readonly value: bigint; readonly signed: boolean; readonly size: number }
  | { readonly kind: 'block'; readonly bytes: Uint8Array; readonly expression: boolean }
  | { readonly kind: 'flag'; readonly value: boolean }
  /** An offset in `.debug_info`, from the beginning of the section. */
  | { readonly kind: 'reference'; readonly offset: number }
  | { readonly kind: 'signature'; readonly signature: bigint }
  | { readonly kind: 'section-offset'; readonly offset: number }
  | { readonly kind: 'location-list-index'; readonly index: number }
  | { readonly kind: 'range-list-index'; readonly index: number }
  | { readonly kind: 'string'; readonly section: StringSection; readonly offset: number }
  | { readonly kind: 'string-index'; readonly index: number }
  /** An offset in `.debug_info`, or `.debug_str`, of the supplementary file (dwz). */
  | { readonly kind: 'supplementary-reference'; readonly offset: number }
  | { readonly kind: 'supplementary-string'; readonly offset: number };

/** Where a string's characters are: DW_FORM_string has them in `.debug_info` itself. */
export type StringSection = 'debug_str' | 'debug_line_str' | 'debug_info';

/** What a form needs to know of its unit. */
export interface FormContext extends Encoding {
  /** Offset of the unit's header in `.debug_info`; unit-relative references count from it. */
  readonly offset: number;
}

/** Reads one value and leaves the cursor after it. The step is that of `formStep`, always. */
export function readForm(
  cursor: ByteCursor,
  form: number,
  implicit: bigint | undefined,
  unit: FormContext,
): FormValue {
  switch (form) {
    case DW_FORM.addr:
      return { kind: 'address', address: readAddress(cursor, unit.addressSize) };
    case DW_FORM.addrx:
    case DW_FORM.GNU_addr_index:
      return { kind: 'address-index', index: cursor.ulebNumber() };
    case DW_FORM.addrx1:
      return { kind: 'address-index', index: cursor.u8() };
    case DW_FORM.addrx2:
      return { kind: 'address-index', index: cursor.u16() };
    case DW_FORM.addrx3:
      return { kind: 'address-index', index: cursor.u24() };
    case DW_FORM.addrx4:
      return { kind: 'address-index', index: cursor.u32() };
    case DW_FORM.data1:
      return constant(BigInt(cursor.u8()), 1);
    case DW_FORM.data2:
      return constant(BigInt(cursor.u16()), 2);
    case DW_FORM.data4:
      return constant(BigInt(cursor.u32()), 4);
    case DW_FORM.data8:
      return constant(cursor.u64(), 8);
    case DW_FORM.data16:
      return { kind: 'block', bytes: cursor.take(16), expression: false };
    case DW_FORM.sdata:
      return { kind: 'constant', value: cursor.sleb(), signed: true, size: 0 };
    case DW_FORM.udata:
      return constant(cursor.uleb(), 0);
    case DW_FORM.implicit_const:
      return { kind: 'constant', value: implicit ?? 0n, signed: true, size: 0 };
    case DW_FORM.block1:
      return block(cursor, cursor.u8());
    case DW_FORM.block2:
      return block(cursor, cursor.u16());
    case DW_FORM.block4:
      return block(cursor, cursor.u32());
    case DW_FORM.block:
      return block(cursor, cursor.ulebNumber());
    case DW_FORM.exprloc:
      return { kind: 'block', bytes: cursor.take(cursor.ulebNumber()), expression: true };
    case DW_FORM.flag:
      return { kind: 'flag', value: cursor.u8() !== 0 };
    case DW_FORM.flag_present:
      return { kind: 'flag', value: true };
    case DW_FORM.ref1:
      return { kind: 'reference', offset: unit.offset + cursor.u8() };
    case DW_FORM.ref2:
      return { kind: 'reference', offset: unit.offset + cursor.u16() };
    case DW_FORM.ref4:
      return { kind: 'reference', offset: unit.offset + cursor.u32() };
    case DW_FORM.ref8:
      return { kind: 'reference', offset: unit.offset + cursor.size64() };
    case DW_FORM.ref_udata:
      return { kind: 'reference', offset: unit.offset + cursor.ulebNumber() };
    case DW_FORM.ref_addr:
      return {
        kind: 'reference',
        offset:
          unit.version <= 2
            ? Number(readAddress(cursor, unit.addressSize))
            : readOffset(cursor, unit.offsetSize),
      };
    case DW_FORM.ref_sig8:
      return { kind: 'signature', signature: cursor.u64() };
    case DW_FORM.sec_offset:
      return { kind: 'section-offset', offset: readOffset(cursor, unit.offsetSize) };
    case DW_FORM.loclistx:
      return { kind: 'location-list-index', index: cursor.ulebNumber() };
    case DW_FORM.rnglistx:
      return { kind: 'range-list-index', index: cursor.ulebNumber() };
    case DW_FORM.string: {
      const { offset } = cursor;
      const nul = cursor.bytes.indexOf(0, offset);
      if (nul < 0 || nul >= cursor.end) throw cursor.error('string without end', offset);
      cursor.offset = nul + 1;
      return { kind: 'string', section: 'debug_info', offset };
    }
    case DW_FORM.strp:
      return { kind: 'string', section: 'debug_str', offset: readOffset(cursor, unit.offsetSize) };
    case DW_FORM.line_strp:
      return { kind: 'string', section: 'debug_line_str', offset: readOffset(cursor, unit.offsetSize) };
    case DW_FORM.strx:
    case DW_FORM.GNU_str_index:
      return { kind: 'string-index', index: cursor.ulebNumber() };
    case DW_FORM.strx1:
      return { kind: 'string-index', index: cursor.u8() };
    case DW_FORM.strx2:
      return { kind: 'string-index', index: cursor.u16() };
    case DW_FORM.strx3:
      return { kind: 'string-index', index: cursor.u24() };
    case DW_FORM.strx4:
      return { kind: 'string-index', index: cursor.u32() };
    case DW_FORM.ref_sup4:
      return { kind: 'supplementary-reference', offset: cursor.u32() };
    case DW_FORM.ref_sup8:
      return { kind: 'supplementary-reference', offset: cursor.size64() };
    case DW_FORM.GNU_ref_alt:
      return { kind: 'supplementary-reference', offset: readOffset(cursor, unit.offsetSize) };
    case DW_FORM.strp_sup:
    case DW_FORM.GNU_strp_alt:
      return { kind: 'supplementary-string', offset: readOffset(cursor, unit.offsetSize) };
    case DW_FORM.indirect: {
      const at = cursor.offset;
      const actual = cursor.ulebNumber();
      if (actual === DW_FORM.indirect || actual === DW_FORM.implicit_const) {
        throw cursor.error(`DW_FORM_indirect to ${formName(actual)}`, at);
      }
      return readForm(cursor, actual, undefined, unit);
    }
    default:
      throw cursor.error(`unknown form 0x${form.toString(16)}`);
  }
}

function constant(value: bigint, size: number): FormValue {
  return { kind: 'constant', value, signed: false, size };
}

function block(cursor: ByteCursor, length: number): FormValue {
  return { kind: 'block', bytes: cursor.take(length), expression: false };
}
