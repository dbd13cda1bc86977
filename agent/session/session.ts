/**
 * The front of the agent as an object: points by id, hits turned into cores and spooled, re-arming after the tracer died. It knows nothing
 * of gRPC and makes no system call on a target; everything of that kind goes to the tracer.
 *
 * Arming is idempotent by id. A point leaves only by `remove`, by its hits, by expiry or with its target, and stays listed for a while.
 */
import type {
  CapturedProcess,
  CoreProgress,
  MeasureRequest,
  PointCounters,
  PointEnd,
  TracerClient,
} from '../tracer/client.js';
import type { EngineName } from '../../format/capture.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { Policy } from '../policy/policy.js';
import { parseSelector } from '../../format/target-selector.js';
import { Arming, type ProcessToArm } from './arming.js';
import { Canaries } from './canaries.js';
import { takeCore, type SessionCoreOrder } from './core.js';
import { Gate } from './gate.js';
import { isDeserted, Leftovers } from './leftovers.js';
import { Newcomers } from './newcomers.js';
import { PastPoints } from './past-points.js';
import type { Point, PointEnding, PointRequest, PointView } from './point.js';
import type { PointRecords } from './point-records.js';
import { maxRestarts, Restoring } from './restoring.js';
import type { SessionLog } from './session-log.js';
import { makeSnapshot } from './snapshot.js';
import type { Delivery, Spool, SpooledSnapshot } from './spool.js';
import { Suspending } from './suspending.js';
import { TargetPoll } from './target-poll.js';
import { countersAtHit } from './why.js';

export interface SessionOptions {
  readonly tracer: TracerClient;
  readonly spool: Spool;
  readonly policy: Policy;
  readonly host: string;
  readonly log: SessionLog;
  /** Undefined: points end with this agent. */
  readonly records?: PointRecords;
}

export interface SessionListener {
  snapshot?(snapshot: SpooledSnapshot): void;
  point?(view: PointView): void;
}

export interface NowOrder {
  readonly pid: number;
  readonly tids: readonly number[];
  readonly stackBytes: number;
  readonly maxBytes: number;
  readonly engine?: EngineName;
}

export interface Measured {
  readonly engine: EngineName;
  readonly counters: PointCounters;
}

interface Closing {
  readonly detail: string;
  readonly demanded?: boolean;
  readonly keep?: boolean;
}

const tickMs = 1000;
const maxEndedPoints = 100;
const desertedText = 'removed, for the command that waited for it is gone';
/** An agent that lived so long with a point was not killed by it. */
const healthyMs = 60_000;
/** Points that are alive at once. */
const maxPoints = 200;

