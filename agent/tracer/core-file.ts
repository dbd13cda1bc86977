/**
 * Writes a core to a file as it is read from a copied process: nothing but one chunk is ever in memory, pages of zeros become holes, and a
 * file that could not be finished (the disk is full, the copy was killed) is removed.
 */
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { StillframeError } from '../../format/error.js';
import { hex } from '../../format/address.js';
import type { CorePiece } from './core-memory.js';

export interface CoreFileContent {
  readonly head: Uint8Array;
  readonly pieces: readonly CorePiece[];
  /** Of each piece, multiples of a page. */
  readonly offsets: readonly number[];
  readonly size: number;
  /** Where the memory is read from. */
  readonly pid: number;
  /** Asked before each chunk: throws when no more may be read. */
  readonly checkStay: () => void;
}

export interface WrittenCore {
  /** Without holes. */
  readonly storedBytes: number;
  readonly durationMs: number;
}

/** Called now and then with the bytes of memory that are done, holes included. */
export type CoreProgress = (doneBytes: number, totalBytes: number) => void;

const chunkBytes = 4 * 1024 * 1024;
const pageBytes = 4096;
const zeros = Buffer.alloc(pageBytes);
const progressMs = 250;

/** `path` must not exist yet. */
export async function writeCoreFile(
  path: string,
  content: CoreFileContent,
  progress: CoreProgress,
): Promise<WrittenCore> {
  const beganMs = performance.now();
  const file = await opened(path);
  try {
    await using held = { [Symbol.asyncDispose]: () => file.close() };
    void held;
    const writer = new SparseWriter(file, path);
    await writer.writeAll(content.head, 0);
    await copyMemory(content, writer, progress);
    await writer.finish(content.size);
    return { storedBytes: writer.storedBytes, durationMs: performance.now() - beganMs };
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw error;
  }
}

async function copyMemory(
  content: CoreFileContent,
  writer: SparseWriter,
  progress: CoreProgress,
): Promise<void> {
  const { pieces, offsets, pid } = content;
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const memory = await open(`/proc/${pid}/mem`, 'r');
  await using held = { [Symbol.asyncDispose]: () => memory.close() };
  void held;
  // While one is written the next is read.
  const buffers = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)];
  let writing: Promise<void> = Promise.resolve();
  let done = 0;
  let toldMs = performance.now();
  let turn = 0;
  for (const [i, piece] of pieces.entries()) {
    for (let at = 0; at < piece.length; at += chunkBytes) {
      const buffer = buffers[turn++ % 2];
      if (buffer === undefined) return;
      const chunk = buffer.subarray(0, Math.min(chunkBytes, piece.length - at));
      content.checkStay();
      await fill(memory, chunk, piece.address + BigInt(at));
      await writing;
      writing = writer.writeSparse(chunk, (offsets[i] ?? 0) + at);
      // It is awaited after the next read, which may fail first.
      writing.catch(() => undefined);
      done += chunk.length;
      if (performance.now() - toldMs > progressMs) {
        toldMs = performance.now();
        progress(done, total);
      }
    }
  }
  await writing;
  progress(done, total);
}

/** All of it: the copy stands still, and what was there stays there, or else the copy is gone. */
async function fill(memory: FileHandle, chunk: Buffer, address: bigint): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const position = Number(address) + done;
    const { bytesRead } = await memory
      .read(chunk, done, chunk.length - done, position)
      .catch((error: unknown) => {
        throw unreadable(address + BigInt(done), error);
      });
    if (bytesRead === 0) throw unreadable(address + BigInt(done), undefined);
    done += bytesRead;
  }
}

function unreadable(address: bigint, cause: unknown): StillframeError {
  const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'it is gone';
  return new StillframeError('system', `cannot read ${hex(address)} of the copy of the process: ${why}`, {
    detail: { address },
    cause,
    hint: 'the kernel may have killed the copy for want of memory: dmesg tells',
  });
}

class SparseWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  storedBytes = 0;

  constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  async writeAll(bytes: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#file
        .write(bytes, done, bytes.length - done, offset + done)
        .catch((error: unknown) => {
          throw writeError(this.#path, error);
        });
      done += bytesWritten;
    }
    this.storedBytes += bytes.length;
  }

  /** Pages of zeros are passed over. */
  async writeSparse(chunk: Buffer, offset: number): Promise<void> {
    let from = -1;
    for (let at = 0; at <= chunk.length; at += pageBytes) {
      const end = Math.min(at + pageBytes, chunk.length);
      const isData = at < chunk.length && chunk.compare(zeros, 0, end - at, at, end) !== 0;
      if (isData && from < 0) from = at;
      if (isData || from < 0) continue;
      await this.writeAll(chunk.subarray(from, at), offset + from);
      from = -1;
    }
    if (from >= 0) await this.writeAll(chunk.subarray(from), offset + from);
  }

  /** A hole at the end is part of the file, too. */
  async finish(size: number): Promise<void> {
    await this.#file.truncate(size).catch((error: unknown) => {
      throw writeError(this.#path, error);
    });
  }
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (error) {
    throw writeError(path, error);
  }
}

const hints: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: a smaller --bytes, or another folder for the spool (stillframe agent --spool)',
  EDQUOT:
    'the quota is used up: a smaller --bytes, or another folder for the spool (stillframe agent --spool)',
  EROFS: 'the disk is read-only: another folder for the spool (stillframe agent --spool)',
  EFBIG: 'the file system, or RLIMIT_FSIZE, allows no file as large: a smaller --bytes',
};

function writeError(path: string, cause: unknown): StillframeError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  const hint = hints[code];
  return new StillframeError(
    code === 'EACCES' || code === 'EPERM' ? 'denied' : 'system',
    `cannot write the core "${path}": ${code}`,
    { detail: { file: path, errnoName: code }, cause, ...(hint === undefined ? {} : { hint }) },
  );
}
