/** std::map, multimap, set and multiset of libstdc++ and libc++: nodes of a red-black tree in the order of their keys. */
import { type Absent, isAbsent } from '../absent.js';
import type { MemoryReader } from '../memory.js';
import type { RecipeObject } from '../recipe/object.js';
import type { Recipe } from '../recipe/recipe.js';
import { corrupt, type Found, foundIn, type Holds, type WalkContext } from './found.js';
import { computeAll, isNodeAddress, readWord } from './read.js';

export interface TreeWalk {
  readonly kind: 'tree';
  /** The node before the root: the end. */
  readonly header: Recipe;
  readonly root: Recipe;
  readonly first: Recipe;
  readonly count: Recipe;
  /** Offsets in a node. */
  readonly parent: number;
  readonly left: number;
  readonly right: number;
  readonly holds: Holds;
}

/** A tree of 2^64 nodes is not higher. */
const maxHeight = 128;

/** Each node names the parent that leads to it, so that none is met twice: who leads to one that does not has no tree behind it. */
export function* walkTree(
  walk: TreeWalk,
  object: RecipeObject,
  { memory, maxElements }: WalkContext,
): Generator<Found | Absent> {
  const known = computeAll([walk.header, walk.root, walk.first, walk.count], object, memory);
  if (isAbsent(known)) return yield known;
  const [header = 0n, root = 0n, first = 0n, count = 0n] = known;
  const path: { readonly node: bigint; readonly right: bigint }[] = [];
  let [at, parent] = [root, header];
  for (let given = 0; given < maxElements; given++) {
    while (at !== 0n) {
      if (path.length > maxHeight) return yield corrupt('the tree is higher than it can be', at);
      const links = linksOf(walk, at, memory);
      if (isAbsent(links)) return yield links;
      if (links.parent !== parent || (links.left !== 0n && links.left === links.right))
        return yield corrupt('a node of the tree names another parent', at);
      path.push({ node: at, right: links.right });
      [parent, at] = [at, links.left];
    }
    const next = path.pop();
    if (next === undefined) return;
    if (given === 0 && next.node !== first)
      return yield corrupt('the first node of the tree is not where it says', next.node);
    if (BigInt(given) >= count) return yield corrupt(`the tree has more than its ${count} nodes`, next.node);
    yield foundIn(walk.holds, next.node);
    [parent, at] = [next.node, next.right];
  }
}

function linksOf(
  { parent, left, right }: TreeWalk,
  node: bigint,
  memory: MemoryReader,
): { readonly parent: bigint; readonly left: bigint; readonly right: bigint } | Absent {
  if (!isNodeAddress(node)) return corrupt('a node of the tree leads to no node', node);
  const above = readWord(memory, node + BigInt(parent));
  if (isAbsent(above)) return above;
  const before = readWord(memory, node + BigInt(left));
  if (isAbsent(before)) return before;
  const after = readWord(memory, node + BigInt(right));
  return isAbsent(after) ? after : { parent: above, left: before, right: after };
}
