/** What the fuzzer and its worker tell each other. */

export interface FuzzOrder {
  readonly target: string;
  readonly folder: string;
  readonly seconds: number;
  readonly seed: number;
  /** Two words: runs so far, bytes of the input at hand; then the input. */
  readonly shared: SharedArrayBuffer;
}

export interface FuzzFinding {
  readonly kind: 'finding';
  readonly bytes: Uint8Array;
  readonly stack: string;
}

export interface FuzzProgress {
  readonly kind: 'progress' | 'done';
  readonly runs: number;
  readonly blocks: number;
  readonly corpus: number;
  readonly slowestMs: number;
}

export const sharedHeadBytes = 8;
export const maxInputBytes: number = 4 << 20;
