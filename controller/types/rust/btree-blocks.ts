/** The nodes of a B-tree that a plan brings: in the kernel nothing walks, so trees of each height that is likely are written out. */
import { sizeOf } from '../layout.js';
import { binary, choose, constant, type Recipe } from '../recipe.js';
import type { Block } from '../view.js';
import type { NodeLayout, Tree } from './btree.js';
import { isZero, plus } from './layout.js';

/** A tree of height 1 has up to 143 keys. */
const maxHeight = 1;
const edgeBytes = 8;

export function treeBlocks(tree: Tree): readonly Block[] {
  const edges = tree.node.edges();
  return Array.from({ length: edges === undefined ? 1 : maxHeight + 1 }, (_, height) => {
    const isThis = binary(tree.height, '==', constant(height));
    const address = choose(isZero(tree.length), constant(0), choose(isThis, tree.root, constant(0)));
    return nodeBlock(tree, { address, height, edges, isFollowed: height === 0 });
  });
}

interface At {
  /** Whether what its keys and values lead to is wanted, too: of a large tree only of the first leaf. */
  readonly isFollowed: boolean;
  readonly address: Recipe;
  readonly height: number;
  readonly edges: number | undefined;
}

function nodeBlock(tree: Tree, { address, height, edges, isFollowed }: At): Block {
  const { node } = tree;
  const isLeaf = height === 0 || edges === undefined;
  const bytes = isLeaf ? node.size : edges + (node.capacity + 1) * edgeBytes;
  return {
    address,
    bytes: constant(bytes),
    maxBytes: bytes,
    ...(isFollowed ? { objects: entriesOf(tree, address) } : {}),
    ...(isLeaf ? {} : { next: () => childrenOf(tree, node, { height, edges }) }),
  };
}

/** Of a node of `length` keys, `length + 1` edges are set. */
function childrenOf(
  tree: Tree,
  node: NodeLayout,
  { height, edges }: { height: number; edges: number },
): Block[] {
  const length: Recipe = { op: 'field', offset: node.length, size: 2 };
  return Array.from({ length: node.capacity + 1 }, (_, i) => {
    const edge: Recipe = { op: 'field', offset: edges + i * edgeBytes, size: 8 };
    const address = choose(binary(length, '<', constant(i)), constant(0), edge);
    return nodeBlock(tree, { address, height: height - 1, edges, isFollowed: i === 0 });
  });
}

function entriesOf({ node, key, value }: Tree, address: Recipe): NonNullable<Block['objects']> {
  const length: Recipe = { op: 'load', address: plus(address, node.length), size: 2 };
  return Array.from({ length: node.capacity }, (_, i) => {
    const exists = choose(isZero(address), constant(0), binary(constant(i), '<', length));
    const at = (offset: number, size: number): Recipe => plus(address, offset + i * size);
    return [
      { type: () => key, address: at(node.keys, sizeOf(key) ?? 0), exists },
      { type: () => value, address: at(node.values, sizeOf(value) ?? 0), exists },
    ];
  }).flat();
}
