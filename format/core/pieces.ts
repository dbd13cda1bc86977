/**
 * Captured ranges overlap: a local lies in the stack window, two pointers lead to one object. A core has each byte once, so
 * ranges are cut into disjoint pieces; where two disagree in trustworthiness the better one wins, else the first.
 */
import type { CapturedRange } from '../capture.js';
import { provenanceRank } from '../memory.js';

/** Disjoint, ascending; the bytes are views of the ranges'. */
export function cutPieces(ranges: readonly CapturedRange[]): CapturedRange[] {
  const pieces: CapturedRange[] = [];
  const byTrust = ranges.toSorted((a, b) => provenanceRank[a.provenance] - provenanceRank[b.provenance]);
  for (const range of byTrust) insert(pieces, range);
  return pieces;
}

function insert(pieces: CapturedRange[], range: CapturedRange): void {
  let at = firstEndingAfter(pieces, endOfPiece, range.address);
  let start = range.address;
  const end = range.address + BigInt(range.bytes.length);
  while (start < end) {
    const next = pieces[at];
    const gapEnd = next === undefined || next.address > end ? end : next.address;
    if (gapEnd > start) {
      pieces.splice(at, 0, cut(range, start, gapEnd));
      at += 1;
    }
    if (next === undefined || next.address >= end) return;
    start = next.address + BigInt(next.bytes.length);
    at += 1;
  }
}

function cut(range: CapturedRange, start: bigint, end: bigint): CapturedRange {
  const bytes = range.bytes.subarray(Number(start - range.address), Number(end - range.address));
  return { ...range, address: start, bytes };
}

/** Index of the first item (ascending, disjoint) that ends above an address; the length when none does. */
export function firstEndingAfter<T>(
  items: readonly T[],
  endOf: (item: T) => bigint,
  address: bigint,
): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = items[middle];
    if (item !== undefined && endOf(item) <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first address after a range. */
export function endOfRange(range: { readonly address: bigint; readonly length: number }): bigint {
  return range.address + BigInt(range.length);
}

function endOfPiece(piece: CapturedRange): bigint {
  return piece.address + BigInt(piece.bytes.length);
}
