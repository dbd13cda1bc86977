/** std::map, multimap, set and multiset: nodes of a red-black tree in the order of their keys. */
import {
  addressAt,
  binary,
  choose,
  constant,
  pointerAt,
  type Recipe,
} from '../../../format/recipe/recipe.js';
import type { TreeWalk } from '../../../format/walk/tree.js';
import { type Held, nodeTree } from '../blocks.js';
import { sizeOf } from '../layout.js';
import type { Type } from '../type.js';
import type { Block, View } from '../view.js';
import { nodeOf, valueOffset } from './node-type.js';
import { heldEntry, keyAndValue } from './pairs.js';
import { firstPartOf, partOf, pointerIn, wordAt } from './part.js';

interface Tree {
  readonly node: Type;
  readonly walk: Omit<TreeWalk, 'holds'>;
}

export function treeMapView(type: Type): View | undefined {
  const tree = treeOf(type);
  const pair = tree === undefined ? undefined : keyAndValue(type, tree.node);
  if (tree === undefined || pair === undefined) return undefined;
  return {
    kind: 'map',
    length: tree.walk.count,
    key: pair.key,
    value: pair.value,
    blocks: () => blocksOf(tree, heldEntry(pair)),
    walk: { ...tree.walk, holds: pair.holds },
  };
}

export function treeSetView(type: Type, noun: string, element: Type | undefined): View | undefined {
  const tree = treeOf(type);
  const value = valueOffset(tree?.node, element);
  if (tree === undefined || element === undefined || value === undefined) return undefined;
  return {
    kind: 'walked',
    noun,
    length: tree.walk.count,
    element: () => element,
    blocks: () => blocksOf(tree, [{ type: () => element, offset: value }]),
    walk: { ...tree.walk, holds: { element: value } },
  };
}

/**
 * Of a tree that is brought whole its root is the nearest node; of a larger one a walk meets first what is below the third ancestor of its first node, of which all
 * is brought that is.
 */
function blocksOf({ node, walk }: Tree, holds: Held): Block[] {
  const { header, root, first, count, parent } = walk;
  const up = (at: Recipe): Recipe => ({ op: 'load', address: binary(at, '+', constant(parent)), size: 8 });
  // Behind the header there is nothing: whoever gets there begins at the root.
  const climbed = (at: Recipe, steps: number): Recipe =>
    choose(binary(at, '==', header), root, steps === 0 ? at : climbed(up(at), steps - 1));
  const isSmall = binary(count, '<', constant(maxWhole + 1));
  const near = choose(isSmall, root, climbed(first, maxClimbed));
  const bytes = sizeOf(node) ?? 0;
  const above = choose(isSmall, constant(0), root);
  return [...nodeTree(near, walk, bytes, holds), ...leftSide(above, walk.left, bytes, maxLevels)];
}

const maxClimbed = 3;

/** Every walk comes from the root: what is between that and the first nodes. */
function leftSide(address: Recipe, left: number, bytes: number, levels: number): Block[] {
  if (levels === 0) return [];
  const next = (): Block[] => leftSide(pointerAt(left), left, bytes, levels - 1);
  return [{ address, bytes: constant(bytes), maxBytes: bytes, next }];
}

/** Above the third ancestor of the first node: enough for 500 keys that came in descending order, and for 10,000 in any. */
const maxLevels = 12;

/** Nodes of five levels: as many as a plan brings. */
const maxWhole = 31;

function treeOf(type: Type): Tree | undefined {
  return libstdcxxTree(type) ?? libcxxTree(type);
}

function libstdcxxTree(type: Type): Tree | undefined {
  const holder = partOf(type, '_M_t', '_M_impl');
  const header = partOf(holder, '_M_header');
  const node = nodeOf(holder, '_Rb_tree_node');
  const offsets = ['_M_parent', '_M_left', '_M_right'].map((name) => partOf(node, name));
  const [parent, left, right] = offsets.map((link) =>
    pointerIn(link) === undefined ? undefined : link?.offset,
  );
  const root = pointerIn(partOf(header, '_M_parent'));
  const first = pointerIn(partOf(header, '_M_left'));
  const count = wordAt(partOf(holder, '_M_node_count'));
  if (node === undefined || header === undefined || root === undefined || first === undefined)
    return undefined;
  if (parent === undefined || left === undefined || right === undefined || count === undefined)
    return undefined;
  const links = { parent, left, right };
  return {
    node,
    walk: { kind: 'tree', header: addressAt(header.offset), root, first, count, ...links },
  };
}

function libcxxTree(type: Type): Tree | undefined {
  const tree = partOf(type, '__tree_');
  const pair = firstPartOf(tree, ['__pair1_'], ['__end_node_']);
  const header = firstPartOf(tree, ['__pair1_', '__value_'], ['__end_node_']);
  const node = nodeOf(pair, '__tree_node') ?? nodeOf(partOf(tree, '__node_alloc_'), '__tree_node');
  const offsets = ['__parent_', '__left_', '__right_'].map((name) => partOf(node, name));
  const [parent, left, right] = offsets.map((link) =>
    pointerIn(link) === undefined ? undefined : link?.offset,
  );
  const root = pointerIn(partOf(header, '__left_'));
  const first = pointerIn(partOf(tree, '__begin_node_'));
  const count = wordAt(firstPartOf(tree, ['__pair3_', '__value_'], ['__size_']));
  if (node === undefined || header === undefined || root === undefined || first === undefined)
    return undefined;
  if (parent === undefined || left === undefined || right === undefined || count === undefined)
    return undefined;
  const links = { parent, left, right };
  return {
    node,
    walk: { kind: 'tree', header: addressAt(header.offset), root, first, count, ...links },
  };
}
