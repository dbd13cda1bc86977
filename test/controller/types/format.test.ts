/** `--format`, against what gdb 13 printed for the same letter and value. */
import { describe, expect, test } from 'vitest';
import { renderValue } from '../../../controller/types/render.js';
import { formats, isFormat, type Format } from '../../../controller/types/format.js';
import type { Value } from '../../../controller/types/value.js';
import * as t from '../../support/types.js';
import { u32, u64 } from '../../support/literal-memory.js';
import { context, known } from '../../support/values.js';

const half = t.base('short', 2, 'signed');
const color = t.enumeration('color', { RED: 0, BLUE: 2 });
const field: Value = { ...known(half, Uint8Array.of(0b0111_0100, 0)), bits: { offset: 2, size: 5 } };

const rows: readonly (readonly [string, Value, Readonly<Partial<Record<Format, string>>>])[] = [
  [
    'int',
    known(t.int, u32(-5)),
    {
      d: '-5',
      u: '4294967291',
      x: '0xfffffffb',
      z: '0xfffffffb',
      o: '037777777773',
      t: '11111111111111111111111111111011',
      c: "-5 '\\373'",
      a: '0xfffffffffffffffb',
      f: 'nan',
    },
  ],
  [
    'unsigned',
    known(t.uint, u32(4_000_000_000)),
    { d: '-294967296', u: '4000000000', x: '0xee6b2800', c: "0 '\\000'", a: '0xee6b2800' },
  ],
  [
    'char',
    known(t.char, Uint8Array.of(120)),
    { d: '120', x: '0x78', o: '0170', t: '1111000', c: "120 'x'", f: '120' },
  ],
  ['long', known(t.long, u64(11n)), { c: "11 '\\v'", z: '0x000000000000000b', t: '1011' }],
  [
    'double',
    known(t.double, u64(0x4006000000000000n)),
    { d: '4613374868287651840', x: '0x4006000000000000', c: "2 '\\002'", a: '0x2', f: '2.75' },
  ],
  ['bool', known(t.bool, Uint8Array.of(1)), { x: '0x1', z: '0x01', o: '01', d: '1' }],
  ['enum', known(color, u32(2)), { x: '0x2', d: '2', s: 'BLUE' }],
  ['zero', known(t.int, u32(0)), { o: '0', t: '0', x: '0x0' }],
  [
    'bit field, as wide as its type',
    field,
    { x: '0xfffd', z: '0xfffd', u: '65533', d: '-3', t: '1111111111111101' },
  ],
];

describe.each(rows)('%s', (_, value, texts) => {
  test.each(Object.entries(texts))('%s', (letter, text) => {
    if (!isFormat(letter)) throw new Error(`no format ${letter}`);
    const plain = renderValue(value, context([]));
    expect(renderValue(value, { ...context([]), format: letter })).toEqual({ ...plain, text });
  });
});

test('what is no scalar has its scalars formatted', () => {
  const pair = known(t.struct('pair', 8, [t.field('a', t.int, 0), t.field('b', t.int, 4)]), u32(1), u32(-1));
  const document = renderValue(pair, { ...context([]), format: 'x' });
  expect(document.fields?.map(({ text }) => text)).toEqual(['0x1', '0xffffffff']);
});

test('nothing but letters that are known', () => {
  expect(Object.keys(formats).every(isFormat)).toBe(true);
  expect(isFormat('toString')).toBe(false);
});
