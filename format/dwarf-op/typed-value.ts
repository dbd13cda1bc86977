/**
 * Typed entries of the DWARF stack (DWARF5 2.5.1): a base type and its bits. Arithmetic as C and gdb do it: two's complement that wraps,
 * division toward zero, floats in the precision of their type. The generic type is a plain bigint elsewhere; here it is `undefined`.
 * A function gives a text where a thing cannot be done: the reason.
 */
import type { BaseType } from './context.js';

export interface TypedValue {
  readonly type: BaseType;
  /** The object's bytes as an unsigned little-endian number of `byteSize` bytes. */
  readonly bits: bigint;
}

/** The generic type is a bigint, unsigned, below 2^64. */
export type StackValue = bigint | TypedValue;

/** Wider than any base type that compilers write (`_Complex long double` has 32 bytes). */
export const maxTypedBytes = 64;

export type BinaryOperator = 'and' | 'or' | 'xor' | 'plus' | 'minus' | 'mul' | 'div' | 'mod';
export type Comparison = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge';

export function isTyped(value: StackValue): value is TypedValue {
  return typeof value !== 'bigint';
}

export function fromBytes(type: BaseType, bytes: Uint8Array): TypedValue {
  let bits = 0n;
  for (let i = type.byteSize - 1; i >= 0; i--) bits = (bits << 8n) | BigInt(bytes[i] ?? 0);
  return { type, bits };
}

/** Little-endian bytes: as many as the type has, 8 for the generic type. */
export function toBytes(value: StackValue): Uint8Array {
  const size = isTyped(value) ? value.type.byteSize : 8;
  let bits = isTyped(value) ? value.bits : value;
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    bytes[i] = Number(bits & 0xffn);
    bits >>= 8n;
  }
  return bytes;
}

function width(value: TypedValue): number {
  return value.type.byteSize * 8;
}

/** The mathematical value of an integer; undefined for floats and others. */
export function toInteger(value: StackValue): bigint | undefined {
  if (!isTyped(value)) return value;
  if (value.type.encoding === 'signed') return BigInt.asIntN(width(value), value.bits);
  return value.type.encoding === 'unsigned' ? value.bits : undefined;
}

function ofInteger(type: BaseType, value: bigint): TypedValue {
  return { type, bits: BigInt.asUintN(type.byteSize * 8, value) };
}

const scratch = new DataView(new ArrayBuffer(8));

function toFloat(value: TypedValue): number | undefined {
  if (value.type.encoding !== 'float') return undefined;
  scratch.setBigUint64(0, BigInt.asUintN(64, value.bits), true);
  if (value.type.byteSize === 4) return scratch.getFloat32(0, true);
  return value.type.byteSize === 8 ? scratch.getFloat64(0, true) : undefined;
}

/** NB: a float32 result computed in float64 and rounded once is the correctly rounded one for + - * /. */
function ofFloat(type: BaseType, value: number): TypedValue {
  if (type.byteSize === 4) {
    scratch.setFloat32(0, value, true);
    return { type, bits: BigInt(scratch.getUint32(0, true)) };
  }
  scratch.setFloat64(0, value, true);
  return { type, bits: scratch.getBigUint64(0, true) };
}

export function sameType(left: StackValue, right: StackValue): boolean {
  if (!isTyped(left) && !isTyped(right)) return true;
  const describe = (value: StackValue): string =>
    isTyped(value) ? `${value.type.encoding} ${value.type.byteSize}` : 'signed 8';
  return describe(left) === describe(right);
}

const unsupportedFloat = 'a floating type that cannot be computed with';

export function binary(operator: BinaryOperator, left: StackValue, right: StackValue): StackValue | string {
  if (!isTyped(left) && !isTyped(right)) return genericBinary(operator, left, right);
  if (!sameType(left, right)) return 'operands of different types';
  // The generic type and a signed type of 8 bytes go together, as in gdb: the typed one decides.
  const type = isTyped(left) ? left.type : isTyped(right) ? right.type : undefined;
  if (type === undefined) return 'operands without a type';
  if (type.encoding === 'float') {
    const a = isTyped(left) ? toFloat(left) : undefined;
    const b = isTyped(right) ? toFloat(right) : undefined;
    if (a === undefined || b === undefined) return unsupportedFloat;
    const result = floatBinary(operator, a, b);
    return typeof result === 'string' ? result : ofFloat(type, result);
  }
  const a = signedIfTyped(left);
  const b = signedIfTyped(right);
  if (a === undefined || b === undefined) return 'a type that cannot be computed with';
  if ((operator === 'div' || operator === 'mod') && b === 0n) return divisionByZero;
  return ofInteger(type, integerBinary(operator, a, b));
}

export const divisionByZero = 'division by zero';

function signedIfTyped(value: StackValue): bigint | undefined {
  return isTyped(value) ? toInteger(value) : BigInt.asIntN(64, value);
}

function genericBinary(operator: BinaryOperator, left: bigint, right: bigint): bigint | string {
  if (operator === 'div') {
    if (right === 0n) return divisionByZero;
    return BigInt.asUintN(64, BigInt.asIntN(64, left) / BigInt.asIntN(64, right));
  }
  if (operator === 'mod' && right === 0n) return divisionByZero;
  return BigInt.asUintN(64, integerBinary(operator, left, right));
}

function integerBinary(operator: BinaryOperator, a: bigint, b: bigint): bigint {
  switch (operator) {
    case 'and':
      return a & b;
    case 'or':
      return a | b;
    case 'xor':
      return a ^ b;
    case 'plus':
      return a + b;
    case 'minus':
      return a - b;
    case 'mul':
      return a * b;
    case 'div':
      return a / b;
    case 'mod':
      return a % b;
  }
}

