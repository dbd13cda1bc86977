/**
 * Checks an expression before it runs where it must not fail: in a plan. Only the operations that `plan/plan.ts` allows, jumps forward
 * only, the stack's depth known at every operation and the same on every way there, one value at the end. Engines compile what passed.
 */
import { StillframeError, badData } from '../error.js';
import { type Limits, defaultLimits } from '../limits.js';
import { type Operation, decodeExpression } from './decode.js';
import { DW_OP, operationName } from './opcodes.js';

export interface VerifyOptions {
  /** Whether DW_OP_push_object_address has something to push: in the children of a range. */
  readonly hasObject: boolean;
  /** Of a decision: how many cells stand before it, which it may use as registers. */
  readonly cells?: number;
  /** A register more than those of the machine, for DW_OP_bregx. */
  readonly extraRegister?: number;
  /** What it is, for messages. */
  readonly name?: string;
  readonly limits?: Pick<Limits, 'maxExpressionStack' | 'maxExpressionSteps'>;
}

export interface VerifiedExpression {
  readonly operations: readonly Operation[];
  /** Entries on the stack before each operation. */
  readonly depths: readonly number[];
  readonly maxDepth: number;
}

/** Cells of a decision that programs refer to are registers from here on: `DW_OP_bregx firstCellRegister + index, 0`. */
export const firstCellRegister = 0x1000;

/** The last DWARF register of a plan: the return address, rip. */
const maxPlanRegister = 16;

/** How many entries an operation takes and how many it leaves. */
const effects = new Map<number, readonly [number, number]>();
function declare(takes: number, leaves: number, ...codes: readonly number[]): void {
  for (const code of codes) effects.set(code, [takes, leaves]);
}
for (let i = 0; i < 32; i++) declare(0, 1, DW_OP.DW_OP_lit0 + i);
for (let i = 0; i <= maxPlanRegister; i++) declare(0, 1, DW_OP.DW_OP_breg0 + i);
for (let code: number = DW_OP.DW_OP_const1u; code <= DW_OP.DW_OP_consts; code++) declare(0, 1, code);
declare(0, 1, DW_OP.DW_OP_addr, DW_OP.DW_OP_bregx, DW_OP.DW_OP_push_object_address);
declare(1, 2, DW_OP.DW_OP_dup);
declare(1, 0, DW_OP.DW_OP_drop, DW_OP.DW_OP_bra);
declare(2, 3, DW_OP.DW_OP_over);
declare(2, 2, DW_OP.DW_OP_swap);
declare(3, 3, DW_OP.DW_OP_rot);
declare(1, 1, DW_OP.DW_OP_deref, DW_OP.DW_OP_deref_size, DW_OP.DW_OP_plus_uconst);
declare(1, 1, DW_OP.DW_OP_abs, DW_OP.DW_OP_neg, DW_OP.DW_OP_not);
declare(2, 1, DW_OP.DW_OP_and, DW_OP.DW_OP_div, DW_OP.DW_OP_minus, DW_OP.DW_OP_mod, DW_OP.DW_OP_mul);
declare(
  2,
  1,
  DW_OP.DW_OP_or,
  DW_OP.DW_OP_plus,
  DW_OP.DW_OP_shl,
  DW_OP.DW_OP_shr,
  DW_OP.DW_OP_shra,
  DW_OP.DW_OP_xor,
);
declare(2, 1, DW_OP.DW_OP_eq, DW_OP.DW_OP_ge, DW_OP.DW_OP_gt, DW_OP.DW_OP_le, DW_OP.DW_OP_lt, DW_OP.DW_OP_ne);
declare(0, 0, DW_OP.DW_OP_nop, DW_OP.DW_OP_skip);

