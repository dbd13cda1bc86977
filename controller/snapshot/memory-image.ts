/**
 * An ELF file as it lies in a process's memory: its header page is in most cores, the vdso is as a whole. Gives the build id that was
 * running, for comparison with the file on disk.
 */
import { isAbsent } from '../../format/absent.js';
import { openElf, bufferSource } from '../../format/elf/open.js';
import type { ElfFile } from '../../format/elf/file.js';
import { StillframeError } from '../../format/error.js';
import { ByteCursor } from '../../format/bytes.js';
import type { MemoryReader } from '../../format/memory.js';

const PT_LOAD = 1;
const PT_NOTE = 4;
const NT_GNU_BUILD_ID = 3;
const maxProgramHeaders = 256;
const maxNoteBytes = 1 << 16;
const maxImageBytes = 1 << 20;

export interface MemoryImage {
  readonly programHeaders: readonly ProgramHeader[];
  readonly buildId: string | undefined;
  /** All notes that it names could be read: without a build id among them, it has none. */
  readonly notesRead: boolean;
}

export interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  readonly offset: bigint;
  readonly virtualAddress: bigint;
  readonly fileSize: bigint;
  readonly memorySize: bigint;
}

/** The image whose ELF header is at an address; undefined when it is not there or was not captured. */
export function readMemoryImage(memory: MemoryReader, start: bigint): MemoryImage | undefined {
  const header = memory.read(start, 64);
  if (isAbsent(header)) return undefined;
  const cursor = new ByteCursor(header.bytes, 'ELF header in memory');
  if (cursor.u32() !== 0x464c_457f || cursor.u16() !== 0x0102) return undefined;
  cursor.offset = 32;
  const tableOffset = cursor.u64();
  cursor.offset = 54;
  const entrySize = cursor.u16();
  const count = cursor.u16();
  if (entrySize !== 56 || count > maxProgramHeaders) return undefined;
  const table = memory.read(BigInt.asUintN(64, start + tableOffset), count * entrySize);
  if (isAbsent(table)) return undefined;
  const programHeaders = parseProgramHeaders(table.bytes, count);
  return { programHeaders, ...readBuildId(memory, start, programHeaders) };
}

function parseProgramHeaders(bytes: Uint8Array, count: number): ProgramHeader[] {
  const cursor = new ByteCursor(bytes, 'program headers in memory');
  return Array.from({ length: count }, () => {
    const type = cursor.u32();
    const flags = cursor.u32();
    const offset = cursor.u64();
    const virtualAddress = cursor.u64();
    cursor.skip(8);
    const fileSize = cursor.u64();
    const memorySize = cursor.u64();
    cursor.skip(8);
    return { type, flags, offset, virtualAddress, fileSize, memorySize };
  });
}

/** Link address of the first byte of the file, which lies at `start`. */
function firstAddress(headers: readonly ProgramHeader[]): bigint {
  const first = headers.find((each) => each.type === PT_LOAD);
  return first === undefined ? 0n : first.virtualAddress - first.offset;
}

function readBuildId(
  memory: MemoryReader,
  start: bigint,
  headers: readonly ProgramHeader[],
): { buildId: string | undefined; notesRead: boolean } {
  let notesRead = true;
  for (const note of headers.filter((each) => each.type === PT_NOTE)) {
    const address = BigInt.asUintN(64, start + note.virtualAddress - firstAddress(headers));
    const read =
      note.memorySize > BigInt(maxNoteBytes) ? undefined : memory.read(address, Number(note.memorySize));
    if (read === undefined || isAbsent(read)) {
      notesRead = false;
      continue;
    }
    const buildId = buildIdOf(read.bytes);
    if (buildId !== undefined) return { buildId, notesRead: true };
  }
  return { buildId: undefined, notesRead };
}

/** The build id among notes that are padded to four bytes; those padded to eight (properties) end the search, which is harmless. */
function buildIdOf(bytes: Uint8Array): string | undefined {
  const cursor = new ByteCursor(bytes, 'notes in memory');
  while (cursor.remaining >= 12) {
    const nameSize = cursor.u32();
    const size = cursor.u32();
    const type = cursor.u32();
    const padded = (length: number): number => length + ((4 - (length % 4)) % 4);
    if (padded(nameSize) + size > cursor.remaining) return undefined;
    const name = cursor.take(padded(nameSize));
    const description = cursor.take(size);
    if (type === NT_GNU_BUILD_ID && nameSize === 4 && name[0] === 0x47 && name[1] === 0x4e)
      return Buffer.from(description).toString('hex');
    cursor.skip(Math.min(padded(size) - size, cursor.remaining));
  }
  return undefined;
}

/** An ELF file that is in memory as a whole, as the vdso is. */
export function openMemoryElf(memory: MemoryReader, start: bigint, name: string): ElfFile | undefined {
  const image = readMemoryImage(memory, start);
  const loads = image?.programHeaders.filter((each) => each.type === PT_LOAD) ?? [];
  const [load] = loads;
  if (load === undefined || loads.length !== 1 || load.offset !== 0n) return undefined;
  // Section headers stand after the segment, within its last page.
  const pages = (load.fileSize + 4095n) & ~4095n;
  if (pages > BigInt(maxImageBytes)) return undefined;
  const whole = memory.read(start, Number(pages));
  const read = isAbsent(whole) ? memory.read(start, Number(load.fileSize)) : whole;
  if (isAbsent(read)) return undefined;
  try {
    return openElf(bufferSource(name, read.bytes));
  } catch (thrown) {
    if (thrown instanceof StillframeError) return undefined;
    throw thrown;
  }
}
