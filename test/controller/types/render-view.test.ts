import { describe, expect, test } from 'vitest';
import { renderValue, renderVariable } from '../../../controller/types/render.js';
import type { ValueDocument } from '../../../controller/types/value-document.js';
import { inline } from '../../../controller/cli/render-value.js';
import { leavesOf } from '../../../controller/snapshot/leaves.js';
import { rootPath } from '../../../controller/types/path.js';
import { at, u16, u32, u64 } from '../../support/literal-memory.js';
import { char16, double, field, int, long, pointer, reference, struct, uchar } from '../../support/types.js';
import { context, known, place } from '../../support/values.js';
import {
  anyType,
  cellType,
  listType,
  mapType,
  optionalType,
  order,
  resultType,
  sharedType,
  stringType,
  vectorType,
} from '../../support/view-types.js';

const text = stringType();
const shortText = (characters: string): Uint8Array =>
  Buffer.concat([
    u64(0),
    u64(Buffer.byteLength(characters)),
    u64(15),
    Buffer.from(characters.padEnd(16, '\0')),
  ]);
const longText = (data: bigint, size: number, capacity = size + 16): Uint8Array =>
  Buffer.concat([u64(data), u64(size), u64(capacity), new Uint8Array(16)]);
const ints = (...values: number[]): Uint8Array => Buffer.concat(values.map((value) => u32(value)));

/** Without what `toMatchObject` cannot say: that a property is not there. */
function shape({ type, kind, text: shown, value, length, absent }: ValueDocument): object {
  return { type, kind, text: shown, value, length, absent };
}

describe('strings', () => {
  test('in the object', () => {
    const range = at(0x71000n, shortText('abc'));
    expect(renderValue(place(text, 0x71000n), context([range]))).toEqual({
      type: 'Text',
      kind: 'string',
      text: 'abc',
      address: '0x71000',
      length: 3,
      provenance: 'at-hit',
    });
  });
  test('in the object, which is nowhere', () => {
    expect(renderValue(known(text, shortText('abc')), context([]))).toEqual({
      type: 'Text',
      kind: 'string',
      text: 'abc',
      length: 3,
    });
  });
  test('elsewhere, with NULs, and a byte that is no UTF-8', () => {
    const memory = [at(0x71000n, longText(0x72000n, 6)), at(0x72000n, 'a\0b', Uint8Array.of(0xff), 'ü')];
    expect(renderValue(place(text, 0x71000n), context(memory))).toMatchObject({
      text: 'a\0b\\xffü',
      length: 6,
    });
  });
  test('empty: where it would lie is not asked', () => {
    const document = renderValue(known(text, longText(0x1n, 0)), context([]));
    expect(document).toMatchObject({ text: '', length: 0 });
    expect(document.absent).toBeUndefined();
  });
  test('of char16_t, whose length counts units', () => {
    const memory = [at(0x72000n, u16(0x20ac), u16(0), u16(0xd83d), u16(0xde00))];
    expect(renderValue(known(stringType(char16), longText(0x72000n, 4)), context(memory))).toMatchObject({
      text: '€\0😀',
      length: 4,
    });
  });
  test('longer than the limit', () => {
    const memory = [at(0x72000n, 'y'.repeat(5000))];
    const document = renderVariable('s', known(text, longText(0x72000n, 5000)), context(memory));
    expect(document.text).toBe('y'.repeat(1024));
    expect(document).toMatchObject({
      length: 5000,
      absent: { reason: 'limit', detail: 'the string goes on after 1024 of 5000 bytes' },
    });
  });
  test('captured in part', () => {
    const memory = [at(0x72000n, 'hello')];
    expect(renderVariable('s', known(text, longText(0x72000n, 26)), context(memory))).toMatchObject({
      text: 'hello',
      length: 26,
      absent: {
        reason: 'not-captured',
        address: '0x72005',
        length: 21,
        hint: "capture it with --capture 's'",
      },
    });
  });
  test('not captured at all', () => {
    const document = renderVariable('s', known(text, longText(0x72000n, 26)), context([]));
    expect(shape(document)).toEqual({
      type: 'Text',
      kind: 'string',
      text: undefined,
      value: undefined,
      length: 26,
      absent: {
        reason: 'not-captured',
        detail: '0x72000 was not captured',
        address: '0x72000',
        length: 26,
        hint: "capture it with --capture 's'",
      },
    });
  });
  test('whose object was not captured', () => {
    expect(renderVariable('s', place(text, 0x71000n), context([]))).toMatchObject({
      kind: 'string',
      absent: { reason: 'not-captured', address: '0x71000' },
    });
  });
  test.each([
    ['a length below zero', longText(0x72000n, -1), 'the object is corrupt: a length of -1'],
    [
      'more than its capacity',
      longText(0x72000n, 17, 16),
      'the object is corrupt: a length of 17 in a capacity of 16',
    ],
  ])('corrupt: %s', (_, bytes, detail) => {
    const document = renderVariable('s', known(text, bytes), context([at(0x72000n, 'x'.repeat(64))]));
    expect(document.text).toBeUndefined();
    expect(document.length).toBeUndefined();
    expect(document.absent).toEqual({ reason: 'unreadable', detail });
  });
  test('raw: as it is declared', () => {
    const document = renderValue(known(text, shortText('abc')), context([], { raw: true }));
    expect(document).toMatchObject({ kind: 'struct', type: 'Text' });
    expect(document.fields?.map(({ name }) => name)).toEqual(['data', 'size', 'capacity', 'local']);
  });
  test('behind a reference', () => {
    const memory = [at(0x71000n, shortText('abc'))];
    expect(renderValue(known(reference(text), u64(0x71000n)), context(memory))).toMatchObject({
      type: 'Text &',
      kind: 'string',
      text: 'abc',
    });
    expect(renderValue(known(reference(text), u64(0x79000n)), context(memory))).toMatchObject({
      type: 'Text &',
      kind: 'string',
      absent: { reason: 'not-captured' },
    });
  });
});

