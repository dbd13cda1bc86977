/** Members of classes by name, as C++ looks them up: a class hides its bases, and what two bases have is ambiguous until one is named. */
import { defaultLimits } from '../../format/limits.js';
import { asComposite, memberPath, stripType, type MemberPath } from './layout.js';
import type { CompositeType, Member, Type, VirtualBase } from './type.js';
import { typeName } from './type-name.js';

export type ClassMember =
  | {
      readonly kind: 'member';
      readonly path: MemberPath;
      /** Virtual bases on the way, outermost first: the path begins in the last of them. */
      readonly via: readonly VirtualStep[];
    }
  /** `Base::member` of each base that has one. */
  | { readonly kind: 'ambiguous'; readonly candidates: readonly string[] };

export interface VirtualStep {
  /** Where in the object so far the class lies that has the base. */
  readonly byteOffset: number;
  readonly holder: Type;
  readonly base: VirtualBase;
}

/** Bases and anonymous members can double with each level: so many are looked into in all. */
const maxClasses = 10_000;

/** `name`, `Base`, `Base::name`; a number is the field of a tuple. Undefined where there is none. */
export function findClassMember(type: Type, name: string): ClassMember | undefined {
  const composite = asComposite(type);
  if (composite === undefined) return undefined;
  const budget = { left: maxClasses };
  const parts = name.split('::');
  const last = parts.at(-1) ?? name;
  const qualifier = parts.slice(0, -1).join('::');
  const named =
    qualifier === '' ? undefined : findBase(composite, qualifier, { budget, base: 0, via: [], nesting: 0 });
  if (qualifier !== '' && named === undefined && !isCalled(composite, qualifier)) return undefined;
  if (named?.kind === 'ambiguous') return named;
  const scope = named === undefined ? composite : asComposite(named.path.type);
  if (scope === undefined) return undefined;
  const start = { budget, base: named?.path.byteOffset ?? 0, via: named?.via ?? [], nesting: 0 };
  const found =
    findNamed(scope, last, start) ?? (/^\d+$/.test(last) ? findNamed(scope, `__${last}`, start) : undefined);
  return found ?? (qualifier === '' ? findBase(composite, name, start) : undefined);
}

interface Search {
  readonly budget: { left: number };
  readonly base: number;
  readonly via: readonly VirtualStep[];
  readonly nesting: number;
}

function findNamed(type: CompositeType, name: string, search: Search): ClassMember | undefined {
  const { budget, base, via, nesting } = search;
  if (nesting > defaultLimits.maxNesting || budget.left-- <= 0) return undefined;
  const members = type.members();
  const own = members.find((member) => member.name === name && !member.base);
  if (own !== undefined) return { kind: 'member', path: memberPath(own, base), via };
  const inner = (member: Member): ClassMember | undefined => {
    const of = asComposite(baseType(member));
    return of === undefined ? undefined : findNamed(of, name, within(type, member, search));
  };
  for (const member of members) {
    if (member.name !== undefined || member.base) continue;
    const found = inner(member);
    if (found !== undefined) return found;
  }
  return theOne(
    members
      .filter((member) => member.base || member.embedded === true)
      .map((member) => ({ by: `${typeName(baseType(member))}::${name}`, found: inner(member) })),
  );
}

function baseType(member: Member): Type {
  return member.virtualBase?.type() ?? member.type();
}

/** The search in a part of a class. */
function within(type: CompositeType, member: Member, search: Search): Search {
  const { base, via, nesting } = search;
  const { virtualBase } = member;
  if (virtualBase === undefined) {
    return { ...search, base: base + member.byteOffset, nesting: nesting + 1 };
  }
  const step: VirtualStep = { byteOffset: base, holder: type, base: virtualBase };
  return { ...search, base: 0, via: [...via, step], nesting: nesting + 1 };
}

/** A base class, however far up, by its name with or without namespaces and template arguments. */
function findBase(type: CompositeType, name: string, search: Search): ClassMember | undefined {
  return baseWhere(type, (base) => isCalled(base, name), name, search);
}

/** The base class that a class is, as a cast finds it; undefined where it is none. */
export function findBaseClass(derived: Type, base: Type): ClassMember | undefined {
  const [from, to] = [asComposite(derived), asComposite(base)];
  if (from === undefined || to === undefined || to.name === undefined) return undefined;
  const name = typeName(to);
  const search = { budget: { left: maxClasses }, base: 0, via: [], nesting: 0 };
  return baseWhere(from, (each) => typeName(each) === name, name, search);
}

function baseWhere(
  type: CompositeType,
  isWanted: (base: CompositeType) => boolean,
  name: string,
  search: Search,
): ClassMember | undefined {
  const { budget, nesting } = search;
  if (nesting > defaultLimits.maxNesting || budget.left-- <= 0) return undefined;
  const bases = type.members().filter((member) => member.base);
  return theOne(
    bases.map((member) => {
      const of = asComposite(baseType(member));
      const by = typeName(baseType(member));
      if (of === undefined) return { by, found: undefined };
      const at = within(type, member, search);
      if (!isWanted(of)) return { by: `${by}::${name}`, found: baseWhere(of, isWanted, name, at) };
      const path: MemberPath = { member, type: baseType(member), byteOffset: at.base };
      return { by, found: { kind: 'member', path, via: at.via } };
    }),
  );
}

function theOne(
  sides: readonly { readonly by: string; readonly found: ClassMember | undefined }[],
): ClassMember | undefined {
  const found = sides.filter((side) => side.found !== undefined);
  const [first] = found;
  if (first?.found === undefined) return undefined;
  const ambiguous = found.find((side) => side.found?.kind === 'ambiguous');
  if (ambiguous !== undefined) return ambiguous.found;
  const places = new Set(found.map(({ found: each }) => (each?.kind === 'member' ? placeKey(each) : '')));
  // The same place, reached on two ways: one object.
  if (places.size === 1) return first.found;
  return { kind: 'ambiguous', candidates: found.map(({ by }) => by) };
}

/** A class has one object of a virtual base, whichever way leads to it. */
function placeKey({ path, via }: Extract<ClassMember, { kind: 'member' }>): string {
  const last = via.at(-1);
  return `${last === undefined ? '' : typeName(last.base.type())} ${path.byteOffset}`;
}

function isCalled(type: CompositeType, name: string): boolean {
  const whole = type.name;
  if (whole === undefined) return false;
  const bare = withoutArguments(whole);
  return [whole, bare].some((each) => each === name || each.endsWith(`::${name}`));
}

/** `Base` for `Base<int>`. */
export function withoutArguments(name: string): string {
  const open = name.indexOf('<');
  return open <= 0 || !name.endsWith('>') ? name : name.slice(0, open);
}

/** Whether a type has a member that can be named so. */
export function hasMember(type: Type, name: string): boolean {
  return findClassMember(stripType(type), name) !== undefined;
}