function floatBinary(operator: BinaryOperator, a: number, b: number): number | string {
  switch (operator) {
    case 'plus':
      return a + b;
    case 'minus':
      return a - b;
    case 'mul':
      return a * b;
    case 'div':
      return a / b;
    case 'and':
    case 'or':
    case 'xor':
    case 'mod':
      return `${operator} of floats`;
  }
}

/** `right` is a count of bits; as much as the width or more leaves nothing but the sign of an arithmetic shift. */
export function shift(
  operator: 'shl' | 'shr' | 'shra',
  left: StackValue,
  right: StackValue,
): StackValue | string {
  const by = toInteger(right);
  if (by === undefined || (isTyped(left) && toInteger(left) === undefined)) return 'a shift of no integer';
  const bits = isTyped(left) ? width(left) : 64;
  const raw = isTyped(left) ? left.bits : left;
  // A negative count is a huge one.
  const count = by < 0n || by > BigInt(bits) ? BigInt(bits) : by;
  const result =
    operator === 'shl' ? raw << count : operator === 'shr' ? raw >> count : BigInt.asIntN(bits, raw) >> count;
  const wrapped = BigInt.asUintN(bits, result);
  return isTyped(left) ? { type: left.type, bits: wrapped } : wrapped;
}

export function unary(operator: 'abs' | 'neg' | 'not', value: StackValue): StackValue | string {
  if (!isTyped(value)) {
    const signed = BigInt.asIntN(64, value);
    const result = operator === 'not' ? ~signed : operator === 'neg' || signed < 0n ? -signed : signed;
    return BigInt.asUintN(64, result);
  }
  const { type } = value;
  if (type.encoding === 'float') {
    const float = toFloat(value);
    if (float === undefined) return unsupportedFloat;
    if (operator === 'not') return 'not of a float';
    // On the sign bit, so that the bits of a NaN stay.
    const sign = 1n << BigInt(type.byteSize * 8 - 1);
    return { type, bits: operator === 'neg' ? value.bits ^ sign : value.bits & (sign - 1n) };
  }
  const integer = toInteger(value);
  if (integer === undefined) return 'a type that cannot be computed with';
  const result = operator === 'not' ? ~integer : operator === 'neg' || integer < 0n ? -integer : integer;
  return ofInteger(type, result);
}

/** Signed for the generic type, by the type's sign otherwise; comparisons with NaN are false but for `ne`. */
export function compare(operator: Comparison, left: StackValue, right: StackValue): boolean | string {
  if (!sameType(left, right)) return 'operands of different types';
  let a: bigint | number | undefined;
  let b: bigint | number | undefined;
  if (isTyped(left) && left.type.encoding === 'float' && isTyped(right)) {
    a = toFloat(left);
    b = toFloat(right);
  } else {
    a = signedIfTyped(left);
    b = signedIfTyped(right);
  }
  if (a === undefined || b === undefined) return 'a type that cannot be compared';
  switch (operator) {
    case 'eq':
      return a === b;
    case 'ne':
      return a !== b;
    case 'lt':
      return a < b;
    case 'le':
      return a <= b;
    case 'gt':
      return a > b;
    case 'ge':
      return a >= b;
  }
}

/** DW_OP_convert: by value. `to` undefined is the generic type. */
export function convert(value: StackValue, to: BaseType | undefined): StackValue | string {
  const float = isTyped(value) && value.type.encoding === 'float' ? toFloat(value) : undefined;
  if (isTyped(value) && value.type.encoding === 'float' && float === undefined) return unsupportedFloat;
  // The generic type converts as a signed one, as gdb does.
  const integer = float === undefined ? signedIfTyped(value) : undefined;
  if (float === undefined && integer === undefined) return 'a type that cannot be converted';
  if (to?.encoding === 'other') return 'a conversion to a type that cannot be computed with';
  if (to?.encoding === 'float') {
    if (to.byteSize !== 4 && to.byteSize !== 8) return unsupportedFloat;
    return ofFloat(to, float ?? integerToFloat(integer ?? 0n, to.byteSize));
  }
  let result = integer ?? 0n;
  if (float !== undefined) {
    const truncated = Math.trunc(float);
    if (!Number.isFinite(truncated)) return 'a conversion of an infinity or NaN to an integer';
    result = BigInt(truncated);
    const bits = (to?.byteSize ?? 8) * 8;
    const fits =
      to?.encoding === 'unsigned'
        ? BigInt.asUintN(bits, result) === result
        : BigInt.asIntN(bits, result) === result;
    if (!fits) return 'a conversion of a float to an integer that does not hold it';
  }
  return to === undefined ? BigInt.asUintN(64, result) : ofInteger(to, result);
}

/**
 * NB: rounding to float64 and then to float32 can differ from rounding once. So for float32 an integer is first cut to 53 bits, with a
 * sticky last bit for what was cut off.
 */
function integerToFloat(value: bigint, byteSize: number): number {
  if (byteSize === 8) return Number(value);
  const negative = value < 0n;
  let magnitude = negative ? -value : value;
  let cut = 0n;
  while (magnitude >> cut >= 1n << 53n) cut++;
  const lost = BigInt.asUintN(Number(cut), magnitude) !== 0n;
  magnitude = ((magnitude >> cut) | (lost ? 1n : 0n)) << cut;
  return negative ? -Number(magnitude) : Number(magnitude);
}

/** DW_OP_reinterpret: the same bits as another type of the same size. */
export function reinterpret(value: StackValue, to: BaseType | undefined): StackValue | string {
  const size = isTyped(value) ? value.type.byteSize : 8;
  if (size !== (to?.byteSize ?? 8)) return 'a reinterpretation as a type of another size';
  const bits = isTyped(value) ? value.bits : value;
  return to === undefined ? bits : { type: to, bits };
}
