/**
 * What the front asks of the tracer, and hears from it. The supervisor implements it over the helper process; tests
 * implement it in memory. All calls reject with StillframeError; `unreachable` when the tracer died meanwhile.
 */
import type { Capture, EngineName, ProcessFacts } from '../../format/capture.js';
import type { Plan } from '../../format/plan/plan.js';
import type { ProcessChanges } from '../targets/process-table.js';
import type { TargetProcess } from '../targets/processes.js';
import type { ProcessUsage } from '../targets/usage.js';
import type { EngineSupport, NowRequest, PointCounters, PointEnd } from '../engines/engine.js';
import type { CoreOrder, MadeCore } from './core.js';
import type { CoreProgress } from './core-file.js';

export type { CoreOrder, MadeCore } from './core.js';
export type { CoreProgress } from './core-file.js';
export type { ProcessChanges } from '../targets/process-table.js';
export type { TargetProcess } from '../targets/processes.js';
export type { ProcessUsage } from '../targets/usage.js';
export type { EngineSupport, NowRequest, PointCounters, PointEnd } from '../engines/engine.js';

export interface TracerClient extends AsyncDisposable {
  /** Tries every engine on this host. */
  probeEngines(): Promise<readonly EngineReport[]>;
  /** Those that fit a selector (TARGET of the command line), or all. Throws `usage`. */
  listTargets(selector?: string): Promise<readonly TargetProcess[]>;
  /**
   * What changed among all processes since the answer with this cursor, cheaply, as soon as something did, at the latest after `waitMs`; 0 for all of them. One
   * caller, again and again.
   */
  pollTargets(cursor: number, waitMs: number): Promise<ProcessChanges>;
  /** What processes use now; those that are gone are left out. */
  usage(request: UsageRequest): Promise<readonly ProcessUsage[]>;
  processFacts(pid: number): Promise<ProcessFacts>;
  /** Arms one process; `engine` undefined: the first in order of preference that is supported and can run the plan. */
  arm(request: TracerArmRequest): Promise<TracerArmed>;
  /** Resolves when the kernel says that no probe is left; the last counters, or undefined when nothing was armed. */
  disarm(pointId: string, pid: number): Promise<PointCounters | undefined>;
  /** Of all that is armed now, for those points. */
  counters(pointIds: readonly string[]): Promise<readonly ProcessCounters[]>;
  now(request: NowRequest & { readonly engine?: EngineName }): Promise<CapturedProcess>;
  /** Writes a whole core to a file. Aborted, it rejects when copy and file are gone. */
  core(order: CoreOrder, progress: CoreProgress, signal?: AbortSignal): Promise<MadeCore>;
  /** Counts hits of the plan's sites and condition, collects nothing. Aborted, it rejects when nothing is armed any more. */
  measure(
    request: MeasureRequest,
    signal?: AbortSignal,
  ): Promise<{ readonly engine: EngineName; readonly counters: PointCounters }>;
  /** Set once, before the first `arm`. */
  listen(listener: TracerListener): void;
}

export interface TracerListener {
  hit(pointId: string, captured: CapturedProcess): void;
  /** `last`: the counters as they were at the end. */
  ended(pointId: string, pid: number, reason: PointEnd, last: PointCounters): void;
  /** Threads passed these points since that was told last: their counters are others by now. At most once a second or so. */
  passed?(pointIds: readonly string[]): void;
  /** The tracer died and a new one runs: nothing is armed any more. */
  restarted(reason: string): void;
}

/** A capture, and what is true of the process as a whole: what the core writer needs. */
export interface CapturedProcess {
  readonly capture: Capture;
  readonly facts: ProcessFacts;
  /** With the pid it names the process for good. */
  readonly startTicks: bigint;
}

export interface EngineReport {
  readonly engine: EngineName;
  readonly support: EngineSupport;
}

export interface UsageRequest {
  readonly pids: readonly number[];
  /** Open descriptors are counted only where they are asked for: it costs more than the rest. */
  readonly descriptors: boolean;
}

export interface ProcessCounters {
  readonly pointId: string;
  readonly pid: number;
  readonly counters: PointCounters;
}

export interface TracerArmRequest {
  readonly pointId: string;
  readonly pid: number;
  /** Of the process that is meant: another one that has the pid by now is refused as `target-gone`. Undefined: whichever has it. */
  readonly startTicks?: bigint;
  readonly plan: Plan;
  readonly engine?: EngineName;
  /** Hits are counted and none is delivered: ranges, `maxHits` and `minIntervalNs` are not looked at. */
  readonly countOnly?: boolean;
  readonly maxHits: number;
  readonly minIntervalNs: bigint;
  /** Each hit brings the other threads of its process, read right after. */
  readonly allThreads?: boolean;
}

export interface TracerArmed {
  readonly engine: EngineName;
  readonly startTicks: bigint;
  /** What the process ran when it was armed: in another program the point means nothing. */
  readonly program: ProgramOfProcess;
  /** None where the library is not loaded yet; `awaited` says so then. */
  readonly addresses: readonly bigint[];
  readonly awaited?: string;
  /** Why better engines were passed over: `uprobe: needs CAP_BPF`. */
  readonly refusals: readonly string[];
}

export type ProgramOfProcess = Pick<TargetProcess, 'executable' | 'buildId'>;

export interface MeasureRequest {
  readonly pid: number;
  readonly plan: Plan;
  readonly durationMs: number;
  readonly engine?: EngineName;
}
