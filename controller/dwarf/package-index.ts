/**
 * `.debug_cu_index` and `.debug_tu_index` of a DWARF package (DWARF5 7.3.5; version 2 is GNU's, for DWARF 4): where in each section of the
 * package the contribution of one unit is.
 */
import { ByteCursor } from '../../format/bytes.js';
import type { DebugSectionName } from './sections.js';

/** Bytes of a section that belong to one unit. */
export interface Contribution {
  readonly offset: number;
  readonly size: number;
}

export type PackageRow = ReadonlyMap<DebugSectionName, Contribution>;

/** Sections by their number in the index. */
const columns: Readonly<Record<2 | 5, readonly (DebugSectionName | undefined)[]>> = {
  2: [undefined, 'debug_info', 'debug_types', 'debug_abbrev', 'debug_line', 'debug_loc', 'debug_str_offsets'],
  5: [
    undefined,
    'debug_info',
    undefined,
    'debug_abbrev',
    'debug_line',
    'debug_loclists',
    'debug_str_offsets',
    undefined,
    'debug_rnglists',
  ],
};

const maxColumns = 16;

/** Finds the row of a DWO id or a type signature. */
export class PackageIndex {
  readonly #cursor: ByteCursor;
  readonly #names: readonly (DebugSectionName | undefined)[];
  readonly #columns: number;
  readonly #rows: number;
  readonly #slots: number;
  readonly #hashes: number;

  /** Throws `bad-data` unless all tables are inside of `bytes`. */
  constructor(bytes: Uint8Array, name: string) {
    const cursor = new ByteCursor(bytes, name);
    this.#cursor = cursor;
    const first = cursor.u32();
    // Since version 5 the number has two bytes and two of padding.
    const version = first === 2 ? 2 : (first & 0xffff) === 5 ? 5 : undefined;
    if (version === undefined) throw cursor.error(`index of version ${first}`, 0);
    this.#columns = cursor.u32();
    this.#rows = cursor.u32();
    this.#slots = cursor.u32();
    this.#hashes = cursor.offset;
    if (this.#columns > maxColumns) throw cursor.error(`index of ${this.#columns} columns`, 4);
    if ((this.#slots & (this.#slots - 1)) !== 0) throw cursor.error(`hash table of ${this.#slots} slots`, 12);
    cursor.skip(this.#slots * 12);
    const names: (DebugSectionName | undefined)[] = [];
    for (let i = 0; i < this.#columns; i++) names.push(columns[version][cursor.u32()]);
    this.#names = names;
    cursor.skip(this.#rows * this.#columns * 8);
  }

  /** Ids of all rows, in the order of the hash table. */
  *ids(): Generator<bigint> {
    const cursor = this.#cursor;
    for (let slot = 0; slot < this.#slots; slot++) {
      cursor.offset = this.#hashes + this.#slots * 8 + slot * 4;
      if (cursor.u32() === 0) continue;
      cursor.offset = this.#hashes + slot * 8;
      yield cursor.u64();
    }
  }

  find(id: bigint): PackageRow | undefined {
    const mask = this.#slots - 1;
    let slot = Number(id & 0xffff_ffffn) & mask;
    const step = (Number(id >> 32n) & mask) | 1;
    for (let i = 0; i < this.#slots; i++) {
      this.#cursor.offset = this.#hashes + slot * 8;
      const hash = this.#cursor.u64();
      this.#cursor.offset = this.#hashes + this.#slots * 8 + slot * 4;
      const row = this.#cursor.u32();
      if (row === 0) return undefined;
      if (hash === id) return this.#row(row);
      slot = (slot + step) & mask;
    }
    return undefined;
  }

  #row(number: number): PackageRow {
    const cursor = this.#cursor;
    if (number > this.#rows) throw cursor.error(`row ${number} of ${this.#rows}`);
    const offsets = this.#hashes + this.#slots * 12 + this.#columns * 4;
    const row = new Map<DebugSectionName, Contribution>();
    for (const [i, name] of this.#names.entries()) {
      if (name === undefined) continue;
      const at = offsets + ((number - 1) * this.#columns + i) * 4;
      cursor.offset = at;
      const offset = cursor.u32();
      cursor.offset = at + this.#rows * this.#columns * 4;
      row.set(name, { offset, size: cursor.u32() });
    }
    return row;
  }
}
