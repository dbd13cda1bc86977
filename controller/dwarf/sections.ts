/**
 * The `.debug_*` sections of one file. The folder has one file a section; nothing in it does I/O, touches a process, or knows what
 * a variable is good for: that is `controller/symbols`. DWARF 2 to 5, 32-bit and 64-bit format, little-endian.
 * Offsets are numbers (a section is at most as long as a buffer); addresses are numbers too where many are held, see {@link toPc}.
 */
import type { ByteSource } from '../../format/byte-source.js';
import { ByteCursor } from '../../format/bytes.js';
import type { ElfFile } from '../../format/elf/file.js';
import { type StillframeError, badData } from '../../format/error.js';
import { LazyBytes, searchIn } from './lazy-bytes.js';

export const debugSectionNames = [
  'debug_info',
  'debug_types',
  'debug_abbrev',
  'debug_str',
  'debug_line_str',
  'debug_str_offsets',
  'debug_addr',
  'debug_line',
  'debug_loc',
  'debug_loclists',
  'debug_ranges',
  'debug_rnglists',
  'debug_aranges',
  'debug_names',
] as const;

export type DebugSectionName = (typeof debugSectionNames)[number];

const empty = new Uint8Array(0);
/** A smaller section is read at once. */
const minLazyBytes = 1 << 20;
const maxTexts = 16;

/** The debug sections of a file. */
export function sectionsOf(elf: ElfFile, file: string): DebugSections {
  return new DebugSections(
    file,
    (name) => elf.sectionBytes(`.${name}`),
    '',
    (name) => elf.sectionSource?.(`.${name}`),
  );
}

export class DebugSections {
  /** The file, for messages. */
  readonly file: string;
  /** `.dwo` for the sections of split units. */
  readonly suffix: '' | '.dwo';
  readonly #read: (name: DebugSectionName) => Uint8Array | undefined;
  readonly #openLazily: (name: DebugSectionName) => ByteSource | undefined;
  readonly #lazy = new Map<DebugSectionName, LazyBytes | undefined>();
  readonly #bytes = new Map<DebugSectionName, Uint8Array>();
  readonly #texts = new Map<string, ReadonlySet<number>>();
  readonly #cursors = new Map<DebugSectionName, ByteCursor>();

  /**
   * `read` gives the contents of a section, decompressed, or undefined when the file has none. It is asked once a section.
   * `openLazily` gives those of a large one that need not be read as a whole.
   */
  constructor(
    file: string,
    read: (name: DebugSectionName) => Uint8Array | undefined,
    suffix: '' | '.dwo' = '',
    openLazily: (name: DebugSectionName) => ByteSource | undefined = () => undefined,
  ) {
    this.file = file;
    this.suffix = suffix;
    this.#read = read;
    this.#openLazily = openLazily;
  }

  /** A section that is read where it is looked at; undefined for one that is there as a whole. */
  lazy(name: DebugSectionName): LazyBytes | undefined {
    if (this.#bytes.has(name)) return undefined;
    if (!this.#lazy.has(name)) {
      const source = this.#openLazily(name);
      this.#lazy.set(
        name,
        source === undefined || source.size < minLazyBytes ? undefined : new LazyBytes(source),
      );
    }
    return this.#lazy.get(name);
  }

  /** Where a piece of bytes stands in a section, ascending. */
  search(name: DebugSectionName, needle: Uint8Array): Iterable<number> {
    return this.lazy(name)?.search(needle) ?? searchIn(this.bytes(name), needle);
  }

  sizeOf(name: DebugSectionName): number {
    return (this.lazy(name)?.bytes ?? this.bytes(name)).length;
  }

  /** A cursor over a part of a section, whose other parts need not be read; its offsets are those of the section. */
  part(name: DebugSectionName, offset: number, length: number): ByteCursor {
    const size = this.sizeOf(name);
    if (!(offset >= 0 && length >= 0 && offset + length <= size)) {
      throw this.error(name, `it has ${size} bytes`, offset);
    }
    const lazy = this.lazy(name);
    lazy?.load(offset, offset + length);
    const bytes = lazy?.bytes ?? this.bytes(name);
    return new ByteCursor(bytes, this.describe(name), offset, offset + length);
  }

