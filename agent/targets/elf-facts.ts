/**
 * What is needed of an ELF file to place it in a process: kept after the file is closed, and cached by the file's identity, so
 * that a library that a hundred processes map is read once.
 */
import { StillframeError } from '../../format/error.js';
import { EM, ET, PT } from '../../format/elf/constants.js';
import type { ElfFile, ElfSegment } from '../../format/elf/file.js';
import { openElf } from '../../format/elf/open.js';
import { FileSource } from '../linux/file-source.js';

export interface ElfFacts {
  /** Lower-case hex; empty when the file has none. */
  readonly buildId: string;
  readonly sizeBytes: number;
  readonly machine: number;
  readonly loads: readonly ElfSegment[];
  /** PT_DYNAMIC. */
  readonly dynamic: ElfSegment | undefined;
  /** A program of its own (it has PT_INTERP or is static), not a library. */
  readonly hasInterpreter: boolean;
  /** It is loaded at any address, and starts nothing by itself. */
  readonly isLibrary: boolean;
}

export function elfFacts(elf: ElfFile): ElfFacts {
  if (elf.type !== ET.ET_EXEC && elf.type !== ET.ET_DYN) {
    throw new StillframeError(
      'bad-data',
      `cannot use "${elf.source.name}": ELF type ${elf.type} is not mapped`,
    );
  }
  const hasInterpreter = elf.segments.some((segment) => segment.type === PT.PT_INTERP);
  return {
    buildId: elf.buildId ?? '',
    sizeBytes: elf.source.size,
    machine: elf.machine,
    loads: elf.segments.filter((segment) => segment.type === PT.PT_LOAD),
    dynamic: elf.segments.find((segment) => segment.type === PT.PT_DYNAMIC),
    hasInterpreter,
    isLibrary: elf.type === ET.ET_DYN && !hasInterpreter,
  };
}

/** Why a process of this machine cannot be looked into. */
export function machineRefusal(facts: ElfFacts): string | undefined {
  return facts.machine === EM.EM_X86_64 ? undefined : `machine ${facts.machine} is not x86-64`;
}

const maxCached = 4096;

/** By file identity; a failure is cached as well, as its message. */
export class ElfFactsCache {
  readonly #known = new Map<string, ElfFacts | StillframeError>();

  /** Opens `path` (which may go through /proc) and reads its facts; throws what could not be done. `name` is for messages. */
  read(path: string, name: string): ElfFacts {
    using source = new FileSource(path, name);
    return this.readSource(source);
  }

  readSource(source: FileSource): ElfFacts {
    const known = this.#known.get(source.key);
    if (known !== undefined) {
      if (known instanceof StillframeError) throw known;
      return known;
    }
    if (this.#known.size >= maxCached) this.#known.clear();
    try {
      const facts = elfFacts(openElf(source));
      this.#known.set(source.key, facts);
      return facts;
    } catch (error) {
      if (error instanceof StillframeError) this.#known.set(source.key, error);
      throw error;
    }
  }
}
