/** Where functions were inlined: DW_TAG_inlined_subroutine DIEs by the abstract instance that they are copies of. */
import { refersToOthers } from '../dwarf/abbrev.js';
import { mayReferToOthers } from '../dwarf/abbrev-search.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import { Die } from '../dwarf/die.js';
import { visitDies } from '../dwarf/die-visit.js';
import type { Unit } from '../dwarf/unit.js';
import type { DebugFiles } from './debug-files.js';

export interface InlinedDie {
  readonly die: Die;
  /** The subprogram that it stands in, at any depth. */
  readonly into: Die;
}

export class InlinedIndex {
  readonly #files: DebugFiles;
  /** By the key of the abstract instance. */
  readonly #byUnit = new Map<Unit, Map<number, InlinedDie[]>>();
  #crossing: readonly Unit[] | undefined;

  constructor(files: DebugFiles) {
    this.#files = files;
  }

  /** Copies of an abstract instance: in its own unit, and in those that refer to other units (link-time optimisation). */
  copiesOf(abstract: Die): readonly InlinedDie[] {
    this.#crossing ??= this.#files.units.filter(
      (unit) =>
        mayReferToOthers(unit.sections) && refersToOthers(unit.abbreviations, [DW_TAG.inlined_subroutine]),
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
  let into: { offset: number; depth: number } | undefined;
  let intoDie: Die | undefined;
  visitDies(unit, (at, { tag }, depth) => {
    if (tag === DW_TAG.subprogram && (into === undefined || depth <= into.depth)) {
      into = { offset: at, depth };
      intoDie = undefined;
    } else if (tag === DW_TAG.inlined_subroutine && into !== undefined && depth > into.depth) {
      const die = Die.at(unit, at);
      const origin = die?.referenceKey(DW_AT.abstract_origin);
      intoDie ??= Die.at(unit, into.offset);
      if (die !== undefined && intoDie !== undefined && origin !== undefined) {
        const list = copies.get(origin);
        if (list === undefined) copies.set(origin, [{ die, into: intoDie }]);
        else list.push({ die, into: intoDie });
      }
    }
  });
  return copies;
}
