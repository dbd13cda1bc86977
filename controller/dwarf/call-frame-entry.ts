/**
 * The entries of `.eh_frame` (LSB Core 10.6) and `.debug_frame` (DWARF5 6.4.1): CIEs and FDEs, without their programs run.
 */
import { ByteCursor } from '../../format/bytes.js';
import { linkAddress, type LinkAddress } from '../../format/address.js';
import {
  DW_EH_PE_absptr,
  DW_EH_PE_aligned,
  DW_EH_PE_omit,
  readEncodedPointer,
  readPointerFormat,
  type PointerBases,
} from './call-frame-pointer.js';

export interface FrameSection {
  readonly kind: 'eh_frame' | 'debug_frame';
  readonly bytes: Uint8Array;
  /** For messages: `.eh_frame of "/usr/bin/app"`. */
  readonly name: string;
  readonly bases: PointerBases;
  /** `e_machine`, which the numbers of some instructions depend on. */
  readonly machine: number;
}

/** Where an entry lies and which kind it is; all offsets count from the section's beginning. */
export interface EntryHeader {
  readonly kind: 'cie' | 'fde' | 'terminator';
  readonly offset: number;
  /** First offset after the CIE id or CIE pointer. */
  readonly body: number;
  /** First offset after the entry. */
  readonly end: number;
  /** FDE: offset of its CIE. */
  readonly cieOffset: number;
  readonly is64: boolean;
}

export interface CommonEntry {
  readonly offset: number;
  readonly version: number;
  readonly codeAlignment: bigint;
  readonly dataAlignment: bigint;
  readonly returnAddressRegister: number;
  readonly fdeEncoding: number;
  readonly lsdaEncoding: number;
  /** Augmentation begins with `z`: FDEs carry the length of their augmentation data. */
  readonly sizedAugmentation: boolean;
  readonly signalFrame: boolean;
  readonly addressSize: number;
  readonly segmentSelectorSize: number;
  readonly instructions: Uint8Array;
  /** Section offset of the instructions, for messages. */
  readonly instructionsAt: number;
}

export interface FrameEntry {
  readonly offset: number;
  readonly cie: CommonEntry;
  readonly start: LinkAddress;
  /** First address after the function. */
  readonly end: LinkAddress;
  readonly instructions: Uint8Array;
  readonly instructionsAt: number;
}

export function parseEntryHeader(section: FrameSection, offset: number): EntryHeader {
  const cursor = new ByteCursor(section.bytes, section.name, 0);
  if (offset < 0 || offset >= section.bytes.length)
    throw cursor.error(`no entry, the section has ${section.bytes.length} bytes`, Math.max(offset, 0));
  cursor.offset = offset;
  const length32 = cursor.u32();
  if (length32 === 0) {
    return { kind: 'terminator', offset, body: cursor.offset, end: cursor.offset, cieOffset: 0, is64: false };
  }
  const is64 = length32 === 0xffff_ffff;
  if (!is64 && length32 >= 0xffff_fff0) throw cursor.error('reserved entry length', offset);
  const length = is64 ? cursor.size64() : length32;
  if (length > cursor.remaining)
    throw cursor.error(`entry of ${length} bytes, ${cursor.remaining} left`, offset);
  const end = cursor.offset + length;
  const idAt = cursor.offset;
  if (section.kind === 'eh_frame') {
    // Always four bytes here, and counted backwards from itself; 0 is a CIE.
    const id = cursor.u32();
    if (cursor.offset > end) throw cursor.error('entry too short for its CIE pointer', offset);
    const kind = id === 0 ? 'cie' : 'fde';
    return { kind, offset, body: cursor.offset, end, cieOffset: idAt - id, is64 };
  }
  const id = is64 ? cursor.u64() : BigInt(cursor.u32());
  if (cursor.offset > end) throw cursor.error('entry too short for its CIE pointer', offset);
  const isCie = id === (is64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn);
  if (!isCie && id >= BigInt(section.bytes.length))
    throw cursor.error(`CIE pointer 0x${id.toString(16)} is outside of the section`, idAt);
  return {
    kind: isCie ? 'cie' : 'fde',
    offset,
    body: cursor.offset,
    end,
    cieOffset: isCie ? 0 : Number(id),
    is64,
  };
}

