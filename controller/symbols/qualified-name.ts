/** The namespaces and classes that a name stands in: `ns::Class::` of `ns::Class::method`. */
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import type { Unit } from '../dwarf/unit.js';

/** Prefixes that were found, by offset of the DIE: finding one means walking down the unit. */
const known = new WeakMap<Unit, Map<number, string>>();

const maxNesting = 64;

/** `ns::Class::` of a DIE; empty at the top of its unit, and in a class without a name. */
export function scopePrefix(die: Die): string {
  const ofUnit = known.get(die.unit) ?? new Map<number, string>();
  known.set(die.unit, ofUnit);
  const before = ofUnit.get(die.offset);
  if (before !== undefined) return before;
  const prefix = findPrefix(die);
  ofUnit.set(die.offset, prefix);
  return prefix;
}

function findPrefix(die: Die): string {
  let prefix = '';
  for (const scope of enclosing(die)) prefix = prefixIn(scope, prefix);
  return prefix;
}

/**
 * What a DIE stands in, outermost first, without the unit itself. DIEs do not know their parents: from the unit down, what contains an
 * offset is the last child that begins at or before it.
 */
function* enclosing(die: Die): Generator<Die> {
  let at = die.unit.root;
  for (let i = 0; i < maxNesting; i++) {
    let inner: Die | undefined;
    for (const child of at.children()) {
      if (child.offset > die.offset) break;
      inner = child;
    }
    if (inner === undefined || inner.offset === die.offset) return;
    yield inner;
    at = inner;
  }
}

/** The innermost DIE that a DIE stands in. */
export function scopeOf(die: Die): Die {
  let scope = die.unit.root;
  for (const inner of enclosing(die)) scope = inner;
  return scope;
}

/** Whether a namespace of a function's own name stands beside it, as rustc makes one for the closures of a function. */
export function hasNamespaceBeside(die: Die): boolean {
  const scope = scopeOf(die);
  for (const child of scope.children())
    if (child.tag === DW_TAG.namespace && child.name === die.name) return true;
  return false;
}

function prefixIn(scope: Die, outer: string): string {
  switch (scope.tag) {
    case DW_TAG.namespace:
      return `${outer}${scope.name ?? '(anonymous namespace)'}::`;
    case DW_TAG.class_type:
    case DW_TAG.structure_type:
    case DW_TAG.union_type:
      // gdb drops all of the scope of what has no name, as the class of a lambda.
      return scope.has(DW_AT.name) ? `${outer}${scope.name ?? ''}::` : '';
    default:
      // What stands in a function is known by its own name.
      return '';
  }
}

/** Whether a whole name can be called by a shorter one: `shop::Counter::count` by `Counter::count`. */
export function isCalled(whole: string | undefined, name: string): boolean {
  return whole === name || whole?.endsWith(`::${name}`) === true;
}

/** `vector<ns::T>` of `std::vector<ns::T>`: what follows the last `::` that is in no brackets. */
export function unqualified(name: string): string {
  let depth = 0;
  for (let i = name.length - 1; i > 0; i--) {
    const at = name[i];
    if (at === '>' || at === ')' || at === '}') depth++;
    else if (at === '<' || at === '(' || at === '{') depth--;
    else if (depth <= 0 && at === ':' && name[i - 1] === ':') return name.slice(i + 1);
  }
  return name;
}
