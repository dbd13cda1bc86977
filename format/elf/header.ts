import type { ByteSource } from '../byte-source.js';
import { ByteCursor } from '../bytes.js';
import { type StillframeError, badData } from '../error.js';
import {
  EI,
  ELFCLASS32,
  ELFCLASS64,
  ELFDATA2LSB,
  ELFDATA2MSB,
  EV_CURRENT,
  PN_XNUM,
  SHN,
  ehdrBytes,
  phdrBytes,
  shdrBytes,
} from './constants.js';
import type { ElfSegment } from './file.js';

/** Bounds of what a hostile file can make {@link ./open.ts openElf} do. Sizes in bytes. */
export interface ElfLimits {
  /** Program headers, and section headers. */
  readonly maxHeaders: number;
  /** One section, after decompression. */
  readonly maxSectionBytes: number;
}

export const defaultElfLimits: ElfLimits = { maxHeaders: 1 << 20, maxSectionBytes: 0x7fff_0000 };

export interface ElfHeader {
  readonly type: number;
  readonly machine: number;
  readonly entry: bigint;
  readonly programHeaderOffset: number;
  readonly sectionHeaderOffset: number;
  readonly programHeaderCount: number;
  readonly sectionHeaderCount: number;
  readonly sectionNamesIndex: number;
}

export function elfError(source: ByteSource, reason: string, offset?: number): StillframeError {
  const where = offset === undefined ? '' : ` at offset 0x${offset.toString(16)}`;
  return badData(`cannot parse ELF file "${source.name}": ${reason}${where}`, {
    detail: { file: source.name, ...(offset === undefined ? {} : { offset }) },
  });
}

/** The ELF header, with PN_XNUM and SHN_XINDEX resolved through section header 0. */
export function parseHeader(source: ByteSource, limits: ElfLimits): ElfHeader {
  if (source.size < EI.EI_NIDENT) {
    throw elfError(source, `a file of ${source.size} bytes is too short for an ELF header`);
  }
  const ident = source.read(0, EI.EI_NIDENT);
  if (ident[0] !== 0x7f || ident[1] !== 0x45 || ident[2] !== 0x4c || ident[3] !== 0x46) {
    throw elfError(source, 'it does not begin with the ELF magic');
  }
  const elfClass = ident[EI.EI_CLASS] ?? 0;
  if (elfClass === ELFCLASS32) throw elfError(source, 'it is a 32-bit file, and only ELF64 is supported');
  if (elfClass !== ELFCLASS64) throw elfError(source, `unknown class ${elfClass}`, EI.EI_CLASS);
  const data = ident[EI.EI_DATA] ?? 0;
  if (data === ELFDATA2MSB) throw elfError(source, 'it is big-endian, and only little-endian is supported');
  if (data !== ELFDATA2LSB) throw elfError(source, `unknown data encoding ${data}`, EI.EI_DATA);
  const version = ident[EI.EI_VERSION] ?? 0;
  if (version !== EV_CURRENT) throw elfError(source, `unknown version ${version}`, EI.EI_VERSION);
  if (source.size < ehdrBytes) {
    throw elfError(source, `a file of ${source.size} bytes is too short for an ELF header`);
  }

  const cursor = new ByteCursor(source.read(0, ehdrBytes), `ELF header of "${source.name}"`, EI.EI_NIDENT);
  const type = cursor.u16();
  const machine = cursor.u16();
  cursor.skip(4);
  const entry = cursor.u64();
  const programHeaderOffset = cursor.size64();
  const sectionHeaderOffset = cursor.size64();
  cursor.skip(6);
  const programEntryBytes = cursor.u16();
  let programHeaderCount = cursor.u16();
  const sectionEntryBytes = cursor.u16();
  let sectionHeaderCount = cursor.u16();
  let sectionNamesIndex = cursor.u16();

  if (sectionHeaderOffset === 0) {
    sectionHeaderCount = 0;
    if (programHeaderCount === PN_XNUM) {
      throw elfError(source, 'PN_XNUM is set, and there is no section header 0 with the count');
    }
  } else {
    if (sectionHeaderCount > 0 && sectionEntryBytes !== shdrBytes) {
      throw elfError(source, `section headers of ${sectionEntryBytes} bytes instead of ${shdrBytes}`);
    }
    const extended =
      sectionHeaderCount === 0 || programHeaderCount === PN_XNUM || sectionNamesIndex === SHN.SHN_XINDEX;
    if (extended) {
      if (sectionHeaderOffset + shdrBytes > source.size) {
        throw elfError(
          source,
          `section header 0 is past the end of its ${source.size} bytes`,
          sectionHeaderOffset,
        );
      }
      const zero = new ByteCursor(
        source.read(sectionHeaderOffset, shdrBytes),
        `section header 0 of "${source.name}"`,
      );
      zero.skip(32);
      const size = zero.size64();
      const link = zero.u32();
      const info = zero.u32();
      if (sectionHeaderCount === 0) sectionHeaderCount = size;
      if (sectionNamesIndex === SHN.SHN_XINDEX) sectionNamesIndex = link;
      if (programHeaderCount === PN_XNUM) programHeaderCount = info;
    }
  }
  if (programHeaderOffset === 0) programHeaderCount = 0;
  if (programHeaderCount > 0 && programEntryBytes !== phdrBytes) {
    throw elfError(source, `program headers of ${programEntryBytes} bytes instead of ${phdrBytes}`);
  }
  if (programHeaderCount > limits.maxHeaders) {
    throw elfError(source, `${programHeaderCount} program headers are more than ${limits.maxHeaders}`);
  }
  if (sectionHeaderCount > limits.maxHeaders) {
    throw elfError(source, `${sectionHeaderCount} section headers are more than ${limits.maxHeaders}`);
  }
  return {
    type,
    machine,
    entry,
    programHeaderOffset,
    sectionHeaderOffset,
    programHeaderCount,
    sectionHeaderCount,
    sectionNamesIndex,
  };
}

export function parseSegments(source: ByteSource, header: ElfHeader): ElfSegment[] {
  const { programHeaderOffset: offset, programHeaderCount: count } = header;
  if (count === 0) return [];
  if (offset + count * phdrBytes > source.size) {
    throw elfError(source, `${count} program headers reach past the end of its ${source.size} bytes`, offset);
  }
  const cursor = new ByteCursor(
    source.read(offset, count * phdrBytes),
    `program headers of "${source.name}"`,
  );
  const segments: ElfSegment[] = [];
  for (let i = 0; i < count; i++) {
    const type = cursor.u32();
    const flags = cursor.u32();
    const fileOffset = cursor.size64();
    const virtualAddress = cursor.u64();
    cursor.skip(8);
    const fileSize = cursor.size64();
    const memorySize = cursor.u64();
    const align = cursor.u64();
    segments.push({ type, flags, offset: fileOffset, virtualAddress, fileSize, memorySize, align });
  }
  return segments;
}
