/** The JSON documents of commands that have no other home: CLI.md leaves their shape to us. */
import { hex } from '../../format/address.js';
import type { AgentFacts, AgentPoint, AgentTarget, EngineStatus, Measured } from '../rpc/agent-facts.js';
import { formatTime } from '../snapshot/show.js';
import type { PointRecord, SnapshotRecord } from '../store/store.js';
import type { Explanation } from '../planner/explain.js';

export interface DoctorDocument {
  readonly host: string;
  readonly kernel: string;
  readonly architecture: string;
  readonly version: string;
  readonly agent: {
    readonly address: string;
    readonly pid: number;
    readonly uid: number;
    readonly temporary: boolean;
  };
  readonly engines: readonly {
    readonly engine: string;
    readonly supported: 'yes' | 'no' | 'unknown';
    readonly detail: string;
    readonly remedy?: string;
  }[];
  /** Of an agent that cannot be asked: why. All that only the agent knows is empty then. */
  readonly error?: string;
}

export function doctorDocument(
  facts: AgentFacts,
  agent: { readonly address: string; readonly temporary: boolean },
  engines: readonly EngineStatus[],
): DoctorDocument {
  return {
    host: facts.host,
    kernel: facts.kernel,
    architecture: facts.architecture,
    version: facts.version,
    agent: { address: agent.address, pid: facts.pid, uid: facts.uid, temporary: agent.temporary },
    engines: engines.map(({ engine, supported, detail, remedy }) => ({
      engine,
      supported,
      detail,
      ...(remedy === '' ? {} : { remedy }),
    })),
  };
}

export interface TargetDocument {
  /** Of a fleet: the host that it runs on. */
  readonly host?: string;
  readonly pid: number;
  readonly name: string;
  readonly executable: string;
  readonly args: readonly string[];
  readonly uid: number;
  readonly buildId: string;
  readonly started: string;
  readonly unit?: string;
  readonly container?: string;
  readonly service?: string;
  /** `full`: lines and variables; `symbols`: names only; `none`. Missing where the file cannot be opened from here. */
  readonly debugInfo?: DebugInfo;
  /** Why it cannot be looked into. */
  readonly refusal?: string;
}

export type DebugInfo = 'full' | 'symbols' | 'none';

export function targetDocument(target: AgentTarget, debugInfo: DebugInfo | undefined): TargetDocument {
  const { unit, container, service, refusal } = target;
  return {
    pid: target.pid,
    name: target.comm,
    executable: target.executable,
    args: target.args,
    uid: target.uid,
    buildId: target.buildId,
    started: new Date(target.startTimeMs).toISOString(),
    ...(unit === '' ? {} : { unit }),
    ...(container === '' ? {} : { container }),
    ...(service === '' ? {} : { service }),
    ...(debugInfo === undefined ? {} : { debugInfo }),
    ...(refusal === '' ? {} : { refusal }),
  };
}

export interface PointDocument {
  readonly id: string;
  readonly state: string;
  /** Why it has not fired, or why it ended. */
  readonly why: string;
  /** Of one that ended: `hits`, `expired`, `removed`, `target-gone`, `failed`, where that is known. */
  readonly end?: string;
  readonly target: string;
  readonly location: string;
  readonly condition?: string;
  readonly captures: readonly string[];
  readonly engine: string;
  readonly processes: readonly { readonly pid: number; readonly addresses: readonly string[] }[];
  readonly hits: number;
  readonly conditionFalse: number;
  readonly faults: number;
  readonly dropped: number;
  readonly delivered: number;
  /** Hits of which the agent could not tell whether the condition holds. */
  readonly undecided?: number;
  readonly maxHits?: number;
  readonly created?: string;
  readonly expires: string;
  /** Why better engines, or other processes, were passed over. */
  readonly refusals?: readonly string[];
  /** Percent of one CPU that its hits may take, where that was asked for. */
  readonly cpuPercent?: number;
  /** `count`: hits are counted and nothing is captured. */
  readonly kind: 'snapshot' | 'count';
  readonly owner?: string;
  readonly note?: string;
  readonly incident?: string;
  /** Of a fleet: how it stands at each agent that has, or could have, a process that fits. */
  readonly hosts?: readonly {
    readonly host: string;
    readonly state: string;
    readonly why: string;
    readonly hits: number;
  }[];
}

