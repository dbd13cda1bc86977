/**
 * The one crossing between bigint and the 64-bit fields of messages.
 * NB: protobufjs writes a raw bigint as 0 without a word; the generated types ask for Long, and only this file makes one.
 */
import LongNumber from 'long';
import type { stillframe } from './generated/stillframe.js';

/** A 64-bit field as generated messages have it. */
export type Long = NonNullable<stillframe.v1.Heartbeat.$Properties['timeMs']>;

const mask32 = 0xffff_ffffn;

/** Modulo 2^64, so that a negative bias is carried as its two's complement. */
export function toLong(value: bigint | number): Long {
  const bits = BigInt.asUintN(64, BigInt(value));
  return LongNumber.fromBits(Number(bits & mask32), Number(bits >> 32n), true);
}

/** 0 for a field that is not set, as proto3 means it. */
export function fromLong(value: Long | null | undefined): bigint {
  if (value === null || value === undefined) return 0n;
  return (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
}

/** For sizes and times, which fit a number; more than 2^53 throws a RangeError. */
export function numberFromLong(value: Long | null | undefined): number {
  const number = Number(fromLong(value));
  if (!Number.isSafeInteger(number))
    throw new RangeError(`64-bit field does not fit a number: ${String(fromLong(value))}`);
  return number;
}
