/**
 * The front of the agent as an object: points by id, hits turned into cores and spooled, re-arming after the tracer died. It knows nothing
 * of gRPC and makes no system call on a target; everything of that kind goes to the tracer.
 *
 * Arming is idempotent by id. A point leaves only by `remove`, by its hits, by expiry or with its target, and stays listed for a while.
 */
import { randomBytes } from 'node:crypto';
import type {
  CapturedProcess,
  MeasureRequest,
  PointCounters,
  PointEnd,
  TracerClient,
} from '../tracer/client.js';
import type { CaptureCost, EngineName } from '../../format/capture.js';
import { writeCore } from '../../format/core/write.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { makeIdentifier } from '../../format/identifier.js';
import type { Policy } from '../policy/policy.js';
import { redact } from '../policy/redact.js';
import { Gate } from './gate.js';
import { makeHeading } from './heading.js';
import { Point, type PointEnding, type PointRequest, type PointView } from './point.js';
import type { PointRecords } from './point-records.js';
import type { Spool, SpooledSnapshot } from './spool.js';

export interface SessionOptions {
  readonly tracer: TracerClient;
  readonly spool: Spool;
  readonly policy: Policy;
  readonly host: string;
  readonly log: SessionLog;
  /** Undefined: points end with this agent. */
  readonly records?: PointRecords;
}

/** What pino offers; messages and facts, never values of a target. */
export interface SessionLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
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

const tickMs = 1000;
/** How long a point outlives those who waited for it: a controller that lost its connection comes back sooner. */
const desertedMs = 5000;
const maxEndedPoints = 100;
/** A point that outlives so many tracers is suspected of killing them. */
const maxRestarts = 3;
/** Points that are alive at once. */
const maxPoints = 200;

export class Session implements AsyncDisposable {
  readonly tracer: TracerClient;
  readonly spool: Spool;
  readonly #options: SessionOptions;
  readonly #gate: Gate;
  readonly #points = new Map<string, Point>();
  readonly #arming = new Map<string, Promise<PointView>>();
  readonly #listeners = new Set<SessionListener>();
  readonly #timer: NodeJS.Timeout;
  #ticking = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#gate = new Gate(options.policy, options.tracer);
    this.tracer = options.tracer;
    this.spool = options.spool;
    this.tracer.listen({
      hit: (pointId, captured) => this.#hit(pointId, captured),
      ended: (pointId, pid, reason) => this.#ended(pointId, pid, reason),
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
    const arming = this.#arming.get(request.id);
    if (arming !== undefined) return await arming;
    if (known !== undefined) return await this.#fresh(known);
    const promise = this.#arm(request);
    this.#arming.set(request.id, promise);
    try {
      return await promise;
    } finally {
      this.#arming.delete(request.id);
    }
  }

  /** Arms what an earlier agent had armed and is neither expired nor used up. Processes that are gone are passed over. */
  async restore(): Promise<void> {
    for (const record of this.#options.records?.list() ?? []) {
      const { request, delivered, restores, startTicks } = record;
      const pids: number[] = [];
      for (const [pid, ticks] of startTicks) {
        const [target] = await this.tracer.listTargets(String(pid));
        if (target?.startTicks === ticks) pids.push(pid);
      }
      const isOver =
        Date.now() >= request.expiresMs || delivered >= request.maxHits || restores >= maxRestarts;
      if (isOver || (pids.length === 0 && request.selector === '')) {
        this.#options.records?.remove(request.id);
        continue;
      }
      try {
        await this.#arm({ ...request, pids }, { delivered, restores: restores + 1 });
      } catch (error) {
        const { message } = toStillframeError(error);
        this.#options.log.warn({ point: request.id, error: message }, 'cannot arm again');
        this.#options.records?.remove(request.id);
      }
    }
  }

  async #arm(
    request: PointRequest,
    before: { readonly delivered: number; readonly restores: number } = { delivered: 0, restores: 0 },
  ): Promise<PointView> {
    this.#gate.policy.checkPoint(request);
    await this.#gate.checkPrograms(request.pids);
    if ([...this.#points.values()].filter((known) => known.active).length >= maxPoints) {
      throw new StillframeError(
        'limit',
        `cannot arm point ${request.id}: ${maxPoints} points are armed already`,
        {
          hint: '`stillframe points` lists them, `stillframe rm` removes them',
        },
      );
    }
    const point = new Point(request);
    point.delivered = before.delivered;
    point.restores = before.restores;
    this.#points.set(request.id, point);
    const failures: StillframeError[] = [];
    for (const pid of request.pids) {
      const failure = await this.#armProcess(point, pid, point.remaining(pid));
      if (failure !== undefined) failures.push(failure);
    }
    const [first] = failures;
    const isEmpty = point.armed.size === 0 && point.active;
    if (first !== undefined && isEmpty && point.delivered === before.delivered) {
      this.#points.delete(request.id);
      throw first;
    }
    for (const failure of failures) point.refusals.add(failure.message);
    if (isEmpty && request.selector === '') {
      await this.#close(point, 'ended', 'target-gone', { detail: point.detail });
    } else if (point.phase === 'pending') {
      point.detail = `no process fits ${request.selector} yet`;
    }
    if (point.active) await this.#record(point);
    this.#log('point armed', point);
    return point.view();
  }

  /** Writes down what another agent would need to arm the point again. */
  async #record(point: Point): Promise<void> {
    const { records } = this.#options;
    if (records === undefined) return;
    for (const pid of point.armed.keys()) {
      if (point.startTicks.has(pid)) continue;
      const [target] = await this.tracer.listTargets(String(pid));
      if (target !== undefined) point.startTicks.set(pid, target.startTicks);
    }
    // It may have ended meanwhile, and then its record is gone for good.
    if (point.active) records.put(point);
  }

