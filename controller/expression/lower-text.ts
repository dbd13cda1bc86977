/** Comparison of a string with a literal, byte by byte: no byte is read after the first that differs. */
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { OpWriter } from './op-writer.js';

/** Longer literals make the expression too long for a probe. */
export const maxKernelTextBytes = 64;

/**
 * An address becomes 0 or 1. `capacity`: the array's length, whose end ends the string as a NUL does. Gives the reason where it
 * cannot be done.
 */
export function emitTextComparison(
  out: OpWriter,
  operator: '==' | '!=' | 'startsWith',
  literal: Uint8Array,
  capacity: number | undefined,
): string | undefined {
  if (literal.length > maxKernelTextBytes) {
    return `a string of ${literal.length} bytes is longer than the ${maxKernelTextBytes} that the kernel compares`;
  }
  const [same, different] =
    operator === '!=' ? [DW_OP.DW_OP_lit0, DW_OP.DW_OP_lit1] : [DW_OP.DW_OP_lit1, DW_OP.DW_OP_lit0];
  const bytes = operator === 'startsWith' ? [...literal] : [...literal, 0];
  // An array that is full has no NUL.
  if (capacity === literal.length && operator !== 'startsWith') bytes.pop();
  const fits = capacity === undefined || bytes.length <= capacity;
  const [fail, end] = [out.label(), out.label()];
  for (const [i, byte] of bytes.entries()) {
    if (i === capacity) break;
    out.op(DW_OP.DW_OP_dup).plus(BigInt(i)).dereference(1);
    if (byte !== 0) out.constant(BigInt(byte)).op(DW_OP.DW_OP_ne);
    out.jump(DW_OP.DW_OP_bra, fail);
  }
  out.op(DW_OP.DW_OP_drop, fits ? same : different);
  // Nothing to compare: nothing leads to the failure.
  if (fail.jumps.length === 0) return undefined;
  out.jump(DW_OP.DW_OP_skip, end);
  out.bind(fail).op(DW_OP.DW_OP_drop, different).bind(end);
  return undefined;
}

/**
 * A number of units becomes 0 or 1. Equal strings have equal lengths: of one of another length not even the address is asked, and a NUL is a character like any
 * other. Gives the reason where it cannot be done.
 */
export function emitCountedComparison(
  out: OpWriter,
  operator: '==' | '!=' | 'startsWith',
  {
    literal,
    unitBytes,
    pushSubject,
  }: { readonly literal: Uint8Array; readonly unitBytes: number; readonly pushSubject: () => void },
): string | undefined {
  if (literal.length > maxKernelTextBytes) {
    return `a string of ${literal.length} bytes is longer than the ${maxKernelTextBytes} that the kernel compares`;
  }
  const [same, different] =
    operator === '!=' ? [DW_OP.DW_OP_lit0, DW_OP.DW_OP_lit1] : [DW_OP.DW_OP_lit1, DW_OP.DW_OP_lit0];
  const [fail, other, end] = [out.label(), out.label(), out.label()];
  // Lengths are below 2^47: a signed comparison is right.
  const fits = operator === 'startsWith' ? DW_OP.DW_OP_lt : DW_OP.DW_OP_ne;
  out
    .constant(BigInt(literal.length / unitBytes))
    .op(fits)
    .jump(DW_OP.DW_OP_bra, other);
  if (literal.length > 0) {
    pushSubject();
    for (const [i, byte] of literal.entries()) {
      out.op(DW_OP.DW_OP_dup).plus(BigInt(i)).dereference(1);
      if (byte !== 0) out.constant(BigInt(byte)).op(DW_OP.DW_OP_ne);
      out.jump(DW_OP.DW_OP_bra, fail);
    }
    out.op(DW_OP.DW_OP_drop);
  }
  out.op(same).jump(DW_OP.DW_OP_skip, end);
  if (literal.length > 0) out.bind(fail).op(DW_OP.DW_OP_drop);
  out.bind(other).op(different).bind(end);
  return undefined;
}
