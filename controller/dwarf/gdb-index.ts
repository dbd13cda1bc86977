/** `.gdb_index` (gdb manual, "Index Section Format"), versions 7 to 9: units of names, and units of addresses. */
import { ByteCursor } from '../../format/bytes.js';
import { type PcRange, toPc } from './sections.js';

export interface GdbIndex {
  /** Offset and length, in `.debug_info`, of every unit that it speaks of. */
  readonly units: readonly { readonly offset: number; readonly length: number }[];
  /** Indices into `units`; of type units, which come after those, nothing is said. */
  unitsOf(name: string): ReadonlySet<number>;
  readonly ranges: () => readonly (PcRange & { readonly unit: number })[];
}

/** Throws `bad-data`, also for versions that have other hashes or say less. */
export function parseGdbIndex(bytes: Uint8Array, name: string): GdbIndex {
  const cursor = new ByteCursor(bytes, name);
  const version = cursor.u32();
  if (version < 7 || version > 9) throw cursor.error(`index of version ${version}`, 0);
  const unitList = cursor.u32();
  const typeList = cursor.u32();
  const addressArea = cursor.u32();
  const symbols = cursor.u32();
  const symbolsEnd = cursor.u32();
  const pool = version >= 9 ? cursor.u32() : symbolsEnd;
  const ordered = [cursor.offset, unitList, typeList, addressArea, symbols, symbolsEnd, pool, bytes.length];
  if (ordered.some((each, i) => i > 0 && each < (ordered[i - 1] ?? 0)))
    throw cursor.error('its parts overlap', 0);
  const slots = Math.floor((symbolsEnd - symbols) / 8);
  if ((slots & (slots - 1)) !== 0) throw cursor.error(`hash table of ${slots} slots`, symbols);
  const units: { offset: number; length: number }[] = [];
  cursor.offset = unitList;
  while (cursor.offset + 16 <= typeList) units.push({ offset: cursor.size64(), length: cursor.size64() });
  const table = { bytes, name, symbols, slots, pool, units: units.length };
  return {
    units,
    unitsOf: (text) => unitsOf(table, text),
    ranges() {
      const ranges: (PcRange & { unit: number })[] = [];
      const area = new ByteCursor(bytes, name, addressArea, symbols);
      while (area.remaining >= 20) {
        const start = toPc(area.u64());
        const end = toPc(area.u64());
        ranges.push({ start, end, unit: area.u32() });
      }
      return ranges;
    },
  };
}

interface SymbolTable {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly symbols: number;
  readonly slots: number;
  readonly pool: number;
  readonly units: number;
}

function unitsOf(table: SymbolTable, text: string): ReadonlySet<number> {
  const { bytes, slots, symbols, pool } = table;
  const cursor = new ByteCursor(bytes, table.name);
  const found = new Set<number>();
  const wanted = Buffer.from(`${text}\0`, 'utf8');
  const hash = hashOf(wanted);
  const step = ((Math.imul(hash, 17) >>> 0) & (slots - 1)) | 1;
  let slot = hash & (slots - 1);
  for (let i = 0; i < slots; i++, slot = (slot + step) & (slots - 1)) {
    cursor.offset = symbols + slot * 8;
    const name = cursor.u32();
    const vector = cursor.u32();
    if (name === 0 && vector === 0) break;
    if (wanted.some((byte, at) => bytes[pool + name + at] !== byte)) continue;
    if (pool + vector > bytes.length) throw cursor.error('a list of units past its end', symbols + slot * 8);
    cursor.offset = pool + vector;
    for (let count = cursor.u32(); count > 0; count--) {
      const unit = cursor.u32() & 0xff_ffff;
      if (unit < table.units) found.add(unit);
    }
    break;
  }
  return found;
}

/** Of the bytes without the NUL, letters in lower case (since version 5 of the index). */
function hashOf(text: Uint8Array): number {
  let hash = 0;
  for (const byte of text) {
    if (byte === 0) break;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte;
    hash = (Math.imul(hash, 67) + lower - 113) >>> 0;
  }
  return hash;
}
