/** std::deque: blocks of elements, and a map of pointers to them. */
import { type Absent, isAbsent } from '../absent.js';
import type { MemoryReader } from '../memory.js';
import type { RecipeObject } from '../recipe/object.js';
import type { Recipe } from '../recipe/recipe.js';
import { corrupt, type Found, type WalkContext } from './found.js';
import { computeAll, readWord } from './read.js';

/** libstdc++: an iterator to the first element, one past the last. */
export interface BlockRangeWalk {
  readonly kind: 'block-range';
  /** The entry of the map, the current element, and the ends of the block that it lies in. */
  readonly start: {
    readonly entry: Recipe;
    readonly at: Recipe;
    readonly first: Recipe;
    readonly last: Recipe;
  };
  readonly finish: { readonly entry: Recipe; readonly at: Recipe; readonly first: Recipe };
  /** Bytes of an element. */
  readonly stride: number;
  /** Elements of a block. */
  readonly perBlock: number;
}

/** libc++: the map, the index of the first element in it, and the count. */
export interface BlockIndexWalk {
  readonly kind: 'block-index';
  readonly mapBegin: Recipe;
  readonly mapEnd: Recipe;
  readonly start: Recipe;
  readonly length: Recipe;
  /** As of {@link BlockRangeWalk}. */
  readonly stride: number;
  readonly perBlock: number;
}

export function* walkBlockRange(
  walk: BlockRangeWalk,
  object: RecipeObject,
  { memory, maxElements }: WalkContext,
): Generator<Found | Absent> {
  const { start, finish, stride, perBlock } = walk;
  const parts = [start.entry, finish.entry, start.at, start.first, start.last, finish.at, finish.first];
  const known = computeAll(parts, object, memory);
  if (isAbsent(known)) return yield known;
  const [node = 0n, lastNode = 0n, current = 0n, first = 0n, last = 0n, end = 0n, endFirst = 0n] = known;
  const size = BigInt(stride);
  const block = BigInt(perBlock) * size;
  const within = (at: bigint, from: bigint): boolean =>
    at >= from && at <= from + block && (at - from) % size === 0n;
  const isSound =
    lastNode >= node &&
    (lastNode - node) % 8n === 0n &&
    last - first === block &&
    within(current, first) &&
    within(end, endFirst) &&
    (node !== lastNode || (first === endFirst && current <= end));
  if (!isSound) return yield corrupt('the places of its first and last element contradict each other');
  let given = 0;
  for (let at = node; at <= lastNode; at += 8n) {
    const expected = at === node ? first : at === lastNode ? endFirst : undefined;
    const begin = blockOf(memory, at, expected);
    if (isAbsent(begin)) return yield begin;
    const stop = at === lastNode ? end : begin + block;
    for (let each = at === node ? current : begin; each < stop; each += size) {
      if (given++ >= maxElements) return;
      yield { element: BigInt.asUintN(64, each) };
    }
  }
}

/** The block that an entry of the map leads to, which must be the one that an iterator says. */
function blockOf(memory: MemoryReader, entry: bigint, expected: bigint | undefined): bigint | Absent {
  const block = readWord(memory, entry);
  if (isAbsent(block)) return expected ?? block;
  if (block !== 0n && (expected === undefined || block === expected)) return block;
  return corrupt('its map leads to another block than its iterators', entry);
}

export function* walkBlockIndex(
  walk: BlockIndexWalk,
  object: RecipeObject,
  { memory, maxElements }: WalkContext,
): Generator<Found | Absent> {
  const known = computeAll([walk.mapBegin, walk.mapEnd, walk.start, walk.length], object, memory);
  if (isAbsent(known)) return yield known;
  const [begin = 0n, end = 0n, first = 0n, count = 0n] = known;
  const perBlock = BigInt(walk.perBlock);
  const room = end < begin || (end - begin) % 8n !== 0n ? undefined : ((end - begin) / 8n) * perBlock;
  if (room === undefined || first + count > room)
    return yield corrupt('it has more elements than blocks for them');
  let block = 0n;
  const wanted = Math.min(Number(count), maxElements);
  for (let i = 0; i < wanted; i++) {
    const index = first + BigInt(i);
    const within = index % perBlock;
    if (i === 0 || within === 0n) {
      const read = readWord(memory, begin + (index / perBlock) * 8n);
      if (isAbsent(read)) return yield read;
      if (read === 0n) return yield corrupt('its map has no block where elements are');
      block = read;
    }
    yield { element: BigInt.asUintN(64, block + within * BigInt(walk.stride)) };
  }
}
