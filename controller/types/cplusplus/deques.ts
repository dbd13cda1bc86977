/** std::deque: blocks of elements, and a map of pointers to them. */
import { binary, choose, constant, type Recipe } from '../../../format/recipe/recipe.js';
import { elementTable } from '../blocks.js';
import { asPointer } from '../layout.js';
import type { Type } from '../type.js';
import type { Block, View } from '../view.js';
import { strideOf } from './nodes.js';
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
    walk: {
      kind: 'block-range',
      start: { entry: startNode, at: startCurrent, first: startFirst, last: startLast },
      finish: { entry: finishNode, at: finishCurrent, first: finishFirst },
      stride: size,
      perBlock,
    },
  };
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
    walk: { kind: 'block-index', mapBegin, mapEnd, start, length, stride: size, perBlock },
  };
}
