/** Names of a module: those of all its files, each unit walked when it may have the answer. */
import { StillframeError } from '../../format/error.js';
import { refersToOthers } from '../dwarf/abbrev.js';
import { mayReferToOthers } from '../dwarf/abbrev-search.js';
import { DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import type { DebugInfo, Unit } from '../dwarf/unit.js';
import type { DebugFiles } from './debug-files.js';
import type { FileIndex } from './file-index.js';
import { FileNames, KIND, type NameKind } from './file-names.js';
import type { NameAccelerator } from './name-accelerator.js';
import { NameSearch } from './name-search.js';

export class NameIndex {
  readonly #files: DebugFiles;
  readonly #openAccelerator: () => NameAccelerator | undefined;
  /** All names of all files, where a cache has them. */
  readonly #index: () => FileIndex | undefined;
  readonly #byFile = new Map<DebugInfo, FileNames>();
  readonly #searches = new Map<DebugInfo, NameSearch>();
  #accelerator: NameAccelerator | undefined;
  #linkingUnits: readonly Unit[] | undefined;
  #started = false;
  #complete = false;

  constructor(
    files: DebugFiles,
    openAccelerator: () => NameAccelerator | undefined = () => undefined,
    index: () => FileIndex | undefined = () => undefined,
  ) {
    this.#files = files;
    this.#openAccelerator = openAccelerator;
    this.#index = index;
  }

  /**
   * DIEs of that kind and name, in the order of the files: all definitions, and declarations of units that have a definition; where there is
   * no definition all declarations.
   */
  find(kind: NameKind, name: string): Die[] {
    const indexed = this.#index()?.named(kind, name);
    if (indexed !== undefined) return indexed;
    if (this.#walkFor(name)) {
      const found = this.#flat((names) => names.find(kind, name));
      if (found.length > 0) return found;
    }
    return this.findAll(kind, name);
  }

  /** As {@link find}, but believes an index that says that there is none. */
  findKnown(kind: NameKind, name: string): Die[] {
    const indexed = this.#index()?.named(kind, name);
    if (indexed !== undefined) return indexed;
    return this.#walkFor(name) ? this.#flat((names) => names.find(kind, name)) : this.findAll(kind, name);
  }

  /** Whether every unit was read. */
  get isComplete(): boolean {
    return this.#complete;
  }

  /** DIEs of that kind and name, declarations and definitions alike. */
  findAll(kind: NameKind, name: string): Die[] {
    const indexed = this.#index()?.named(kind, name);
    if (indexed !== undefined) return indexed;
    this.#walkWhereNamed(name);
    return this.#flat((names) => names.find(kind, name));
  }

  /** Every name of a kind, once. */
  *names(kind: NameKind): Iterable<string> {
    const indexed = this.#index()?.names(kind);
    if (indexed !== undefined) {
      yield* new Set(indexed);
      return;
    }
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
    const indexed = this.#index()?.dies(kind);
    if (indexed !== undefined) return indexed;
    this.#walkAll();
    return this.#flat((names) => names.dies(kind));
  }

  /** Top-level DIEs whose DW_AT_specification or DW_AT_abstract_origin is `target`, directly. */
  linksTo(target: Die): Die[] {
    const indexed = this.#index()?.linksTo(target.key);
    if (indexed !== undefined) return indexed;
    if (!this.#complete) {
      this.#walk(target.unit);
      for (const unit of this.#linking()) this.#walk(unit);
    }
    return this.#flat((names) => names.linksTo(target.key));
  }

  /** Units whose functions or variables may complete those of other units. */
  #linking(): readonly Unit[] {
    this.#linkingUnits ??= this.#files.units.filter((unit) => mayReferToOthers(unit) && linksToOthers(unit));
    return this.#linkingUnits;
  }

  #flat(offsets: (names: FileNames) => Iterable<number>): Die[] {
    const found: Die[] = [];
    for (const [info, names] of this.#byFile) {
      for (const offset of offsets(names)) found.push(info.die(offset));
    }
    return found;
  }

  /** Walks the units that the accelerator names, and those that it does not speak of; false where it is of no use. */
  #walkFor(name: string): boolean {
    if (!this.#started) {
      this.#started = true;
      this.#accelerator = this.#openAccelerator();
      const covered = this.#accelerator?.covered;
      if (covered !== undefined) {
        for (const unit of this.#files.units) if (!covered.has(unit)) this.#walk(unit);
      }
    }
    if (this.#complete || this.#accelerator === undefined) return false;
    try {
      for (const unit of this.#accelerator.unitsOf(name)) {
        const names = this.#walk(unit);
        // What is not where it should be: who knows what else is wrong.
        if (!names.has(name)) this.#accelerator = undefined;
      }
    } catch (error) {
      if (!(error instanceof StillframeError)) throw error;
      this.#accelerator = undefined;
    }
    return this.#accelerator !== undefined;
  }

  /** Enumerations in units that may have an enumerator of a name. */
  enumerationsNear(enumerator: string): Die[] {
    const indexed = this.#index()?.enumerationsWith(enumerator);
    if (indexed !== undefined) return indexed;
    this.#walkWhereNamed(enumerator);
    return this.#flat((names) => [...names.dies(KIND.enumeration)].toSorted((a, b) => a - b));
  }

  /** Walks every unit that has a name anywhere, and perhaps others. */
  #walkWhereNamed(name: string): void {
    if (this.#complete) return;
    const units: Unit[] = [];
    for (const info of new Set(this.#files.units.map((unit) => unit.info))) {
      const found = info.isSplit ? undefined : this.#searchOf(info).unitsOf(name);
      if (found === undefined) {
        this.#walkAll();
        return;
      }
      units.push(...found.filter((unit) => unit.hasOwnDies || unit.isTypeUnit));
    }
    for (const unit of units) this.#walk(unit);
  }

  #searchOf(info: DebugInfo): NameSearch {
    let search = this.#searches.get(info);
    if (search === undefined) this.#searches.set(info, (search = new NameSearch(info)));
    return search;
  }

  #walkAll(): void {
    if (this.#complete) return;
    for (const unit of this.#files.units) this.#walk(unit);
    this.#complete = true;
  }

  #walk(unit: Unit): FileNames {
    let names = this.#byFile.get(unit.info);
    if (names === undefined) this.#byFile.set(unit.info, (names = new FileNames(unit.info)));
    names.walk(unit);
    return names;
  }
}

/** Functions and variables may be completed in another unit, with link-time optimisation. */
function linksToOthers(unit: Unit): boolean {
  return refersToOthers(unit.abbreviations, [DW_TAG.subprogram, DW_TAG.variable]);
}
