/**
 * Debug information opened once for many snapshots of the same build: what one looked up is there for the next. Believed by build id, as
 * each snapshot does; a file without one is not shared. Holds its files open until it is disposed.
 */
import type { ElfFile } from '../../format/elf/file.js';
import { openElf } from '../../format/elf/open.js';
import { StillframeError } from '../../format/error.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import { openFileSource, type FileSource } from './file-source.js';
import type { OpenSymbols } from './module.js';

const maxBuilds = 32;

export class SharedSymbols implements Disposable {
  readonly #openSymbols: OpenSymbols;
  readonly #builds = new Map<string, { readonly symbols: ModuleSymbols; readonly source: FileSource }>();

  constructor(openSymbols: OpenSymbols) {
    this.#openSymbols = openSymbols;
  }

  /** To be given to `openSnapshot`. What it gives is valid until both the snapshot and this are disposed. */
  readonly open: OpenSymbols = (elf) => {
    const { buildId } = elf;
    if (buildId === undefined) return this.#openSymbols(elf);
    return this.#builds.get(buildId)?.symbols ?? this.#share(elf, buildId) ?? this.#openSymbols(elf);
  };

  /** NB: a snapshot closes its files when it is disposed, so what outlives it reads a file of its own. */
  #share(elf: ElfFile, buildId: string): ModuleSymbols | undefined {
    if (this.#builds.size >= maxBuilds) return undefined;
    const source = openAgain(elf);
    if (source === undefined) return undefined;
    try {
      const own = openElf(source);
      if (own.buildId === buildId) {
        const symbols = this.#openSymbols(own);
        this.#builds.set(buildId, { symbols, source });
        return symbols;
      }
    } catch (thrown) {
      if (!(thrown instanceof StillframeError)) throw thrown;
      // What is wrong with it is said for the snapshot's own file.
    } finally {
      if (!this.#builds.has(buildId)) source[Symbol.dispose]();
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    for (const { source } of this.#builds.values()) source[Symbol.dispose]();
    this.#builds.clear();
  }
}

/** Undefined where the file is in the core's memory, or gone. */
function openAgain(elf: ElfFile): FileSource | undefined {
  try {
    return openFileSource(elf.source.name);
  } catch (thrown) {
    if (thrown instanceof StillframeError) return undefined;
    throw thrown;
  }
}