  /** Where a text stands, its NUL included: {@link search}, with the last few answers kept. */
  offsetsOfText(name: DebugSectionName, text: string): ReadonlySet<number> {
    const key = `${name} ${text}`;
    let offsets = this.#texts.get(key);
    if (offsets === undefined) {
      offsets = new Set(this.search(name, Buffer.from(`${text}\0`, 'utf8')));
      this.#texts.set(key, offsets);
      for (const oldest of this.#texts.keys()) {
        if (this.#texts.size <= maxTexts) break;
        this.#texts.delete(oldest);
      }
    }
    return offsets;
  }

  /** The whole section. */
  bytes(name: DebugSectionName): Uint8Array {
    let bytes = this.#bytes.get(name);
    if (bytes === undefined) {
      bytes = this.lazy(name)?.loadAll() ?? this.#read(name) ?? empty;
      this.#bytes.set(name, bytes);
    }
    return bytes;
  }

  has(name: DebugSectionName): boolean {
    return this.bytes(name).length > 0;
  }

  /** The section's one cursor, moved to `offset`. NB: shared; nobody may keep it across a call that reads the same section. */
  at(name: DebugSectionName, offset: number): ByteCursor {
    let cursor = this.#cursors.get(name);
    if (cursor === undefined) {
      cursor = new ByteCursor(this.bytes(name), this.describe(name));
      this.#cursors.set(name, cursor);
    }
    if (!(offset >= 0 && offset <= cursor.end)) {
      throw this.error(name, `it has ${cursor.end} bytes`, offset);
    }
    cursor.offset = offset;
    return cursor;
  }

  /** `.debug_line of "/usr/bin/app"`. */
  describe(name: DebugSectionName): string {
    return `.${name}${this.suffix} of "${this.file}"`;
  }

  error(name: DebugSectionName, reason: string, offset: number): StillframeError {
    return badData(`cannot parse ${this.describe(name)}: ${reason} at offset 0x${offset.toString(16)}`, {
      detail: { offset, section: `.${name}`, file: this.file },
    });
  }
}

/** Sizes that forms depend on. */
export interface Encoding {
  readonly version: number;
  /** 4 in the 32-bit DWARF format, 8 in the 64-bit one. */
  readonly offsetSize: 4 | 8;
  readonly addressSize: number;
}

/** A half-open range of link addresses. */
export interface PcRange {
  readonly start: number;
  readonly end: number;
}

/**
 * A link address as a number, so that tables of them stay flat and fast. No file has contents at 2^53 or above; what
 * linkers write there marks code that was thrown away (-1, -2), so those become Infinity and never cover anything.
 */
export function toPc(address: bigint): number {
  return address > 0x1f_ffff_ffff_ffffn ? Infinity : Number(address);
}

/** Reads an initial length (DWARF5 7.4): the unit's own length and its format. */
export function readInitialLength(cursor: ByteCursor): { length: number; offsetSize: 4 | 8 } {
  const at = cursor.offset;
  const first = cursor.u32();
  let length = first;
  let offsetSize: 4 | 8 = 4;
  if (first === 0xffff_ffff) {
    length = cursor.size64();
    offsetSize = 8;
  } else if (first >= 0xffff_fff0) {
    throw cursor.error(`reserved unit length 0x${first.toString(16)}`, at);
  }
  if (length > cursor.remaining) {
    throw cursor.error(`unit of ${length} bytes, ${cursor.remaining} left`, at);
  }
  return { length, offsetSize };
}

/** An offset into a section, of the format's size. */
export function readOffset(cursor: ByteCursor, offsetSize: 4 | 8): number {
  return offsetSize === 4 ? cursor.u32() : cursor.size64();
}

/** An address of 1, 2, 4 or 8 bytes. */
export function readAddress(cursor: ByteCursor, addressSize: number): bigint {
  return addressSize === 8 ? cursor.u64() : cursor.uint(addressSize);
}
