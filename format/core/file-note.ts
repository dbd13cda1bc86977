/**
 * NT_FILE: which file is mapped where. Debuggers take memory that a core does not have from these files, so a snapshot lists only
 * mappings whose bytes are sure to be those of the file; {@link pristineMappings} chooses them.
 */
import { ByteCursor, ByteWriter } from '../bytes.js';
import type { Mapping } from '../capture.js';
import { pageBytes } from './constants.js';

export interface FileMapping {
  readonly start: bigint;
  readonly end: bigint;
  readonly fileOffset: number;
  readonly path: string;
}

const maxMappings = 65_536;

export function encodeFileNote(mappings: readonly FileMapping[]): Uint8Array {
  const writer = new ByteWriter();
  writer.u64(BigInt(mappings.length)).u64(BigInt(pageBytes));
  for (const { start, end, fileOffset } of mappings) {
    writer
      .u64(start)
      .u64(end)
      .u64(BigInt(Math.floor(fileOffset / pageBytes)));
  }
  for (const { path } of mappings) writer.cstring(path);
  return writer.finish();
}

export function parseFileNote(description: Uint8Array, name: string): FileMapping[] {
  const cursor = new ByteCursor(description, `NT_FILE of "${name}"`);
  const count = cursor.size64();
  const pageSize = cursor.size64();
  if (count > maxMappings || count * 24 > cursor.remaining) throw cursor.error(`${count} mappings`, 0);
  const spans = Array.from({ length: count }, () => ({
    start: cursor.u64(),
    end: cursor.u64(),
    pages: cursor.size64(),
  }));
  return spans.map(({ start, end, pages }) => {
    if (end < start) throw cursor.error('a mapping that ends before it starts');
    const fileOffset = pages * pageSize;
    if (!Number.isSafeInteger(fileOffset)) throw cursor.error('a file offset beyond 2^53');
    return { start, end, fileOffset, path: cursor.cstring() };
  });
}

/**
 * The mappings of files whose memory is the file's: not writable, and not a part of a writable segment that
 * the dynamic linker relocated and then protected (RELRO). The last mapping of every module comes from its writable segment, and so may
 * the read-only one right before it; where it cannot be told apart it is left out, for a debugger would show
 * the file's bytes as if they were the process's. A file that is no longer there is marked as the kernel marks it, so that nobody
 * reads another one that took its name.
 */
export function pristineMappings(mappings: readonly Mapping[]): FileMapping[] {
  return mappings
    .filter((mapping, i) => {
      if (!mapping.path.startsWith('/') || mapping.permissions[1] === 'w') return false;
      if (mapping.permissions[2] === 'x') return true;
      const next = sameFile(mapping, mappings[i + 1]);
      // Read-only and last of its file, or last before the writable one: what RELRO looks like.
      return next !== undefined && next.permissions[1] !== 'w';
    })
    .map(({ start, end, fileOffset, path, deleted }) => ({
      start,
      end,
      fileOffset,
      path: deleted ? `${path} (deleted)` : path,
    }));
}

function sameFile(mapping: Mapping, next: Mapping | undefined): Mapping | undefined {
  const same = next !== undefined && next.path === mapping.path && next.inode === mapping.inode;
  return same ? next : undefined;
}
