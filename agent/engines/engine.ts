/**
 * The one interface of all engines. An engine is a way to run a plan against a process; all give the same bytes
 * for the same state and differ in what they cost the target. Engines live in the tracer and hold kernel objects only through
 * Disposables, so that the death of the tracer leaves nothing behind.
 */
import type { Capture, EngineName, Mapping } from '../../format/capture.js';
import type { AggregateTotals } from '../../format/plan/aggregate.js';
import type { Plan } from '../../format/plan/plan.js';
import type { ProcessMemory } from '../linux/memory.js';
import type { ProgramImages } from '../targets/program-image.js';

/** Three answers: yes, no (with what would allow it), could not tell. Found by trying, never by kernel version. */
export type EngineSupport =
  | { readonly supported: 'yes'; readonly detail: string }
  | { readonly supported: 'no'; readonly detail: string; readonly remedy: string }
  | { readonly supported: 'unknown'; readonly detail: string };

export interface Engine {
  readonly name: EngineName;
  /** Tries the mechanism on this host, for instance on the tracer itself or a child of its own. */
  probe(): Promise<EngineSupport>;
  /** Why this engine cannot run the plan; undefined when it can. Pure: looks at the plan only. */
  refusal(plan: Plan): string | undefined;
  /** Arms a point; undefined for engines without points. Throws and leaves nothing armed when it fails. */
  readonly arm?: (request: ArmRequest, sink: PointSink) => Promise<ArmedPoint>;
  /** All threads, this instant; undefined for engines without it. */
  readonly now?: (request: NowRequest) => Promise<Capture>;
  /** The process as it is this instant, to be read at leisure; undefined for engines without it. */
  readonly copy?: (order: CopyOrder) => Promise<CopiedProcess>;
}

export interface CopyOrder {
  readonly pid: number;
}

/** A copy of a process that stands still. It goes when it is disposed of, and with the tracer. */
export interface CopiedProcess extends AsyncDisposable {
  /** All threads of the process, without memory. */
  readonly capture: Capture;
  /** Of the copy. */
  readonly pid: number;
  /** How long making it took, of the time that the threads stood still. */
  readonly copyNs: number;
  readonly mappings: readonly Mapping[];
  readonly memory: ProcessMemory;
  /** To be called often while it is read: throws, with the copy killed, when it may not stay any longer. */
  checkStay(): void;
}

export interface ArmRequest {
  readonly pointId: string;
  readonly pid: number;
  readonly plan: Plan;
  /** Hits are counted, or added up as the plan says, and none is delivered: the plan's ranges, `maxHits` and `minIntervalNs` are not looked at. */
  readonly countOnly: boolean;
  /** Hits to deliver before the point disarms itself. */
  readonly maxHits: number;
  /** Least time between two delivered hits. */
  readonly minIntervalNs: bigint;
  /** The user named this engine, and so accepts what it risks: the `ptrace` engine patches code only then. */
  readonly forced: boolean;
}

export interface NowRequest {
  readonly pid: number;
  /** Only these threads; empty for all. */
  readonly tids: readonly number[];
  readonly stackBytes: number;
  readonly maxBytes: number;
}

/** Where an armed point reports to. Calls come from the tracer's event loop, never from inside a stop window. */
export interface PointSink {
  hit(capture: Capture): void;
  /** The point ended by itself: hits used up, the process gone, the mechanism lost. With the counters as they were at the end. */
  ended(reason: PointEnd, last: PointCounters): void;
}

export interface PointEnd {
  readonly kind: 'hits' | 'target-gone' | 'failed';
  readonly detail: string;
}

/** Counters as the kernel (or the tracer) holds them now. */
export interface PointCounters {
  /** Threads that passed, whatever the condition said. */
  readonly hits: bigint;
  readonly conditionFalse: bigint;
  /** Reads that failed. Of a point that only counts: hits whose condition could not be decided, so that the others are those that it is about. */
  readonly faults: bigint;
  readonly dropped: bigint;
  readonly delivered: bigint;
  /** CPU time that its hits took from the threads that passed, nanoseconds; undefined where the engine does not measure it. */
  readonly spentNs?: bigint;
  /** Hits that were not delivered, for they came too soon after another. */
  readonly limited?: bigint;
  /** Of a point a part of whose condition is decided on the bytes of a hit: hits of which that could not be told, and why it could not of the last. They are not delivered. */
  readonly undecided?: bigint;
  readonly undecidedWhy?: string;
  /** Of a point in a library: why nobody can pass there now, for it is not loaded; empty where it is. */
  readonly awaited?: string;
  /** Of a plan with an aggregate: each hit that is neither `conditionFalse` nor in `faults` is in it. */
  readonly aggregate?: AggregateTotals;
}

export interface ArmedPoint {
  readonly engine: EngineName;
  /** Addresses that are armed, runtime; none while the library is not loaded. */
  readonly addresses: readonly bigint[];
  /** What the user should know of how it was armed. */
  readonly warning?: string | undefined;
  counters(): PointCounters;
  /**
   * Once a second or so, for little: the point ends itself where its process runs another program by now. Gives what of
   * `counters()` shows that something happened. Engines that hear of such ends leave it out.
   */
  readonly look?: (images: ProgramImages) => Pick<PointCounters, 'hits' | 'awaited'>;
  /** Disarms; resolves when the kernel says that no probe is left. Idempotent. */
  disarm(): Promise<void>;
}
