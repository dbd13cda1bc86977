/** A file as a ByteSource: read piece by piece where it is asked, so that large binaries cost what is looked at. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { ByteSource } from '../../format/byte-source.js';
import { badData, StillframeError } from '../../format/error.js';

export interface FileSource extends ByteSource, Disposable {
  /** Throws `bad-data` when the file was changed since it was opened. */
  readInto(target: Uint8Array, offset: number): void;
}

/** Throws `not-found` when there is no such regular file, `system` when it cannot be read. */
export function openFileSource(path: string): FileSource {
  const fd = openFile(path);
  const stat = fstatSync(fd);
  if (!stat.isFile()) {
    closeSync(fd);
    throw new StillframeError('not-found', `cannot open "${path}": not a regular file`, {
      detail: { file: path },
    });
  }
  const size = stat.size;
  const check = (offset: number, length: number): void => {
    if (offset >= 0 && length >= 0 && offset + length <= size) return;
    throw badData(
      `cannot read "${path}": ${length} bytes at offset 0x${offset.toString(16)} are past its ${size} bytes`,
      { detail: { offset, file: path } },
    );
  };
  const fill = (bytes: Uint8Array, offset: number): Uint8Array => readFully(fd, path, bytes, offset);
  return {
    name: path,
    size,
    read(offset, length) {
      check(offset, length);
      return fill(new Uint8Array(length), offset);
    },
    readInto(target, offset) {
      check(offset, target.length);
      // Large sections are read piece by piece, at any time: pieces of two files would not fit together.
      const now = fstatSync(fd);
      if (now.mtimeMs !== stat.mtimeMs || now.size !== size) {
        throw badData(`cannot read "${path}": it was changed since it was opened`, {
          detail: { file: path },
        });
      }
      fill(target, offset);
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function openFile(path: string): number {
  try {
    // A pipe of that name, which a hostile core may know, must not hold us up.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const errnoName = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    const code = errnoName === 'ENOENT' || errnoName === 'ENOTDIR' ? 'not-found' : 'system';
    throw new StillframeError(code, `cannot open "${path}": ${errnoName}`, {
      detail: { file: path, errnoName },
      cause,
    });
  }
}

function readFully(fd: number, path: string, bytes: Uint8Array, offset: number): Uint8Array {
  const { length } = bytes;
  let done = 0;
  while (done < length) {
    const got = readSync(fd, bytes, done, length - done, offset + done);
    if (got === 0) throw badData(`cannot read "${path}": it became shorter while it was read`);
    done += got;
  }
  return bytes;
}
