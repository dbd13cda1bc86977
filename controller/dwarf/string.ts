/** `.debug_str`, `.debug_line_str` and `.debug_str_offsets` (DWARF5 7.26). */
import { type DebugSections, readOffset } from './sections.js';

/** The NUL-terminated string at an offset; bytes that are not UTF-8 become U+FFFD. */
export function stringAt(
  sections: DebugSections,
  section: 'debug_str' | 'debug_line_str',
  offset: number,
): string {
  const bytes = sections.bytes(section);
  if (!(offset >= 0 && offset < bytes.length)) {
    throw sections.error(section, `it has ${bytes.length} bytes`, offset);
  }
  const nul = bytes.indexOf(0, offset);
  if (nul < 0) throw sections.error(section, 'string without end', offset);
  return textOf(bytes, offset, nul);
}

export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8', start, end);
}

/** The `.debug_str` offset that an index stands for. */
export function stringOffsetAt(
  sections: DebugSections,
  base: number,
  index: number,
  offsetSize: 4 | 8,
): number {
  return readOffset(sections.at('debug_str_offsets', base + index * offsetSize), offsetSize);
}

/**
 * Every offset in a string section where a string with exactly these characters begins, be it the tail of a longer one.
 * With it a name is compared by integer while DIEs are walked.
 */
export function offsetsOfString(bytes: Uint8Array, text: string): ReadonlySet<number> {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const needle = Buffer.from(`${text}\0`, 'utf8');
  const found = new Set<number>();
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) found.add(at);
  return found;
}
