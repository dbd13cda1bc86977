/** How a point is run, beyond where and what it takes. What is not said is as the agent's host has it. */
export interface PointTerms {
  /** Where it covers several processes: so long in one of them, before it is in the others. */
  readonly canaryMs?: number;
  /** Percent of one CPU that its hits may take from the threads that pass, before it is suspended. */
  readonly cpuPercent?: number;
  /** With each hit, the registers and stacks of all other threads, read right after. */
  readonly allThreads?: boolean;
}

/** What the field has settled on. */
export const defaultCanaryMs = 35_000;
export const maxCanaryMs: number = 24 * 3_600_000;

/** Where nothing is said it is left out. */
export function termsPart(terms: PointTerms): { readonly terms?: PointTerms } {
  return Object.keys(terms).length === 0 ? {} : { terms };
}
