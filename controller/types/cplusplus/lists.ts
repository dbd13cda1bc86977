/** std::list and std::forward_list: nodes that lead to each other. */
import { type Absent, isAbsent } from '../../../format/absent.js';
import { nodeChain, nodeRing } from '../blocks.js';
import { asPointer, sizeOf } from '../layout.js';
import type { ObjectView } from '../object-view.js';
import { addressAt } from '../../../format/recipe/recipe.js';
import type { Type } from '../type.js';
import type { Value } from '../value.js';
import type { View, ViewContext } from '../view.js';
import { computeAll, corrupt, isNodeAddress, readWord, valueAt } from './nodes.js';
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
    walk: function* (object: ObjectView, context: ViewContext): Iterable<Value | Absent> {
      const ends = computeAll([addressAt(header.offset), first], object, context);
      if (isAbsent(ends)) return void (yield ends);
      const [end = 0n, begin = 0n] = ends;
      let before = end;
      let at = begin;
      // Each node names the one before it, so that none is met twice.
      for (let i = 0; at !== end && i < context.maxElements; i++) {
        if (!isNodeAddress(at)) return void (yield corrupt('a node leads to no node', before));
        const back = readWord(context, at + BigInt(previousAt));
        if (isAbsent(back)) return void (yield back);
        if (back !== before)
          return void (yield corrupt('a node does not lead back to the one before it', at));
        yield valueAt(element, at + BigInt(value));
        before = at;
        const following = readWord(context, at + BigInt(nextAt));
        if (isAbsent(following)) return void (yield following);
        at = following;
      }
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
    walk: function* (object: ObjectView, context: ViewContext): Iterable<Value | Absent> {
      const begin = computeAll([first], object, context);
      if (isAbsent(begin)) return void (yield begin);
      let [at = 0n] = begin;
      const seen = new Set<bigint>();
      while (at !== 0n && seen.size < context.maxElements) {
        if (!isNodeAddress(at)) return void (yield corrupt('a node leads to no node', at));
        if (seen.has(at)) return void (yield corrupt('its nodes lead in a circle', at));
        seen.add(at);
        const following = readWord(context, at + BigInt(link.offset));
        if (isAbsent(following)) return void (yield following);
        yield valueAt(element, at + BigInt(value));
        at = following;
      }
    },
  };
}

function isPointerPart(part: Part | undefined): part is Part {
  return part !== undefined && asPointer(part.type) !== undefined;
}
