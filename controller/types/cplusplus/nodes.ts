/** Reading what a walk goes through: words of memory, and objects in nodes. What is foreign is bounded by the walks. */
import { absent, type Absent, isAbsent } from '../../../format/absent.js';
import { sizeOf } from '../layout.js';
import type { ObjectView } from '../object-view.js';
import { computeRecipe, type Recipe } from '../../../format/recipe/recipe.js';
import { decodeInteger } from '../../../format/integer.js';
import type { Type } from '../type.js';
import type { Value } from '../value.js';
import type { ViewContext } from '../view.js';

export function corrupt(detail: string, address?: bigint): Absent {
  return absent('unreadable', `corrupt: ${detail}`, address === undefined ? {} : { address });
}

export function valueAt(type: Type, address: bigint): Value {
  return { type, place: { kind: 'memory', address: BigInt.asUintN(64, address) } };
}

export function readWord(context: ViewContext, address: bigint, size = 8): bigint | Absent {
  const read = context.memory.read(BigInt.asUintN(64, address), size);
  return isAbsent(read) ? read : decodeInteger(read.bytes, false);
}

/** Several recipes of one object; absent when one is. */
export function computeAll(
  recipes: readonly Recipe[],
  object: ObjectView,
  context: ViewContext,
): bigint[] | Absent {
  const values: bigint[] = [];
  for (const recipe of recipes) {
    const value = computeRecipe(recipe, object, context.memory);
    if (isAbsent(value)) return value;
    values.push(value);
  }
  return values;
}

/** Nodes come from allocators: on x86-64 and AArch64 their addresses divide by eight, and by two wherever they are. */
export function isNodeAddress(address: bigint): boolean {
  return address !== 0n && (address & 7n) === 0n;
}

/** The size that elements lie apart by; undefined where it is not known. */
export function strideOf(element: Type | undefined): number | undefined {
  const size = element === undefined ? undefined : sizeOf(element);
  return size === 0 ? undefined : size;
}
