/** CRC-32 (ISO 3309, as zlib, xz and `.gnu_debuglink` have it) and CRC-64 (ECMA-182, as xz has it). */
import * as zlib from 'node:zlib';

const table32 = new Uint32Array(256);
const high64 = new Uint32Array(256);
const low64 = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  let crc = i;
  let high = 0;
  let low = i;
  for (let bit = 0; bit < 8; bit++) {
    crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
    const odd = (low & 1) !== 0;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (odd) {
      high ^= 0xc96c_5795;
      low ^= 0xd787_0f42;
    }
  }
  table32[i] = crc;
  high64[i] = high;
  low64[i] = low;
}

/** `before`: the CRC of the bytes that stand before these. */
export function crc32(bytes: Uint8Array, before = 0): number {
  return native?.(bytes, before) ?? crc32Here(bytes, before);
}

/** Since Node 20.15, and ten times as fast. */
const native = (zlib as { readonly crc32?: (data: Uint8Array, value: number) => number }).crc32;

function crc32Here(bytes: Uint8Array, before: number): number {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) {
    crc = (crc >>> 8) ^ (table32[(crc ^ (bytes[i] ?? 0)) & 0xff] ?? 0);
  }
  return ~crc >>> 0;
}

export function crc64(bytes: Uint8Array): bigint {
  let high = ~0;
  let low = ~0;
  for (let i = 0; i < bytes.length; i++) {
    const index = (low ^ (bytes[i] ?? 0)) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ (low64[index] ?? 0);
    high = (high >>> 8) ^ (high64[index] ?? 0);
  }
  return (BigInt(~high >>> 0) << 32n) | BigInt(~low >>> 0);
}
