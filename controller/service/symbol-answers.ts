/**
 * Whole questions to debug information, as they are asked of a controller. Questions and answers are plain data, so that they may be answered in
 * this thread (`symbols-here.ts`) or in another one (`symbol-thread.ts`): who serves others never reads DWARF itself.
 */
import type { StillframeError } from '../../format/error.js';
import type { StackSignature } from '../automation/incident-store.js';
import type { Explanation } from '../planner/explain.js';
import type { MetricShape } from '../planner/metric.js';
import type { AgentModule } from '../rpc/agent-facts.js';
import type { SnapshotDocument } from '../snapshot/document.js';
import type { Leaves } from '../snapshot/leaves.js';
import type { EvaluateOptions, ShowOptions } from '../snapshot/show.js';
import type { ValueDocument } from '../types/value-document.js';
import type { PlanTexts } from './planning.js';

export interface SymbolAnswers {
  /** An error is what is wrong with location or expressions, now and later; rejects when the module's file cannot be had. */
  plan(question: PlanQuestion): Promise<PlannedModule | StillframeError>;
  show(question: ShowQuestion): Promise<ShownSnapshot>;
  evaluate(question: EvaluateQuestion): Promise<readonly (ValueDocument | StillframeError)[]>;
  /** What makes two snapshots the same stack. */
  signature(core: string): Promise<StackSignature>;
  /** The values of the innermost frame and of the captures, taken apart. */
  leaves(core: string): Promise<Leaves>;
  /** Debug information that is read until it is disposed is kept for the questions that follow. */
  hold(): Disposable;
}

export interface PlanQuestion {
  /** In a process that maps it. */
  readonly module: AgentModule;
  readonly pid: number;
  readonly isExecutable: boolean;
  /** Its agent shares this host's kernel and pid namespace. */
  readonly local: boolean;
  readonly exe?: string;
  readonly texts: PlanTexts;
}

export interface PlannedModule {
  readonly encoded: Uint8Array;
  readonly explanation: Explanation;
  /** Of a metric. */
  readonly shape?: MetricShape;
}

/** A core file, and where files are that it does not say. */
export interface CoreQuestion {
  readonly core: string;
  readonly exe?: string | undefined;
  readonly sysroot?: string | undefined;
  readonly debugDir?: string | undefined;
}

export interface ShowQuestion extends CoreQuestion {
  readonly options: ShowOptions;
}

export interface EvaluateQuestion extends CoreQuestion {
  readonly expressions: readonly string[];
  readonly options: EvaluateOptions;
}

export interface ShownSnapshot {
  readonly document: SnapshotDocument;
  /** The path of the program, as the process mapped it. */
  readonly executable?: string;
}
