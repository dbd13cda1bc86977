/**
 * Where the parts of an object lie that a view is made of, found by the names of members, through bases: never by size alone.
 * What is not there by its name makes the view undefined.
 */
import { asComposite, findMember, isInteger, isPointer, isSigned, sizeOf } from '../layout.js';
import { binary, constant, type IntegerSize, type Recipe } from '../../../format/recipe/recipe.js';
import type { Type } from '../type.js';

export interface Part {
  readonly type: Type;
  /** From the beginning of the object. */
  readonly offset: number;
}

/** A member of a member, and so on. */
export function partOf(of: Type | Part | undefined, ...names: readonly string[]): Part | undefined {
  if (of === undefined) return undefined;
  let at: Part = 'offset' in of ? of : { type: of, offset: 0 };
  for (const name of names) {
    const found = findMember(at.type, name);
    if (found === undefined || found.type.kind === 'unknown') return undefined;
    at = { type: found.type, offset: at.offset + found.byteOffset };
  }
  return at;
}

/** The first that is there: layouts change from version to version. */
export function firstPartOf(
  of: Type | Part | undefined,
  ...paths: readonly (readonly string[])[]
): Part | undefined {
  for (const path of paths) {
    const found = partOf(of, ...path);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The second half of a compressed pair of libc++: its second base. */
export function secondOf(pair: Part | undefined): Part | undefined {
  const bases =
    pair === undefined ? [] : (asComposite(pair.type)?.members() ?? []).filter(({ base }) => base);
  const second = bases[1];
  if (pair === undefined || second === undefined) return undefined;
  return { type: second.type(), offset: pair.offset + second.byteOffset };
}

/** The integer or pointer that a part is; undefined where it is none. */
export function wordAt(part: Part | undefined): Recipe | undefined {
  if (part === undefined || (!isPointer(part.type) && !isInteger(part.type))) return undefined;
  const size = sizeOf(part.type);
  if (size !== 1 && size !== 2 && size !== 4 && size !== 8) return undefined;
  return fieldAt(part.offset, size, isSigned(part.type));
}

export function pointerIn(part: Part | undefined): Recipe | undefined {
  return part !== undefined && isPointer(part.type) ? wordAt(part) : undefined;
}

function fieldAt(offset: number, size: IntegerSize, signed: boolean): Recipe {
  return { op: 'field', offset, size, ...(signed ? { signed: true as const } : {}) };
}

/** A template argument that is a type. */
export function argument(type: Type, index: number): Type | undefined {
  return asComposite(type)?.origin?.templateArguments()[index]?.type();
}

/** A template argument that is a value. */
export function argumentValue(type: Type, index: number): bigint | undefined {
  return asComposite(type)?.origin?.templateArguments()[index]?.value;
}

export const not = (recipe: Recipe): Recipe => binary(recipe, '==', constant(0));
export const atMost = (left: Recipe, right: Recipe): Recipe => not(binary(right, '<', left));
export const both = (left: Recipe, right: Recipe): Recipe => binary(left, '&', right);
export const minus = (left: Recipe, right: Recipe): Recipe => binary(left, '-', right);
export const plus = (left: Recipe, right: Recipe): Recipe => binary(left, '+', right);
export const over = (left: Recipe, size: number): Recipe =>
  size === 1 ? left : binary(left, '/', constant(size));
export const times = (left: Recipe, size: number): Recipe => binary(left, '*', constant(size));
