/** std::basic_string of libstdc++ (of both ABIs) and libc++ (in both orders of its words), std::basic_string_view, std::filesystem::path. */
import { asArray, asComposite, asPointer, sizeOf, stripType } from '../layout.js';
import { addressAt, binary, choose, constant, type Recipe } from '../../../format/recipe/recipe.js';
import { typeName } from '../type-name.js';
import type { Type } from '../type.js';
import type { StringView } from '../view.js';
import { strideOf } from './nodes.js';
import { argument, atMost, firstPartOf, minus, type Part, partOf, plus, pointerIn, wordAt } from './part.js';

export function stringView(type: Type): StringView | undefined {
  return stringIn({ type, offset: 0 });
}

function stringIn(string: Part): StringView | undefined {
  return newString(string) ?? sharedString(string) ?? shortOrLongString(string);
}

/** libstdc++ since gcc 5: a pointer, a length, and a buffer of 16 bytes that is also the capacity of what does not fit it. */
function newString(string: Part): StringView | undefined {
  const local = partOf(string, '_M_local_buf');
  const pointer = partOf(string, '_M_dataplus', '_M_p') ?? declaredPointer(string, local);
  const data = pointerIn(pointer);
  const length = wordAt(partOf(string, '_M_string_length'));
  const allocated = wordAt(partOf(string, '_M_allocated_capacity'));
  const unit = unitOf(pointer);
  const room = local === undefined ? undefined : asArray(local.type)?.count;
  if (data === undefined || length === undefined || allocated === undefined || local === undefined)
    return undefined;
  if (unit === undefined || room === undefined) return undefined;
  const isLocal = binary(data, '==', addressAt(local.offset));
  const capacity = choose(isLocal, constant(room - 1), allocated);
  return { kind: 'string', data, length, unit, capacity, valid: atMost(length, capacity) };
}

/**
 * clang leaves out the type of `_M_dataplus`, which lies in the library, and tells all others: where these leave it one word at the beginning, that is the pointer, for
 * an allocator that takes room has a place of its own in a string's size.
 */
function declaredPointer(string: Part, local: Part | undefined): Part | undefined {
  const holder = partOf(string, '_M_dataplus');
  const length = partOf(string, '_M_string_length');
  const unit = local === undefined ? undefined : asArray(local.type)?.element();
  if (holder === undefined || asComposite(holder.type)?.incomplete !== true || unit === undefined)
    return undefined;
  const allocator = argument(string.type, 2);
  const isWord = holder.offset === string.offset && length?.offset === holder.offset + 8;
  if (!isWord || sizeOf(string.type) !== 32 || allocator === undefined) return undefined;
  const isStandard = typeName(allocator).startsWith('std::allocator<');
  const target = (): Type => unit;
  return isStandard
    ? { type: { kind: 'pointer', flavor: 'pointer', byteSize: 8, target }, offset: holder.offset }
    : undefined;
}

/** libstdc++ before gcc 5, and since then with _GLIBCXX_USE_CXX11_ABI=0: length and capacity stand before the characters. */
function sharedString(string: Part): StringView | undefined {
  const pointer = partOf(string, '_M_dataplus', '_M_p');
  const data = pointerIn(pointer);
  const unit = unitOf(pointer);
  if (data === undefined || unit === undefined || sizeOf(string.type) !== 8) return undefined;
  const word = (before: number): Recipe => ({
    op: 'load',
    address: minus(data, constant(before)),
    size: 8,
  });
  const [length, capacity] = [word(24), word(16)];
  return { kind: 'string', data, length, unit, capacity, valid: atMost(length, capacity) };
}

/**
 * libc++: a long string's words, or a short string in their place. One bit tells: the lowest of the first byte, or where the words stand in the other order
 * (_LIBCPP_ABI_ALTERNATE_STRING_LAYOUT) the highest of the last. Since LLVM 15 the bit is a bit field; it lies where it did.
 */
function shortOrLongString(string: Part): StringView | undefined {
  const rep = firstPartOf(string, ['__r_', '__value_'], ['__rep_']);
  const long = partOf(rep, '__l');
  const short = partOf(rep, '__s');
  const pointer = partOf(long, '__data_');
  const [longData, longSize] = [pointerIn(pointer), wordAt(partOf(long, '__size_'))];
  const capacityAt = partOf(long, '__cap_');
  const sizeAt = partOf(short, '__size_');
  const inside = partOf(short, '__data_');
  const unit = unitOf(pointer);
  const room = inside === undefined ? undefined : asArray(inside.type)?.count;
  if (rep === undefined || longData === undefined || longSize === undefined || capacityAt === undefined)
    return undefined;
  if (sizeAt === undefined || inside === undefined || unit === undefined || room === undefined)
    return undefined;
  const isFirst = sizeAt.offset === rep.offset;
  if (!isFirst && sizeAt.offset !== rep.offset + 23) return undefined;
  const byte: Recipe = { op: 'field', offset: sizeAt.offset, size: 1 };
  const word: Recipe = { op: 'field', offset: capacityAt.offset, size: 8 };
  const isLong = binary(byte, '&', constant(isFirst ? 1 : 0x80));
  const shortSize = isFirst ? binary(byte, '>>', constant(1)) : byte;
  const longRoom = binary(word, '&', constant(isFirst ? -2n : 0x7fffffffffffffffn));
  const length = choose(isLong, longSize, shortSize);
  // What is allocated has room for the NUL.
  const capacity = choose(isLong, minus(longRoom, constant(1)), constant(room - 1));
  const data = choose(isLong, longData, addressAt(inside.offset));
  return { kind: 'string', data, length, unit, capacity, valid: atMost(length, capacity) };
}

export function stringViewView(type: Type): StringView | undefined {
  const pointer = firstPartOf(type, ['_M_str'], ['__data'], ['__data_']);
  const data = pointerIn(pointer);
  const length = wordAt(firstPartOf(type, ['_M_len'], ['__size'], ['__size_']));
  const unit = unitOf(pointer);
  if (data === undefined || length === undefined || unit === undefined) return undefined;
  // The end of the characters does not lie before their beginning.
  return { kind: 'string', data, length, unit, valid: atMost(data, plus(data, length)) };
}

/** The path as it was written; what it consists of is made of that. */
export function pathView(type: Type): StringView | undefined {
  const text = firstPartOf(type, ['_M_pathname'], ['__pn_']);
  return text === undefined ? undefined : stringIn(text);
}

/** The type of the characters that a pointer points to, without `const`. */
function unitOf(pointer: Part | undefined): Type | undefined {
  const target = pointer === undefined ? undefined : asPointer(pointer.type)?.target();
  if (target === undefined) return undefined;
  const size = strideOf(target);
  if (size !== 1 && size !== 2 && size !== 4) return undefined;
  return unqualified(target);
}

function unqualified(type: Type): Type {
  return type.kind === 'qualified' ? stripType(type) : type;
}
