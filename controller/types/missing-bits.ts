/** Objects of which some bits are not known: the compiler kept the others in pieces. What is there is shown, and nothing else. */
import type { Absent } from '../../format/absent.js';

/** Bits counted from the least significant one of the first byte; `end` is the first that is known again. */
export interface MissingBits {
  readonly start: number;
  readonly end: number;
  readonly absent: Absent;
}

/** Why a stretch of bits cannot be read; undefined when all of it is known. */
export function missingIn(
  missing: readonly MissingBits[] | undefined,
  start: number,
  end: number,
): Absent | undefined {
  return missing?.find((each) => each.start < end && each.end > start)?.absent;
}

/** As seen from a part of the object; undefined when all of the part is known. */
export function missingOfPart(
  missing: readonly MissingBits[] | undefined,
  offsetBytes: number,
  sizeBytes: number,
): readonly MissingBits[] | undefined {
  const [from, to] = [offsetBytes * 8, (offsetBytes + sizeBytes) * 8];
  const inside = missing?.filter((each) => each.start < to && each.end > from);
  if (inside === undefined || inside.length === 0) return undefined;
  return inside.map(({ start, end, absent }) => ({ start: start - from, end: end - from, absent }));
}
