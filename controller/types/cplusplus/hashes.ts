/** std::unordered_map, unordered_set and their multi kin: one list of nodes, and buckets that lead into it. */
import { type Absent, isAbsent } from '../../../format/absent.js';
import { nodeChain } from '../blocks.js';
import { sizeOf } from '../layout.js';
import type { ObjectView } from '../object-view.js';
import { addressAt, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { Type } from '../type.js';
import type { Value } from '../value.js';
import type { View, ViewContext } from '../view.js';
import { computeAll, corrupt, isNodeAddress, readWord, valueAt } from './nodes.js';
import { nodeOf, valueOffset } from './node-type.js';
import { entryOf, heldEntry, keyAndValue } from './pairs.js';
import { firstPartOf, type Part, partOf, pointerIn, secondOf, wordAt } from './part.js';

interface Hash {
  readonly node: Type;
  /** What stands where the node before the first would. */
  readonly before: Recipe;
  readonly first: Recipe;
  readonly count: Recipe;
  readonly buckets: Recipe;
  readonly bucketCount: Recipe;
  /** Offset of the next node's address in a node. */
  readonly next: number;
  /** Offset of the hash of the key in a node; undefined where nodes do not keep it. */
  readonly code: number | undefined;
}

export function hashMapView(type: Type): View | undefined {
  const hash = hashOf(type);
  const pair = hash === undefined ? undefined : keyAndValue(type, hash.node);
  if (hash === undefined || pair === undefined) return undefined;
  return {
    kind: 'map',
    length: hash.count,
    key: pair.key,
    value: pair.value,
    blocks: () => nodeChain(hash.first, hash.next, sizeOf(hash.node) ?? 0, heldEntry(pair)),
    walk: function* (object, context) {
      for (const node of nodesOf(hash, object, context)) yield isAbsent(node) ? node : entryOf(pair, node);
    },
  };
}

export function hashSetView(type: Type, noun: string, element: Type | undefined): View | undefined {
  const hash = hashOf(type);
  const value = valueOffset(hash?.node, element);
  if (hash === undefined || element === undefined || value === undefined) return undefined;
  return {
    kind: 'walked',
    noun,
    length: hash.count,
    element: () => element,
    blocks: () =>
      nodeChain(hash.first, hash.next, sizeOf(hash.node) ?? 0, [{ type: () => element, offset: value }]),
    walk: function* (object, context): Iterable<Value | Absent> {
      for (const node of nodesOf(hash, object, context))
        yield isAbsent(node) ? node : valueAt(element, node + BigInt(value));
    },
  };
}

function hashOf(type: Type): Hash | undefined {
  return libstdcxxHash(type) ?? libcxxHash(type);
}

function libstdcxxHash(type: Type): Hash | undefined {
  const table = partOf(type, '_M_h');
  const before = partOf(table, '_M_before_begin');
  const first = pointerIn(partOf(before, '_M_nxt'));
  const [buckets, bucketCount] = [partOf(table, '_M_buckets'), partOf(table, '_M_bucket_count')].map(wordAt);
  const count = wordAt(partOf(table, '_M_element_count'));
  const node = nodeOf(table, '__detail::_Hash_node');
  const next = partOf(node, '_M_nxt');
  if (before === undefined || first === undefined || count === undefined || node === undefined)
    return undefined;
  if (buckets === undefined || bucketCount === undefined || next === undefined) return undefined;
  return {
    node,
    before: addressAt(before.offset),
    first,
    count,
    buckets,
    bucketCount,
    next: next.offset,
    code: partOf(node, '_M_hash_code')?.offset,
  };
}

function libcxxHash(type: Type): Hash | undefined {
  const table = partOf(type, '__table_');
  const pair = firstPartOf(table, ['__p1_'], ['__first_node_']);
  const before = firstPartOf(table, ['__p1_', '__value_'], ['__first_node_']);
  const first = pointerIn(partOf(before, '__next_'));
  const buckets = pointerIn(
    firstPartOf(table, ['__bucket_list_', '__ptr_', '__value_'], ['__bucket_list_', '__ptr_']),
  );
  const bucketCount = bucketCountOf(table);
  const count = wordAt(firstPartOf(table, ['__p2_', '__value_'], ['__size_']));
  const node = nodeOf(pair, '__hash_node') ?? nodeOf(partOf(table, '__node_alloc_'), '__hash_node');
  const next = partOf(node, '__next_');
  if (before === undefined || first === undefined || count === undefined || node === undefined)
    return undefined;
  if (buckets === undefined || next === undefined) return undefined;
  return {
    node,
    before: addressAt(before.offset),
    first,
    count,
    buckets,
    bucketCount: bucketCount ?? constant(0),
    next: next.offset,
    code: bucketCount === undefined ? undefined : partOf(node, '__hash_')?.offset,
  };
}

/** The count of buckets is kept by what frees them: the second half of a compressed pair. */
function bucketCountOf(table: Part | undefined): Recipe | undefined {
  const list = partOf(table, '__bucket_list_');
  const paired = partOf(secondOf(partOf(list, '__ptr_')), '__value_', '__data_', '__value_');
  return wordAt(paired ?? partOf(list, '__deleter_', '__size_'));
}

/**
 * Addresses of nodes in the order of the list. Where nodes keep their hash, each must be in the bucket that leads to it: what is not of this
 * table is not shown.
 */
function* nodesOf(hash: Hash, object: ObjectView, context: ViewContext): Generator<bigint | Absent> {
  const parts = [hash.before, hash.first, hash.count, hash.buckets, hash.bucketCount];
  const known = computeAll(parts, object, context);
  if (isAbsent(known)) return void (yield known);
  const [before = 0n, first = 0n, count = 0n, buckets = 0n, bucketCount = 0n] = known;
  const seen = new Set<bigint>();
  let [previous, at, bucket] = [before, first, -1n];
  while (at !== 0n && seen.size < context.maxElements) {
    if (!isNodeAddress(at)) return void (yield corrupt('a node leads to no node', at));
    if (seen.has(at)) return void (yield corrupt('its nodes lead in a circle', at));
    if (BigInt(seen.size) >= count) return void (yield corrupt(`it has more than its ${count} nodes`, at));
    seen.add(at);
    const next = readWord(context, at + BigInt(hash.next));
    if (isAbsent(next)) return void (yield next);
    if (hash.code !== undefined && bucketCount > 0n) {
      const code = readWord(context, at + BigInt(hash.code));
      if (isAbsent(code)) return void (yield code);
      // libc++ takes the lowest bits where the count is a power of two, which is the same.
      const own = code % bucketCount;
      if (own !== bucket && !leadsTo(context, buckets + own * 8n, previous))
        return void (yield corrupt('a node is not in the bucket of its key', at));
      bucket = own;
    }
    yield at;
    [previous, at] = [at, next];
  }
}

/** Whether a bucket leads to the node before its first one. Buckets that are not captured say nothing. */
function leadsTo(context: ViewContext, bucket: bigint, node: bigint): boolean {
  const read = readWord(context, bucket);
  return isAbsent(read) || read === node;
}
