/** Rows of the index to records and back. Integers come as bigint; addresses are kept as hex text, for SQLite's integers are signed. */
import { engineNames, type EngineName } from '../../format/capture.js';
import { badData } from '../../format/error.js';
import { hex } from '../../format/address.js';
import { termsPart, type PointTerms } from '../../format/point-terms.js';
import {
  armingStates,
  pointPhases,
  type ArmingRecord,
  type FleetCanary,
  type HitCount,
  type HitCounters,
  type PointRecord,
  type SnapshotRecord,
} from './store.js';

export interface SnapshotRow {
  readonly id: string;
  readonly point: string;
  readonly pid: bigint;
  readonly tid: bigint;
  readonly comm: string;
  readonly host: string;
  readonly build_id: string;
  readonly module_path: string;
  readonly time_ns: bigint;
  readonly engine: string;
  readonly function: string | null;
  readonly file: string | null;
  readonly line: bigint | null;
  readonly address: string | null;
  readonly size: bigint;
  readonly sha256: string;
}

export interface PointRow {
  readonly id: string;
  readonly created_ms: bigint;
  readonly target: string;
  readonly location: string;
  readonly condition: string | null;
  readonly captures: string;
  readonly engine: string;
  readonly max_hits: bigint;
  readonly min_interval_ns: bigint;
  readonly expires_ms: bigint;
  readonly agent: string;
  readonly pids: string;
  readonly module_path: string;
  readonly build_id: string;
  readonly plan: Uint8Array;
  readonly phase: string;
  readonly why: string;
  readonly kind: string;
  readonly every_process: bigint;
  readonly bounds: string;
  readonly owner: string;
  readonly note: string;
  readonly incident: string | null;
  readonly ending: string;
  readonly terms: string;
  readonly watch: string;
  readonly canary: string;
}

export interface ArmingRow {
  readonly id: string;
  readonly point: string;
  readonly agent: string;
  readonly host: string;
  readonly build_id: string;
  readonly state: string;
  readonly why: string;
  readonly count: string;
}

export function rowOfSnapshot(record: SnapshotRecord): SnapshotRow {
  return {
    id: record.id,
    point: record.point,
    pid: BigInt(record.pid),
    tid: BigInt(record.tid),
    comm: record.comm,
    host: record.host,
    build_id: record.buildId,
    module_path: record.modulePath,
    time_ns: record.timeNs,
    engine: record.engine,
    function: record.function ?? null,
    file: record.file ?? null,
    line: record.line === undefined ? null : BigInt(record.line),
    address: record.address === undefined ? null : hex(record.address),
    size: BigInt(record.size),
    sha256: record.sha256,
  };
}

export function snapshotFromRow(row: SnapshotRow): SnapshotRecord {
  return {
    id: row.id,
    point: row.point,
    pid: Number(row.pid),
    tid: Number(row.tid),
    comm: row.comm,
    host: row.host,
    buildId: row.build_id,
    modulePath: row.module_path,
    timeNs: row.time_ns,
    engine: engineFrom(row.engine),
    ...(row.function === null ? {} : { function: row.function }),
    ...(row.file === null ? {} : { file: row.file }),
    ...(row.line === null ? {} : { line: Number(row.line) }),
    ...(row.address === null ? {} : { address: BigInt(row.address) }),
    size: Number(row.size),
    sha256: row.sha256,
  };
}

export function rowOfPoint(record: PointRecord): PointRow {
  return {
    id: record.id,
    created_ms: BigInt(record.createdMs),
    target: record.target,
    location: record.location,
    condition: record.condition ?? null,
    captures: JSON.stringify(record.captures),
    engine: record.engine,
    max_hits: BigInt(record.maxHits),
    min_interval_ns: record.minIntervalNs,
    expires_ms: BigInt(record.expiresMs),
    agent: record.agent,
    pids: JSON.stringify(record.pids),
    module_path: record.modulePath,
    build_id: record.buildId,
    plan: record.plan,
    phase: record.status.phase,
    why: record.status.why,
    kind: record.kind,
    every_process: record.everyProcess ? 1n : 0n,
    bounds: JSON.stringify(record.bounds),
    owner: record.owner,
    note: record.note,
    incident: record.incident ?? null,
    ending: record.status.end ?? '',
    terms: JSON.stringify(record.terms ?? {}),
    watch: record.watch === undefined ? '' : JSON.stringify(record.watch),
    canary: canaryText(record.canary),
  };
}

