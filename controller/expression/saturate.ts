/** Rust's `as` from floating numbers to integers: what is outside of the range is its nearest end, and what is no number is 0. */
import type { Type } from '../types/type.js';
import { doubleType, intType, type Numeric } from './c-types.js';
import { bounded } from './check-parts.js';
import { constantNode, convert, placeOf } from './convert.js';
import { wholeOf } from './scalar.js';
import type { Typed } from './typed.js';
import { withObject } from './view-node.js';

export function saturated(value: Typed, type: Type, to: Extract<Numeric, { kind: 'integer' }>): Typed {
  if (value.kind === 'constant')
    return convert(constantNode(clamped(value.value, to), type, placeOf(value)), type);
  return bounded(
    withObject(value, (near) => choice(near, type, to)),
    'too many casts of floating numbers within each other',
  );
}

function ends({ size, signed }: Extract<Numeric, { kind: 'integer' }>): readonly [bigint, bigint] {
  const bits = BigInt(size * 8);
  return signed ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n];
}

function choice(value: Typed, type: Type, to: Extract<Numeric, { kind: 'integer' }>): Typed {
  const place = placeOf(value);
  const [low, high] = ends(to);
  const wide = convert(value, doubleType);
  const constant = (bound: bigint): Typed => constantNode(bound, type, place);
  // Both bounds are powers of two, which a double has exactly.
  const isBelow: Typed = {
    kind: 'compare',
    operator: '<=',
    left: wide,
    right: constantNode(Number(low), doubleType, place),
    type: intType,
    ...place,
  };
  const isAbove: Typed = {
    ...isBelow,
    operator: '>=',
    right: constantNode(Number(high + 1n), doubleType, place),
  };
  const isNumber: Typed = { ...isBelow, operator: '==', right: wide };
  const inner = conditional(isAbove, constant(high), convert(value, type), type);
  return conditional(isNumber, conditional(isBelow, constant(low), inner, type), constant(0n), type);
}

function conditional(condition: Typed, whenTrue: Typed, whenFalse: Typed, type: Type): Typed {
  return { kind: 'conditional', condition, whenTrue, whenFalse, type, ...placeOf(condition) };
}

function clamped(value: unknown, to: Extract<Numeric, { kind: 'integer' }>): bigint {
  const [low, high] = ends(to);
  const number = typeof value === 'number' ? value : NaN;
  if (Number.isNaN(number)) return 0n;
  if (number >= Number(high + 1n)) return high;
  return number <= Number(low) ? low : wholeOf(Math.trunc(number));
}
