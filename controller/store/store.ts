/**
 * What a controller remembers: points that it asked for and snapshots that came. The store never interprets a snapshot; it keeps
 * the core file as it came, so that gdb opens it in place, and of its note what a list needs.
 *
 * A snapshot may be acknowledged to its agent when `put` has returned: file and row are then on disk.
 */
import type { EngineName } from '../../format/capture.js';

export interface Store extends Disposable {
  readonly folder: string;

  putPoint(point: PointRecord): void;
  /** Notes how a point stands; unknown ids are ignored. */
  updatePoint(id: string, status: PointStatus): void;
  listPoints(): readonly PointRecord[];
  /** By id or unambiguous prefix; throws `not-found` or `ambiguous`. */
  findPoint(reference: string): PointRecord;

  /** Takes in a core file piece by piece. Nothing is visible before `commit`. */
  receive(announced: AnnouncedSnapshot): SnapshotWriter;
  listSnapshots(filter?: SnapshotFilter): readonly SnapshotRecord[];
  /** By id, unambiguous prefix, or `last`; throws `not-found` or `ambiguous`. */
  findSnapshot(reference: string): SnapshotRecord;
  hasSnapshot(id: string): boolean;
  /** Where the core file lies. */
  pathOf(snapshot: SnapshotRecord): string;
}

export interface AnnouncedSnapshot {
  readonly id: string;
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface SnapshotWriter extends Disposable {
  write(bytes: Uint8Array): void;
  /** Checks size and hash, makes it durable, and indexes it. Throws `bad-data` when what came is not what was announced. */
  commit(): SnapshotRecord;
}

export interface SnapshotFilter {
  /** A point's id or prefix. */
  readonly point?: string;
  readonly sinceNs?: bigint;
}

export interface SnapshotRecord {
  readonly id: string;
  /** Empty for "now". */
  readonly point: string;
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  readonly host: string;
  readonly buildId: string;
  readonly modulePath: string;
  readonly timeNs: bigint;
  readonly engine: EngineName;
  readonly function?: string;
  readonly file?: string;
  readonly line?: number;
  readonly address?: bigint;
  /** Of the core file. */
  readonly size: number;
  readonly sha256: string;
}

export interface PointRecord {
  readonly id: string;
  readonly createdMs: number;
  /** As the user wrote it. */
  readonly target: string;
  readonly location: string;
  readonly condition?: string;
  readonly captures: readonly string[];
  /** Empty: the best. */
  readonly engine: string;
  readonly maxHits: number;
  readonly minIntervalNs: bigint;
  readonly expiresMs: number;
  /** Address of the agent that it was armed at. */
  readonly agent: string;
  readonly pids: readonly number[];
  readonly modulePath: string;
  readonly buildId: string;
  /** The encoded plan, to arm it again. Empty for points of a fleet, which are planned for each build that fits. */
  readonly plan: Uint8Array;
  readonly status: PointStatus;
  /** `count`: hits are counted and nothing is captured. */
  readonly kind: 'snapshot' | 'count';
  readonly everyProcess: boolean;
  readonly bounds: { readonly depth?: number; readonly stackBytes?: number; readonly bytes?: number };
  readonly owner: string;
  readonly note: string;
  /** The incident that it belongs to. */
  readonly incident?: string;
}

/** The last that was heard of a point. */
export interface PointStatus {
  readonly phase: PointPhase;
  readonly why: string;
}

export const pointPhases = ['pending', 'armed', 'suspended', 'ended', 'failed'] as const;
export type PointPhase = (typeof pointPhases)[number];
