/**
 * Comparisons of floats on their IEEE 754 bits. The order of floats is that of the integers that their bits are when read as sign
 * and magnitude (both zeros are 0), but for NaN, which is unordered and unequal to all.
 */
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { ComparisonOperator } from './ast.js';
import { numericOf } from './c-types.js';
import { emitComparison, mirrored } from './lower-integer.js';
import type { Lowerer } from './lower.js';
import type { OpWriter } from './op-writer.js';
import { isObject, type CompareNode, type ConstantNode, type Typed } from './typed.js';
import { compareWide, WideFloat } from './wide-float.js';

interface Format {
  readonly size: 4 | 8;
  /** The bits of infinity: the largest magnitude that is not NaN. */
  readonly infinity: bigint;
}

const single: Format = { size: 4, infinity: 0x7f80_0000n };
const double: Format = { size: 8, infinity: 0x7ff0_0000_0000_0000n };

const arithmeticReason = 'floating arithmetic cannot run in the kernel; only comparisons can';

/** Pushes 0 or 1. */
export function lowerFloatComparison(lowerer: Lowerer, node: CompareNode): void {
  const { out } = lowerer;
  if (node.right.kind === 'constant') {
    againstConstant(lowerer, node.operator, node.left, asDouble(lowerer, node.right));
    return;
  }
  if (node.left.kind === 'constant') {
    againstConstant(lowerer, mirrored[node.operator], node.right, asDouble(lowerer, node.left));
    return;
  }
  let [left, right] = [stripWidening(node.left), stripWidening(node.right)];
  if (numericOf(left.type) !== undefined && !sameFormat(left, right)) [left, right] = [node.left, node.right];
  const format = formatOf(lowerer, left);
  pushKey(lowerer, left, format);
  pushKey(lowerer, right, formatOf(lowerer, right));
  out.op(DW_OP.DW_OP_over, DW_OP.DW_OP_over);
  emitComparison(out, node.operator, false);
  out.op(DW_OP.DW_OP_rot);
  ordered(out, format);
  out.op(DW_OP.DW_OP_swap);
  ordered(out, format);
  out.op(DW_OP.DW_OP_and);
  if (node.operator === '!=') out.op(DW_OP.DW_OP_lit0, DW_OP.DW_OP_eq, DW_OP.DW_OP_or);
  else out.op(DW_OP.DW_OP_and);
}

/** What lies between two doubles would be decided otherwise than it is. */
function asDouble(lowerer: Lowerer, node: ConstantNode): number {
  const { value } = node;
  if (!(value instanceof WideFloat)) return Number(value);
  const number = value.toNumber();
  return compareWide(value, WideFloat.from(number)) === 0 || Number.isNaN(number)
    ? number
    : lowerer.refuse(node, 'long double values cannot be compared in the kernel');
}

/** A float that was only widened to double compares as it was: widening is exact and keeps the order. */
function stripWidening(node: Typed): Typed {
  if (node.kind !== 'convert') return node;
  const [from, to] = [numericOf(node.operand.type), numericOf(node.type)];
  const widens =
    from?.kind === 'float' && to?.kind === 'float' && from.format !== 'x87' && from.format !== 'binary128';
  return widens && (from.format === to.format || to.format !== 'float32')
    ? stripWidening(node.operand)
    : node;
}

function sameFormat(a: Typed, b: Typed): boolean {
  const [x, y] = [numericOf(a.type), numericOf(b.type)];
  return x?.kind === 'float' && y?.kind === 'float' && x.format === y.format;
}

function formatOf(lowerer: Lowerer, node: Typed): Format {
  const numeric = numericOf(node.type);
  if (node.kind === 'convert') {
    return lowerer.refuse(
      node,
      'numbers of different types, one of them floating, cannot be compared in the kernel',
    );
  }
  if (!isObject(node)) return lowerer.refuse(node, arithmeticReason);
  if (numeric?.kind !== 'float' || numeric.format === 'x87' || numeric.format === 'binary128') {
    return lowerer.refuse(node, 'long double values cannot be compared in the kernel');
  }
  return numeric.format === 'float32' ? single : double;
}

/** Pushes the integer that orders as the float does; of a NaN its magnitude is beyond that of infinity. */
function pushKey(lowerer: Lowerer, node: Typed, format: Format): void {
  const { out } = lowerer;
  lowerer.pushFloatBits(node, format.size);
  out.op(DW_OP.DW_OP_dup);
  if (format.size === 4) out.constant(32n).op(DW_OP.DW_OP_shl);
  out.constant(63n).op(DW_OP.DW_OP_shra, DW_OP.DW_OP_swap);
  out.constant((1n << BigInt(format.size * 8 - 1)) - 1n).op(DW_OP.DW_OP_and); // s m
  out.op(DW_OP.DW_OP_over, DW_OP.DW_OP_xor, DW_OP.DW_OP_swap, DW_OP.DW_OP_minus); // (m ^ s) - s
}

/** A key becomes whether it is that of a number. */
function ordered(out: OpWriter, format: Format): void {
  out.op(DW_OP.DW_OP_dup).constant(format.infinity).op(DW_OP.DW_OP_le, DW_OP.DW_OP_swap);
  out.constant(-format.infinity).op(DW_OP.DW_OP_ge, DW_OP.DW_OP_and);
}

function keyOf(value: number, format: Format): bigint {
  const view = new DataView(new ArrayBuffer(8));
  if (format.size === 4) view.setFloat32(0, Math.abs(value), true);
  else view.setFloat64(0, Math.abs(value), true);
  const magnitude = format.size === 4 ? BigInt(view.getUint32(0, true)) : view.getBigUint64(0, true);
  return value < 0 ? -magnitude : magnitude;
}

function againstConstant(
  lowerer: Lowerer,
  operator: ComparisonOperator,
  node: Typed,
  constant: number,
): void {
  const { out } = lowerer;
  const object = stripWidening(node);
  const format = formatOf(lowerer, object);
  pushKey(lowerer, object, format);
  const decided = (value: boolean): void => {
    out.op(DW_OP.DW_OP_drop, value ? DW_OP.DW_OP_lit1 : DW_OP.DW_OP_lit0);
  };
  if (Number.isNaN(constant)) {
    decided(operator === '!=');
    return;
  }
  const rounded = format.size === 4 ? Math.fround(constant) : constant;
  let key = keyOf(rounded, format);
  let relation = operator;
  if (rounded !== constant) {
    // The constant lies between two floats: nothing equals it, and its neighbours stand in for it.
    if (operator === '==' || operator === '!=') {
      decided(operator === '!=');
      return;
    }
    const below = operator === '<' || operator === '<=';
    if (below && rounded > constant) key -= 1n;
    if (!below && rounded < constant) key += 1n;
    relation = below ? '<=' : '>=';
  }
  if (relation !== '==' && relation !== '!=') {
    // NaN is beyond infinity on its side.
    const below = relation === '<' || relation === '<=';
    out.op(DW_OP.DW_OP_dup).constant(below ? -format.infinity : format.infinity);
    out.op(below ? DW_OP.DW_OP_ge : DW_OP.DW_OP_le, DW_OP.DW_OP_swap);
    out.constant(key);
    emitComparison(out, relation, false);
    out.op(DW_OP.DW_OP_and);
    return;
  }
  out.constant(key);
  emitComparison(out, relation, false);
}
