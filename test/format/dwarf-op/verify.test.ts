import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { isAbsent } from '../../../format/absent.js';
import { listExpression } from '../../../format/dwarf-op/list.js';
import { evaluateLocation, evaluateValue } from '../../../format/dwarf-op/evaluate.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import { verifyPlanExpression } from '../../../format/dwarf-op/verify.js';
import { StillframeError } from '../../../format/error.js';
import { expression as e, sleb, u16, u64, uleb } from '../../support/dwarf-expression.js';
import { thrown } from '../../support/thrown.js';

const verify = (bytes: Uint8Array, hasObject = false) => verifyPlanExpression(bytes, { hasObject });

describe('verifyPlanExpression', () => {
  test('depths and jumps', () => {
    const bytes = e(
      DW_OP.DW_OP_breg5,
      0,
      DW_OP.DW_OP_dup,
      DW_OP.DW_OP_bra,
      u16(3),
      DW_OP.DW_OP_drop,
      DW_OP.DW_OP_lit1,
      DW_OP.DW_OP_nop,
      DW_OP.DW_OP_deref_size,
      4,
    );
    const verified = verify(bytes);
    expect(verified.depths).toEqual([0, 1, 2, 1, 0, 1, 1]);
    expect(verified.maxDepth).toBe(2);
    expect(listExpression(bytes)).toBe(
      'DW_OP_breg5 0; DW_OP_dup; DW_OP_bra to 9; DW_OP_drop; DW_OP_lit1; DW_OP_nop; DW_OP_deref_size 4',
    );
  });

  test('the object, where there is one', () => {
    expect(verify(e(DW_OP.DW_OP_push_object_address), true).maxDepth).toBe(1);
  });

  test.each<[string, Uint8Array, string]>([
    ['empty', e(), '0 values are left instead of 1 at offset 0x0'],
    ['two values', e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_lit1), '2 values are left instead of 1 at offset 0x2'],
    [
      'too few',
      e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_plus),
      'DW_OP_plus with 1 entries on the stack at offset 0x1',
    ],
    [
      'pick',
      e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_pick, 1),
      'DW_OP_pick 1 with 1 entries on the stack at offset 0x1',
    ],
    ['a register location', e(DW_OP.DW_OP_reg5), 'DW_OP_reg5 is not allowed in a plan at offset 0x0'],
    ['breg17', e(DW_OP.DW_OP_breg17, 0), 'DW_OP_breg17 is not allowed in a plan at offset 0x0'],
    ['bregx', e(DW_OP.DW_OP_bregx, uleb(17), sleb(0)), 'register 17 is not in a plan at offset 0x0'],
    ['fbreg', e(DW_OP.DW_OP_fbreg, 0), 'DW_OP_fbreg is not allowed in a plan at offset 0x0'],
    ['call', e(DW_OP.DW_OP_call2, u16(0)), 'DW_OP_call2 is not allowed in a plan at offset 0x0'],
    [
      'stack_value',
      e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_stack_value),
      'DW_OP_stack_value is not allowed in a plan at offset 0x1',
    ],
    ['unknown', e(0xe9, 1, 2), '0xe9 is not allowed in a plan at offset 0x0'],
    [
      'deref_size',
      e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_deref_size, 3),
      'DW_OP_deref_size of 3 bytes at offset 0x1',
    ],
    [
      'no object',
      e(DW_OP.DW_OP_push_object_address),
      'DW_OP_push_object_address where there is no object at offset 0x0',
    ],
    ['backward', e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_skip, u16(-3)), 'a jump backward at offset 0x1'],
    ['to itself', e(DW_OP.DW_OP_skip, u16(-3)), 'a jump backward at offset 0x0'],
    [
      'unequal depths',
      e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_bra, u16(1), DW_OP.DW_OP_lit1, DW_OP.DW_OP_lit1),
      'the stack has 0 or 1 entries at offset 0x5',
    ],
    [
      'unreachable',
      e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_skip, u16(1), DW_OP.DW_OP_nop),
      'an operation that nothing leads to at offset 0x4',
    ],
    [
      'too deep',
      e(...Array.from({ length: 65 }, () => DW_OP.DW_OP_lit0)),
      'more than 64 entries on the stack at offset 0x40',
    ],
  ])('refuses: %s', (_, bytes, reason) => {
    expect(thrown(() => verify(bytes))).toBe(`bad-data: cannot verify plan expression: ${reason}`);
  });

  test.each<[string, Uint8Array, string]>([
    [
      'into an operation',
      e(DW_OP.DW_OP_skip, u16(1), DW_OP.DW_OP_const1u, 0),
      'jump to offset 4, where no operation begins, at offset 0x0',
    ],
    [
      'past the end',
      e(DW_OP.DW_OP_skip, u16(1)),
      'jump to offset 4, where no operation begins, at offset 0x0',
    ],
    ['cut short', e(DW_OP.DW_OP_addr, 1), '8 bytes wanted, 1 left at offset 0x1'],
  ])('does not decode: %s', (_, bytes, reason) => {
    expect(thrown(() => verify(bytes))).toBe(`bad-data: cannot parse plan expression: ${reason}`);
  });

  test('too long', () => {
    const bytes = new Uint8Array(10_001).fill(DW_OP.DW_OP_nop);
    expect(thrown(() => verify(bytes))).toBe(
      'limit: cannot verify plan expression: it has more than 10000 operations',
    );
  });
});

