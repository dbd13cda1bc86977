/** Messages of an agent to what the controller works with. Whatever is missing reads as proto3 means it. */
import { badData } from '../../format/error.js';
import type { AggregateCell, AggregateTotals } from '../../format/plan/aggregate.js';
import { stillframe } from '../../proto/generated/stillframe.js';
import { fromLong, numberFromLong, toLong } from '../../proto/long.js';
import type { CommandProperties, Event } from '../../proto/service.js';
import type { PointPhase } from '../store/store.js';
import type {
  AgentCounters,
  AgentFacts,
  AgentModule,
  AgentPoint,
  AgentTarget,
  ArmOrder,
  EngineStatus,
  Measured,
  TargetFacts,
  WatchEvent,
  WatchOrder,
} from './agent-facts.js';

const { v1 } = stillframe;

/** What a host can be called: names go into selectors, lists and files, so nothing else is believed. */
const hostPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,252}$/;
const maxFactLength = 256;

/** Throws `bad-data` for a hello that claims nonsense. */
export function factsFrom(hello: stillframe.v1.Hello.$Properties): AgentFacts {
  const { host, version, bootId, pidNamespace, kernel, architecture } = hello;
  if (!hostPattern.test(host ?? '')) {
    throw badData(
      `an agent calls its host ${JSON.stringify((host ?? '').slice(0, 80))}, which is no host name`,
    );
  }
  for (const [name, text] of Object.entries({ version, bootId, pidNamespace, kernel, architecture })) {
    if ((text ?? '').length > maxFactLength || /\p{Cc}/u.test(text ?? '')) {
      throw badData(
        `an agent at host ${host ?? ''} says a ${name} that is none: ${(text ?? '').length} characters`,
      );
    }
  }
  return {
    version: hello.version ?? '',
    host: hello.host ?? '',
    pid: hello.pid ?? 0,
    bootId: hello.bootId ?? '',
    pidNamespace: hello.pidNamespace ?? '',
    kernel: hello.kernel ?? '',
    architecture: hello.architecture ?? '',
    uid: hello.uid ?? 0,
  };
}

export function targetFrom(target: stillframe.v1.Target.$Properties): AgentTarget {
  return {
    pid: target.pid ?? 0,
    comm: target.comm ?? '',
    args: target.args ?? [],
    uid: target.uid ?? 0,
    executable: target.executable ?? '',
    buildId: target.buildId ?? '',
    unit: target.unit ?? '',
    container: target.container ?? '',
    service: target.service ?? '',
    startTicks: fromLong(target.startTicks),
    startTimeMs: timeFrom(target.startTimeMs),
    refusal: target.refusal ?? '',
  };
}

/** The last that a Date can hold. */
const maxTimeMs = 8.64e15;

/** Milliseconds since the epoch that a Date can hold, whatever was sent. */
function timeFrom(value: Parameters<typeof fromLong>[0]): number {
  const time = fromLong(value);
  return time > BigInt(maxTimeMs) ? maxTimeMs : Number(time);
}

function moduleFrom(module: stillframe.v1.Module.$Properties): AgentModule {
  return {
    path: module.path ?? '',
    buildId: module.buildId ?? '',
    start: fromLong(module.start),
    end: fromLong(module.end),
    bias: fromLong(module.bias),
    deleted: module.deleted ?? false,
  };
}

export function targetFactsFrom(facts: stillframe.v1.TargetFacts.$Properties): TargetFacts {
  return { target: targetFrom(facts.target ?? {}), modules: (facts.modules ?? []).map(moduleFrom) };
}

const phases: ReadonlyMap<number, PointPhase> = new Map([
  [v1.PointPhase.POINT_PHASE_PENDING, 'pending'],
  [v1.PointPhase.POINT_PHASE_ARMED, 'armed'],
  [v1.PointPhase.POINT_PHASE_SUSPENDED, 'suspended'],
  [v1.PointPhase.POINT_PHASE_ENDED, 'ended'],
  [v1.PointPhase.POINT_PHASE_FAILED, 'failed'],
]);

export function pointFrom(state: stillframe.v1.PointState.$Properties): AgentPoint {
  return {
    id: state.pointId ?? '',
    phase: phases.get(state.phase ?? 0) ?? 'failed',
    engine: state.engine ?? '',
    processes: (state.processes ?? []).map((process) => ({
      pid: process.pid ?? 0,
      addresses: (process.addresses ?? []).map(fromLong),
    })),
    counters: countersFrom(state.counters ?? {}),
    why: state.why ?? '',
    end: state.end ?? '',
    location: state.location ?? '',
    condition: state.condition ?? '',
    expiresMs: timeFrom(state.expiresMs),
    refusals: state.refusals ?? [],
    owner: state.owner ?? '',
    note: state.note ?? '',
    countOnly: state.countOnly ?? false,
    ...(state.canary === null || state.canary === undefined
      ? {}
      : {
          canary: {
            pid: state.canary.pid ?? 0,
            untilMs: timeFrom(state.canary.untilMs),
            waiting: state.canary.waiting ?? 0,
          },
        }),
    ...(state.cpuPercent ? { cpuPercent: state.cpuPercent } : {}),
    ...(state.aggregate === null || state.aggregate === undefined
      ? {}
      : { aggregate: aggregateFrom(state.aggregate) }),
  };
}

