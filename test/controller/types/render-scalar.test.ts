import { describe, expect, test } from 'vitest';
import { absent } from '../../../format/absent.js';
import { renderValue, renderVariable } from '../../../controller/types/render.js';
import type { Value } from '../../../controller/types/value.js';
import { at, u16, u32, u64 } from '../../support/literal-memory.js';
import {
  base,
  bool,
  char,
  char16,
  char32,
  complexDouble,
  constant,
  double,
  enumeration,
  field,
  float,
  int,
  int128,
  long,
  longDouble,
  pointer,
  short,
  struct,
  typedef,
  uchar,
  uint,
  uint128,
  ulong,
  ushort,
  voidType,
} from '../../support/types.js';
import { context, known, place } from '../../support/values.js';

const tier = enumeration('tier', { BRONZE: 0, SILVER: 1, GOLD: 2, BLACK: 3 });
const mode = enumeration('mode', { NONE: 0, READ: 1, WRITE: 2, SYNC: 8 });
const level = enumeration('level', { LOW: -1, HIGH: 1 }, 4, true);

describe('scalars', () => {
  test.each<[string, Value, object]>([
    ['int', known(int, u32(-5)), { type: 'int', kind: 'int', value: '-5' }],
    ['short', known(short, u16(-32768)), { type: 'short', kind: 'int', value: '-32768' }],
    ['unsigned short', known(ushort, u16(65535)), { type: 'unsigned short', kind: 'int', value: '65535' }],
    [
      'unsigned long',
      known(ulong, u64(-1)),
      { type: 'unsigned long', kind: 'int', value: '18446744073709551615' },
    ],
    [
      '__int128',
      known(int128, u64(0), u64(-(2n ** 63n))),
      { type: '__int128', kind: 'int', value: '-170141183460469231731687303715884105728' },
    ],
    [
      'unsigned __int128',
      known(uint128, u64(-1), u64(-1)),
      { type: '__int128 unsigned', kind: 'int', value: '340282366920938463463374607431768211455' },
    ],
    ['typedef', known(typedef('pid_t', int), u32(7)), { type: 'pid_t', kind: 'int', value: '7' }],
    ['const', known(constant(int), u32(7)), { type: 'const int', kind: 'int', value: '7' }],
    ['false', known(bool, 0), { type: '_Bool', kind: 'bool', value: 'false' }],
    ['true', known(bool, 1), { type: '_Bool', kind: 'bool', value: 'true' }],
    [
      'no boolean',
      known(bool, 2),
      { type: '_Bool', kind: 'bool', value: 'true', text: 'true (stored as 2)' },
    ],
    ['char', known(char, 'A'), { type: 'char', kind: 'char', value: '65', text: "'A'" }],
    ['newline', known(char, '\n'), { type: 'char', kind: 'char', value: '10', text: "'\\n'" }],
    ['quote', known(char, "'"), { type: 'char', kind: 'char', value: '39', text: "'\\''" }],
    ['NUL', known(char, 0), { type: 'char', kind: 'char', value: '0', text: "'\\000'" }],
    ['negative char', known(char, 0xff), { type: 'char', kind: 'char', value: '-1', text: "'\\377'" }],
    [
      'unsigned char',
      known(uchar, 0xff),
      { type: 'unsigned char', kind: 'char', value: '255', text: "'\\377'" },
    ],
    ['char16_t', known(char16, u16(0x720ac)), { type: 'char16_t', kind: 'char', value: '8364', text: "'€'" }],
    [
      'char32_t',
      known(char32, u32(0x1f600)),
      { type: 'char32_t', kind: 'char', value: '128512', text: "'😀'" },
    ],
    [
      'no char32_t',
      known(char32, u32(0x110000)),
      { type: 'char32_t', kind: 'char', value: '1114112', text: "'\\x110000'" },
    ],
    ['float', known(float, u32(0x3dcccccd)), { type: 'float', kind: 'float', value: '0.1' }],
    ['double', known(double, u64(0x7ff0000000000000n)), { type: 'double', kind: 'float', value: 'inf' }],
    [
      'long double',
      known(longDouble, u64(0xcccccccccccccccdn), u64(0x3ffb)),
      { type: 'long double', kind: 'float', value: '0.1' },
    ],
    [
      'complex',
      known(complexDouble, u64(0x3ff0000000000000n), u64(0xc004000000000000n)),
      { type: 'complex double', kind: 'float', value: '1-2.5i', text: '1 + -2.5i' },
    ],
    ['enumerator', known(tier, u32(2)), { type: 'enum tier', kind: 'enum', value: '2', text: 'GOLD' }],
    [
      'negative enumerator',
      known(level, u32(-1)),
      { type: 'enum level', kind: 'enum', value: '-1', text: 'LOW' },
    ],
    ['no enumerator', known(tier, u32(9)), { type: 'enum tier', kind: 'enum', value: '9' }],
    [
      'overlapping enumerators are no flags',
      known(enumeration('e', { A: 1, B: 3, C: 4 }), u32(5)),
      { type: 'enum e', kind: 'enum', value: '5' },
    ],
    ['flags', known(mode, u32(3)), { type: 'enum mode', kind: 'enum', value: '3', text: '(READ | WRITE)' }],
    [
      'an enumerator of two bits is no flag, and so none is',
      known(enumeration('e', { A: 1, B: 2, C: 12 }), u32(3)),
      { type: 'enum e', kind: 'enum', value: '3' },
    ],
    [
      'unknown flag',
      known(mode, u32(17)),
      { type: 'enum mode', kind: 'enum', value: '17', text: '(READ | unknown: 0x10)' },
    ],
    ['no flag', known(mode, u32(0)), { type: 'enum mode', kind: 'enum', value: '0', text: 'NONE' }],
    [
      'unknown flags only',
      known(enumeration('e', { A: 1, B: 2 }), u32(-256)),
      { type: 'enum e', kind: 'enum', value: '4294967040', text: '(unknown: 0xffffff00)' },
    ],
    [
      'unread encoding',
      known(base('_Decimal64', 8, 'other'), u64(1)),
      {
        type: '_Decimal64',
        kind: 'int',
        absent: { reason: 'unsupported', detail: 'values of type _Decimal64 cannot be read' },
      },
    ],
    [
      'invalid long double',
      known(longDouble, u64(1), u64(0x3fff)),
      {
        type: 'long double',
        kind: 'float',
        absent: { reason: 'unreadable', detail: 'the bytes are not a valid x87 number' },
      },
    ],
    [
      'too few bytes',
      known(long, u32(1)),
      {
        type: 'long',
        kind: 'int',
        absent: { reason: 'unreadable', detail: 'only 4 of 8 bytes of the value are known' },
      },
    ],
    ['void', known(voidType), { type: 'void', kind: 'void' }],
    [
      'unknown type',
      known({ kind: 'unknown', detail: 'DW_TAG_ptr_to_member_type is not read' }),
      {
        type: '<unknown type: DW_TAG_ptr_to_member_type is not read>',
        kind: 'void',
        absent: { reason: 'unsupported', detail: 'DW_TAG_ptr_to_member_type is not read' },
      },
    ],
  ])('%s', (_, value, document) => {
    expect(renderValue(value, context([]))).toEqual(document);
  });

  test('in memory, with address and provenance', () => {
    expect(
      renderValue(place(int, 0x71000n), context([{ ...at(0x71000n, u32(7)), provenance: 'racy' }])),
    ).toEqual({
      type: 'int',
      kind: 'int',
      value: '7',
      address: '0x71000',
      provenance: 'racy',
    });
  });

  test('not captured', () => {
    expect(renderValue(place(long, 0x71000n), context([at(0x71000n, u32(7))], { path: 'a + b' }))).toEqual({
      type: 'long',
      kind: 'int',
      address: '0x71000',
      absent: {
        reason: 'not-captured',
        detail: '0x71004 was not captured',
        address: '0x71004',
        length: 4,
        hint: "capture it with --capture 'a + b'",
      },
    });
  });

  test('absent from the beginning', () => {
    const value: Value = {
      type: pointer(int),
      place: {
        kind: 'absent',
        absent: absent('optimized-out', 'optimised out here; available at lines 10-12'),
      },
    };
    expect(renderVariable('i', value, context([]), { parameter: true })).toEqual({
      name: 'i',
      parameter: true,
      type: 'int *',
      kind: 'pointer',
      absent: { reason: 'optimized-out', detail: 'optimised out here; available at lines 10-12' },
    });
  });
});

