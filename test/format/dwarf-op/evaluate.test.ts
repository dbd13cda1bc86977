import { describe, expect, test } from 'vitest';

import { absent } from '../../../format/absent.js';
import type { BaseType, ExpressionContext } from '../../../format/dwarf-op/context.js';
import { evaluateLocation, evaluateValue } from '../../../format/dwarf-op/evaluate.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import { expression as e, f32, f64, sleb, u16, u32, u64, uleb } from '../../support/dwarf-expression.js';
import { memoryOf } from '../../support/memory.js';

const int8: BaseType = { byteSize: 1, encoding: 'signed' };
const int32: BaseType = { byteSize: 4, encoding: 'signed' };
const uint32: BaseType = { byteSize: 4, encoding: 'unsigned' };
const int64: BaseType = { byteSize: 8, encoding: 'signed' };
const float32: BaseType = { byteSize: 4, encoding: 'float' };
const float64: BaseType = { byteSize: 8, encoding: 'float' };
const longDouble: BaseType = { byteSize: 16, encoding: 'float' };
const types = new Map([
  [0x10, int8],
  [0x11, int32],
  [0x12, uint32],
  [0x13, int64],
  [0x14, float32],
  [0x15, float64],
  [0x16, longDouble],
]);
const I8 = uleb(0x10);
const I32 = uleb(0x11);
const U32 = uleb(0x12);
const I64 = uleb(0x13);
const F32 = uleb(0x14);
const F64 = uleb(0x15);
const LD = uleb(0x16);

const context: ExpressionContext = {
  register: (n) => (n <= 16 ? BigInt(n) * 0x100n : absent('unwind-failed', `register ${n} is not known`)),
  registerBytes: (n) =>
    n === 17 ? new Uint8Array(16).fill(0x3f) : absent('unwind-failed', `register ${n} is not known`),
  memory: memoryOf([{ address: 0x700n, bytes: Uint8Array.from({ length: 32 }, (_, i) => 0x81 + i) }]),
  relocate: (address) => address + 0x5000n,
  addressByIndex: (index) => BigInt(index) + 0x40n,
  frameBase: () => 0x7000n,
  callFrameCfa: () => 0x7010n,
  objectAddress: 0x700n,
  entryValue: (bytes) => (bytes[0] === DW_OP.DW_OP_reg5 ? 55n : absent('optimized-out', 'no call site')),
  entryDataValue: (register, size) =>
    register === 5 ? (size === 8 ? 0x77n : 0x7700n) : absent('optimized-out', 'no'),
  tls: (offset) => 0x9000n + offset,
  baseType: (die) => types.get(die),
  callExpression: (die) =>
    die === 1
      ? { expression: e(DW_OP.DW_OP_lit7) }
      : die === 2
        ? { expression: e(DW_OP.DW_OP_call2, u16(2)) }
        : die === 3
          ? absent('optimized-out', 'its location list has nothing here')
          : die === 4
            ? {
                expression: e(DW_OP.DW_OP_addrx, uleb(1), DW_OP.DW_OP_call2, u16(1), DW_OP.DW_OP_plus),
                unit: {
                  addressByIndex: (index: number) => BigInt(index) + 0x90n,
                  callExpression: () => ({ expression: e(DW_OP.DW_OP_lit3) }),
                },
              }
            : undefined,
};
const bare: ExpressionContext = {
  register: () => absent('unwind-failed', 'no registers'),
  memory: memoryOf([]),
  relocate: (address) => address,
};
const constant = (type: Uint8Array, bytes: Uint8Array): Uint8Array =>
  e(DW_OP.DW_OP_const_type, type, bytes.length, bytes);
const big = (value: bigint): Uint8Array => e(DW_OP.DW_OP_const8u, u64(value));
const max = (1n << 64n) - 1n;

