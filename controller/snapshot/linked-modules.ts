/**
 * Which modules a core speaks of when it lists no mapped files (NT_FILE), as cores of emulators do: the program by the auxiliary vector,
 * its libraries by the dynamic linker's list (glibc's link.h). A file is believed to be one of them when its dynamic section
 * would lie where the list says. Every pointer is the core's: each step is bounded, a broken chain ends there.
 */
import { isAbsent } from '../../format/absent.js';
import { loadBias, type LoadBias } from '../../format/address.js';
import { decodeUtf8 } from '../../format/bytes.js';
import { AT } from '../../format/core/auxv.js';
import { ET, PT } from '../../format/elf/constants.js';
import type { ElfFile, ElfSegment } from '../../format/elf/file.js';
import { openElf } from '../../format/elf/open.js';
import { StillframeError } from '../../format/error.js';
import { defaultLimits } from '../../format/limits.js';
import type { MemoryReader } from '../../format/memory.js';
import { openFileSource } from './file-source.js';
import type { DiscoveryInput } from './mapped-files.js';
import { placeOf, type ModuleFacts } from './module.js';

const DT_NULL = 0n;
const DT_DEBUG = 21n;
const maxDynamicEntries = 512;
const maxNameBytes = 4096;

export function discoverLinkedModules(input: DiscoveryInput): ModuleFacts[] {
  const program = findProgram(input);
  if (program === undefined) return [];
  const { facts, bias, segments, interpreter } = program;
  const dynamic = segments.find((segment) => segment.type === PT.PT_DYNAMIC);
  if (dynamic === undefined) return [facts];
  const libraries = linkedFiles(input.memory, bias + dynamic.virtualAddress).flatMap((linked) => {
    // The dynamic linker's own name lies in the program's file, which the core need not have.
    const path = linked.path ?? interpreter;
    const library = !path ? undefined : libraryFacts({ ...linked, path }, input.sysroot);
    return library === undefined || library.start === facts.start ? [] : [library];
  });
  return [facts, ...libraries];
}

interface Program {
  readonly facts: ModuleFacts;
  readonly bias: LoadBias;
  readonly segments: readonly ElfSegment[];
  /** PT_INTERP. */
  readonly interpreter: string | undefined;
}

/** The file whose entry point is where the process began. */
function findProgram({ auxv, memory, exe, sysroot }: DiscoveryInput): Program | undefined {
  const entry = auxv.get(AT.AT_ENTRY);
  const named = auxv.get(AT.AT_EXECFN);
  const path = named === undefined ? undefined : readText(memory, named);
  const file = exe ?? (path === undefined ? undefined : placeOf(path, sysroot));
  if (entry === undefined || file === undefined) return undefined;
  return withFile(file, (elf) => {
    const bias = loadBias(entry - elf.entry);
    if (elf.type === ET.ET_EXEC && bias !== 0n) return undefined;
    const facts = factsOf(elf, bias, { path: path ?? file, file });
    if (facts === undefined) return undefined;
    return { facts, bias, segments: elf.segments, interpreter: interpreterOf(elf) };
  });
}

function interpreterOf(elf: ElfFile): string | undefined {
  const segment = elf.segments.find((each) => each.type === PT.PT_INTERP);
  if (segment === undefined || segment.fileSize > maxNameBytes) return undefined;
  const bytes = elf.bytesAt(segment.virtualAddress, segment.fileSize);
  return bytes === undefined ? undefined : decodeUtf8(bytes).replace(/\0.*$/s, '');
}

interface LinkedFile {
  /** Empty for the program; undefined where it cannot be read. */
  readonly path: string | undefined;
  readonly bias: LoadBias;
  readonly dynamic: bigint;
}

function libraryFacts(
  linked: LinkedFile & { path: string },
  sysroot: string | undefined,
): ModuleFacts | undefined {
  const { path, bias } = linked;
  const file = placeOf(path, sysroot);
  return withFile(file, (elf) => {
    const dynamic = elf.segments.find((segment) => segment.type === PT.PT_DYNAMIC);
    if (dynamic === undefined || bias + dynamic.virtualAddress !== linked.dynamic) return undefined;
    return factsOf(elf, bias, { path, file });
  });
}

function withFile<T>(file: string, use: (elf: ElfFile) => T | undefined): T | undefined {
  try {
    using source = openFileSource(file);
    return use(openElf(source));
  } catch (thrown) {
    if (thrown instanceof StillframeError) return undefined;
    throw thrown;
  }
}

/** NB: what was running has no build id to compare with: the file is believed, as one that is named with `--exe` is. */
function factsOf(
  elf: ElfFile,
  bias: LoadBias,
  naming: Pick<ModuleFacts, 'path' | 'file'>,
): ModuleFacts | undefined {
  const loads = elf.segments.filter((segment) => segment.type === PT.PT_LOAD);
  const starts = loads.map((segment) => segment.virtualAddress);
  const ends = loads.map((segment) => segment.virtualAddress + segment.memorySize);
  const [first] = starts;
  if (first === undefined) return undefined;
  const start = starts.reduce((least, each) => (each < least ? each : least), first);
  const end = ends.reduce((most, each) => (each > most ? each : most), 0n);
  return { ...naming, bias, start: bias + start, end: bias + end, buildId: undefined, deleted: false };
}

/** The chain of `link_map`, from DT_DEBUG's `r_debug` on. */
function linkedFiles(memory: MemoryReader, dynamic: bigint): LinkedFile[] {
  const debug = dynamicEntry(memory, dynamic, DT_DEBUG);
  const found: LinkedFile[] = [];
  let at = debug === undefined ? undefined : readWord(memory, debug + 8n);
  while (at !== undefined && at !== 0n && found.length < defaultLimits.maxModules) {
    const [bias, name, own, next] = [0n, 8n, 16n, 24n].map((offset) => readWord(memory, (at ?? 0n) + offset));
    if (bias === undefined || name === undefined || own === undefined) break;
    found.push({ bias: loadBias(bias), path: readText(memory, name), dynamic: own });
    at = next;
  }
  return found;
}

function dynamicEntry(memory: MemoryReader, dynamic: bigint, wanted: bigint): bigint | undefined {
  for (let i = 0; i < maxDynamicEntries; i++) {
    const at = dynamic + BigInt(i) * 16n;
    const tag = readWord(memory, at);
    if (tag === undefined || tag === DT_NULL) return undefined;
    if (tag === wanted) return readWord(memory, at + 8n);
  }
  return undefined;
}

function readWord(memory: MemoryReader, address: bigint): bigint | undefined {
  const read = memory.read(BigInt.asUintN(64, address), 8);
  if (isAbsent(read)) return undefined;
  return new DataView(read.bytes.buffer, read.bytes.byteOffset, 8).getBigUint64(0, true);
}

function readText(memory: MemoryReader, address: bigint): string | undefined {
  const bytes: number[] = [];
  while (bytes.length < maxNameBytes) {
    const read = memory.read(BigInt.asUintN(64, address + BigInt(bytes.length)), 1);
    const byte = isAbsent(read) ? undefined : read.bytes[0];
    if (byte === undefined) return undefined;
    if (byte === 0) return decodeUtf8(Uint8Array.from(bytes));
    bytes.push(byte);
  }
  return undefined;
}
