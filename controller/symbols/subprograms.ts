/** The functions of a unit that have code, wherever their DIEs stand: nested functions and lambdas are inside of other functions. */
import type { Abbreviation } from '../dwarf/abbrev.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import { Die, skipAttributes } from '../dwarf/die.js';
import type { Unit } from '../dwarf/unit.js';

/** Walks every DIE of the unit, and makes those that it gives. */
export function* concreteSubprograms(unit: Unit): Generator<Die> {
  const { bytes } = unit.info;
  const { abbreviations, end, root } = unit;
  if (!root.abbreviation.hasChildren) return;
  let position = root.attributesEnd;
  for (let depth = 1; depth > 0 && position < end;) {
    const at = position;
    let code = bytes[position++] ?? 0;
    if (code >= 0x80) {
      const cursor = unit.info.at(at);
      code = cursor.ulebNumber();
      position = cursor.offset;
    }
    if (code === 0) {
      depth--;
      continue;
    }
    const abbreviation = abbreviations.get(code);
    if (abbreviation === undefined) throw unit.info.error(`unknown abbreviation ${code}`, at);
    if (hasCode(abbreviation)) {
      const die = Die.at(unit, at);
      if (die !== undefined) yield die;
    }
    position = skipAttributes(bytes, position, abbreviation, unit);
    if (abbreviation.hasChildren) depth++;
  }
}

function hasCode({ tag, attributes }: Abbreviation): boolean {
  return (
    tag === DW_TAG.subprogram && (attributes.includes(DW_AT.low_pc) || attributes.includes(DW_AT.ranges))
  );
}