describe('sequences', () => {
  const vector = vectorType(int, 4);
  const header = (begin: number, end: number, limit: number): Uint8Array =>
    Buffer.concat([u64(begin), u64(end), u64(limit)]);

  test('of integers', () => {
    const memory = [at(0x72000n, ints(7, 8))];
    expect(renderValue(known(vector, header(0x72000, 0x72008, 0x72010)), context(memory))).toEqual({
      type: 'Vector',
      kind: 'slice',
      elements: [
        { type: 'int', kind: 'int', value: '7', address: '0x72000', provenance: 'at-hit' },
        { type: 'int', kind: 'int', value: '8', address: '0x72004', provenance: 'at-hit' },
      ],
      length: 2,
      provenance: 'at-hit',
    });
  });
  test('empty', () => {
    expect(renderValue(known(vector, header(0, 0, 0)), context([]))).toEqual({
      type: 'Vector',
      kind: 'slice',
      elements: [],
      length: 0,
    });
  });
  test('of sequences and strings', () => {
    const nested = vectorType(vectorType(text, 40, 'Texts'), 24, 'Vectors');
    const memory = [
      at(0x72000n, header(0x73000, 0x73050, 0x73050), header(0, 0, 0)),
      at(0x73000n, shortText('a'), shortText('bc')),
    ];
    const document = renderValue(known(nested, header(0x72000, 0x72030, 0x72030)), context(memory));
    expect(document.elements?.[0]?.elements?.map((element) => element.text)).toEqual(['a', 'bc']);
    expect(document.elements?.[1]).toMatchObject({ kind: 'slice', elements: [], length: 0 });
    expect(inline(document)).toBe('[["a", "bc"], []]');
  });
  test('more than the limit: a page', () => {
    const memory = [at(0x72000n, new Uint8Array(400))];
    const end = 0x72000 + 400_000;
    const document = renderVariable('v', known(vector, header(0x72000, end, end)), context(memory));
    expect(document.length).toBe(100_000);
    expect(document.elements).toHaveLength(100);
    expect(document.absent).toBeUndefined();
    expect(inline(document, rootPath('o->v'))).toBe('[0 × 100, … 99,900 more, ask for o->v[100:200]]');
  });
  test('captured in part', () => {
    const memory = [at(0x72000n, ints(7))];
    const document = renderVariable('v', known(vector, header(0x72000, 0x72008, 0x72008)), context(memory));
    expect(document).toMatchObject({
      length: 2,
      elements: [
        { value: '7' },
        { absent: { reason: 'not-captured', address: '0x72004', hint: "capture it with --capture 'v[1]'" } },
      ],
    });
  });
  test('not captured', () => {
    const document = renderVariable('v', known(vector, header(0x72000, 0x72008, 0x72008)), context([]));
    expect(document).toMatchObject({
      kind: 'slice',
      length: 2,
      elements: [],
      absent: {
        reason: 'not-captured',
        address: '0x72000',
        length: 8,
        hint: "capture it with --capture 'v'",
      },
    });
    expect(inline(document)).toBe('<not captured: 0x72000 was not captured> [… 2 more]');
  });
  test.each([
    ['an end before the beginning', header(0x72008, 0x72000, 0x72010)],
    ['a size that does not divide', header(0x72000, 0x72007, 0x72010)],
    ['an end beyond the capacity', header(0x72000, 0x72008, 0x72004)],
    ['longer than memory can be', header(0, 0x7fff_ffff_ffff_f000, 0x7fff_ffff_ffff_f000)],
  ])('corrupt: %s', (_, bytes) => {
    const document = renderVariable('v', known(vector, bytes), context([at(0x72000n, ints(1, 2, 3))]));
    expect(document.elements).toBeUndefined();
    expect(document.absent?.reason).toBe('unreadable');
    expect(document.absent?.detail).toMatch(/^the object is corrupt: /);
  });
});

