/** Lists of nodes: std::list, std::forward_list, Rust's LinkedList. */
import { type Absent, absent, isAbsent } from '../absent.js';
import { hex } from '../address.js';
import type { RecipeObject } from '../recipe/object.js';
import type { Recipe } from '../recipe/recipe.js';
import { corrupt, type Found, further, type WalkContext } from './found.js';
import { computeAll, isNodeAddress, readWord } from './read.js';

/** std::list: a ring of nodes through one in the object, the end. */
export interface NodeRingWalk {
  readonly kind: 'node-ring';
  readonly end: Recipe;
  readonly first: Recipe;
  /** Offsets in a node. */
  readonly next: number;
  readonly previous: number;
  readonly element: number;
}

/** std::forward_list: the last node leads to none. */
export interface NodeChainWalk {
  readonly kind: 'node-chain';
  readonly first: Recipe;
  /** Offsets in a node. */
  readonly next: number;
  readonly element: number;
}

/** Rust's LinkedList: nodes that know both neighbours, the first and the last only one. */
export interface LinkedListWalk {
  readonly kind: 'linked-list';
  readonly head: Recipe;
  readonly length: Recipe;
  /** Offsets in a node. */
  readonly next: number;
  readonly previous: number;
  readonly element: number;
}

export function* walkNodeRing(
  walk: NodeRingWalk,
  object: RecipeObject,
  { memory, maxElements }: WalkContext,
): Generator<Found | Absent> {
  const ends = computeAll([walk.end, walk.first], object, memory);
  if (isAbsent(ends)) return yield ends;
  const [end = 0n, begin = 0n] = ends;
  let before = end;
  let at = begin;
  // Each node names the one before it, so that none is met twice.
  for (let i = 0; at !== end && i < maxElements; i++) {
    if (!isNodeAddress(at)) return yield corrupt('a node leads to no node', before);
    const back = readWord(memory, at + BigInt(walk.previous));
    if (isAbsent(back)) return yield back;
    if (back !== before) return yield corrupt('a node does not lead back to the one before it', at);
    yield { element: further(at, walk.element) };
    before = at;
    const following = readWord(memory, at + BigInt(walk.next));
    if (isAbsent(following)) return yield following;
    at = following;
  }
}

export function* walkNodeChain(
  walk: NodeChainWalk,
  object: RecipeObject,
  { memory, maxElements }: WalkContext,
): Generator<Found | Absent> {
  const begin = computeAll([walk.first], object, memory);
  if (isAbsent(begin)) return yield begin;
  let [at = 0n] = begin;
  const seen = new Set<bigint>();
  while (at !== 0n && seen.size < maxElements) {
    if (!isNodeAddress(at)) return yield corrupt('a node leads to no node', at);
    if (seen.has(at)) return yield corrupt('its nodes lead in a circle', at);
    seen.add(at);
    const following = readWord(memory, at + BigInt(walk.next));
    if (isAbsent(following)) return yield following;
    yield { element: further(at, walk.element) };
    at = following;
  }
}

export function* walkLinkedList(
  walk: LinkedListWalk,
  object: RecipeObject,
  { memory }: WalkContext,
): Generator<Found | Absent> {
  const known = computeAll([walk.length, walk.head], object, memory);
  if (isAbsent(known)) return yield known;
  const [length = 0n, head = 0n] = known;
  let node = head;
  let before = 0n;
  // NB: a list that leads back to itself ends here, for its nodes would have two nodes before them.
  for (let i = 0n; i < length; i++) {
    if (node === 0n) return yield corruptList(`it ends after ${i} of ${length} elements`);
    const previous = readWord(memory, node + BigInt(walk.previous));
    if (isAbsent(previous)) return yield previous;
    if (previous !== before)
      return yield corruptList(`before ${hex(node)} stands ${hex(previous)}, not ${hex(before)}`);
    yield { element: further(node, walk.element) };
    const next = readWord(memory, node + BigInt(walk.next));
    if (isAbsent(next)) return yield next;
    before = node;
    node = next;
  }
  if (node !== 0n) yield corruptList(`it goes on after ${length} elements`);
}

const corruptList = (why: string): Absent => absent('unreadable', `the list is corrupt: ${why}`);
