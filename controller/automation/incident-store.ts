/**
 * What a controller remembers of incidents: the incidents, their events in the order they were written, which snapshots and points are
 * theirs, and the stacks of snapshots, so that nobody unwinds one twice. Implemented by `controller/store/incident-store.ts`.
 *
 * Every call is durable when it returns. Text of others (labels of alerts, lines of logs) is cut to bounds, and shows that it was.
 */
import type { PointRecord, SnapshotRecord } from '../store/store.js';
import type { IncidentCause, IncidentEvent, IncidentLog } from './incident.js';

export interface IncidentStore extends IncidentLog {
  /** Oldest first. */
  listIncidents(query?: IncidentQuery): readonly IncidentRecord[];
  /** By id, unambiguous prefix, or `last`; throws `not-found` or `ambiguous`. */
  findIncident(reference: string): IncidentRecord;
  /** In the order they were written. */
  listEvents(incident: string): readonly IncidentEvent[];
  /** Those that its firing set. */
  listPoints(incident: string): readonly PointRecord[];
  /** Those of its points, and those that an event `snapshot` of it names; oldest first. */
  listSnapshots(incident: string): readonly SnapshotRecord[];
  findSignature(snapshot: string): StackSignature | undefined;
  putSignature(snapshot: string, signature: StackSignature): void;
}

export interface IncidentQuery {
  readonly rule?: string;
  /** Those that were started then or later. */
  readonly sinceMs?: number;
}

export interface IncidentRecord {
  readonly id: string;
  readonly cause: IncidentCause;
  readonly startedMs: number;
  /** Missing while it is open. */
  readonly closedMs?: number;
}

/** The stack that a snapshot was taken with; see `stack-signature.ts`. */
export interface StackSignature {
  /** Equal for equal stacks. */
  readonly key: string;
  /** `function file:line`, innermost first; a last line in parentheses where the stack goes on and is not known. */
  readonly frames: readonly string[];
}

/** Bounds of what is kept of one incident. */
export const incidentLimits = {
  /** Events beyond are counted, and an event says how many; `closed` is always kept. */
  maxEvents: 10_000,
  /** Snapshots that events name, beside those of its points. */
  maxNamedSnapshots: 10_000,
  maxTextCharacters: 4096,
  /** Labels of a cause, facts of an event. */
  maxEntries: 64,
  maxKeyCharacters: 256,
  maxValueCharacters: 1024,
} as const;

/** Stacks are kept as a version of ours understood them; another one looks again. */
export const signatureVersion = 1;
