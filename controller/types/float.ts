/**
 * Floating-point numbers of every width that C compilers for x86-64 lay out, as the shortest decimal that reads back the
 * same in that width (Steele and White, "How to print floating-point numbers accurately", with exact integers).
 */

export interface FloatFormat {
  /** Bits of the significand, the leading one included. */
  readonly precision: number;
  readonly exponentBits: number;
  /** x87 stores the leading one. */
  readonly explicitLeadingBit: boolean;
}

const half: FloatFormat = { precision: 11, exponentBits: 5, explicitLeadingBit: false };
const bfloat: FloatFormat = { precision: 8, exponentBits: 8, explicitLeadingBit: false };
const single: FloatFormat = { precision: 24, exponentBits: 8, explicitLeadingBit: false };
const double: FloatFormat = { precision: 53, exponentBits: 11, explicitLeadingBit: false };
const extended: FloatFormat = { precision: 64, exponentBits: 15, explicitLeadingBit: true };
const quadruple: FloatFormat = { precision: 113, exponentBits: 15, explicitLeadingBit: false };

/** DWARF tells widths only, and three formats share two of them: the name decides, as in gdb. */
export function floatFormat(name: string, byteSize: number): FloatFormat | undefined {
  switch (byteSize) {
    case 2:
      return /bf16|bfloat/i.test(name) ? bfloat : half;
    case 4:
      return single;
    case 8:
      return double;
    case 10:
    case 12:
      return extended;
    case 16:
      return /128/.test(name) ? quadruple : extended;
    default:
      return undefined;
  }
}

/** The shortest decimal, or `inf`, `-inf`, `nan`; undefined for bit patterns that are not numbers (x87 only). */
export function floatToDecimal(bytes: Uint8Array, format: FloatFormat): string | undefined {
  let raw = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) raw = (raw << 8n) | BigInt(bytes[i] ?? 0);

  const storedBits = format.precision - (format.explicitLeadingBit ? 0 : 1);
  const fraction = BigInt.asUintN(storedBits, raw);
  const biased = Number(BigInt.asUintN(format.exponentBits, raw >> BigInt(storedBits)));
  const negative = BigInt.asUintN(1, raw >> BigInt(storedBits + format.exponentBits)) === 1n;
  const sign = negative ? '-' : '';
  const maxBiased = 2 ** format.exponentBits - 1;
  const leading = 1n << BigInt(format.precision - 1);

  // Pseudo-infinities, pseudo-NaNs and unnormals: the processor refuses them as operands (Intel SDM volume 1, 8.2.2).
  if (format.explicitLeadingBit && biased > 0 && fraction < leading) return undefined;
  if (biased === maxBiased) {
    const payload = BigInt.asUintN(format.precision - 1, fraction);
    return payload === 0n ? `${sign}inf` : 'nan';
  }
  const significand = biased === 0 || format.explicitLeadingBit ? fraction : fraction | leading;
  if (significand === 0n) return `${sign}0`;

  const bias = 2 ** (format.exponentBits - 1) - 1 + (format.precision - 1);
  const exponent = Math.max(biased, 1) - bias;
  // Just above a power of two, the next number below is only half as far away.
  const narrowBelow = significand === leading && biased > 1;
  const { digits, point } = shortestDigits(significand, exponent, narrowBelow);
  return sign + layOut(digits, point);
}

/** Digits of `significand * 2^exponent`, and where the decimal point stands: value = 0.DIGITS * 10^point. */
function shortestDigits(
  significand: bigint,
  exponent: number,
  narrowBelow: boolean,
): { digits: string; point: number } {
  const inclusive = significand % 2n === 0n;
  // All scaled by 4, so that half of the smallest gap is a whole number.
  let rest = significand * 4n;
  let below = narrowBelow ? 1n : 2n;
  let above = 2n;
  let unit = 4n;
  if (exponent >= 0) {
    rest <<= BigInt(exponent);
    below <<= BigInt(exponent);
    above <<= BigInt(exponent);
  } else {
    unit <<= BigInt(-exponent);
  }

  let point = Math.ceil((significand.toString(2).length + exponent - 1) * Math.log10(2) - 1e-9);
  if (point >= 0) {
    unit *= 10n ** BigInt(point);
  } else {
    const scale = 10n ** BigInt(-point);
    rest *= scale;
    below *= scale;
    above *= scale;
  }
  if (inclusive ? rest + above >= unit : rest + above > unit) {
    point++;
  } else {
    rest *= 10n;
    below *= 10n;
    above *= 10n;
  }

  let digits = '';
  for (;;) {
    const digit = rest / unit;
    rest %= unit;
    const low = inclusive ? rest <= below : rest < below;
    const high = inclusive ? rest + above >= unit : rest + above > unit;
    if (low || high) {
      const twice = rest * 2n;
      // A tie goes to the even digit, as in ECMAScript's engines.
      const nearerUp = twice > unit || (twice === unit && digit % 2n === 1n);
      const up = high && (!low || nearerUp);
      return { digits: digits + (up ? digit + 1n : digit).toString(), point };
    }
    digits += digit.toString();
    rest *= 10n;
    below *= 10n;
    above *= 10n;
  }
}

/** As ECMAScript writes numbers: positional between 1e-7 and 1e21, with an exponent outside. */
function layOut(digits: string, point: number): string {
  if (point > 21 || point <= -6) {
    const tail = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const exponent = point - 1;
    return `${digits.slice(0, 1)}${tail}e${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`;
  }
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
  if (digits.length <= point) return digits + '0'.repeat(point - digits.length);
  return `${digits.slice(0, point)}.${digits.slice(point)}`;
}
