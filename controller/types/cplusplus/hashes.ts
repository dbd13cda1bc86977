/** std::unordered_map, unordered_set and their multi kin: one list of nodes, and buckets that lead into it. */
import { addressAt, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { NodeHashWalk } from '../../../format/walk/node-hash.js';
import { nodeChain } from '../blocks.js';
import { sizeOf } from '../layout.js';
import type { Type } from '../type.js';
import type { View } from '../view.js';
import { nodeOf, valueOffset } from './node-type.js';
import { heldEntry, keyAndValue } from './pairs.js';
import { firstPartOf, type Part, partOf, pointerIn, secondOf, wordAt } from './part.js';

interface Hash {
  readonly node: Type;
  readonly walk: Omit<NodeHashWalk, 'holds'>;
}

export function hashMapView(type: Type): View | undefined {
  const hash = hashOf(type);
  const pair = hash === undefined ? undefined : keyAndValue(type, hash.node);
  if (hash === undefined || pair === undefined) return undefined;
  return {
    kind: 'map',
    length: hash.walk.count,
    key: pair.key,
    value: pair.value,
    blocks: () => nodeChain(hash.walk.first, hash.walk.next, sizeOf(hash.node) ?? 0, heldEntry(pair)),
    walk: { ...hash.walk, holds: pair.holds },
  };
}

export function hashSetView(type: Type, noun: string, element: Type | undefined): View | undefined {
  const hash = hashOf(type);
  const value = valueOffset(hash?.node, element);
  if (hash === undefined || element === undefined || value === undefined) return undefined;
  return {
    kind: 'walked',
    noun,
    length: hash.walk.count,
    element: () => element,
    blocks: () =>
      nodeChain(hash.walk.first, hash.walk.next, sizeOf(hash.node) ?? 0, [
        { type: () => element, offset: value },
      ]),
    walk: { ...hash.walk, holds: { element: value } },
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
  const code = partOf(node, '_M_hash_code');
  const walk: Hash['walk'] = {
    kind: 'node-hash',
    before: addressAt(before.offset),
    first,
    count,
    buckets,
    bucketCount,
    next: next.offset,
    ...(code === undefined ? {} : { code: code.offset }),
  };
  return { node, walk };
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
  const code = bucketCount === undefined ? undefined : partOf(node, '__hash_');
  const walk: Hash['walk'] = {
    kind: 'node-hash',
    before: addressAt(before.offset),
    first,
    count,
    buckets,
    bucketCount: bucketCount ?? constant(0),
    next: next.offset,
    ...(code === undefined ? {} : { code: code.offset }),
  };
  return { node, walk };
}

/** The count of buckets is kept by what frees them: the second half of a compressed pair. */
function bucketCountOf(table: Part | undefined): Recipe | undefined {
  const list = partOf(table, '__bucket_list_');
  const paired = partOf(secondOf(partOf(list, '__ptr_')), '__value_', '__data_', '__value_');
  return wordAt(paired ?? partOf(list, '__deleter_', '__size_'));
}
