/**
 * Call frame information of one module, from `.eh_frame` and `.debug_frame` (DWARF5 6.4; LSB 10.6 for `.eh_frame`).
 */
import type { Absent } from '../../format/absent.js';
import type { LinkAddress } from '../../format/address.js';

export interface CallFrameTable {
  /** The row of the table that covers an address; absent `unwind-failed` when none does or the bytes are bad. */
  findRow(address: LinkAddress): CallFrameRow | Absent;
}

export interface CallFrameRow {
  /** How the CFA is computed from the registers of this frame. */
  readonly cfa:
    | { readonly kind: 'register'; readonly register: number; readonly offset: bigint }
    | { readonly kind: 'expression'; readonly expression: Uint8Array };
  /** Rules by DWARF register number; a register that is not in the map has no rule. */
  readonly rules: ReadonlyMap<number, RegisterRule>;
  readonly returnAddressRegister: number;
  /** Augmentation `S`: the frame was entered by a signal, so its pc is exact, not one past a call. */
  readonly signalFrame: boolean;
  /** AArch64: the return address carries a signature (AADWARF64 5.1). */
  readonly returnAddressSigned?: boolean;
}

export type RegisterRule =
  | { readonly kind: 'undefined' }
  | { readonly kind: 'same-value' }
  | { readonly kind: 'offset'; readonly offset: bigint }
  | { readonly kind: 'value-offset'; readonly offset: bigint }
  | { readonly kind: 'register'; readonly register: number }
  | { readonly kind: 'expression'; readonly expression: Uint8Array }
  | { readonly kind: 'value-expression'; readonly expression: Uint8Array };
