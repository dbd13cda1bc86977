/** The JSON of a snapshot, as CLI.md defines it. Made by `show`, printed by the faces, compared by tests. */
import type { CaptureCost } from '../../format/capture.js';
import type { AbsentDocument, ValueDocument, VariableDocument } from '../types/value-document.js';

export interface SnapshotDocument {
  readonly id: string;
  readonly point: string;
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  readonly host: string;
  readonly buildId: string;
  /** RFC 3339 with nanoseconds; missing in cores of others, which do not say. */
  readonly time?: string;
  /** An engine's name, or `core` for a core of others. */
  readonly engine: string;
  readonly location: LocationDocument;
  /** Of the thread that hit, or crashed; of the goroutine that was asked for. */
  readonly frames: readonly FrameDocument[];
  readonly captures: readonly CaptureDocument[];
  /** Of a watch. */
  readonly written?: WrittenDocument;
  readonly threads: readonly ThreadDocument[];
  /** The one whose frames they are, where one was asked for. */
  readonly goroutine?: Omit<GoroutineDocument, 'frames'>;
  /** Of a Go program, where all threads were asked for and the core has them. */
  readonly goroutines?: readonly GoroutineDocument[];
  /** Missing in cores of others. */
  readonly cost?: CaptureCost;
}

export interface WrittenDocument {
  readonly expression: string;
  readonly address: string;
  readonly bytes: number;
  /** When it was last looked at: when the watch was armed, or at the last write that was seen. */
  readonly before: ValueDocument;
  readonly after: ValueDocument;
  readonly changed: boolean;
  /** The instruction that wrote, which the program counter is behind; missing where that is not certain. */
  readonly by?: LocationDocument;
}

export interface LocationDocument {
  readonly function?: string;
  readonly file?: string;
  readonly line?: number;
  readonly address?: string;
}

export interface FrameDocument extends LocationDocument {
  readonly index: number;
  readonly address: string;
  readonly inlined: boolean;
  readonly locals: readonly VariableDocument[];
  /** Why something of this frame, or its callers, is not known. */
  readonly absent?: AbsentDocument;
}

/** Stands in the detail of `absent` of the last frame of a stack that goes on. */
export const callersUnknown = 'the callers of this frame are not known';

export interface CaptureDocument extends ValueDocument {
  readonly expression: string;
}

export interface GoroutineDocument {
  /** Empty where not even that is known. */
  readonly id: string;
  /** As the runtime calls it: `running`, `waiting`. */
  readonly state: string;
  readonly waitReason?: string;
  /** The thread that runs it. */
  readonly thread?: number;
  readonly frames: readonly FrameDocument[];
  /** Why it, or its stack, is not known. */
  readonly absent?: AbsentDocument;
}

export interface ThreadDocument {
  readonly tid: number;
  readonly comm: string;
  readonly state: string;
  readonly frames?: readonly FrameDocument[];
  /** Of a hit, where it was read later than the thread that hit: how consistent it is, and how much later. */
  readonly provenance?: 'after-hit' | 'racy';
  readonly delayUs?: number;
  /** Why its registers are not known. */
  readonly absent?: AbsentDocument;
}
