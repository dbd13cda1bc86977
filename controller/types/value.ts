/** A typed thing in (or computed from) a target: what expressions work on and what `render` shows. */
import type { Absent } from '../../format/absent.js';
import type { Provenance } from '../../format/memory.js';
import type { UnknownBits } from '../../format/recipe/object.js';
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
  /** Bytes without an address: a register, a constant, a result of arithmetic. As long as the type. */
  | {
      readonly kind: 'bytes';
      readonly bytes: Uint8Array;
      readonly provenance?: Provenance;
      /** What of them is not known, in order: nobody may look at those bits. */
      readonly gaps?: readonly Gap[];
    }
  | { readonly kind: 'absent'; readonly absent: Absent; readonly pointee?: Pointee };

/** Of a pointer to what is not in memory: where the object is all the same. */
export type Pointee = () => Place;

export interface Gap extends UnknownBits {
  readonly pointee?: Pointee;
}