/** Throws `bad-data` for totals that cannot be. */
function aggregateFrom({ rest, groups, unreadable }: stillframe.v1.Aggregate.$Properties): AggregateTotals {
  return {
    rest: cellFrom(rest ?? {}),
    groups: (groups ?? []).map(({ cell, number, text, cut }) => ({
      key: text === null || text === undefined ? { number: fromLong(number) } : { text, cut: cut ?? false },
      ...cellFrom(cell ?? {}),
    })),
    unreadable: fromLong(unreadable),
  };
}

function cellFrom({
  count,
  sum,
  buckets,
  bucketHits,
}: stillframe.v1.AggregateCell.$Properties): AggregateCell {
  const hits = bucketHits ?? [];
  const decimal = sum ?? '';
  if (!/^(-?\d{1,40})?$/.test(decimal)) throw badData('an agent says a sum that is no number');
  if ((buckets ?? []).length !== hits.length) throw badData('an agent says buckets without their hits');
  return {
    count: fromLong(count),
    sum: decimal === '' ? undefined : BigInt(decimal),
    buckets: (buckets ?? []).map((bucket, i) => [bucket, fromLong(hits[i])] as const),
  };
}

function countersFrom(counters: stillframe.v1.Counters.$Properties): AgentCounters {
  return {
    hits: fromLong(counters.hits),
    conditionFalse: fromLong(counters.conditionFalse),
    faults: fromLong(counters.faults),
    dropped: fromLong(counters.dropped),
    delivered: fromLong(counters.delivered),
    ...(fromLong(counters.limited) === 0n ? {} : { limited: fromLong(counters.limited) }),
    ...(fromLong(counters.undecided) === 0n ? {} : { undecided: fromLong(counters.undecided) }),
    ...(counters.undecidedWhy ? { undecidedWhy: counters.undecidedWhy } : {}),
  };
}

const supports: ReadonlyMap<number, EngineStatus['supported']> = new Map([
  [v1.Support.SUPPORT_YES, 'yes'],
  [v1.Support.SUPPORT_NO, 'no'],
]);

export function engineFrom(report: stillframe.v1.EngineReport.$Properties): EngineStatus {
  return {
    engine: report.engine ?? '',
    supported: supports.get(report.support ?? 0) ?? 'unknown',
    detail: report.detail ?? '',
    remedy: report.remedy ?? '',
  };
}

export function measuredFrom(measured: stillframe.v1.Measured.$Properties): Measured {
  return {
    engine: measured.engine ?? '',
    durationMs: numberFromLong(measured.durationMs),
    counters: countersFrom(measured.counters ?? {}),
  };
}

export function armMessage(order: ArmOrder): stillframe.v1.Arm.$Properties {
  return {
    pointId: order.id,
    pids: [...order.pids],
    selector: order.selector,
    plan: order.plan,
    engine: order.engine,
    maxHits: order.maxHits,
    everyProcess: order.everyProcess,
    minIntervalNs: toLong(order.minIntervalNs),
    expiresMs: toLong(order.expiresMs),
    whileConnected: order.whileConnected,
    countOnly: order.countOnly,
    ...(order.stream === true ? { stream: true } : {}),
    ...order.terms,
    owner: order.owner,
    note: order.note,
  };
}

const resources = {
  cpu: v1.Resource.RESOURCE_CPU_PERCENT,
  rss: v1.Resource.RESOURCE_RSS_BYTES,
  threads: v1.Resource.RESOURCE_THREADS,
  descriptors: v1.Resource.RESOURCE_DESCRIPTORS,
} as const;

export function watchMessage(order: WatchOrder): Omit<CommandProperties, 'request'> {
  const watchId = order.id;
  switch (order.kind) {
    case 'targets':
      return { watchTargets: { watchId, selector: order.selector } };
    case 'log':
      return { watchLog: { watchId, path: order.path, pattern: order.pattern } };
    case 'usage': {
      const { selector, above, forMs } = order;
      const resource = resources[order.resource];
      return { watchUsage: { watchId, selector, resource, above, forMs: toLong(forMs) } };
    }
  }
}

/** Undefined for an event that is not of a watch. */
export function watchEventFrom(event: Event): WatchEvent | undefined {
  if (event.body === 'targetsChanged') {
    const { watchId, appeared, left } = event.targetsChanged;
    return {
      id: watchId ?? '',
      kind: 'targets',
      appeared: (appeared ?? []).map(targetFrom),
      left: (left ?? []).map(targetFrom),
    };
  }
  if (event.body === 'logMatched') {
    const { watchId, timeMs, line, count } = event.logMatched;
    return { id: watchId ?? '', kind: 'log', timeMs: timeFrom(timeMs), line: line ?? '', count: count ?? 0 };
  }
  if (event.body === 'usageExceeded') {
    const { watchId, timeMs, target, value } = event.usageExceeded;
    return {
      id: watchId ?? '',
      kind: 'usage',
      timeMs: timeFrom(timeMs),
      target: targetFrom(target ?? {}),
      value: value ?? 0,
    };
  }
  if (event.body === 'watchState') {
    return { id: event.watchState.watchId ?? '', kind: 'state', detail: event.watchState.detail ?? '' };
  }
  return undefined;
}
