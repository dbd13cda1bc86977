/** std::unordered_map, unordered_set and their multi kin, of libstdc++ and libc++: one list of nodes, and buckets that lead into it. */
import { type Absent, isAbsent } from '../absent.js';
import type { MemoryReader } from '../memory.js';
import type { RecipeObject } from '../recipe/object.js';
import type { Recipe } from '../recipe/recipe.js';
import { corrupt, type Found, foundIn, type Holds, type WalkContext } from './found.js';
import { computeAll, isNodeAddress, readWord } from './read.js';

export interface NodeHashWalk {
  readonly kind: 'node-hash';
  /** What stands where the node before the first would. */
  readonly before: Recipe;
  readonly first: Recipe;
  readonly count: Recipe;
  readonly buckets: Recipe;
  /** Zero where it is not known. */
  readonly bucketCount: Recipe;
  /** Offset of the next node's address in a node. */
  readonly next: number;
  /** Offset of the hash of the key in a node; undefined where nodes do not keep it. */
  readonly code?: number;
  readonly holds: Holds;
}

/** Where nodes keep their hash, each must be in the bucket that leads to it: what is not of this table is not shown. */
export function* walkNodeHash(
  walk: NodeHashWalk,
  object: RecipeObject,
  { memory, maxElements }: WalkContext,
): Generator<Found | Absent> {
  const parts = [walk.before, walk.first, walk.count, walk.buckets, walk.bucketCount];
  const known = computeAll(parts, object, memory);
  if (isAbsent(known)) return yield known;
  const [before = 0n, first = 0n, count = 0n, buckets = 0n, bucketCount = 0n] = known;
  const seen = new Set<bigint>();
  let [previous, at, bucket] = [before, first, -1n];
  while (at !== 0n && seen.size < maxElements) {
    if (!isNodeAddress(at)) return yield corrupt('a node leads to no node', at);
    if (seen.has(at)) return yield corrupt('its nodes lead in a circle', at);
    if (BigInt(seen.size) >= count) return yield corrupt(`it has more than its ${count} nodes`, at);
    seen.add(at);
    const next = readWord(memory, at + BigInt(walk.next));
    if (isAbsent(next)) return yield next;
    if (walk.code !== undefined && bucketCount > 0n) {
      const code = readWord(memory, at + BigInt(walk.code));
      if (isAbsent(code)) return yield code;
      // libc++ takes the lowest bits where the count is a power of two, which is the same.
      const own = code % bucketCount;
      if (own !== bucket && !leadsTo(memory, buckets + own * 8n, previous))
        return yield corrupt('a node is not in the bucket of its key', at);
      bucket = own;
    }
    yield foundIn(walk.holds, at);
    [previous, at] = [at, next];
  }
}

/** Whether a bucket leads to the node before its first one. Buckets that are not captured say nothing. */
function leadsTo(memory: MemoryReader, bucket: bigint, node: bigint): boolean {
  const read = readWord(memory, bucket);
  return isAbsent(read) || read === node;
}