/** What agent and store know of one point; either may not know it. */
export function pointDocument(view: AgentPoint | undefined, record: PointRecord | undefined): PointDocument {
  const condition = view === undefined ? record?.condition : view.condition || undefined;
  const refusals = view?.refusals ?? [];
  const counters = view?.counters;
  return {
    id: view?.id ?? record?.id ?? '',
    state: view?.phase ?? record?.status.phase ?? 'failed',
    why: view?.why ?? record?.status.why ?? '',
    ...optionalText('end', view?.end ?? record?.status.end),
    target: record?.target ?? '',
    location: record?.location ?? view?.location ?? '',
    ...(condition === undefined ? {} : { condition }),
    captures: record?.captures ?? [],
    engine: view?.engine ?? record?.engine ?? '',
    processes: (view?.processes ?? []).map(({ pid, addresses }) => ({ pid, addresses: addresses.map(hex) })),
    hits: Number(counters?.hits ?? 0n),
    conditionFalse: Number(counters?.conditionFalse ?? 0n),
    faults: Number(counters?.faults ?? 0n),
    dropped: Number(counters?.dropped ?? 0n),
    delivered: Number(counters?.delivered ?? 0n),
    ...(counters?.undecided === undefined ? {} : { undecided: Number(counters.undecided) }),
    ...(record === undefined
      ? {}
      : { maxHits: record.maxHits, created: new Date(record.createdMs).toISOString() }),
    expires: new Date(record?.expiresMs ?? view?.expiresMs ?? 0).toISOString(),
    ...(refusals.length === 0 ? {} : { refusals }),
    ...cpuPart(record?.terms?.cpuPercent ?? view?.cpuPercent),
    kind: record?.kind ?? (view?.countOnly === true ? 'count' : 'snapshot'),
    ...optionalText('owner', record?.owner ?? view?.owner),
    ...optionalText('note', record?.note ?? view?.note),
    ...optionalText('incident', record?.incident),
  };
}

/** Percent of one CPU, where it was asked for. */
export function cpuPart(cpuPercent: number | undefined): Pick<PointDocument, 'cpuPercent'> {
  return cpuPercent === undefined ? {} : { cpuPercent };
}

/** An empty text is one that nobody gave. */
export function optionalText<K extends string>(
  key: K,
  text: string | undefined,
): { readonly [P in K]?: string } {
  return text === undefined || text === '' ? {} : ({ [key]: text } as { readonly [P in K]?: string });
}

/** A snapshot as lists show it: the head of its document. */
export interface SnapshotSummary {
  readonly id: string;
  readonly point: string;
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  readonly host: string;
  readonly buildId: string;
  readonly time: string;
  readonly engine: string;
  readonly location: {
    readonly function?: string;
    readonly file?: string;
    readonly line?: number;
    readonly address?: string;
  };
  /** Of the core file. */
  readonly size: number;
}

export function snapshotSummary(record: SnapshotRecord): SnapshotSummary {
  return {
    id: record.id,
    point: record.point,
    pid: record.pid,
    tid: record.tid,
    comm: record.comm,
    host: record.host,
    buildId: record.buildId,
    time: formatTime(record.timeNs),
    engine: record.engine,
    location: {
      ...(record.function === undefined ? {} : { function: record.function }),
      ...(record.file === undefined ? {} : { file: record.file }),
      ...(record.line === undefined ? {} : { line: record.line }),
      ...(record.address === undefined ? {} : { address: hex(record.address) }),
    },
    size: record.size,
  };
}

export interface ExplainDocument extends Explanation {
  readonly targets: readonly ExplainedTarget[];
  readonly leftOut?: readonly (ExplainedTarget & { readonly reason: string })[];
  readonly measured?: MeasuredDocument;
}

export interface ExplainedTarget {
  /** Of a fleet: the host that it runs on. */
  readonly host?: string;
  readonly pid: number;
  readonly name: string;
}

export interface MeasuredDocument {
  readonly engine: string;
  readonly durationMs: number;
  readonly hits: number;
  readonly conditionFalse: number;
  readonly faults: number;
  readonly hitsPerSecond: number;
}

export function measuredDocument({ engine, durationMs, counters }: Measured): MeasuredDocument {
  const hits = Number(counters.hits);
  return {
    engine,
    durationMs,
    hits,
    conditionFalse: Number(counters.conditionFalse),
    faults: Number(counters.faults),
    hitsPerSecond: durationMs === 0 ? 0 : Math.round((hits * 1000) / durationMs),
  };
}
