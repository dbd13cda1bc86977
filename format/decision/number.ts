/** IEEE 754 arithmetic of `float` and `double`, exactly as the machine does it in its usual rounding. */

export type ComparisonOperator = '==' | '!=' | '<' | '<=' | '>' | '>=';
export type FloatOperator = '+' | '-' | '*' | '/';

/** Both operands are of the format, and so is the result. */
export function floatArithmetic(operator: FloatOperator, left: number, right: number, size: 4 | 8): number {
  const result = ofNumbers(operator, left, right);
  // Rounding the double result of two float32 operands again gives the float32 result exactly (Figueroa 1995).
  return size === 4 ? Math.fround(result) : result;
}

function ofNumbers(operator: FloatOperator, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
  }
}

/** What is no number is unequal to all, and neither below nor above. */
export function compareNumbers<T extends number | bigint>(
  operator: ComparisonOperator,
  left: T,
  right: T,
): boolean {
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

/** Rounded once: a detour through double could round twice. */
export function integerToFloat32(value: bigint): number {
  const magnitude = value < 0n ? -value : value;
  const excess = magnitude.toString(2).length - 40;
  if (excess <= 0) return Math.fround(Number(value));
  const lost = BigInt(excess);
  const top = magnitude >> lost;
  const sticky = top << lost === magnitude ? top : top | 1n;
  const rounded = Math.fround(Number(sticky)) * 2 ** excess;
  return Math.fround(value < 0n ? -rounded : rounded);
}

/** Towards zero; undefined for what is no number. */
export function integerOfNumber(value: number): bigint | undefined {
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : undefined;
}

/** The float that 32 or 64 bits are. */
export function floatOfBits(bits: bigint, size: 4 | 8): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt.asUintN(64, bits), true);
  return size === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
}
