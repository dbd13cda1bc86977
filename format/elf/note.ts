import { ByteCursor } from '../bytes.js';
import { nhdrBytes } from './constants.js';
import type { ElfNote } from './file.js';

/**
 * The notes in the bytes of a PT_NOTE segment or SHT_NOTE section (gABI chapter 5). `alignment` is that of the segment: with 8, as
 * `.note.gnu.property` has, descriptions and notes are padded to 8; anything less means 4, whatever the header says. The padding
 * after the last one may be missing.
 */
export function parseNotes(bytes: Uint8Array, alignment: bigint, name: string): ElfNote[] {
  const pad = alignment === 8n ? 8 : 4;
  const cursor = new ByteCursor(bytes, name);
  const notes: ElfNote[] = [];
  while (cursor.remaining >= nhdrBytes) {
    const nameBytes = cursor.u32();
    const descriptionBytes = cursor.u32();
    const type = cursor.u32();
    const owner = cursor.take(nameBytes);
    alignWithin(cursor, pad);
    const description = cursor.take(descriptionBytes);
    alignWithin(cursor, pad);
    notes.push({ owner: ownerName(owner), type, description });
  }
  if (cursor.take(cursor.remaining).some((byte) => byte !== 0)) {
    throw cursor.error('bytes after the last note');
  }
  return notes;
}

function alignWithin(cursor: ByteCursor, alignment: number): void {
  const padding = (alignment - (cursor.offset % alignment)) % alignment;
  cursor.skip(Math.min(padding, cursor.remaining));
}

/** Owners are NUL-terminated, but not all writers do so. */
function ownerName(bytes: Uint8Array): string {
  const nul = bytes.indexOf(0);
  return Buffer.from(nul < 0 ? bytes : bytes.subarray(0, nul)).toString('latin1');
}
