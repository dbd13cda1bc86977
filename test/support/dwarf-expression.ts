/** Builds DWARF expressions from literals: `expression(DW_OP.DW_OP_lit4, sleb(-8))`. */
import { ByteWriter } from '../../format/bytes.js';

/** Numbers are single bytes (opcodes, one-byte operands); arrays are spliced in. */
export function expression(...parts: readonly (number | Uint8Array)[]): Uint8Array {
  const out = new ByteWriter();
  for (const part of parts) {
    if (typeof part === 'number') out.u8(part & 0xff);
    else out.raw(part);
  }
  return out.finish();
}

export const uleb = (value: bigint | number): Uint8Array => new ByteWriter().uleb(value).finish();
export const sleb = (value: bigint | number): Uint8Array => new ByteWriter().sleb(value).finish();
export const u16 = (value: number): Uint8Array => new ByteWriter().u16(value & 0xffff).finish();
export const u32 = (value: number): Uint8Array => new ByteWriter().u32(value >>> 0).finish();
export const u64 = (value: bigint): Uint8Array => new ByteWriter().u64(value).finish();
export const f32 = (value: number): Uint8Array => new Uint8Array(Float32Array.of(value).buffer);
export const f64 = (value: number): Uint8Array => new Uint8Array(Float64Array.of(value).buffer);
