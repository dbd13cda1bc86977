/**
 * How containers are gone through whose elements do not lie one after another: lists, trees, tables. A `Walk` says where the parts of one kind of container are, by
 * recipes over the object and offsets in its nodes: plain data, made by who knows the debug information (`controller/types`) and followed by who knows only memory, too.
 * Walks trust nothing of what they read: what contradicts itself ends with an absent, no node is met twice, and every loop is bounded.
 */
import { type Absent, isAbsent } from '../absent.js';
import type { RecipeObject } from '../recipe/object.js';
import { type ArrayWalk, walkArray } from './array.js';
import {
  type BitCountWalk,
  type BitFieldsWalk,
  type BitRangeWalk,
  walkBitCount,
  walkBitFields,
  walkBitRange,
} from './bits.js';
import { type BTreeWalk, walkBTree } from './b-tree.js';
import { type ChannelWalk, walkChannel } from './channel.js';
import { type BlockIndexWalk, type BlockRangeWalk, walkBlockIndex, walkBlockRange } from './deques.js';
import type { Found, WalkContext } from './found.js';
import { type GoMapWalk, walkGoMap } from './go-map.js';
import { type GoSwissMapWalk, walkGoSwissMap } from './go-swiss-map.js';
import { type HashTableWalk, walkHashTable } from './hash-table.js';
import {
  type LinkedListWalk,
  type NodeChainWalk,
  type NodeRingWalk,
  walkLinkedList,
  walkNodeChain,
  walkNodeRing,
} from './lists.js';
import { type NodeHashWalk, walkNodeHash } from './node-hash.js';
import { type RingBufferWalk, walkRingBuffer } from './ring-buffer.js';
import { type TreeWalk, walkTree } from './tree.js';

export type Walk =
  | ArrayWalk
  | BitCountWalk
  | BitFieldsWalk
  | BitRangeWalk
  | BlockIndexWalk
  | BlockRangeWalk
  | BTreeWalk
  | ChannelWalk
  | GoMapWalk
  | GoSwissMapWalk
  | HashTableWalk
  | LinkedListWalk
  | NodeChainWalk
  | NodeHashWalk
  | NodeRingWalk
  | PageWalk
  | RingBufferWalk
  | TreeWalk;

/** Some of what another walk finds: what a slice of a list shows as. */
export interface PageWalk {
  readonly kind: 'page';
  readonly of: Walk;
  readonly from: number;
  /** Not with it; undefined: to the end. */
  readonly to?: number;
}

/** Items that a page of a walk may pass over or give. */
export const maxWalkedElements = 200_000;

/**
 * What is found in an object, in the container's order: at most `maxElements` of it. Absents say what is wrong or missing; of Go's maps, which can be
 * walked past what is missing, others may follow, and of all others an absent is the last.
 */
export function* walk(walked: Walk, object: RecipeObject, context: WalkContext): Generator<Found | Absent> {
  let given = 0;
  for (const item of start(walked, object, context)) {
    if (!isAbsent(item) && given++ >= context.maxElements) return;
    yield item;
  }
}

function start(walked: Walk, object: RecipeObject, context: WalkContext): Iterable<Found | Absent> {
  switch (walked.kind) {
    case 'array':
      return walkArray(walked, object, context);
    case 'b-tree':
      return walkBTree(walked, object, context);
    case 'bit-count':
      return walkBitCount(walked, object, context);
    case 'bit-fields':
      return walkBitFields(walked, object, context);
    case 'bit-range':
      return walkBitRange(walked, object, context);
    case 'block-index':
      return walkBlockIndex(walked, object, context);
    case 'block-range':
      return walkBlockRange(walked, object, context);
    case 'channel':
      return walkChannel(walked, object, context);
    case 'go-map':
      return walkGoMap(walked, object, context);
    case 'go-swiss-map':
      return walkGoSwissMap(walked, object, context);
    case 'hash-table':
      return walkHashTable(walked, object, context);
    case 'linked-list':
      return walkLinkedList(walked, object, context);
    case 'node-chain':
      return walkNodeChain(walked, object, context);
    case 'node-hash':
      return walkNodeHash(walked, object, context);
    case 'node-ring':
      return walkNodeRing(walked, object, context);
    case 'page':
      return walkPage(walked, object, context);
    case 'ring-buffer':
      return walkRingBuffer(walked, object, context);
    case 'tree':
      return walkTree(walked, object, context);
  }
}

function* walkPage(
  { of, from, to }: PageWalk,
  object: RecipeObject,
  context: WalkContext,
): Generator<Found | Absent> {
  const end = Math.min(to ?? Infinity, from + context.maxElements, maxWalkedElements);
  let at = 0;
  if (end <= 0) return;
  for (const item of walk(of, object, { ...context, maxElements: end })) {
    if (isAbsent(item)) return yield item;
    if (at >= end) return;
    if (at >= from) yield item;
    at++;
  }
}