/** Throws `bad-data` (or `limit`) with the name and the offset of what is wrong. */
export function verifyPlanExpression(bytes: Uint8Array, options: VerifyOptions): VerifiedExpression {
  const name = options.name ?? 'plan expression';
  const limits = options.limits ?? defaultLimits;
  // An operation has at least one byte, so this bounds the decoding too.
  if (bytes.length > limits.maxExpressionSteps * 10) {
    throw new StillframeError('limit', `cannot verify ${name}: it has ${bytes.length} bytes`);
  }
  const operations = decodeExpression(bytes, { addressSize: 8, name });
  if (operations.length > limits.maxExpressionSteps) {
    throw new StillframeError(
      'limit',
      `cannot verify ${name}: it has more than ${limits.maxExpressionSteps} operations`,
    );
  }
  const wrong = (reason: string, offset: number): StillframeError =>
    badData(`cannot verify ${name}: ${reason} at offset 0x${offset.toString(16)}`, { detail: { offset } });

  /** Depth on arrival, by operation; the last one stands for the end. */
  const arrivals: (number | undefined)[] = Array.from({ length: operations.length + 1 }, () => undefined);
  const offsetOf = (index: number): number => operations[index]?.offset ?? bytes.length;
  const arrive = (index: number, depth: number): void => {
    const known = arrivals[index];
    if (known !== undefined && known !== depth) {
      throw wrong(`the stack has ${known} or ${depth} entries`, offsetOf(index));
    }
    arrivals[index] = depth;
  };

  const depths: number[] = [];
  let maxDepth = 0;
  arrive(0, 0);
  for (const [index, operation] of operations.entries()) {
    const { code, offset } = operation;
    const depth = arrivals[index];
    if (depth === undefined) throw wrong('an operation that nothing leads to', offset);
    const reason = refusal(operation, depth, options);
    if (reason !== undefined) throw wrong(reason, offset);
    const [takes, leaves] = code === DW_OP.DW_OP_pick ? [0, 1] : (effects.get(code) ?? [0, 0]);
    if (depth < takes) throw wrong(`${operationName(code) ?? ''} with ${depth} entries on the stack`, offset);
    const after = depth - takes + leaves;
    if (after > limits.maxExpressionStack) {
      throw wrong(`more than ${limits.maxExpressionStack} entries on the stack`, offset);
    }
    depths.push(depth);
    maxDepth = Math.max(maxDepth, after);
    if (code === DW_OP.DW_OP_bra || code === DW_OP.DW_OP_skip) {
      if (operation.target <= index) throw wrong('a jump backward', offset);
      arrive(operation.target, after);
    }
    if (code !== DW_OP.DW_OP_skip) arrive(index + 1, after);
  }
  const left = arrivals[operations.length];
  if (left !== 1) throw wrong(`${left ?? 0} values are left instead of 1`, bytes.length);
  return { operations, depths, maxDepth };
}

/** Why an operation may not be in a plan, or not here. */
function refusal(
  operation: Operation,
  depth: number,
  { hasObject, cells = 0, extraRegister }: VerifyOptions,
): string | undefined {
  const { code, a } = operation;
  const name = operationName(code) ?? `0x${code.toString(16)}`;
  if (code === DW_OP.DW_OP_pick) {
    return a < BigInt(depth) ? undefined : `${name} ${a} with ${depth} entries on the stack`;
  }
  if (!operation.known || !effects.has(code)) return `${name} is not allowed in a plan`;
  if (code === DW_OP.DW_OP_bregx && a > BigInt(maxPlanRegister)) {
    const isCell = a >= BigInt(firstCellRegister) && a < BigInt(firstCellRegister + cells);
    const isExtra = extraRegister !== undefined && a === BigInt(extraRegister);
    return isCell || isExtra ? undefined : `register ${a} is not in a plan`;
  }
  if (code === DW_OP.DW_OP_deref_size && ![1n, 2n, 4n, 8n].includes(a)) return `${name} of ${a} bytes`;
  if (code === DW_OP.DW_OP_push_object_address && !hasObject) return `${name} where there is no object`;
  return undefined;
}
