/**
 * Opens an ELF64 little-endian file: executables, libraries, separate debug files, cores. Ruled by the System V gABI, chapters 4
 * and 5. Headers are read and checked at once, contents when asked. Pure: bytes come from a ByteSource. Whatever the
 * bytes are, the result is a file or a `bad-data` error, in time and memory bounded by the file's size and {@link ElfLimits}.
 */
import type { ByteSource } from '../byte-source.js';
import { badData } from '../error.js';
import { ET, NT_GNU_BUILD_ID, PT, SHF, SHT } from './constants.js';
import type { ElfFile, ElfNote, ElfSection, ElfSegment, ElfSymbol } from './file.js';
import {
  type ElfHeader,
  type ElfLimits,
  defaultElfLimits,
  elfError,
  parseHeader,
  parseSegments,
} from './header.js';
import { parseNotes } from './note.js';
import { type SectionHeader, checkSectionBounds, parseSections, readSection } from './section.js';
import { mergeSymbols, parseSymbols } from './symbol.js';

export function openElf(source: ByteSource, limits: ElfLimits = defaultElfLimits): ElfFile {
  const header = parseHeader(source, limits);
  const segments = parseSegments(source, header);
  const sections = header.type === ET.ET_CORE ? coreSections(source, header) : parseSections(source, header);
  if (header.type !== ET.ET_CORE) {
    checkSectionBounds(source, sections);
    if (!isDebugOnly(sections)) checkSegmentBounds(source, segments);
  }
  return new OpenedElf(source, header, segments, sections, limits);
}

