/**
 * Which DIEs a person means by a name: `made`, `Counter::made` or `shop::Counter::made`; `Box::area` is that of every `Box<...>`. A name that is whole means
 * itself before what only ends in it.
 */
import type { Die } from '../dwarf/die.js';
import { nameOf, qualifiedNameOf, viewLanguage } from './origin.js';
import { unqualified } from './qualified-name.js';

/** Of DIEs that have the last part of a name, those that may be called so. In C every name is whole. */
export function calledSo(dies: readonly Die[], name: string): Die[] {
  if (dies.length === 0) return [];
  const known = dies.map((die) => ({ die, whole: wholeName(die) }));
  const whole = known.filter((each) => each.whole === name);
  if (whole.length > 0) return whole.map(({ die }) => die);
  return known.filter((each) => endsSo(each.whole, name)).map(({ die }) => die);
}

/** With the namespaces and classes that it stands in. */
export function wholeName(die: Die): string {
  const name = viewLanguage(die.unit.language) === undefined ? nameOf(die) : qualifiedNameOf(die);
  return name ?? '';
}

function endsSo(path: string, name: string): boolean {
  // Inline namespaces of the standard library nobody writes: `std::__1::string`.
  const whole = path.replace(inlineNamespace, 'std::');
  if (whole === name) return true;
  if (whole.endsWith(`::${name}`)) return true;
  if (name.includes('<') || !whole.includes('<'))
    return unqualified(name) === name && unqualified(whole) === name;
  const bare = withoutArguments(whole);
  return bare === name || bare.endsWith(`::${name}`);
}

const inlineNamespace = /^std::(?:__\d+|__cxx11|__ndk1|_V2)::/;

/** `shop::Box::area` of `shop::Box<int, 2>::area`; as it is where brackets are operators. */
export function withoutArguments(name: string): string {
  if (name.includes('operator')) return name;
  let bare = '';
  let depth = 0;
  for (const at of name) {
    if (at === '<') depth++;
    if (depth === 0) bare += at;
    if (at === '>') depth--;
  }
  return depth === 0 ? bare : name;
}

/** The scopes that a function's code sees, innermost first: `shop::Counter::`, `shop::` of `shop::Counter::get`. */
export function scopesOf(functionName: string): string[] {
  const scopes: string[] = [];
  let rest = functionName;
  for (let own = unqualified(rest); own !== rest && own !== ''; own = unqualified(rest)) {
    rest = rest.slice(0, rest.length - own.length - 2);
    scopes.push(`${rest}::`);
  }
  return scopes;
}
