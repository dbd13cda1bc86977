/** Places one after another: std::vector, Vec, slices. Their bytes are read by whoever wants them; here is only where they are. */
import { type Absent, absent, isAbsent } from '../absent.js';
import type { RecipeObject } from '../recipe/object.js';
import { computeRecipe, type Recipe } from '../recipe/recipe.js';
import { type Found, foundIn, type Holds, type WalkContext } from './found.js';

export interface ArrayWalk {
  readonly kind: 'array';
  readonly data: Recipe;
  readonly length: Recipe;
  /** That the length may not exceed. */
  readonly capacity?: Recipe;
  /** Zero where what the object says contradicts itself. */
  readonly valid?: Recipe;
  /** Bytes of a place; it may have none. */
  readonly stride: number;
  readonly holds: Holds;
}

/** User space of x86-64 and AArch64 ends there or before: what is longer lies nowhere. */
const maxExtentBytes = 1n << 47n;

export function* walkArray(
  walk: ArrayWalk,
  object: RecipeObject,
  context: WalkContext,
): Generator<Found | Absent> {
  const { memory, maxElements } = context;
  const length = arrayLength(walk, object, context);
  if (isAbsent(length)) return yield length;
  const data = computeRecipe(walk.data, object, memory);
  if (isAbsent(data)) return yield data;
  for (let i = 0n; i < length && i < maxElements; i++)
    yield foundIn(walk.holds, data + i * BigInt(walk.stride));
}

/** How long it is, where it can be that long. */
export function arrayLength(
  { length: lengthOf, capacity: capacityOf, valid, stride }: Omit<ArrayWalk, 'kind' | 'data' | 'holds'>,
  object: RecipeObject,
  { memory }: Pick<WalkContext, 'memory'>,
): bigint | Absent {
  const length = computeRecipe(lengthOf, object, memory);
  if (isAbsent(length)) return length;
  const invalid = checkValid(valid, object, { memory });
  if (invalid !== undefined) return invalid;
  if (length * BigInt(Math.max(1, stride)) > maxExtentBytes && stride > 0) {
    return corruptObject(`a length of ${BigInt.asIntN(64, length)}`);
  }
  if (capacityOf !== undefined && stride > 0) {
    const capacity = computeRecipe(capacityOf, object, memory);
    if (isAbsent(capacity)) return capacity;
    if (length > capacity) return corruptObject(`a length of ${length} in a capacity of ${capacity}`);
  }
  return length;
}

/** Whether an object does not contradict itself; absent with what is wrong. */
export function checkValid(
  valid: Recipe | undefined,
  object: RecipeObject,
  { memory }: Pick<WalkContext, 'memory'>,
): Absent | undefined {
  if (valid === undefined) return undefined;
  const holds = computeRecipe(valid, object, memory);
  if (isAbsent(holds)) return holds;
  return holds === 0n ? corruptObject('what it says of itself cannot all be') : undefined;
}

/** What an object cannot be if its program was right. */
export function corruptObject(why: string): Absent {
  return absent('unreadable', `the object is corrupt: ${why}`);
}
