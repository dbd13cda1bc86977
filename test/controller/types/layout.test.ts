import { describe, expect, test } from 'vitest';
import {
  elementCount,
  findMember,
  isCharacter,
  isInteger,
  memberNames,
  sizeOf,
  stripType,
} from '../../../controller/types/layout.js';
import type { Type } from '../../../controller/types/type.js';
import {
  array,
  bool,
  char,
  constant,
  double,
  enumeration,
  field,
  functionType,
  incompleteStruct,
  int,
  long,
  pointer,
  struct,
  typedef,
  uint,
  union,
  voidType,
} from '../../support/types.js';

const order = struct('order', 32, [
  field('id', int, 0),
  field(
    undefined,
    union(undefined, 8, [
      field('total', long, 0),
      field(undefined, struct(undefined, 8, [field('low', uint, 0), field('high', uint, 4)]), 0),
    ]),
    8,
  ),
  field('paid', uint, 16, { bitOffset: 3, bitSize: 1 }),
]);

const circle: Type = typedef('a', () => typedef('b', () => circle));

describe('sizeOf', () => {
  test.each<[string, Type, number | undefined]>([
    ['int', int, 4],
    ['pointer', pointer(voidType), 8],
    ['typedef of const', typedef('t', constant(long)), 8],
    ['array of arrays', array(array(int, 4), 3), 48],
    ['zero-length array', array(int, 0), 0],
    ['flexible array', array(int), undefined],
    ['array of flexible arrays', array(array(int), 2), undefined],
    ['struct', order, 32],
    ['incomplete struct', incompleteStruct('opaque'), undefined],
    ['enum', enumeration('tier', { GOLD: 2 }, 1), 1],
    ['function', functionType(int, []), undefined],
    ['void', voidType, undefined],
    ['typedefs in a circle', circle, undefined],
    ['absurd array', array(array(array(int, 2 ** 31), 2 ** 31), 2 ** 31), undefined],
  ])('%s', (_, type, size) => {
    expect(sizeOf(type)).toBe(size);
  });
});

describe('findMember', () => {
  test('a direct member', () => {
    expect(findMember(order, 'id')).toMatchObject({ byteOffset: 0, type: int });
  });
  test('through an anonymous union', () => {
    expect(findMember(order, 'total')).toMatchObject({ byteOffset: 8, type: long });
  });
  test('through an anonymous struct in an anonymous union', () => {
    expect(findMember(order, 'high')).toMatchObject({ byteOffset: 12, type: uint });
  });
  test('a bit field', () => {
    expect(findMember(typedef('order_t', order), 'paid')).toMatchObject({
      byteOffset: 16,
      bits: { offset: 3, size: 1 },
    });
  });
  test('none', () => {
    expect(findMember(order, 'customer')).toBeUndefined();
    expect(findMember(int, 'x')).toBeUndefined();
  });
  test('a struct that contains itself without a name ends', () => {
    const loop: Type = struct('loop', 8, () => [field(undefined, loop, 0)]);
    expect(findMember(loop, 'x')).toBeUndefined();
  });
  test('members that double with each level of nesting end', () => {
    const loop: Type = struct('loop', 8, () => [field(undefined, loop, 0), field(undefined, loop, 0)]);
    expect(findMember(loop, 'x')).toBeUndefined();
    expect(memberNames(loop)).toEqual([]);
  });
  test('names', () => {
    expect(memberNames(order)).toEqual(['id', 'total', 'low', 'high', 'paid']);
  });
});

test('kinds', () => {
  expect(stripType(circle)).toEqual({ kind: 'unknown', detail: 'type is nested deeper than 128' });
  expect(elementCount(typedef('grid', array(int, 5)))).toBe(5);
  expect([bool, char, int, enumeration('e', {})].every(isInteger)).toBe(true);
  expect([double, pointer(int), order].some(isInteger)).toBe(false);
  expect([isCharacter(typedef('u8', char)), isCharacter(int)]).toEqual([true, false]);
});