export class Session implements AsyncDisposable {
  readonly tracer: TracerClient;
  readonly spool: Spool;
  readonly targets: TargetPoll;
  readonly gate: Gate;
  readonly #options: SessionOptions;
  readonly #arming: Arming;
  readonly #newcomers: Newcomers;
  readonly #suspending: Suspending;
  readonly #canaries: Canaries;
  readonly #past: PastPoints;
  readonly #restoring: Restoring;
  readonly #leftovers: Leftovers;
  readonly #points = new Map<string, Point>();
  readonly #starting = new Map<string, Promise<PointView>>();
  readonly #listeners = new Set<SessionListener>();
  /** They are just ending, for their time is over or nobody waits for them. */
  readonly #overdue = new Set<Point>();
  readonly #timer: NodeJS.Timeout;
  readonly #startedMs = Date.now();
  #ticking = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { tracer, spool, policy, log, records } = options;
    const gate = new Gate(policy, tracer);
    this.gate = gate;
    this.tracer = tracer;
    this.spool = spool;
    this.#leftovers = new Leftovers(spool, log, (id) => this.#points.get(id));
    this.#past = new PastPoints({ records, spool, log });
    this.targets = new TargetPoll(tracer, log);
    this.#arming = new Arming(tracer, gate);
    this.#newcomers = new Newcomers({
      tracer,
      targets: this.targets,
      arming: this.#arming,
      gate,
      changed: (point) => {
        // Not written down: another agent would find the same processes.
        if (point.active) this.#announce(point);
      },
    });
    this.#suspending = new Suspending(policy.cpu, {
      arming: this.#arming,
      newcomers: this.#newcomers,
      past: this.#past,
      log,
      refresh: (points) => this.#fresh(points),
      suspended: (point) => {
        this.#announce(point);
        this.#log('point suspended', point);
      },
    });
    this.#canaries = new Canaries({
      tracer,
      arming: this.#arming,
      newcomers: this.#newcomers,
      past: this.#past,
      leastMs: policy.canaryMs,
      passed: (point) => {
        this.#announce(point);
        this.#log('canary passed', point);
      },
      failed: (point, detail) => this.#close(point, 'failed', 'failed', { detail }),
    });
    this.#restoring = new Restoring({
      tracer,
      past: this.#past,
      log,
      known: (point) => void this.#points.set(point.request.id, point),
      armOnce: (id, work) => this.#armOnce(id, work),
      start: (point, processes) => this.#start(point, processes),
      close: (point, end, detail) => this.#closeRestored(point, end, detail),
      announce: (point) => this.#announce(point),
    });
    this.tracer.listen({
      hit: (pointId, captured) => this.#hit(pointId, captured),
      ended: (pointId, pid, reason, last) => this.#ended(pointId, { pid, reason, last }),
      passed: (pointIds) => this.#suspending.passed(pointIds),
      restarted: (reason) => void this.#restarted(reason),
    });
    this.#timer = setInterval(() => void this.#tick(), tickMs);
  }

  subscribe(listener: SessionListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Arms, or gives the state of the point that has this id already. Throws and leaves nothing armed when no process could be armed. */
  async arm(request: PointRequest): Promise<PointView> {
    const known = this.#points.get(request.id);
    const arming = this.#starting.get(request.id);
    if (arming !== undefined) return await arming;
    if (known !== undefined) return await this.#freshOne(known);
    return await this.#armOnce(request.id, () => this.#arm(request));
  }

  /** Whoever asks for the same point meanwhile gets the same answer. */
  async #armOnce(id: string, work: () => Promise<PointView>): Promise<PointView> {
    const promise = work();
    this.#starting.set(id, promise);
    try {
      return await promise;
    } finally {
      this.#starting.delete(id);
    }
  }

  /**
   * Arms what an earlier agent had armed and is neither expired nor used up, with the hits that are left. Processes that are gone are passed over. When it
   * returns all these points are known, and whoever arms or lists them gets them; when it resolves they are armed.
   */
  restore(): Promise<void> {
    const restored = this.#restoring.restore();
    this.#forgetOld();
    return restored;
  }

  async #closeRestored(point: Point, end: PointEnding, detail: string): Promise<PointView> {
    this.#past.woken(point.request.id);
    this.#points.set(point.request.id, point);
    await this.#close(point, end === 'failed' ? 'failed' : 'ended', end, { detail });
    return point.view();
  }

  async #arm(request: PointRequest): Promise<PointView> {
    if ([...this.#points.values()].filter((known) => known.active).length >= maxPoints) {
      throw new StillframeError(
        'limit',
        `cannot arm point ${request.id}: ${maxPoints} points are armed already`,
        {
          hint: '`stillframe points` lists them, `stillframe rm` removes them',
        },
      );
    }
    const point = this.#past.makePoint(request);
    const processes = request.pids.map((pid) => ({ pid }));
    const view = await this.#start(point, processes);
    // Who asked may have gone meanwhile, and will never hold it.
    if (point.holders === 0) point.desertedMs = Date.now();
    return view;
  }

  /** Throws, and the point is not known, when processes are given and none of them can be armed. */
  async #start(point: Point, processes: readonly ProcessToArm[]): Promise<PointView> {
    const { request } = point;
    this.#points.set(request.id, point);
    try {
      return await this.#armProcesses(point, processes);
    } catch (error) {
      this.#points.delete(request.id);
      throw error;
    }
  }

  async #armProcesses(point: Point, processes: readonly ProcessToArm[]): Promise<PointView> {
    const { request } = point;
    if (request.selector !== '') parseSelector(request.selector);
    this.gate.policy.checkPoint({ ...request, cpuPercent: request.terms?.cpuPercent ?? 0 });
    await this.gate.checkPrograms(processes.map(({ pid }) => pid));
    const before = point.delivered.total;
    const failures: StillframeError[] = [];
    let usedUp = 0;
    for (const outcome of await this.#canaries.arm(point, processes)) {
      if (outcome instanceof StillframeError) failures.push(outcome);
      else if (outcome === 'used up') usedUp += 1;
    }
    // A process that went meanwhile is no reason not to wait for the next.
    const reasons =
      request.selector === '' ? failures : failures.filter(({ code }) => code !== 'target-gone');
    const [first] = reasons;
    const isEmpty = point.armed.size === 0 && point.active;
    if (first !== undefined && isEmpty && point.delivered.total === before) throw first;
    for (const { message } of reasons) point.refuse(message);
    const isOver = point.isUsedUp || (request.selector === '' && usedUp === processes.length);
    if (isEmpty && isOver) {
      await this.#close(point, 'ended', 'hits', { detail: point.allDelivered });
    } else if (isEmpty && request.selector === '') {
      await this.#close(point, 'ended', 'target-gone', { detail: point.detail });
    }
    if (point.active) {
      if (point.phase === 'pending') point.wait();
      if (request.selector !== '' && point.canary === undefined) this.#newcomers.add(point);
      this.#past.keep(point);
    }
    this.#past.woken(request.id);
    this.#log('point armed', point);
    return point.view();
  }

  /** Somebody waits for the point until it is disposed. For a point that was armed `whileConnected`; others do not care. */
  hold(id: string): Disposable {
    const point = this.#points.get(id);
    if (point?.request.whileConnected !== true) return { [Symbol.dispose]: () => undefined };
    let held = true;
    point.holders += 1;
    point.desertedMs = undefined;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        point.holders -= 1;
        if (point.holders > 0) return;
        point.desertedMs = Date.now();
        this.#leftovers.dropUntold(point);
      },
    };
  }

  /** Also one that ended and is still listed. */
  hasPoint(id: string): boolean {
    return this.#points.has(id);
  }

  async remove(id: string): Promise<PointView> {
    const dormant = this.#past.dormant(id);
    if (dormant !== undefined && !this.#starting.has(id)) {
      return await this.#closeRestored(this.#past.makePoint(dormant.request), 'removed', 'removed');
    }
    const point = this.#find(id);
    this.#past.woken(id);
    // It may have ended by itself a moment ago: that is waited for, too.
    if (point.active || point.closing !== undefined)
      await this.#close(point, 'ended', 'removed', { detail: 'removed', demanded: true });
    return point.view();
  }

  /** Arms what was suspended again, with the whole of its budget. Any other point is left as it is. */
  async resume(id: string): Promise<PointView> {
    const point = this.#find(id);
    if (point.phase !== 'suspended') return await this.#freshOne(point);
    return await this.#armOnce(id, async () => {
      point.wait('it was resumed');
      this.#canaries.again(point);
      this.#log('point resumed', point);
      await this.#armAgain(point, 'no process that it was armed in is left');
      const seeks = point.request.selector !== '' && point.canary === undefined;
      if (point.active && seeks) this.#newcomers.add(point);
      return await this.#freshOne(point);
    });
  }

  async points(ids: readonly string[] = []): Promise<PointView[]> {
    const chosen = ids.length === 0 ? [...this.#points.values()] : ids.map((id) => this.#find(id));
    return await this.#fresh(chosen);
  }

  async now(order: NowOrder): Promise<SpooledSnapshot> {
    this.gate.policy.checkNow(order);
    await this.gate.checkPrograms([order.pid]);
    const captured = await this.gate.withEngine(order.engine, (engine) =>
      this.tracer.now({ ...order, ...engine }),
    );
    return this.#store(captured);
  }

  /** Aborted, nothing is kept of it. */
  async core(
    order: SessionCoreOrder,
    progress: CoreProgress,
    signal?: AbortSignal,
  ): Promise<SpooledSnapshot> {
    const { gate, tracer, spool } = this;
    const { host, log } = this.#options;
    return await takeCore({ gate, tracer, spool, host, log }, order, { progress, signal });
  }

  async measure(request: MeasureRequest, signal?: AbortSignal): Promise<Measured> {
    this.gate.policy.checkPoint({ ...request, maxHits: 1, expiresMs: 0 });
    await this.gate.checkPrograms([request.pid]);
    return await this.gate.withEngine(request.engine, (engine) =>
      this.tracer.measure({ ...request, ...engine }, signal),
    );
  }

  acknowledge(snapshotId: string): void {
    this.spool.remove(snapshotId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#newcomers[Symbol.dispose]();
    this.targets[Symbol.dispose]();
    for (const point of this.#points.values()) {
      if (!point.active) continue;
      this.#clear(point);
      await this.#close(point, 'ended', 'removed', { detail: 'the agent was stopped', keep: true });
    }
    await this.tracer[Symbol.asyncDispose]();
  }

  /** It is not what kills agents: an end in order, or a long life, says so. */
  #clear(point: Point): void {
    if (point.restores === 0) return;
    point.restores = 0;
    this.#past.keep(point);
  }

  #find(id: string): Point {
    const point = this.#points.get(id);
    if (point !== undefined) return point;
    throw new StillframeError('not-found', `this agent has no point ${id}`, {
      candidates: [...this.#points.keys()],
    });
  }

  async #freshOne(point: Point): Promise<PointView> {
    await this.#fresh([point]);
    return point.view();
  }

  /** Their states with the counters as they are now. */
  async #fresh(points: readonly Point[]): Promise<PointView[]> {
    const ids = points.filter((point) => point.armed.size > 0).map((point) => point.request.id);
    try {
      for (const { pointId, pid, counters } of ids.length === 0 ? [] : await this.tracer.counters(ids)) {
        const point = this.#points.get(pointId);
        if (point?.armed.has(pid) === true) point.seen(pid, counters);
      }
    } catch (error) {
      const { code, message } = toStillframeError(error);
      // While the tracer is restarted what was last seen stands; anything else is said wherever that is shown.
      if (code !== 'unreachable') {
        this.#options.log.warn({ error: message }, 'cannot read the counters of points');
        for (const point of points) point.refuse(`its counters are those of before: ${message}`);
      }
    }
    return points.map((point) => point.view());
  }

  #hit(pointId: string, captured: CapturedProcess): void {
    const point = this.#points.get(pointId);
    const { pid } = captured.capture;
    const process = { pid, startTicks: captured.startTicks };
    if (point === undefined || !point.active || point.remaining(process) === 0) return;
    const delivery = point.delivered.add(process);
    point.seen(pid, countersAtHit(captured.capture.cost));
    try {
      this.#store(captured, { point, delivery });
    } catch (error) {
      point.lost += 1;
      this.#options.log.error({ point: pointId, error: toStillframeError(error).message }, 'snapshot lost');
    }
    if (point.isUsedUp) {
      void this.#close(point, 'ended', 'hits', { detail: point.allDelivered });
    } else {
      // How many lines were told matters to nobody later.
      if (point.request.stream !== true) this.#past.keep(point);
      this.#announce(point);
    }
  }

  #store(
    captured: CapturedProcess,
    hit?: { readonly point: Point; readonly delivery: Delivery },
  ): SpooledSnapshot {
    const { host, log } = this.#options;
    const made = makeSnapshot(captured, { host, point: hit?.point.request });
    this.#leftovers.makeRoom(made.core.reduce((sum, piece) => sum + piece.length, 0));
    const spooled = this.spool.put({ ...made, ...(hit === undefined ? {} : { delivery: hit.delivery }) });
    const { id, point, size } = spooled;
    log.info({ snapshot: id, point, pid: captured.capture.pid, size }, 'snapshot spooled');
    for (const listener of this.#listeners) listener.snapshot?.(spooled);
    return spooled;
  }

  #ended(
    pointId: string,
    { pid, reason, last }: { readonly pid: number; readonly reason: PointEnd; readonly last: PointCounters },
  ): void {
    const point = this.#points.get(pointId);
    if (point === undefined || !point.active) return;
    const isEarly = point.arming.has(pid);
    if (!isEarly && !point.armed.has(pid)) return;
    point.release(pid, last);
    if (isEarly) {
      // Its arming has not been answered yet.
      point.goneEarly.add(pid);
      point.detail = reason.detail;
    }
    if (this.#canaries.ended(point, pid, reason)) return;
    if (point.request.selector !== '' && !point.isUsedUp) {
      if (point.armed.size === 0) point.wait(reason.detail);
      if (reason.kind === 'failed') this.#newcomers.released(point, pid, reason.detail);
      else if (reason.kind === 'target-gone') this.#newcomers.released(point, pid);
      this.#announce(point);
      return;
    }
    if (isEarly || point.armed.size > 0 || this.#starting.has(pointId)) return;
    const phase = reason.kind === 'failed' ? 'failed' : 'ended';
    const detail = reason.kind === 'hits' ? point.allDelivered : reason.detail;
    void this.#close(point, phase, reason.kind, { detail });
  }

  async #restarted(reason: string): Promise<void> {
    this.#options.log.warn({ reason }, 'the tracer died and was restarted');
    for (const point of this.#points.values()) {
      if (!point.active || point.phase === 'suspended') continue;
      point.restarts += 1;
      if (point.request.countOnly) {
        point.refuse('the tracer died: hits since it was last asked are not counted');
      }
      if (point.restarts > maxRestarts) {
        await this.#close(point, 'failed', 'failed', {
          detail: `the tracer died ${point.restarts} times: ${reason}`,
        });
        continue;
      }
      await this.#armAgain(point, reason);
    }
  }

  /** Where it was armed before. `reason`: why it was not for a while. */
  async #armAgain(point: Point, reason: string): Promise<void> {
    const failures = await this.#arming.again(point);
    if (await this.#canaries.lost(point, failures)) return;
    for (const [pid, { message }] of failures) this.#newcomers.released(point, pid, message);
    const [first] = failures.values();
    const isEmpty = point.armed.size === 0 && point.active;
    // The tracer died again meanwhile: what could not be armed is armed when the next one runs.
    const isOver = isEmpty && point.unarmed.size === 0 && first !== undefined;
    if (point.request.selector === '' && isOver) {
      const gone = first.code === 'target-gone';
      const [phase, end] = gone ? (['ended', 'target-gone'] as const) : (['failed', 'failed'] as const);
      await this.#close(point, phase, end, { detail: first.message });
      return;
    }
    if (isEmpty) point.wait(reason);
    this.#announce(point);
  }

  /**
   * Once: what ended stays ended as it did. Marks first, so that no hit is taken any more; then disarms and waits for the kernel. What could not be disarmed is thrown when
   * `demanded`, for then somebody waits for the kernel's word, and logged otherwise. `keep`: the next agent arms it again.
   */
  async #close(point: Point, phase: 'ended' | 'failed', end: PointEnding, about: Closing): Promise<void> {
    if (point.closing === undefined) {
      point.close(phase, end, about.detail);
      point.closing = this.#disarm(point, end, about);
    }
    await point.closing;
  }

  async #disarm(point: Point, end: PointEnding, about: Closing): Promise<void> {
    this.#newcomers.remove(point);
    if (about.keep !== true) this.#past.keep(point);
    const isArmed = point.armed.size + point.arming.size > 0;
    const [failure] = isArmed ? await this.#arming.disarm(point) : [];
    this.#leftovers.dropUntold(point);
    this.#announce(point);
    this.#log(`point ${end}`, point);
    this.#forgetOld();
    if (failure === undefined) return;
    if (about.demanded === true) throw failure;
    this.#options.log.error({ point: point.request.id, error: failure.message }, 'cannot disarm');
  }

  #announce(point: Point): void {
    const view = point.view();
    for (const listener of this.#listeners) listener.point?.(view);
  }

  #forgetOld(): void {
    const ended = [...this.#points.values()].filter((point) => !point.active);
    for (const point of ended.slice(0, Math.max(0, ended.length - maxEndedPoints))) {
      const { id } = point.request;
      this.#points.delete(id);
      this.#past.forget(id);
      this.#leftovers.forget(point);
    }
  }

  async #tick(): Promise<void> {
    // First of all, and whatever the rest waits for: each point ends by itself, however long the kernel takes to let go of another.
    for (const point of this.#points.values()) {
      const isOverdue = isExpired(point) || isDeserted(point);
      if (point.active && isOverdue && !this.#overdue.has(point)) void this.#endOverdue(point);
    }
    if (this.#ticking) return;
    this.#ticking = true;
    try {
      this.#past.forgetExpired((id) => this.#starting.has(id));
      await this.#suspending.look([...this.#points.values()]);
      await this.#canaries.look([...this.#points.values()], Date.now());
      if (Date.now() - this.#startedMs < healthyMs) return;
      for (const point of this.#points.values()) if (point.active) this.#clear(point);
    } catch (error) {
      this.#options.log.warn({ error: toStillframeError(error).message }, 'cannot look after the points');
    } finally {
      this.#ticking = false;
    }
  }

  /** Never rejects. With the counters as they are at its end. */
  async #endOverdue(point: Point): Promise<void> {
    this.#overdue.add(point);
    try {
      const { why, counters } = await this.#freshOne(point);
      const expired = counters.hits === 0n ? `expired, ${why}` : 'expired';
      if (isExpired(point)) await this.#close(point, 'ended', 'expired', { detail: expired });
      else if (isDeserted(point)) await this.#close(point, 'ended', 'removed', { detail: desertedText });
    } catch (error) {
      const { message } = toStillframeError(error);
      this.#options.log.warn({ point: point.request.id, error: message }, 'cannot end the point');
    } finally {
      this.#overdue.delete(point);
    }
  }

  #log(message: string, point: Point): void {
    const { why, engine, owner, note, countOnly } = point.view();
    const asked = {
      ...(owner === '' ? {} : { owner }),
      ...(note === '' ? {} : { note }),
      ...(countOnly ? { countOnly } : {}),
    };
    this.#options.log.info({ point: point.request.id, engine, why, ...asked }, message);
  }
}

const isExpired = ({ request }: Point): boolean => Date.now() >= request.expiresMs;
