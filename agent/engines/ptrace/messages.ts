/** What the tracer's main thread and a thread that traces one process say to each other. */
import type { Capture } from '../../../format/capture.js';
import type { Plan } from '../../../format/plan/plan.js';
import type { CopyRequest } from '../fork/copy.js';
import type { NowRequest, PointEnd } from '../engine.js';
import type { WireError } from '../wire-error.js';

export interface PointSpec {
  readonly pointId: string;
  readonly plan: Plan;
  /** Runtime addresses, one for each site of the plan. */
  readonly addresses: readonly bigint[];
  readonly countOnly: boolean;
  readonly maxHits: number;
  readonly minIntervalNs: bigint;
  /** Whether `int3` may be written where hardware breakpoints cannot be had. */
  readonly allowSoftware: boolean;
  /** {@link counterSlots} 64-bit counters, shared with the main thread. */
  readonly counters: SharedArrayBuffer;
}

/** The order of counters in {@link PointSpec.counters}. */
export const counterSlots = [
  'hits',
  'conditionFalse',
  'faults',
  'dropped',
  'delivered',
  'stoppedNs',
  'limited',
] as const;
export type CounterSlot = (typeof counterSlots)[number];
/** Where each counter is. */
export const slotNumbers = Object.fromEntries(counterSlots.map((slot, i) => [slot, i])) as Readonly<
  Record<CounterSlot, number>
>;

export type Command =
  | { readonly id: number; readonly command: 'probe' }
  | { readonly id: number; readonly command: 'now'; readonly request: NowRequest }
  /** Answered by a `Copied`; the twin lives for as long as the thread. */
  | { readonly id: number; readonly command: 'copy'; readonly request: CopyRequest }
  | { readonly id: number; readonly command: 'arm'; readonly spec: PointSpec }
  | { readonly id: number; readonly command: 'disarm'; readonly pointId: string }
  /** Ends the thread; the kernel then lets go of all that it traces, without stopping it. */
  | { readonly id: number; readonly command: 'stop' };

export type Report =
  | { readonly kind: 'reply'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError }
  /** `timeNs` of the capture is CLOCK_MONOTONIC here. */
  | { readonly kind: 'hit'; readonly pointId: string; readonly capture: Capture }
  | { readonly kind: 'ended'; readonly pointId: string; readonly reason: PointEnd };

export interface ThreadData {
  readonly pid: number;
  /** A child process that rings when a command waits: see thread.ts. */
  readonly doorbell: number;
  /** The folder of the journal of software breakpoints. */
  readonly journal: string;
}
