/**
 * An ELF64 little-endian file, opened: headers, segments, sections, notes, symbols. Lazy: reads from the source what is asked.
 * Ruled by the System V gABI chapters 4 and 5. `openElf` is in `open.ts`.
 */
import type { ByteSource } from '../byte-source.js';

export interface ElfFile {
  readonly source: ByteSource;
  /** ET_EXEC 2, ET_DYN 3, ET_CORE 4. */
  readonly type: number;
  /** EM_X86_64 62, EM_AARCH64 183. */
  readonly machine: number;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly sections: readonly ElfSection[];
  /** Lower-case hex of NT_GNU_BUILD_ID; undefined when there is none. */
  readonly buildId: string | undefined;
  findSection(name: string): ElfSection | undefined;
  /** The contents of a section, decompressed where compressed; undefined when missing or SHT_NOBITS. Cached. */
  sectionBytes(name: string): Uint8Array | undefined;
  /**
   * The contents of a section that lies in the file as it is, to be read piece by piece; undefined when it is missing, compressed, too large
   * or SHT_NOBITS. For sections of which little is looked at.
   */
  sectionSource?(name: string): ByteSource | undefined;
  /** The contents of all sections of that name, one after another: relocatable files, as `.dwo` files are, may have several. */
  allSectionBytes(name: string): Uint8Array | undefined;
  /** Notes of all PT_NOTE segments, or of SHT_NOTE sections where there are no segments. */
  notes(): readonly ElfNote[];
  /** `.symtab` followed by `.dynsym`, without duplicates of the same name and value. Cached. */
  symbols(): readonly ElfSymbol[];
  /** File offset of a link address, through PT_LOAD; undefined when it is not backed by the file. */
  fileOffsetOf(linkAddress: bigint): number | undefined;
  /** Bytes at a link address, if the file has all of them. */
  bytesAt(linkAddress: bigint, length: number): Uint8Array | undefined;
}

export interface ElfSegment {
  readonly type: number;
  /** PF_X 1, PF_W 2, PF_R 4. */
  readonly flags: number;
  readonly offset: number;
  readonly virtualAddress: bigint;
  readonly fileSize: number;
  readonly memorySize: bigint;
  readonly align: bigint;
}

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: bigint;
  readonly address: bigint;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly entrySize: number;
}

export interface ElfNote {
  /** Without the trailing NUL: `GNU`, `CORE`, `LINUX`, `STILLFRAME`. */
  readonly owner: string;
  readonly type: number;
  readonly description: Uint8Array;
}

export interface ElfSymbol {
  readonly name: string;
  readonly value: bigint;
  readonly size: number;
  /** STT_*: 0 none, 1 object, 2 function, 6 TLS, 10 ifunc. */
  readonly type: number;
  /** STB_*: 0 local, 1 global, 2 weak. */
  readonly binding: number;
  readonly sectionIndex: number;
}
