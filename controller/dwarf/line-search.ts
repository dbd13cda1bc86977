/** Which line tables may name a file, by looking for its name instead of reading every header. Never misses a table. */
import { StillframeError } from '../../format/error.js';
import { DW_FORM, DW_LNCT } from './constants.js';
import { searchIn } from './lazy-bytes.js';
import { type DebugSections, readOffset } from './sections.js';

/** Places that a name may be referred to by; a name that ends more others is looked for by reading the headers. */
const maxPlaces = 64;
/** Of a header, as far as the forms of its paths. */
const maxStartBytes = 512;

/** Offsets of the tables that may have a file of that last path component; undefined where the headers must be read to know. */
export function tablesNaming(sections: DebugSections, baseName: string): ReadonlySet<number> | undefined {
  if (baseName === '') return undefined;
  try {
    const tables = readTables(sections);
    const places = placesOf(sections, baseName);
    if (tables === undefined || places === undefined) return undefined;
    const found = new Set<number>();
    for (const needle of places) {
      for (const at of sections.search('debug_line', needle)) {
        const table = lastBefore(tables, at);
        if (table !== undefined) found.add(table);
      }
    }
    return found;
  } catch (error) {
    // Whoever reads the headers says what is wrong with which.
    if (error instanceof StillframeError) return undefined;
    throw error;
  }
}

/** Bytes one of which stands in the header of every such table: the name itself, or an offset where a string ends with it. */
function placesOf(sections: DebugSections, baseName: string): Uint8Array[] | undefined {
  const name = Buffer.from(`${baseName}\0`, 'utf8');
  const places: Uint8Array[] = [name];
  const strings = sections.bytes('debug_line_str');
  for (const end of searchIn(strings, name)) {
    for (let at = end; at >= 0 && (at === end || strings[at] !== 0); at--) {
      if (places.length > maxPlaces) return undefined;
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(at);
      places.push(bytes);
    }
  }
  return places;
}

/** Where each table begins, ascending; undefined where paths are written in a form that is not looked for. */
function readTables(sections: DebugSections): number[] | undefined {
  const tables: number[] = [];
  const total = sections.sizeOf('debug_line');
  for (let offset = 0; offset < total;) {
    const cursor = sections.part('debug_line', offset, Math.min(maxStartBytes, total - offset));
    // NB: readInitialLength wants all of the table to be there.
    const first = cursor.u32();
    const offsetSize = first === 0xffff_ffff ? 8 : 4;
    const end = offsetSize === 8 ? cursor.size64() + cursor.offset : first + cursor.offset;
    const version = cursor.u16();
    if (version < 2 || version > 5) return undefined;
    if (version === 5) {
      cursor.skip(2);
      readOffset(cursor, offsetSize);
      cursor.skip(5);
      cursor.skip(Math.max(0, cursor.u8() - 1));
      for (let count = cursor.u8(); count > 0; count--) {
        const content = cursor.ulebNumber();
        const form = cursor.ulebNumber();
        const isLookedFor = form === DW_FORM.line_strp || form === DW_FORM.string;
        if (content === DW_LNCT.path && !isLookedFor) return undefined;
      }
    }
    tables.push(offset);
    offset = end;
  }
  return tables;
}

function lastBefore(tables: readonly number[], at: number): number | undefined {
  let low = 0;
  let high = tables.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tables[middle] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return tables[low - 1];
}
