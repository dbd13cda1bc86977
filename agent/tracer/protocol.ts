/**
 * The messages between front and tracer, over the channel of node:child_process with its structured-clone serialization (bigint and
 * bytes pass as they are; errors are taken apart). Both ends are of the same build, so shapes are trusted.
 */
import type { EngineName, ProcessFacts } from '../../format/capture.js';
import type { WireError } from '../engines/wire-error.js';
import type {
  CapturedProcess,
  CoreOrder,
  EngineReport,
  MadeCore,
  MeasureRequest,
  NowRequest,
  PointCounters,
  PointEnd,
  ProcessChanges,
  ProcessCounters,
  ProcessUsage,
  TargetProcess,
  TracerArmRequest,
  TracerArmed,
  UsageRequest,
} from './client.js';

/** Each call: what goes with it, and what comes back. */
export interface Calls {
  probeEngines: { parameters: null; result: readonly EngineReport[] };
  listTargets: {
    parameters: { readonly selector: string | undefined; readonly except: readonly number[] };
    result: readonly TargetProcess[];
  };
  pollTargets: {
    parameters: { readonly cursor: number; readonly waitMs: number; readonly except: readonly number[] };
    result: ProcessChanges;
  };
  usage: { parameters: UsageRequest; result: readonly ProcessUsage[] };
  processFacts: { parameters: { readonly pid: number }; result: ProcessFacts };
  arm: { parameters: TracerArmRequest; result: TracerArmed };
  disarm: { parameters: PointOfProcess; result: PointCounters | undefined };
  counters: { parameters: { readonly pointIds: readonly string[] }; result: readonly ProcessCounters[] };
  now: { parameters: NowRequest & { readonly engine?: EngineName }; result: CapturedProcess };
  /** Preceded by `progress` of the same id. */
  core: { parameters: CoreOrder; result: MadeCore };
  measure: {
    parameters: MeasureRequest;
    result: { readonly engine: EngineName; readonly counters: PointCounters };
  };
  /** Nobody waits for what the call of that id was to bring: `core` and `measure` end early, and fail. */
  cancel: { parameters: { readonly id: number }; result: null };
  /** Disarms everything; after the reply the tracer exits. */
  shutdown: { parameters: null; result: null };
}

export type CallName = keyof Calls;

export interface PointOfProcess {
  readonly pointId: string;
  readonly pid: number;
}

/** Front to tracer. */
export type ToTracer = {
  readonly [N in CallName]: {
    readonly id: number;
    readonly call: N;
    readonly parameters: Calls[N]['parameters'];
  };
}[CallName];

/** Tracer to front. */
export type FromTracer =
  /** Sent once, when calls may come. With the names of its effective capabilities. */
  | { readonly kind: 'ready'; readonly capabilities: readonly string[] }
  | { readonly kind: 'reply'; readonly id: number; readonly result: unknown }
  | {
      readonly kind: 'progress';
      readonly id: number;
      readonly doneBytes: number;
      readonly totalBytes: number;
    }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'hit'; readonly pointId: string; readonly captured: CapturedProcess }
  | {
      readonly kind: 'ended';
      readonly pointId: string;
      readonly pid: number;
      readonly reason: PointEnd;
      readonly last: PointCounters;
    }
  | { readonly kind: 'passed'; readonly pointIds: readonly string[] }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly message: string };
