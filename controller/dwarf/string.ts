/** `.debug_str`, `.debug_line_str` and `.debug_str_offsets` (DWARF5 7.26). */
import type { LazyBytes } from './lazy-bytes.js';
import { type DebugSections, readOffset } from './sections.js';

/** The NUL-terminated string at an offset; bytes that are not UTF-8 become U+FFFD. */
export function stringAt(
  sections: DebugSections,
  section: 'debug_str' | 'debug_line_str',
  offset: number,
): string {
  const lazy = sections.lazy(section);
  const bytes = lazy?.bytes ?? sections.bytes(section);
  if (!(offset >= 0 && offset < bytes.length)) {
    throw sections.error(section, `it has ${bytes.length} bytes`, offset);
  }
  const nul = lazy === undefined ? bytes.indexOf(0, offset) : endOfString(lazy, offset);
  if (nul < 0) throw sections.error(section, 'string without end', offset);
  return textOf(bytes, offset, nul);
}

const firstPieceBytes = 256;

/** NB: what is not loaded yet is zeros. */
function endOfString(lazy: LazyBytes, offset: number): number {
  const { bytes } = lazy;
  for (let length = firstPieceBytes; ; length *= 4) {
    const end = Math.min(offset + length, bytes.length);
    lazy.load(offset, end);
    const nul = bytes.subarray(offset, end).indexOf(0);
    if (nul >= 0) return offset + nul;
    if (end === bytes.length) return -1;
  }
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
export function offsetsOfString(
  sections: DebugSections,
  section: 'debug_str' | 'debug_line_str',
  text: string,
): ReadonlySet<number> {
  return sections.offsetsOfText(section, text);
}
