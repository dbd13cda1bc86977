import { describe, expect, test } from 'vitest';
import { absent } from '../../../format/absent.js';
import { renderValue, renderVariable } from '../../../controller/types/render.js';
import type { ArrayType, CompositeType, Type } from '../../../controller/types/type.js';
import { at, u16, u32, u64 } from '../../support/literal-memory.js';
import {
  array,
  bool,
  char,
  char16,
  field,
  int,
  long,
  reference,
  short,
  struct,
  uchar,
  union,
} from '../../support/types.js';
import { context, known, place } from '../../support/values.js';

describe('arrays', () => {
  test('of integers', () => {
    expect(renderValue(place(array(short, 2), 0x71000n), context([at(0x71000n, u16(1), u16(2))]))).toEqual({
      type: 'short [2]',
      kind: 'array',
      address: '0x71000',
      elements: [
        { type: 'short', kind: 'int', value: '1', address: '0x71000', provenance: 'at-hit' },
        { type: 'short', kind: 'int', value: '2', address: '0x71002', provenance: 'at-hit' },
      ],
      length: 2,
      provenance: 'at-hit',
    });
  });
  test('of arrays', () => {
    expect(renderValue(known(array(array(char, 2), 2), 'ab', 'c', 0), context([]))).toEqual({
      type: 'char [2][2]',
      kind: 'array',
      elements: [
        {
          type: 'char [2]',
          kind: 'array',
          text: 'ab',
          elements: [
            { type: 'char', kind: 'char', value: '97', text: "'a'" },
            { type: 'char', kind: 'char', value: '98', text: "'b'" },
          ],
          length: 2,
        },
        {
          type: 'char [2]',
          kind: 'array',
          text: 'c',
          elements: [
            { type: 'char', kind: 'char', value: '99', text: "'c'" },
            { type: 'char', kind: 'char', value: '0', text: "'\\000'" },
          ],
          length: 2,
        },
      ],
      length: 2,
    });
  });
  test('more elements than the limit', () => {
    const document = renderValue(
      place(array(int, 1000), 0x71000n),
      context([at(0x71000n, new Uint8Array(400))]),
    );
    expect(document).toMatchObject({ length: 1000, provenance: 'at-hit' });
    expect(document.elements).toHaveLength(100);
    expect(document.absent).toBeUndefined();
  });
  test('a long character array has its text beyond the elements', () => {
    const range = at(0x71000n, 'y'.repeat(500), new Uint8Array(524));
    const document = renderValue(place(array(char, 1024), 0x71000n), context([range]));
    expect(document.text).toBe('y'.repeat(500));
    expect(document.elements).toHaveLength(100);
    expect(document.length).toBe(1024);
  });
  test('a character array that is cut by the limit of strings', () => {
    const range = at(0x71000n, 'y'.repeat(4096));
    const document = renderValue(place(array(char, 4096), 0x71000n), context([range]));
    expect(document.text).toBe('y'.repeat(1024));
    expect(document.absent).toEqual({
      reason: 'limit',
      detail: 'the string goes on after 1024 bytes',
      address: '0x71400',
    });
  });
  test('a character array without NUL is all of it', () => {
    const document = renderValue(place(array(char, 3), 0x71000n), context([at(0x71000n, 'abc')]));
    expect(document).toMatchObject({ text: 'abc', length: 3 });
    expect(document.absent).toBeUndefined();
  });
  test('of char16_t', () => {
    expect(renderValue(known(array(char16, 3), u16(0x720ac), u16(0x41), u16(0)), context([]))).toMatchObject({
      text: '€A',
      length: 3,
    });
  });
  test('captured in part', () => {
    expect(
      renderVariable('a', place(array(int, 2), 0x71000n), context([at(0x71000n, u32(1))])).elements,
    ).toEqual([
      { type: 'int', kind: 'int', value: '1', address: '0x71000', provenance: 'at-hit' },
      {
        type: 'int',
        kind: 'int',
        address: '0x71004',
        absent: {
          reason: 'not-captured',
          detail: '0x71004 was not captured',
          address: '0x71004',
          length: 4,
          hint: "capture it with --capture 'a[1]'",
        },
      },
    ]);
  });
  test('not captured', () => {
    expect(renderVariable('a', place(array(int, 200), 0x71000n), context([]))).toEqual({
      name: 'a',
      type: 'int [200]',
      kind: 'array',
      address: '0x71000',
      elements: [],
      length: 200,
      absent: {
        reason: 'not-captured',
        detail: '0x71000 was not captured',
        address: '0x71000',
        length: 400,
        hint: "capture it with --capture 'a'",
      },
    });
  });
  test('flexible array member', () => {
    const packet = struct('packet', 4, [field('size', int, 0), field('data', array(uchar), 4)]);
    const document = renderVariable('p', place(packet, 0x71000n), context([at(0x71000n, u32(3))]));
    expect(document.fields?.[1]).toEqual({
      name: 'data',
      type: 'unsigned char []',
      kind: 'array',
      address: '0x71004',
      elements: [],
      absent: {
        reason: 'no-debug-info',
        detail: 'the length of the array is not in the debug information',
        hint: 'ask for a slice, such as p.data[0:10]',
      },
    });
  });
  test('variable-length array', () => {
    const vla: ArrayType = {
      kind: 'array',
      element: () => short,
      dynamicCount: { kind: 'count', expressionAt: () => undefined, isLocation: false, byteSize: 8 },
    };
    const two = context([at(0x71000n, u16(1), u16(2))], { evaluateCount: () => 2 });
    expect(renderValue(place(vla, 0x71000n), two)).toMatchObject({
      type: 'short [2]',
      length: 2,
      elements: [{ value: '1' }, { value: '2' }],
    });
    const nested: ArrayType = { ...vla, element: () => vla };
    const four = context([at(0x71000n, u16(1), u16(2), u16(3), u16(4))], { evaluateCount: () => 2 });
    expect(renderValue(place(nested, 0x71000n), four)).toMatchObject({
      type: 'short [2][2]',
      elements: [{ type: 'short [2]' }, { elements: [{ value: '3' }, { value: '4' }] }],
    });
    const gone = context([], { evaluateCount: () => absent('optimized-out', 'the bound is optimised out') });
    expect(renderValue(place(vla, 0x71000n), gone)).toEqual({
      type: 'short [variable length]',
      kind: 'array',
      address: '0x71000',
      elements: [],
      absent: { reason: 'optimized-out', detail: 'the bound is optimised out' },
    });
    expect(renderValue(place(vla, 0x71000n), context([])).absent?.reason).toBe('unsupported');
  });
  test('of no elements', () => {
    expect(renderValue(place(array(int, 0), 0x71000n), context([]))).toEqual({
      type: 'int [0]',
      kind: 'array',
      address: '0x71000',
      elements: [],
      length: 0,
    });
  });
});