describe('evaluateValue', () => {
  test.each<[string, Uint8Array, bigint]>([
    ['lit31', e(DW_OP.DW_OP_lit31), 31n],
    ['addr', e(DW_OP.DW_OP_addr, u64(0x20n)), 0x5020n],
    ['const1s', e(DW_OP.DW_OP_const1s, 0xff), max],
    ['const1u', e(DW_OP.DW_OP_const1u, 0xff), 255n],
    ['const2s', e(DW_OP.DW_OP_const2s, u16(-2)), max - 1n],
    ['const4s', e(DW_OP.DW_OP_const4s, u32(-3)), max - 2n],
    ['const8s', e(DW_OP.DW_OP_const8s, u64(-4n)), max - 3n],
    ['constu', e(DW_OP.DW_OP_constu, uleb(300)), 300n],
    ['consts', e(DW_OP.DW_OP_consts, sleb(-300)), max - 299n],
    ['breg', e(DW_OP.DW_OP_breg7, sleb(-8)), 0x6f8n],
    ['bregx', e(DW_OP.DW_OP_bregx, uleb(16), sleb(4)), 0x1004n],
    ['fbreg', e(DW_OP.DW_OP_fbreg, sleb(-16)), 0x6ff0n],
    ['call_frame_cfa', e(DW_OP.DW_OP_call_frame_cfa), 0x7010n],
    ['addrx', e(DW_OP.DW_OP_addrx, uleb(1)), 0x5041n],
    ['constx', e(DW_OP.DW_OP_constx, uleb(1)), 0x41n],
    ['push_object_address', e(DW_OP.DW_OP_push_object_address), 0x700n],
    ['entry_value', e(DW_OP.DW_OP_entry_value, uleb(1), DW_OP.DW_OP_reg5), 55n],
    // A caller's word that the register pointed to 0x77.
    [
      'entry_value of what a register pointed to',
      e(DW_OP.DW_OP_entry_value, uleb(3), DW_OP.DW_OP_breg5, 0, DW_OP.DW_OP_deref),
      0x77n,
    ],
    [
      'entry_value of four bytes that a register pointed to',
      e(DW_OP.DW_OP_GNU_entry_value, uleb(5), DW_OP.DW_OP_bregx, uleb(5), 0, DW_OP.DW_OP_deref_size, 4),
      0x7700n,
    ],
    ['form_tls_address', e(DW_OP.DW_OP_lit8, DW_OP.DW_OP_form_tls_address), 0x9008n],
    ['GNU_addr_index', e(DW_OP.DW_OP_GNU_addr_index, uleb(2)), 0x5042n],
    ['GNU_const_index', e(DW_OP.DW_OP_GNU_const_index, uleb(2)), 0x42n],
    // 0x91 relocated, and the other unit's DIE 1, which is 3; then this unit's, which is 7.
    [
      'a call of an expression of another unit',
      e(DW_OP.DW_OP_call_ref, u32(4), DW_OP.DW_OP_call2, u16(1), DW_OP.DW_OP_plus),
      0x5091n + 3n + 7n,
    ],
    ['GNU_push_tls_address', e(DW_OP.DW_OP_lit8, DW_OP.DW_OP_GNU_push_tls_address), 0x9008n],
    ['call2', e(DW_OP.DW_OP_call2, u16(1), DW_OP.DW_OP_lit1, DW_OP.DW_OP_plus), 8n],
    ['call of a DIE without location', e(DW_OP.DW_OP_lit3, DW_OP.DW_OP_call4, u32(9)), 3n],
    ['deref', e(DW_OP.DW_OP_breg7, 0, DW_OP.DW_OP_deref), 0x8887868584838281n],
    ['deref_size 2 extends with zeros', e(DW_OP.DW_OP_breg7, 0, DW_OP.DW_OP_deref_size, 2), 0x8281n],
    ['deref_size 3', e(DW_OP.DW_OP_breg7, 0, DW_OP.DW_OP_deref_size, 3), 0x838281n],
    ['dup', e(DW_OP.DW_OP_lit3, DW_OP.DW_OP_dup, DW_OP.DW_OP_mul), 9n],
    ['drop', e(DW_OP.DW_OP_lit3, DW_OP.DW_OP_lit4, DW_OP.DW_OP_drop), 3n],
    ['over', e(DW_OP.DW_OP_lit3, DW_OP.DW_OP_lit4, DW_OP.DW_OP_over), 3n],
    ['pick', e(DW_OP.DW_OP_lit3, DW_OP.DW_OP_lit4, DW_OP.DW_OP_lit5, DW_OP.DW_OP_pick, 2), 3n],
    ['swap', e(DW_OP.DW_OP_lit3, DW_OP.DW_OP_lit4, DW_OP.DW_OP_swap, DW_OP.DW_OP_minus), 1n],
    // DWARF5 2.5.1.3: the top becomes the third, the second the top, the third the second.
    ['rot, top', e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_lit2, DW_OP.DW_OP_lit3, DW_OP.DW_OP_rot), 2n],
    [
      'rot, third',
      e(
        DW_OP.DW_OP_lit1,
        DW_OP.DW_OP_lit2,
        DW_OP.DW_OP_lit3,
        DW_OP.DW_OP_rot,
        DW_OP.DW_OP_drop,
        DW_OP.DW_OP_drop,
      ),
      3n,
    ],
    ['abs', e(DW_OP.DW_OP_const1s, 0xfb, DW_OP.DW_OP_abs), 5n],
    ['neg', e(DW_OP.DW_OP_lit5, DW_OP.DW_OP_neg), max - 4n],
    ['not', e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_not), max],
    ['plus wraps', e(big(max), DW_OP.DW_OP_plus_uconst, uleb(2)), 1n],
    ['div is signed', e(DW_OP.DW_OP_const1s, 0xf9, DW_OP.DW_OP_lit2, DW_OP.DW_OP_div), max - 2n],
    [
      'div of the least by -1 wraps',
      e(big(1n << 63n), DW_OP.DW_OP_const1s, 0xff, DW_OP.DW_OP_div),
      1n << 63n,
    ],
    ['mod is unsigned', e(big(max), DW_OP.DW_OP_lit10, DW_OP.DW_OP_mod), 5n],
    ['shl by 64 is 0', e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_const1u, 64, DW_OP.DW_OP_shl), 0n],
    ['shl by 63', e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_const1u, 63, DW_OP.DW_OP_shl), 1n << 63n],
    ['shr is logical', e(big(max), DW_OP.DW_OP_lit4, DW_OP.DW_OP_shr), max >> 4n],
    ['shr by a huge count', e(big(max), big(max), DW_OP.DW_OP_shr), 0n],
    ['shra keeps the sign', e(big(max - 15n), DW_OP.DW_OP_lit4, DW_OP.DW_OP_shra), max],
    ['shra by a huge count', e(big(1n << 63n), big(max), DW_OP.DW_OP_shra), max],
    ['lt is signed', e(big(max), DW_OP.DW_OP_lit0, DW_OP.DW_OP_lt), 1n],
    ['ge is signed', e(big(max), DW_OP.DW_OP_lit0, DW_OP.DW_OP_ge), 0n],
    [
      'bra taken',
      e(DW_OP.DW_OP_lit9, DW_OP.DW_OP_lit1, DW_OP.DW_OP_bra, u16(2), DW_OP.DW_OP_drop, DW_OP.DW_OP_lit8),
      9n,
    ],
    ['skip to the end', e(DW_OP.DW_OP_lit9, DW_OP.DW_OP_skip, u16(1), DW_OP.DW_OP_lit8), 9n],
    ['stack_value at the end', e(DW_OP.DW_OP_lit9, DW_OP.DW_OP_stack_value), 9n],
    ['a register as a frame base', e(DW_OP.DW_OP_reg6), 0x600n],
    ['typed wraps', e(constant(I8, e(0x7f)), constant(I8, e(1)), DW_OP.DW_OP_plus), max - 127n],
    ['typed unsigned div', e(constant(U32, u32(-2)), constant(U32, u32(2)), DW_OP.DW_OP_div), 0x7fffffffn],
    ['typed signed mod', e(constant(I32, u32(-7)), constant(I32, u32(3)), DW_OP.DW_OP_mod), max],
    ['typed unsigned lt', e(constant(U32, u32(-1)), constant(U32, u32(0)), DW_OP.DW_OP_lt), 0n],
    ['typed shra', e(constant(I32, u32(-8)), DW_OP.DW_OP_lit1, DW_OP.DW_OP_shra), max - 3n],
    ['typed shr', e(constant(I32, u32(-8)), DW_OP.DW_OP_lit1, DW_OP.DW_OP_shr), 0x7ffffffcn],
    ['generic and int64', e(DW_OP.DW_OP_lit1, constant(I64, u64(-3n)), DW_OP.DW_OP_plus), max - 1n],
    ['regval_type', e(DW_OP.DW_OP_regval_type, uleb(17), I8), 0x3fn],
    ['deref_type', e(DW_OP.DW_OP_breg7, 0, DW_OP.DW_OP_deref_type, 1, I8), max - 126n],
    ['convert int8 to generic', e(constant(I8, e(0xff)), DW_OP.DW_OP_convert, 0), max],
    ['convert uint32 to generic', e(constant(U32, u32(-1)), DW_OP.DW_OP_convert, 0), 0xffffffffn],
    ['convert to narrower', e(DW_OP.DW_OP_const2u, u16(0x1ff), DW_OP.DW_OP_convert, I8), max],
    ['float to int truncates', e(constant(F64, f64(-2.75)), DW_OP.DW_OP_convert, I32), max - 1n],
    [
      'float32 sum',
      e(constant(F32, f32(1.5)), constant(F32, f32(2)), DW_OP.DW_OP_plus, DW_OP.DW_OP_convert, I32),
      3n,
    ],
    ['float compare', e(constant(F64, f64(1)), constant(F64, f64(2)), DW_OP.DW_OP_lt), 1n],
    ['NaN is not equal', e(constant(F64, f64(NaN)), DW_OP.DW_OP_dup, DW_OP.DW_OP_eq), 0n],
    ['reinterpret float bits', e(constant(F32, f32(1)), DW_OP.DW_OP_reinterpret, U32), 0x3f800000n],
    [
      // 2^60 + 2^36 + 1 lies just above the middle of two float32; through float64 it would round down.
      'int64 to float32 rounds once',
      e(big((1n << 60n) + (1n << 36n) + 1n), DW_OP.DW_OP_convert, F32, DW_OP.DW_OP_reinterpret, U32),
      0x5d800001n,
    ],
  ])('%s', (_, bytes, wanted) => {
    expect(evaluateValue(bytes, context)).toBe(wanted);
  });

  test('initial stack', () => {
    const started = { ...context, initialStack: [1n, 0x7fn] };
    expect(evaluateValue(e(DW_OP.DW_OP_plus_uconst, uleb(1)), started)).toBe(0x80n);
  });

  const malformed = (detail: string) => absent('unsupported', `a malformed DWARF expression: ${detail}`);
  test.each<[string, Uint8Array, ExpressionContext, ReturnType<typeof absent>]>([
    ['empty', e(), context, malformed('its stack is empty')],
    ['stack empty', e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_plus), context, malformed('its stack is empty')],
    ['pick too deep', e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_pick, 1), context, malformed('its stack is empty')],
    [
      'division by zero',
      e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_lit0, DW_OP.DW_OP_div),
      context,
      absent('unreadable', 'division by zero'),
    ],
    [
      'mod by zero',
      e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_lit0, DW_OP.DW_OP_mod),
      context,
      absent('unreadable', 'division by zero'),
    ],
    [
      'memory that cannot be read',
      e(DW_OP.DW_OP_const2u, u16(0x71c), DW_OP.DW_OP_deref),
      context,
      absent('not-captured', 'no memory at 0x720', { address: 0x720n, length: 4 }),
    ],
    ['register', e(DW_OP.DW_OP_breg20, 0), context, absent('unwind-failed', 'register 20 is not known')],
    [
      'entry value',
      e(DW_OP.DW_OP_entry_value, uleb(1), DW_OP.DW_OP_reg4),
      context,
      absent('optimized-out', 'no call site'),
    ],
    [
      'no frame base here',
      e(DW_OP.DW_OP_fbreg, 0),
      bare,
      absent('unsupported', 'the DWARF operation DW_OP_fbreg in this place is not supported'),
    ],
    [
      'unknown operation',
      e(DW_OP.DW_OP_lit0, 0xe5, 1),
      context,
      absent('unsupported', 'the DWARF operation 0xe5 is not supported'),
    ],
    [
      'a call where the location list of the DIE has nothing',
      e(DW_OP.DW_OP_call2, u16(3)),
      context,
      absent('optimized-out', 'its location list has nothing here'),
    ],
    // Address spaces: neither x86-64 nor AArch64 has any, and gdb does not know the operations either.
    [
      'xderef_size',
      e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_lit0, DW_OP.DW_OP_xderef_size, 4),
      context,
      absent('unsupported', 'the DWARF operation DW_OP_xderef_size is not supported'),
    ],
    [
      'xderef_type',
      e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_lit0, DW_OP.DW_OP_xderef_type, 4, uleb(1)),
      context,
      absent('unsupported', 'the DWARF operation DW_OP_xderef_type is not supported'),
    ],
    [
      'xderef',
      e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_lit0, DW_OP.DW_OP_xderef),
      context,
      absent('unsupported', 'the DWARF operation DW_OP_xderef is not supported'),
    ],
    [
      'endless loop',
      e(DW_OP.DW_OP_skip, u16(-3)),
      context,
      absent('limit', 'a DWARF expression with more than 10000 steps'),
    ],
    [
      'stack overflow',
      e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_skip, u16(-4)),
      context,
      absent('limit', 'a DWARF expression with more than 64 entries on its stack'),
    ],
    [
      'endless calls',
      e(DW_OP.DW_OP_call2, u16(2)),
      context,
      absent('limit', 'a DWARF expression with calls nested deeper than 8'),
    ],
    [
      'deref_size 9',
      e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_deref_size, 9),
      context,
      malformed('DW_OP_deref_size 9'),
    ],
    [
      'different types',
      e(constant(I32, u32(1)), constant(U32, u32(1)), DW_OP.DW_OP_plus),
      context,
      malformed('operands of different types'),
    ],
    [
      'no base type',
      e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_convert, uleb(0x99)),
      context,
      malformed('no base type at DIE 0x99 of its unit'),
    ],
    [
      'long double sum',
      e(constant(LD, new Uint8Array(16)), DW_OP.DW_OP_dup, DW_OP.DW_OP_plus),
      context,
      malformed('a floating type that cannot be computed with'),
    ],
    [
      'float that no integer holds',
      e(constant(F64, f64(1e30)), DW_OP.DW_OP_convert, I32),
      context,
      malformed('a conversion of a float to an integer that does not hold it'),
    ],
    [
      'cut short',
      e(DW_OP.DW_OP_const4u, 1),
      context,
      absent('unsupported', 'cannot parse DWARF expression: 4 bytes wanted, 1 left at offset 0x1'),
    ],
    [
      'jump into an operation',
      e(DW_OP.DW_OP_skip, u16(1), DW_OP.DW_OP_const2u, u16(0)),
      context,
      absent(
        'unsupported',
        'cannot parse DWARF expression: jump to offset 4, where no operation begins, at offset 0x0',
      ),
    ],
    [
      'a piece in a value',
      e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_piece, 4),
      context,
      malformed('DW_OP_piece is not at the end of a location'),
    ],
  ])('absent: %s', (_, bytes, given, wanted) => {
    expect(evaluateValue(bytes, given)).toEqual(wanted);
  });
});

