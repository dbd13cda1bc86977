/** Files with debug information as sources of bytes. Nothing is held open: symbols live as long as anything refers to them. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { ByteSource } from '../../format/byte-source.js';
import { StillframeError, badData } from '../../format/error.js';

/** Undefined when there is no such regular file, or it may not be read. */
export function findFileSource(path: string): ByteSource | undefined {
  const first = openRegular(path);
  if (first === undefined) return undefined;
  closeSync(first.fd);
  const { size } = first;
  const fill = (bytes: Uint8Array, offset: number): Uint8Array => {
    if (offset < 0 || offset + bytes.length > size) {
      throw badData(
        `cannot read "${path}": ${bytes.length} bytes at offset 0x${offset.toString(16)} are past its ${size} bytes`,
        { detail: { offset, file: path } },
      );
    }
    const again = openRegular(path);
    // Its sections would not fit together.
    if (again === undefined) throw changed(path);
    try {
      if (again.identity !== first.identity) throw changed(path);
      return readFully(again.fd, path, bytes, offset);
    } finally {
      closeSync(again.fd);
    }
  };
  return {
    name: path,
    size,
    read(offset, length) {
      // Before any memory is taken for it.
      if (length < 0 || length > size) fill(new Uint8Array(0), size + 1);
      return fill(new Uint8Array(length), offset);
    },
    readInto(target, offset) {
      fill(target, offset);
    },
  };
}

interface Opened {
  readonly fd: number;
  readonly size: number;
  readonly identity: string;
}

/** NB: without O_NONBLOCK a pipe in the place of a file would block. */
function openRegular(path: string): Opened | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  const { dev, ino, size, mtimeNs, ...stat } = fstatSync(fd, { bigint: true });
  if (stat.mode === undefined || (Number(stat.mode) & constants.S_IFMT) !== constants.S_IFREG) {
    closeSync(fd);
    return undefined;
  }
  return { fd, size: Number(size), identity: [dev, ino, size, mtimeNs].join(' ') };
}

function changed(path: string): StillframeError {
  return badData(`cannot read "${path}": it was replaced or changed since it was opened`, {
    detail: { file: path },
  });
}

function readFully(fd: number, path: string, bytes: Uint8Array, offset: number): Uint8Array {
  const { length } = bytes;
  for (let done = 0; done < length;) {
    const got = readSync(fd, bytes, done, length - done, offset + done);
    if (got === 0) throw changed(path);
    done += got;
  }
  return bytes;
}
