/**
 * Points at one agent, for as long as the conversation with it lasts: brings what is armed there to what is wanted, one point after
 * another. Told again and again that a point may have changed (`mark`), it looks at what is and does what is missing; so nothing depends
 * on the order in which news come, and what fails is tried again later.
 *
 * It touches only armings of points that this controller keeps.
 */
import { toStillframeError } from '../../format/error.js';
import { pointOfArming } from '../../format/identifier.js';
import type { AgentPoint, AgentTarget } from '../rpc/agent-facts.js';
import type { SnapshotRecord } from '../store/store.js';
import { AgentArming, firstRetryMs } from './agent-arming.js';
import type { FleetLog } from './fleet.js';
import { isOver, type Arming, type KeptPoint, type Place } from './kept-point.js';
import type { PointPlanner } from './planner.js';
import type { PointAgent } from './point-agent.js';
import { keyOf } from './watches.js';

/** What a keeper does for its agents. */
export interface PointContext {
  readonly planner: PointPlanner;
  readonly log: FleetLog;
  /** Those that are active, or that some agent may still hold something of. */
  points(): Iterable<KeptPoint>;
  /** One of those. */
  find(id: string): KeptPoint | undefined;
  /** One of this controller's that is long over, and is armed somewhere all the same. */
  recall(id: string): KeptPoint | undefined;
  /** Whether a point of that id is kept by this controller's store. */
  isOurs(id: string): boolean;
  /** Resolves when it is durable. */
  write(place: Place): Promise<void>;
  changed(point: KeptPoint): void;
  stored(record: SnapshotRecord, isNew: boolean): void;
  /** Counts anew what is stored of a point, and ends it when that is all. */
  recount(id: string): void;
  /** Whether it may be armed there now; it is the first of all where none is yet, and that is durable then. */
  mayArm(point: KeptPoint, place: Place): boolean;
  /** The process that it names is gone. */
  gone(point: KeptPoint, why: string): void;
}

const beginRetryMs = 2000;
const maxBeginRetryMs = 60_000;
/** How often the states of all points are read where something is armed. */
const retakeMs = 30_000;
/** How often processes are asked for that the agent does not watch. */
const relistMs = 10_000;
/** A pid that was given away again after the point was set is another process; clocks of two hosts may differ by so much. */
const clockSkewMs = 5000;

export class AgentPoints implements Disposable {
  readonly agent: PointAgent;
  readonly #context: PointContext;
  /** Which life of the agent this is: its counters begin at zero with each. */
  readonly #life: string;
  readonly #arming: AgentArming;
  readonly #listening: Disposable;
  readonly #dirty = new Set<KeptPoint>();
  readonly #waiting = new Map<KeptPoint, (() => void)[]>();
  readonly #retries = new Map<KeptPoint, number>();
  /** When to ask for their processes. */
  readonly #unwatched = new Map<KeptPoint, number>();
  /** Armings that are alive there. */
  readonly #held = new Set<string>();
  #ready = false;
  #running = false;
  #closed = false;
  #watchMs = 0;
  /** When all states were read last. */
  #takenMs = 0;
  #askedWatchMs = 0;
  #beginTimer: NodeJS.Timeout | undefined;

