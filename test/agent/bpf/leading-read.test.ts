import { describe, expect, test } from 'vitest';
import { findLeadingRead, findSharedReads } from '../../../agent/bpf/leading-read.js';
import { decodeExpression } from '../../../format/dwarf-op/decode.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import type { PlanRange } from '../../../format/plan/plan.js';
import { expression, sleb, u64, uleb } from '../../support/dwarf-expression.js';

const { DW_OP_addr, DW_OP_bregx, DW_OP_breg5, DW_OP_constu, DW_OP_deref, DW_OP_deref_size } = DW_OP;
const { DW_OP_dup, DW_OP_lit8, DW_OP_plus, DW_OP_plus_uconst, DW_OP_push_object_address } = DW_OP;

type Parts = readonly (number | Uint8Array)[];
const leading = (bytes: Uint8Array): unknown =>
  findLeadingRead(decodeExpression(bytes, { addressSize: 8, name: 'test' }));

test.each<readonly [string, Parts, object]>([
  ['a register', [DW_OP_breg5, sleb(-8), DW_OP_deref], { base: 5, offset: -8n, width: 8, at: 1 }],
  [
    'a register and members',
    [DW_OP_bregx, uleb(5), sleb(8), DW_OP_plus_uconst, uleb(4), DW_OP_deref_size, 2],
    { base: 5, offset: 12n, width: 2, at: 2 },
  ],
  [
    'the module',
    [DW_OP_addr, u64(0x1234n), DW_OP_deref],
    { base: 'module', offset: 0x1234n, width: 8, at: 1 },
  ],
  [
    'the parent',
    [DW_OP_push_object_address, DW_OP_plus_uconst, uleb(16), DW_OP_deref_size, 4, DW_OP_dup],
    { base: 'object', offset: 16n, width: 4, at: 2 },
  ],
  [
    'an offset that wraps around',
    [DW_OP_breg5, sleb(8), DW_OP_plus_uconst, uleb(0xffff_ffff_ffff_fff0n), DW_OP_deref],
    { base: 5, offset: -8n, width: 8, at: 2 },
  ],
])('an expression begins with a read from %s', (_name, parts, read) => {
  expect(leading(expression(...parts))).toEqual(read);
});

test.each<readonly [string, Parts]>([
  ['nothing is read', [DW_OP_breg5, sleb(0)]],
  ['it begins with a constant', [DW_OP_constu, uleb(4096), DW_OP_deref]],
  ['something is computed first', [DW_OP_breg5, sleb(0), DW_OP_lit8, DW_OP_plus, DW_OP_deref]],
  ['three bytes are read', [DW_OP_breg5, sleb(0), DW_OP_deref_size, 3]],
  ['it is empty', []],
])('no read leads where %s', (_name, parts) => {
  expect(leading(expression(...parts))).toBeUndefined();
});

describe('what expressions share', () => {
  const at = (...parts: Parts): PlanRange => ({
    path: 'range',
    address: expression(...parts),
    length: expression(DW_OP_lit8),
    maxBytes: 8,
    untilNul: false,
    secret: false,
    children: [],
  });
  const member = (offset: number): PlanRange =>
    at(DW_OP_breg5, sleb(0), DW_OP_plus_uconst, uleb(offset), DW_OP_deref);

  test.each<readonly [string, readonly PlanRange[], ReturnType<typeof findSharedReads>]>([
    ['neighbours', [member(24), member(8), member(16)], [{ base: 5, offset: 8n, bytes: 24 }]],
    ['one that is alone', [member(8)], []],
    [
      'one that is far from the others',
      [member(0), member(8), member(136)],
      [{ base: 5, offset: 0n, bytes: 16 }],
    ],
    ['as far as may be', [member(0), member(120)], [{ base: 5, offset: 0n, bytes: 128 }]],
    ['too far', [member(0), member(121)], []],
    [
      'a wide one before a narrow one',
      [member(0), at(DW_OP_breg5, sleb(2), DW_OP_deref_size, 1)],
      [{ base: 5, offset: 0n, bytes: 8 }],
    ],
    [
      'a pointer that address and length read',
      [{ ...member(8), length: expression(DW_OP_breg5, sleb(8), DW_OP_deref) }],
      [{ base: 5, offset: 8n, bytes: 8 }],
    ],
    [
      'the same offset from different bases',
      [member(8), at(DW_OP_addr, u64(8n), DW_OP_deref), at(DW_OP.DW_OP_breg6, sleb(8), DW_OP_deref)],
      [],
    ],
    [
      'a register that no probe knows',
      [0, 8].map((offset) => at(DW_OP.DW_OP_breg17, sleb(offset), DW_OP_deref)),
      [],
    ],
    [
      'the parent, whose bytes are there',
      [0, 8].map((offset) => at(DW_OP_push_object_address, DW_OP_plus_uconst, uleb(offset), DW_OP_deref)),
      [],
    ],
  ])('%s', (_name, ranges, shared) => {
    expect(findSharedReads(ranges)).toEqual(shared);
  });

  test('no more than sixteen stretches', () => {
    const ranges = Array.from({ length: 40 }, (_, i) => member(Math.floor(i / 2) * 1000));
    expect(findSharedReads(ranges).length).toBe(16);
  });
});
