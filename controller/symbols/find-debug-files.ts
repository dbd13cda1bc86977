/**
 * Finds the files that a module's debug information is in, where gdb and elfutils look for them (gdb manual, "Debugging Information in
 * Separate Files"): by build id, by `.gnu_debuglink`, beside the program. A file is used only when it proves to be the one that is meant,
 * by build id or, where there is none, by the checksum of the link.
 */
import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { ByteCursor } from '../../format/bytes.js';
import { crc32 } from '../../format/compress/checksum.js';
import { decompressXz } from '../../format/compress/xz.js';
import type { ElfFile } from '../../format/elf/file.js';
import { bufferSource, openElf } from '../../format/elf/open.js';
import { StillframeError } from '../../format/error.js';
import type { DebugFileOpener } from './debug-file-opener.js';
import { findFileSource } from './debug-file-source.js';

export interface DebugFileOptions {
  /** Folders as `/usr/lib/debug` is one, in the order in which they are searched. */
  readonly directories: readonly string[];
  /** Where a debug file of that build id is kept, whether it is there or not: the cache of debuginfod. */
  readonly cached?: (buildId: string) => string | undefined;
}

/** What there is of a module beyond its own file. */
export interface DebugFileSet extends DebugFileOpener {
  /** Has the debug sections, where the module's file has none. */
  readonly debug: ElfFile | undefined;
  /** Has symbols of functions (`.gnu_debugdata`), where neither file has a symbol table. */
  readonly mini: ElfFile | undefined;
  /** Files that were found and not used, and why. */
  readonly problems: readonly string[];
}

/** `path`: where the module's file is, as its links and its neighbours count from there. */
export function findDebugFiles(elf: ElfFile, path: string, options: DebugFileOptions): DebugFileSet {
  const finder = new Finder(elf, path, options);
  const debug = hasDebugSections(elf) ? undefined : finder.separateFile();
  const hasSymbols = [elf, debug].some((file) => file !== undefined && hasSymbolTable(file));
  return {
    debug,
    mini: hasSymbols ? undefined : finder.miniDebugInfo(),
    problems: finder.problems,
    split: (name, compilationDirectory) => finder.split(name, compilationDirectory),
    package: () => finder.package(debug),
    supplementary: (name, buildId) => finder.supplementary(name, buildId, debug),
  };
}

export function hasDebugSections(elf: ElfFile): boolean {
  return elf.findSection('.debug_info') !== undefined || elf.findSection('.zdebug_info') !== undefined;
}

function hasSymbolTable(elf: ElfFile): boolean {
  return elf.findSection('.symtab') !== undefined;
}

/** Symbols of functions, packed: far below it in practice. */
const maxMiniBytes = 256 * 1024 * 1024;

class Finder {
  readonly problems: string[] = [];
  readonly #elf: ElfFile;
  readonly #path: string;
  readonly #options: DebugFileOptions;

  constructor(elf: ElfFile, path: string, options: DebugFileOptions) {
    this.#elf = elf;
    this.#path = path;
    this.#options = options;
  }

  separateFile(): ElfFile | undefined {
    const { buildId } = this.#elf;
    for (const path of buildId === undefined ? [] : this.#byBuildId(buildId)) {
      const elf = this.#open(path);
      if (elf === undefined || !(hasDebugSections(elf) || hasSymbolTable(elf))) continue;
      if (elf.buildId === buildId) return elf;
      this.problems.push(`"${path}" has build id ${elf.buildId ?? 'none'}, and ${buildId} is meant`);
    }
    return this.#byLink();
  }