describe('pointers', () => {
  test('to an object, with facts', () => {
    const memory = [at(0x72000n, u32(5), u32(0), shortText('x')), at(0x73000n, u64(2))];
    const document = renderValue(known(sharedType(order), u64(0x72000), u64(0x73000)), context(memory));
    expect(document).toMatchObject({
      type: 'Shared',
      kind: 'pointer',
      value: '0x72000',
      text: '{use_count=2}',
      target: { kind: 'struct', address: '0x72000', fields: [{ value: '5' }, { text: 'x' }] },
    });
    expect(inline(document)).toBe('0x72000 {use_count=2} → {id = 5, name = "x"}');
  });
  test('to none', () => {
    const document = renderValue(known(sharedType(int), u64(0), u64(0)), context([]));
    expect(document).toEqual({ type: 'Shared', kind: 'pointer', value: '0x0' });
  });
  test('whose count was not captured', () => {
    const memory = [at(0x72000n, u32(5))];
    const document = renderValue(known(sharedType(int), u64(0x72000), u64(0x73000)), context(memory));
    expect(document).toMatchObject({ text: '{use_count=<not captured>}', target: { value: '5' } });
  });
  test('in a circle: followed to the depth', () => {
    const node: ReturnType<typeof struct> = struct('Node', 16, () => [field('next', sharedType(node), 0)]);
    const memory = [at(0x72000n, u64(0x72000), u64(0x73000)), at(0x73000n, u64(1))];
    const document = renderValue(place(node, 0x72000n), context(memory));
    expect(JSON.stringify(document).match(/"target"/g)).toHaveLength(3);
  });
});

