/**
 * Questions to the index of a module's main file, where a cache has one. What it names is read from the file and compared; when it turns out
 * damaged, it is not asked again, and whoever asks reads the units instead.
 */
import { StillframeError } from '../../format/error.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import type { DebugInfo, Unit } from '../dwarf/unit.js';
import { ENUMERATOR, kindOf, type NameKind } from './file-names.js';
import { hashOf, type SymbolIndex } from './symbol-index.js';

export interface OpenedIndex {
  readonly index: SymbolIndex;
  /** It was found to be damaged. */
  damaged(reason: string): void;
}

export class FileIndex {
  readonly #info: DebugInfo;
  #opened: OpenedIndex | undefined;

  constructor(info: DebugInfo, opened: OpenedIndex) {
    this.#info = info;
    this.#opened = opened;
  }

  /** DIEs of that kind and name, ascending. */
  named(kind: NameKind, name: string): Die[] | undefined {
    return this.#ask((index) =>
      this.#dies(
        index.find('names', hashOf(name)).flatMap(([, of, die = -1]) => (of === kind ? [die] : [])),
      ).filter((die) => kindOf(die.tag) === kind && hasName(die, name)),
    );
  }

  /** Every name of a kind, in the order of the file; a function may have two. */
  names(kind: NameKind): string[] | undefined {
    return this.#ask((index) => this.#kind(index, kind).flatMap((die) => namesOf(die)));
  }

  dies(kind: NameKind): Die[] | undefined {
    return this.#ask((index) => this.#kind(index, kind));
  }

  /** Enumerations that have an enumerator of that name. */
  enumerationsWith(name: string): Die[] | undefined {
    return this.#ask((index) =>
      this.#dies(
        index.find('names', hashOf(name)).flatMap(([, of, die = -1]) => (of === ENUMERATOR ? [die] : [])),
      ).filter(({ tag }) => tag === DW_TAG.enumeration_type),
    );
  }

  linksTo(key: number): Die[] | undefined {
    return this.#ask((index) => this.#dies(index.find('links', key).map(([, from = -1]) => from)));
  }

  /** The subprograms of a unit that have code, in the order written. */
  subprograms(unit: Unit): Die[] | undefined {
    return this.#ask((index) =>
      index.find('subprograms', unit.offset).map(([, die = -1]) => this.#info.die(die)),
    );
  }

  copiesOf(abstract: Die): { readonly die: Die; readonly into: Die }[] | undefined {
    return this.#ask((index) =>
      index
        .find('inlined', abstract.key)
        .map(([, die = -1, into = -1]) => ({ die: this.#info.die(die), into: this.#info.die(into) }))
        // As without an index: those of its own unit first.
        .toSorted((a, b) => Number(b.die.unit === abstract.unit) - Number(a.die.unit === abstract.unit)),
    );
  }

  /** Units whose line tables name a file of that last path component, and perhaps others. */
  unitsNaming(baseName: string): Unit[] | undefined {
    return this.#ask((index) =>
      index.find('files', hashOf(baseName)).map(([, offset = -1]) => {
        const unit = this.#info.unitAt(offset);
        if (unit === undefined) throw this.#info.error('no unit is here', offset);
        return unit;
      }),
    );
  }

  #kind(index: SymbolIndex, kind: NameKind): Die[] {
    const offsets: number[] = [];
    for (const [, of, die = -1] of index.all('names')) if (of === kind) offsets.push(die);
    return this.#dies(offsets);
  }

  #dies(offsets: readonly number[]): Die[] {
    return [...new Set(offsets)].toSorted((a, b) => a - b).map((offset) => this.#info.die(offset));
  }

  #ask<T>(question: (index: SymbolIndex) => T): T | undefined {
    if (this.#opened === undefined) return undefined;
    try {
      return question(this.#opened.index);
    } catch (error) {
      if (!(error instanceof StillframeError)) throw error;
      // Or the debug information is: then reading it without the index says so.
      this.#opened.damaged(error.message);
      this.#opened = undefined;
      return undefined;
    }
  }
}

function namesOf(die: Die): string[] {
  return [DW_AT.name, linkageAttribute(die)].flatMap((attribute) => die.string(attribute) ?? []);
}

function hasName(die: Die, name: string): boolean {
  return namesOf(die).includes(name);
}

const linkageAttribute = (die: Die): number =>
  die.has(DW_AT.linkage_name) ? DW_AT.linkage_name : DW_AT.MIPS_linkage_name;
