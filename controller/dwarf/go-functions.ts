/**
 * `.gopclntab`: what Go's runtime knows of its own code (runtime/symtab.go, debug/gosym), there also in a stripped program. Names, lines and
 * how far the stack pointer is from the return address. Layouts of Go 1.16 to 1.17, 1.18 to 1.19, and since 1.20.
 */
import { ByteCursor } from '../../format/bytes.js';
import type { ElfFile, ElfSection } from '../../format/elf/file.js';

export interface GoFunction {
  readonly name: string;
  readonly start: number;
  /** Where the next function begins. */
  readonly end: number;
  /** Offset of its description in the section. */
  readonly offset: number;
}

const magics: ReadonlyMap<number, 16 | 18 | 20> = new Map([
  [0xffff_fffa, 16],
  [0xffff_fff0, 18],
  [0xffff_fff1, 20],
]);

const PCDATA_InlTreeIndex = 2;
const noFile = 0xffff_ffff;

/** Undefined when the file is not Go's, or of a version whose table is not known. Throws `bad-data`. */
export function openGoFunctions(elf: ElfFile): GoFunctions | undefined {
  const section = elf.findSection('.gopclntab') ?? elf.findSection('.data.rel.ro.gopclntab');
  const bytes = section === undefined ? undefined : elf.sectionBytes(section.name);
  if (section === undefined || bytes === undefined) return undefined;
  const cursor = new ByteCursor(bytes, `${section.name} of "${elf.source.name}"`);
  const version = magics.get(cursor.u32());
  if (version === undefined) return undefined;
  cursor.skip(2);
  const quantum = cursor.u8();
  const pointerSize = cursor.u8();
  if (pointerSize !== 8 || quantum === 0) throw cursor.error(`pointers of ${pointerSize} bytes`, 6);
  const count = cursor.size64();
  cursor.skip(8); // the number of files
  const textAt = cursor.offset;
  const text = version === 16 ? 0 : textStart(cursor.size64(), elf, section, textAt);
  const parts = [
    cursor.size64(),
    cursor.size64(),
    cursor.size64(),
    cursor.size64(),
    cursor.size64(),
  ] as const;
  if (parts.some((part) => part > bytes.length)) throw cursor.error('its parts are past its end', textAt);
  const [names, units, files, tables, functions] = parts;
  const entrySize = version === 16 ? 16 : 8;
  if (functions + count * entrySize > bytes.length) throw cursor.error(`${count} functions`, 8);
  return new GoFunctions(cursor, { version, quantum, count, text, names, units, files, tables, functions });
}

/** In a position-independent program the address is filled in by a relocation. */
function textStart(written: number, elf: ElfFile, section: ElfSection, offset: number): number {
  if (written !== 0) return written;
  const bytes = elf.sectionBytes('.rela.dyn');
  const wanted = section.address + BigInt(offset);
  if (bytes !== undefined) {
    const cursor = new ByteCursor(bytes, `.rela.dyn of "${elf.source.name}"`);
    while (cursor.remaining >= 24) {
      const at = cursor.u64();
      cursor.skip(8);
      const addend = cursor.u64();
      if (at === wanted) return Number(addend);
    }
  }
  return Number(elf.findSection('.text')?.address ?? 0n);
}

interface Layout {
  readonly version: 16 | 18 | 20;
  readonly quantum: number;
  readonly count: number;
  readonly text: number;
  /** Offsets of the parts of the section. */
  readonly names: number;
  readonly units: number;
  readonly files: number;
  readonly tables: number;
  readonly functions: number;
}

export class GoFunctions {
  readonly #cursor: ByteCursor;
  readonly #layout: Layout;

  constructor(cursor: ByteCursor, layout: Layout) {
    this.#cursor = cursor;
    this.#layout = layout;
  }

  get count(): number {
    return this.#layout.count;
  }

  #start(index: number): number {
    const { version, functions, text } = this.#layout;
    this.#cursor.offset = functions + index * (version === 16 ? 16 : 8);
    return version === 16 ? this.#cursor.size64() : text + this.#cursor.u32();
  }

  at(index: number): GoFunction {
    const { version, functions, names } = this.#layout;
    const start = this.#start(index);
    const end = this.#start(index + 1);
    this.#cursor.offset = functions + index * (version === 16 ? 16 : 8) + (version === 16 ? 8 : 4);
    const offset = functions + (version === 16 ? this.#cursor.size64() : this.#cursor.u32());
    this.#cursor.offset = offset + (version === 16 ? 8 : 4);
    this.#cursor.offset = names + this.#cursor.u32();
    return { name: this.#cursor.cstring(), start, end, offset };
  }

  find(pc: number): GoFunction | undefined {
    let low = 0;
    let high = this.#layout.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#start(middle) <= pc) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const found = this.at(low - 1);
    return pc < found.end ? found : undefined;
  }

  /** Undefined where code of another function was inlined: whose line it is would take more than this table. */
  position(found: GoFunction, pc: number): { readonly file: string; readonly line: number } | undefined {
    const { version, units, files } = this.#layout;
    const fixed = found.offset + (version === 16 ? 8 : 4);
    const [pcFile, pcLine, tableCount, unit] = [12, 16, 20, 24].map((at) => this.#u32(fixed + at + 4));
    if (pcFile === undefined || pcLine === undefined || unit === undefined) return undefined;
    const ofTables = fixed + (version === 20 ? 40 : 36);
    if ((tableCount ?? 0) > PCDATA_InlTreeIndex) {
      const table = this.#u32(ofTables + PCDATA_InlTreeIndex * 4);
      const inlined = table === 0 ? -1 : this.#value(table, found.start, pc);
      if (inlined !== undefined && inlined >= 0) return undefined;
    }
    const file = this.#value(pcFile, found.start, pc);
    const line = this.#value(pcLine, found.start, pc);
    if (file === undefined || file < 0 || line === undefined || line <= 0) return undefined;
    const name = this.#u32(units + (unit + file) * 4);
    if (name === noFile) return undefined;
    this.#cursor.offset = files + name;
    return { file: this.#cursor.cstring(), line };
  }

  /** Bytes from the stack pointer to the return address at an instruction; undefined where the table does not say. */
  stackDepth(found: GoFunction, pc: number): number | undefined {
    const fixed = found.offset + (this.#layout.version === 16 ? 8 : 4);
    const table = this.#u32(fixed + 12);
    const depth = table === 0 ? undefined : this.#value(table, found.start, pc);
    return depth === undefined || depth < 0 ? undefined : depth;
  }

  #u32(offset: number): number {
    this.#cursor.offset = offset;
    return this.#cursor.u32();
  }

  /** A table of values by pc: differences, each over a number of instructions. Each step takes two bytes at least. */
  #value(table: number, start: number, pc: number): number | undefined {
    const cursor = this.#cursor;
    cursor.offset = this.#layout.tables + table;
    let value = -1;
    let at = start;
    for (let first = true; ; first = false) {
      const difference = cursor.ulebNumber();
      if (difference === 0 && !first) return undefined;
      value += (difference & 1) === 0 ? difference / 2 : -((difference + 1) / 2);
      at += cursor.ulebNumber() * this.#layout.quantum;
      if (pc < at) return value;
    }
  }
}
