/** Where the parts of a library's type lie, by the names of members. What is not as we know it has no view. */
import { findMember, sizeOf, stripType } from '../layout.js';
import { binary, constant, type IntegerSize, type Recipe } from '../../../format/recipe/recipe.js';
import type { Type } from '../type.js';

export interface Part {
  readonly type: Type;
  /** From the beginning of the outermost type. */
  readonly offset: number;
}

/** A member of a member of a type; undefined where there is none of that name. */
export function partAt(type: Type, ...names: readonly string[]): Part | undefined {
  let part: Part = { type, offset: 0 };
  for (const name of names) {
    const member = findMember(part.type, name);
    if (member === undefined || member.bits !== undefined) return undefined;
    part = { type: member.type, offset: part.offset + member.byteOffset };
  }
  return part;
}

/** The first of some paths that exists: what one release calls `buf.inner.ptr`, another called `buf.ptr`. */
export function firstPart(type: Type, ...paths: readonly (readonly string[])[]): Part | undefined {
  for (const path of paths) {
    const part = partAt(type, ...path);
    if (part !== undefined) return part;
  }
  return undefined;
}

const maxWrappers = 16;

/** What is in structs and unions that are nothing but a wrapper: `NonNull`, `UnsafeCell`, `MaybeUninit`. */
export function innermost(part: Part): Part {
  let at = part;
  for (let i = 0; i < maxWrappers; i++) {
    const plain = stripType(at.type);
    if (plain.kind !== 'struct' && plain.kind !== 'union') return at;
    if (plain.variants?.() !== undefined) return at;
    const filled = plain.members().filter((member) => sizeOf(member.type()) !== 0);
    const [only] = filled;
    if (only === undefined || filled.length > 1 || sizeOf(only.type()) !== plain.byteSize) return at;
    at = { type: only.type(), offset: at.offset + only.byteOffset };
  }
  return at;
}

/** The integer or thin pointer that a part is, behind wrappers, in the object itself. */
export function wordOf(part: Part | undefined): Recipe | undefined {
  if (part === undefined) return undefined;
  const { type, offset } = innermost(part);
  const plain = stripType(type);
  if (plain.kind !== 'base' && plain.kind !== 'pointer') return undefined;
  return integerField(offset, plain.byteSize);
}

/** The same of what is in memory: `part` is of the type that `pointer` points to. */
export function wordBehind(pointer: Recipe, part: Part | undefined): Recipe | undefined {
  const field = wordOf(part);
  if (field?.op !== 'field') return undefined;
  return { op: 'load', address: plus(pointer, field.offset), size: field.size };
}

function integerField(offset: number, size: number): Recipe | undefined {
  return integerSizes.has(size) ? { op: 'field', offset, size: size as IntegerSize } : undefined;
}

const integerSizes: ReadonlySet<number> = new Set([1, 2, 4, 8]);

export function plus(recipe: Recipe, offset: number): Recipe {
  return offset === 0 ? recipe : binary(recipe, '+', constant(offset));
}

/** The type that a thin pointer behind wrappers points to. */
export function targetOf(part: Part | undefined): Type | undefined {
  if (part === undefined) return undefined;
  const plain = stripType(innermost(part).type);
  return plain.kind === 'pointer' ? plain.target() : undefined;
}

export const isZero = (recipe: Recipe): Recipe => binary(recipe, '==', constant(0));
