/**
 * Content-addressed files: `blobs/ab/abcd…` holds the bytes whose SHA-256 is that name. A file appears under its name only when
 * it is whole and on disk, so what is there is right.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { badData } from '../../format/error.js';
import { endSparse, writeSparse } from './sparse-file.js';

const namePattern = /^[0-9a-f]{64}$/;
const incomingAgeMs = 3600_000;
/** Where the writer's process is not there any more; it may be one of another pid namespace, that is silent for a while. */
const orphanAgeMs = 60_000;

export function blobPath(folder: string, sha256: string): string {
  if (!namePattern.test(sha256)) throw badData(`cannot name a blob: "${sha256}" is no SHA-256`);
  return join(folder, 'blobs', sha256.slice(0, 2), sha256);
}

export interface BlobWriter extends Disposable {
  write(bytes: Uint8Array): void;
  /** Checks, makes durable, and moves into place; gives the path. */
  commit(): string;
}

/** Collects a blob of known size and hash in a file of its own; disposing before `commit` removes it. */
export function writeBlob(
  folder: string,
  announced: { readonly size: number; readonly sha256: string },
): BlobWriter {
  const path = blobPath(folder, announced.sha256);
  const incoming = join(folder, 'incoming');
  mkdirSync(incoming, { recursive: true, mode: 0o700 });
  const scratch = join(incoming, `${process.pid}-${randomBytes(6).toString('hex')}`);
  let fd: number | undefined = openSync(scratch, 'wx', 0o600);
  const hash = createHash('sha256');
  let size = 0;

  const close = (): void => {
    if (fd === undefined) return;
    closeSync(fd);
    fd = undefined;
  };
  return {
    write(bytes) {
      if (fd === undefined) throw new Error('the blob is closed');
      const position = size;
      size += bytes.length;
      if (size > announced.size) {
        throw badData(`cannot store a snapshot: more than the announced ${announced.size} bytes came`);
      }
      hash.update(bytes);
      writeSparse(fd, bytes, position);
    },
    commit() {
      if (fd === undefined) throw new Error('the blob is closed');
      if (size !== announced.size) {
        throw badData(`cannot store a snapshot: ${size} bytes came, ${announced.size} were announced`);
      }
      const sha256 = hash.digest('hex');
      if (sha256 !== announced.sha256) {
        throw badData(`cannot store a snapshot: its SHA-256 is ${sha256}, ${announced.sha256} was announced`);
      }
      endSparse(fd, size);
      fsyncSync(fd);
      close();
      const parent = dirname(path);
      if (!existsSync(parent)) {
        mkdirSync(parent, { recursive: true, mode: 0o700 });
        syncFolder(dirname(parent));
      }
      renameSync(scratch, path);
      syncFolder(parent);
      return path;
    },
    [Symbol.dispose]() {
      close();
      rmSync(scratch, { force: true });
    },
  };
}

/** A rename is durable when its folder is. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Names of all blobs. */
export function listBlobs(folder: string): string[] {
  const blobs = join(folder, 'blobs');
  if (!existsSync(blobs)) return [];
  return readdirSync(blobs)
    .flatMap((prefix) => readdirSync(join(blobs, prefix)))
    .filter((name) => namePattern.test(name));
}

/** Removes what writers that were killed left behind. */
export function sweepIncoming(folder: string, nowMs: number): void {
  const incoming = join(folder, 'incoming');
  if (!existsSync(incoming)) return;
  for (const name of readdirSync(incoming)) {
    const status = statSync(join(incoming, name), { throwIfNoEntry: false });
    const isOrphan = !existsSync(`/proc/${/^\d+/.exec(name)?.[0] ?? ''}`);
    if (status !== undefined && nowMs - status.mtimeMs > (isOrphan ? orphanAgeMs : incomingAgeMs)) {
      rmSync(join(incoming, name), { force: true });
    }
  }
}
