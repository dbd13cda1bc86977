/**
 * What can be said of a type without any memory: its size, its members, what it is beneath typedefs and qualifiers.
 * Pure. Types come from foreign debug information and may be cyclic, so every walk is bounded by `maxNesting`.
 */
import { defaultLimits } from '../../format/limits.js';
import type { ArrayType, BaseType, CompositeType, EnumType, Member, PointerType, Type } from './type.js';

/** A type without typedefs and qualifiers on its outside. */
export type PlainType = Exclude<Type, { kind: 'typedef' | 'qualified' }>;

/** Removes typedefs and qualifiers from the outside of a type; `unknown` when they lead in a circle. */
export function stripType(type: Type): PlainType {
  let at = type;
  for (let i = 0; i < defaultLimits.maxNesting; i++) {
    if (at.kind !== 'typedef' && at.kind !== 'qualified') return at;
    at = at.target();
  }
  return { kind: 'unknown', detail: `type is nested deeper than ${defaultLimits.maxNesting}` };
}

/**
 * Size in bytes; undefined where there is none to know: `void`, functions, incomplete structs, arrays of unknown count.
 * An array's stride is its element's size.
 */
export function sizeOf(type: Type): number | undefined {
  let scale = 1;
  let at = type;
  for (let i = 0; i < defaultLimits.maxNesting; i++) {
    const plain = stripType(at);
    switch (plain.kind) {
      case 'base':
      case 'pointer':
      case 'enum':
        return scale * plain.byteSize;
      case 'struct':
      case 'union':
      case 'class':
        return plain.incomplete ? undefined : scale * plain.byteSize;
      case 'array':
        if (plain.count === undefined) return undefined;
        scale *= plain.count;
        if (!Number.isSafeInteger(scale)) return undefined;
        at = plain.element();
        break;
      case 'void':
      case 'function':
      case 'unknown':
        return undefined;
    }
  }
  return undefined;
}

/** Number of elements of an array type; undefined when it is not an array or the count is not known from the type alone. */
export function elementCount(type: Type): number | undefined {
  const plain = stripType(type);
  return plain.kind === 'array' ? plain.count : undefined;
}

/** Where a member is, seen from the outermost struct that was asked. */
export interface MemberPath {
  readonly member: Member;
  readonly type: Type;
  /** From the beginning of the outer struct; the anonymous ones in between are added up. */
  readonly byteOffset: number;
  /** Set for a bit field, as `Value.bits`: counted from `byteOffset`. */
  readonly bits?: { readonly offset: number; readonly size: number };
}

/** Finds a member by name, also inside anonymous structs and unions; undefined when there is none. */
export function findMember(type: Type, name: string): MemberPath | undefined {
  return findIn(type, name, { left: maxComposites }, { base: 0, nesting: 0 });
}

/** Anonymous members can double with each level of nesting: so many structs and unions are looked into in all. */
const maxComposites = 10_000;

interface Budget {
  left: number;
}