describe('bit fields', () => {
  const flags = struct('flags', 4, [
    field('low', uint, 0, { bitOffset: 0, bitSize: 3 }),
    field('signed', int, 0, { bitOffset: 3, bitSize: 5 }),
    field('tier', tier, 0, { bitOffset: 8, bitSize: 2 }),
    field('on', bool, 0, { bitOffset: 10, bitSize: 1 }),
    field('wide', ulong, 0, { bitOffset: 11, bitSize: 21 }),
  ]);
  test('all kinds', () => {
    // 0b...1_10_11111_101: wide = 5, on, tier = GOLD, signed = -1, low = 5
    const word = (5 << 11) | (1 << 10) | (2 << 8) | (0x1f << 3) | 5;
    expect(renderValue(known(flags, u32(word)), context([]))).toEqual({
      type: 'struct flags',
      kind: 'struct',
      fields: [
        { name: 'low', type: 'unsigned int', kind: 'int', value: '5' },
        { name: 'signed', type: 'int', kind: 'int', value: '-1' },
        { name: 'tier', type: 'enum tier', kind: 'enum', value: '2', text: 'GOLD' },
        { name: 'on', type: '_Bool', kind: 'bool', value: 'true' },
        { name: 'wide', type: 'unsigned long', kind: 'int', value: '5' },
      ],
    });
  });
  test('across the boundary of its type, in memory', () => {
    const value: Value = { ...place(uint, 0x71000n), bits: { offset: 30, size: 9 } };
    const range = at(0x71003n, 0x40, 0x15);
    expect(renderValue(value, context([range]))).toEqual({
      type: 'unsigned int',
      kind: 'int',
      value: String((0x1540 >> 6) & 0x1ff),
      provenance: 'at-hit',
    });
  });
});
