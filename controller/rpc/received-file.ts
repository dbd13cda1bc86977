/** A file that a controller sends in pieces: written beside its name and renamed when it is whole, so that half a file is never taken for one. */
import { open, rename, rm, stat } from 'node:fs/promises';
import { badData, withContext } from '../../format/error.js';
import { numberFromLong } from '../../proto/long.js';
import type { Fields } from '../../proto/service.js';
import { endSparse, writeSparse } from '../store/sparse-file.js';
import type { Exported } from '../service/controller-api.js';

/** The stream ends, or throws what it failed with. */
export async function writeFileFrom(chunks: AsyncIterable<Fields<'Chunk'>>, file: string): Promise<Exported> {
  // A device or a pipe is written as it is.
  const isPlain = (await stat(file).catch(() => undefined))?.isFile() ?? true;
  const path = isPlain ? `${file}.part-${process.pid}` : file;
  try {
    const exported = await receive(chunks, path, isPlain);
    if (isPlain) await rename(path, file);
    return exported;
  } catch (error) {
    if (isPlain) await rm(path, { force: true });
    throw error;
  }
}

async function receive(
  chunks: AsyncIterable<Fields<'Chunk'>>,
  path: string,
  isPlain: boolean,
): Promise<Exported> {
  await using file = await openFile(path);
  let head: { readonly id: string; readonly size: number } | undefined;
  let bytes = 0;
  for await (const { id, size, offset, data } of chunks) {
    head ??= { id: id ?? '', size: numberFromLong(size) };
    const piece = data ?? new Uint8Array();
    if (numberFromLong(offset) !== bytes || bytes + piece.length > head.size) {
      throw badData(`cannot write "${path}": a piece that does not follow came after ${bytes} bytes`);
    }
    if (isPlain) writeSparse(file.handle.fd, piece, bytes);
    else await file.handle.writeFile(piece);
    bytes += piece.length;
  }
  if (head === undefined || bytes !== head.size) {
    throw badData(`cannot write "${path}": ${bytes} of ${head?.size ?? 'unknown'} bytes came`);
  }
  if (isPlain) endSparse(file.handle.fd, bytes);
  return { id: head.id, bytes };
}

async function openFile(path: string): Promise<AsyncDisposable & { readonly handle: FileHandle }> {
  try {
    const handle = await open(path, 'w', 0o600);
    return { handle, [Symbol.asyncDispose]: () => handle.close() };
  } catch (error) {
    throw withContext(`cannot write "${path}"`, error);
  }
}

type FileHandle = Awaited<ReturnType<typeof open>>;
