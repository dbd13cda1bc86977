/** Pointers as `.eh_frame` and `.eh_frame_hdr` encode them: DW_EH_PE_* (LSB Core 10.5.1). */
import type { ByteCursor } from '../../format/bytes.js';

export const DW_EH_PE_absptr = 0x00;
export const DW_EH_PE_uleb128 = 0x01;
export const DW_EH_PE_udata2 = 0x02;
export const DW_EH_PE_udata4 = 0x03;
export const DW_EH_PE_udata8 = 0x04;
export const DW_EH_PE_signed = 0x08;
export const DW_EH_PE_sleb128 = 0x09;
export const DW_EH_PE_sdata2 = 0x0a;
export const DW_EH_PE_sdata4 = 0x0b;
export const DW_EH_PE_sdata8 = 0x0c;
export const DW_EH_PE_pcrel = 0x10;
export const DW_EH_PE_textrel = 0x20;
export const DW_EH_PE_datarel = 0x30;
export const DW_EH_PE_funcrel = 0x40;
export const DW_EH_PE_aligned = 0x50;
export const DW_EH_PE_indirect = 0x80;
export const DW_EH_PE_omit = 0xff;

/** What encoded pointers can be relative to; all are link addresses. */
export interface PointerBases {
  /** Address of the first byte of the cursor's bytes. */
  readonly section: bigint;
  readonly text?: bigint | undefined;
  readonly data?: bigint | undefined;
  readonly function?: bigint | undefined;
  /** The pointer at a link address, for DW_EH_PE_indirect; undefined when the file does not have it. */
  readonly pointerAt?: (address: bigint) => bigint | undefined;
}

/** The value of an encoded pointer; undefined for DW_EH_PE_omit. A raw 0 is a null pointer, whatever it is relative to. */
export function readEncodedPointer(
  cursor: ByteCursor,
  encoding: number,
  bases: PointerBases,
): bigint | undefined {
  if (encoding === DW_EH_PE_omit) return undefined;
  const application = encoding & 0x70;
  if (application === DW_EH_PE_aligned) alignAddress(cursor, bases.section);
  const at = cursor.offset;
  const raw = readPointerFormat(cursor, encoding & 0x0f);
  if (raw === 0n) return 0n;
  const base = baseOf(cursor, application, at, bases);
  const value = BigInt.asUintN(64, raw + base);
  if ((encoding & DW_EH_PE_indirect) === 0) return value;
  const pointer = bases.pointerAt?.(value);
  if (pointer === undefined)
    throw cursor.error(`indirect pointer to 0x${value.toString(16)}, which is not in the file`, at);
  return pointer;
}

/** Only the format of an encoding (its low four bits), as sizes of address ranges use it. */
export function readPointerFormat(cursor: ByteCursor, format: number): bigint {
  switch (format) {
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
      return cursor.u64();
    case DW_EH_PE_uleb128:
      return cursor.uleb();
    case DW_EH_PE_udata2:
      return BigInt(cursor.u16());
    case DW_EH_PE_udata4:
      return BigInt(cursor.u32());
    case DW_EH_PE_signed:
    case DW_EH_PE_sdata8:
      return cursor.i64();
    case DW_EH_PE_sleb128:
      return cursor.sleb();
    case DW_EH_PE_sdata2:
      return BigInt(cursor.i16());
    case DW_EH_PE_sdata4:
      return BigInt(cursor.i32());
    default:
      throw cursor.error(`unknown pointer encoding 0x${format.toString(16)}`);
  }
}

/** Bytes of one pointer of a format that has a fixed size; undefined for LEB128 and unknown formats. */
export function fixedPointerBytes(encoding: number): number | undefined {
  switch (encoding & 0x07) {
    case 0:
    case 4:
      return 8;
    case 2:
      return 2;
    case 3:
      return 4;
    default:
      return undefined;
  }
}

function baseOf(cursor: ByteCursor, application: number, at: number, bases: PointerBases): bigint {
  const need = (what: string, base: bigint | undefined): bigint => {
    if (base === undefined) throw cursor.error(`pointer relative to ${what}, which is not known`, at);
    return base;
  };
  switch (application) {
    case 0:
    case DW_EH_PE_aligned:
      return 0n;
    case DW_EH_PE_pcrel:
      return bases.section + BigInt(at);
    case DW_EH_PE_textrel:
      return need('the text section', bases.text);
    case DW_EH_PE_datarel:
      return need('the data section', bases.data);
    case DW_EH_PE_funcrel:
      return need('the function', bases.function);
    default:
      throw cursor.error(`unknown pointer application 0x${application.toString(16)}`, at);
  }
}

/** DW_EH_PE_aligned: the pointer stands at the next address that is a multiple of its size. */
function alignAddress(cursor: ByteCursor, section: bigint): void {
  const past = Number((section + BigInt(cursor.offset)) % 8n);
  cursor.skip((8 - past) % 8);
}
