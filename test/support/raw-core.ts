/** A core read in the simplest way: threads' registers, memory, mapped files, auxiliary vector. */
import { readFileSync } from 'node:fs';
import { absent } from '../../format/absent.js';
import { ByteCursor } from '../../format/bytes.js';
import { bufferSource, openElf } from '../../format/elf/open.js';
import type { MemoryReader } from '../../format/memory.js';
import type { MappedFile } from '../../controller/snapshot/mapped-files.js';

export interface RawCore {
  readonly threads: readonly { readonly tid: number; readonly registers: Uint8Array }[];
  readonly memory: MemoryReader;
  readonly files: readonly MappedFile[];
  readonly auxv: Uint8Array;
  readonly executable: readonly { readonly start: bigint; readonly end: bigint }[];
}

export function readRawCore(path: string): RawCore {
  const elf = openElf(bufferSource(path, readFileSync(path)));
  const notes = elf.notes();
  const loads = elf.segments.filter((segment) => segment.type === 1);
  const threads = notes
    .filter((note) => note.owner === 'CORE' && note.type === 1)
    .map(({ description }) => ({
      tid: new ByteCursor(description, 'prstatus', 32).u32(),
      registers: description.subarray(112, 112 + 216),
    }));
  const fileNote = notes.find((note) => note.type === 0x4649_4c45)?.description ?? new Uint8Array(16);
  const memory: MemoryReader = {
    read(address, length) {
      const segment = loads.find(
        (each) =>
          address >= each.virtualAddress &&
          address + BigInt(length) <= each.virtualAddress + BigInt(each.fileSize),
      );
      if (segment === undefined) return absent('not-captured', 'not in the core', { address, length });
      const offset = segment.offset + Number(address - segment.virtualAddress);
      return { bytes: elf.source.read(offset, length), provenance: 'stopped' };
    },
  };
  return {
    threads,
    memory,
    files: parseFiles(fileNote),
    auxv: notes.find((note) => note.owner === 'CORE' && note.type === 6)?.description ?? new Uint8Array(),
    executable: loads
      .filter((segment) => (segment.flags & 1) !== 0)
      .map((segment) => ({
        start: segment.virtualAddress,
        end: segment.virtualAddress + segment.memorySize,
      })),
  };
}

function parseFiles(description: Uint8Array): MappedFile[] {
  const cursor = new ByteCursor(description, 'NT_FILE');
  const count = cursor.size64();
  const pageSize = cursor.size64();
  const rows = Array.from({ length: count }, () => ({
    start: cursor.u64(),
    end: cursor.u64(),
    fileOffset: cursor.size64() * pageSize,
  }));
  return rows.map((row) => ({ ...row, path: cursor.cstring() }));
}
