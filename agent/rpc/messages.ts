/** Messages to the domain and back: the only place of the agent that knows how fields are spelled on the wire. */
import { engineNames, type EngineName, type LoadedModule } from '../../format/capture.js';
import { StillframeError } from '../../format/error.js';
import type { AggregateCell, AggregateTotals } from '../../format/plan/aggregate.js';
import { maxCanaryMs, termsPart, type PointTerms } from '../../format/point-terms.js';
import { decodePlan } from '../../format/plan/encode.js';
import { type Plan, hasDecisions, withoutRanges } from '../../format/plan/plan.js';
import { verifyPlan } from '../../format/plan/verify.js';
import { stillframe } from '../../proto/generated/stillframe.js';
import { fromLong, numberFromLong, toLong } from '../../proto/long.js';
import type { PointRequest, PointView } from '../session/point.js';
import type { SessionCoreOrder } from '../session/core.js';
import type { NowOrder } from '../session/session.js';
import type { Resource, UsageBound } from '../watch/usage-watch.js';
import type { EngineReport, MeasureRequest, PointCounters, TargetProcess } from '../tracer/client.js';

const { v1 } = stillframe;

/** An empty name is "the best". Throws `usage` for one that does not exist. */
export function engineFrom(name: string | null | undefined): EngineName | undefined {
  if (name === null || name === undefined || name === '') return undefined;
  const engine = engineNames.find((known) => known === name);
  if (engine === undefined) {
    throw new StillframeError('usage', `unknown engine "${name}"`, { candidates: engineNames });
  }
  return engine;
}

/** Checked as far as it can be without a process: a plan comes from the network. */
function planFrom(bytes: Uint8Array | null | undefined): Plan {
  const plan = decodePlan(bytes ?? new Uint8Array());
  verifyPlan(plan);
  return plan;
}

export function pointRequestFrom(arm: stillframe.v1.Arm.$Properties): PointRequest {
  const engine = engineFrom(arm.engine);
  const pids = arm.pids ?? [];
  checkSizes(arm);
  if (!arm.pointId) throw new StillframeError('usage', 'cannot arm a point without an id');
  if (pids.length === 0 && !arm.selector) {
    throw new StillframeError(
      'usage',
      `cannot arm point ${arm.pointId}: neither process nor selector is given`,
    );
  }
  const plan = planFrom(arm.plan);
  const countOnly = (arm.countOnly ?? false) || plan.aggregate !== undefined;
  if (countOnly && hasDecisions(plan)) {
    throw new StillframeError(
      'unsupported',
      `cannot count hits of point ${arm.pointId}: a part of its condition is decided on what a hit collects`,
    );
  }
  return {
    id: arm.pointId,
    pids,
    selector: arm.selector ?? '',
    plan: countOnly ? withoutRanges(plan) : plan,
    ...(engine === undefined ? {} : { engine }),
    countOnly,
    maxHits: countOnly || arm.stream === true ? 1 : (arm.maxHits ?? 1),
    ...(arm.stream === true ? { stream: true } : {}),
    everyProcess: arm.everyProcess ?? false,
    minIntervalNs: fromLong(arm.minIntervalNs),
    expiresMs: numberFromLong(arm.expiresMs),
    owner: arm.owner ?? '',
    note: arm.note ?? '',
    whileConnected: arm.whileConnected ?? false,
    ...termsPart(termsFrom(arm)),
  };
}

/** In characters: what is kept, logged and told to whoever lists points. */
const maxTexts = { pointId: 64, selector: 4096, owner: 256, note: 4096 } as const;
const maxPids = 1024;

function termsFrom({ canaryMs, cpuPercent, allThreads }: stillframe.v1.Arm.$Properties): PointTerms {
  if (cpuPercent && !(cpuPercent > 0 && cpuPercent <= maxCpuPercent)) {
    throw new StillframeError('usage', `cannot arm a point that may take ${cpuPercent}% of a CPU`);
  }
  return {
    ...(canaryMs ? { canaryMs: Math.min(canaryMs, maxCanaryMs) } : {}),
    ...(cpuPercent ? { cpuPercent } : {}),
    ...(allThreads === true ? { allThreads } : {}),
  };
}

const maxCpuPercent = 100_000;

function checkSizes(arm: stillframe.v1.Arm.$Properties): void {
  for (const [field, most] of Object.entries(maxTexts)) {
    const length = arm[field as keyof typeof maxTexts]?.length ?? 0;
    if (length <= most) continue;
    throw new StillframeError(
      'limit',
      `cannot arm a point: ${field} has ${length} characters, ${most} are the most`,
    );
  }
  const pids = arm.pids?.length ?? 0;
  if (pids > maxPids) {
    throw new StillframeError(
      'limit',
      `cannot arm a point in ${pids} processes at once, ${maxPids} are the most`,
    );
  }
}

export function nowOrderFrom(now: stillframe.v1.Now.$Properties): NowOrder {
  const engine = engineFrom(now.engine);
  return {
    pid: now.pid ?? 0,
    tids: now.tids ?? [],
    stackBytes: numberFromLong(now.stackBytes),
    maxBytes: numberFromLong(now.maxBytes),
    ...(engine === undefined ? {} : { engine }),
  };
}

export function coreOrderFrom(core: stillframe.v1.Core.$Properties): SessionCoreOrder {
  const engine = engineFrom(core.engine);
  return {
    pid: core.pid ?? 0,
    maxBytes: numberFromLong(core.maxBytes),
    ...(engine === undefined ? {} : { engine }),
  };
}

