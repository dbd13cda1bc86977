/**
 * Arithmetic over an object's own bytes and what they point to: how a library's type says where its elements are and how many.
 * As data and not as code, for several read it: the renderer, the evaluator and the walks, and the lowering to DWARF, so that `name.length() > 3` is decided in the
 * kernel as `s->len > 3` is. All values are 64-bit integers that wrap.
 */
import { type Absent, absent, isAbsent } from '../absent.js';
import { decodeInteger } from '../integer.js';
import type { MemoryReader } from '../memory.js';
import { firstMissing, type RecipeObject } from './object.js';

export type Recipe =
  | { readonly op: 'constant'; readonly value: bigint }
  /** The address of a part of the object; absent of an object that is in no memory. */
  | { readonly op: 'address'; readonly offset: number }
  /** An integer or pointer in the object itself. */
  | { readonly op: 'field'; readonly offset: number; readonly size: IntegerSize; readonly signed?: true }
  /** An integer or pointer in memory. */
  | { readonly op: 'load'; readonly address: Recipe; readonly size: IntegerSize; readonly signed?: true }
  | {
      readonly op: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Recipe;
      readonly right: Recipe;
    }
  /** Only the side that is chosen is computed. */
  | { readonly op: 'if'; readonly condition: Recipe; readonly then: Recipe; readonly otherwise: Recipe };

export type IntegerSize = 1 | 2 | 4 | 8;
/** Division is signed and of what is known to be divisible; comparisons are unsigned and give 1 or 0. */
export type BinaryOperator = '+' | '-' | '*' | '/' | '&' | '>>' | '<<' | '==' | '<';

export const constant = (value: bigint | number): Recipe => ({ op: 'constant', value: BigInt(value) });
export const addressAt = (offset: number): Recipe => ({ op: 'address', offset });
export const pointerAt = (offset: number): Recipe => ({ op: 'field', offset, size: 8 });
export const binary = (left: Recipe, operator: BinaryOperator, right: Recipe): Recipe => ({
  op: 'binary',
  operator,
  left,
  right,
});
/** `condition ? yes : no`. Recipes with a choice are made by this: linters take an object with `then` for a promise. */
export function choose(condition: Recipe, yes: Recipe, no: Recipe): Recipe {
  // eslint-disable-next-line unicorn/no-thenable
  return { op: 'if', condition, then: yes, otherwise: no };
}

/** The value, from 0 to 2^64-1 (a signed field is extended to 64 bits). Recipes are ours and finite: what is foreign is only the memory. */
export function computeRecipe(recipe: Recipe, object: RecipeObject, memory: MemoryReader): bigint | Absent {
  const compute = (part: Recipe): bigint | Absent => computeRecipe(part, object, memory);
  switch (recipe.op) {
    case 'constant':
      return BigInt.asUintN(64, recipe.value);
    case 'address':
      return object.address === undefined
        ? (object.absent ?? absent('unsupported', 'the object is not in memory: its parts have no address'))
        : BigInt.asUintN(64, object.address + BigInt(recipe.offset));
    case 'field':
      return fieldOf(object, recipe, memory);
    case 'load': {
      const address = compute(recipe.address);
      return isAbsent(address) ? address : loaded(address, recipe, memory);
    }
    case 'if': {
      const condition = compute(recipe.condition);
      if (isAbsent(condition)) return condition;
      return compute(condition === 0n ? recipe.otherwise : recipe.then);
    }
    case 'binary': {
      const left = compute(recipe.left);
      if (isAbsent(left)) return left;
      const right = compute(recipe.right);
      return isAbsent(right) ? right : combined(left, recipe.operator, right);
    }
  }
}

type Integer = { readonly size: IntegerSize; readonly signed?: true };

function fieldOf(
  object: RecipeObject,
  field: Integer & { readonly offset: number },
  memory: MemoryReader,
): bigint | Absent {
  const { address, bytes, gaps } = object;
  if (object.absent !== undefined) return object.absent;
  const { offset, size } = field;
  if (bytes !== undefined && offset >= 0 && offset + size <= bytes.length) {
    const missing = firstMissing(gaps, offset * 8, (offset + size) * 8);
    return missing?.absent ?? integer(bytes.subarray(offset, offset + size), field);
  }
  if (address !== undefined) return loaded(BigInt.asUintN(64, address + BigInt(offset)), field, memory);
  return absent('unreadable', 'only a part of the object is known');
}

function loaded(address: bigint, as: Integer, memory: MemoryReader): bigint | Absent {
  const read = memory.read(address, as.size);
  return isAbsent(read) ? read : integer(read.bytes, as);
}

function integer(bytes: Uint8Array, { signed }: Integer): bigint {
  return BigInt.asUintN(64, decodeInteger(bytes, signed === true));
}

function combined(left: bigint, operator: BinaryOperator, right: bigint): bigint | Absent {
  switch (operator) {
    case '+':
      return BigInt.asUintN(64, left + right);
    case '-':
      return BigInt.asUintN(64, left - right);
    case '*':
      return BigInt.asUintN(64, left * right);
    case '/':
      if (right === 0n) return absent('unreadable', 'the object is corrupt: a size of zero');
      return BigInt.asUintN(64, BigInt.asIntN(64, left) / BigInt.asIntN(64, right));
    case '&':
      return left & right;
    case '>>':
      return right > 63n ? 0n : left >> right;
    case '<<':
      return right > 63n ? 0n : BigInt.asUintN(64, left << right);
    case '==':
      return left === right ? 1n : 0n;
    case '<':
      return left < right ? 1n : 0n;
  }
}
