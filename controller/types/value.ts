/** A typed thing in (or computed from) a target: what expressions work on and what `render` shows. */
import type { Absent } from '../../format/absent.js';
import type { Provenance } from '../../format/memory.js';
import type { MissingBits } from './missing-bits.js';
import type { Type } from './type.js';

export interface Value {
  readonly type: Type;
  readonly place: Place;
  /** Set for a bit field: counted from the place's first byte, least significant bit first. */
  readonly bits?: { readonly offset: number; readonly size: number };
}

export type Place =
  /** An object in memory; its bytes are read when they are wanted. */
  | { readonly kind: 'memory'; readonly address: bigint }
  /**
   * Bytes without an address: a register, a constant, a result of arithmetic. As long as the type. `missing`: bits that are not known,
   * of an object in pieces; they are zero in `bytes`, and whoever takes them for a value shows a false one.
   */
  | {
      readonly kind: 'bytes';
      readonly bytes: Uint8Array;
      readonly provenance?: Provenance;
      readonly missing?: readonly MissingBits[];
    }
  | { readonly kind: 'absent'; readonly absent: Absent };
