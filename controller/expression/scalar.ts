/**
 * Exact arithmetic on the target's scalars. Integers are bigints within the range of their type; floats of up to eight bytes are numbers that
 * hold the value exactly (a float32 is always rounded to one), wider ones are of a class of their own.
 */
import { absent, type Absent } from '../../format/absent.js';
import {
  compareNumbers,
  floatArithmetic,
  integerOfNumber,
  integerToFloat32,
} from '../../format/decision/number.js';
import type { ArithmeticOperator, ComparisonOperator, ShiftOperator } from './ast.js';
import type { FloatFormat, Numeric } from './c-types.js';
import { binary128, compareWide, wideArithmetic, WideFloat, x87 } from './wide-float.js';

export type Scalar = bigint | number | WideFloat;

/** Brings an integer into the range of its type, as two's complement wraps. */
export function wrap(value: bigint, numeric: { readonly size: number; readonly signed: boolean }): bigint {
  const bits = numeric.size * 8;
  return numeric.signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
}

/** Whether a scalar counts as true. A NaN does, as in C. */
export function isTrue(value: Scalar): boolean {
  if (value instanceof WideFloat) return !value.isZero;
  return typeof value === 'bigint' ? value !== 0n : value !== 0;
}

/** C11 6.3.1.2 to 6.3.1.5. What C leaves undefined is absent. */
export function convertScalar(value: Scalar, to: Numeric): Scalar | Absent {
  if (to.kind === 'integer') {
    if (to.boolean) return isTrue(value) ? 1n : 0n;
    if (typeof value === 'bigint') return wrap(value, to);
    const whole = integerOf(value);
    if (whole === undefined || wrap(whole, to) !== whole) {
      return absent(
        'unsupported',
        `${value.toString()} is outside of the range of the integer type that it is converted to`,
      );
    }
    return whole;
  }
  switch (to.format) {
    case 'float64':
      return value instanceof WideFloat ? value.toNumber() : Number(value);
    case 'float32':
      if (value instanceof WideFloat) return value.toNumber('binary32');
      return typeof value === 'number' ? Math.fround(value) : integerToFloat32(value);
    case 'x87':
    case 'binary128':
      return wide(value).rounded(wideFormats[to.format]);
  }
}

const wideFormats = { x87, binary128 } as const;

/** Towards zero; undefined for what is no number. */
function integerOf(value: number | WideFloat): bigint | undefined {
  if (value instanceof WideFloat) return value.toInteger();
  return integerOfNumber(value);
}

function wide(value: Scalar): WideFloat {
  return value instanceof WideFloat ? value : WideFloat.from(value);
}

/** Of a value of an integer type, such as an index or a pointer. */
export function wholeOf(value: Scalar): bigint {
  return typeof value === 'bigint' ? value : (integerOf(value) ?? 0n);
}

/** With the sign changed; of an integer not yet brought into the range of its type. */
export function negate(value: Scalar): Scalar {
  return value instanceof WideFloat ? value.negate() : -value;
}

/** Both operands are of the type, and so is the result. */
export function arithmetic(
  operator: ArithmeticOperator,
  left: Scalar,
  right: Scalar,
  type: Numeric,
): Scalar | Absent {
  if (type.kind === 'float') return arithmeticOfFloats(operator, left, right, type.format);
  if (typeof left !== 'bigint' || typeof right !== 'bigint')
    return absent('unsupported', `"${operator}" of floating values`);
  switch (operator) {
    case '+':
      return wrap(left + right, type);
    case '-':
      return wrap(left - right, type);
    case '*':
      return wrap(left * right, type);
    case '/':
      return right === 0n ? divisionByZero : wrap(left / right, type);
    case '%':
      return right === 0n ? divisionByZero : wrap(left % right, type);
    case '&':
      return wrap(left & right, type);
    case '|':
      return wrap(left | right, type);
    case '^':
      return wrap(left ^ right, type);
  }
}

const divisionByZero: Absent = absent('unsupported', 'division by zero');

function arithmeticOfFloats(
  operator: ArithmeticOperator,
  left: Scalar,
  right: Scalar,
  format: FloatFormat,
): Scalar | Absent {
  if (operator !== '+' && operator !== '-' && operator !== '*' && operator !== '/')
    return absent('unsupported', `"${operator}" of floating values`);
  if (format === 'x87' || format === 'binary128')
    return wideArithmetic(operator, wide(left), wide(right), wideFormats[format]);
  return floatArithmetic(operator, Number(left), Number(right), format === 'float32' ? 4 : 8);
}

export function shift(
  operator: ShiftOperator,
  left: bigint,
  right: bigint,
  type: { readonly size: number; readonly signed: boolean },
): bigint | Absent {
  const bits = type.size * 8;
  if (right < 0n || right >= BigInt(bits)) {
    return absent('unsupported', `a shift of a ${bits}-bit value by ${right} is undefined`);
  }
  return wrap(operator === '<<' ? left << right : left >> right, type);
}

export function compare(operator: ComparisonOperator, left: Scalar, right: Scalar): boolean {
  if (left instanceof WideFloat || right instanceof WideFloat) {
    // What is no number is unequal to all, and neither below nor above.
    const order = compareWide(wide(left), wide(right));
    return order === undefined ? operator === '!=' : compare(operator, order, 0);
  }
  return compareNumbers(operator, left, right);
}

/** The scalar in little-endian bytes that are at least as many as the type has. */
export function decodeScalar(bytes: Uint8Array, type: Numeric): Scalar | Absent {
  if (type.kind === 'integer') {
    let value = 0n;
    for (let i = type.size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
    return wrap(value, type);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (type.format === 'float32') return view.getFloat32(0, true);
  if (type.format === 'float64') return view.getFloat64(0, true);
  return WideFloat.decode(bytes, wideFormats[type.format]) ?? notANumber;
}

/** Patterns that the processor refuses as operands (Intel SDM volume 1, 8.2.2). */
const notANumber: Absent = absent('unsupported', 'its bits are no long double');

/** The bytes that a bit field touches. */
export function bitWindow(bits: { readonly offset: number; readonly size: number }): {
  readonly start: number;
  readonly length: number;
} {
  const start = Math.floor(bits.offset / 8);
  return { start, length: Math.ceil((bits.offset + bits.size) / 8) - start };
}

/** The value in `size` bits from bit `offset`, extended as the type is signed. */
export function decodeBits(
  bytes: Uint8Array,
  bits: { readonly offset: number; readonly size: number },
  signed: boolean,
): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  value >>= BigInt(bits.offset);
  return signed ? BigInt.asIntN(bits.size, value) : BigInt.asUintN(bits.size, value);
}

/** As many bytes as the type has; `size` of a long double counts its padding. */
export function encodeScalar(value: Scalar, type: Numeric, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  if (type.kind === 'integer') {
    let rest = BigInt.asUintN(size * 8, wholeOf(value));
    for (let i = 0; i < size; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  } else if (type.format === 'float32') view.setFloat32(0, Number(value), true);
  else if (type.format === 'float64') view.setFloat64(0, Number(value), true);
  else return wide(value).encode(wideFormats[type.format], size);
  return bytes;
}
