/** std::list and std::forward_list: nodes that lead to each other. */
import { addressAt } from '../../../format/recipe/recipe.js';
import { nodeChain, nodeRing } from '../blocks.js';
import { asPointer, sizeOf } from '../layout.js';
import type { Type } from '../type.js';
import type { View } from '../view.js';
import { argument, firstPartOf, type Part, partOf, pointerIn, wordAt } from './part.js';
import { nodeOf, valueOffset } from './node-type.js';

export function listView(type: Type): View | undefined {
  const element = argument(type, 0);
  const header = firstPartOf(type, ['_M_impl', '_M_node'], ['__end_']);
  const next = firstPartOf(header, ['_M_next'], ['__next_']);
  const previous = firstPartOf(header, ['_M_prev'], ['__prev_']);
  const length = wordAt(
    firstPartOf(type, ['_M_impl', '_M_node', '_M_size'], ['__size_alloc_', '__value_'], ['__size_']),
  );
  const [first, last] = [pointerIn(next), pointerIn(previous)];
  const node =
    nodeOf(partOf(type, '_M_impl'), '_List_node') ??
    nodeOf(firstPartOf(type, ['__size_alloc_'], ['__node_alloc_']), '__list_node');
  const value = valueOffset(node, element);
  if (element === undefined || header === undefined || next === undefined || previous === undefined)
    return undefined;
  if (first === undefined || last === undefined || value === undefined) return undefined;
  const [nextAt, previousAt] = [next.offset - header.offset, previous.offset - header.offset];
  const known = length === undefined ? {} : { length };
  const holds = [{ type: () => element, offset: value }];
  const ring = { next: nextAt, bytes: sizeOf(node ?? element) ?? 0, holds };
  return {
    kind: 'walked',
    noun: 'list',
    ...known,
    element: () => element,
    ...(length === undefined ? {} : { blocks: () => nodeRing(first, length, ring) }),
    walk: {
      kind: 'node-ring',
      end: addressAt(header.offset),
      first,
      next: nextAt,
      previous: previousAt,
      element: value,
    },
  };
}

export function forwardListView(type: Type): View | undefined {
  const element = argument(type, 0);
  const next = firstPartOf(
    type,
    ['_M_impl', '_M_head', '_M_next'],
    ['__before_begin_', '__value_', '__next_'],
    ['__before_begin_', '__next_'],
  );
  const first = pointerIn(next);
  const node =
    nodeOf(partOf(type, '_M_impl'), '_Fwd_list_node') ??
    nodeOf(firstPartOf(type, ['__before_begin_'], ['__alloc_']), '__forward_list_node');
  const value = valueOffset(node, element);
  const link = firstPartOf(node, ['_M_next'], ['__next_']);
  if (element === undefined || first === undefined || value === undefined || !isPointerPart(link))
    return undefined;
  return {
    kind: 'walked',
    noun: 'forward_list',
    element: () => element,
    blocks: () =>
      nodeChain(first, link.offset, sizeOf(node ?? element) ?? 0, [{ type: () => element, offset: value }]),
    walk: { kind: 'node-chain', first, next: link.offset, element: value },
  };
}

function isPointerPart(part: Part | undefined): part is Part {
  return part !== undefined && asPointer(part.type) !== undefined;
}
