/**
 * Reading and writing of little-endian bytes with every bound checked. A cursor never reads past its end: it throws
 * `bad-data` naming what it was reading and the offset. Pure; no I/O.
 */
import { badData } from './error.js';

export class ByteCursor {
  readonly bytes: Uint8Array;
  /** What the bytes are, for messages: `.debug_line of "/usr/bin/app"`. */
  readonly name: string;
  readonly end: number;
  /** Offset of the next byte, from the beginning of `bytes`. */
  offset: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, name: string, start = 0, end: number = bytes.length) {
    if (start < 0 || end > bytes.length || start > end) {
      throw badData(`cannot read ${name}: range ${start}..${end} is outside of its ${bytes.length} bytes`);
    }
    this.bytes = bytes;
    this.name = name;
    this.offset = start;
    this.end = end;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  get atEnd(): boolean {
    return this.offset >= this.end;
  }

  /** A `bad-data` error at the current offset. */
  error(reason: string, offset: number = this.offset): Error {
    return badData(`cannot parse ${this.name}: ${reason} at offset 0x${offset.toString(16)}`, {
      detail: { offset },
    });
  }

  #take(length: number): number {
    const at = this.offset;
    if (length < 0 || at + length > this.end) {
      throw this.error(`${length} bytes wanted, ${this.end - at} left`);
    }
    this.offset = at + length;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  i8(): number {
    return this.#view.getInt8(this.#take(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  i16(): number {
    return this.#view.getInt16(this.#take(2), true);
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }
  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }
  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }
  u24(): number {
    const low = this.u16();
    return low | (this.u8() << 16);
  }

  /** A 64-bit value that must fit a number: an offset or a size inside a file. */
  size64(): number {
    const at = this.offset;
    const value = this.u64();
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw this.error(`size 0x${value.toString(16)} is absurd`, at);
    return Number(value);
  }

  /** An unsigned integer of 1 to 8 bytes. */
  uint(size: number): bigint {
    if (size < 1 || size > 8) throw this.error(`integer of ${size} bytes`);
    const at = this.#take(size);
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#view.getUint8(at + i));
    return value;
  }

  /** ULEB128 of at most 64 bits (DWARF5 7.6). */
  uleb(): bigint {
    const at = this.offset;
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.u8();
      result |= BigInt(byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) {
        if (result >= 1n << 64n) throw this.error('ULEB128 of more than 64 bits', at);
        return result;
      }
    }
    throw this.error('ULEB128 of more than 10 bytes', at);
  }

  /** ULEB128 that must fit a number exactly; the fast path of every DIE walk. */
  ulebNumber(): number {
    const at = this.offset;
    let result = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      result += (byte & 0x7f) * scale;
      if ((byte & 0x80) === 0) {
        if (!Number.isSafeInteger(result)) throw this.error('ULEB128 is absurd', at);
        return result;
      }
      scale *= 128;
    }
    this.offset = at;
    const value = this.uleb();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.error('ULEB128 is absurd', at);
    return Number(value);
  }

  /** SLEB128 of at most 64 bits. */
  sleb(): bigint {
    const at = this.offset;
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.u8();
      result |= BigInt(byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) {
        return BigInt.asIntN(64, (byte & 0x40) === 0 ? result : result | (-1n << (shift + 7n)));
      }
    }
    throw this.error('SLEB128 of more than 10 bytes', at);
  }

  /** A view (not a copy) of the next bytes. */
  take(length: number): Uint8Array {
    const at = this.#take(length);
    return this.bytes.subarray(at, at + length);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** A NUL-terminated string; bytes that are not UTF-8 become U+FFFD. */
  cstring(): string {
    const at = this.offset;
    const nul = this.bytes.indexOf(0, at);
    if (nul < 0 || nul >= this.end) throw this.error('string without end', at);
    this.offset = nul + 1;
    return decodeUtf8(this.bytes.subarray(at, nul));
  }

  /** Moves to a multiple of `alignment`, counted from the beginning of `bytes`. */
  align(alignment: number): void {
    this.skip((alignment - (this.offset % alignment)) % alignment);
  }

  /** A cursor over the next `length` bytes, with offsets still counted from the beginning of `bytes`. */
  sub(length: number, name: string = this.name): ByteCursor {
    const at = this.#take(length);
    return new ByteCursor(this.bytes, name, at, at + length);
  }
}

const utf8 = new TextDecoder();

export function decodeUtf8(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

/** Units of 2 or 4 bytes as text; one that is no character as `\\x` and its number. */
export function decodeWideUnits(bytes: Uint8Array, unitBytes: number): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let i = 0; i + unitBytes <= bytes.length; i += unitBytes) {
    if (unitBytes === 2) text += String.fromCharCode(view.getUint16(i, true));
    else {
      const unit = view.getUint32(i, true);
      text += unit <= 0x10ffff ? String.fromCodePoint(unit) : `\\x${unit.toString(16)}`;
    }
  }
  return text;
}

/** A growing little-endian buffer. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  #grow(size: number): number {
    const at = this.#length;
    if (at + size > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, at + size));
      bytes.set(this.#bytes.subarray(0, at));
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer);
    }
    this.#length = at + size;
    return at;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }
  u16(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value, true);
    return this;
  }
  u32(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
    return this;
  }
  i32(value: number): this {
    return this.u32(value >>> 0);
  }
  u64(value: bigint): this {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
    return this;
  }
  uleb(value: bigint | number): this {
    let rest = BigInt(value);
    if (rest < 0n) throw badData(`cannot write ULEB128: ${rest} is negative`);
    do {
      const byte = Number(rest & 0x7fn);
      rest >>= 7n;
      this.u8(rest === 0n ? byte : byte | 0x80);
    } while (rest !== 0n);
    return this;
  }
  sleb(value: bigint | number): this {
    let rest = BigInt(value);
    for (;;) {
      const byte = Number(rest & 0x7fn);
      rest >>= 7n;
      const done = (rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0);
      this.u8(done ? byte : byte | 0x80);
      if (done) return this;
    }
  }
  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }
  cstring(text: string): this {
    return this.raw(new TextEncoder().encode(text)).u8(0);
  }
  zeros(count: number): this {
    this.#grow(count);
    return this;
  }
  align(alignment: number): this {
    return this.zeros((alignment - (this.#length % alignment)) % alignment);
  }
  /** Overwrites four bytes that were written before. */
  patchU32(at: number, value: number): this {
    this.#view.setUint32(at, value, true);
    return this;
  }
  patchU16(at: number, value: number): this {
    this.#view.setUint16(at, value, true);
    return this;
  }
  patchU64(at: number, value: bigint): this {
    this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
    return this;
  }
  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}
