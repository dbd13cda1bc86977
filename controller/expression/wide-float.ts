/**
 * Floats that are wider than JavaScript's numbers, exactly as the target computes them: x87's 64 bits of significand and IEEE 754's binary128.
 * Each operation is done on integers without loss and rounded once, to the nearest, ties to even.
 */
import type { FloatFormat } from '../types/float.js';

export const x87: FloatFormat = { precision: 64, exponentBits: 15, explicitLeadingBit: true };
export const binary128: FloatFormat = { precision: 113, exponentBits: 15, explicitLeadingBit: false };
const binary64: FloatFormat = { precision: 53, exponentBits: 11, explicitLeadingBit: false };
export const binary32: FloatFormat = { precision: 24, exponentBits: 8, explicitLeadingBit: false };

export type WideOperator = '+' | '-' | '*' | '/';

export class WideFloat {
  readonly kind: 'finite' | 'infinity' | 'nan';
  readonly negative: boolean;
  /** The value is `significand * 2^exponent`; odd, or 0 with an exponent of 0. */
  readonly significand: bigint;
  readonly exponent: number;

  private constructor(
    kind: WideFloat['kind'],
    negative: boolean,
    significand: bigint = 0n,
    exponent: number = 0,
  ) {
    this.kind = kind;
    this.negative = negative;
    this.significand = significand;
    this.exponent = exponent;
  }

  static readonly nan: WideFloat = new WideFloat('nan', false);

  static infinity(negative: boolean): WideFloat {
    return new WideFloat('infinity', negative);
  }

  /** Exact: what a format cannot hold is rounded by {@link rounded}. */
  static finite(negative: boolean, significand: bigint, exponent: number): WideFloat {
    if (significand === 0n) return new WideFloat('finite', negative);
    const zeros = trailingZeros(significand);
    return new WideFloat('finite', negative, significand >> BigInt(zeros), exponent + zeros);
  }

