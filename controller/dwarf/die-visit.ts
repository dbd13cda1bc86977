/** Every DIE of a unit, for the few questions that need them all. */
import { skipChildren, type VisitDie } from './die.js';
import type { Unit } from './unit.js';

/** All but the root, of which `depth` counts. Makes no DIE: whoever wants one makes it with `Die.at`. Throws `bad-data`. */
export function visitDies(unit: Unit, visit: VisitDie): void {
  if (!unit.root.abbreviation.hasChildren) return;
  unit.load();
  skipChildren(unit, unit.root.attributesEnd, visit);
}
