/** The embedded store, with the reader of notes that it needs to know what it holds. */
import { openCore } from '../../format/core/read.js';
import type { StillframeNote } from '../../format/core/stillframe-note.js';
import { badData } from '../../format/error.js';
import { openFileSource } from '../snapshot/file-source.js';
import { openStore } from '../store/sqlite.js';

export function openEmbeddedStore(folder: string): ReturnType<typeof openStore> {
  return openStore({ folder, readNote });
}

function readNote(path: string): StillframeNote {
  using source = openFileSource(path);
  const { note } = openCore(source);
  if (note === undefined) throw badData(`cannot store "${path}": it has no STILLFRAME note`);
  return note;
}
