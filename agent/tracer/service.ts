/** What the tracer does for the front: one method a call. Holds the armed points; knows nothing of the channel. */
import { armPoint } from '../engines/decided-point.js';
import type { Capture, EngineName, ProcessFacts } from '../../format/capture.js';
import { StillframeError, toStillframeError, withContext } from '../../format/error.js';
import { withoutRanges } from '../../format/plan/plan.js';
import { parseSelector } from '../../format/target-selector.js';
import { OtherThreads, type ThreadLook } from '../engines/other-threads.js';
import type { ArmedPoint, Engine, EngineSupport, NowRequest, PointSink } from '../engines/engine.js';
import { readMaps, readStat } from '../linux/proc.js';
import { ElfFactsCache } from '../targets/elf-facts.js';
import { readProcessFacts } from '../targets/process-facts.js';
import { refuse32Bit } from '../targets/program-class.js';
import { readUsage } from '../targets/usage.js';
import { ProcessTable, hostProcesses } from '../targets/process-table.js';
import { findProcess, listProcesses } from '../targets/processes.js';
import { checkAwaited, pause } from './abandoned.js';
import { matches } from './select.js';
import { type ChoiceRequest, chooseForCore, chooseForNow, chooseForPoint } from './choose.js';
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
  UsageRequest,
} from './client.js';
import { writeCopiedCore } from './core.js';
import { type LookedAfter, PointLooks, type PointLooksEvents } from './point-looks.js';
import { ProcessLooks } from './process-looks.js';
import type { PointOfProcess } from './protocol.js';

export interface TracerEvents extends PointLooksEvents {
  hit(pointId: string, captured: CapturedProcess): void;
  ended(pointId: string, pid: number, reason: PointEnd, last: PointCounters): void;
}

interface FirstArmed {
  readonly point: ArmedPoint;
  readonly refusals: readonly string[];
}

export class TracerService {
  readonly #engines: readonly Engine[];
  readonly #events: TracerEvents;
  readonly #elf = new ElfFactsCache();
  readonly #points = new Map<string, LookedAfter>();
  readonly #looks: PointLooks;
  readonly #facts = new Map<number, KnownFacts>();
  #processes: ProcessLooks | undefined;
  #hidden: ReadonlySet<number> = new Set();
  #supports: Promise<ReadonlyMap<EngineName, EngineSupport>> | undefined;
  #measurements = 0;
  readonly #measured = new Set<LookedAfter>();
  readonly #arming = new Set<Promise<FirstArmed>>();
  readonly #armingKeys = new Set<string>();
  #isClosing = false;

  constructor(engines: readonly Engine[], events: TracerEvents) {
    this.#engines = engines;
    this.#events = events;
    this.#looks = new PointLooks(events);
  }

  /** Tries all engines anew. */
  async probeEngines(): Promise<readonly EngineReport[]> {
    this.#supports = this.#probe();
    const supports = await this.#supports;
    return [...supports].map(([engine, support]) => ({ engine, support }));
  }

