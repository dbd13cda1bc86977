/** Members of classes by name, as C++ looks them up: a class hides its bases, and what two bases have is ambiguous until one is named. */
import { defaultLimits } from '../../format/limits.js';
import { asComposite, memberPath, stripType, type MemberPath } from './layout.js';
import type { CompositeType, Member, Type } from './type.js';
import { typeName } from './type-name.js';

export type ClassMember =
  | { readonly kind: 'member'; readonly path: MemberPath }
  /** `Base::member` of each base that has one. */
  | { readonly kind: 'ambiguous'; readonly candidates: readonly string[] };

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
  const within = qualifier === '' ? undefined : findBase(composite, qualifier, budget);
  if (qualifier !== '' && within === undefined && !isCalled(composite, qualifier)) return undefined;
  if (within?.kind === 'ambiguous') return within;
  const base = within === undefined ? 0 : within.path.byteOffset;
  const scope = within === undefined ? composite : asComposite(within.path.type);
  if (scope === undefined) return undefined;
  const found =
    findNamed(scope, last, { budget, base, nesting: 0 }) ??
    (/^\d+$/.test(last) ? findNamed(scope, `__${last}`, { budget, base, nesting: 0 }) : undefined);
  return found ?? (qualifier === '' ? findBase(composite, name, budget) : undefined);
}

interface Search {
  readonly budget: { left: number };
  readonly base: number;
  readonly nesting: number;
}

function findNamed(type: CompositeType, name: string, search: Search): ClassMember | undefined {
  const { budget, base, nesting } = search;
  if (nesting > defaultLimits.maxNesting || budget.left-- <= 0) return undefined;
  const members = type.members();
  const own = members.find((member) => member.name === name && !member.base);
  if (own !== undefined) return { kind: 'member', path: memberPath(own, base) };
  const inner = (member: Member): ClassMember | undefined => {
    const of = asComposite(member.type());
    const at = { budget, base: base + member.byteOffset, nesting: nesting + 1 };
    return of === undefined ? undefined : findNamed(of, name, at);
  };
  for (const member of members) {
    if (member.name !== undefined || member.base) continue;
    const found = inner(member);
    if (found !== undefined) return found;
  }
  return theOne(
    members
      .filter((member) => member.base)
      .map((member) => ({ by: `${typeName(member.type())}::${name}`, found: inner(member) })),
  );
}

/** A base class, however far up, by its name with or without namespaces and template arguments. */
function findBase(
  type: CompositeType,
  name: string,
  budget: Search['budget'],
  { base, nesting }: Pick<Search, 'base' | 'nesting'> = { base: 0, nesting: 0 },
): ClassMember | undefined {
  if (nesting > defaultLimits.maxNesting || budget.left-- <= 0) return undefined;
  const bases = type.members().filter((member) => member.base);
  return theOne(
    bases.map((member) => {
      const of = asComposite(member.type());
      const by = typeName(member.type());
      if (of === undefined) return { by, found: undefined };
      if (isCalled(of, name)) return { by, found: { kind: 'member', path: memberPath(member, base) } };
      const at = { base: base + member.byteOffset, nesting: nesting + 1 };
      return { by: `${by}::${name}`, found: findBase(of, name, budget, at) };
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
  const offsets = new Set(
    found.map(({ found: each }) => (each?.kind === 'member' ? each.path.byteOffset : -1)),
  );
  // The same place, reached on two ways: one object.
  if (offsets.size === 1) return first.found;
  return { kind: 'ambiguous', candidates: found.map(({ by }) => by) };
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