describe('variants', () => {
  const maybe = optionalType(int, 4);
  const tagged = (tag: number, ...rest: readonly Uint8Array[]): Uint8Array =>
    Buffer.concat([Uint8Array.of(tag, 0, 0, 0, 0, 0, 0, 0), ...rest]);

  test('with a value', () => {
    const document = renderValue(known(maybe, tagged(1, u32(3))), context([]));
    expect(document).toEqual({
      type: 'Maybe',
      kind: 'variant',
      text: 'Some(3)',
      fields: [{ name: 'Some', type: 'int', kind: 'int', value: '3' }],
    });
    expect(inline(document)).toBe('Some(3)');
  });
  test('without', () => {
    expect(renderValue(known(maybe, tagged(0, u32(3))), context([]))).toEqual({
      type: 'Maybe',
      kind: 'variant',
      text: 'None',
    });
  });
  test('corrupt', () => {
    expect(renderValue(known(maybe, tagged(7, u32(3))), context([]))).toEqual({
      type: 'Maybe',
      kind: 'variant',
      absent: { reason: 'unreadable', detail: 'the object is corrupt: its discriminant is 7' },
    });
  });
  test.each([
    [
      'a string',
      known(resultType(text, int, 40), u64(0), shortText('a"b')),
      String.raw`Ok("a\"b")`,
      String.raw`Ok("a\"b")`,
    ],
    ['an error', known(resultType(text, int, 40), u64(1), ints(7, 0)), 'Err(7)', 'Err(7)'],
    [
      'a struct',
      known(optionalType(order, 48), tagged(1, ints(5, 0), shortText('x'))),
      'Some({id=5, name="x"})',
      'Some {id = 5, name = "x"}',
    ],
    [
      'another one',
      known(optionalType(maybe, 12), tagged(1, tagged(1, u32(3)))),
      'Some(Some(3))',
      'Some(Some(3))',
    ],
    [
      'a sequence',
      known(optionalType(vectorType(int, 4), 24), tagged(1, u64(0x72000), u64(0x72008), u64(0x72008))),
      'Some({size=2})',
      'Some([1, 2])',
    ],
  ])('of %s', (_, value, expected, forPeople) => {
    const document = renderValue(value, context([at(0x72000n, ints(1, 2))]));
    expect(document.text).toBe(expected);
    expect(inline(document)).toBe(forPeople);
  });
  test('whose content was not captured', () => {
    const content = optionalType(vectorType(int, 4), 24);
    const document = renderVariable(
      'm',
      known(content, tagged(1, u64(0x72000), u64(0x72008), u64(0x72008))),
      context([]),
    );
    expect(document).toMatchObject({
      text: 'Some(<not captured>)',
      fields: [{ absent: { hint: "capture it with --capture 'm.value()'" } }],
    });
  });
  test('of a type that only the process knows', () => {
    const any = anyType([int, order, text]);
    const memory = [at(0x72000n, u32(5), u32(0), shortText('x')), at(0x73000n, shortText('abc'))];
    const shown = (tag: number, address: number): ValueDocument =>
      renderValue(known(any, u64(tag), u64(address)), context(memory));
    expect(shown(0, 0)).toEqual({ type: 'Any', kind: 'variant', text: 'nil' });
    expect(shown(1, 0x72000)).toMatchObject({ text: 'int(5)', fields: [{ name: 'int', value: '5' }] });
    expect(shown(2, 0x72000)).toMatchObject({
      text: 'struct Order{id=5, name="x"}',
      fields: [{ name: 'struct Order', fields: [{ value: '5' }, { text: 'x' }] }],
    });
    expect(shown(3, 0x73000)).toMatchObject({ text: 'Text("abc")' });
    expect(shown(9, 0x73000)).toMatchObject({ kind: 'variant', absent: { reason: 'unreadable' } });
  });
});

describe('wrappers', () => {
  test.each([
    [
      'of an integer',
      known(cellType(int), u64(1), ints(5)),
      { kind: 'int', value: '5', text: '5 {borrow=1}' },
    ],
    [
      'of a double',
      known(cellType(double), u64(-1), u64(0x3ff8_0000_0000_0000n)),
      { kind: 'float', value: '1.5', text: '1.5 {borrow=-1}' },
    ],
    [
      'of a string',
      known(cellType(text), u64(1), shortText('abc')),
      { kind: 'string', text: 'abc', length: 3 },
    ],
  ])('%s', (_, value, expected) => {
    expect(renderValue(value, context([]))).toEqual({ type: 'Cell', ...expected });
  });
});

