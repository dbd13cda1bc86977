/**
 * How much of the eBPF stack a program of a point may use, and what does not fit. Since Linux 6.13 (e00931c02568) a program that uses 64 bytes of it keeps
 * them not on the thread's kernel stack but in memory of the CPU, and at uprobes nothing hinders another thread from running the same
 * program there while the first one sleeps in a read or is preempted: it would go on with the other's values. So no program of ours
 * uses as much; deep expressions spill to memory that belongs to the hit.
 */
import type { Operation } from '../../format/dwarf-op/decode.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';

/** The kernel rounds up to sixteen, so this is the most that stays below 64. */
export const maxFrameBytes = 48;
/** Offset from the frame pointer where reads land; the DWARF stack begins below it. */
export const frameScratch = -8;
/** Values of the DWARF stack that the frame holds, beside the top, which is in a register. */
export const frameSlots: number = (maxFrameBytes + frameScratch) / 8;
/** The frame's and spilled ones, and the top: as deep as `maxExpressionStack` allows. */
export const maxDepth = 64;

/** Operations that leave the stack no deeper than it was. */
const growNothing: ReadonlySet<number> = new Set([
  DW_OP.DW_OP_deref,
  DW_OP.DW_OP_deref_size,
  DW_OP.DW_OP_plus_uconst,
  DW_OP.DW_OP_drop,
  DW_OP.DW_OP_swap,
  DW_OP.DW_OP_rot,
  DW_OP.DW_OP_abs,
  DW_OP.DW_OP_neg,
  DW_OP.DW_OP_not,
  DW_OP.DW_OP_and,
  DW_OP.DW_OP_or,
  DW_OP.DW_OP_xor,
  DW_OP.DW_OP_plus,
  DW_OP.DW_OP_minus,
  DW_OP.DW_OP_mul,
  DW_OP.DW_OP_div,
  DW_OP.DW_OP_mod,
  DW_OP.DW_OP_shl,
  DW_OP.DW_OP_shr,
  DW_OP.DW_OP_shra,
  DW_OP.DW_OP_eq,
  DW_OP.DW_OP_ne,
  DW_OP.DW_OP_ge,
  DW_OP.DW_OP_gt,
  DW_OP.DW_OP_le,
  DW_OP.DW_OP_lt,
  DW_OP.DW_OP_bra,
  DW_OP.DW_OP_skip,
  DW_OP.DW_OP_nop,
]);

/** How much an expression may want to spill: no less than it does, and 0 for those that cannot be deep. */
export function spillBytes(operations: readonly Operation[]): number {
  const values = operations.filter(({ code }) => !growNothing.has(code)).length;
  return Math.max(0, Math.min(values, maxDepth) - 1 - frameSlots) * 8;
}

/** The most that {@link spillBytes} gives. */
export const maxSpillBytes: number = (maxDepth - 1 - frameSlots) * 8;