export function pointFromRow(row: PointRow): PointRecord {
  return {
    id: row.id,
    createdMs: Number(row.created_ms),
    target: row.target,
    location: row.location,
    ...(row.condition === null ? {} : { condition: row.condition }),
    captures: listFrom(row.captures).map(String),
    engine: row.engine,
    maxHits: Number(row.max_hits),
    minIntervalNs: row.min_interval_ns,
    expiresMs: Number(row.expires_ms),
    agent: row.agent,
    pids: listFrom(row.pids).map(Number),
    modulePath: row.module_path,
    buildId: row.build_id,
    plan: row.plan,
    status: {
      phase: pointPhases.find((phase) => phase === row.phase) ?? 'failed',
      why: row.why,
      ...(row.ending === '' ? {} : { end: row.ending }),
    },
    kind: row.kind === 'count' ? 'count' : 'snapshot',
    everyProcess: row.every_process !== 0n,
    bounds: boundsFrom(row.bounds),
    owner: row.owner,
    note: row.note,
    ...(row.incident === null ? {} : { incident: row.incident }),
    ...termsPart(termsFrom(row.terms)),
    ...(row.watch === '' ? {} : { watch: { onlyChanges: objectFrom(row.watch)['onlyChanges'] === true } }),
    ...canaryFrom(row.canary),
  };
}

function engineFrom(text: string): EngineName {
  const engine = engineNames.find((name) => name === text);
  if (engine === undefined) throw badData(`cannot read the store: unknown engine "${text}"`);
  return engine;
}

function listFrom(json: string): unknown[] {
  const list: unknown = JSON.parse(json);
  return Array.isArray(list) ? list : [];
}

/** What is not there, or is none, is an empty one. */
function objectFrom(json: string): Readonly<Record<string, unknown>> {
  const value: unknown = json === '' ? {} : JSON.parse(json);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function termsFrom(json: string): PointTerms {
  const { canaryMs, cpuPercent, allThreads } = objectFrom(json);
  return {
    ...(typeof canaryMs === 'number' ? { canaryMs } : {}),
    ...(typeof cpuPercent === 'number' ? { cpuPercent } : {}),
    ...(typeof allThreads === 'boolean' ? { allThreads } : {}),
  };
}

export function canaryText(canary: FleetCanary | undefined): string {
  return canary === undefined ? '' : JSON.stringify(canary);
}

function canaryFrom(json: string): Pick<PointRecord, 'canary'> {
  const { agent, host, untilMs, isOver } = objectFrom(json);
  if (typeof agent !== 'string' || typeof host !== 'string' || typeof untilMs !== 'number') return {};
  return { canary: { agent, host, untilMs, isOver: isOver === true } };
}

function boundsFrom(json: string): PointRecord['bounds'] {
  const bounds: unknown = JSON.parse(json);
  const get = (name: string): unknown =>
    typeof bounds === 'object' && bounds !== null ? Reflect.get(bounds, name) : undefined;
  const of = (name: string): number | undefined => {
    const value = get(name);
    return typeof value === 'number' ? value : undefined;
  };
  const [depth, stackBytes, bytes] = [of('depth'), of('stackBytes'), of('bytes')];
  return {
    ...(depth === undefined ? {} : { depth }),
    ...(stackBytes === undefined ? {} : { stackBytes }),
    ...(bytes === undefined ? {} : { bytes }),
    ...(get('cheap') === true ? { cheap: true } : {}),
  };
}

export function rowOfArming(record: ArmingRecord): ArmingRow {
  const { id, point, agent, host, buildId, state, why, count } = record;
  const json = { life: count.life, total: textOfCounters(count.total), last: textOfCounters(count.last) };
  return { id, point, agent, host, build_id: buildId, state, why, count: JSON.stringify(json) };
}

export function armingFromRow(row: ArmingRow): ArmingRecord {
  return {
    id: row.id,
    point: row.point,
    agent: row.agent,
    host: row.host,
    buildId: row.build_id,
    state: armingStates.find((state) => state === row.state) ?? 'open',
    why: row.why,
    count: countFrom(row.count),
  };
}

/** In the order of `HitCounters`: a number of JSON holds 53 bits. */
function textOfCounters(counters: HitCounters): string[] {
  const { hits, conditionFalse, faults, dropped, delivered, undecided } = counters;
  const some = undecided === undefined ? [] : [undecided];
  return [hits, conditionFalse, faults, dropped, delivered, ...some].map(String);
}

function countFrom(json: string): HitCount {
  const count: unknown = JSON.parse(json);
  const of = (name: string): unknown =>
    typeof count === 'object' && count !== null ? Reflect.get(count, name) : undefined;
  const life = of('life');
  return {
    life: typeof life === 'string' ? life : '',
    total: countersFrom(of('total')),
    last: countersFrom(of('last')),
  };
}

function countersFrom(list: unknown): HitCounters {
  const at = (index: number): bigint => {
    const text: unknown = Array.isArray(list) ? list[index] : undefined;
    return typeof text === 'string' && /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
  };
  const undecided = at(5);
  return {
    hits: at(0),
    conditionFalse: at(1),
    faults: at(2),
    dropped: at(3),
    delivered: at(4),
    ...(undecided === 0n ? {} : { undecided }),
  };
}