export function parseCommonEntry(section: FrameSection, offset: number): CommonEntry {
  const header = parseEntryHeader(section, offset);
  const cursor = new ByteCursor(section.bytes, section.name, header.body, header.end);
  if (header.kind !== 'cie') throw cursor.error('a CIE is wanted here', offset);
  const version = cursor.u8();
  if (version !== 1 && version !== 3 && version !== 4)
    throw cursor.error(`unknown CIE version ${version}`, header.body);
  const augmentation = cursor.cstring();
  // gcc 2.x: a pointer to exception data stands here, and nothing says its size but the target.
  if (augmentation.startsWith('eh')) cursor.skip(8);
  let addressSize = 8;
  let segmentSelectorSize = 0;
  if (version === 4) {
    addressSize = cursor.u8();
    segmentSelectorSize = cursor.u8();
    if (addressSize !== 4 && addressSize !== 8) throw cursor.error(`address size ${addressSize}`);
    if (segmentSelectorSize > 8) throw cursor.error(`segment selector of ${segmentSelectorSize} bytes`);
  }
  const codeAlignment = cursor.uleb();
  if (codeAlignment === 0n) throw cursor.error('code alignment factor 0');
  const dataAlignment = cursor.sleb();
  const returnAddressRegister = version === 1 ? cursor.u8() : cursor.ulebNumber();
  const parsed = parseAugmentation(cursor, augmentation, section);
  return {
    offset,
    version,
    codeAlignment,
    dataAlignment,
    returnAddressRegister,
    ...parsed,
    addressSize,
    segmentSelectorSize,
    instructionsAt: cursor.offset,
    instructions: cursor.take(cursor.remaining),
  };
}

type Augmentation = Pick<CommonEntry, 'fdeEncoding' | 'lsdaEncoding' | 'sizedAugmentation' | 'signalFrame'>;

function parseAugmentation(cursor: ByteCursor, text: string, section: FrameSection): Augmentation {
  const sizedAugmentation = text.startsWith('z');
  let fdeEncoding = DW_EH_PE_absptr;
  let lsdaEncoding = DW_EH_PE_omit;
  let signalFrame = false;
  const letters = text.startsWith('eh') ? text.slice(2) : text;
  const data = sizedAugmentation ? cursor.sub(cursor.ulebNumber()) : cursor;
  for (const letter of sizedAugmentation ? letters.slice(1) : letters) {
    if (letter === 'R') fdeEncoding = data.u8();
    else if (letter === 'L') lsdaEncoding = data.u8();
    else if (letter === 'P') skipPersonality(data, section);
    else if (letter === 'S') signalFrame = true;
    // AArch64: signed with the B key; memory tagged frames.
    else if (letter === 'B' || letter === 'G') continue;
    // With `z` the length of what we do not know is known; without it, nothing after it can be read.
    else if (sizedAugmentation) break;
    else throw cursor.error(`unknown augmentation "${text}"`);
  }
  return { fdeEncoding, lsdaEncoding, sizedAugmentation, signalFrame };
}

/** The personality routine is of no use to us: read past it, without following an indirection. */
function skipPersonality(cursor: ByteCursor, section: FrameSection): void {
  const encoding = cursor.u8();
  if (encoding === DW_EH_PE_omit) return;
  if ((encoding & 0x70) === DW_EH_PE_aligned) readEncodedPointer(cursor, DW_EH_PE_aligned, section.bases);
  else readPointerFormat(cursor, encoding & 0x0f);
}

/** `cieAt` gives the CIE of an offset, so that a caller can keep them. */
export function parseFrameEntry(
  section: FrameSection,
  offset: number,
  cieAt: (offset: number) => CommonEntry,
): FrameEntry {
  const header = parseEntryHeader(section, offset);
  const cursor = new ByteCursor(section.bytes, section.name, header.body, header.end);
  if (header.kind !== 'fde') throw cursor.error('an FDE is wanted here', offset);
  const cie = cieAt(header.cieOffset);
  const { start, size } = readRange(section, cursor, cie);
  if (cie.sizedAugmentation) cursor.skip(cursor.ulebNumber());
  return {
    offset,
    cie,
    start: linkAddress(start),
    end: linkAddress(start + size),
    instructionsAt: cursor.offset,
    instructions: cursor.take(cursor.remaining),
  };
}

function readRange(
  section: FrameSection,
  cursor: ByteCursor,
  cie: CommonEntry,
): { start: bigint; size: bigint } {
  if (section.kind === 'debug_frame') {
    cursor.skip(cie.segmentSelectorSize);
    const start = cursor.uint(cie.addressSize);
    return { start, size: cursor.uint(cie.addressSize) };
  }
  const at = cursor.offset;
  const start = readEncodedPointer(cursor, cie.fdeEncoding, section.bases);
  if (start === undefined) throw cursor.error('FDE without an address', at);
  const size = BigInt.asUintN(64, readPointerFormat(cursor, cie.fdeEncoding & 0x0f));
  if (start + size >= 1n << 64n) throw cursor.error('FDE past the end of the address space', at);
  return { start, size };
}
