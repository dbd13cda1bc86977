/**
 * Bytes as a file that has no name, for what reads files: it is gone with the descriptor, so that a process which is killed leaves nothing.
 * open(2) O_TMPFILE; where the file system does not have it, a file that loses its name before anything is written.
 */
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const O_RDWR = 0o2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
/** With O_DIRECTORY in it, as on x86-64; AArch64 has another O_DIRECTORY. */
const O_TMPFILE = process.arch === 'x64' ? 0o20200000 : 0o20040000;

export interface UnnamedFile extends Disposable {
  /** Leads to it in this process, in all threads, until it is disposed of. */
  readonly path: string;
}

export function makeUnnamedFile(bytes: Uint8Array): UnnamedFile {
  const fd = openUnnamed(tmpdir());
  try {
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { path: `/proc/self/fd/${fd}`, [Symbol.dispose]: () => closeSync(fd) };
}

function openUnnamed(folder: string): number {
  try {
    return openSync(folder, O_TMPFILE | O_RDWR, 0o600);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'EOPNOTSUPP' && code !== 'EISDIR') throw error;
    const path = join(folder, `stillframe-${randomBytes(8).toString('hex')}`);
    const fd = openSync(path, O_RDWR | O_CREAT | O_EXCL, 0o600);
    unlinkSync(path);
    return fd;
  }
}
