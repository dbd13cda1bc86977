/**
 * What a controller remembers: points that it asked for and snapshots that came. The store never interprets a snapshot; it keeps
 * the core file as it came, so that gdb opens it in place, and of its note what a list needs.
 *
 * A snapshot may be acknowledged to its agent when `commit` has returned: file and row are then on disk.
 */
import type { EngineName } from '../../format/capture.js';
import type { PointTerms } from '../../format/point-terms.js';

export interface Store extends Disposable {
  readonly folder: string;

  putPoint(point: PointRecord): void;
  /** Notes how a point stands; unknown ids are ignored. */
  updatePoint(id: string, status: PointStatus): void;
  /** Undefined: it is tried nowhere first any more, or not yet. */
  updateCanary(id: string, canary: FleetCanary | undefined): void;
  /** All at once. */
  updatePoints(updates: readonly PointUpdate[]): void;
  listPoints(): readonly PointRecord[];
  /** By id or unambiguous prefix; throws `not-found` or `ambiguous`. */
  findPoint(reference: string): PointRecord;
  /** By id; undefined when there is none. */
  getPoint(id: string): PointRecord | undefined;
  /** With what is known of its armings. Snapshots of it stay. */
  deletePoint(id: string): void;
  /** All at once. */
  putArmings(armings: readonly ArmingRecord[]): void;
  /** Of one point, or of all. */
  listArmings(point?: string): readonly ArmingRecord[];

  /** Takes in a core file piece by piece. Nothing is visible before `commit`. */
  receive(announced: AnnouncedSnapshot): SnapshotWriter;
  listSnapshots(filter?: SnapshotFilter): readonly SnapshotRecord[];
  /** Snapshots of a point that are here, and those that came and were not kept. */
  countSnapshots(point: string): SnapshotCount;
  /** By id, unambiguous prefix, or `last`; throws `not-found` or `ambiguous`. */
  findSnapshot(reference: string): SnapshotRecord;
  hasSnapshot(id: string): boolean;
  /** Where the core file lies. */
  pathOf(snapshot: SnapshotRecord): string;
}

export interface SnapshotCount {
  readonly stored: number;
  readonly surplus: number;
}

export interface AnnouncedSnapshot {
  readonly id: string;
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Where it is given, the note must say the same. */
  readonly point?: string;
}

export interface SnapshotWriter extends Disposable {
  write(bytes: Uint8Array): void;
  /** Checks size and hash, makes it durable, and indexes it. Throws `bad-data` when what came is not what was announced. */
  commit(): ReceivedSnapshot;
}

export type ReceivedSnapshot =
  | { readonly kind: 'stored'; readonly record: SnapshotRecord }
  /** It was here already. */
  | { readonly kind: 'known'; readonly record: SnapshotRecord }
  /** Its point, which a fleet keeps, has all the hits that it asks for: it is counted and not kept. */
  | { readonly kind: 'surplus'; readonly point: string; readonly record?: undefined };

export interface SnapshotFilter {
  /** A point's id or prefix. */
  readonly point?: string;
  readonly sinceNs?: bigint;
}

export interface SnapshotRecord {
  readonly id: string;
  /** Empty for "now". The point itself, also where the agent knows it by the name of an arming. */
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
  readonly bounds: {
    readonly depth?: number;
    readonly stackBytes?: number;
    readonly bytes?: number;
    readonly cheap?: boolean;
  };
  readonly owner: string;
  readonly note: string;
  /** The incident that it belongs to. */
  readonly incident?: string;
  readonly terms?: PointTerms;
  /** The location is an expression, and hits are writes of it. */
  readonly watch?: { readonly onlyChanges: boolean };
  /** Of a point of a fleet. */
  readonly canary?: FleetCanary;
}

/** Where a point of a fleet is tried first: nowhere else until that is over. */
export interface FleetCanary {
  /** The agent's identity, and its name as people know it. */
  readonly agent: string;
  readonly host: string;
  /** 0: it is suspended there, and begins anew when it is armed again. */
  readonly untilMs: number;
  readonly isOver: boolean;
}

/** Whether a controller with a fleet keeps it: such a point is planned for each build, and is nobody else's to judge. */
export function isOfFleet(point: PointRecord): boolean {
  return point.plan.length === 0;
}

/**
 * A point of a fleet at one agent, for one build. Written before the agent is asked to arm it, so that nothing is armed anywhere that
 * is not known here.
 */
export interface ArmingRecord {
  /** What the agent calls it: `makeArmingIdentifier`. */
  readonly id: string;
  readonly point: string;
  /** The agent's identity, and its name as people know it. */
  readonly agent: string;
  readonly host: string;
  readonly buildId: string;
  /**
   * `open`: the agent may hold a probe or a snapshot of it. `closed`: it holds neither. `given-up`: it ended there without having been
   * asked to, and is not armed again while the same agent runs.
   */
  readonly state: ArmingState;
  /** Why it was given up. */
  readonly why: string;
  readonly count: HitCount;
}

export const armingStates = ['open', 'closed', 'given-up'] as const;
export type ArmingState = (typeof armingStates)[number];

/** Hits at one agent, over all its lives: its own counters begin at zero with each. */
export interface HitCount {
  /** Which life of the agent `last` is of. */
  readonly life: string;
  readonly total: HitCounters;
  /** What the agent said last; part of `total`. */
  readonly last: HitCounters;
}

export interface HitCounters {
  readonly hits: bigint;
  readonly conditionFalse: bigint;
  readonly faults: bigint;
  readonly dropped: bigint;
  readonly delivered: bigint;
  /** Whether the condition holds could not be told; undefined for none. */
  readonly undecided?: bigint;
}

/** The last that was heard of a point. */
export interface PointStatus {
  readonly phase: PointPhase;
  readonly why: string;
  /** Of one that ended: `hits`, `expired`, `removed`, `target-gone`, `failed`; not known of points of earlier versions. */
  readonly end?: string;
}

export interface PointUpdate extends PointStatus {
  readonly id: string;
}

export const pointPhases = ['pending', 'armed', 'suspended', 'ended', 'failed'] as const;
export type PointPhase = (typeof pointPhases)[number];
