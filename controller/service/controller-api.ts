/**
 * What every face asks of a controller, wherever that runs: in this process over one agent (`controller.ts`), in this process over a
 * fleet (`fleet-controller.ts`), or behind gRPC (`controller/rpc/controller-client.ts`). All methods reject with StillframeError.
 */
import type { EngineName } from '../../format/capture.js';
import type { StillframeError } from '../../format/error.js';
import type { IncidentDocument, IncidentSummary } from '../automation/incident.js';
import type { FiringDocument, RuleDocument, RuleTestDocument } from '../automation/rule-document.js';
import type { SnapshotDocument } from '../snapshot/document.js';
import type { EvaluateOptions, ShowOptions } from '../snapshot/show.js';
import type { SnapshotFilter } from '../store/store.js';
import type { ValueDocument } from '../types/value-document.js';
import type {
  DoctorDocument,
  ExplainDocument,
  PointDocument,
  SnapshotSummary,
  TargetDocument,
} from './documents.js';
import type { MetricRequest } from '../planner/metric.js';
import type { MetricDocument } from './metric-document.js';
import type { CaptureBounds, PointOptions } from './planning.js';

export interface ControllerApi {
  /** One for each agent. */
  doctor(): Promise<readonly DoctorDocument[]>;
  /** Those that fit, or without a selector all that can be looked into. */
  targets(selector?: string): Promise<readonly TargetDocument[]>;
  explain(options: ExplainOptions, asker?: Asker): Promise<ExplainDocument>;
  snap(options: SnapOptions, hooks: SnapHooks): Promise<SnapOutcome>;
  /** Adds up hits where they happen; gives the last numbers, read when no probe is left. */
  metric(options: MetricOptions, hooks: MetricHooks): Promise<MetricDocument>;
  /** A line for each hit, until the signal is aborted or the time is over. Nothing is stored. */
  log(options: LogOptions, hooks: LogHooks): Promise<LogSummary>;
  now(options: NowOptions): Promise<SnapshotId>;
  /** All threads, and memory as far as the bytes go, of one instant. */
  core(options: CoreOptions, hooks: CoreHooks): Promise<SnapshotId>;
  /** All points that are known, or those of one id or prefix. */
  points(reference?: string): Promise<readonly PointDocument[]>;
  /** Calls back with all that fit, then with those that changed, until the signal is aborted. */
  watchPoints(reference: string | undefined, hooks: WatchHooks): Promise<void>;
  /** Resolves when the kernels hold no probe of them any more, or the documents say which agent could not be asked. */
  removePoints(references: readonly string[]): Promise<readonly PointDocument[]>;
  /** Those that agents have suspended, for they cost too much, are armed again; others are left as they are. */
  resumePoints(references: readonly string[]): Promise<readonly PointDocument[]>;
  snapshots(filter: SnapshotFilter): Promise<readonly SnapshotSummary[]>;
  show(reference: SnapshotReference, options: ShowOptions): Promise<SnapshotDocument>;
  evaluate(
    reference: SnapshotReference,
    expressions: readonly string[],
    options: EvaluateOptions,
  ): Promise<readonly (ValueDocument | StillframeError)[]>;
  /** Copies the core file to `file`. */
  exportCore(reference: SnapshotReference, file: string): Promise<Exported>;

  rules(): Promise<readonly RuleDocument[]>;
  testRule(name: string): Promise<RuleTestDocument>;
  fireRule(name: string, options: FireOptions): Promise<FiringDocument>;
  incidents(filter: IncidentFilter): Promise<readonly IncidentSummary[]>;
  /** By id, prefix or `last`. */
  incident(reference: string): Promise<IncidentDocument>;
  /** Writes an archive: docs/automation.md says what is in it. */
  exportIncident(reference: string, file: string): Promise<Exported>;
}

export interface ExplainOptions extends PointOptions {
  /** Count hits for so long. */
  readonly measureMs?: number;
}

export interface SnapOptions extends PointOptions {
  readonly hits: number;
  readonly minIntervalNs: bigint;
  readonly everyProcess: boolean;
  /** Undefined: a day when detached, and a little longer than the wait otherwise. */
  readonly expireMs?: number;
  readonly waitMs: number;
  readonly detach: boolean;
  /** Who asks; `user@host` of the command line. */
  readonly owner?: string;
  readonly note?: string;
}

export interface SnapHooks {
  /** The point is armed, or kept until a process fits. */
  armed?(point: PointDocument): void;
  /** Why it has not fired yet, about once a second. */
  progress?(why: string): void;
  /** A snapshot is in the store. */
  snapshot?(snapshot: SnapshotId): void;
  /** Aborted: the point is removed, and what came so far is the outcome. */
  readonly signal?: AbortSignal;
}

export interface MetricOptions extends PointOptions {
  readonly metric: MetricRequest;
  /** Between two samples. */
  readonly everyMs: number;
  /** Undefined: until the signal is aborted, or nothing is left to count. */
  readonly forMs?: number;
  readonly owner?: string;
  readonly note?: string;
}

export interface MetricHooks {
  armed?(document: MetricDocument): void;
  sample?(document: MetricDocument): void;
  /** Aborted: it is read for the last time. */
  readonly signal?: AbortSignal;
}

export interface LogOptions extends Omit<PointOptions, 'captures' | 'metric'> {
  /** `text {expression} {expression:x}`. */
  readonly template: string;
  readonly linesPerSecond: number;
  readonly forMs?: number;
  readonly owner?: string;
  readonly note?: string;
}

export interface LogLine {
  /** RFC 3339, ns. */
  readonly time: string;
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  /** Where there are several. */
  readonly host?: string;
  readonly text: string;
  readonly values: readonly (ValueDocument & { readonly expression: string })[];
}

export interface LogHooks {
  armed?(why: string): void;
  line(line: LogLine): void;
  /** So many hits more have no line, and why. */
  dropped(count: number, why: string): void;
  readonly signal?: AbortSignal;
}

export interface LogSummary {
  readonly lines: number;
  readonly dropped: number;
  readonly why: string;
}

export interface SnapshotId {
  readonly id: string;
}

export interface SnapOutcome {
  readonly point: PointDocument;
  readonly snapshots: readonly SnapshotId[];
}

export interface NowOptions {
  readonly target: string;
  readonly tids: readonly number[];
  readonly engine: EngineName | '';
  readonly bounds: CaptureBounds;
}

export interface CoreOptions {
  readonly target: string;
  readonly engine: EngineName | '';
  /** Of memory: stacks first, then data and heap, then the rest. */
  readonly bytes: number;
}

/** Whoever asked, who may go before the answer is there. */
export interface Asker {
  readonly signal?: AbortSignal | undefined;
}

export interface CoreHooks extends Asker {
  /** Of memory that is written on the agent's host. */
  progress?(doneBytes: number, totalBytes: number): void;
}

/** SNAPSHOT of the command line, and where files of a core are that the core does not say. */
export interface SnapshotReference {
  readonly name: string;
  readonly exe?: string | undefined;
  readonly sysroot?: string | undefined;
  /** A folder with separate debug files, before those of this host. */
  readonly debugDir?: string | undefined;
}

export interface WatchHooks {
  points(points: readonly PointDocument[]): void;
  readonly signal: AbortSignal;
}

export interface FireOptions {
  /** Fills the rule's templates, as labels of an alert do. */
  readonly labels: Readonly<Record<string, string>>;
  readonly owner: string;
}

export interface IncidentFilter {
  readonly rule?: string;
  readonly sinceMs?: number;
}

export interface Exported {
  readonly id: string;
  readonly bytes: number;
}
