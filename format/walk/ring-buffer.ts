/** Rust's `VecDeque`: a ring in a buffer of `capacity` elements, `length` of them from `head` on. */
import { type Absent, absent, isAbsent } from '../absent.js';
import type { RecipeObject } from '../recipe/object.js';
import type { Recipe } from '../recipe/recipe.js';
import { type Found, type WalkContext } from './found.js';
import { computeAll } from './read.js';

export interface RingBufferWalk {
  readonly kind: 'ring-buffer';
  readonly data: Recipe;
  readonly head: Recipe;
  readonly length: Recipe;
  /** Undefined where elements have no size: then any number has room. */
  readonly capacity?: Recipe;
  /** Bytes of an element; it may have none. */
  readonly stride: number;
}

export function* walkRingBuffer(
  walk: RingBufferWalk,
  object: RecipeObject,
  { memory }: WalkContext,
): Generator<Found | Absent> {
  const parts = [walk.data, walk.head, walk.length, walk.capacity ?? walk.length];
  const numbers = computeAll(parts, object, memory);
  if (isAbsent(numbers)) return yield numbers;
  const [data = 0n, head = 0n, length = 0n, capacity = 0n] = numbers;
  const stride = BigInt(walk.stride);
  if (stride > 0n && (length > capacity || (head >= capacity && capacity > 0n)))
    return yield absent(
      'unreadable',
      `the deque is corrupt: ${length} elements from ${head} on, in a buffer of ${capacity}`,
    );
  for (let i = 0n; i < length; i++) {
    const at = stride === 0n ? 0n : (head + i) % capacity;
    yield { element: BigInt.asUintN(64, data + at * stride) };
  }
}
