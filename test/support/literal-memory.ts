/** A target's memory out of literal ranges. */
import { absent } from '../../format/absent.js';
import { hex } from '../../format/address.js';
import type { MemoryReader, Provenance } from '../../format/memory.js';

export interface LiteralRange {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  readonly provenance?: Provenance;
}

/** Reads within one range only; everything else is `not-captured`, with the first missing address. */
export function memoryOf(...ranges: readonly LiteralRange[]): MemoryReader {
  return {
    read(address, length) {
      const range = ranges.find(
        (candidate) =>
          address >= candidate.address && address < candidate.address + BigInt(candidate.bytes.length),
      );
      const start = range === undefined ? 0 : Number(address - range.address);
      if (range !== undefined && start + length <= range.bytes.length) {
        return {
          bytes: range.bytes.subarray(start, start + length),
          provenance: range.provenance ?? 'at-hit',
        };
      }
      const missing = range === undefined ? address : range.address + BigInt(range.bytes.length);
      return absent('not-captured', `${hex(missing)} was not captured`, { address: missing });
    },
  };
}

/** `at(0x1000n, 1, 2, 3)`. */
export function at(address: bigint, ...parts: readonly (number | string | Uint8Array)[]): LiteralRange {
  return { address, bytes: bytesOf(...parts) };
}

/** Bytes out of numbers (one byte each), strings and bytes. */
export function bytesOf(...parts: readonly (number | string | Uint8Array)[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) =>
      typeof part === 'number' ? Uint8Array.of(part) : typeof part === 'string' ? Buffer.from(part) : part,
    ),
  );
}

/** `count` little-endian bytes of an integer. */
export function little(value: bigint | number, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  let rest = BigInt.asUintN(count * 8, BigInt(value));
  for (let i = 0; i < count; i++) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** A pointer, or any other 64-bit value. */
export const u64 = (value: bigint | number): Uint8Array => little(value, 8);
export const u32 = (value: bigint | number): Uint8Array => little(value, 4);
export const u16 = (value: bigint | number): Uint8Array => little(value, 2);
