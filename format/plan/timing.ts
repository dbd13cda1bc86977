/**
 * What a plan needs to know how long functions took whose returns are its sites: where they are entered. Each entry notes the time under the place
 * in the stack where the function will find its return address; the return that finds its own note there has the time. One that finds none
 * (it was entered before the point was armed, or the note had to make room) has no time, and expressions that ask for it fault.
 */
export interface PlanTiming {
  readonly entries: readonly PlanEntry[];
  /**
   * What stays the same while a function runs. `stack`: the address of that place. `goroutine`: the goroutine and how far down its stack it is, for Go moves
   * stacks; r14 is the goroutine at entries and returns, and its second word the end of its stack.
   */
  readonly key: 'stack' | 'goroutine';
}

export interface PlanEntry {
  /** Where nothing is pushed yet, so that rsp is what it is at the return. */
  readonly linkAddress: bigint;
  readonly fileOffset: number;
  readonly function: string;
}

/** The register that expressions of such a plan have more than others: nanoseconds since the entry, as DW_OP_bregx. */
export const durationRegister = 128;
