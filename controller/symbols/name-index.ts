/** Names of a module: those of all its files, each unit walked when it may have the answer. */
import type { Die } from '../dwarf/die.js';
import type { DebugInfo, Unit } from '../dwarf/unit.js';
import type { DebugFiles } from './debug-files.js';
import { FileNames, type NameKind } from './file-names.js';

export class NameIndex {
  readonly #files: DebugFiles;
  readonly #byFile = new Map<DebugInfo, FileNames>();
  #complete = false;

  constructor(files: DebugFiles) {
    this.#files = files;
  }

  /** DIEs of that kind and name, in the order of the files. Declarations and definitions alike. */
  find(kind: NameKind, name: string): Die[] {
    this.#walkAll();
    return this.#flat((names) => names.find(kind, name));
  }

  /** Every name of a kind, once. */
  *names(kind: NameKind): Iterable<string> {
    this.#walkAll();
    const seen = new Set<string>();
    for (const names of this.#byFile.values()) {
      for (const name of names.names(kind)) {
        if (seen.has(name)) continue;
        seen.add(name);
        yield name;
      }
    }
  }

  /** All DIEs of a kind, also those without a name. */
  dies(kind: NameKind): Die[] {
    this.#walkAll();
    return this.#flat((names) => names.dies(kind));
  }

  /** Top-level DIEs whose DW_AT_specification or DW_AT_abstract_origin is `target`, directly. */
  linksTo(target: Die): Die[] {
    this.#walkAll();
    return this.#flat((names) => names.linksTo(target.key));
  }

  #flat(offsets: (names: FileNames) => Iterable<number>): Die[] {
    const found: Die[] = [];
    for (const [info, names] of this.#byFile) {
      for (const offset of offsets(names)) found.push(info.die(offset));
    }
    return found;
  }

  #walkAll(): void {
    if (this.#complete) return;
    for (const unit of this.#files.units) this.#walk(unit);
    this.#complete = true;
  }

  #walk(unit: Unit): void {
    let names = this.#byFile.get(unit.info);
    if (names === undefined) this.#byFile.set(unit.info, (names = new FileNames(unit.info)));
    names.walk(unit);
  }
}
