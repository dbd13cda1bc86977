/** Functions as a person names them: by the end of their path, and generic ones without their arguments. */
import type { Die } from '../dwarf/die.js';
import { KIND } from './file-names.js';
import type { NameIndex } from './name-index.js';
import { functionNameOf } from './origin.js';
import { unqualified } from './qualified-name.js';

/** `method`, `Class::method`, `ns::Class::method`; of `total<i32>` also `total` and `module::total`. Exact names first: generic ones are looked for where there are none. */
export function functionsCalled(names: NameIndex, name: string): readonly Die[] {
  const exact = names.find(KIND.function, name);
  if (exact.length > 0) return exact;
  const own = unqualified(name);
  const isMeant = (die: Die): boolean => isCalled(functionNameOf(die) ?? '', name);
  const qualified = own === name ? [] : names.find(KIND.function, own).filter(isMeant);
  if (qualified.length > 0) return qualified;
  if (own.includes('<')) return [];
  const found: Die[] = [];
  for (const each of names.names(KIND.function)) {
    if (each.startsWith(`${own}<`)) found.push(...names.find(KIND.function, each).filter(isMeant));
  }
  return found;
}

function isCalled(whole: string, name: string): boolean {
  const own = unqualified(whole);
  const bracket = name.includes('<') ? -1 : own.indexOf('<');
  const path = bracket < 0 ? whole : whole.slice(0, whole.length - own.length + bracket);
  return path === name || path.endsWith(`::${name}`);
}
