/** Links to the supplementary file that dwz moves what several files have in common into. */
import { ByteCursor } from '../../format/bytes.js';
import type { ElfFile } from '../../format/elf/file.js';

/** The path and the checksum (a build id) of the supplementary file: `.gnu_debugaltlink`, or `.debug_sup` (DWARF5 7.3.6). */
export function supplementaryLink(elf: ElfFile): { path: string; buildId: string } | undefined {
  const alternate = elf.sectionBytes('.gnu_debugaltlink');
  if (alternate !== undefined) {
    const cursor = new ByteCursor(alternate, `.gnu_debugaltlink of "${elf.source.name}"`);
    return { path: cursor.cstring(), buildId: hex(cursor.take(cursor.remaining)) };
  }
  const cursor = supplementaryHeader(elf);
  if (cursor === undefined || cursor.u8() !== 0) return undefined;
  return { path: cursor.cstring(), buildId: hex(cursor.take(cursor.ulebNumber())) };
}

/** What a supplementary file says of itself. */
export function supplementaryChecksum(elf: ElfFile): string | undefined {
  const cursor = supplementaryHeader(elf);
  if (cursor === undefined || cursor.u8() !== 1) return undefined;
  cursor.cstring();
  return hex(cursor.take(cursor.ulebNumber()));
}

function supplementaryHeader(elf: ElfFile): ByteCursor | undefined {
  const bytes = elf.sectionBytes('.debug_sup');
  if (bytes === undefined) return undefined;
  const cursor = new ByteCursor(bytes, `.debug_sup of "${elf.source.name}"`);
  const version = cursor.u16();
  if (version < 2 || version > 5) throw cursor.error(`version ${version}`, 0);
  return cursor;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