describe('what is walked', () => {
  const list = listType(int);
  const nodes = [
    at(0x72000n, u64(0x73000), ints(1)),
    at(0x73000n, u64(0x74000), ints(2)),
    at(0x74000n, u64(0), ints(3)),
  ];
  const shown = (ranges: typeof nodes, size: number): ValueDocument =>
    renderVariable('l', known(list, u64(0x72000), u64(size)), context(ranges));

  test('a list', () => {
    const document = shown(nodes, 3);
    expect(document).toMatchObject({ kind: 'slice', length: 3 });
    expect(document.elements?.map(({ value }) => value)).toEqual(['1', '2', '3']);
    expect(document.absent).toBeUndefined();
  });
  test.each([
    ['a node is missing', nodes.slice(0, 1), 3, ['1'], { reason: 'not-captured', address: '0x73000' }],
    [
      'a node is there, and its element and the next one are not',
      [...nodes.slice(0, 1), at(0x73000n, u64(0x74000))],
      3,
      ['1', undefined],
      { reason: 'not-captured', address: '0x74000' },
    ],
    ['it has fewer than it says', nodes, 4, ['1', '2', '3'], { reason: 'unreadable' }],
    ['it has more than it says', nodes, 2, ['1', '2', '3'], { reason: 'unreadable' }],
    [
      'a circle',
      [at(0x72000n, u64(0x72000), ints(1))],
      3,
      ['1'],
      { reason: 'unreadable', detail: 'corrupt: its nodes lead in a circle' },
    ],
    ['an absurd size', nodes, -5, ['1', '2', '3'], { reason: 'unreadable' }],
  ])('%s', (_, ranges, size, values, absent) => {
    const document = shown(ranges, size);
    expect(document.elements?.map(({ value }) => value)).toEqual(values);
    expect(document.absent).toMatchObject(absent);
  });
});

describe('maps', () => {
  const map = mapType(text, int, 40, 48);
  const entries = at(0x72000n, shortText('one'), ints(1, 0), shortText('two'), ints(2, 0));

  test('by keys', () => {
    const document = renderVariable('m', known(map, u64(0x72000), u64(2)), context([entries]));
    expect(document).toMatchObject({ kind: 'map', type: 'Map', length: 2 });
    expect(document.elements?.[1]).toEqual({
      type: 'pair',
      kind: 'struct',
      fields: [
        {
          name: 'key',
          type: 'Text',
          kind: 'string',
          text: 'two',
          length: 3,
          address: '0x72030',
          provenance: 'at-hit',
        },
        { name: 'value', type: 'int', kind: 'int', value: '2', address: '0x72058', provenance: 'at-hit' },
      ],
    });
    expect(inline(document)).toBe('{"one": 1, "two": 2}');
  });
  test('a value that was not captured is named by its key', () => {
    const wide = mapType(text, pointer(uchar), 40, 48);
    const range = at(0x72000n, shortText('one'), u64(0x79000));
    const document = renderVariable('m', known(wide, u64(0x72000), u64(1)), context([range]));
    expect(document.elements?.[0]?.fields?.[1]?.target?.absent?.hint).toBe(
      `capture it with --capture 'm["one"]'`,
    );
  });
  test('pages', () => {
    const many = mapType(long, long, 8, 16);
    const range = at(0x72000n, ...Array.from({ length: 150 }, (_, i) => Buffer.concat([u64(i), u64(i * i)])));
    const document = renderVariable('m', known(many, u64(0x72000), u64(150)), context([range]));
    expect(document.elements).toHaveLength(100);
    expect(document).toMatchObject({ length: 150 });
    expect(inline(document, rootPath('m'))).toMatch(/99: 9801, … 50 more, ask for m\[100:150\]}$/);
  });
});

describe('leaves', () => {
  test('of each kind are named as expressions are', () => {
    const memory = [
      at(0x72000n, ints(7, 8)),
      at(0x73000n, shortText('one'), ints(1, 0)),
      at(0x74000n, u64(2)),
    ];
    const render = (
      name: string,
      value: Parameters<typeof renderVariable>[1],
    ): ReturnType<typeof renderVariable> => renderVariable(name, value, context(memory));
    const leaves = leavesOf([
      render('s', known(text, shortText('abc'))),
      render('v', known(vectorType(int, 4), u64(0x72000), u64(0x72008), u64(0x72008))),
      render('m', known(mapType(text, int, 40, 48), u64(0x73000), u64(1))),
      render(
        'o',
        known(optionalType(order, 48), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), ints(5, 0), shortText('x')),
      ),
      render('p', known(sharedType(int), u64(0x72000), u64(0x74000))),
    ]);
    expect([...leaves.byName.values()].map(({ name, text: said }) => `${name} = ${said}`)).toEqual([
      's = "abc"',
      'v = length 2',
      'm = length 1',
      'o = Some({id=5, name="x"})',
      'p = {use_count=2}',
      'v[0] = 7',
      'v[1] = 8',
      'm["one"] = 1',
      '*p = 7',
      'o.Some.id = 5',
      'o.Some.name = "x"',
    ]);
  });
});
