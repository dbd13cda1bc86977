/**
 * Exact arithmetic on the target's scalars. Integers are bigints within the range of their type; floats are numbers that hold
 * the value exactly (a float32 is always rounded to one; an x87 value exists here only where a double holds it exactly).
 */
import { absent, type Absent } from '../../format/absent.js';
import type { ArithmeticOperator, ComparisonOperator, ShiftOperator } from './ast.js';
import type { Numeric } from './c-types.js';

export type Scalar = bigint | number;

/** Brings an integer into the range of its type, as two's complement wraps. */
export function wrap(value: bigint, numeric: { readonly size: number; readonly signed: boolean }): bigint {
  const bits = numeric.size * 8;
  return numeric.signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
}

/** Whether a scalar counts as true. A NaN does, as in C. */
export function isTrue(value: Scalar): boolean {
  return typeof value === 'bigint' ? value !== 0n : value !== 0;
}

/** C11 6.3.1.2 to 6.3.1.5. What C leaves undefined is absent. */
export function convertScalar(value: Scalar, to: Numeric): Scalar | Absent {
  if (to.kind === 'integer') {
    if (to.boolean) return isTrue(value) ? 1n : 0n;
    if (typeof value === 'bigint') return wrap(value, to);
    const whole = Number.isFinite(value) ? BigInt(Math.trunc(value)) : undefined;
    if (whole === undefined || wrap(whole, to) !== whole) {
      return absent(
        'unsupported',
        `${value} is outside of the range of the integer type that it is converted to`,
      );
    }
    return whole;
  }
  switch (to.format) {
    case 'float64':
      return Number(value);
    case 'float32':
      return typeof value === 'number' ? Math.fround(value) : integerToFloat32(value);
    case 'x87': {
      const number = Number(value);
      if (typeof value === 'bigint' && BigInt(number) !== value) return inexact;
      return number;
    }
  }
}

const inexact: Absent = absent('unsupported', 'long double value has no exact equal as a double');

/** Rounded once: a detour through double could round twice. */
function integerToFloat32(value: bigint): number {
  const magnitude = value < 0n ? -value : value;
  const excess = magnitude.toString(2).length - 40;
  if (excess <= 0) return Math.fround(Number(value));
  const lost = BigInt(excess);
  const top = magnitude >> lost;
  const sticky = top << lost === magnitude ? top : top | 1n;
  const rounded = Math.fround(Number(sticky)) * 2 ** excess;
  return Math.fround(value < 0n ? -rounded : rounded);
}

/** Both operands are of the type, and so is the result. */
export function arithmetic(
  operator: ArithmeticOperator,
  left: Scalar,
  right: Scalar,
  type: Numeric,
): Scalar | Absent {
  if (typeof left === 'number' || typeof right === 'number') {
    return floatArithmetic(operator, Number(left), Number(right), type);
  }
  if (type.kind !== 'integer') return absent('unsupported', `"${operator}" of these types`);
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

function floatArithmetic(
  operator: ArithmeticOperator,
  left: number,
  right: number,
  type: Numeric,
): number | Absent {
  if (type.kind !== 'float' || type.format === 'x87') {
    return absent('unsupported', `"${operator}" of long double values`);
  }
  let result: number;
  if (operator === '+') result = left + right;
  else if (operator === '-') result = left - right;
  else if (operator === '*') result = left * right;
  else if (operator === '/') result = left / right;
  else return absent('unsupported', `"${operator}" of floating values`);
  // Rounding the double result of two float32 operands again gives the float32 result exactly (Figueroa 1995).
  return type.format === 'float32' ? Math.fround(result) : result;
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
  switch (operator) {
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
  }
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
  return decodeX87(view);
}

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

const x87Infinity = 0x7fff;
const integerBit = 1n << 63n;

/** Ten bytes: 64-bit significand with an explicit integer bit, 15-bit exponent, sign (Intel SDM 1 4.2.2). */
function decodeX87(view: DataView): number | Absent {
  const significand = view.getBigUint64(0, true);
  const high = view.getUint16(8, true);
  const sign = (high & 0x8000) === 0 ? 1 : -1;
  const exponent = high & 0x7fff;
  if (exponent === x87Infinity) return significand === integerBit ? sign * Infinity : NaN;
  if (significand === 0n) {
    if (exponent !== 0) return NaN;
    return sign < 0 ? -0 : 0;
  }
  if (exponent !== 0 && (significand & integerBit) === 0n) return NaN;
  const power = (exponent === 0 ? 1 : exponent) - 16383 - 63;
  const number = Number(significand);
  // Scaled in two steps, so that neither factor overflows where the result does not.
  const half = Math.trunc(power / 2);
  const value = number * 2 ** half * 2 ** (power - half);
  const exact =
    BigInt(number) === significand && Number.isFinite(value) && scaledExactly(number, value, power);
  return exact ? sign * value : inexact;
}

function scaledExactly(number: number, value: number, power: number): boolean {
  if (value === 0) return false;
  const half = Math.trunc(power / 2);
  return value / 2 ** (power - half) / 2 ** half === number;
}

/** As many bytes as the type has; `size` of a long double counts its padding. */
export function encodeScalar(value: Scalar, type: Numeric, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  if (type.kind === 'integer') {
    let rest = BigInt.asUintN(size * 8, typeof value === 'bigint' ? value : BigInt(value));
    for (let i = 0; i < size; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  } else if (type.format === 'float32') view.setFloat32(0, Number(value), true);
  else if (type.format === 'float64') view.setFloat64(0, Number(value), true);
  else encodeX87(Number(value), view);
  return bytes;
}

function encodeX87(value: number, view: DataView): void {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  if (Number.isNaN(value) || !Number.isFinite(value)) {
    view.setBigUint64(0, Number.isNaN(value) ? 3n << 62n : integerBit, true);
    view.setUint16(8, sign | x87Infinity, true);
    return;
  }
  const double = new DataView(new ArrayBuffer(8));
  double.setFloat64(0, Math.abs(value));
  const bits = double.getBigUint64(0);
  const fraction = bits & ((1n << 52n) - 1n);
  const exponent = Number(bits >> 52n);
  if (bits === 0n) {
    view.setUint16(8, sign, true);
    return;
  }
  let significand = exponent === 0 ? fraction << 11n : integerBit | (fraction << 11n);
  let power = (exponent === 0 ? 1 : exponent) - 1023 + 16383;
  while ((significand & integerBit) === 0n) {
    significand <<= 1n;
    power--;
  }
  view.setBigUint64(0, significand, true);
  view.setUint16(8, sign | power, true);
}
