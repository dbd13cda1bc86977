/** Where functions were inlined: DW_TAG_inlined_subroutine DIEs by the abstract instance that they are copies of. */
import { refersToOthers } from '../dwarf/abbrev.js';
import { mayReferToOthers } from '../dwarf/abbrev-search.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import { Die } from '../dwarf/die.js';
import { visitDies } from '../dwarf/die-visit.js';
import type { Unit } from '../dwarf/unit.js';
import type { DebugFiles } from './debug-files.js';
import type { FileIndex } from './file-index.js';

export interface InlinedDie {
  readonly die: Die;
  /** The subprogram that it stands in, at any depth. */
  readonly into: Die;
}

export class InlinedIndex {
  readonly #files: DebugFiles;
  readonly #index: () => FileIndex | undefined;
  /** By the key of the abstract instance. */
  readonly #byUnit = new Map<Unit, Map<number, InlinedDie[]>>();
  #crossing: readonly Unit[] | undefined;

  constructor(files: DebugFiles, index: () => FileIndex | undefined) {
    this.#files = files;
    this.#index = index;
  }

  /** Copies of an abstract instance: in its own unit, and in those that refer to other units (link-time optimisation). */
  copiesOf(abstract: Die): readonly InlinedDie[] {
    const indexed = this.#index()?.copiesOf(abstract);
    if (indexed !== undefined) return indexed;
    this.#crossing ??= this.#files.units.filter(
      (unit) => mayReferToOthers(unit) && refersToOthers(unit.abbreviations, [DW_TAG.inlined_subroutine]),
    );
    const units = new Set([abstract.unit, ...this.#crossing]);
    return [...units].flatMap((unit) => this.#copiesIn(unit).get(abstract.key) ?? []);
  }

  #copiesIn(unit: Unit): Map<number, InlinedDie[]> {
    let copies = this.#byUnit.get(unit);
    if (copies === undefined) this.#byUnit.set(unit, (copies = collect(unit)));
    return copies;
  }
}

function collect(unit: Unit): Map<number, InlinedDie[]> {
  const copies = new Map<number, InlinedDie[]>();
  inlinedIn(unit, (origin, at, into) => {
    const copy = copyAt(unit, at, into);
    const list = copies.get(origin);
    if (copy === undefined) return;
    if (list === undefined) copies.set(origin, [copy]);
    else list.push(copy);
  });
  return copies;
}

function copyAt(unit: Unit, at: number, into: number): InlinedDie | undefined {
  const die = Die.at(unit, at);
  const intoDie = Die.at(unit, into);
  return die === undefined || intoDie === undefined ? undefined : { die, into: intoDie };
}

/** Every copy of a unit: the key of the abstract instance, the offset of the copy, that of the subprogram that it stands in. */
export function inlinedIn(unit: Unit, visit: (origin: number, at: number, into: number) => void): void {
  let into: { offset: number; depth: number } | undefined;
  visitDies(unit, (at, { tag }, depth) => {
    if (tag === DW_TAG.subprogram && (into === undefined || depth <= into.depth)) {
      into = { offset: at, depth };
    } else if (tag === DW_TAG.inlined_subroutine && into !== undefined && depth > into.depth) {
      const origin = Die.at(unit, at)?.referenceKey(DW_AT.abstract_origin);
      if (origin !== undefined) visit(origin, at, into.offset);
    }
  });
}
