/** Names of C++ with the namespaces and classes around them, as gdb names functions: `shop::Order::total`, `(anonymous namespace)::f`. */
import { DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { nameOf, originChain } from './origin.js';

const cPlusPlus: ReadonlySet<number> = new Set([0x04, 0x1a, 0x21, 0x2a, 0x2b]);

/** DW_LANG_C_plus_plus, and its versions 03 (as 11), 14, 17, 20. */
export function isCPlusPlus(language: number): boolean {
  return cPlusPlus.has(language);
}

const scopes: ReadonlySet<number> = new Set([
  DW_TAG.namespace,
  DW_TAG.class_type,
  DW_TAG.structure_type,
  DW_TAG.union_type,
]);

const known = new WeakMap<object, Map<number, string>>();

/** The name of a function; a definition that stands apart has the scope of its declaration. */
export function qualifiedNameOf(die: Die): string | undefined {
  const name = nameOf(die);
  if (name === undefined) return undefined;
  let declared = die;
  for (const one of originChain(die)) declared = one;
  const ofUnit = known.get(declared.unit) ?? new Map<number, string>();
  known.set(declared.unit, ofUnit);
  const prefix = ofUnit.get(declared.offset) ?? prefixOf(declared);
  ofUnit.set(declared.offset, prefix);
  return prefix + name;
}

/** `shop::Order::`, or nothing. */
function prefixOf(target: Die): string {
  const names: string[] = [];
  for (let at = enclosing(target.unit.root, target); at !== undefined; at = enclosing(at, target)) {
    if (!scopes.has(at.tag)) names.length = 0;
    else names.push(at.name ?? (at.tag === DW_TAG.namespace ? '(anonymous namespace)' : '{...}'));
  }
  return names.map((name) => `${name}::`).join('');
}

/** The child that has another DIE among its descendants. Bounded: offsets grow, and each step goes down. */
function enclosing(parent: Die, target: Die): Die | undefined {
  let last: Die | undefined;
  for (const child of parent.children()) {
    if (child.offset > target.offset) break;
    last = child;
  }
  return last === undefined || last.offset === target.offset ? undefined : last;
}
