/**
 * Which modules a core speaks of, when it has no note of ours: its list of mapped files (NT_FILE), each with the ELF header page
 * that the kernel and gcore keep in the core, and the vdso by the auxiliary vector.
 */
import { isAbsent } from '../../format/absent.js';
import { loadBias, type LoadBias } from '../../format/address.js';
import { AT } from '../../format/core/auxv.js';
import type { FileMapping } from '../../format/core/file-note.js';
import { PT } from '../../format/elf/constants.js';
import { openElf } from '../../format/elf/open.js';
import { StillframeError } from '../../format/error.js';
import type { MemoryReader } from '../../format/memory.js';
import { openFileSource } from './file-source.js';
import { openMemoryElf, readMemoryImage } from './memory-image.js';
import { placeOf, type ModuleFacts } from './module.js';

export interface DiscoveryInput {
  readonly files: readonly FileMapping[];
  readonly auxv: ReadonlyMap<number, bigint>;
  /** The core's own memory, without any file's. */
  readonly memory: MemoryReader;
  readonly exe?: string | undefined;
  readonly sysroot?: string | undefined;
}

const pageBytes = 4096n;
const deletedSuffix = ' (deleted)';

interface LoadSegment {
  readonly offset: bigint;
  readonly virtualAddress: bigint;
  readonly fileSize: bigint;
}

export function discoverModules(input: DiscoveryInput): ModuleFacts[] {
  const executableAt = input.auxv.get(AT.AT_ENTRY) ?? input.auxv.get(AT.AT_PHDR);
  const byPath = new Map<string, FileMapping[]>();
  for (const file of input.files) {
    const rows = byPath.get(file.path);
    if (rows === undefined) byPath.set(file.path, [file]);
    else rows.push(file);
  }
  const modules = [...byPath].flatMap(([mappedPath, rows]) => {
    const deleted = mappedPath.endsWith(deletedSuffix);
    const path = deleted ? mappedPath.slice(0, -deletedSuffix.length) : mappedPath;
    const isExecutable =
      executableAt !== undefined && rows.some((row) => executableAt >= row.start && executableAt < row.end);
    const file = isExecutable && input.exe !== undefined ? input.exe : placeOf(path, input.sysroot);
    return modulesOfPath(rows, { path, file, deleted }, input.memory);
  });
  const vdso = vdsoModule(input);
  return vdso === undefined ? modules : [...modules, vdso];
}

type Naming = Pick<ModuleFacts, 'path' | 'file' | 'deleted'>;

/** One module for each bias that the mappings of one file agree on: a file can be loaded more than once. */
function modulesOfPath(rows: readonly FileMapping[], naming: Naming, memory: MemoryReader): ModuleFacts[] {
  const first = rows.find((row) => row.fileOffset === 0);
  const image = first === undefined ? undefined : readMemoryImage(memory, first.start);
  const buildId =
    image === undefined || (image.buildId === undefined && !image.notesRead)
      ? undefined
      : (image.buildId ?? '');
  const segments =
    image?.programHeaders.filter((each) => each.type === PT.PT_LOAD) ?? segmentsOfFile(naming.file);
  if (segments === undefined || segments.length === 0) return [];
  const groups = new Map<LoadBias, FileMapping[]>();
  for (const row of rows) {
    const candidates = biasesOf(row, segments);
    const bias = candidates.find((each) => groups.has(each)) ?? candidates[0];
    if (bias === undefined) continue;
    const group = groups.get(bias);
    if (group === undefined) groups.set(bias, [row]);
    else group.push(row);
  }
  return [...groups].map(([bias, group]) => ({
    ...naming,
    bias,
    buildId,
    start: group.reduce((least, row) => (row.start < least ? row.start : least), group[0]?.start ?? 0n),
    end: group.reduce((most, row) => (row.end > most ? row.end : most), 0n),
  }));
}

/** The biases that a mapping can come from: a page of the file can belong to the end of one segment and the beginning of the next. */
function biasesOf(row: FileMapping, segments: readonly LoadSegment[]): LoadBias[] {
  const offset = BigInt(row.fileOffset);
  return segments
    .filter((segment) => {
      const from = segment.offset - (segment.offset % pageBytes);
      return segment.fileSize > 0n && offset >= from && offset < segment.offset + segment.fileSize;
    })
    .map((segment) => loadBias(row.start - offset - (segment.virtualAddress - segment.offset)));
}

function segmentsOfFile(file: string): LoadSegment[] | undefined {
  try {
    using source = openFileSource(file);
    return openElf(source)
      .segments.filter((segment) => segment.type === PT.PT_LOAD)
      .map((segment) => ({
        offset: BigInt(segment.offset),
        virtualAddress: segment.virtualAddress,
        fileSize: BigInt(segment.fileSize),
      }));
  } catch (thrown) {
    if (thrown instanceof StillframeError) return undefined;
    throw thrown;
  }
}

function vdsoModule(input: DiscoveryInput): ModuleFacts | undefined {
  const start = input.auxv.get(AT.AT_SYSINFO_EHDR);
  if (start === undefined) return undefined;
  return vdsoAt(start, input.memory);
}

/** The vdso, whose file is nowhere but in memory. */
export function vdsoAt(start: bigint, memory: MemoryReader): ModuleFacts | undefined {
  const image = openMemoryElf(memory, start, '[vdso]');
  const load = image?.segments.find((segment) => segment.type === PT.PT_LOAD);
  if (image === undefined || load === undefined) return undefined;
  const bias = loadBias(start - load.virtualAddress);
  const header = memory.read(start, 1);
  if (isAbsent(header)) return undefined;
  const end = start + ((load.memorySize + pageBytes - 1n) & ~(pageBytes - 1n));
  return { path: '[vdso]', file: '[vdso]', deleted: false, start, end, bias, buildId: image.buildId, image };
}
