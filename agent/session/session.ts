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
import type { ProcessKey } from './delivered.js';
import { Gate } from './gate.js';
import { makeHeading } from './heading.js';
import { Point, type PointEnding, type PointRequest, type PointView } from './point.js';
import type { PointRecord, PointRecords } from './point-records.js';
import type { Delivery, Spool, SpooledSnapshot } from './spool.js';

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
/** How much longer it does so where it was the agent that went. */
const reconnectMs = 25_000;
const maxEndedPoints = 100;
/** A point that outlives so many tracers is suspected of killing them. */
const maxRestarts = 3;
/** An agent that lived so long with a point was not killed by it. */
const healthyMs = 60_000;
/** Points that are alive at once. */
const maxPoints = 200;

interface ProcessToArm {
  readonly pid: number;
  /** Undefined: whichever has the pid now. */
  readonly startTicks?: bigint;
}

export class Session implements AsyncDisposable {
  readonly tracer: TracerClient;
  readonly spool: Spool;
  readonly #options: SessionOptions;
  readonly #gate: Gate;
  readonly #points = new Map<string, Point>();
  readonly #arming = new Map<string, Promise<PointView>>();
  /** Records of points that are not armed again unless somebody asks. */
  readonly #dormant = new Map<string, PointRecord>();
  readonly #listeners = new Set<SessionListener>();
  readonly #timer: NodeJS.Timeout;
  readonly #startedMs = Date.now();
  #ticking = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#gate = new Gate(options.policy, options.tracer);
    this.tracer = options.tracer;
    this.spool = options.spool;
    this.tracer.listen({
      hit: (pointId, captured) => this.#hit(pointId, captured),
      ended: (pointId, pid, reason, last) => this.#ended(pointId, { pid, reason, last }),
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
    return await this.#armOnce(request.id, () => this.#arm(request));
  }

  /** Whoever asks for the same point meanwhile gets the same answer. */
  async #armOnce(id: string, work: () => Promise<PointView>): Promise<PointView> {
    const promise = work();
    this.#arming.set(id, promise);
    try {
      return await promise;
    } finally {
      this.#arming.delete(id);
    }
  }

  /**
   * Arms what an earlier agent had armed and is neither expired nor used up, with the hits that are left. Processes that are gone are passed over. How
   * many hits a point has delivered is said by its record, and by those of its snapshots that wait in the spool: the record of the last one may not
   * have been written.
   */
  async restore(): Promise<void> {
    for (const record of this.#options.records?.list() ?? []) {
      const { request, restores } = record;
      if (this.#points.has(request.id)) continue;
      const point = this.#recall(new Point(request), record);
      if (record.ended !== undefined) {
        const { phase, end, detail } = record.ended;
        point.close(phase, end, detail);
        this.#points.set(request.id, point);
        continue;
      }
      this.#dormant.set(request.id, record);
      if (restores >= maxRestarts) {
        this.#options.log.warn({ point: request.id, restores }, 'not armed again, for it may be the cause');
        continue;
      }
      point.restores = restores + 1;
      try {
        await this.#armOnce(request.id, () => this.#restore(point, record));
        // Whoever waited for it has to find this agent first.
        if (point.holders === 0) point.desertedMs = Date.now() + reconnectMs;
      } catch (error) {
        const { message } = toStillframeError(error);
        this.#options.log.warn({ point: request.id, error: message }, 'cannot arm again');
      }
    }
    this.#forgetOld();
  }

  async #restore(point: Point, record: PointRecord): Promise<PointView> {
    if (Date.now() >= point.request.expiresMs) {
      return await this.#closeRestored(point, 'expired', 'expired while no agent ran');
    }
    const alive: ProcessKey[] = [];
    for (const { pid, startTicks, armed } of record.processes) {
      if (!armed) continue;
      const [target] = await this.tracer.listTargets(String(pid));
      if (target?.startTicks === startTicks) alive.push({ pid, startTicks });
    }
    if (alive.length === 0 && point.request.selector === '' && !point.isUsedUp) {
      const detail = 'its process is gone, and no agent ran when it went';
      return await this.#closeRestored(point, 'target-gone', detail);
    }
    return await this.#start(point, alive);
  }

