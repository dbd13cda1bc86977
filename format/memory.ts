import type { Absent } from './absent.js';

/** How a range of memory came to us, and so how far its bytes can be trusted to belong together. */
export const provenances = ['at-hit', 'stopped', 'after-hit', 'racy', 'file'] as const;
export type Provenance = (typeof provenances)[number];

export interface MemoryBytes {
  readonly bytes: Uint8Array;
  /** The weakest provenance of the bytes: `racy` < `after-hit` < `file` < `stopped` < `at-hit`. */
  readonly provenance: Provenance;
}

/** Lower is more trustworthy. */
export const provenanceRank: Readonly<Record<Provenance, number>> = {
  'at-hit': 0,
  stopped: 1,
  file: 2,
  'after-hit': 3,
  racy: 4,
};

/** The provenance of bytes that come from both. */
export function weaker(a: Provenance, b: Provenance): Provenance {
  return provenanceRank[a] >= provenanceRank[b] ? a : b;
}

/**
 * The one seam through which memory of a target is read, live or from a core: all of `length` bytes, or
 * absent with the first missing address. It never pads.
 */
export interface MemoryReader {
  read(address: bigint, length: number): MemoryBytes | Absent;
}
