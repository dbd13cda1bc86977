/** Fields of our own compact forms: what has a length has it in front, in ULEB128. */
import type { ByteCursor, ByteWriter } from './bytes.js';

export function writeBytes(out: ByteWriter, bytes: Uint8Array): void {
  out.uleb(bytes.length).raw(bytes);
}

export function readBytes(cursor: ByteCursor): Uint8Array {
  // NB: `slice` of a Buffer is no copy.
  return new Uint8Array(cursor.take(cursor.ulebNumber()));
}

export function writeText(out: ByteWriter, text: string): void {
  writeBytes(out, new TextEncoder().encode(text));
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws `bad-data` for what is not UTF-8. */
export function readText(cursor: ByteCursor): string {
  const at = cursor.offset;
  const bytes = cursor.take(cursor.ulebNumber());
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw cursor.error('text that is not UTF-8', at);
  }
}

export function readList<T>(cursor: ByteCursor, read: () => T): T[] {
  const at = cursor.offset;
  const count = cursor.ulebNumber();
  // Every entry has at least one byte.
  if (count > cursor.remaining) throw cursor.error(`${count} entries in ${cursor.remaining} bytes`, at);
  return Array.from({ length: count }, read);
}
