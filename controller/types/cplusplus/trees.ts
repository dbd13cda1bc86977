/** std::map, multimap, set and multiset: nodes of a red-black tree in the order of their keys. */
import { type Absent, isAbsent } from '../../../format/absent.js';
import { type Held, nodeTree } from '../blocks.js';
import { sizeOf } from '../layout.js';
import type { ObjectView } from '../object-view.js';
import { addressAt, type Recipe } from '../../../format/recipe/recipe.js';
import type { Type } from '../type.js';
import type { Value } from '../value.js';
import type { Block, View, ViewContext } from '../view.js';
import { computeAll, corrupt, isNodeAddress, readWord, valueAt } from './nodes.js';
import { nodeOf, valueOffset } from './node-type.js';
import { entryOf, heldEntry, keyAndValue } from './pairs.js';
import { firstPartOf, partOf, pointerIn, wordAt } from './part.js';

interface Tree {
  readonly node: Type;
  /** The node before the root: the end. */
  readonly header: Recipe;
  readonly root: Recipe;
  readonly first: Recipe;
  readonly count: Recipe;
  /** Offsets in a node. */
  readonly parent: number;
  readonly left: number;
  readonly right: number;
}

export function treeMapView(type: Type): View | undefined {
  const tree = treeOf(type);
  const pair = tree === undefined ? undefined : keyAndValue(type, tree.node);
  if (tree === undefined || pair === undefined) return undefined;
  return {
    kind: 'map',
    length: tree.count,
    key: pair.key,
    value: pair.value,
    blocks: () => blocksOf(tree, heldEntry(pair)),
    walk: function* (object, context) {
      for (const node of nodesOf(tree, object, context)) yield isAbsent(node) ? node : entryOf(pair, node);
    },
  };
}

export function treeSetView(type: Type, noun: string, element: Type | undefined): View | undefined {
  const tree = treeOf(type);
  const value = valueOffset(tree?.node, element);
  if (tree === undefined || element === undefined || value === undefined) return undefined;
  return {
    kind: 'walked',
    noun,
    length: tree.count,
    element: () => element,
    blocks: () => blocksOf(tree, [{ type: () => element, offset: value }]),
    walk: function* (object, context): Iterable<Value | Absent> {
      for (const node of nodesOf(tree, object, context))
        yield isAbsent(node) ? node : valueAt(element, node + BigInt(value));
    },
  };
}

function blocksOf(tree: Tree, holds: Held): Block[] {
  return nodeTree(tree.root, tree, sizeOf(tree.node) ?? 0, holds);
}

function treeOf(type: Type): Tree | undefined {
  return libstdcxxTree(type) ?? libcxxTree(type);
}

function libstdcxxTree(type: Type): Tree | undefined {
  const holder = partOf(type, '_M_t', '_M_impl');
  const header = partOf(holder, '_M_header');
  const node = nodeOf(holder, '_Rb_tree_node');
  const links = ['_M_parent', '_M_left', '_M_right'].map((name) => partOf(node, name));
  const [parent, left, right] = links.map((link) =>
    pointerIn(link) === undefined ? undefined : link?.offset,
  );
  const root = pointerIn(partOf(header, '_M_parent'));
  const first = pointerIn(partOf(header, '_M_left'));
  const count = wordAt(partOf(holder, '_M_node_count'));
  if (node === undefined || header === undefined || root === undefined || first === undefined)
    return undefined;
  if (parent === undefined || left === undefined || right === undefined || count === undefined)
    return undefined;
  return { node, header: addressAt(header.offset), root, first, count, parent, left, right };
}

function libcxxTree(type: Type): Tree | undefined {
  const tree = partOf(type, '__tree_');
  const pair = firstPartOf(tree, ['__pair1_'], ['__end_node_']);
  const header = firstPartOf(tree, ['__pair1_', '__value_'], ['__end_node_']);
  const node = nodeOf(pair, '__tree_node') ?? nodeOf(partOf(tree, '__node_alloc_'), '__tree_node');
  const links = ['__parent_', '__left_', '__right_'].map((name) => partOf(node, name));
  const [parent, left, right] = links.map((link) =>
    pointerIn(link) === undefined ? undefined : link?.offset,
  );
  const root = pointerIn(partOf(header, '__left_'));
  const first = pointerIn(partOf(tree, '__begin_node_'));
  const count = wordAt(firstPartOf(tree, ['__pair3_', '__value_'], ['__size_']));
  if (node === undefined || header === undefined || root === undefined || first === undefined)
    return undefined;
  if (parent === undefined || left === undefined || right === undefined || count === undefined)
    return undefined;
  return { node, header: addressAt(header.offset), root, first, count, parent, left, right };
}

/** A tree of 2^64 nodes is not higher. */
const maxHeight = 128;

/**
 * Addresses of nodes in order. Each names the parent that leads to it, so that none is met twice: who leads to one that does not has no
 * tree behind it.
 */
function* nodesOf(tree: Tree, object: ObjectView, context: ViewContext): Generator<bigint | Absent> {
  const known = computeAll([tree.header, tree.root, tree.first, tree.count], object, context);
  if (isAbsent(known)) return void (yield known);
  const [header = 0n, root = 0n, first = 0n, count = 0n] = known;
  const path: { readonly node: bigint; readonly right: bigint }[] = [];
  let [at, parent] = [root, header];
  for (let given = 0; given < context.maxElements; given++) {
    while (at !== 0n) {
      if (path.length > maxHeight) return void (yield corrupt('the tree is higher than it can be', at));
      const links = linksOf(tree, at, context);
      if (isAbsent(links)) return void (yield links);
      if (links.parent !== parent || (links.left !== 0n && links.left === links.right))
        return void (yield corrupt('a node of the tree names another parent', at));
      path.push({ node: at, right: links.right });
      [parent, at] = [at, links.left];
    }
    const next = path.pop();
    if (next === undefined) return;
    if (given === 0 && next.node !== first)
      return void (yield corrupt('the first node of the tree is not where it says', next.node));
    if (BigInt(given) >= count)
      return void (yield corrupt(`the tree has more than its ${count} nodes`, next.node));
    yield next.node;
    [parent, at] = [next.node, next.right];
  }
}

function linksOf(
  tree: Tree,
  node: bigint,
  context: ViewContext,
): { readonly parent: bigint; readonly left: bigint; readonly right: bigint } | Absent {
  if (!isNodeAddress(node)) return corrupt('a node of the tree leads to no node', node);
  const parent = readWord(context, node + BigInt(tree.parent));
  if (isAbsent(parent)) return parent;
  const left = readWord(context, node + BigInt(tree.left));
  if (isAbsent(left)) return left;
  const right = readWord(context, node + BigInt(tree.right));
  return isAbsent(right) ? right : { parent, left, right };
}
