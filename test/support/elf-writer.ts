/**
 * Builds ELF64 files from literals, so that a test shows the bytes that it is about. Layout: ELF header, program headers, contents
 * of segments and sections in order, section names, section headers. It checks nothing: broken files are its main use.
 */
import { ByteWriter } from '../../format/bytes.js';
import { ET, PT, SHT, ehdrBytes, phdrBytes, shdrBytes } from '../../format/elf/constants.js';

export interface SegmentSpec {
  readonly type?: number;
  readonly flags?: number;
  readonly virtualAddress?: bigint;
  /** Contents; the segment's file size unless given. */
  readonly bytes?: Uint8Array;
  readonly fileSize?: bigint;
  readonly memorySize?: bigint;
  readonly align?: bigint;
  /** Instead of the place of `bytes`. */
  readonly offset?: bigint;
}

export interface SectionSpec {
  readonly name: string;
  readonly type?: number;
  readonly flags?: bigint;
  readonly address?: bigint;
  readonly bytes?: Uint8Array;
  /** Instead of the length of `bytes`. */
  readonly size?: bigint;
  readonly offset?: bigint;
  readonly link?: number;
  readonly info?: number;
  readonly align?: bigint;
  readonly entrySize?: bigint;
}

export interface ElfSpec {
  readonly class?: number;
  readonly data?: number;
  readonly version?: number;
  readonly type?: number;
  readonly machine?: number;
  readonly entry?: bigint;
  readonly segments?: readonly SegmentSpec[];
  /** Without the null section (index 0) and `.shstrtab` (last), which are added when there are any. */
  readonly sections?: readonly SectionSpec[];
  /** Values of the ELF header instead of the true ones. */
  readonly phentsize?: number;
  readonly shentsize?: number;
  readonly phnum?: number;
  readonly shnum?: number;
  readonly shstrndx?: number;
  readonly phoff?: bigint;
  readonly shoff?: bigint;
  /** Fields of section header 0. */
  readonly zero?: { readonly size?: bigint; readonly link?: number; readonly info?: number };
}

export function writeElf(spec: ElfSpec): Uint8Array {
  const segments = spec.segments ?? [];
  const sections = spec.sections ?? [];
  const out = new ByteWriter();
  out.zeros(ehdrBytes + segments.length * phdrBytes);

  const place = (bytes: Uint8Array | undefined): bigint => {
    if (bytes === undefined) return 0n;
    out.align(16);
    const at = out.length;
    out.raw(bytes);
    return BigInt(at);
  };
  const segmentOffsets = segments.map((segment) => place(segment.bytes));
  const sectionOffsets = sections.map((section) => place(section.bytes));

  const names = new ByteWriter().u8(0);
  const nameOffsets = sections.map((section) => {
    const at = names.length;
    names.cstring(section.name);
    return at;
  });
  const shstrtabName = names.length;
  names.cstring('.shstrtab');
  const shstrtab = names.finish();
  const shstrtabOffset = sections.length > 0 ? place(shstrtab) : 0n;

  out.align(8);
  const sectionHeaderOffset = sections.length > 0 || spec.zero !== undefined ? out.length : 0;
  let count = 0;
  if (sectionHeaderOffset !== 0) {
    writeSectionHeader(out, 0, 0n, {
      name: '',
      type: SHT.SHT_NULL,
      size: spec.zero?.size ?? 0n,
      link: spec.zero?.link ?? 0,
      info: spec.zero?.info ?? 0,
    });
    count = 1;
    if (sections.length > 0) {
      for (const [i, section] of sections.entries()) {
        writeSectionHeader(out, nameOffsets[i] ?? 0, sectionOffsets[i] ?? 0n, section);
      }
      writeSectionHeader(out, shstrtabName, shstrtabOffset, {
        name: '.shstrtab',
        type: SHT.SHT_STRTAB,
        bytes: shstrtab,
      });
      count += sections.length + 1;
    }
  }

  const file = out.finish();
  const head = new ByteWriter();
  head
    .raw(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, spec.class ?? 2, spec.data ?? 1, spec.version ?? 1))
    .zeros(9);
  head
    .u16(spec.type ?? ET.ET_DYN)
    .u16(spec.machine ?? 62)
    .u32(1)
    .u64(spec.entry ?? 0n);
  head.u64(spec.phoff ?? (segments.length > 0 ? BigInt(ehdrBytes) : 0n));
  head.u64(spec.shoff ?? BigInt(sectionHeaderOffset));
  head.u32(0).u16(ehdrBytes);
  head.u16(spec.phentsize ?? phdrBytes).u16(spec.phnum ?? segments.length);
  head.u16(spec.shentsize ?? shdrBytes).u16(spec.shnum ?? count);
  head.u16(spec.shstrndx ?? (sections.length > 0 ? count - 1 : 0));
  for (const [i, segment] of segments.entries()) {
    const size = segment.fileSize ?? BigInt(segment.bytes?.length ?? 0);
    head.u32(segment.type ?? PT.PT_LOAD).u32(segment.flags ?? 4);
    head.u64(segment.offset ?? segmentOffsets[i] ?? 0n);
    head.u64(segment.virtualAddress ?? 0n).u64(0n);
    head
      .u64(size)
      .u64(segment.memorySize ?? size)
      .u64(segment.align ?? 1n);
  }
  file.set(head.finish());
  return file;
}

function writeSectionHeader(out: ByteWriter, name: number, offset: bigint, section: SectionSpec): void {
  out
    .u32(name)
    .u32(section.type ?? SHT.SHT_PROGBITS)
    .u64(section.flags ?? 0n)
    .u64(section.address ?? 0n);
  out.u64(section.offset ?? offset).u64(section.size ?? BigInt(section.bytes?.length ?? 0));
  out
    .u32(section.link ?? 0)
    .u32(section.info ?? 0)
    .u64(section.align ?? 1n)
    .u64(section.entrySize ?? 0n);
}

/** One note, padded to `alignment`. */
export function noteBytes(owner: string, type: number, description: Uint8Array, alignment = 4): Uint8Array {
  const out = new ByteWriter();
  out
    .u32(owner.length + 1)
    .u32(description.length)
    .u32(type);
  return out.cstring(owner).align(alignment).raw(description).align(alignment).finish();
}

export interface SymbolSpec {
  readonly name: string;
  readonly value?: bigint;
  readonly size?: bigint;
  readonly type?: number;
  readonly binding?: number;
  readonly sectionIndex?: number;
}

/** A symbol table (with its null symbol) and its strings. */
export function symbolTable(symbols: readonly SymbolSpec[]): { symbols: Uint8Array; strings: Uint8Array } {
  const strings = new ByteWriter().u8(0);
  const table = new ByteWriter().zeros(24);
  for (const symbol of symbols) {
    table.u32(strings.length);
    strings.cstring(symbol.name);
    table
      .u8(((symbol.binding ?? 1) << 4) | (symbol.type ?? 2))
      .u8(0)
      .u16(symbol.sectionIndex ?? 1);
    table.u64(symbol.value ?? 0n).u64(symbol.size ?? 0n);
  }
  return { symbols: table.finish(), strings: strings.finish() };
}
