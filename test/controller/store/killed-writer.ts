/** Puts a snapshot into a store and kills itself with -9 at a named step. usage: killed-writer FOLDER ID STEP */
import { createHash } from 'node:crypto';
import { openStore } from '../../../controller/store/sqlite.js';
import { readTestNote, snapshotBytes } from './snapshot-bytes.js';

const [folder = '', id = '', step = ''] = process.argv.slice(2);
let reached = false;
const at = (name: string): void => {
  if (step !== name) return;
  reached = true;
  process.kill(process.pid, 'SIGKILL');
};

using store = openStore({
  folder,
  readNote(path) {
    // The file is in place, the row is not yet written.
    at('before-index');
    return readTestNote(path);
  },
});
const bytes = snapshotBytes({ snapshot: id });
const sha256 = createHash('sha256').update(bytes).digest('hex');
using writer = store.receive({ id, size: bytes.length, sha256 });
at('before-write');
writer.write(bytes.subarray(0, 50));
at('half-written');
writer.write(bytes.subarray(50));
at('before-commit');
writer.commit();
at('after-commit');
if (step !== 'never' && !reached) process.exitCode = 3;
