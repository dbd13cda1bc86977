/** Bits that are kept in words: std::vector<bool>, std::bitset. Read word by word, as far as they are wanted. */
import { type Absent, isAbsent } from '../../../format/absent.js';
import { asArray } from '../layout.js';
import type { ObjectView } from '../object-view.js';
import { computeRecipe, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { BaseType, Type } from '../type.js';
import type { Value } from '../value.js';
import type { View, ViewContext, WalkedView } from '../view.js';
import { computeAll, corrupt, readWord } from './nodes.js';
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
  return bits(length, function* (object, context) {
    const known = computeAll([start, finish, from, to], object, context);
    if (isAbsent(known)) return void (yield known);
    const [first = 0n, last = 0n, skipped = 0n, rest = 0n] = known;
    if (last < first || (last - first) % 8n !== 0n || skipped !== 0n || rest > 63n)
      return void (yield corrupt('its end is before its beginning, or not at a word'));
    yield* wordsAt(first, (last - first) * 8n + rest, context);
  });
}

/** libc++: words and a count of bits. */
function countedBits(type: Type): View | undefined {
  const data = pointerIn(partOf(type, '__begin_'));
  const length = wordAt(partOf(type, '__size_'));
  const words = wordAt(firstPartOf(type, ['__cap_alloc_', '__value_'], ['__cap_']));
  if (data === undefined || length === undefined || words === undefined) return undefined;
  return bits(length, function* (object, context) {
    const known = computeAll([data, length, words], object, context);
    if (isAbsent(known)) return void (yield known);
    const [first = 0n, count = 0n, room = 0n] = known;
    if (count > room * 64n) return void (yield corrupt('it has more bits than room for them'));
    yield* wordsAt(first, count, context);
  });
}

function bits(length: Recipe, walk: WalkedView['walk']): WalkedView {
  return { kind: 'walked', length, element: () => boolType, walk };
}

function* wordsAt(first: bigint, count: bigint, context: ViewContext): Iterable<Value | Absent> {
  const wanted = Math.min(Number(count), context.maxElements);
  for (let i = 0; i < wanted; i += 64) {
    const word = readWord(context, first + BigInt(i / 8));
    if (isAbsent(word)) return void (yield word);
    yield* bitsOf(word, Math.min(64, wanted - i));
  }
}

function* bitsOf(word: bigint, count: number): Iterable<Value> {
  for (let bit = 0; bit < count; bit++) {
    const bytes = Uint8Array.of(Number((word >> BigInt(bit)) & 1n));
    yield { type: boolType, place: { kind: 'bytes', bytes } };
  }
}

/** Bit 0 first. */
export function bitsetView(type: Type): View | undefined {
  const count = argumentValue(type, 0);
  if (count === undefined || count < 0n || count > 1n << 40n) return undefined;
  const words = firstPartOf(type, ['_M_w'], ['__first_']);
  if (words === undefined && count > 0n) return undefined;
  const bytes = words === undefined ? 0 : 8 * (asArray(words.type)?.count ?? 1);
  if (BigInt(bytes) * 8n < count) return undefined;
  return bits(constant(count), function* (object: ObjectView, context: ViewContext) {
    const wanted = Math.min(Number(count), context.maxElements);
    for (let i = 0; i < wanted; i += 64) {
      const offset = (words?.offset ?? 0) + i / 8;
      const word = computeRecipe({ op: 'field', offset, size: 8 }, object, context.memory);
      if (isAbsent(word)) return void (yield word);
      yield* bitsOf(word, Math.min(64, wanted - i));
    }
  });
}
