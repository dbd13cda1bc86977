/** From a value's place to its bytes, and from bytes to integers and strings. Nothing is padded, nothing is guessed. */
import { type Absent, absent, isAbsent } from '../../format/absent.js';
import { decodeInteger } from '../../format/integer.js';
import type { MemoryBytes, MemoryReader, Provenance } from '../../format/memory.js';
import { isSigned, sizeOf } from './layout.js';
import { missingBits } from './place.js';
import type { Type } from './type.js';
import { typeName } from './type-name.js';
import type { Value } from './value.js';

export interface ReadBytes {
  readonly bytes: Uint8Array;
  /** Undefined for what was computed. */
  readonly provenance: Provenance | undefined;
}

/** All bytes of a value; of a bit field, the bytes that its bits lie in, the first of them at bit 0 of `bits.offset % 8`. */
export function readBytes(value: Value, memory: MemoryReader): ReadBytes | Absent {
  const size = sizeOf(value.type);
  if (size === undefined) {
    return absent('unsupported', `the size of ${typeName(value.type)} is not known`);
  }
  const [start, end] = value.bits === undefined ? [0, size] : bitFieldBytes(value.bits);
  return readPlace(value, memory, start, end);
}

function readPlace(value: Value, memory: MemoryReader, start: number, end: number): ReadBytes | Absent {
  const { place } = value;
  if (place.kind === 'absent') return place.absent;
  if (place.kind === 'memory') {
    if (start === end) return { bytes: new Uint8Array(), provenance: undefined };
    return memory.read(BigInt.asUintN(64, place.address + BigInt(start)), end - start);
  }
  const bits = value.bits ?? { offset: start * 8, size: (end - start) * 8 };
  const missing = missingBits(place.gaps, bits.offset, bits.offset + bits.size);
  if (missing !== undefined) return missing.absent;
  if (place.bytes.length < end) {
    return absent('unreadable', `only ${place.bytes.length} of ${end} bytes of the value are known`);
  }
  return { bytes: place.bytes.subarray(start, end), provenance: place.provenance };
}

/** First byte, and first byte after, of a bit field. */
export function bitFieldBytes(bits: { readonly offset: number; readonly size: number }): [number, number] {
  return [Math.floor(bits.offset / 8), Math.ceil((bits.offset + bits.size) / 8)];
}

/** A bit field out of the bytes that `bitFieldBytes` names. */
export function decodeBits(
  bytes: Uint8Array,
  bits: { readonly offset: number; readonly size: number },
  signed: boolean,
): bigint {
  const shifted = decodeInteger(bytes, false) >> BigInt(bits.offset % 8);
  return signed ? BigInt.asIntN(bits.size, shifted) : BigInt.asUintN(bits.size, shifted);
}

/** The exact value of an integer, boolean, character, enumeration or pointer; the caller knows that the type is one. */
export function readInteger(value: Value, memory: MemoryReader): bigint | Absent {
  const read = readBytes(value, memory);
  if (isAbsent(read)) return read;
  return integerOf(read.bytes, value);
}

export function integerOf(
  bytes: Uint8Array,
  value: { readonly type: Type; readonly bits?: Value['bits'] },
): bigint {
  const signed = isSigned(value.type);
  return value.bits === undefined ? decodeInteger(bytes, signed) : decodeBits(bytes, value.bits, signed);
}

export interface ReadString {
  /** Up to the NUL, without it. */
  readonly bytes: Uint8Array;
  readonly provenance: Provenance | undefined;
  /** Why the string goes on and is not here: `limit`, or memory that is missing. Undefined when the NUL was found. */
  readonly cut: Absent | undefined;
}

const weakestFirst: readonly Provenance[] = ['racy', 'after-hit', 'file', 'stopped', 'at-hit'];

export function weakest(a: Provenance | undefined, b: Provenance | undefined): Provenance | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return weakestFirst.indexOf(a) < weakestFirst.indexOf(b) ? a : b;
}

/** A NUL-terminated string of at most `maxBytes`; absent when not even its first byte is there. */
export function readString(memory: MemoryReader, address: bigint, maxBytes: number): ReadString | Absent {
  const parts: Uint8Array[] = [];
  let have = 0;
  let provenance: Provenance | undefined;
  let cut: Absent | undefined;
  for (let chunk = 64; have < maxBytes; chunk *= 2) {
    const part = readSome(memory, address + BigInt(have), Math.min(chunk, maxBytes - have));
    provenance = weakest(provenance, part.provenance);
    const nul = part.bytes.indexOf(0);
    parts.push(nul < 0 ? part.bytes : part.bytes.subarray(0, nul));
    have += nul < 0 ? part.bytes.length : nul;
    if (nul >= 0) return { bytes: Buffer.concat(parts), provenance, cut: undefined };
    if (part.stop !== undefined) {
      if (have === 0) return part.stop;
      cut = part.stop;
      break;
    }
  }
  cut ??= absent('limit', `the string goes on after ${maxBytes} bytes`, { address: address + BigInt(have) });
  return { bytes: Buffer.concat(parts), provenance, cut };
}

/** As many of `length` bytes as are there without a gap, and why there are no more. */
export function readSome(
  memory: MemoryReader,
  address: bigint,
  length: number,
): { bytes: Uint8Array; provenance: Provenance | undefined; stop: Absent | undefined } {
  const whole = memory.read(address, length);
  if (!isAbsent(whole)) return { ...whole, stop: undefined };
  // The reader names the first missing byte; one that does not is asked byte by byte.
  const named = whole.address === undefined ? undefined : Number(whole.address - address);
  if (named === 0) return { bytes: new Uint8Array(), provenance: undefined, stop: whole };
  if (named !== undefined && named > 0 && named < length) {
    const before = memory.read(address, named);
    if (!isAbsent(before)) return { ...before, stop: whole };
  }
  const single: MemoryBytes[] = [];
  for (let i = 0; i < length; i++) {
    const byte = memory.read(address + BigInt(i), 1);
    if (isAbsent(byte)) {
      return { ...joined(single), stop: byte };
    }
    single.push(byte);
  }
  return { ...joined(single), stop: undefined };
}

function joined(parts: readonly MemoryBytes[]): { bytes: Uint8Array; provenance: Provenance | undefined } {
  let provenance: Provenance | undefined;
  for (const part of parts) provenance = weakest(provenance, part.provenance);
  return { bytes: Buffer.concat(parts.map((part) => part.bytes)), provenance };
}
