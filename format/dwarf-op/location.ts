/** Where an object is, as a DWARF location description says (DWARF5 2.6). */
import type { Absent } from '../absent.js';

export type Location =
  | { readonly kind: 'memory'; readonly address: bigint }
  | { readonly kind: 'register'; readonly register: number }
  /** DW_OP_stack_value: the object has no address; its value, as many little-endian bytes as the operation's type has (8 for the generic type). */
  | { readonly kind: 'value'; readonly bytes: Uint8Array }
  /** DW_OP_implicit_value. */
  | { readonly kind: 'implicit'; readonly bytes: Uint8Array }
  /** DW_OP_implicit_pointer: a pointer to something that is not in memory; `die` is a `.debug_info` offset. */
  | { readonly kind: 'implicit-pointer'; readonly die: number; readonly offset: bigint }
  | { readonly kind: 'pieces'; readonly pieces: readonly LocationPiece[] }
  /** The empty location description: optimised out. */
  | { readonly kind: 'empty' };

export interface LocationPiece {
  readonly bitSize: number;
  /** Offset within the piece's own location, for DW_OP_bit_piece. */
  readonly bitOffset: number;
  readonly location: Exclude<Location, { kind: 'pieces' }> | Absent;
}
