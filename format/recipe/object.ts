/** What a recipe is computed over: an object without its type, of which the bytes are known already, or an address to read them from. */
import type { Absent } from '../absent.js';

export interface RecipeObject {
  readonly address?: bigint;
  readonly bytes?: Uint8Array;
  /** Bits of `bytes` that are not known, in order. */
  readonly gaps?: readonly UnknownBits[];
  /** Why nothing of it is known. */
  readonly absent?: Absent;
}

/** Bits of an object that are nowhere: from `start` up to `end`, least significant first. */
export interface UnknownBits {
  readonly start: number;
  readonly end: number;
  readonly absent: Absent;
}

export interface MissingBits<G extends UnknownBits> {
  readonly gap: G;
  readonly absent: Absent;
  /** That all of the bits are missing, and not only some of them. */
  readonly isAll: boolean;
}

/** Why a scalar of bits `start` up to `end` cannot be read: all of its bits must be there. */
export function firstMissing<G extends UnknownBits>(
  gaps: readonly G[] | undefined,
  start: number,
  end: number,
): MissingBits<G> | undefined {
  const gap = gaps?.find((each) => each.start < end && each.end > start);
  if (gap === undefined) return undefined;
  const isAll = gap.start <= start && gap.end >= end;
  const { absent } = gap;
  return {
    gap,
    isAll,
    absent: isAll ? absent : { ...absent, detail: `a part of it is missing: ${absent.detail}` },
  };
}
