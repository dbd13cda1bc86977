/**
 * Points as durable desired state: what the store says is armed on every agent and in every process that fits, until it is used up, has
 * expired or is removed. Each step is written before what follows from it is done, so that a keeper that was killed at any instant goes
 * on where it was: points from `points`, where they may be armed from `armings`, their hits from `snapshots`.
 *
 * What is done at one agent is in `agent-points.ts`, what is written down in `point-ledger.ts`, what is said of a point in
 * `point-document.ts` and `point-why.ts`.
 */
import { randomBytes } from 'node:crypto';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { makeIdentifier } from '../../format/identifier.js';
import type { PointDocument } from '../service/documents.js';
import {
  isOfFleet,
  type ArmingRecord,
  type FleetCanary,
  type PointRecord,
  type SnapshotRecord,
  type Store,
} from '../store/store.js';
import { AgentPoints, type PointContext } from './agent-points.js';
import type { AgentStatus, FleetLog } from './fleet.js';
import { canaryAt, judgeCanary, mayArm } from './fleet-canary.js';
import { KeptPoint, type Ending, type Place } from './kept-point.js';
import { Planner, type PointPlanner } from './planner.js';
import type { PointAgent, PointFleet } from './point-agent.js';
import { endedText } from './point-document.js';
import { PointLedger } from './point-ledger.js';
import { PointListeners } from './point-listeners.js';
import { checkSpec, recordOf } from './point-spec.js';
import type { PointListener, Points, PointSpec } from './points.js';
import { ambiguous, findInFleet } from './target-search.js';
import { isMeant } from './watches.js';
import { within } from './within.js';
import type { SymbolAnswers } from '../service/symbol-answers.js';

export interface PointKeeperOptions {
  readonly store: Store;
  readonly fleet: PointFleet;
  readonly symbols: SymbolAnswers;
  readonly log: FleetLog;
  /** For tests: what makes plans; undefined: a `Planner`. */
  readonly planner?: PointPlanner;
}

const tickMs = 1000;
/** Counters and lines that changed are written down so often; what decides something is written at once. */
const ticksPerWrite = 5;
const counterMs = 1000;
const maxActive = 1000;
/** How long somebody who sets or removes a point waits for agents that do not answer. */
const settleMs = 30_000;
const refreshMs = 2000;

/**
 * Takes up all active points of the store when it is made; disposing it leaves them armed. To be disposed before its fleet. One keeper a
 * store: who makes it sees to that.
 */
export class PointKeeper implements Points, AsyncDisposable {
  readonly #options: PointKeeperOptions;
  readonly #planner: PointPlanner & Partial<Disposable>;
  /** Active, or not yet gone everywhere. */
  readonly #points = new Map<string, KeptPoint>();
  readonly #watches = new Map<string, Disposable>();
  /** By the agent's identity. */
  readonly #agents = new Map<string, AgentPoints>();
  readonly #listeners: PointListeners;
  readonly #context: PointContext;
  readonly #ledger: PointLedger;
  readonly #listening: Disposable;
  readonly #timer: NodeJS.Timeout;
  readonly #expiring = new Set<KeptPoint>();
  #ticks = 0;
  #closed = false;