describe('evaluateLocation', () => {
  test.each([
    ['empty', e(), { kind: 'empty' }],
    ['only a nop', e(DW_OP.DW_OP_nop), { kind: 'empty' }],
    ['memory', e(DW_OP.DW_OP_fbreg, sleb(-20)), { kind: 'memory', address: 0x6fecn }],
    ['register', e(DW_OP.DW_OP_reg3), { kind: 'register', register: 3 }],
    ['regx', e(DW_OP.DW_OP_regx, uleb(40)), { kind: 'register', register: 40 }],
    [
      'generic value',
      e(DW_OP.DW_OP_lit5, DW_OP.DW_OP_neg, DW_OP.DW_OP_stack_value),
      { kind: 'value', bytes: Uint8Array.of(0xfb, 255, 255, 255, 255, 255, 255, 255) },
    ],
    [
      'typed value',
      e(constant(F32, f32(1)), DW_OP.DW_OP_stack_value),
      { kind: 'value', bytes: Uint8Array.of(0, 0, 0x80, 0x3f) },
    ],
    [
      'implicit value',
      e(DW_OP.DW_OP_implicit_value, uleb(2), 7, 8),
      { kind: 'implicit', bytes: Uint8Array.of(7, 8) },
    ],
    [
      'implicit pointer',
      e(DW_OP.DW_OP_implicit_pointer, u32(0x1234), sleb(-4)),
      { kind: 'implicit-pointer', die: 0x1234, offset: -4n },
    ],
    [
      'pieces',
      e(
        e(DW_OP.DW_OP_reg3, DW_OP.DW_OP_piece, uleb(8)),
        e(DW_OP.DW_OP_piece, uleb(4)),
        e(DW_OP.DW_OP_breg20, 0, DW_OP.DW_OP_piece, uleb(4)),
        e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_stack_value, DW_OP.DW_OP_bit_piece, uleb(3), uleb(2)),
        e(DW_OP.DW_OP_addr, u64(0x10n), DW_OP.DW_OP_piece, uleb(1)),
      ),
      {
        kind: 'pieces',
        pieces: [
          { bitSize: 64, bitOffset: 0, location: { kind: 'register', register: 3 } },
          { bitSize: 32, bitOffset: 0, location: { kind: 'empty' } },
          { bitSize: 32, bitOffset: 0, location: absent('unwind-failed', 'register 20 is not known') },
          {
            bitSize: 3,
            bitOffset: 2,
            location: { kind: 'value', bytes: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) },
          },
          { bitSize: 8, bitOffset: 0, location: { kind: 'memory', address: 0x5010n } },
        ],
      },
    ],
  ])('%s', (_, bytes, wanted) => {
    expect(evaluateLocation(bytes, context)).toEqual(wanted);
  });

  test.each([
    [
      'operations after the last piece',
      e(DW_OP.DW_OP_piece, uleb(4), DW_OP.DW_OP_lit0),
      'operations after its last piece',
    ],
    ['a piece too large', e(DW_OP.DW_OP_piece, uleb(1n << 60n)), `a piece of ${1n << 63n} bits`],
    [
      'a register with something after it',
      e(DW_OP.DW_OP_reg3, DW_OP.DW_OP_lit1),
      'DW_OP_reg3 is not at the end of a location',
    ],
  ])('malformed: %s', (_, bytes, detail) => {
    expect(evaluateLocation(bytes, context)).toEqual(
      absent('unsupported', `a malformed DWARF expression: ${detail}`),
    );
  });
});
