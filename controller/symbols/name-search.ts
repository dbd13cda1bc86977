/**
 * Which units may have a name, by looking for it: a name is a string, its place in a string section is a number that stands in the DIE,
 * and bytes are found faster than DIEs are read. Never misses a unit; one that it gives may have the bytes by chance.
 */
import { DW_AT } from '../dwarf/constants.js';
import { offsetsOfString } from '../dwarf/string.js';
import type { DebugInfo, Unit } from '../dwarf/unit.js';

/** Of a short name that ends many others, each place would have to be looked for: then reading all DIEs is no slower. */
const maxPlaces = 16;
/** Beyond that, the bytes are everywhere. */
const maxHits = 100_000;

export class NameSearch {
  readonly #info: DebugInfo;
  /** Units whose names are indices, by the offset of the first entry of their string offsets, ascending. */
  #tables: readonly { readonly base: number; readonly units: readonly Unit[] }[] | undefined;

  constructor(info: DebugInfo) {
    this.#info = info;
  }

  /** Units that may have a DIE of a name, in order; undefined where it is quicker to read all of them. */
  unitsOf(name: string): readonly Unit[] | undefined {
    const { sections, supplementary } = this.#info;
    const inStr = offsetsOfString(sections, 'debug_str', name);
    const numbers = new Set(inStr);
    for (const at of offsetsOfString(sections, 'debug_line_str', name)) numbers.add(at);
    if (supplementary !== undefined) {
      for (const at of offsetsOfString(supplementary.sections, 'debug_str', name)) numbers.add(at);
    }
    if (numbers.size > maxPlaces) return undefined;
    const found = new Set<Unit>();
    let hits = 0;
    for (const needle of [Buffer.from(`${name}\0`, 'utf8'), ...[...numbers].map(little32)]) {
      for (const at of this.#info.search(needle)) {
        if (++hits > maxHits) return undefined;
        const unit = this.#info.unitContaining(at);
        if (unit !== undefined) found.add(unit);
      }
    }
    for (const offset of inStr) for (const unit of this.#unitsByIndex(offset)) found.add(unit);
    return [...found].toSorted((a, b) => a.offset - b.offset);
  }

  /** Those that have an offset of `.debug_str` among their string offsets (DW_FORM_strx). */
  *#unitsByIndex(offset: number): Generator<Unit> {
    const { sections } = this.#info;
    if (!sections.has('debug_str_offsets')) return;
    const tables = (this.#tables ??= this.#readTables());
    for (const at of sections.search('debug_str_offsets', little32(offset))) {
      let low = 0;
      let high = tables.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((tables[middle]?.base ?? 0) <= at) low = middle + 1;
        else high = middle;
      }
      yield* tables[low - 1]?.units ?? [];
    }
  }

  #readTables(): { readonly base: number; readonly units: readonly Unit[] }[] {
    const byBase = new Map<number, Unit[]>();
    for (const unit of this.#info.units) {
      const base = unit.root.sectionOffset(DW_AT.str_offsets_base);
      if (base === undefined) continue;
      const units = byBase.get(base);
      if (units === undefined) byBase.set(base, [unit]);
      else units.push(unit);
    }
    return [...byBase].map(([base, units]) => ({ base, units })).toSorted((a, b) => a.base - b.base);
  }
}

/** NB: of 64-bit DWARF, the lower half of what it writes. */
function little32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}
