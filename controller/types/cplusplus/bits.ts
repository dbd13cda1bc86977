/** Bits that are kept in words: std::vector<bool>, std::bitset. Read word by word, as far as they are wanted. */
import { constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { Walk } from '../../../format/walk/walk.js';
import { asArray } from '../layout.js';
import type { BaseType, Type } from '../type.js';
import type { View, WalkedView } from '../view.js';
import {
  argument,
  argumentValue,
  firstPartOf,
  minus,
  partOf,
  plus,
  pointerIn,
  times,
  wordAt,
} from './part.js';

const boolType: BaseType = { kind: 'base', name: 'bool', byteSize: 1, encoding: 'boolean' };

export function vectorOfBoolView(type: Type): View | undefined {
  if (argument(type, 0)?.kind !== 'base') return undefined;
  return bitIterators(type) ?? countedBits(type);
}

/** libstdc++: the first bit and the one past the last, each by a word and a bit in it. */
function bitIterators(type: Type): View | undefined {
  const at = (iterator: string, name: string) => partOf(type, '_M_impl', iterator, name);
  const [start, finish] = [pointerIn(at('_M_start', '_M_p')), pointerIn(at('_M_finish', '_M_p'))];
  const [from, to] = [wordAt(at('_M_start', '_M_offset')), wordAt(at('_M_finish', '_M_offset'))];
  if (start === undefined || finish === undefined || from === undefined || to === undefined) return undefined;
  const length = minus(plus(times(minus(finish, start), 8), to), from);
  return bits(length, { kind: 'bit-range', start, finish, startBit: from, finishBit: to });
}

/** libc++: words and a count of bits. */
function countedBits(type: Type): View | undefined {
  const data = pointerIn(partOf(type, '__begin_'));
  const length = wordAt(partOf(type, '__size_'));
  const words = wordAt(firstPartOf(type, ['__cap_alloc_', '__value_'], ['__cap_']));
  if (data === undefined || length === undefined || words === undefined) return undefined;
  return bits(length, { kind: 'bit-count', data, length, words });
}

function bits(length: Recipe, walk: Walk): WalkedView {
  return { kind: 'walked', length, element: () => boolType, walk };
}

/** Bit 0 first. */
export function bitsetView(type: Type): View | undefined {
  const count = argumentValue(type, 0);
  if (count === undefined || count < 0n || count > 1n << 40n) return undefined;
  const words = firstPartOf(type, ['_M_w'], ['__first_']);
  if (words === undefined && count > 0n) return undefined;
  const bytes = words === undefined ? 0 : 8 * (asArray(words.type)?.count ?? 1);
  if (BigInt(bytes) * 8n < count) return undefined;
  const offset = words?.offset ?? 0;
  return bits(constant(count), { kind: 'bit-fields', offset, count: Number(count) });
}
