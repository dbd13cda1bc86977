/** Reads every unit of a file once and makes the tables of {@link ./symbol-index.ts}. Takes seconds for large files: in a thread of its own. */
import { StillframeError } from '../../format/error.js';
import { DW_TAG } from '../dwarf/constants.js';
import { visitDies } from '../dwarf/die-visit.js';
import type { DebugInfo, Unit } from '../dwarf/unit.js';
import { ENUMERATOR, FileNames, KIND } from './file-names.js';
import { inlinedIn } from './inlined-copies.js';
import { UnitLines } from './statements.js';
import { hasCode } from './subprograms.js';
import { hashBytes, hashOf, indexTables, type IndexTable, tableNames } from './symbol-index.js';

/** Rows of all tables: 1.5 GB of memory while they are made. */
const maxRows = 64_000_000;

/** Throws `bad-data` for what cannot be read, `limit` for what is too large. */
export function buildIndex(info: DebugInfo): Record<IndexTable, Uint32Array> {
  const tables = new Map(tableNames.map((name) => [name, new Rows(indexTables[name])]));
  const rows = (name: IndexTable): Rows => tables.get(name) ?? new Rows(indexTables[name]);
  const names = new FileNames(info);
  for (const unit of info.units) {
    names.walk(unit);
    addCode(unit, rows('subprograms'), rows('inlined'));
    addFiles(unit, rows('files'));
  }
  addNames(info, names, rows('names'));
  names.eachLink((from, to) => rows('links').add(to, from));
  return Object.fromEntries(tableNames.map((name) => [name, rows(name).sorted()])) as Record<
    IndexTable,
    Uint32Array
  >;
}

/** A growing column of rows. */
class Rows {
  readonly #words: number;
  #rows = new Uint32Array(1024);
  #length = 0;

  constructor(words: number) {
    this.#words = words;
  }

  add(...row: readonly number[]): void {
    if (this.#length + this.#words > this.#rows.length) {
      if (this.#length > maxRows * this.#words) {
        throw new StillframeError('limit', `cannot make a symbol index of more than ${maxRows} rows`);
      }
      const rows = new Uint32Array(this.#rows.length * 2);
      rows.set(this.#rows);
      this.#rows = rows;
    }
    for (const word of row) this.#rows[this.#length++] = word;
  }

  /** By the first number; rows that are equal there stay in their order. */
  sorted(): Uint32Array {
    const count = this.#length / this.#words;
    // The key in the upper half and the place in the lower: numbers that the engine sorts without asking us.
    const keys = new BigUint64Array(count);
    const halves = new Uint32Array(keys.buffer);
    for (let i = 0; i < count; i++) {
      halves[2 * i] = i;
      halves[2 * i + 1] = this.#rows[i * this.#words] ?? 0;
    }
    keys.sort();
    const sorted = new Uint32Array(this.#length);
    for (let i = 0; i < count; i++) {
      const from = (halves[2 * i] ?? 0) * this.#words;
      for (let word = 0; word < this.#words; word++)
        sorted[i * this.#words + word] = this.#rows[from + word] ?? 0;
    }
    return sorted;
  }
}

function addCode(unit: Unit, subprograms: Rows, inlined: Rows): void {
  visitDies(unit, (at, abbreviation) => {
    if (hasCode(abbreviation)) subprograms.add(unit.offset, at);
  });
  inlinedIn(unit, (origin, at, into) => inlined.add(origin, at, into));
}

function addFiles(unit: Unit, files: Rows): void {
  if (unit.isTypeUnit || unit.root.tag === DW_TAG.partial_unit) return;
  const paths = new UnitLines(unit).paths();
  const names = new Set(paths.map((path) => path.slice(path.lastIndexOf('/') + 1)));
  for (const name of names) files.add(hashOf(name), unit.offset);
}

function addNames(info: DebugInfo, names: FileNames, rows: Rows): void {
  const { bytes } = info;
  const strings = info.sections.bytes('debug_str');
  const lineStrings = info.sections.bytes('debug_line_str');
  names.each((kind, place, name, die) => {
    const section = place === 'debug_str' ? strings : place === 'debug_line_str' ? lineStrings : bytes;
    if (place !== 'none') rows.add(hashString(section, name), kind, die);
    else rows.add(0, kind, die);
    if (kind === KIND.enumeration) addEnumerators(info, die, rows);
  });
}

function addEnumerators(info: DebugInfo, enumeration: number, rows: Rows): void {
  for (const child of info.die(enumeration).children()) {
    const name = child.tag === DW_TAG.enumerator ? child.name : undefined;
    if (name !== undefined) rows.add(hashOf(name), ENUMERATOR, enumeration);
  }
}

/** NB: of the bytes as they are; a name that is not UTF-8 is never found by its hash, and is asked for by nobody. */
function hashString(bytes: Uint8Array, start: number): number {
  let end = start;
  while (end < bytes.length && bytes[end] !== 0) end++;
  return hashBytes(bytes, start, end);
}
