/** Reading what a walk goes through: recipes over its object, words of memory, words of structs. What is foreign is bounded by the walks. */
import { type Absent, isAbsent } from '../absent.js';
import { decodeInteger } from '../integer.js';
import type { MemoryReader } from '../memory.js';
import type { RecipeObject } from '../recipe/object.js';
import { computeRecipe, type IntegerSize, type Recipe } from '../recipe/recipe.js';

export function readWord(memory: MemoryReader, address: bigint, size = 8): bigint | Absent {
  const read = memory.read(BigInt.asUintN(64, address), size);
  return isAbsent(read) ? read : decodeInteger(read.bytes, false);
}

/** Several recipes of one object; absent when one is. */
export function computeAll(
  recipes: readonly Recipe[],
  object: RecipeObject,
  memory: MemoryReader,
): bigint[] | Absent {
  const values: bigint[] = [];
  for (const recipe of recipes) {
    const value = computeRecipe(recipe, object, memory);
    if (isAbsent(value)) return value;
    values.push(value);
  }
  return values;
}

/** Nodes come from allocators: on x86-64 and AArch64 their addresses divide by eight, and by two wherever they are. */
export function isNodeAddress(address: bigint): boolean {
  return address !== 0n && (address & 7n) === 0n;
}

/** Where an integer or a pointer of a struct lies. */
export interface WordPlace {
  readonly offset: number;
  readonly size: IntegerSize;
}

/** The values of words of a struct at an address, without signs. */
export function readWords<N extends string>(
  places: Readonly<Record<N, WordPlace>>,
  address: bigint,
  memory: MemoryReader,
): Readonly<Record<N, bigint>> | Absent {
  const entries = Object.entries(places) as [N, WordPlace][];
  const end = Math.max(...entries.map(([, { offset, size }]) => offset + size));
  const whole = memory.read(address, end);
  if (isAbsent(whole)) return whole;
  const values = entries.map(([name, { offset, size }]) => [
    name,
    decodeInteger(whole.bytes.subarray(offset, offset + size), false),
  ]);
  return Object.fromEntries(values) as Record<N, bigint>;
}
