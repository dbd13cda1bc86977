import { inflateSync } from 'node:zlib';

import type { ByteSource } from '../byte-source.js';
import { ByteCursor } from '../bytes.js';
import { decompressZstd } from '../compress/zstd.js';
import { StillframeError, badData } from '../error.js';
import { ELFCOMPRESS, SHF, SHT, shdrBytes } from './constants.js';
import type { ElfSection } from './file.js';
import { type ElfHeader, type ElfLimits, elfError } from './header.js';
import { StringTable } from './string-table.js';

/** A section header with its alignment, which only notes need. */
export interface SectionHeader extends ElfSection {
  readonly alignment: bigint;
}

export function parseSections(source: ByteSource, header: ElfHeader): SectionHeader[] {
  const { sectionHeaderOffset: offset, sectionHeaderCount: count } = header;
  if (count === 0) return [];
  if (offset + count * shdrBytes > source.size) {
    throw elfError(source, `${count} section headers reach past the end of its ${source.size} bytes`, offset);
  }
  const cursor = new ByteCursor(
    source.read(offset, count * shdrBytes),
    `section headers of "${source.name}"`,
  );
  const headers = [];
  for (let index = 0; index < count; index++) {
    const nameOffset = cursor.u32();
    const type = cursor.u32();
    const flags = cursor.u64();
    const address = cursor.u64();
    const fileOffset = cursor.size64();
    const size = cursor.size64();
    const link = cursor.u32();
    const info = cursor.u32();
    const alignment = cursor.u64();
    const entrySize = cursor.size64();
    headers.push({
      index,
      nameOffset,
      type,
      flags,
      address,
      offset: fileOffset,
      size,
      link,
      info,
      alignment,
      entrySize,
    });
  }

  const namesIndex = header.sectionNamesIndex;
  const namesHeader = namesIndex === 0 ? undefined : headers[namesIndex];
  if (namesIndex !== 0 && namesHeader === undefined) {
    throw elfError(source, `section names are in section ${namesIndex} of ${count}`);
  }
  const names = new StringTable(
    namesHeader === undefined || namesHeader.type === SHT.SHT_NOBITS
      ? new Uint8Array(0)
      : readRaw(source, namesHeader, 'section name table'),
    `section name table of "${source.name}"`,
  );
  return headers.map(({ nameOffset, ...rest }) => ({
    name: namesHeader === undefined ? '' : names.at(nameOffset),
    ...rest,
  }));
}

/** Throws when the contents of a section are not inside of the file. */
export function checkSectionBounds(source: ByteSource, sections: readonly ElfSection[]): void {
  for (const section of sections) {
    if (section.type === SHT.SHT_NULL || section.type === SHT.SHT_NOBITS) continue;
    if (section.offset + section.size > source.size)
      throw pastEnd(source, section, `section "${section.name}"`);
  }
}

function pastEnd(source: ByteSource, range: { offset: number; size: number }, what: string): StillframeError {
  return elfError(
    source,
    `${what} of ${range.size} bytes reaches past the end of its ${source.size} bytes`,
    range.offset,
  );
}

function readRaw(source: ByteSource, range: { offset: number; size: number }, what: string): Uint8Array {
  if (range.offset + range.size > source.size) throw pastEnd(source, range, what);
  return source.read(range.offset, range.size);
}

/** The contents of a section, decompressed; undefined for SHT_NOBITS. */
export function readSection(
  source: ByteSource,
  section: ElfSection,
  limits: ElfLimits,
): Uint8Array | undefined {
  if (section.type === SHT.SHT_NOBITS || section.type === SHT.SHT_NULL) return undefined;
  const name = `${section.name} of "${source.name}"`;
  if (section.size > limits.maxSectionBytes) throw tooLarge(name, section.size, limits);
  const raw = readRaw(source, section, `section "${section.name}"`);
  if (section.name.startsWith('.zdebug_')) return decompressOld(raw, name, limits);
  if ((section.flags & SHF.SHF_COMPRESSED) === 0n) return raw;

  const cursor = new ByteCursor(raw, name);
  const method = cursor.u32();
  cursor.skip(4);
  const size = cursor.size64();
  cursor.skip(8);
  if (method === ELFCOMPRESS.ELFCOMPRESS_ZLIB) {
    return inflate(cursor.take(cursor.remaining), size, name, limits);
  }
  if (method === ELFCOMPRESS.ELFCOMPRESS_ZSTD) {
    if (size > limits.maxSectionBytes) throw tooLarge(name, size, limits);
    return decompressZstd(cursor.take(cursor.remaining), size, name);
  }
  throw cursor.error(`unknown compression ${method}`, 0);
}

/** `.zdebug_*`: `ZLIB`, the size in eight big-endian bytes, a zlib stream. */
function decompressOld(raw: Uint8Array, name: string, limits: ElfLimits): Uint8Array {
  const cursor = new ByteCursor(raw, name);
  const magic = cursor.u32();
  if (magic !== 0x42494c5a) throw cursor.error('no ZLIB magic', 0);
  let size = 0n;
  for (let i = 0; i < 8; i++) size = (size << 8n) | BigInt(cursor.u8());
  if (size > BigInt(limits.maxSectionBytes)) throw tooLarge(name, size, limits);
  return inflate(cursor.take(cursor.remaining), Number(size), name, limits);
}

function inflate(packed: Uint8Array, size: number, name: string, limits: ElfLimits): Uint8Array {
  if (size > limits.maxSectionBytes) throw tooLarge(name, size, limits);
  // Deflate cannot do better than 1032:1 (zlib technical details), so a larger claim is a lie and costs no memory.
  if (size > packed.length * 1032 + 64) {
    throw badData(`cannot parse ${name}: ${packed.length} compressed bytes cannot give ${size}`);
  }
  if (size === 0) return new Uint8Array(0);
  let bytes: Uint8Array;
  try {
    bytes = inflateSync(packed, { maxOutputLength: size, chunkSize: Math.min(Math.max(size, 64), 1 << 20) });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw badData(`cannot parse ${name}: bad zlib stream: ${reason}`, { cause });
  }
  if (bytes.length !== size) {
    throw badData(`cannot parse ${name}: ${bytes.length} bytes after decompression instead of ${size}`);
  }
  return bytes;
}

function tooLarge(name: string, size: number | bigint, limits: ElfLimits): StillframeError {
  return new StillframeError(
    'limit',
    `cannot read ${name}: its ${size} bytes are more than ${limits.maxSectionBytes}`,
  );
}
