/** The functions of a unit that have code, wherever their DIEs stand: nested functions and lambdas are inside of other functions. */
import type { Abbreviation } from '../dwarf/abbrev.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import { Die } from '../dwarf/die.js';
import { visitDies } from '../dwarf/die-visit.js';
import type { Unit } from '../dwarf/unit.js';

/** Walks every DIE of the unit, and makes those that it gives. */
export function concreteSubprograms(unit: Unit): readonly Die[] {
  const found: Die[] = [];
  visitDies(unit, (at, abbreviation) => {
    const die = hasCode(abbreviation) ? Die.at(unit, at) : undefined;
    if (die !== undefined) found.push(die);
  });
  return found;
}

/** Whether DIEs of an abbreviation are functions with code. */
export function hasCode({ tag, attributes }: Abbreviation): boolean {
  return (
    tag === DW_TAG.subprogram && (attributes.includes(DW_AT.low_pc) || attributes.includes(DW_AT.ranges))
  );
}