const maxMeasureMs = 60_000;

export function measureRequestFrom(measure: stillframe.v1.Measure.$Properties): MeasureRequest {
  const engine = engineFrom(measure.engine);
  const durationMs = numberFromLong(measure.durationMs);
  if (durationMs < 1 || durationMs > maxMeasureMs) {
    throw new StillframeError(
      'usage',
      `cannot measure for ${durationMs} ms: 1 to ${maxMeasureMs} are allowed`,
    );
  }
  return {
    pid: measure.pid ?? 0,
    plan: planFrom(measure.plan),
    durationMs,
    ...(engine === undefined ? {} : { engine }),
  };
}

const resourceNames = new Map<unknown, Resource>([
  [v1.Resource.RESOURCE_CPU_PERCENT, 'cpu'],
  [v1.Resource.RESOURCE_RSS_BYTES, 'rss'],
  [v1.Resource.RESOURCE_THREADS, 'threads'],
  [v1.Resource.RESOURCE_DESCRIPTORS, 'descriptors'],
]);

export function usageBoundFrom(watch: stillframe.v1.WatchUsage.$Properties): UsageBound {
  const resource = resourceNames.get(watch.resource);
  if (resource === undefined) throw new StillframeError('usage', 'cannot watch: no resource that is known');
  return {
    selector: watch.selector ?? '',
    resource,
    above: watch.above ?? 0,
    forMs: numberFromLong(watch.forMs),
  };
}

const phases = {
  pending: v1.PointPhase.POINT_PHASE_PENDING,
  armed: v1.PointPhase.POINT_PHASE_ARMED,
  suspended: v1.PointPhase.POINT_PHASE_SUSPENDED,
  ended: v1.PointPhase.POINT_PHASE_ENDED,
  failed: v1.PointPhase.POINT_PHASE_FAILED,
} as const;

export function pointStateMessage(view: PointView): stillframe.v1.PointState.$Properties {
  return {
    pointId: view.id,
    phase: phases[view.phase],
    engine: view.engine,
    processes: view.processes.map(({ pid, addresses }) => ({ pid, addresses: addresses.map(toLong) })),
    counters: countersMessage(view.counters),
    why: view.why,
    end: view.end ?? '',
    location: view.location,
    condition: view.condition ?? '',
    expiresMs: toLong(view.expiresMs),
    refusals: [...view.refusals],
    owner: view.owner,
    note: view.note,
    countOnly: view.countOnly,
    ...(view.canary === undefined
      ? {}
      : { canary: { ...view.canary, untilMs: toLong(view.canary.untilMs) } }),
    ...(view.cpuPercent === undefined ? {} : { cpuPercent: view.cpuPercent }),
    ...(view.counters.aggregate === undefined
      ? {}
      : { aggregate: aggregateMessage(view.counters.aggregate) }),
  };
}

function aggregateMessage({
  rest,
  groups,
  unreadable,
}: AggregateTotals): stillframe.v1.Aggregate.$Properties {
  return {
    rest: cellMessage(rest),
    groups: groups.map((group) => ({
      cell: cellMessage(group),
      ...('number' in group.key
        ? { number: toLong(BigInt.asUintN(64, group.key.number)) }
        : { text: group.key.text, cut: group.key.cut }),
    })),
    unreadable: toLong(unreadable),
  };
}

function cellMessage({ count, sum, buckets }: AggregateCell): stillframe.v1.AggregateCell.$Properties {
  return {
    count: toLong(count),
    sum: sum === undefined ? '' : String(sum),
    buckets: buckets.map(([bucket]) => bucket),
    bucketHits: buckets.map(([, hits]) => toLong(hits)),
  };
}

export function countersMessage(counters: PointCounters): stillframe.v1.Counters.$Properties {
  return {
    hits: toLong(counters.hits),
    conditionFalse: toLong(counters.conditionFalse),
    faults: toLong(counters.faults),
    dropped: toLong(counters.dropped),
    delivered: toLong(counters.delivered),
    limited: toLong(counters.limited ?? 0n),
    undecided: toLong(counters.undecided ?? 0n),
    undecidedWhy: counters.undecidedWhy ?? '',
  };
}

export function targetMessage(target: TargetProcess): stillframe.v1.Target.$Properties {
  return {
    pid: target.pid,
    comm: target.comm,
    args: [...target.args],
    uid: target.uid,
    executable: target.executable,
    buildId: target.buildId,
    unit: target.unit,
    container: target.container,
    service: target.service,
    startTicks: toLong(target.startTicks),
    startTimeMs: toLong(Math.round(target.startTimeMs)),
    refusal: target.refusal ?? '',
  };
}

export function moduleMessage(module: LoadedModule): stillframe.v1.Module.$Properties {
  return {
    path: module.path,
    buildId: module.buildId,
    start: toLong(module.start),
    end: toLong(module.end),
    bias: toLong(module.bias),
    deleted: module.deleted,
  };
}

const supports = {
  yes: v1.Support.SUPPORT_YES,
  no: v1.Support.SUPPORT_NO,
  unknown: v1.Support.SUPPORT_UNKNOWN,
} as const;

export function engineMessage({ engine, support }: EngineReport): stillframe.v1.EngineReport.$Properties {
  return {
    engine,
    support: supports[support.supported],
    detail: support.detail,
    remedy: support.supported === 'no' ? support.remedy : '',
  };
}
