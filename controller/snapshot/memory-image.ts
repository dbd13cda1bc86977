/**
 * An ELF file as it lies in a process's memory: its header page is in most cores, the vdso is as a whole. Gives the build id that was
 * running, for comparison with the file on disk.
 */
import { isAbsent } from '../../format/absent.js';
import { NT_GNU_BUILD_ID, PT } from '../../format/elf/constants.js';
import { openElf, bufferSource } from '../../format/elf/open.js';
import { parseNotes } from '../../format/elf/note.js';
import type { ElfFile } from '../../format/elf/file.js';
import { StillframeError } from '../../format/error.js';
import { ByteCursor } from '../../format/bytes.js';
import type { MemoryReader } from '../../format/memory.js';

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
  readonly align: bigint;
}

/** The image whose ELF header is at an address; undefined when it is not there or was not captured. */
export function readMemoryImage(memory: MemoryReader, start: bigint): MemoryImage | undefined {
  try {
    return parseImage(memory, start);
  } catch (thrown) {
    if (thrown instanceof StillframeError) return undefined;
    throw thrown;
  }
}

function parseImage(memory: MemoryReader, start: bigint): MemoryImage | undefined {
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
    const align = cursor.u64();
    return { type, flags, offset, virtualAddress, fileSize, memorySize, align };
  });
}

/** Link address of the first byte of the file, which lies at `start`. */
function firstAddress(headers: readonly ProgramHeader[]): bigint {
  const first = headers.find((each) => each.type === PT.PT_LOAD);
  return first === undefined ? 0n : first.virtualAddress - first.offset;
}

function readBuildId(
  memory: MemoryReader,
  start: bigint,
  headers: readonly ProgramHeader[],
): { buildId: string | undefined; notesRead: boolean } {
  let notesRead = true;
  for (const note of headers.filter((each) => each.type === PT.PT_NOTE)) {
    const address = BigInt.asUintN(64, start + note.virtualAddress - firstAddress(headers));
    const read =
      note.memorySize > BigInt(maxNoteBytes) ? undefined : memory.read(address, Number(note.memorySize));
    if (read === undefined || isAbsent(read)) {
      notesRead = false;
      continue;
    }
    const notes = parseNotes(read.bytes, note.align, 'notes in memory');
    const isGo = notes.some(({ owner }) => owner === 'Go');
    const buildId = buildIdOf(notes) ?? (isGo ? buildIdAfter(memory, address + note.memorySize) : undefined);
    if (buildId !== undefined) return { buildId, notesRead: true };
    if (isGo) notesRead = false;
  }
  return { buildId: undefined, notesRead };
}

/** NB: Go's linker (seen in 1.24) puts the note of the build id right behind its own, but not into any segment of notes. */
function buildIdAfter(memory: MemoryReader, address: bigint): string | undefined {
  const bytesOfNote = 36;
  const read = memory.read(address, bytesOfNote);
  if (isAbsent(read)) return undefined;
  try {
    return buildIdOf(parseNotes(read.bytes, 4n, 'notes in memory'));
  } catch (thrown) {
    // Something else may stand there.
    if (thrown instanceof StillframeError) return undefined;
    throw thrown;
  }
}

function buildIdOf(notes: ReturnType<typeof parseNotes>): string | undefined {
  const note = notes.find(({ owner, type }) => owner === 'GNU' && type === NT_GNU_BUILD_ID);
  return note === undefined ? undefined : Buffer.from(note.description).toString('hex');
}

/** An ELF file that is in memory as a whole, as the vdso is. */
export function openMemoryElf(memory: MemoryReader, start: bigint, name: string): ElfFile | undefined {
  const image = readMemoryImage(memory, start);
  const loads = image?.programHeaders.filter((each) => each.type === PT.PT_LOAD) ?? [];
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