  /** Exact, as a float or an integer of any width is a sum of powers of two. */
  static from(value: number | bigint): WideFloat {
    if (typeof value === 'bigint') return WideFloat.finite(value < 0n, value < 0n ? -value : value, 0);
    if (Number.isNaN(value)) return WideFloat.nan;
    const negative = value < 0 || Object.is(value, -0);
    if (!Number.isFinite(value)) return WideFloat.infinity(negative);
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, Math.abs(value));
    const bits = view.getBigUint64(0);
    const biased = Number(bits >> 52n);
    const fraction = BigInt.asUintN(52, bits);
    return WideFloat.finite(
      negative,
      biased === 0 ? fraction : fraction | (1n << 52n),
      Math.max(1, biased) - 1075,
    );
  }

  /** `1.25e-3` as C reads it in a format: rounded once. Undefined for exponents that are beyond every format. */
  static parse(decimal: string, format: FloatFormat): WideFloat | undefined {
    const match = /^(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(decimal);
    if (match === null) return undefined;
    const [, whole = '', fraction = '', power = '0'] = match;
    const scale = Number(power) - fraction.length;
    if (Math.abs(scale) > maxDecimalScale || whole.length + fraction.length > maxDecimalScale)
      return undefined;
    const digits = BigInt(`${whole}${fraction}` || '0');
    if (scale >= 0) return WideFloat.finite(false, digits * 10n ** BigInt(scale), 0).rounded(format);
    return quotient(WideFloat.from(digits), WideFloat.from(10n ** BigInt(-scale)), format);
  }

  /** Undefined for patterns that are no numbers (x87 only: the processor refuses them as operands). */
  static decode(bytes: Uint8Array, format: FloatFormat): WideFloat | undefined {
    const storedBits = storedBitsOf(format);
    const raw = integerOf(bytes.subarray(0, Math.ceil((storedBits + format.exponentBits + 1) / 8)));
    const fraction = BigInt.asUintN(storedBits, raw);
    const biased = Number(BigInt.asUintN(format.exponentBits, raw >> BigInt(storedBits)));
    const negative = BigInt.asUintN(1, raw >> BigInt(storedBits + format.exponentBits)) === 1n;
    const leading = 1n << BigInt(format.precision - 1);
    if (format.explicitLeadingBit && biased > 0 && fraction < leading) return undefined;
    if (biased === 2 ** format.exponentBits - 1) {
      const isInfinity = BigInt.asUintN(format.precision - 1, fraction) === 0n;
      return isInfinity ? WideFloat.infinity(negative) : WideFloat.nan;
    }
    const significand = biased === 0 || format.explicitLeadingBit ? fraction : fraction | leading;
    return WideFloat.finite(negative, significand, Math.max(biased, 1) - biasOf(format));
  }

  /** `size` bytes, what a format has beyond its own as zeros. The value must be one of the format: {@link rounded}. */
  encode(format: FloatFormat, size: number): Uint8Array {
    const storedBits = BigInt(storedBitsOf(format));
    const leading = 1n << BigInt(format.precision - 1);
    const maxBiased = 2n ** BigInt(format.exponentBits) - 1n;
    let biased = 0n;
    let fraction = 0n;
    if (this.kind !== 'finite') {
      biased = maxBiased;
      fraction = leading | (this.kind === 'nan' ? leading >> 1n : 0n);
    } else if (this.significand !== 0n) {
      const top = this.exponent + bitLength(this.significand) - format.precision;
      const exponent = Math.max(top, 1 - biasOf(format));
      fraction = this.significand << BigInt(this.exponent - exponent);
      biased = fraction < leading ? 0n : BigInt(exponent + biasOf(format));
    }
    let raw = BigInt.asUintN(storedBitsOf(format), fraction) | (biased << storedBits);
    if (this.negative) raw |= 1n << (storedBits + BigInt(format.exponentBits));
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++, raw >>= 8n) bytes[i] = Number(raw & 0xffn);
    return bytes;
  }

  /** The nearest value of a format, ties to even; beyond its range infinity. */
  rounded(format: FloatFormat): WideFloat {
    if (this.kind !== 'finite' || this.significand === 0n) return this;
    const length = bitLength(this.significand);
    const smallest = 1 - biasOf(format);
    const target = Math.max(this.exponent + length - format.precision, smallest);
    let { significand, exponent } = this;
    if (exponent < target) {
      significand = shiftedDown(significand, target - exponent);
      exponent = target;
    }
    const result = WideFloat.finite(this.negative, significand, exponent);
    const highest = 2 ** format.exponentBits - 2 - biasOf(format) + format.precision;
    const top = result.exponent + bitLength(result.significand);
    return result.significand !== 0n && top > highest ? WideFloat.infinity(this.negative) : result;
  }

  negate(): WideFloat {
    return this.kind === 'nan'
      ? this
      : new WideFloat(this.kind, !this.negative, this.significand, this.exponent);
  }

  /** Rounded to a double, or to a float32. */
  toNumber(format: 'binary64' | 'binary32' = 'binary64'): number {
    if (this.kind === 'nan') return NaN;
    const near = this.rounded(format === 'binary64' ? binary64 : binary32);
    const sign = near.negative ? -1 : 1;
    if (near.kind === 'infinity') return sign * Infinity;
    // Scaled in two steps, so that neither factor overflows where the result does not.
    const half = Math.trunc(near.exponent / 2);
    return sign * Number(near.significand) * 2 ** half * 2 ** (near.exponent - half);
  }

  /** Towards zero; undefined for what is no number. */
  toInteger(): bigint | undefined {
    if (this.kind !== 'finite') return undefined;
    const magnitude =
      this.exponent >= 0
        ? this.significand << BigInt(this.exponent)
        : this.significand >> BigInt(-this.exponent);
    return this.negative ? -magnitude : magnitude;
  }

  get isZero(): boolean {
    return this.kind === 'finite' && this.significand === 0n;
  }

  /** For messages. */
  toString(): string {
    return String(this.toNumber());
  }
}

/** Of two values of a format one of the format. */
export function wideArithmetic(
  operator: WideOperator,
  left: WideFloat,
  right: WideFloat,
  format: FloatFormat,
): WideFloat {
  if (left.kind === 'nan' || right.kind === 'nan') return WideFloat.nan;
  switch (operator) {
    case '-':
      return sum(left, right.negate(), format);
    case '+':
      return sum(left, right, format);
    case '*':
      return product(left, right, format);
    case '/':
      return quotient(left, right, format);
  }
}

