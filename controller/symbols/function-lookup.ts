/**
 * Functions as a person names them: `handle`, `Counter::add`, `shop::Counter::add(int)`, `larger` for all that a template became, `(*Request).handle` or
 * `Request.handle` in Go. Debug information knows them by their last name; the rest says which of those is meant.
 */
import { typeName } from '../types/type-name.js';
import { withoutArguments } from '../types/class-member.js';
import type { FunctionSymbol, ModuleSymbols } from './module-symbols.js';
import { demangled } from './demangle.js';
import { unqualified } from './qualified-name.js';
import { canonicalName, matchName, nameParts } from './template-name.js';

/** Names that are looked through for templates and for packages. */
const maxNames = 500_000;
/** Instances of one template. */
const maxInstances = 200;

/** All that the name can mean; empty where there is none. */
export function lookUpFunctions(symbols: ModuleSymbols, text: string): readonly FunctionSymbol[] {
  const { name, parameters } = splitParameters(text.trim().replace(/^::/, ''));
  const last = unqualified(name);
  const named = symbols.findFunctions(last).filter((found) => isNamed(found.name, name));
  const exact = named.length > 0 ? named : last === name ? [] : symbols.findFunctions(name);
  const ofTrait = exact.length > 0 ? [] : traitMethods(symbols, name, last);
  const found = exact.length > 0 ? exact : ofTrait.length > 0 ? ofTrait : instancesOf(symbols, name, last);
  if (parameters === undefined) return found;
  const wanted = normalized(parameters);
  const same = found.filter((each) => normalized(parametersText(each)) === wanted);
  if (same.length > 0) return same;
  // `T const &` is `const T &`.
  const loosely = wanted.replaceAll(constWord, '');
  return found.filter((each) => normalized(parametersText(each)).replaceAll(constWord, '') === loosely);
}

const constWord = /const(?=[^A-Za-z0-9_]|$)|(?<![A-Za-z0-9_])const/g;

/** `shop::Counter::add(int)`: what tells one of several from the others. */
export function signatureOf(found: FunctionSymbol): string {
  return `${spokenName(found)}(${parametersText(found)})`;
}

/** By the type and the trait, where debug information has a number for what they are to each other: `<shapes::Circle as shapes::Shape>::area`. */
export function spokenName({ name, linkageName }: FunctionSymbol): string {
  return linkageName !== undefined && name.includes('{impl#') ? demangled(linkageName) : name;
}

function parametersText(found: FunctionSymbol): string {
  return found
    .parameters()
    .filter((parameter) => parameter.name !== 'this')
    .map((parameter) => typeName(parameter.type()))
    .join(', ');
}

function normalized(parameters: string): string {
  return parameters.replaceAll(/\s+/g, '').replace(/^void$/, '');
}

/** Cuts a list of parameters off; `(*T).method` of Go begins with parentheses, and has none at its end. */
function splitParameters(text: string): { readonly name: string; readonly parameters?: string } {
  const whole = text.replace(/\)\s*const$/, ')');
  if (!whole.endsWith(')')) return { name: text };
  let depth = 0;
  for (let i = whole.length - 1; i > 0; i--) {
    if (whole[i] === ')') depth++;
    else if (whole[i] === '(' && --depth === 0) {
      return { name: whole.slice(0, i).trim(), parameters: whole.slice(i + 1, -1) };
    }
  }
  return { name: text };
}

function isNamed(whole: string, name: string): boolean {
  if (whole === name || whole.endsWith(`::${name}`)) return true;
  return name.includes('<') ? isPath(whole, name) : withoutLastArguments(whole).endsWith(`::${name}`);
}

/** `ns::larger` for `ns::larger<int>`. */
function withoutLastArguments(name: string): string {
  const last = unqualified(name);
  return name.slice(0, name.length - last.length) + withoutArguments(last);
}

const traitMethod = /^<(.+) as (.+)>::(\w+)$/;

/**
 * Rust: `<Circle as Shape>::area`, `Circle::area`, and of the trait `Shape::area`, for which all that have it are meant. Also what a trait does by itself for
 * a type: `<Circle as Shape>::name`.
 */
function traitMethods(symbols: ModuleSymbols, name: string, last: string): FunctionSymbol[] {
  const scope = name.slice(0, Math.max(0, name.length - last.length - 2));
  if (scope === '') return [];
  const [, self, trait] = traitMethod.exec(name) ?? [];
  const found = symbols.findFunctions(last).filter((each) => {
    const [, ofType = '', ofTrait = ''] = traitMethod.exec(spokenName(each)) ?? [];
    if (ofType === '') return false;
    if (self === undefined || trait === undefined) return isPath(ofType, scope) || isPath(ofTrait, scope);
    return isPath(ofType, self) && isPath(ofTrait, trait);
  });
  if (found.length > 0 || self === undefined || trait === undefined) return found;
  return instancesOf(symbols, `${trait}::${last}`, last).filter(({ name: whole }) =>
    isPath(nameParts(canonicalName(whole)).at(-1)?.arguments?.[0] ?? '', self),
  );
}

/** `shapes::Circle` is called `Circle`; `shapes::Wrapper<i32>` also `Wrapper`. */
function isPath(whole: string, written: string): boolean {
  const parts = nameParts(canonicalName(whole));
  return matchName(parts, nameParts(canonicalName(written)), () => false) !== undefined;
}

/** Functions that a template became, and those of Go, whose names have packages and receivers in front. */
function instancesOf(symbols: ModuleSymbols, name: string, last: string): FunctionSymbol[] {
  const names = new Set<string>();
  const open = last.indexOf('<');
  const bare = open > 0 ? last.slice(0, open) : last;
  let seen = 0;
  for (const candidate of symbols.functionNames()) {
    if (++seen > maxNames || names.size >= maxInstances) break;
    const isInstance =
      bare === last
        ? candidate.startsWith(`${last}<`) && withoutArguments(candidate) === last
        : candidate.startsWith(`${bare}<`) && canonicalName(candidate) === canonicalName(last);
    if (isInstance || isOfPackage(candidate, name)) names.add(candidate);
  }
  return [...names]
    .flatMap((each) => symbols.findFunctions(each))
    .filter((found) => isOfPackage(found.name, name) || isInstanceOf(found.name, name));
}

function isInstanceOf(whole: string, name: string): boolean {
  if (name.includes('<')) return isPath(whole, name);
  const bare = withoutLastArguments(whole);
  return bare === name || bare.endsWith(`::${name}`);
}

/** `main.(*Request).handle` is also `(*Request).handle`, `Request.handle` and `handle`. */
function isOfPackage(whole: string, name: string): boolean {
  // What the compiler makes for types (`type..eq.main.Order`, `type:.hash.main.Order`) nobody means by the names of these.
  if (!whole.includes('.') || whole.includes('::') || /^(?:type|go)[.:]/.test(whole)) return false;
  if (whole.endsWith(`.${name}`) || whole.endsWith(`/${name}`)) return true;
  const bare = whole.replaceAll(/\(\*?(\w+)\)/g, '$1');
  return bare === name || bare.endsWith(`.${name}`) || bare.endsWith(`/${name}`);
}
