/** Bits that are kept in words, the lowest first: std::vector<bool>, std::bitset. Read word by word, as far as they are wanted. */
import { type Absent, isAbsent } from '../absent.js';
import type { MemoryReader } from '../memory.js';
import type { RecipeObject } from '../recipe/object.js';
import { computeRecipe, type Recipe } from '../recipe/recipe.js';
import { corrupt, type Found, type WalkContext } from './found.js';
import { computeAll, readWord } from './read.js';

/** libstdc++'s vector: the first bit and the one past the last, each by a word and a bit in it. */
export interface BitRangeWalk {
  readonly kind: 'bit-range';
  readonly start: Recipe;
  readonly finish: Recipe;
  readonly startBit: Recipe;
  readonly finishBit: Recipe;
}

/** libc++'s: words, how many there are, and a count of bits. */
export interface BitCountWalk {
  readonly kind: 'bit-count';
  readonly data: Recipe;
  readonly length: Recipe;
  readonly words: Recipe;
}

/** Bits in the object itself. */
export interface BitFieldsWalk {
  readonly kind: 'bit-fields';
  readonly offset: number;
  readonly count: number;
}

export function* walkBitRange(
  walk: BitRangeWalk,
  object: RecipeObject,
  { memory, maxElements }: WalkContext,
): Generator<Found | Absent> {
  const known = computeAll([walk.start, walk.finish, walk.startBit, walk.finishBit], object, memory);
  if (isAbsent(known)) return yield known;
  const [first = 0n, last = 0n, skipped = 0n, rest = 0n] = known;
  if (last < first || (last - first) % 8n !== 0n || skipped !== 0n || rest > 63n)
    return yield corrupt('its end is before its beginning, or not at a word');
  const wanted = Math.min(Number((last - first) * 8n + rest), maxElements);
  yield* bits(wanted, (byte) => readWord(memory, first + BigInt(byte)));
}

export function* walkBitCount(
  walk: BitCountWalk,
  object: RecipeObject,
  { memory, maxElements }: WalkContext,
): Generator<Found | Absent> {
  const known = computeAll([walk.data, walk.length, walk.words], object, memory);
  if (isAbsent(known)) return yield known;
  const [first = 0n, count = 0n, room = 0n] = known;
  if (count > room * 64n) return yield corrupt('it has more bits than room for them');
  yield* bits(Math.min(Number(count), maxElements), (byte) => readWord(memory, first + BigInt(byte)));
}

export function walkBitFields(
  walk: BitFieldsWalk,
  object: RecipeObject,
  { memory, maxElements }: WalkContext,
): Generator<Found | Absent> {
  const word = (byte: number): bigint | Absent => fieldAt(walk.offset + byte, object, memory);
  return bits(Math.min(walk.count, maxElements), word);
}

function fieldAt(offset: number, object: RecipeObject, memory: MemoryReader): bigint | Absent {
  return computeRecipe({ op: 'field', offset, size: 8 }, object, memory);
}

function* bits(wanted: number, wordAt: (byte: number) => bigint | Absent): Generator<Found | Absent> {
  for (let i = 0; i < wanted; i += 64) {
    const word = wordAt(i / 8);
    if (isAbsent(word)) return yield word;
    for (let bit = 0; bit < Math.min(64, wanted - i); bit++) {
      yield { bit: ((word >> BigInt(bit)) & 1n) === 0n ? 0 : 1 };
    }
  }
}
