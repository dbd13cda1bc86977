/**
 * The files that a process maps with code, each with its build id and the bias that it was loaded with. The bias
 * comes from the program headers of the very file that is mapped, never from a guess.
 */
import type { LoadedModule, Mapping } from '../../format/capture.js';
import { PF } from '../../format/elf/constants.js';
import type { ElfSegment } from '../../format/elf/file.js';
import { openElf } from '../../format/elf/open.js';
import { StillframeError } from '../../format/error.js';
import { defaultLimits } from '../../format/limits.js';
import { ProcessMemory } from '../linux/memory.js';
import { type ElfFacts, type ElfFactsCache, elfFacts } from './elf-facts.js';
import { memoryImage, openMappedFile } from './mapped-file.js';

export interface ModuleFacts extends LoadedModule {
  readonly facts: ElfFacts;
  /** An executable mapping of it. */
  readonly code: Mapping;
}

/**
 * Modules in order of address, the vdso included; at most `maxModules`. Files that are mapped with code but are no ELF (what a
 * just-in-time compiler writes) are no modules.
 */
export function readModules(
  pid: number,
  mappings: readonly Mapping[],
  cache: ElfFactsCache,
  maxModules: number = defaultLimits.maxModules,
): ModuleFacts[] {
  const modules: ModuleFacts[] = [];
  using memory = openMemory(pid);
  for (const file of mappedWithCode(mappings)) {
    if (modules.length >= maxModules) break;
    const facts = readFacts(pid, file, cache, memory);
    if (facts === undefined) continue;
    for (const mapping of file) {
      if (!mapping.permissions.includes('x')) continue;
      const bias = biasOf(mapping, facts.loads);
      const known =
        bias === undefined || modules.some((other) => other.bias === bias && other.facts === facts);
      if (bias !== undefined && !known) modules.push(placed(facts, bias, mapping));
    }
  }
  return modules.toSorted((a, b) => (a.start < b.start ? -1 : 1));
}

/** Mappings of each file that has code somewhere, grouped by file. */
function mappedWithCode(mappings: readonly Mapping[]): Mapping[][] {
  const files = new Map<string, Mapping[]>();
  for (const mapping of mappings) {
    if (mapping.inode === 0 && mapping.path !== '[vdso]') continue;
    const key = `${mapping.device} ${mapping.inode} ${mapping.path}`;
    const list = files.get(key);
    if (list === undefined) files.set(key, [mapping]);
    else list.push(mapping);
  }
  return [...files.values()].filter((list) => list.some((mapping) => mapping.permissions.includes('x')));
}

function openMemory(pid: number): (ProcessMemory & Disposable) | null {
  try {
    return new ProcessMemory(pid);
  } catch (error) {
    if (error instanceof StillframeError && error.code === 'denied') return null;
    throw error;
  }
}

function readFacts(
  pid: number,
  file: readonly Mapping[],
  cache: ElfFactsCache,
  memory: ProcessMemory | null,
): ElfFacts | undefined {
  const [first] = file;
  if (first === undefined) return undefined;
  if (first.inode !== 0) {
    try {
      using opened = openMappedFile(pid, first);
      return cache.readSource(opened.source);
    } catch (error) {
      if (!(error instanceof StillframeError) || error.code === 'bad-data') return undefined;
    }
  }
  if (memory === null) return undefined;
  try {
    return elfFacts(openElf(memoryImage(memory, file, first.path)));
  } catch {
    return undefined;
  }
}

const pageBytes = 4096;

/** Runtime minus link address, from the one executable segment that the mapping shows; undefined when none or several fit. */
export function biasOf(mapping: Mapping, loads: readonly ElfSegment[]): bigint | undefined {
  const biases = loads
    .filter((load) => (load.flags & PF.PF_X) !== 0)
    .filter((load) => {
      const from = load.offset - (load.offset % pageBytes);
      return mapping.fileOffset >= from && mapping.fileOffset < load.offset + load.fileSize;
    })
    .map((load) =>
      BigInt.asUintN(64, mapping.start - load.virtualAddress - BigInt(mapping.fileOffset - load.offset)),
    );
  const [bias] = new Set(biases);
  return new Set(biases).size === 1 ? bias : undefined;
}

function placed(facts: ElfFacts, bias: bigint, code: Mapping): ModuleFacts {
  const page = BigInt(pageBytes);
  let start = code.start;
  let end = code.end;
  for (const load of facts.loads) {
    const from = BigInt.asUintN(64, bias + load.virtualAddress);
    const to = BigInt.asUintN(64, from + load.memorySize);
    if (from - (from % page) < start) start = from - (from % page);
    if (to > end) end = ((to + page - 1n) / page) * page;
  }
  return {
    path: code.path,
    buildId: facts.buildId,
    start,
    end,
    bias,
    deleted: code.deleted,
    facts,
    code,
  };
}
