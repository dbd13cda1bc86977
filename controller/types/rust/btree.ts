/** `BTreeMap` and `BTreeSet`: nodes of up to 11 keys, as `format/walk/b-tree.ts` walks them. */
import { binary, choose, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { BTreeWalk } from '../../../format/walk/b-tree.js';
import { asArray, sizeOf, stripType } from '../layout.js';
import type { CompositeType, Type } from '../type.js';
import type { Block, WalkedMapView, WalkedView } from '../view.js';
import { firstPart, innermost, partAt, type Part, targetOf, wordOf } from './layout.js';
import { argument } from './vec.js';

interface Tree {
  readonly length: Recipe;
  readonly root: Recipe;
  readonly height: Recipe;
  readonly node: NodeLayout;
  readonly key: Type;
  readonly value: Type;
}

interface NodeLayout {
  readonly size: number;
  readonly parent: number;
  readonly parentIndex: number;
  readonly length: number;
  readonly keys: number;
  readonly values: number;
  readonly capacity: number;
  /** Undefined where no debug information describes nodes above the leaves. */
  readonly edges: () => number | undefined;
}

export function btreeMapView(type: CompositeType): WalkedMapView | undefined {
  const tree = treeOf({ type, offset: 0 });
  if (tree === undefined) return undefined;
  return {
    kind: 'map',
    length: tree.length,
    key: () => tree.key,
    value: () => tree.value,
    blocks: () => treeBlocks(tree, true),
    walk: walkOf(tree, true),
  };
}

export function btreeSetView(type: CompositeType): WalkedView | undefined {
  const map = partAt(type, 'map');
  const tree = map === undefined ? undefined : treeOf(map);
  if (tree === undefined) return undefined;
  return {
    kind: 'walked',
    noun: 'set',
    length: tree.length,
    element: () => tree.key,
    blocks: () => treeBlocks(tree, false),
    walk: walkOf(tree, false),
  };
}

/** For a plan: the root, and the leaves below a root that has leaves. */
function treeBlocks(tree: Tree, hasValues: boolean): Block[] {
  const { node, length, root, height } = tree;
  const isLeaf = binary(height, '==', constant(0));
  const edges = node.edges();
  const whole = edges === undefined ? node.size : edges + 8 * (node.capacity + 1);
  const some = (bytes: Recipe): Recipe => choose(length, bytes, constant(0));
  const entries = (at: Recipe): NonNullable<Block['objects']> =>
    Array.from({ length: node.capacity }, (_, i) => {
      const count: Recipe = { op: 'load', address: binary(at, '+', constant(node.length)), size: 2 };
      const exists = some(binary(constant(i), '<', count));
      const part = (type: Type, offset: number): NonNullable<Block['objects']>[number] => ({
        type: () => type,
        address: binary(at, '+', constant(offset + i * (sizeOf(type) ?? 0))),
        exists,
      });
      return [part(tree.key, node.keys), ...(hasValues ? [part(tree.value, node.values)] : [])];
    }).flat();
  const bytes = some(choose(isLeaf, constant(node.size), constant(whole)));
  const blocks: Block[] = [{ address: root, bytes, maxBytes: whole, objects: entries(root) }];
  if (edges === undefined) return blocks;
  for (let i = 0; i <= node.capacity; i++) {
    const count: Recipe = { op: 'load', address: binary(root, '+', constant(node.length)), size: 2 };
    const edge: Recipe = { op: 'load', address: binary(root, '+', constant(edges + 8 * i)), size: 8 };
    // A root of height 1 has leaves, as many as keys and one more.
    const isThere = binary(
      binary(height, '==', constant(1)),
      '&',
      binary(constant(i), '<', binary(count, '+', constant(1))),
    );
    const address = choose(some(isThere), edge, constant(0));
    blocks.push({ address, bytes: constant(node.size), maxBytes: node.size });
  }
  return [...blocks, ...firstLeaves(tree, { edges, whole })];
}

/** Of a tree of three levels what a walk meets first: the first node below the root, and its leaves. */
function firstLeaves(
  { node, height, root }: Tree,
  { edges, whole }: { readonly edges: number; readonly whole: number },
): Block[] {
  const load = (at: Recipe, offset: number, size: 2 | 8): Recipe => ({
    op: 'load',
    address: binary(at, '+', constant(offset)),
    size,
  });
  const isDeep = binary(height, '==', constant(2));
  const first = load(root, edges, 8);
  const count = load(first, node.length, 2);
  const inner = choose(isDeep, first, constant(0));
  const leaves = Array.from({ length: node.capacity + 1 }, (_, i): Block => {
    const isThere = binary(constant(i), '<', binary(count, '+', constant(1)));
    const address = choose(isDeep, choose(isThere, load(first, edges + 8 * i, 8), constant(0)), constant(0));
    return { address, bytes: constant(node.size), maxBytes: node.size };
  });
  return [{ address: inner, bytes: constant(whole), maxBytes: whole }, ...leaves];
}

function treeOf(map: Part): Tree | undefined {
  const type = stripType(map.type);
  const key = argument(type, 0);
  const value = argument(type, 1);
  const root = partAt(type, 'root');
  const some = root === undefined ? undefined : payloadOf(root.type);
  if (key === undefined || value === undefined || root === undefined || some === undefined) return undefined;
  const at = (part: Part | undefined, offset: number): Part | undefined =>
    part === undefined ? undefined : { ...part, offset: part.offset + map.offset + offset };
  const inRoot = root.offset + some.offset;
  const pointer = partAt(some.type, 'node');
  const leaf = targetOf(pointer);
  const length = wordOf(at(partAt(type, 'length'), 0));
  const first = wordOf(at(pointer, inRoot));
  const height = wordOf(at(partAt(some.type, 'height'), inRoot));
  const node = leaf === undefined ? undefined : nodeLayout(leaf);
  if (length === undefined || first === undefined || height === undefined || node === undefined)
    return undefined;
  return { length, root: first, height, node, key, value };
}

/** What `Some` holds. */
function payloadOf(option: Type): Part | undefined {
  const type = stripType(option);
  const variants = type.kind === 'struct' ? type.variants?.()?.variants : undefined;
  const some = variants?.flatMap((variant) => variant.members).find((member) => member.name === 'Some');
  const content = some === undefined ? undefined : partAt(some.type(), '__0');
  if (some === undefined || content === undefined) return undefined;
  return { ...content, offset: content.offset + some.byteOffset };
}

function nodeLayout(leaf: Type): NodeLayout | undefined {
  const parent = partAt(leaf, 'parent');
  const parentIndex = partAt(leaf, 'parent_idx');
  const length = partAt(leaf, 'len');
  const keys = partAt(leaf, 'keys');
  const values = partAt(leaf, 'vals');
  const size = sizeOf(leaf);
  const capacity = keys === undefined ? undefined : asArray(keys.type)?.count;
  if (parent === undefined || parentIndex === undefined || length === undefined) return undefined;
  if (keys === undefined || values === undefined || size === undefined || capacity === undefined)
    return undefined;
  if (sizeOf(length.type) !== 2 || sizeOf(parentIndex.type) !== 2 || sizeOf(parent.type) !== 8)
    return undefined;
  const internal = payloadOf(parent.type);
  return {
    size,
    capacity,
    parent: parent.offset,
    parentIndex: parentIndex.offset,
    length: length.offset,
    keys: keys.offset,
    values: values.offset,
    edges: () => {
      const above = internal === undefined ? undefined : targetOf(innermost(internal));
      return above === undefined ? undefined : edgesOf(above, leaf);
    },
  };
}

function edgesOf(internal: Type, leaf: Type): number | undefined {
  const edges = firstPart(internal, ['edges']);
  const data = firstPart(internal, ['data']);
  const count = edges === undefined ? undefined : asArray(edges.type)?.count;
  if (edges === undefined || data?.offset !== 0 || sizeOf(data.type) !== sizeOf(leaf)) return undefined;
  return count === undefined ? undefined : edges.offset;
}

function walkOf({ length, root, height, node, key, value }: Tree, hasValues: boolean): BTreeWalk {
  const edges = node.edges();
  const { parent, parentIndex, length: count, capacity, keys, values } = node;
  return {
    kind: 'b-tree',
    length,
    root,
    height,
    node: { parent, parentIndex, length: count, capacity, ...(edges === undefined ? {} : { edges }) },
    key: { offset: keys, stride: sizeOf(key) ?? 0 },
    ...(hasValues ? { value: { offset: values, stride: sizeOf(value) ?? 0 } } : {}),
  };
}
