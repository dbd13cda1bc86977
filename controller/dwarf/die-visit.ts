/** Every DIE of a unit, for the few questions that need them all. */
import type { Abbreviation } from './abbrev.js';
import { skipAttributes } from './die.js';
import type { Unit } from './unit.js';

/** Gives each DIE but the root by its offset, in the order written; `depth` is 1 for children of the root. */
export type VisitDie = (offset: number, abbreviation: Abbreviation, depth: number) => void;

/** Makes no DIE: whoever wants one makes it with `Die.at`. Throws `bad-data`. */
export function visitDies(unit: Unit, visit: VisitDie): void {
  const { bytes } = unit.info;
  const { abbreviations, end, root } = unit;
  if (!root.abbreviation.hasChildren) return;
  unit.load();
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
    visit(at, abbreviation, depth);
    position = skipAttributes(bytes, position, abbreviation, unit);
    if (abbreviation.hasChildren) depth++;
  }
}
