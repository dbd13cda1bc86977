/**
 * A point that covers several processes begins in one of them, its canary; the others are armed when it has borne it for a while. What goes wrong in the
 * meantime (the process ends, the point fails or costs too much) goes wrong in that one only. No I/O, no clock.
 */
import { type CanaryState, otherProcesses } from '../../format/canary-text.js';
import type { ProcessKey } from './delivered.js';

export interface Canary extends ProcessKey {
  /** 0: it is suspended there, and begins anew when it is armed again. */
  readonly untilMs: number;
  /** Where it is armed then. */
  readonly rest: readonly ProcessKey[];
}

export const stateOf = ({ pid, untilMs, rest }: Canary): CanaryState => ({
  pid,
  untilMs,
  waiting: rest.length,
});

/** Why the others are not armed. `what`: happened to it. */
export function canaryFailure({ pid, rest }: Canary, what: string): string {
  return `${what}; not armed in ${otherProcesses(rest.length)}, for process ${pid} was the canary`;
}