/** Below, equal, above; undefined where one is no number. */
export function compareWide(left: WideFloat, right: WideFloat): number | undefined {
  if (left.kind === 'nan' || right.kind === 'nan') return undefined;
  if (left.isZero && right.isZero) return 0;
  const [a, b] = [signOf(left), signOf(right)];
  if (a !== b) return a < b ? -1 : 1;
  if (left.kind === 'infinity' || right.kind === 'infinity') {
    if (left.kind === right.kind) return 0;
    return left.kind === 'infinity' ? a : -a;
  }
  const [x, y] = aligned(left, right);
  return x === y ? 0 : x < y ? -1 : 1;
}

const maxDecimalScale = 10_000;

function sum(left: WideFloat, right: WideFloat, format: FloatFormat): WideFloat {
  if (left.kind === 'infinity') {
    return right.kind === 'infinity' && right.negative !== left.negative ? WideFloat.nan : left;
  }
  if (right.kind === 'infinity') return right;
  if (left.isZero && right.isZero) return WideFloat.finite(left.negative && right.negative, 0n, 0);
  const [x, y] = aligned(left, right);
  const total = x + y;
  const exponent = Math.min(exponentOf(left), exponentOf(right));
  return WideFloat.finite(total < 0n, total < 0n ? -total : total, exponent).rounded(format);
}

function product(left: WideFloat, right: WideFloat, format: FloatFormat): WideFloat {
  const negative = left.negative !== right.negative;
  if (left.kind === 'infinity' || right.kind === 'infinity') {
    return left.isZero || right.isZero ? WideFloat.nan : WideFloat.infinity(negative);
  }
  const significand = left.significand * right.significand;
  return WideFloat.finite(negative, significand, left.exponent + right.exponent).rounded(format);
}

function quotient(left: WideFloat, right: WideFloat, format: FloatFormat): WideFloat {
  const negative = left.negative !== right.negative;
  if (left.kind === 'infinity')
    return right.kind === 'infinity' ? WideFloat.nan : WideFloat.infinity(negative);
  if (right.kind === 'infinity') return WideFloat.finite(negative, 0n, 0);
  if (right.isZero) return left.isZero ? WideFloat.nan : WideFloat.infinity(negative);
  // Two bits more than the format has; what is left of the division decides ties.
  const wanted = format.precision + 2 + bitLength(right.significand) - bitLength(left.significand);
  const shift = Math.max(0, wanted);
  const dividend = left.significand << BigInt(shift);
  const whole = dividend / right.significand;
  const isExact = whole * right.significand === dividend;
  // NB: an odd last bit more keeps what is inexact from ever looking like a tie, also in a subnormal result.
  const significand = isExact ? whole << 1n : (whole << 1n) | 1n;
  return WideFloat.finite(negative, significand, left.exponent - right.exponent - shift - 1).rounded(format);
}

/** Both as integers of one exponent, with their signs. */
function aligned(left: WideFloat, right: WideFloat): [bigint, bigint] {
  const exponent = Math.min(exponentOf(left), exponentOf(right));
  const scaled = (value: WideFloat): bigint => {
    const magnitude = value.isZero ? 0n : value.significand << BigInt(value.exponent - exponent);
    return value.negative ? -magnitude : magnitude;
  };
  return [scaled(left), scaled(right)];
}

/** A zero has none, and must not widen what it is added to. */
function exponentOf(value: WideFloat): number {
  return value.isZero ? Infinity : value.exponent;
}

function signOf(value: WideFloat): number {
  if (value.isZero) return 0;
  return value.negative ? -1 : 1;
}

function shiftedDown(significand: bigint, by: number): bigint {
  const lost = BigInt(by);
  const kept = significand >> lost;
  const rest = significand - (kept << lost);
  const half = 1n << (lost - 1n);
  const up = rest > half || (rest === half && (kept & 1n) === 1n);
  return up ? kept + 1n : kept;
}

function storedBitsOf(format: FloatFormat): number {
  return format.precision - (format.explicitLeadingBit ? 0 : 1);
}

/** Of the exponent of a significand that is read as an integer. */
function biasOf(format: FloatFormat): number {
  return 2 ** (format.exponentBits - 1) - 1 + (format.precision - 1);
}

function integerOf(bytes: Uint8Array): bigint {
  let raw = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) raw = (raw << 8n) | BigInt(bytes[i] ?? 0);
  return raw;
}

function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

function trailingZeros(value: bigint): number {
  const text = value.toString(2);
  return text.length - 1 - text.lastIndexOf('1');
}
