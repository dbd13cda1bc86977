/** What an agent says, freed of the wire: bigint for 64-bit values, undefined for what is not there. */
import type { CanaryState } from '../../format/canary-text.js';
import type { PointTerms } from '../../format/point-terms.js';
import type { EngineName } from '../../format/capture.js';
import type { AggregateTotals } from '../../format/plan/aggregate.js';
import type { PointPhase } from '../store/store.js';

export interface AgentFacts {
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  readonly bootId: string;
  readonly pidNamespace: string;
  readonly kernel: string;
  readonly architecture: string;
  readonly uid: number;
}

export interface AgentTarget {
  readonly pid: number;
  readonly comm: string;
  readonly args: readonly string[];
  readonly uid: number;
  readonly executable: string;
  readonly buildId: string;
  readonly unit: string;
  readonly container: string;
  readonly service: string;
  readonly startTicks: bigint;
  readonly startTimeMs: number;
  /** Why it cannot be looked into; empty when it can. */
  readonly refusal: string;
}

export interface AgentModule {
  readonly path: string;
  readonly buildId: string;
  readonly start: bigint;
  readonly end: bigint;
  readonly bias: bigint;
  readonly deleted: boolean;
}

export interface TargetFacts {
  readonly target: AgentTarget;
  readonly modules: readonly AgentModule[];
}

export interface AgentPoint {
  readonly id: string;
  readonly phase: PointPhase;
  readonly engine: string;
  readonly processes: readonly { readonly pid: number; readonly addresses: readonly bigint[] }[];
  readonly counters: AgentCounters;
  readonly why: string;
  /** `hits`, `expired`, `removed`, `target-gone`, `failed`; empty while it lives. */
  readonly end: string;
  readonly location: string;
  readonly condition: string;
  readonly expiresMs: number;
  readonly refusals: readonly string[];
  readonly owner: string;
  readonly note: string;
  /** Nothing is captured. */
  readonly countOnly: boolean;
  /** Of a metric: what its hits add up to. */
  readonly aggregate?: AggregateTotals;
  /** While it is armed in one process before it is in the others. */
  readonly canary?: CanaryState;
  readonly cpuPercent?: number;
}

export interface AgentCounters {
  readonly hits: bigint;
  readonly conditionFalse: bigint;
  readonly faults: bigint;
  readonly dropped: bigint;
  readonly delivered: bigint;
  /** Came too soon after another. */
  readonly limited?: bigint;
  /** It could not be told whether the condition holds, and why not of the last. */
  readonly undecided?: bigint;
  readonly undecidedWhy?: string;
}

export interface EngineStatus {
  readonly engine: string;
  readonly supported: 'yes' | 'no' | 'unknown';
  readonly detail: string;
  readonly remedy: string;
}

export interface Measured {
  readonly engine: string;
  readonly durationMs: number;
  readonly counters: AgentCounters;
}

export interface ArmOrder {
  readonly id: string;
  readonly pids: readonly number[];
  readonly selector: string;
  /** As format/plan/encode.ts writes it. */
  readonly plan: Uint8Array;
  /** Empty: the best. */
  readonly engine: EngineName | '';
  readonly maxHits: number;
  readonly everyProcess: boolean;
  readonly minIntervalNs: bigint;
  readonly expiresMs: number;
  /** The agent removes it when nobody waits for it any more, also when this process is killed. */
  readonly whileConnected: boolean;
  /** Hits are counted, nothing is captured. */
  readonly countOnly: boolean;
  /** Hits are told without an end, and not kept. */
  readonly stream?: boolean;
  readonly terms?: PointTerms;
  readonly owner: string;
  readonly note: string;
}

export interface NowOrder {
  readonly pid: number;
  readonly tids: readonly number[];
  readonly stackBytes: number;
  readonly maxBytes: number;
  readonly engine: EngineName | '';
}

export interface CoreOrder {
  readonly pid: number;
  /** Of memory, holes included. */
  readonly maxBytes: number;
  readonly engine: EngineName | '';
}

export type CoreProgress = (doneBytes: number, totalBytes: number) => void;

export interface MeasureOrder {
  readonly pid: number;
  readonly plan: Uint8Array;
  readonly durationMs: number;
  readonly engine: EngineName | '';
}

/** What an agent looks out for, for as long as the conversation lasts. */
export type WatchOrder = { readonly id: string } & (
  | { readonly kind: 'targets'; readonly selector: string }
  | { readonly kind: 'log'; readonly path: string; readonly pattern: string }
  | {
      readonly kind: 'usage';
      readonly selector: string;
      readonly resource: 'cpu' | 'rss' | 'threads' | 'descriptors';
      readonly above: number;
      readonly forMs: number;
    }
);

/** What a watch saw, or (`state`) why it does not watch; empty when it does again. */
export type WatchEvent = { readonly id: string } & (
  | {
      readonly kind: 'targets';
      readonly appeared: readonly AgentTarget[];
      readonly left: readonly AgentTarget[];
    }
  | { readonly kind: 'log'; readonly timeMs: number; readonly line: string; readonly count: number }
  | { readonly kind: 'usage'; readonly timeMs: number; readonly target: AgentTarget; readonly value: number }
  | { readonly kind: 'state'; readonly detail: string }
);
