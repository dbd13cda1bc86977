/** std::deque: blocks of elements, and a map of pointers to them. */
import { type Absent, isAbsent } from '../../../format/absent.js';
import { elementTable } from '../blocks.js';
import { asPointer } from '../layout.js';
import { binary, choose, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { ObjectView } from '../object-view.js';
import type { Type } from '../type.js';
import type { Value } from '../value.js';
import type { Block, View, ViewContext } from '../view.js';
import { computeAll, corrupt, readWord, strideOf, valueAt } from './nodes.js';
import { argument, firstPartOf, minus, over, partOf, plus, pointerIn, times, wordAt } from './part.js';

export function dequeView(type: Type): View | undefined {
  const element = argument(type, 0);
  const size = strideOf(element);
  if (element === undefined || size === undefined) return undefined;
  return withIterators(type, element, size) ?? withStart(type, element, size);
}

/** libstdc++: an iterator to the first element, one past the last; blocks of 512 bytes. */
function withIterators(type: Type, element: Type, size: number): View | undefined {
  const pointer = (...names: string[]) => pointerIn(partOf(type, '_M_impl', ...names));
  const [startNode, finishNode] = [pointer('_M_start', '_M_node'), pointer('_M_finish', '_M_node')];
  const [startCurrent, startFirst] = [pointer('_M_start', '_M_cur'), pointer('_M_start', '_M_first')];
  const [startLast, finishCurrent] = [pointer('_M_start', '_M_last'), pointer('_M_finish', '_M_cur')];
  const finishFirst = pointer('_M_finish', '_M_first');
  if (startNode === undefined || finishNode === undefined || startCurrent === undefined) return undefined;
  if (startFirst === undefined || startLast === undefined || finishCurrent === undefined) return undefined;
  if (finishFirst === undefined) return undefined;
  const perBlock = size < 512 ? Math.floor(512 / size) : 1;
  const between = times(
    minus(over(minus(finishNode, startNode), 8), { op: 'constant', value: 1n }),
    perBlock,
  );
  const ends = plus(
    over(minus(startLast, startCurrent), size),
    over(minus(finishCurrent, finishFirst), size),
  );
  const length = plus(between, ends);
  const parts = [startNode, finishNode, startCurrent, startFirst, startLast, finishCurrent, finishFirst];
  const inFirst = choose(
    binary(startNode, '==', finishNode),
    minus(finishCurrent, startCurrent),
    minus(startLast, startCurrent),
  );
  const isRest = (i: number): Recipe =>
    binary(plus(startNode, { op: 'constant', value: BigInt(8 * i) }), '<', finishNode);
  const further = (i: number): Block => {
    const entry = plus(startNode, { op: 'constant', value: BigInt(8 * i) });
    const address: Recipe = { op: 'load', address: entry, size: 8 };
    const bytes = constant(perBlock * size);
    return { address: choose(isRest(i - 1), address, constant(0)), bytes, maxBytes: perBlock * size };
  };
  return {
    kind: 'walked',
    length,
    element: () => element,
    blocks: () => [
      elementTable(startCurrent, over(inFirst, size), {
        type: element,
        stride: size,
        maxBytes: perBlock * size,
      }),
      { address: startNode, bytes: plus(minus(finishNode, startNode), constant(8)), maxBytes: 256 },
      ...[1, 2, 3].map(further),
    ],
    walk: function* (object: ObjectView, context: ViewContext): Iterable<Value | Absent> {
      const known = computeAll(parts, object, context);
      if (isAbsent(known)) return void (yield known);
      const [node = 0n, lastNode = 0n, current = 0n, first = 0n, last = 0n, end = 0n, endFirst = 0n] = known;
      const block = BigInt(perBlock * size);
      const within = (at: bigint, from: bigint): boolean =>
        at >= from && at <= from + block && (at - from) % BigInt(size) === 0n;
      const isSound =
        lastNode >= node &&
        (lastNode - node) % 8n === 0n &&
        last - first === block &&
        within(current, first) &&
        within(end, endFirst) &&
        (node !== lastNode || (first === endFirst && current <= end));
      if (!isSound)
        return void (yield corrupt('the places of its first and last element contradict each other'));
      let given = 0;
      for (let at = node; at <= lastNode; at += 8n) {
        const begin = yield* blockOf(
          context,
          at,
          at === node ? first : at === lastNode ? endFirst : undefined,
        );
        if (begin === undefined) return;
        const stop = at === lastNode ? end : begin + block;
        for (let each = at === node ? current : begin; each < stop; each += BigInt(size)) {
          if (given++ >= context.maxElements) return;
          yield valueAt(element, each);
        }
      }
    },
  };
}

/** The block that an entry of the map leads to, which must be the one that an iterator says. */
function* blockOf(
  context: ViewContext,
  entry: bigint,
  expected: bigint | undefined,
): Generator<Absent, bigint | undefined> {
  const block = readWord(context, entry);
  if (isAbsent(block)) {
    if (expected !== undefined) return expected;
    yield block;
    return undefined;
  }
  if (block !== 0n && (expected === undefined || block === expected)) return block;
  yield corrupt('its map leads to another block than its iterators', entry);
  return undefined;
}

/** libc++: the map, the index of the first element in it, and the count; blocks of 4096 bytes, or of 16 elements. */
function withStart(type: Type, element: Type, size: number): View | undefined {
  const map = partOf(type, '__map_');
  const [mapBegin, mapEnd] = [pointerIn(partOf(map, '__begin_')), pointerIn(partOf(map, '__end_'))];
  const start = wordAt(partOf(type, '__start_'));
  const length = wordAt(firstPartOf(type, ['__size_', '__value_'], ['__size_']));
  const entry = asPointer(partOf(map, '__begin_')?.type ?? { kind: 'void' })?.target();
  if (mapBegin === undefined || mapEnd === undefined || start === undefined || length === undefined)
    return undefined;
  if (entry === undefined || asPointer(entry) === undefined) return undefined;
  const perBlock = size < 256 ? Math.floor(4096 / size) : 16;
  return {
    kind: 'walked',
    length,
    element: () => element,
    walk: function* (object: ObjectView, context: ViewContext): Iterable<Value | Absent> {
      const known = computeAll([mapBegin, mapEnd, start, length], object, context);
      if (isAbsent(known)) return void (yield known);
      const [begin = 0n, end = 0n, first = 0n, count = 0n] = known;
      const room =
        end < begin || (end - begin) % 8n !== 0n ? undefined : ((end - begin) / 8n) * BigInt(perBlock);
      if (room === undefined || first + count > room)
        return void (yield corrupt('it has more elements than blocks for them'));
      let block = 0n;
      const wanted = Math.min(Number(count), context.maxElements);
      for (let i = 0; i < wanted; i++) {
        const index = first + BigInt(i);
        const within = index % BigInt(perBlock);
        if (i === 0 || within === 0n) {
          const read = readWord(context, begin + (index / BigInt(perBlock)) * 8n);
          if (isAbsent(read)) return void (yield read);
          if (read === 0n) return void (yield corrupt('its map has no block where elements are'));
          block = read;
        }
        yield valueAt(element, block + within * BigInt(size));
      }
    },
  };
}