  constructor(options: PointKeeperOptions) {
    this.#options = options;
    const { store, fleet, log } = options;
    this.#planner = options.planner ?? new Planner(options.symbols);
    const statuses = (): readonly AgentStatus[] => fleet.statuses();
    this.#ledger = new PointLedger({ store, statuses, failed: this.#failed });
    this.#listeners = new PointListeners({
      documentOf: (point) => this.#ledger.document(point),
      countersWanted: (wanted) => this.#watchCounters(wanted),
      log,
    });
    this.#context = {
      planner: this.#planner,
      log,
      points: () => this.#points.values(),
      find: (id) => this.#points.get(id),
      recall: (id) => this.#recall(id),
      isOurs: (id) => this.#points.has(id) || isKeptHere(store.getPoint(id)),
      write: (place) => this.#ledger.writePlace(place),
      changed: (point) => this.#changed(point),
      stored: (record, isNew) => this.#stored(record, isNew),
      recount: (id) => this.#recount(id),
      mayArm: (point, place) => this.#mayArm(point, place),
      gone: (point, why) => this.#end(point, { end: 'target-gone', detail: why, final: true }),
    };
    this.#load();
    this.#listening = fleet.listen({
      connected: (agent) => this.#connected(agent),
      disconnected: (agent) => this.#disconnected(agent),
    });
    for (const agent of fleet.agents()) this.#connected(agent);
    for (const point of this.#points.values()) if (point.active) this.#watch(point);
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  async set(spec: PointSpec, options: { readonly strict?: boolean } = {}): Promise<PointDocument> {
    checkSpec(spec);
    this.#checkOpen();
    const active = [...this.#points.values()].filter((point) => point.active).length;
    if (active >= maxActive) {
      throw new StillframeError('limit', `cannot set a point: ${maxActive} are active already`, {
        hint: '`stillframe points` lists them, `stillframe rm` removes them',
      });
    }
    const nowMs = Date.now();
    const point = new KeptPoint(recordOf(spec, makeIdentifier(nowMs, randomBytes(4)), nowMs));
    if (point.selector.kind === 'pid') await this.#checkProcess(spec.target);
    this.#checkOpen();
    this.#options.store.putPoint(point.record);
    this.#points.set(point.id, point);
    this.#watch(point);
    this.#changed(point);
    if (options.strict === true) await this.#settle(point);
    return this.#ledger.document(point);
  }

  list(): readonly PointDocument[] {
    return this.#options.store.listPoints().map((record) => {
      const point = this.#points.get(record.id);
      return point === undefined ? this.#ledger.documentOfRecord(record) : this.#ledger.document(point);
    });
  }

  /** Asks the agents that are connected for their counters, so that `list` gives them as they are now. */
  async refresh(): Promise<void> {
    const holding = [...this.#agents.values()].filter((agent) => agent.holds);
    // One that does not answer costs nobody the rest: what it said last stands.
    await within(Promise.allSettled(holding.map((agent) => agent.refresh())), refreshMs);
  }

  async remove(id: string, why: string): Promise<PointDocument> {
    this.#checkOpen();
    const point = this.#points.get(id);
    if (point === undefined) {
      const record = this.#options.store.getPoint(id);
      if (record === undefined) throw new StillframeError('not-found', `no point "${id}"`);
      if (!isOfFleet(record) && record.status.phase !== 'ended' && record.status.phase !== 'failed') {
        throw new StillframeError(
          'usage',
          `cannot remove point ${id}: a command line without a controller set it`,
          {
            hint: 'remove it the same way: `stillframe rm` without --controller',
          },
        );
      }
      return this.#ledger.documentOfRecord(record);
    }
    this.#end(point, { end: 'removed', detail: why, final: false });
    await this.#clear(point);
    return this.#ledger.document(point);
  }

  async resume(id: string): Promise<PointDocument> {
    this.#checkOpen();
    const point = this.#points.get(id);
    if (point === undefined) throw new StillframeError('not-found', `point "${id}" is over`);
    await Promise.all([...this.#agents.values()].map((agent) => agent.resume(point)));
    return this.#ledger.document(point);
  }

  listen(listener: PointListener): Disposable {
    return this.#listeners.add(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#ledger.writeChanges([...this.#points.values()]);
    this.#closed = true;
    clearInterval(this.#timer);
    this.#listening[Symbol.dispose]();
    for (const watch of this.#watches.values()) watch[Symbol.dispose]();
    for (const agent of this.#agents.values()) agent[Symbol.dispose]();
    this.#listeners[Symbol.dispose]();
    this.#ledger[Symbol.dispose]();
    this.#planner[Symbol.dispose]?.();
    await Promise.resolve();
  }

  #checkOpen(): void {
    if (this.#closed) throw new StillframeError('unreachable', 'the controller is being stopped');
  }

  /** A pid names a process that is there, and one only. */
  async #checkProcess(target: string): Promise<void> {
    const found = await findInFleet(this.#options.fleet, target);
    if (found.length > 1) throw ambiguous(target, found);
  }

  // Taking up what an earlier controller left.

  #load(): void {
    const { store } = this.#options;
    const armings = store.listArmings();
    const open = new Set(armings.filter(({ state }) => state === 'open').map(({ point }) => point));
    for (const record of store.listPoints()) {
      if (!isOfFleet(record)) continue;
      const isActive = record.status.phase !== 'ended' && record.status.phase !== 'failed';
      if (!isActive && !open.has(record.id)) continue;
      const point = this.#takeUp(
        record,
        armings.filter((arming) => arming.point === record.id),
      );
      if (point === undefined || !point.active) continue;
      if (this.#isUsedUp(point)) this.#end(point, usedUp(point));
      else if (Date.now() >= record.expiresMs) {
        const detail = `expired while no controller ran; before: ${record.status.why}`;
        this.#end(point, { end: 'expired', detail, final: true });
      }
    }
  }

  #takeUp(record: PointRecord, armings: readonly ArmingRecord[]): KeptPoint | undefined {
    let point: KeptPoint;
    try {
      point = new KeptPoint(record);
    } catch (error) {
      // A point of another version, with a target that this one does not know.
      this.#options.log.error(
        { point: record.id, error: toStillframeError(error).message },
        'cannot take up a point',
      );
      return undefined;
    }
    for (const arming of armings) point.place({ identity: arming.agent, host: arming.host }).add(arming);
    Object.assign(point, this.#options.store.countSnapshots(record.id));
    this.#ledger.forgetDocument(point.id);
    this.#points.set(point.id, point);
    return point;
  }

  #recall(id: string): KeptPoint | undefined {
    const { store } = this.#options;
    const record = store.getPoint(id);
    return isKeptHere(record) && record !== undefined
      ? this.#takeUp(record, store.listArmings(id))
      : undefined;
  }

  // Agents.

  #connected(agent: PointAgent): void {
    this.#agents.get(agent.identity)?.[Symbol.dispose]();
    const points = new AgentPoints(agent, this.#context);
    this.#agents.set(agent.identity, points);
    if (this.#listeners.wantCounters) points.watch(counterMs);
    this.#allChanged();
  }

  #disconnected(agent: PointAgent): void {
    const points = this.#agents.get(agent.identity);
    if (points?.agent !== agent) return;
    points[Symbol.dispose]();
    this.#agents.delete(agent.identity);
    const held = [...this.#points.values()].filter((point) => point.places.has(agent.identity));
    for (const point of held) point.places.get(agent.identity)?.forget();
    // It may be another one that comes back, which begins to count at zero.
    this.#ledger.writeChanges(held);
    this.#allChanged();
  }

  #watch(point: KeptPoint): void {
    const ofAgent = (agent: PointAgent): AgentPoints | undefined => {
      const points = this.#agents.get(agent.identity);
      return points?.agent === agent ? points : undefined;
    };
    const watch = this.#options.fleet.watchTargets(point.record.target, {
      appeared: (agent, targets) => ofAgent(agent)?.appeared(point, targets),
      left: (agent, targets) => ofAgent(agent)?.left(point, targets),
      state: (host, detail) => this.#watchState(point, host, detail),
    });
    this.#watches.set(point.id, watch);
  }

  #watchState(point: KeptPoint, host: string, detail: string): void {
    const points = [...this.#agents.values()].find(({ agent }) => agent.host === host);
    // One that is not connected says so by itself.
    if (points === undefined) return;
    points.setUnwatched(point, detail !== '');
    if (detail === '' && !point.places.has(points.agent.identity)) return;
    point.place(points.agent).watchDetail = detail;
    this.#changed(point);
  }

  #watchCounters(wanted: boolean): void {
    for (const agent of this.#agents.values()) agent.watch(wanted ? counterMs : 0);
  }

  // Beginnings and ends.

  /** With nothing kept when processes fit, and none of them could be armed. */
  async #settle(point: KeptPoint): Promise<void> {
    const meant = [...this.#agents.values()].filter(({ agent }) => isMeant(point.selector.host, agent));
    const settled = Promise.allSettled(meant.map((agent) => agent.settle(point)));
    const outcomes = await within(settled, settleMs);
    const places = [...point.places.values()];
    if (!point.active || places.some((place) => place.phases().length > 0)) return;
    const refusal =
      places.flatMap((place) => place.errors())[0] ??
      outcomes?.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))[0];
    const found = places.some((place) => place.targets.size > 0);
    if (refusal === undefined || (!found && point.selector.kind !== 'pid')) return;
    this.#end(point, { end: 'removed', detail: 'it could not be armed', final: true });
    await this.#clear(point);
    // Unless an agent is not done with it: then it stays until that is.
    if (![...point.places.values()].some((place) => place.open)) this.#options.store.deletePoint(point.id);
    throw toStillframeError(refusal);
  }

  /** Ends it for good; durable when it returns. What agents hold of it is cleared after that. */
  #end(point: KeptPoint, ending: Ending): void {
    if (!point.active || this.#closed) return;
    point.ending = ending;
    try {
      this.#ledger.writeStatuses([point]);
    } catch (error) {
      // What is not written has not happened: the next controller would arm it again.
      point.ending = undefined;
      throw error;
    }
    this.#watches.get(point.id)?.[Symbol.dispose]();
    this.#watches.delete(point.id);
    this.#planner.forget(point.id);
    for (const agent of this.#agents.values()) agent.mark(point);
    this.#options.log.info({ point: point.id, end: ending.end, why: endedText(point) }, 'point ended');
    this.#changed(point);
  }

  async #clear(point: KeptPoint): Promise<void> {
    const holding = [...this.#agents.values()].filter(
      ({ agent }) => point.places.get(agent.identity)?.open === true,
    );
    await within(Promise.allSettled(holding.map((agent) => agent.done(point))), settleMs);
  }

  #isUsedUp({ stored, record }: KeptPoint): boolean {
    return record.kind === 'snapshot' && !record.everyProcess && stored >= record.maxHits;
  }

  #stored(record: SnapshotRecord, isNew: boolean): void {
    if (record.point === '') return;
    this.#recount(record.point);
    const point = this.#points.get(record.point);
    if (!isNew) return;
    const known = point === undefined ? this.#options.store.getPoint(record.point) : undefined;
    const document = known === undefined ? undefined : this.#ledger.documentOfRecord(known);
    this.#listeners.snapshot(record, point ?? document);
  }

  #recount(id: string): void {
    this.#ledger.forgetDocument(id);
    const point = this.#points.get(id);
    if (point === undefined || this.#closed) return;
    Object.assign(point, this.#options.store.countSnapshots(id));
    if (this.#isUsedUp(point)) this.#end(point, usedUp(point));
    this.#changed(point);
  }

  // Where it is tried first.

  #mayArm(point: KeptPoint, place: Place): boolean {
    const answer = mayArm(point, place.agent);
    if (answer === 'begin') this.#setCanary(point, canaryAt(point, place, Date.now()));
    return answer !== 'no';
  }

  #setCanary(point: KeptPoint, canary: FleetCanary | undefined): void {
    this.#options.store.updateCanary(point.id, canary);
    point.canary = canary;
    if (canary === undefined) point.isCanaryArmed = false;
  }

  #lookAtCanary(point: KeptPoint, nowMs: number): void {
    const { canary } = point;
    if (canary === undefined || canary.isOver) return;
    const verdict = judgeCanary(point, canary, nowMs);
    if (verdict.kind === 'waiting') return;
    if (verdict.kind === 'failed') {
      this.#end(point, { end: 'failed', detail: verdict.detail, final: false });
      return;
    }
    if (verdict.kind === 'suspended') {
      if (canary.untilMs !== 0) this.#setCanary(point, { ...canary, untilMs: 0 });
      return;
    }
    if (verdict.kind === 'again') {
      this.#setCanary(point, { ...canary, untilMs: nowMs + (point.record.terms?.canaryMs ?? 0) });
      return;
    }
    this.#setCanary(point, verdict.kind === 'void' ? undefined : { ...canary, isOver: true });
    for (const agent of this.#agents.values()) agent.mark(point);
    this.#changed(point);
  }

  // Time.

  #tick(): void {
    const nowMs = Date.now();
    for (const point of this.#points.values()) {
      if (point.active && nowMs >= point.record.expiresMs) this.#expire(point).catch(this.#failed);
      else if (!point.active && !isNeeded(point)) this.#points.delete(point.id);
      else if (point.active) this.#lookAtCanary(point, nowMs);
    }
    for (const agent of this.#agents.values()) agent.retry(nowMs);
    this.#ticks += 1;
    if (this.#ticks % ticksPerWrite === 0) this.#ledger.writeChanges([...this.#points.values()]);
  }

  readonly #failed = (error: unknown): void => {
    if (!this.#closed)
      this.#options.log.error({ error: toStillframeError(error).message }, 'cannot keep points');
  };

  /** By this clock, whatever an agent's says; with the last that is known of it. */
  async #expire(point: KeptPoint): Promise<void> {
    if (this.#expiring.has(point)) return;
    this.#expiring.add(point);
    await this.refresh().finally(() => this.#expiring.delete(point));
    const detail = `expired, ${this.#ledger.whyOf(point)}`;
    this.#end(point, { end: 'expired', detail, final: true });
  }

  #changed(point: KeptPoint): void {
    if (this.#closed) return;
    this.#listeners.changed(point);
    this.#ledger.changed(point);
  }

  /** An agent came or went. */
  #allChanged(): void {
    this.#ledger.agentsChanged();
    for (const point of this.#points.values()) this.#changed(point);
  }
}

function usedUp({ stored }: KeptPoint): Ending {
  const detail = stored === 1 ? 'delivered its hit' : `delivered ${stored} hits, all that were asked`;
  return { end: 'hits', detail, final: false };
}

function isKeptHere(record: PointRecord | undefined): boolean {
  return record !== undefined && isOfFleet(record);
}

/** After its expiry no agent holds a probe of it, connected or not; its snapshots are taken in whenever they come. */
function isNeeded(point: KeptPoint): boolean {
  if (![...point.places.values()].some((place) => place.open)) return false;
  return Date.now() < point.record.expiresMs + keptAfterExpiryMs;
}

const keptAfterExpiryMs = 7 * 24 * 3600_000;
