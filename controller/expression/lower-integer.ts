/** Unsigned and C operations in terms of the plan's: `div` and comparisons are signed there, `mod` is unsigned. */
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { ComparisonOperator } from './ast.js';
import type { OpWriter } from './op-writer.js';

const signBit = 1n << 63n;

const codes: Readonly<Record<ComparisonOperator, number>> = {
  '==': DW_OP.DW_OP_eq,
  '!=': DW_OP.DW_OP_ne,
  '<': DW_OP.DW_OP_lt,
  '<=': DW_OP.DW_OP_le,
  '>': DW_OP.DW_OP_gt,
  '>=': DW_OP.DW_OP_ge,
};

/** What `a OP b` is as `b OP' a`. */
export const mirrored: Readonly<Record<ComparisonOperator, ComparisonOperator>> = {
  '==': '==',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

/** `left right` becomes 0 or 1. */
export function emitComparison(out: OpWriter, operator: ComparisonOperator, unsigned64: boolean): void {
  if (!unsigned64 || operator === '==' || operator === '!=') {
    out.op(codes[operator]);
    return;
  }
  // The order of unsigned numbers is that of signed ones with their sign bits flipped.
  out.constant(signBit).op(DW_OP.DW_OP_xor, DW_OP.DW_OP_swap);
  out.constant(signBit).op(DW_OP.DW_OP_xor, codes[mirrored[operator]]);
}

/** `a b` becomes `a % b` with the sign of `a` (C11 6.5.5p6): a - (a / b) * b. */
export function emitRemainder(out: OpWriter): void {
  out.op(DW_OP.DW_OP_over, DW_OP.DW_OP_over, DW_OP.DW_OP_div, DW_OP.DW_OP_mul, DW_OP.DW_OP_minus);
}

/** `a b` becomes `a / b` of unsigned 64-bit numbers; faults when b is 0. */
export function emitUnsignedDivision(out: OpWriter): void {
  const [large, simple, end] = [out.label(), out.label(), out.label()];
  out.op(DW_OP.DW_OP_dup, DW_OP.DW_OP_lit0, DW_OP.DW_OP_lt).jump(DW_OP.DW_OP_bra, large);
  out.op(DW_OP.DW_OP_over, DW_OP.DW_OP_lit0, DW_OP.DW_OP_ge).jump(DW_OP.DW_OP_bra, simple);
  // a is at least 2^63, b below it: divide half of a, double, and correct by the remainder (Hacker's Delight 9-3).
  out.op(DW_OP.DW_OP_over, DW_OP.DW_OP_lit1, DW_OP.DW_OP_shr, DW_OP.DW_OP_over, DW_OP.DW_OP_div);
  out.op(DW_OP.DW_OP_lit1, DW_OP.DW_OP_shl, DW_OP.DW_OP_rot); // q a b
  out.op(DW_OP.DW_OP_pick, 2, DW_OP.DW_OP_over, DW_OP.DW_OP_mul); // q a b q*b
  out.op(DW_OP.DW_OP_swap, DW_OP.DW_OP_rot, DW_OP.DW_OP_minus, DW_OP.DW_OP_swap); // q r b
  emitComparison(out, '>=', true);
  out.op(DW_OP.DW_OP_plus).jump(DW_OP.DW_OP_skip, end);
  out.bind(simple).op(DW_OP.DW_OP_div).jump(DW_OP.DW_OP_skip, end);
  // b is at least 2^63: the quotient is 0 or 1.
  out.bind(large);
  emitComparison(out, '>=', true);
  out.bind(end);
}
