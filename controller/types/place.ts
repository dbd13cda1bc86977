/** Parts of places: an object whose pieces are not all there has members that are, and members that are not. */
import { absent, type Absent } from '../../format/absent.js';
import { firstMissing } from '../../format/recipe/object.js';
import type { Gap, Place } from './value.js';

export type KnownBytes = Extract<Place, { kind: 'bytes' }>;
export type AbsentPlace = Extract<Place, { kind: 'absent' }>;

/**
 * Bytes `from` up to `to` of an object that is not in memory. Absent when none of them is known; otherwise they come with what of them
 * is not.
 */
export function partOfBytes(
  whole: Omit<KnownBytes, 'kind'>,
  from: number,
  to: number,
): KnownBytes | AbsentPlace {
  const [start, end] = [from * 8, to * 8];
  const gaps = (whole.gaps ?? []).filter((gap) => gap.start < end && gap.end > start);
  const over = gaps.find((gap) => gap.start <= start && gap.end >= end);
  if (over !== undefined) return absentPlace(over, over.start === start && over.end === end);
  const shifted = gaps.map((gap) => ({
    ...gap,
    start: Math.max(0, gap.start - start),
    end: Math.min(end, gap.end) - start,
  }));
  return {
    kind: 'bytes',
    bytes: whole.bytes.subarray(from, to),
    ...(whole.provenance === undefined ? {} : { provenance: whole.provenance }),
    ...(shifted.length === 0 ? {} : { gaps: shifted }),
  };
}

/** Why a scalar of bits `start` up to `end` cannot be read: all of its bits must be there. */
export function missingBits(
  gaps: readonly Gap[] | undefined,
  start: number,
  end: number,
): AbsentPlace | undefined {
  const missing = firstMissing(gaps, start, end);
  if (missing === undefined) return undefined;
  const { gap } = missing;
  if (missing.isAll) return absentPlace(gap, gap.start === start && gap.end === end);
  return { kind: 'absent', absent: missing.absent };
}

function absentPlace(gap: Gap, isWhole: boolean): AbsentPlace {
  return {
    kind: 'absent',
    absent: gap.absent,
    // A part of a pointer, or more than a pointer, points nowhere.
    ...(gap.pointee === undefined || !isWhole ? {} : { pointee: gap.pointee }),
  };
}

/** The place that lies some bytes further on, for pointers into an object. */
export function placeAt(place: Place, offset: bigint): Place {
  if (offset === 0n) return place;
  if (place.kind === 'memory') return { kind: 'memory', address: BigInt.asUintN(64, place.address + offset) };
  if (place.kind === 'absent') return { kind: 'absent', absent: place.absent };
  if (offset < 0n || offset > BigInt(place.bytes.length)) return outside(place.bytes.length);
  return partOfBytes(place, Number(offset), place.bytes.length);
}

function outside(length: number): AbsentPlace {
  const why: Absent = absent(
    'unsupported',
    `it points outside of the ${length} bytes of an object that is not in memory`,
  );
  return { kind: 'absent', absent: why };
}

/** All bytes of a place that has them; absent when one is missing. */
export function wholeBytes(place: KnownBytes): Uint8Array | Absent {
  return missingBits(place.gaps, 0, place.bytes.length * 8)?.absent ?? place.bytes;
}