describe('structs and unions', () => {
  test('anonymous members, unions, nesting', () => {
    const variant = struct('variant', 16, [
      field('kind', int, 0),
      field(undefined, union(undefined, 8, [field('number', long, 0), field('flag', bool, 0)]), 8),
    ]);
    expect(renderValue(known(variant, u64(1), u64(1)), context([]))).toEqual({
      type: 'struct variant',
      kind: 'struct',
      fields: [
        { name: 'kind', type: 'int', kind: 'int', value: '1' },
        {
          name: '',
          type: 'union {...}',
          kind: 'union',
          fields: [
            { name: 'number', type: 'long', kind: 'int', value: '1' },
            { name: 'flag', type: '_Bool', kind: 'bool', value: 'true' },
          ],
        },
      ],
    });
  });
  test('without a size or members', () => {
    expect(renderValue(place(struct('empty', 0, []), 0x71000n), context([]))).toEqual({
      type: 'struct empty',
      kind: 'struct',
      address: '0x71000',
      fields: [],
    });
  });
  test('a base class is a field', () => {
    const animal = struct('animal', 4, [field('legs', int, 0)]);
    const dog: CompositeType = {
      ...struct('dog', 8, []),
      kind: 'class',
      members: () => [{ type: () => animal, byteOffset: 0, base: true }, field('age', int, 4)],
    };
    expect(renderValue(known(dog, u32(4), u32(9)), context([])).fields).toMatchObject([
      { name: 'struct animal', base: true, fields: [{ name: 'legs', value: '4' }] },
      { name: 'age', value: '9' },
    ]);
  });
  test('the weakest provenance of its bytes is not hidden by a member that is missing', () => {
    const pair = struct('pair', 8, [field('a', int, 0), field('b', int, 4)]);
    const memory = [
      { ...at(0x71000n, u32(1)), provenance: 'at-hit' as const },
      { ...at(0x71004n, u32(2)), provenance: 'after-hit' as const },
    ];
    const document = renderValue(place(pair, 0x71000n), context(memory));
    expect(document.fields?.map((each) => each.provenance)).toEqual(['at-hit', 'after-hit']);
  });
});

describe('hostile types end', () => {
  test('a struct that contains itself', () => {
    const loop: CompositeType = struct('loop', 8, () => [field('again', loop, 0)]);
    let document: object | undefined = renderValue(known(loop, u64(0)), context([]));
    let levels = 0;
    while (document !== undefined && 'fields' in document && Array.isArray(document.fields)) {
      document = document.fields[0] as object;
      levels++;
    }
    expect(levels).toBe(128);
    expect(document).toMatchObject({ absent: { reason: 'limit', detail: 'nested deeper than 128 levels' } });
  });
  test('a reference to itself', () => {
    const loop: Type = reference(() => loop);
    expect(renderValue(known(loop, u64(0x71000)), context([at(0x71000n, u64(0x71000))]))).toMatchObject({
      kind: 'pointer',
      absent: { reason: 'limit' },
    });
  });
  test('an array of arrays of arrays stops at the number of values', () => {
    const huge = array(array(array(char, 1000), 1000), 1000);
    const document = renderValue(place(huge, 0n), {
      ...context([]),
      memory: { read: (_, length) => ({ bytes: new Uint8Array(length), provenance: 'file' }) },
    });
    expect(JSON.stringify(document)).toContain('more than 20000 values in one document');
  });
});
