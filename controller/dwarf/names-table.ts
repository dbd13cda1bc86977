/**
 * `.debug_names` (DWARF5 6.1.1): which units have DIEs of a name. A file has one table, or one for each object that was linked. Hash tables
 * are not relied on: a name is found by the offsets of its text, as everywhere.
 */
import type { ByteCursor } from '../../format/bytes.js';
import { formStep } from './abbrev.js';
import { readForm } from './form.js';
import { type DebugSections, type Encoding, readInitialLength, readOffset } from './sections.js';

const DW_IDX_compile_unit = 1;
const DW_IDX_type_unit = 2;

/** One table: the units that it speaks of, by offset in `.debug_info`, and its names. */
export interface NamesTable {
  readonly units: readonly number[];
  /** `text` has the offsets in `.debug_str` where the name stands. Offsets of units; those of type units are left out. */
  unitsOf(text: ReadonlySet<number>): ReadonlySet<number>;
}

interface EntryShape {
  readonly indices: readonly number[];
  readonly forms: readonly number[];
}

/** All tables of the section; throws `bad-data`. */
export function parseNamesTables(sections: DebugSections): NamesTable[] {
  const tables: NamesTable[] = [];
  const { length } = sections.bytes('debug_names');
  for (let offset = 0; offset < length;) {
    const cursor = sections.at('debug_names', offset);
    const { length: size, offsetSize } = readInitialLength(cursor);
    const end = cursor.offset + size;
    tables.push(parseTable(sections, cursor, offsetSize, end));
    offset = end;
  }
  return tables;
}

function parseTable(sections: DebugSections, cursor: ByteCursor, offsetSize: 4 | 8, end: number): NamesTable {
  const at = cursor.offset;
  const version = cursor.u16();
  if (version !== 5) throw cursor.error(`name table of version ${version}`, at);
  cursor.skip(2);
  const unitCount = cursor.u32();
  const typeUnitCount = cursor.u32();
  const foreignCount = cursor.u32();
  const bucketCount = cursor.u32();
  const nameCount = cursor.u32();
  const abbreviationsSize = cursor.u32();
  // NB: its size is rounded up to words, though gdb's is not.
  cursor.skip(Math.ceil(cursor.u32() / 4) * 4);
  const units = readOffsets(cursor, unitCount, offsetSize, end);
  cursor.skip(typeUnitCount * offsetSize + foreignCount * 8);
  cursor.skip(bucketCount * 4 + (bucketCount > 0 ? nameCount * 4 : 0));
  const names = cursor.offset;
  const entries = names + nameCount * offsetSize;
  const abbreviations = entries + nameCount * offsetSize;
  const pool = abbreviations + abbreviationsSize;
  if (pool > end) throw cursor.error(`name table of ${nameCount} names is longer than its unit`, at);
  const encoding: Encoding = { version: 5, offsetSize, addressSize: 8 };
  const shapes = parseShapes(sections.at('debug_names', abbreviations), pool, encoding);
  return {
    units,
    unitsOf(text) {
      const found = new Set<number>();
      for (let i = 0; i < nameCount; i++) {
        const string = readOffset(sections.at('debug_names', names + i * offsetSize), offsetSize);
        if (!text.has(string)) continue;
        const entry = readOffset(sections.at('debug_names', entries + i * offsetSize), offsetSize);
        const list = sections.at('debug_names', pool + entry);
        for (const index of entryUnits(list, shapes, end, encoding, unitCount)) {
          const unit = units[index];
          if (unit === undefined) throw list.error(`unit ${index} of ${unitCount}`);
          found.add(unit);
        }
      }
      return found;
    },
  };
}

function readOffsets(cursor: ByteCursor, count: number, offsetSize: 4 | 8, end: number): number[] {
  if (cursor.offset + count * offsetSize > end) throw cursor.error(`${count} units in a name table`);
  return Array.from({ length: count }, () => readOffset(cursor, offsetSize));
}

function parseShapes(cursor: ByteCursor, end: number, encoding: Encoding): Map<number, EntryShape> {
  const shapes = new Map<number, EntryShape>();
  while (cursor.offset < end) {
    const code = cursor.ulebNumber();
    if (code === 0) break;
    cursor.ulebNumber(); // the tag
    const indices: number[] = [];
    const forms: number[] = [];
    for (;;) {
      const index = cursor.ulebNumber();
      const form = cursor.ulebNumber();
      if (index === 0 && form === 0) break;
      if (formStep(form, encoding) === undefined) throw cursor.error(`unknown form 0x${form.toString(16)}`);
      indices.push(index);
      forms.push(form);
    }
    shapes.set(code, { indices, forms });
  }
  return shapes;
}

/** Indices of the units of one list of entries. A table of one unit need not write them. */
function* entryUnits(
  cursor: ByteCursor,
  shapes: ReadonlyMap<number, EntryShape>,
  end: number,
  encoding: Encoding,
  unitCount: number,
): Generator<number> {
  while (cursor.offset < end) {
    const at = cursor.offset;
    const code = cursor.ulebNumber();
    if (code === 0) return;
    const shape = shapes.get(code);
    if (shape === undefined) throw cursor.error(`unknown abbreviation ${code}`, at);
    let unit = unitCount === 1 ? 0 : undefined;
    let isType = false;
    for (const [i, form] of shape.forms.entries()) {
      const value = readForm(cursor, form, undefined, { ...encoding, offset: 0 });
      if (shape.indices[i] === DW_IDX_type_unit) isType = true;
      if (shape.indices[i] === DW_IDX_compile_unit && value.kind === 'constant') unit = Number(value.value);
    }
    if (isType) continue;
    if (unit === undefined) throw cursor.error('an entry without a unit', at);
    // NB: the shared cursor is moved by whoever takes this.
    const next = cursor.offset;
    yield unit;
    cursor.offset = next;
  }
}