/** Bytes in which operations are likely. */
const opcodes = Object.values(DW_OP);
const anyExpression = fc
  .array(fc.oneof(fc.constantFrom<number>(...opcodes), fc.nat(255), fc.nat(3)), { maxLength: 60 })
  .map((bytes) => Uint8Array.from(bytes));

const context = {
  register: (n: number) => BigInt(n) << 56n,
  registerBytes: () => new Uint8Array(16),
  memory: {
    read: (_: bigint, length: number) => ({
      bytes: new Uint8Array(length).fill(7),
      provenance: 'stopped' as const,
    }),
  },
  relocate: (address: bigint) => address,
  frameBase: () => 1n,
  callFrameCfa: () => 2n,
  objectAddress: 3n,
  entryValue: () => 4n,
  baseType: (die: number) => ({
    byteSize: die % 20,
    encoding: (['signed', 'unsigned', 'float', 'other'] as const)[die % 4] ?? 'other',
  }),
  callExpression: () => ({ expression: u64(0x3030303030303030n) }),
};

describe('properties', () => {
  test('an expression gives a value or is absent, whatever its bytes', () => {
    fc.assert(
      fc.property(anyExpression, (bytes) => {
        const value = evaluateValue(bytes, context);
        expect(isAbsent(value) || typeof value === 'bigint').toBe(true);
        const location = evaluateLocation(bytes, context);
        expect(isAbsent(location) || typeof location.kind === 'string').toBe(true);
        expect(typeof listExpression(bytes)).toBe('string');
      }),
      { numRuns: 5000 },
    );
  });

  test('what passes the verifier evaluates to a value, or faults on division only', () => {
    let passed = 0;
    fc.assert(
      fc.property(planExpression, (bytes) => {
        let ok = true;
        try {
          verify(bytes, true);
        } catch (error) {
          expect(error).toBeInstanceOf(StillframeError);
          ok = false;
        }
        if (!ok) return;
        passed++;
        const value = evaluateValue(bytes, context);
        if (isAbsent(value)) expect(value.detail).toBe('division by zero');
      }),
      { numRuns: 5000 },
    );
    expect(passed).toBeGreaterThan(500);
  });
});

const binaryOps = [
  DW_OP.DW_OP_and,
  DW_OP.DW_OP_div,
  DW_OP.DW_OP_minus,
  DW_OP.DW_OP_mod,
  DW_OP.DW_OP_mul,
  DW_OP.DW_OP_or,
  DW_OP.DW_OP_plus,
  DW_OP.DW_OP_shl,
  DW_OP.DW_OP_shr,
  DW_OP.DW_OP_shra,
  DW_OP.DW_OP_xor,
  DW_OP.DW_OP_eq,
  DW_OP.DW_OP_lt,
];
const leaf = fc.oneof(
  fc.nat(31).map((n) => e(DW_OP.DW_OP_lit0 + n)),
  fc.nat(18).map((n) => e(DW_OP.DW_OP_breg0 + n, 0)),
  fc.constant(e(DW_OP.DW_OP_push_object_address)),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((n) => e(DW_OP.DW_OP_const8u, u64(n))),
);
const planExpression = fc
  .tuple(leaf, fc.array(fc.tuple(leaf, fc.constantFrom(...binaryOps), fc.boolean()), { maxLength: 12 }))
  .map(([first, rest]) =>
    e(
      first,
      ...rest.flatMap(([operand, operator, jump]) =>
        jump
          ? [DW_OP.DW_OP_dup, DW_OP.DW_OP_bra, u16(operand.length + 1), operand, operator]
          : [operand, operator],
      ),
    ),
  );
