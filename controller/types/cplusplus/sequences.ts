/** What lies one after another: std::vector, array, span, initializer_list. Bits are in bits.ts, deques in deques.ts. */
import { asArray, asPointer } from '../layout.js';
import { addressAt, binary, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { Type } from '../type.js';
import type { View } from '../view.js';
import { strideOf } from './nodes.js';
import {
  argument,
  argumentValue,
  atMost,
  both,
  firstPartOf,
  minus,
  over,
  type Part,
  plus,
  pointerIn,
  times,
  wordAt,
} from './part.js';

/** Three pointers: to the first element, past the last, past what is allocated. */
export function vectorView(type: Type): View | undefined {
  const begin = firstPartOf(type, ['_M_impl', '_M_start'], ['__begin_']);
  const past = firstPartOf(type, ['_M_impl', '_M_finish'], ['__end_']);
  const room = firstPartOf(
    type,
    ['_M_impl', '_M_end_of_storage'],
    ['__end_cap_', '__value_'],
    ['__end_cap_'],
    ['__cap_'],
  );
  const [first, last, limit] = [pointerIn(begin), pointerIn(past), pointerIn(room)];
  const element = elementOf(begin);
  const size = strideOf(element);
  if (first === undefined || last === undefined || limit === undefined) return undefined;
  if (element === undefined || size === undefined) return undefined;
  const length = over(minus(last, first), size);
  const divides = (end: Recipe, count: Recipe): Recipe => binary(times(count, size), '==', minus(end, first));
  const capacity = over(minus(limit, first), size);
  const inOrder = both(atMost(first, last), atMost(last, limit));
  const valid = both(inOrder, both(divides(last, length), divides(limit, capacity)));
  return { kind: 'sequence', data: first, length, capacity, valid, element: () => element };
}

/** The array in it. One of no elements has nothing in it that could be shown. */
export function arrayView(type: Type): View | undefined {
  const elements = firstPartOf(type, ['_M_elems'], ['__elems_']);
  const element = argument(type, 0);
  if (elements === undefined || element === undefined) return undefined;
  if (argumentValue(type, 1) === 0n)
    return {
      kind: 'sequence',
      data: addressAt(elements.offset),
      length: constant(0),
      element: () => element,
    };
  const count = asArray(elements.type)?.count;
  if (count === undefined || BigInt(count) !== argumentValue(type, 1)) return undefined;
  return {
    kind: 'sequence',
    data: addressAt(elements.offset),
    length: constant(count),
    element: () => element,
  };
}

export function spanView(type: Type): View | undefined {
  const pointer = firstPartOf(type, ['_M_ptr'], ['__data'], ['__data_']);
  const dynamic = wordAt(firstPartOf(type, ['_M_extent', '_M_extent_value'], ['__size'], ['__size_']));
  const fixed = argumentValue(type, 1);
  const unbounded = fixed === undefined || BigInt.asUintN(64, fixed) === 0xffff_ffff_ffff_ffffn;
  return counted(pointer, dynamic ?? (unbounded ? undefined : constant(fixed)));
}

export function initializerListView(type: Type): View | undefined {
  const pointer = firstPartOf(type, ['_M_array'], ['__begin_']);
  return counted(pointer, wordAt(firstPartOf(type, ['_M_len'], ['__size_'])));
}

function counted(pointer: Part | undefined, length: Recipe | undefined): View | undefined {
  const data = pointerIn(pointer);
  const element = elementOf(pointer);
  const size = strideOf(element);
  if (data === undefined || length === undefined || element === undefined || size === undefined)
    return undefined;
  const valid = atMost(data, plus(data, times(length, size)));
  return { kind: 'sequence', data, length, valid, element: () => element };
}

function elementOf(pointer: Part | undefined): Type | undefined {
  return pointer === undefined ? undefined : asPointer(pointer.type)?.target();
}
