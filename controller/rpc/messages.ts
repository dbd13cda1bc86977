/** Messages of an agent to what the controller works with. Whatever is missing reads as proto3 means it. */
import { stillframe } from '../../proto/generated/stillframe.js';
import { fromLong, numberFromLong } from '../../proto/long.js';
import type { PointPhase } from '../store/store.js';
import type {
  AgentCounters,
  AgentFacts,
  AgentModule,
  AgentPoint,
  AgentTarget,
  EngineStatus,
  Measured,
  TargetFacts,
} from './agent-facts.js';

const { v1 } = stillframe;

export function factsFrom(hello: stillframe.v1.Hello.$Properties): AgentFacts {
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
    startTimeMs: numberFromLong(target.startTimeMs),
    refusal: target.refusal ?? '',
  };
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
    expiresMs: numberFromLong(state.expiresMs),
    refusals: state.refusals ?? [],
    owner: state.owner ?? '',
    note: state.note ?? '',
    countOnly: state.countOnly ?? false,
  };
}

function countersFrom(counters: stillframe.v1.Counters.$Properties): AgentCounters {
  return {
    hits: fromLong(counters.hits),
    conditionFalse: fromLong(counters.conditionFalse),
    faults: fromLong(counters.faults),
    dropped: fromLong(counters.dropped),
    delivered: fromLong(counters.delivered),
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