  constructor(agent: PointAgent, context: PointContext) {
    this.agent = agent;
    this.#context = context;
    const { facts } = agent.client;
    this.#life = `${facts.bootId}/${facts.pid}`;
    this.#arming = new AgentArming({
      agent,
      context,
      life: this.#life,
      isClosed: () => this.#closed,
      see: (view) => this.#see(view),
      mark: (point) => this.mark(point),
      dropped: (arming) => void this.#held.delete(arming),
    });
    this.#listening = agent.client.listen({
      point: (view) => this.#hear(view),
      snapshot: (record, isNew) => context.stored(record, isNew),
      surplus: (id) => context.recount(id),
    });
    void this.#begin();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#beginTimer);
    this.#listening[Symbol.dispose]();
    for (const waiting of this.#waiting.values()) for (const done of waiting) done();
    this.#waiting.clear();
  }

  /** The point may have changed, or what is there for it. */
  mark(point: KeptPoint): void {
    this.#dirty.add(point);
    void this.#run();
  }

  /** Something of ours is armed there. */
  get holds(): boolean {
    return this.#held.size > 0;
  }

  /** Resolves when what was marked before has been done, or could not be. */
  done(point: KeptPoint): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(point);
      if (waiting === undefined) this.#waiting.set(point, [resolve]);
      else waiting.push(resolve);
      this.mark(point);
    });
  }

  /** Asks for the processes that fit now, and resolves when each is armed or refused. */
  async settle(point: KeptPoint): Promise<void> {
    const targets = await this.agent.client.listTargets(point.agentSelector);
    if (this.#closed) return;
    this.appeared(point, targets);
    await this.done(point);
  }

  appeared(point: KeptPoint, targets: readonly AgentTarget[]): void {
    if (this.#closed || !point.active) return;
    for (const target of targets) {
      if (point.selector.kind === 'pid' && target.startTimeMs > point.record.createdMs + clockSkewMs)
        continue;
      const place = point.place(this.agent);
      const known = place.targets.get(keyOf(target))?.target;
      const same = known?.buildId === target.buildId && known.refusal === target.refusal;
      place.isGone = false;
      if (!same) place.targets.set(keyOf(target), { target });
    }
    this.mark(point);
    this.#context.changed(point);
  }

  left(point: KeptPoint, targets: readonly AgentTarget[]): void {
    const place = point.places.get(this.agent.identity);
    if (this.#closed || place === undefined) return;
    let wasKnown = false;
    for (const target of targets) wasKnown = place.targets.delete(keyOf(target)) || wasKnown;
    if (!wasKnown) return;
    this.#context.changed(point);
    place.isGone = point.selector.kind === 'pid' && place.targets.size === 0;
    if (place.isGone) this.mark(point);
  }

  /** Tries again what is due. */
  retry(nowMs: number): void {
    if (this.holds && nowMs - this.#takenMs >= retakeMs) {
      this.#takenMs = nowMs;
      // An agent says what changes; that it says so is not relied upon.
      this.refresh().catch(() => undefined);
    }
    for (const [point, atMs] of this.#retries) {
      if (atMs > nowMs) continue;
      this.#retries.delete(point);
      this.mark(point);
    }
    for (const [point, atMs] of this.#unwatched) {
      if (atMs > nowMs) continue;
      this.#unwatched.set(point, nowMs + relistMs);
      this.#relist(point).catch((error: unknown) => {
        if (this.#closed) return;
        const { message } = toStillframeError(error);
        this.#context.log.warn({ agent: this.agent.host, error: message }, 'cannot look for processes');
      });
    }
  }

  /** Its processes are not told by the agent, which watches as many as it can: they are asked for now and then. */
  setUnwatched(point: KeptPoint, isUnwatched: boolean): void {
    if (!isUnwatched) this.#unwatched.delete(point);
    else if (!this.#unwatched.has(point)) this.#unwatched.set(point, 0);
  }

  async #relist(point: KeptPoint): Promise<void> {
    if (!point.active) {
      this.#unwatched.delete(point);
      return;
    }
    const targets = await this.agent.client.listTargets(point.agentSelector);
    if (this.#closed) return;
    const present = new Set(targets.map(keyOf));
    const known = [...(point.places.get(this.agent.identity)?.targets.values() ?? [])];
    this.left(
      point,
      known.map(({ target }) => target).filter((target) => !present.has(keyOf(target))),
    );
    this.appeared(point, targets);
  }

  /** Arms again what the agent has suspended of a point. */
  async resume(point: KeptPoint): Promise<void> {
    const armings = point.places.get(this.agent.identity)?.armings.values() ?? [];
    for (const { id, view } of armings) {
      if (view?.phase === 'suspended' && !this.#closed) this.#see(await this.agent.client.resume(id));
    }
  }

  /** States of all points as they are now. */
  async refresh(): Promise<void> {
    if (!this.#ready) return;
    const views = await this.agent.client.points();
    if (!this.#closed) this.#take(views);
  }

  /** Has counters told at that interval, once there is something to count. It lasts as long as the conversation; 0: not asked for. */
  watch(intervalMs: number): void {
    this.#watchMs = intervalMs;
    this.#updateWatch();
  }

  #updateWatch(): void {
    const wantedMs = this.holds ? this.#watchMs : 0;
    if (this.#closed || !this.#ready || wantedMs === 0 || wantedMs === this.#askedWatchMs) return;
    this.#askedWatchMs = wantedMs;
    this.agent.client.points([], wantedMs).then(
      (views) => {
        if (!this.#closed) this.#take(views);
      },
      // One that went away says so by itself, and one that cannot is asked when somebody wants to know.
      () => undefined,
    );
  }

  /** What an earlier conversation, or an earlier controller on this store, left here: its snapshots first, for they decide what is wanted. */
  async #begin(delayMs = beginRetryMs): Promise<void> {
    const { client, host } = this.agent;
    try {
      const views = await client.points();
      if (this.#closed) return;
      const ids = this.#knownIds(views);
      if (ids.length > 0) await client.fetch(ids);
      if (this.#closed) return;
      this.#take([...views, ...(ids.length > 0 ? await this.#follow(ids) : [])]);
      if (this.#closed) return;
      this.#ready = true;
      for (const point of this.#context.points()) this.#dirty.add(point);
      this.#updateWatch();
      void this.#run();
    } catch (error) {
      if (this.#closed) return;
      const { message } = toStillframeError(error);
      this.#context.log.warn({ agent: host, error: message }, 'cannot take up the points of an agent');
      const nextMs = Math.min(delayMs * 2, maxBeginRetryMs);
      this.#beginTimer = setTimeout(() => void this.#begin(nextMs), delayMs);
    }
  }

  /** All that may be armed, or wait in the spool, under a name of ours; also where the agent was known by another address before. */
  #knownIds(views: readonly AgentPoint[]): string[] {
    const { identity, host } = this.agent;
    const ids = new Set<string>();
    for (const point of this.#context.points()) {
      for (const place of point.places.values()) {
        if (place.agent !== identity && place.host !== host) continue;
        for (const { id, state } of place.armings.values()) if (state !== 'closed') ids.add(id);
      }
    }
    for (const { id } of views) if (this.#context.isOurs(pointOfArming(id))) ids.add(id);
    return [...ids];
  }

  async #follow(ids: readonly string[]): Promise<readonly AgentPoint[]> {
    try {
      return await this.agent.client.followPoints(ids);
    } catch (error) {
      // An older agent tells who arms, and arming what is armed already is following it.
      if (toStillframeError(error).code === 'unsupported') return [];
      throw error;
    }
  }

  /** A list of all that the agent has. What it has no more is armed again. */
  #take(views: readonly AgentPoint[]): void {
    this.#takenMs = Date.now();
    const listed = new Set(views.map(({ id }) => id));
    for (const view of views) this.#see(view);
    for (const point of this.#context.points()) {
      const place = point.places.get(this.agent.identity);
      for (const arming of place?.armings.values() ?? []) {
        if (!arming.live || listed.has(arming.id)) continue;
        arming.view = undefined;
        this.#held.delete(arming.id);
        this.mark(point);
      }
    }
  }

  #hear(view: AgentPoint): void {
    if (!this.#closed) this.#see(view);
  }

  #see(view: AgentPoint): void {
    const id = pointOfArming(view.id);
    // Under its own name a point is one of a command line that has no controller.
    if (id === view.id) return;
    // One that is over here and there is of no interest any more.
    const point = this.#context.find(id) ?? (isOver(view) ? undefined : this.#context.recall(id));
    if (point === undefined) return;
    const place = point.place(this.agent);
    const arming = place.arming(view.id, view.id.slice(id.length + 1));
    const before = arming.view;
    if (arming.see(view, this.#life)) place.dirty = true;
    if (isOver(view)) this.#held.delete(view.id);
    else this.#held.add(view.id);
    this.#updateWatch();
    if (!isOver(view)) {
      arming.state = 'open';
      arming.why = '';
      if (!point.active) this.mark(point);
    } else if (point.active && (before === undefined || !isOver(before))) {
      this.#overWhileWanted(point, place, arming);
    }
    this.#context.changed(point);
  }

  #overWhileWanted(point: KeptPoint, place: Place, arming: Arming): void {
    const { end, why } = arming.view ?? { end: '', why: '' };
    if (end === 'hits') {
      this.mark(point);
    } else if (end === 'target-gone') {
      place.isGone = point.selector.kind === 'pid';
      this.mark(point);
    } else {
      // Somebody at that host removed it, or it did not work there: not to be forced upon it.
      arming.state = 'given-up';
      arming.why = why;
      place.dirty = true;
    }
  }

  async #run(): Promise<void> {
    if (this.#running || !this.#ready) return;
    this.#running = true;
    try {
      for (const point of this.#dirty) {
        if (this.#closed) break;
        this.#dirty.delete(point);
        const waiting = this.#waiting.get(point) ?? [];
        this.#waiting.delete(point);
        await this.#pass(point);
        for (const done of waiting) done();
      }
    } finally {
      this.#running = false;
    }
  }

  async #pass(point: KeptPoint): Promise<void> {
    const place = point.places.get(this.agent.identity);
    if (place === undefined) return;
    place.passRetryAtMs = undefined;
    try {
      if (!point.active) await this.#arming.clear(place);
      else if (point.remaining > 0) await this.#arming.arm(point, place);
    } catch (error) {
      if (this.#closed) return;
      const { message } = toStillframeError(error);
      this.#context.log.warn({ agent: place.host, point: point.id, error: message }, 'will be tried again');
      place.passRetryAtMs = Date.now() + firstRetryMs;
    }
    if (this.#closed) return;
    const retryAtMs = place.retryAtMs();
    if (retryAtMs !== undefined) this.#retries.set(point, retryAtMs);
    this.#context.changed(point);
  }
}
