/** Cores are mostly holes: pages of zeros are passed over when a file is written anew, so that it takes no more of a disk than what is in it. */
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';

const pageBytes = 4096;
const pieceBytes = 1024 * 1024;
const zeros = Buffer.alloc(pageBytes);

/** Writes to a file that has nothing from `position` on. The last bytes may be a hole: {@link endSparse} makes it part of the file. */
export function writeSparse(fd: number, bytes: Uint8Array, position: number): void {
  let from = -1;
  for (let at = 0; at < bytes.length;) {
    // Pages of the file, not of the piece, are what holes are made of.
    const end = Math.min(bytes.length, at + pageBytes - ((position + at) % pageBytes));
    const isHole = zeros.compare(bytes, at, end, 0, end - at) === 0;
    if (!isHole && from < 0) from = at;
    if (isHole && from >= 0) {
      writeAll(fd, bytes.subarray(from, at), position + from);
      from = -1;
    }
    at = end;
  }
  if (from >= 0) writeAll(fd, bytes.subarray(from), position + from);
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/** Gives the file its size. */
export function endSparse(fd: number, size: number): void {
  ftruncateSync(fd, size);
}

/** Copies a file to one that is emptied first, or to a device or a pipe, which has no holes. Throws what node:fs throws. */
export function copySparse(path: string, target: string, options: { readonly isPlain: boolean }): void {
  const source = openSync(path, 'r');
  try {
    const fd = openSync(target, 'w', 0o600);
    try {
      const piece = Buffer.alloc(pieceBytes);
      let position = 0;
      for (;;) {
        const length = readSync(source, piece, 0, piece.length, position);
        if (length === 0) break;
        const bytes = piece.subarray(0, length);
        if (options.isPlain) writeSparse(fd, bytes, position);
        else for (let done = 0; done < length;) done += writeSync(fd, bytes, done);
        position += length;
      }
      if (options.isPlain) endSparse(fd, position);
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(source);
  }
}
