/**
 * Decompression of the .xz format (version 1.1.0 of its specification) with the LZMA2 filter, as `.gnu_debugdata` has it; checks are
 * verified. Other filters and SHA-256 are refused. Memory and time are bounded by `maxBytes`.
 */
import { ByteCursor } from '../bytes.js';
import { StillframeError } from '../error.js';
import { crc32, crc64 } from './checksum.js';
import { Lzma2Decoder } from './lzma2.js';

const magic = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] as const;
const CHECK = { none: 0, crc32: 1, crc64: 4, sha256: 10 } as const;
const lzma2Filter = 0x21;

/** All streams of `packed`; throws `bad-data`, `unsupported`, or `limit` when they give more than `maxBytes`. */
export function decompressXz(packed: Uint8Array, maxBytes: number, name: string): Uint8Array {
  const cursor = new ByteCursor(packed, name);
  const decoder = new Lzma2Decoder(maxBytes, name);
  do {
    stream(cursor, decoder);
    // Padding between and after streams comes in words.
    while (cursor.remaining >= 4 && cursor.bytes[cursor.offset] === 0) {
      if (cursor.u32() !== 0) throw cursor.error('padding that is not zero');
    }
  } while (!cursor.atEnd);
  return decoder.finish();
}

function stream(cursor: ByteCursor, decoder: Lzma2Decoder): void {
  const at = cursor.offset;
  const head = cursor.take(8);
  if (magic.some((byte, i) => head[i] !== byte)) throw cursor.error('no xz magic', at);
  verifyCrc(cursor, head.subarray(6), at);
  const check = head[7] ?? 0;
  if (check !== CHECK.none && check !== CHECK.crc32 && check !== CHECK.crc64) {
    throw unsupported(cursor, `check ${check}`);
  }
  while (cursor.bytes[cursor.offset] !== 0) block(cursor, decoder, check);
  const index = cursor.offset;
  skipIndex(cursor, at);
  const backward = (cursor.offset - index) / 4 - 1;
  const footer = cursor.offset;
  const crc = cursor.u32();
  const fields = cursor.take(6);
  if (crc32(fields) !== crc) throw cursor.error('a stream footer with a wrong CRC', footer);
  const claimed = new ByteCursor(fields, cursor.name).u32();
  if (claimed !== backward || fields[5] !== check || cursor.u16() !== 0x5a59) {
    throw cursor.error('a stream footer that does not fit its stream', footer);
  }
}

function verifyCrc(cursor: ByteCursor, bytes: Uint8Array, at: number): void {
  if (cursor.u32() !== crc32(bytes)) throw cursor.error('a header with a wrong CRC', at);
}

function block(cursor: ByteCursor, decoder: Lzma2Decoder, check: number): void {
  const at = cursor.offset;
  // Counted in words, its CRC included.
  const header = cursor.sub(cursor.u8() * 4 - 1);
  const flags = header.u8();
  if ((flags & 0x3c) !== 0) throw cursor.error('reserved bits of a block header are set', at);
  const packedSize = (flags & 0x40) === 0 ? undefined : header.ulebNumber();
  const size = (flags & 0x80) === 0 ? undefined : header.ulebNumber();
  for (let i = 0; i <= (flags & 3); i++) {
    const filter = header.ulebNumber();
    header.skip(header.ulebNumber());
    if (filter !== lzma2Filter) throw unsupported(cursor, `filter 0x${filter.toString(16)}`);
  }
  verifyCrc(cursor, cursor.bytes.subarray(at, header.end), at);
  const data = cursor.offset;
  const bytes = decoder.block(cursor);
  if (packedSize !== undefined && cursor.offset - data !== packedSize) {
    throw cursor.error(`a block of ${cursor.offset - data} bytes that should have ${packedSize}`, at);
  }
  if (size !== undefined && bytes.length !== size) {
    throw cursor.error(`a block gives ${bytes.length} bytes instead of ${size}`, at);
  }
  cursor.skip((4 - ((cursor.offset - data) % 4)) % 4);
  const right =
    check === CHECK.crc32
      ? cursor.u32() === crc32(bytes)
      : check === CHECK.crc64
        ? cursor.u64() === crc64(bytes)
        : true;
  if (!right) throw cursor.error('a block with a wrong check', at);
}

/** Sizes of blocks, which are known by now; its own CRC is verified. */
function skipIndex(cursor: ByteCursor, start: number): void {
  const at = cursor.offset;
  cursor.skip(1);
  for (let count = cursor.ulebNumber(); count > 0; count--) {
    cursor.uleb();
    cursor.uleb();
  }
  cursor.skip((4 - ((cursor.offset - start) % 4)) % 4);
  verifyCrc(cursor, cursor.bytes.subarray(at, cursor.offset), at);
}

function unsupported(cursor: ByteCursor, what: string): StillframeError {
  return new StillframeError('unsupported', `cannot read ${cursor.name}: xz with ${what} is not supported`);
}