  listTargets(selector: string | undefined, except: readonly number[]): readonly TargetProcess[] {
    const wanted = selector === undefined ? undefined : parseSelector(selector);
    const hidden = new Set([process.pid, ...except]);
    if (wanted?.kind === 'pid') {
      const pid = Number(wanted.value);
      const target = hidden.has(pid) ? undefined : findProcess(pid, this.#elf);
      return target === undefined ? [] : [target];
    }
    const found = listProcesses(this.#elf, hidden);
    return wanted === undefined ? found : found.filter((target) => matches(wanted, target));
  }

  async pollTargets(cursor: number, waitMs: number, except: readonly number[]): Promise<ProcessChanges> {
    this.#hidden = new Set([process.pid, ...except]);
    this.#processes ??= new ProcessLooks(new ProcessTable(hostProcesses(this.#elf, () => this.#hidden)));
    return await this.#processes.next(cursor, waitMs);
  }

  usage({ pids, descriptors }: UsageRequest): readonly ProcessUsage[] {
    return pids.flatMap((pid) => readUsage(pid, { descriptors }) ?? []);
  }

  processFacts(pid: number): ProcessFacts {
    return readProcessFacts(pid, this.#elf);
  }

  async arm(request: TracerArmRequest): Promise<TracerArmed> {
    const { pointId, pid } = request;
    const key = keyOf({ pointId, pid });
    if (this.#points.has(key) || this.#armingKeys.has(key)) {
      throw new StillframeError('usage', `point "${pointId}" is already armed in process ${pid}`);
    }
    this.#armingKeys.add(key);
    try {
      return await this.#armAs(key, request);
    } finally {
      this.#armingKeys.delete(key);
    }
  }

  async #armAs(key: string, request: TracerArmRequest): Promise<TracerArmed> {
    const { pointId, pid } = request;
    // Read before the first hit, so that a process that ends right after it still has its facts.
    const { startTicks } = this.#factsOf(pid);
    if (request.startTicks !== undefined && request.startTicks !== startTicks) throw anotherProcess(pid);
    const { executable = '', buildId = '' } = findProcess(pid, this.#elf) ?? {};
    let ended = false;
    const sink: PointSink = {
      hit: (capture) => this.#deliver(pointId, capture),
      ended: (reason, last) => {
        ended = true;
        this.#forget(key);
        this.#events.ended(pointId, pid, reason, last);
      },
    };
    const { point, refusals } = await this.#armFirst(request, sink);
    if (hasAnother(pid, startTicks)) {
      await point.disarm();
      throw anotherProcess(pid);
    }
    // A point may have used up its hits by now.
    if (!ended) {
      const armed = { pointId, pid, point };
      this.#points.set(key, armed);
      this.#looks.add(armed);
    }
    const warnings = point.warning === undefined ? [] : [`${point.engine}: ${point.warning}`];
    const { engine, addresses } = point;
    const program = { executable, buildId };
    const awaited = addresses.length > 0 || ended ? undefined : point.counters().awaited;
    return {
      engine,
      startTicks,
      program,
      addresses,
      ...(awaited === undefined ? {} : { awaited }),
      refusals: [...refusals, ...warnings],
    };
  }

  async disarm(which: PointOfProcess): Promise<PointCounters | undefined> {
    const point = this.#points.get(keyOf(which))?.point;
    if (point === undefined) return undefined;
    await point.disarm();
    this.#forget(keyOf(which));
    return point.counters();
  }

  #forget(key: string): void {
    const armed = this.#points.get(key);
    if (armed === undefined) return;
    this.#points.delete(key);
    this.#looks.remove(armed);
  }

  counters(pointIds: readonly string[]): readonly ProcessCounters[] {
    const wanted = new Set(pointIds);
    return [...this.#points.values()].flatMap(({ pointId, pid, point }) =>
      wanted.has(pointId) ? [{ pointId, pid, counters: point.counters() }] : [],
    );
  }

  async now(request: NowRequest & { readonly engine?: EngineName }): Promise<CapturedProcess> {
    refuse32Bit(request.pid);
    const { engines } = chooseForNow(await this.#choice(request.engine));
    const failures: StillframeError[] = [];
    for (const engine of engines) {
      try {
        const capture = await engine.now?.(request);
        if (capture === undefined) continue;
        return { capture, ...this.#factsOf(request.pid) };
      } catch (error) {
        failures.push(toStillframeError(error));
        if (isFinal(failures.at(-1))) break;
      }
    }
    throw failures[0] ?? new StillframeError('internal', 'no engine was tried');
  }

  async core(order: CoreOrder, progress: CoreProgress, signal?: AbortSignal): Promise<MadeCore> {
    refuse32Bit(order.pid);
    const { engines } = chooseForCore(await this.#choice(order.engine));
    let first: StillframeError | undefined;
    for (const engine of engines) {
      checkAwaited(signal);
      try {
        // Before the copy: it is of the process as it is then, and nothing is known of the process after its end.
        const { facts } = this.#factsOf(order.pid);
        await using copied = await engine.copy?.({ pid: order.pid });
        if (copied !== undefined) return await writeCopiedCore(order, { copied, facts, signal }, progress);
      } catch (error) {
        first ??= toStillframeError(error);
      }
    }
    throw first ?? new StillframeError('internal', 'no engine was tried');
  }

  /** Counts what the point would see, and collects nothing. */
  async measure(
    request: MeasureRequest,
    signal?: AbortSignal,
  ): Promise<{ readonly engine: EngineName; readonly counters: PointCounters }> {
    const pointId = `measurement ${++this.#measurements}`;
    const { point } = await this.#armFirst(
      { ...request, pointId, countOnly: true, maxHits: 1, minIntervalNs: 0n },
      { hit: () => undefined, ended: () => undefined },
    );
    const measured = { pointId, pid: request.pid, point };
    this.#looks.add(measured);
    this.#measured.add(measured);
    try {
      await pause(request.durationMs, signal);
    } finally {
      this.#looks.remove(measured);
      this.#measured.delete(measured);
      await point.disarm();
    }
    checkAwaited(signal);
    return { engine: point.engine, counters: point.counters() };
  }

  /** Disarms everything, also what is just being armed; what cannot be disarmed is logged, and goes with the process. */
  async shutdown(): Promise<void> {
    this.#isClosing = true;
    await Promise.allSettled(this.#arming);
    const points = [...this.#points.values(), ...this.#measured];
    this.#points.clear();
    this.#looks[Symbol.dispose]();
    const results = await Promise.allSettled(points.map(({ point }) => point.disarm()));
    for (const result of results) {
      if (result.status === 'rejected') this.#events.log('error', toStillframeError(result.reason).message);
    }
  }

  async #armFirst(request: TracerArmRequest, sink: PointSink): Promise<FirstArmed> {
    const arming = this.#armUnlessClosing(request, sink);
    this.#arming.add(arming);
    try {
      return await arming;
    } finally {
      this.#arming.delete(arming);
    }
  }

  async #armUnlessClosing(request: TracerArmRequest, sink: PointSink): Promise<FirstArmed> {
    const armed = this.#isClosing ? undefined : await this.#armBest(request, sink);
    if (armed !== undefined && !this.#isClosing) return armed;
    await armed?.point.disarm();
    throw new StillframeError('unreachable', 'the tracer is being ended');
  }

  async #armBest(request: TracerArmRequest, sink: PointSink): Promise<FirstArmed> {
    const { countOnly = false, allThreads = false } = request;
    const plan = countOnly ? withoutRanges(request.plan) : request.plan;
    const choice = chooseForPoint(await this.#choice(request.engine), plan);
    const refusals = [...choice.refusals];
    const told =
      allThreads && !countOnly ? new OtherThreads(this.#lookAtThreads, sink, plan.stackBytes) : sink;
    let first: StillframeError | undefined;
    for (const engine of choice.engines) {
      try {
        const forced = request.engine !== undefined;
        const point = await armPoint(engine, { ...request, plan, countOnly, forced }, told);
        if (point !== undefined) return { point, refusals };
      } catch (error) {
        const failure = toStillframeError(error);
        first ??= failure;
        refusals.push(`${engine.name}: ${failure.message}`);
        if (isFinal(failure)) break;
      }
    }
    throw withContext(
      `cannot arm the point in process ${request.pid}`,
      first ?? new StillframeError('internal', 'no engine was tried'),
    );
  }

  /** By the engines that stop nothing. */
  readonly #lookAtThreads: ThreadLook = async (request) => {
    const { engines } = chooseForNow(await this.#choice(undefined));
    const gentle =
      engines.find((engine) => engine.name === 'observe') ?? engines.find((engine) => engine.name === 'mem');
    const capture = await gentle?.now?.(request);
    if (capture !== undefined) return capture;
    throw new StillframeError('unsupported', 'no engine can read threads that run on');
  };

  async #choice(engine: EngineName | undefined): Promise<ChoiceRequest> {
    this.#supports ??= this.#probe();
    return { engines: this.#engines, supports: await this.#supports, engine };
  }

  async #probe(): Promise<ReadonlyMap<EngineName, EngineSupport>> {
    const supports = new Map<EngineName, EngineSupport>();
    for (const engine of this.#engines) {
      try {
        supports.set(engine.name, await engine.probe());
      } catch (error) {
        supports.set(engine.name, { supported: 'unknown', detail: toStillframeError(error).message });
      }
    }
    return supports;
  }

  #deliver(pointId: string, capture: Capture): void {
    try {
      this.#events.hit(pointId, { capture, ...this.#factsOf(capture.pid) });
    } catch (error) {
      this.#events.log('error', `a hit of point "${pointId}" is lost: ${toStillframeError(error).message}`);
    }
  }

  /** Read again when the process or its mappings changed; those known last when it is gone by now. */
  #factsOf(pid: number): FactsOfProcess {
    const known = this.#facts.get(pid);
    try {
      const { startTicks } = readStat(pid);
      const maps = mapsOf(pid);
      if (known?.maps === maps && known.startTicks === startTicks) return { facts: known.facts, startTicks };
      const facts = readProcessFacts(pid, this.#elf);
      if (this.#facts.size >= maxKnownFacts) this.#facts.clear();
      this.#facts.set(pid, { maps, startTicks, facts });
      return { facts, startTicks };
    } catch (error) {
      if (known === undefined || toStillframeError(error).code !== 'target-gone') throw error;
      return { facts: known.facts, startTicks: known.startTicks };
    }
  }
}

interface FactsOfProcess {
  readonly facts: ProcessFacts;
  readonly startTicks: bigint;
}

interface KnownFacts extends FactsOfProcess {
  readonly maps: string;
}

const maxKnownFacts = 256;

function mapsOf(pid: number): string {
  return readMaps(pid)
    .map((mapping) => `${mapping.start}-${mapping.end}${mapping.permissions}${mapping.path}`)
    .join('\n');
}

/** Whether the number was given to another process. One that is gone is told of by its engine. */
function hasAnother(pid: number, startTicks: bigint): boolean {
  try {
    return readStat(pid).startTicks !== startTicks;
  } catch (error) {
    if (toStillframeError(error).code === 'target-gone') return false;
    throw error;
  }
}

const anotherProcess = (pid: number): StillframeError =>
  new StillframeError('target-gone', `process ${pid} is gone, and its number was given to another`, {
    detail: { pid },
  });

const keyOf = (which: PointOfProcess): string => `${which.pid} ${which.pointId}`;

/** What no other engine would do better. */
function isFinal(error: StillframeError | undefined): boolean {
  return (
    error !== undefined && ['target-gone', 'mismatch', 'not-found', 'bad-data', 'usage'].includes(error.code)
  );
}
