/** Blocks of the usual shapes of containers: chains and trees of nodes, tables. What a plan brings of them its limits decide. */
import { binary, choose, constant, pointerAt, type Recipe } from '../../format/recipe/recipe.js';
import type { Type } from './type.js';
import type { Block } from './view.js';

/** Objects that lie in each node. */
export type Held = NonNullable<Block['holds']>;

/** Elements of a table that are followed one by one. */
const maxObjects = 16;

/** Nodes of `bytes` each; the last one leads to none. */
export function nodeChain(first: Recipe, next: number, bytes: number, holds: Held): Block[] {
  const again = { next: pointerAt(next) };
  return [{ address: first, bytes: constant(bytes), maxBytes: bytes, holds, again }];
}

/** Nodes of a ring, as many as the object says: the last one leads back. */
export function nodeRing(
  first: Recipe,
  length: Recipe,
  { next, bytes, holds }: { readonly next: number; readonly bytes: number; readonly holds: Held },
): Block[] {
  const again = { next: pointerAt(next), count: length };
  return [{ address: first, bytes: constant(bytes), maxBytes: bytes, holds, again }];
}

/** A binary tree from its root on: what is above comes before what is below. */
export function nodeTree(
  root: Recipe,
  links: { readonly left: number; readonly right: number },
  bytes: number,
  holds: Held,
): Block[] {
  const block = (address: Recipe): Block => ({
    address,
    bytes: constant(bytes),
    maxBytes: bytes,
    holds,
    next: () => [block(pointerAt(links.left)), block(pointerAt(links.right))],
  });
  return [block(root)];
}

/** Elements one after another, the first of them followed. `count`: how many there are from `address` on. */
export function elementTable(
  address: Recipe,
  count: Recipe,
  { type, stride, maxBytes }: { readonly type: Type; readonly stride: number; readonly maxBytes: number },
): Block {
  const followed = Math.min(maxObjects, Math.floor(maxBytes / stride));
  return {
    address,
    bytes: binary(count, '*', constant(stride)),
    maxBytes,
    objects: Array.from({ length: followed }, (_, i) => ({
      type: () => type,
      address: binary(address, '+', constant(i * stride)),
      exists: binary(constant(i), '<', count),
    })),
  };
}

/** The lesser of two. */
export function least(a: Recipe, b: Recipe): Recipe {
  return choose(binary(a, '<', b), a, b);
}
