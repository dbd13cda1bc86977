/**
 * What a plan of a watch looks at: one object of 1, 2, 4 or 8 bytes that lies where it lies until the watch ends. Its address is computed once, when the watch
 * is armed; it and all other expressions of the plan know where the module lies, and `DW_OP_addr` is relative to that, for a write can
 * come from anywhere. The plan has one site, which is no place in code: its address and offset are 0.
 */
export interface PlanWatch {
  /** As the user wrote it. */
  readonly expression: string;
  /** DWARF expression for the address. It reads no registers. */
  readonly address: Uint8Array;
  readonly bytes: 1 | 2 | 4 | 8;
  /** A write of the same value is no hit. */
  readonly onlyChanges: boolean;
}

export const watchBytes = [1, 2, 4, 8] as const;