function findIn(
  type: Type,
  name: string,
  budget: Budget,
  { base, nesting }: { readonly base: number; readonly nesting: number },
): MemberPath | undefined {
  const plain = stripType(type);
  if (!isCompositeKind(plain) || nesting > defaultLimits.maxNesting || budget.left-- <= 0) return undefined;
  const members = plain.members();
  for (const member of members) {
    if (member.name === name) return memberPath(member, base);
  }
  for (const member of members) {
    if (member.name !== undefined && !member.base && member.embedded !== true) continue;
    const inner = { base: base + member.byteOffset, nesting: nesting + 1 };
    const found = findIn(member.type(), name, budget, inner);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The path of a direct member of a struct that begins at `base`. */
export function memberPath(member: Member, base = 0): MemberPath {
  return {
    member,
    type: member.type(),
    byteOffset: base + member.byteOffset,
    ...(member.bitSize === undefined
      ? {}
      : { bits: { offset: member.bitOffset ?? 0, size: member.bitSize } }),
  };
}

/** Names that `findMember` would find, for near matches. */
export function memberNames(type: Type): string[] {
  return namesIn(type, { left: maxComposites }, 0);
}

function namesIn(type: Type, budget: Budget, nesting: number): string[] {
  const plain = stripType(type);
  if (!isCompositeKind(plain) || nesting > defaultLimits.maxNesting || budget.left-- <= 0) return [];
  return plain
    .members()
    .flatMap((member) =>
      member.name === undefined ? namesIn(member.type(), budget, nesting + 1) : [member.name],
    );
}

function isCompositeKind(type: PlainType): type is CompositeType {
  return type.kind === 'struct' || type.kind === 'union' || type.kind === 'class';
}

/** The pointer type beneath typedefs and qualifiers, references excluded. */
export function asPointer(type: Type): PointerType | undefined {
  const plain = stripType(type);
  return plain.kind === 'pointer' && plain.flavor === 'pointer' ? plain : undefined;
}

export function asReference(type: Type): PointerType | undefined {
  const plain = stripType(type);
  return plain.kind === 'pointer' && plain.flavor !== 'pointer' ? plain : undefined;
}

export function asArray(type: Type): ArrayType | undefined {
  const plain = stripType(type);
  return plain.kind === 'array' ? plain : undefined;
}

/** The struct, union or class beneath typedefs and qualifiers. */
export function asComposite(type: Type): CompositeType | undefined {
  const plain = stripType(type);
  return isCompositeKind(plain) ? plain : undefined;
}

export function asBase(type: Type): BaseType | undefined {
  const plain = stripType(type);
  return plain.kind === 'base' ? plain : undefined;
}

export function asEnum(type: Type): EnumType | undefined {
  const plain = stripType(type);
  return plain.kind === 'enum' ? plain : undefined;
}

export function isVoid(type: Type): boolean {
  return stripType(type).kind === 'void';
}

export function isFunction(type: Type): boolean {
  return stripType(type).kind === 'function';
}

export function isPointer(type: Type): boolean {
  return asPointer(type) !== undefined;
}

export function isComposite(type: Type): boolean {
  return asComposite(type) !== undefined;
}

/** Integers as C has them: plain, character, boolean and enumeration types. */
export function isInteger(type: Type): boolean {
  const plain = stripType(type);
  if (plain.kind === 'enum') return true;
  if (plain.kind !== 'base') return false;
  return (
    plain.encoding === 'signed' ||
    plain.encoding === 'unsigned' ||
    plain.encoding === 'boolean' ||
    plain.encoding === 'signed-char' ||
    plain.encoding === 'unsigned-char' ||
    plain.encoding === 'utf'
  );
}

export function isSigned(type: Type): boolean {
  const plain = stripType(type);
  if (plain.kind === 'enum') return plain.signed;
  return plain.kind === 'base' && (plain.encoding === 'signed' || plain.encoding === 'signed-char');
}

export function isFloat(type: Type): boolean {
  return asBase(type)?.encoding === 'float';
}

export function isBoolean(type: Type): boolean {
  return asBase(type)?.encoding === 'boolean';
}

/** Characters as they stand in strings: one byte wide. `uint8_t` is one by its encoding, as in gdb. */
export function isCharacter(type: Type): boolean {
  const base = asBase(type);
  return (
    base !== undefined &&
    base.byteSize === 1 &&
    (base.encoding === 'signed-char' || base.encoding === 'unsigned-char' || base.encoding === 'utf')
  );
}

const wideNames: ReadonlySet<string> = new Set(['wchar_t', 'char16_t', 'char32_t']);

/** Bytes of a character wider than one byte: a type of that encoding, or what C gives one of these names; undefined for all else. */
export function wideCharacterBytes(type: Type): number | undefined {
  let at = type;
  let named = false;
  for (let i = 0; i < defaultLimits.maxNesting; i++) {
    if (at.kind !== 'typedef' && at.kind !== 'qualified') break;
    if (at.kind === 'typedef' && wideNames.has(at.name)) named = true;
    at = at.target();
  }
  if (at.kind !== 'base') return undefined;
  const isWide = at.encoding === 'utf' || wideNames.has(at.name) || (named && isInteger(at));
  return isWide && (at.byteSize === 2 || at.byteSize === 4) ? at.byteSize : undefined;
}

/** Integers, floats and pointers: what a condition can be. */
export function isScalar(type: Type): boolean {
  return isInteger(type) || isFloat(type) || isPointer(type);
}
