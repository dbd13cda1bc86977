/** A tracer in memory: what it was asked is written down, and the test says what happens in the processes. */
import type {
  CapturedProcess,
  CoreOrder,
  CoreProgress,
  EngineReport,
  MadeCore,
  MeasureRequest,
  PointCounters,
  PointEnd,
  ProcessChanges,
  ProcessCounters,
  ProcessUsage,
  TargetProcess,
  TracerArmRequest,
  TracerArmed,
  TracerClient,
  TracerListener,
  UsageRequest,
} from '../../../agent/tracer/client.js';
import type { EngineName, ProcessFacts } from '../../../format/capture.js';
import { StillframeError } from '../../../format/error.js';
import { captureOf, factsOf } from '../../support/captures.js';

export class FakeTracer implements TracerClient {
  readonly calls: string[] = [];
  readonly armed: Map<string, TracerArmRequest> = new Map();
  /** Why a process cannot be armed. */
  readonly refusals: Map<number, StillframeError> = new Map();
  targets: TargetProcess[] = [];
  now_: CapturedProcess = { capture: captureOf(), facts: factsOf(), startTicks: 0n };
  #counters: PointCounters = { hits: 0n, conditionFalse: 0n, faults: 0n, dropped: 0n, delivered: 0n };
  /** Called within `arm`, before it answers. */
  whileArming: (request: TracerArmRequest) => void = () => undefined;
  makeCore: (order: CoreOrder, signal: AbortSignal | undefined) => Promise<MadeCore> = () =>
    Promise.reject(new StillframeError('unsupported', 'no engine can take the whole memory'));
  whileMeasuring: (signal: AbortSignal | undefined) => Promise<void> = () => Promise.resolve();
  usageNow: () => readonly ProcessUsage[] = () => [];
  /** How often the processes were looked at. */
  looks = 0;
  #told: readonly TargetProcess[] = [];
  #listener: TracerListener | undefined;

  get countersNow(): PointCounters {
    return this.#counters;
  }
  /** Of each process and point. */
  set countersNow(counters: PointCounters) {
    this.#counters = counters;
    this.pass();
  }

  get listener(): TracerListener {
    if (this.#listener === undefined) throw new Error('nobody listens');
    return this.#listener;
  }

  listen(listener: TracerListener): void {
    this.#listener = listener;
  }
  probeEngines(): Promise<readonly EngineReport[]> {
    return Promise.resolve([]);
  }
  listTargets(selector = ''): Promise<readonly TargetProcess[]> {
    const isPid = /^\d+$/.test(selector);
    return Promise.resolve(this.targets.filter(({ pid }) => !isPid || String(pid) === selector));
  }
  startOf(pid: number): bigint {
    return this.targets.find((target) => target.pid === pid)?.startTicks ?? 0n;
  }
  usage({ pids }: UsageRequest): Promise<readonly ProcessUsage[]> {
    return Promise.resolve(this.usageNow().filter(({ pid }) => pids.includes(pid)));
  }
  processFacts(): Promise<ProcessFacts> {
    return Promise.resolve(factsOf());
  }
  arm(request: TracerArmRequest): Promise<TracerArmed> {
    const what = request.countOnly === true ? 'count' : request.maxHits;
    this.calls.push(`arm ${request.pointId} ${request.pid} ${request.engine ?? 'best'} ${what}`);
    const refusal = this.refusals.get(request.pid);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.armed.set(`${request.pointId} ${request.pid}`, request);
    this.whileArming(request);
    return Promise.resolve({
      engine: request.engine ?? 'uprobe',
      startTicks: this.startOf(request.pid),
      program: this.targets.find(({ pid }) => pid === request.pid) ?? { executable: '', buildId: '' },
      addresses: [0x1000n],
      refusals: [],
    });
  }
  disarm(pointId: string, pid: number): Promise<PointCounters | undefined> {
    this.calls.push(`disarm ${pointId} ${pid}`);
    return Promise.resolve(this.armed.delete(`${pointId} ${pid}`) ? this.countersNow : undefined);
  }
  counters(pointIds: readonly string[]): Promise<readonly ProcessCounters[]> {
    const armed = [...this.armed.values()].filter(({ pointId }) => pointIds.includes(pointId));
    return Promise.resolve(armed.map(({ pointId, pid }) => ({ pointId, pid, counters: this.countersNow })));
  }
  pollTargets(cursor: number): Promise<ProcessChanges> {
    this.looks += 1;
    const isReset = cursor === 0;
    const before = isReset ? [] : this.#told;
    this.#told = this.targets;
    const changed = this.targets.filter((target) => !before.includes(target));
    const gone = before.filter(
      ({ pid, startTicks }) =>
        !this.targets.some((target) => target.pid === pid && target.startTicks === startTicks),
    );
    return Promise.resolve({ cursor: this.looks, isReset, changed, gone });
  }
  now(): Promise<CapturedProcess> {
    return Promise.resolve(this.now_);
  }
  core(order: CoreOrder, _: CoreProgress, signal?: AbortSignal): Promise<MadeCore> {
    return this.makeCore(order, signal);
  }
  async measure(
    request: MeasureRequest,
    signal?: AbortSignal,
  ): Promise<{ readonly engine: EngineName; readonly counters: PointCounters }> {
    await this.whileMeasuring(signal);
    return { engine: request.engine ?? 'uprobe', counters: this.countersNow };
  }
  [Symbol.asyncDispose](): Promise<void> {
    this.calls.push('dispose');
    return Promise.resolve();
  }

  hit(pointId: string, pid: number, more: Partial<CapturedProcess['capture']> = {}): void {
    this.listener.hit(pointId, {
      capture: captureOf({ pid, tid: pid, ...more }),
      facts: factsOf({ pid }),
      startTicks: this.startOf(pid),
    });
  }
  /** Threads pass all that is armed. */
  pass(): void {
    this.#listener?.passed?.([...this.armed.values()].map(({ pointId }) => pointId));
  }
  end(pointId: string, pid: number, reason: PointEnd, last: PointCounters = this.countersNow): void {
    this.armed.delete(`${pointId} ${pid}`);
    this.listener.ended(pointId, pid, reason, last);
  }
  die(reason: string): void {
    this.armed.clear();
    this.listener.restarted(reason);
  }
}