  async #closeRestored(point: Point, end: PointEnding, detail: string): Promise<PointView> {
    this.#dormant.delete(point.request.id);
    this.#points.set(point.request.id, point);
    await this.#close(point, 'ended', end, { detail });
    return point.view();
  }

  /** What is known of an id from before: of an earlier agent, or of one that was told of the point and died. */
  #recall(point: Point, record: PointRecord | undefined): Point {
    if (record !== undefined) point.delivered.recall(record.delivered, record.processes);
    for (const { delivered, pid, startTicks, ofProcess } of this.spool.deliveries(point.request.id)) {
      point.delivered.recall(delivered, [{ pid, startTicks, delivered: ofProcess }]);
    }
    return point;
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
    const point = this.#recall(new Point(request), this.#dormant.get(request.id));
    return await this.#start(
      point,
      request.pids.map((pid) => ({ pid })),
    );
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
    this.#gate.policy.checkPoint(request);
    await this.#gate.checkPrograms(processes.map(({ pid }) => pid));
    const before = point.delivered.total;
    const failures: StillframeError[] = [];
    let usedUp = 0;
    for (const process of processes) {
      const outcome = await this.#armProcess(point, process);
      if (outcome instanceof StillframeError) failures.push(outcome);
      else if (outcome === 'used up') usedUp += 1;
    }
    const [first] = failures;
    const isEmpty = point.armed.size === 0 && point.active;
    if (first !== undefined && isEmpty && point.delivered.total === before) throw first;
    for (const failure of failures) point.refusals.add(failure.message);
    const isOver = point.isUsedUp || (request.selector === '' && usedUp === processes.length);
    if (isEmpty && isOver) {
      await this.#close(point, 'ended', 'hits', { detail: allDelivered(point) });
    } else if (isEmpty && request.selector === '') {
      await this.#close(point, 'ended', 'target-gone', { detail: point.detail });
    } else if (point.phase === 'pending') {
      point.detail = `no process fits ${request.selector} yet`;
    }
    if (point.active) this.#keep(point);
    this.#dormant.delete(request.id);
    this.#log('point armed', point);
    return point.view();
  }

  /** Gives why it could not be armed, or that the process has delivered all that it may. */
  async #armProcess(
    point: Point,
    process: ProcessToArm,
  ): Promise<StillframeError | 'armed' | 'used up' | 'over'> {
    if (!point.active) return 'over';
    const { id, plan, countOnly, minIntervalNs } = point.request;
    const { pid } = process;
    try {
      const startTicks = process.startTicks ?? (await this.#startOf(point, pid));
      // Where the start is not known nothing is known of the process.
      const maxHits = point.remaining({ pid, startTicks: startTicks ?? -1n });
      if (maxHits === 0) return 'used up';
      const armed = await this.#gate.withEngine(point.request.engine, (engine) =>
        this.tracer.arm({
          pointId: id,
          pid,
          ...(startTicks === undefined ? {} : { startTicks }),
          plan,
          countOnly,
          maxHits,
          minIntervalNs,
          ...engine,
        }),
      );
      // Its hits may all have come, or its process gone, before the answer came.
      if (!point.active) await this.tracer.disarm(id, pid);
      else if (!point.goneEarly.delete(pid)) point.add(pid, armed);
      return 'armed';
    } catch (error) {
      return toStillframeError(error);
    }
  }

  /** Looked up only where it matters: when some process of this pid may have delivered hits already. */
  async #startOf(point: Point, pid: number): Promise<bigint | undefined> {
    if (!point.delivered.processes().some((process) => process.pid === pid)) return undefined;
    const [target] = await this.tracer.listTargets(String(pid));
    return target?.startTicks;
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

  /** Also one that ended and is still listed. */
  hasPoint(id: string): boolean {
    return this.#points.has(id);
  }

  async remove(id: string): Promise<PointView> {
    const dormant = this.#dormant.get(id);
    if (dormant !== undefined) {
      const point = this.#recall(new Point(dormant.request), dormant);
      return await this.#closeRestored(point, 'removed', 'removed');
    }
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
    return this.#store(captured);
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
    this.#keep(point);
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
    const process = { pid, startTicks: captured.startTicks };
    if (point === undefined || !point.active || point.remaining(process) === 0) return;
    const delivery = point.delivered.add(process);
    point.seen(pid, countersOf(captured.capture.cost));
    try {
      this.#store(captured, { point, delivery });
    } catch (error) {
      point.lost += 1;
      this.#options.log.error({ point: pointId, error: toStillframeError(error).message }, 'snapshot lost');
    }
    if (point.isUsedUp) {
      void this.#close(point, 'ended', 'hits', { detail: allDelivered(point) });
    } else {
      this.#keep(point);
      this.#announce(point);
    }
  }

  #store(
    captured: CapturedProcess,
    hit?: { readonly point: Point; readonly delivery: Delivery },
  ): SpooledSnapshot {
    const { host } = this.#options;
    const plan = hit?.point.request.plan;
    const capture = plan === undefined ? captured.capture : redact(captured.capture, plan);
    const id = makeIdentifier(Number(capture.timeNs / 1_000_000n), randomBytes(4));
    const pointId = hit?.point.request.id ?? '';
    const clean = { capture, facts: captured.facts };
    const context = { snapshot: id, point: pointId, host, ...(plan === undefined ? {} : { plan }) };
    const core = writeCore({ ...clean, heading: makeHeading(clean, context) });
    const delivery = hit === undefined ? {} : { delivery: hit.delivery };
    const spooled = this.spool.put({ id, point: pointId, core, ...delivery });
    this.#options.log.info(
      { snapshot: id, point: pointId, pid: capture.pid, size: spooled.size },
      'snapshot spooled',
    );
    for (const listener of this.#listeners) listener.snapshot?.(spooled);
    return spooled;
  }

  #ended(
    pointId: string,
    { pid, reason, last }: { readonly pid: number; readonly reason: PointEnd; readonly last: PointCounters },
  ): void {
    const point = this.#points.get(pointId);
    if (point === undefined || !point.active) return;
    if (!point.armed.has(pid)) {
      // Its arming has not been answered yet.
      point.goneEarly.add(pid);
      point.release(pid, last);
      point.detail = reason.detail;
      return;
    }
    point.release(pid, last);
    if (point.armed.size > 0 || this.#arming.has(pointId)) return;
    if (point.request.selector !== '' && reason.kind !== 'failed' && !point.isUsedUp) {
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
      const processes = [...point.armed.values()];
      for (const { pid } of processes) point.release(pid);
      point.restarts += 1;
      if (point.restarts > maxRestarts) {
        await this.#close(point, 'failed', 'failed', {
          detail: `the tracer died ${point.restarts} times: ${reason}`,
        });
        continue;
      }
      const failures: StillframeError[] = [];
      for (const process of processes) {
        const outcome = await this.#armProcess(point, process);
        if (outcome instanceof StillframeError) failures.push(outcome);
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
    if (about.keep !== true) this.#keep(point);
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

  /** A disk that is full costs the next agent what it would know, and not this one its life. */
  #keep(point: Point): void {
    try {
      this.#options.records?.put(point.record());
    } catch (error) {
      const { message } = toStillframeError(error);
      this.#options.log.error({ point: point.request.id, error: message }, 'cannot write down the point');
    }
  }

  #announce(point: Point): void {
    const view = point.view();
    for (const listener of this.#listeners) listener.point?.(view);
  }

  #forgetOld(): void {
    const ended = [...this.#points.values()].filter((point) => !point.active);
    for (const { request } of ended.slice(0, Math.max(0, ended.length - maxEndedPoints))) {
      this.#points.delete(request.id);
      this.#options.records?.remove(request.id);
    }
  }

  async #tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    try {
      for (const [id, { request }] of this.#dormant) {
        if (Date.now() < request.expiresMs || this.#arming.has(id)) continue;
        this.#dormant.delete(id);
        this.#options.records?.remove(id);
      }
      for (const point of this.#points.values()) {
        if (!point.active) continue;
        if (Date.now() - this.#startedMs >= healthyMs) this.#clear(point);
        if (Date.now() >= point.request.expiresMs) {
          const { why, counters } = await this.#fresh(point);
          const detail = counters.hits === 0n ? `expired, ${why}` : 'expired';
          await this.#close(point, 'ended', 'expired', { detail });
        } else if (isDeserted(point)) {
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
      if (point.armed.has(target.pid) || point.remaining(target) === 0) continue;
      if (this.#gate.isForbidden(target)) continue;
      const outcome = await this.#armProcess(point, target);
      if (outcome === 'armed') {
        this.#keep(point);
        this.#announce(point);
      } else if (outcome instanceof StillframeError && point.phase === 'pending') {
        point.detail = outcome.message;
      }
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

const allDelivered = ({ delivered: { total } }: Point): string =>
  total === 1 ? 'delivered its hit' : `delivered ${total} hits, all that were asked`;

function isDeserted({ request, desertedMs: since }: Point): boolean {
  return request.whileConnected === true && since !== undefined && Date.now() >= since + desertedMs;
}

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