/** A source over bytes in memory. */
export function bufferSource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.length,
    read(offset, length) {
      if (offset < 0 || length < 0 || offset + length > bytes.length) {
        throw badData(
          `cannot read "${name}": ${length} bytes at offset 0x${offset.toString(16)} are past its ${bytes.length} bytes`,
          { detail: { offset, file: name } },
        );
      }
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** Sections of a core say nothing that its segments do not; one cut short has lost them, and is read all the same. */
function coreSections(source: ByteSource, header: ElfHeader): SectionHeader[] {
  try {
    return parseSections(source, header);
  } catch {
    return [];
  }
}

/** A file of `objcopy --only-keep-debug` or `eu-strip -f`: its program headers describe the file that it was split from. */
function isDebugOnly(sections: readonly ElfSection[]): boolean {
  const code = SHF.SHF_ALLOC | SHF.SHF_EXECINSTR;
  return sections.some((section) => section.type === SHT.SHT_NOBITS && (section.flags & code) === code);
}

function checkSegmentBounds(source: ByteSource, segments: readonly ElfSegment[]): void {
  for (const [i, segment] of segments.entries()) {
    if (segment.type === PT.PT_NULL || segment.fileSize === 0) continue;
    if (segment.offset + segment.fileSize > source.size) {
      throw elfError(
        source,
        `segment ${i} of ${segment.fileSize} bytes reaches past the end of its ${source.size} bytes`,
        segment.offset,
      );
    }
  }
}

class OpenedElf implements ElfFile {
  readonly source: ByteSource;
  readonly type: number;
  readonly machine: number;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly sections: readonly SectionHeader[];
  readonly buildId: string | undefined;
  readonly #limits: ElfLimits;
  readonly #contents = new Map<ElfSection, Uint8Array>();
  readonly #byName = new Map<string, SectionHeader>();
  #notes: readonly ElfNote[] | undefined;
  #symbols: readonly ElfSymbol[] | undefined;

  constructor(
    source: ByteSource,
    header: ElfHeader,
    segments: readonly ElfSegment[],
    sections: readonly SectionHeader[],
    limits: ElfLimits,
  ) {
    this.source = source;
    this.type = header.type;
    this.machine = header.machine;
    this.entry = header.entry;
    this.segments = segments;
    this.sections = sections;
    this.#limits = limits;
    for (const section of sections) {
      if (!this.#byName.has(section.name)) this.#byName.set(section.name, section);
    }
    this.buildId = header.type === ET.ET_CORE ? undefined : this.#findBuildId();
  }

  findSection(name: string): ElfSection | undefined {
    return this.#byName.get(name);
  }

  sectionBytes(name: string): Uint8Array | undefined {
    const old = name.startsWith('.debug_') ? `.z${name.slice(1)}` : undefined;
    const section = this.#byName.get(name) ?? (old === undefined ? undefined : this.#byName.get(old));
    return section === undefined ? undefined : this.#contentsOf(section);
  }

  sectionSource(name: string): ByteSource | undefined {
    const section = this.#byName.get(name);
    if (section === undefined || section.type === SHT.SHT_NOBITS || section.type === SHT.SHT_NULL)
      return undefined;
    if ((section.flags & SHF.SHF_COMPRESSED) !== 0n || section.size > this.#limits.maxSectionBytes)
      return undefined;
    const { source } = this;
    const check = (offset: number, length: number): void => {
      if (offset >= 0 && length >= 0 && offset + length <= section.size) return;
      throw elfError(source, `section "${name}" has ${section.size} bytes`, section.offset);
    };
    return {
      name: `${name} of "${source.name}"`,
      size: section.size,
      read(offset, length) {
        check(offset, length);
        return source.read(section.offset + offset, length);
      },
      ...(source.readInto === undefined
        ? {}
        : {
            readInto(target: Uint8Array, offset: number): void {
              check(offset, target.length);
              source.readInto?.(target, section.offset + offset);
            },
          }),
    };
  }

  allSectionBytes(name: string): Uint8Array | undefined {
    const sections = this.sections.filter((section) => section.name === name);
    if (sections.length < 2) return this.sectionBytes(name);
    const all = sections.flatMap((section) => this.#contentsOf(section) ?? []);
    let total = 0;
    for (const bytes of all) total += bytes.length;
    // Headers that all name the same bytes must not multiply them.
    if (total > this.#limits.maxSectionBytes) {
      throw elfError(
        this.source,
        `its sections "${name}" have more than ${this.#limits.maxSectionBytes} bytes`,
      );
    }
    const joined = new Uint8Array(total);
    let at = 0;
    for (const bytes of all) {
      joined.set(bytes, at);
      at += bytes.length;
    }
    return joined;
  }

  notes(): readonly ElfNote[] {
    this.#notes ??= this.#readNotes(this.segments.some((segment) => segment.type === PT.PT_NOTE));
    return this.#notes;
  }

  symbols(): readonly ElfSymbol[] {
    this.#symbols ??= mergeSymbols(this.#table(SHT.SHT_SYMTAB), this.#table(SHT.SHT_DYNSYM));
    return this.#symbols;
  }

  fileOffsetOf(linkAddress: bigint): number | undefined {
    return this.#locate(linkAddress, 1);
  }

  bytesAt(linkAddress: bigint, length: number): Uint8Array | undefined {
    if (length < 0) return undefined;
    const offset = this.#locate(linkAddress, length);
    if (offset === undefined || offset + length > this.source.size) return undefined;
    return this.source.read(offset, length);
  }

  #locate(linkAddress: bigint, length: number): number | undefined {
    for (const segment of this.segments) {
      if (segment.type !== PT.PT_LOAD || linkAddress < segment.virtualAddress) continue;
      const into = linkAddress - segment.virtualAddress;
      if (into + BigInt(length) <= BigInt(segment.fileSize)) return segment.offset + Number(into);
    }
    return undefined;
  }

  #contentsOf(section: ElfSection): Uint8Array | undefined {
    const known = this.#contents.get(section);
    if (known !== undefined) return known;
    const bytes = readSection(this.source, section, this.#limits);
    if (bytes !== undefined) this.#contents.set(section, bytes);
    return bytes;
  }

  #table(type: number): ElfSymbol[] {
    const table = this.sections.find((section) => section.type === type);
    if (table === undefined) return [];
    return parseSymbols(this.source, this.sections, table, (section) => this.#contentsOf(section));
  }

  #readNotes(fromSegments: boolean): ElfNote[] {
    const { source } = this;
    // Headers that all name the same bytes must not multiply them.
    let budget = source.size;
    const spend = (bytes: number): void => {
      budget -= bytes;
      if (budget < 0) throw elfError(source, 'its notes overlap');
    };
    if (!fromSegments) {
      return this.sections
        .filter((section) => section.type === SHT.SHT_NOTE)
        .flatMap((section) => {
          spend(section.size);
          const bytes = this.#contentsOf(section) ?? new Uint8Array(0);
          return parseNotes(bytes, section.alignment, `${section.name} of "${source.name}"`);
        });
    }
    return this.segments.flatMap((segment, i) => {
      if (segment.type !== PT.PT_NOTE) return [];
      if (segment.offset + segment.fileSize > source.size) {
        throw elfError(
          source,
          `the notes of segment ${i}, ${segment.fileSize} bytes, reach past the end of its ${source.size} bytes`,
          segment.offset,
        );
      }
      spend(segment.fileSize);
      const bytes = source.read(segment.offset, segment.fileSize);
      return parseNotes(bytes, segment.align, `notes in segment ${i} of "${source.name}"`);
    });
  }

  /** NB: sections first, since the segments of a separate debug file point at what was in another file. */
  #findBuildId(): string | undefined {
    const inSections = this.sections.some((section) => section.type === SHT.SHT_NOTE);
    const note = this.#readNotes(!inSections).find(
      (candidate) => candidate.owner === 'GNU' && candidate.type === NT_GNU_BUILD_ID,
    );
    return note === undefined ? undefined : Buffer.from(note.description).toString('hex');
  }
}