  *#byBuildId(buildId: string): Generator<string> {
    for (const directory of this.#options.directories) {
      yield join(directory, '.build-id', buildId.slice(0, 2), `${buildId.slice(2)}.debug`);
    }
    const cached = this.#options.cached?.(buildId);
    if (cached !== undefined) yield cached;
  }

  #byLink(): ElfFile | undefined {
    const link = this.#guarded(() => debugLink(this.#elf));
    if (link === undefined) return undefined;
    const folder = dirname(resolved(this.#path));
    const places = [
      join(folder, link.name),
      join(folder, '.debug', link.name),
      ...this.#options.directories.map((directory) => join(directory, folder, link.name)),
      ...this.#options.directories.map((directory) => join(directory, link.name)),
    ];
    for (const path of places) {
      const elf = this.#open(path);
      if (elf === undefined) continue;
      const problem = this.#guarded(() => this.#mismatch(elf, link.crc));
      if (problem === undefined) return elf;
      this.problems.push(problem);
    }
    return undefined;
  }

  /** Why the file that a link led to is another one. */
  #mismatch(elf: ElfFile, crc: number): string | undefined {
    const { name } = elf.source;
    const { buildId } = this.#elf;
    if (buildId !== undefined && elf.buildId !== undefined) {
      return elf.buildId === buildId
        ? undefined
        : `"${name}" has build id ${elf.buildId}, and ${buildId} is meant`;
    }
    const found = crcOf(elf);
    return found === crc
      ? undefined
      : `"${name}" has CRC 0x${found.toString(16)}, and 0x${crc.toString(16)} is meant`;
  }

  miniDebugInfo(): ElfFile | undefined {
    return this.#guarded(() => {
      const packed = this.#elf.sectionBytes('.gnu_debugdata');
      if (packed === undefined) return undefined;
      const name = `.gnu_debugdata of "${this.#elf.source.name}"`;
      return openElf(bufferSource(name, decompressXz(packed, maxMiniBytes, name)));
    });
  }

  *split(name: string, compilationDirectory: string): Generator<ElfFile> {
    const folder = dirname(resolved(this.#path));
    const places = isAbsolute(name)
      ? [name]
      : [
          join(compilationDirectory, name),
          join(folder, name),
          ...this.#options.directories.map((each) => join(each, name)),
        ];
    const base = name.slice(name.lastIndexOf('/') + 1);
    yield* this.#openAll([...places, join(folder, base)]);
  }

  package(debug: ElfFile | undefined): ElfFile | undefined {
    const places = [`${this.#path}.dwp`, `${resolved(this.#path)}.dwp`];
    if (debug !== undefined)
      places.push(`${debug.source.name}.dwp`, debug.source.name.replace(/\.debug$/, '.dwp'));
    for (const directory of this.#options.directories)
      places.push(join(directory, `${resolved(this.#path)}.dwp`));
    for (const elf of this.#openAll(places)) {
      if (elf.findSection('.debug_cu_index') !== undefined) return elf;
    }
    return undefined;
  }

  *supplementary(name: string, buildId: string, debug: ElfFile | undefined): Generator<ElfFile> {
    const folder = dirname(resolved(debug?.source.name ?? this.#path));
    const places = isAbsolute(name)
      ? [name, ...this.#options.directories.map((directory) => join(directory, name))]
      : [join(folder, name), ...this.#options.directories.map((directory) => join(directory, '.dwz', name))];
    yield* this.#openAll([...places, ...this.#byBuildId(buildId)]);
  }

  *#openAll(places: readonly string[]): Generator<ElfFile> {
    for (const path of new Set(places)) {
      const elf = this.#open(path);
      if (elf !== undefined) yield elf;
    }
  }

  #open(path: string): ElfFile | undefined {
    const source = findFileSource(path);
    return source === undefined ? undefined : this.#guarded(() => openElf(source));
  }

  /** What is malformed is as good as missing; it is told. */
  #guarded<T>(open: () => T): T | undefined {
    try {
      return open();
    } catch (error) {
      if (!(error instanceof StillframeError)) throw error;
      this.problems.push(error.message);
      return undefined;
    }
  }
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function debugLink(elf: ElfFile): { readonly name: string; readonly crc: number } | undefined {
  const bytes = elf.sectionBytes('.gnu_debuglink');
  if (bytes === undefined) return undefined;
  const cursor = new ByteCursor(bytes, `.gnu_debuglink of "${elf.source.name}"`);
  const name = cursor.cstring();
  cursor.align(4);
  const crc = cursor.u32();
  // A name, not a way through folders.
  if (name === '' || name.includes('/')) throw cursor.error(`link to "${name}"`, 0);
  return { name, crc };
}

/** Of the whole file, a piece at a time. */
function crcOf(elf: ElfFile): number {
  const { source } = elf;
  const pieceBytes = 1 << 20;
  let crc = 0;
  for (let at = 0; at < source.size; at += pieceBytes) {
    crc = crc32(source.read(at, Math.min(pieceBytes, source.size - at)), crc);
  }
  return crc;
}