  async #armProcess(point: Point, pid: number, maxHits: number): Promise<StillframeError | undefined> {
    if (!point.active) return undefined;
    const { id, plan, minIntervalNs } = point.request;
    try {
      const armed = await this.#gate.withEngine(point.request.engine, (engine) =>
        this.tracer.arm({ pointId: id, pid, plan, maxHits, minIntervalNs, ...engine }),
      );
      // Its hits may all have come, or its process gone, before the answer came.
      if (!point.active) await this.tracer.disarm(id, pid);
      else if (!point.goneEarly.delete(pid)) point.add(pid, armed);
      return undefined;
    } catch (error) {
      return toStillframeError(error);
    }
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
        if (point.holders === 0) point.desertedMs = Date.now();
      },
    };
  }

  async remove(id: string): Promise<PointView> {
    const point = this.#find(id);
    if (point.active) await this.#close(point, 'ended', 'removed', { detail: 'removed', demanded: true });
    return point.view();
  }

  async points(ids: readonly string[] = []): Promise<PointView[]> {
    const chosen = ids.length === 0 ? [...this.#points.values()] : ids.map((id) => this.#find(id));
    return await Promise.all(chosen.map((point) => this.#fresh(point)));
  }

  async now(order: NowOrder): Promise<SpooledSnapshot> {
    this.#gate.policy.checkNow(order);
    await this.#gate.checkPrograms([order.pid]);
    const captured = await this.#gate.withEngine(order.engine, (engine) =>
      this.tracer.now({ ...order, ...engine }),
    );
    return this.#store(captured, undefined);
  }

  async measure(request: MeasureRequest): Promise<Measured> {
    this.#gate.policy.checkPoint({ ...request, maxHits: 1, expiresMs: 0 });
    await this.#gate.checkPrograms([request.pid]);
    return await this.#gate.withEngine(request.engine, (engine) =>
      this.tracer.measure({ ...request, ...engine }),
    );
  }

  acknowledge(snapshotId: string): void {
    this.spool.remove(snapshotId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    for (const point of this.#points.values()) {
      if (point.active)
        await this.#close(point, 'ended', 'removed', { detail: 'the agent was stopped', keep: true });
    }
    await this.tracer[Symbol.asyncDispose]();
  }

  #find(id: string): Point {
    const point = this.#points.get(id);
    if (point !== undefined) return point;
    throw new StillframeError('not-found', `this agent has no point ${id}`, {
      candidates: [...this.#points.keys()],
    });
  }

  async #fresh(point: Point): Promise<PointView> {
    const { id } = point.request;
    for (const pid of point.armed.keys()) {
      try {
        const counters = await this.tracer.counters(id, pid);
        if (counters !== undefined && point.armed.has(pid)) point.seen(pid, counters);
      } catch {
        // The tracer is being restarted: what was last seen stands.
      }
    }
    return point.view();
  }

  #hit(pointId: string, captured: CapturedProcess): void {
    const point = this.#points.get(pointId);
    const { pid } = captured.capture;
    if (point === undefined || !point.active || point.remaining(pid) === 0) return;
    point.delivered += 1;
    const entry = point.armed.get(pid);
    if (entry !== undefined) entry.delivered += 1;
    point.seen(pid, countersOf(captured.capture.cost));
    try {
      this.#store(captured, point);
    } catch (error) {
      point.lost += 1;
      this.#options.log.error({ point: pointId, error: toStillframeError(error).message }, 'snapshot lost');
    }
    if (!point.request.everyProcess && point.remaining(pid) === 0) {
      void this.#close(point, 'ended', 'hits', { detail: allDelivered(point) });
    } else {
      this.#options.records?.put(point);
      this.#announce(point);
    }
  }

  #store(captured: CapturedProcess, point: Point | undefined): SpooledSnapshot {
    const { host } = this.#options;
    const plan = point?.request.plan;
    const capture = plan === undefined ? captured.capture : redact(captured.capture, plan);
    const id = makeIdentifier(Number(capture.timeNs / 1_000_000n), randomBytes(4));
    const pointId = point?.request.id ?? '';
    const clean = { capture, facts: captured.facts };
    const context = { snapshot: id, point: pointId, host, ...(plan === undefined ? {} : { plan }) };
    const core = writeCore({ ...clean, heading: makeHeading(clean, context) });
    const spooled = this.spool.put({ id, point: pointId, core });
    this.#options.log.info(
      { snapshot: id, point: pointId, pid: capture.pid, size: spooled.size },
      'snapshot spooled',
    );
    for (const listener of this.#listeners) listener.snapshot?.(spooled);
    return spooled;
  }

  #ended(pointId: string, pid: number, reason: PointEnd): void {
    const point = this.#points.get(pointId);
    if (point === undefined || !point.active) return;
    if (!point.armed.has(pid)) {
      // Its arming has not been answered yet.
      point.goneEarly.add(pid);
      point.detail = reason.detail;
      return;
    }
    point.release(pid);
    if (point.armed.size > 0 || this.#arming.has(pointId)) return;
    if (point.request.selector !== '' && reason.kind !== 'failed' && point.remaining(pid) > 0) {
      point.phase = 'pending';
      point.detail = `waiting for a process that fits ${point.request.selector}: ${reason.detail}`;
      this.#announce(point);
      return;
    }
    const phase = reason.kind === 'failed' ? 'failed' : 'ended';
    const detail = reason.kind === 'hits' ? allDelivered(point) : reason.detail;
    void this.#close(point, phase, reason.kind, { detail });
  }

  async #restarted(reason: string): Promise<void> {
    this.#options.log.warn({ reason }, 'the tracer died and was restarted');
    for (const point of this.#points.values()) {
      if (!point.active) continue;
      const pids = [...point.armed.keys()];
      const remaining = new Map(pids.map((pid) => [pid, point.remaining(pid)]));
      for (const pid of pids) point.release(pid);
      point.restarts += 1;
      if (point.restarts > maxRestarts) {
        await this.#close(point, 'failed', 'failed', {
          detail: `the tracer died ${point.restarts} times: ${reason}`,
        });
        continue;
      }
      const failures: StillframeError[] = [];
      for (const pid of pids) {
        const failure = await this.#armProcess(point, pid, remaining.get(pid) ?? 1);
        if (failure !== undefined) failures.push(failure);
      }
      const [first] = failures;
      if (point.armed.size === 0 && point.active && first !== undefined) {
        const gone = first.code === 'target-gone';
        await this.#close(point, gone ? 'ended' : 'failed', gone ? 'target-gone' : 'failed', {
          detail: first.message,
        });
      } else {
        this.#announce(point);
      }
    }
  }

  /**
   * Marks first, so that no hit is taken any more; then disarms and waits for the kernel. What could not be disarmed is thrown when
   * `demanded`, for then somebody waits for the kernel's word, and logged otherwise. `keep`: the next agent arms it again.
   */
  async #close(
    point: Point,
    phase: 'ended' | 'failed',
    end: PointEnding,
    about: { readonly detail: string; readonly demanded?: boolean; readonly keep?: boolean },
  ): Promise<void> {
    point.close(phase, end, about.detail);
    if (about.keep !== true) this.#options.records?.remove(point.request.id);
    let failure: StillframeError | undefined;
    for (const pid of point.armed.keys()) {
      try {
        point.release(pid, await this.tracer.disarm(point.request.id, pid));
      } catch (error) {
        point.release(pid);
        const known = toStillframeError(error);
        // Without its tracer no probe is left: the kernel removed them with its descriptors.
        if (known.code !== 'unreachable') failure = known;
      }
    }
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
      this.#points.delete(point.request.id);
    }
  }

  async #tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    try {
      for (const point of this.#points.values()) {
        if (!point.active) continue;
        if (Date.now() >= point.request.expiresMs) {
          const { why, counters } = await this.#fresh(point);
          const detail = counters.hits === 0n ? `expired, ${why}` : 'expired';
          await this.#close(point, 'ended', 'expired', { detail });
        } else if (point.desertedMs !== undefined && Date.now() >= point.desertedMs + desertedMs) {
          await this.#fresh(point);
          const detail = 'removed, for the command that waited for it is gone';
          await this.#close(point, 'ended', 'removed', { detail });
        } else if (point.request.selector !== '' && !this.#arming.has(point.request.id)) {
          await this.#armNewcomers(point);
        }
      }
    } catch (error) {
      this.#options.log.warn({ error: toStillframeError(error).message }, 'cannot look after the points');
    } finally {
      this.#ticking = false;
    }
  }

  async #armNewcomers(point: Point): Promise<void> {
    for (const target of await this.tracer.listTargets(point.request.selector)) {
      if (point.armed.has(target.pid) || point.remaining(target.pid) === 0) continue;
      if (this.#gate.isForbidden(target)) continue;
      const failure = await this.#armProcess(point, target.pid, point.remaining(target.pid));
      if (failure === undefined) {
        await this.#record(point);
        this.#announce(point);
      } else if (point.phase === 'pending') point.detail = failure.message;
    }
  }

  #log(message: string, point: Point): void {
    const { why, engine } = point.view();
    this.#options.log.info({ point: point.request.id, engine, why }, message);
  }
}

const allDelivered = (point: Point): string =>
  point.delivered === 1 ? 'delivered its hit' : `delivered ${point.delivered} hits, all that were asked`;

/** The engine's counters at a hit; a point that ends with it can no longer be asked. */
function countersOf(cost: CaptureCost): PointCounters {
  return {
    hits: BigInt(cost.hits),
    conditionFalse: BigInt(cost.conditionFalse),
    faults: BigInt(cost.faults),
    dropped: BigInt(cost.dropped),
    delivered: 0n,
  };
}
