/**
 * A point from the request to its snapshots: plan, arm, wait, store, acknowledge. Whatever ends the wait, nothing stays armed unless it
 * was asked to (`--detach`).
 */
import { randomBytes } from 'node:crypto';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { makeIdentifier } from '../../format/identifier.js';
import { writesOf } from '../planner/watch.js';
import type { AgentPoint, ArmOrder } from '../rpc/agent-facts.js';
import type { SnapshotRecord, Store } from '../store/store.js';
import type { ReachedAgent } from './agent.js';
import { pointDocument, type PointDocument } from './documents.js';
import type { SnapHooks, SnapOptions, SnapOutcome } from './controller-api.js';
import { disarmLate } from './disarm-late.js';
import { planFor } from './planning.js';
import { checkSnapOptions, expiryOf, noHit } from './snap-options.js';
import type { SymbolAnswers } from './symbol-answers.js';

export interface SnapContext {
  readonly agent: ReachedAgent;
  readonly store: Store;
  readonly symbols: SymbolAnswers;
  /** Another conversation, when the agent hung up and is expected back. */
  readonly reconnect: () => Promise<ReachedAgent>;
}

const progressMs = 1000;

export async function snap(
  context: SnapContext,
  options: SnapOptions,
  hooks: SnapHooks,
): Promise<SnapOutcome> {
  checkOptions(context, options);
  const { client } = context.agent;
  const planned = await planFor(client, options, context.symbols);
  const nowMs = Date.now();
  const id = makeIdentifier(nowMs, randomBytes(4));
  const expiresMs = expiryOf(options, nowMs);
  const order: ArmOrder = {
    id,
    pids: planned.targets.map(({ pid }) => pid),
    selector: '',
    plan: planned.encoded,
    engine: options.engine,
    maxHits: options.hits,
    everyProcess: options.everyProcess,
    minIntervalNs: options.minIntervalNs,
    expiresMs,
    whileConnected: !options.detach,
    countOnly: false,
    ...(options.terms === undefined ? {} : { terms: options.terms }),
    owner: options.owner ?? '',
    note: options.note ?? '',
  };
  context.store.putPoint({
    id,
    createdMs: nowMs,
    target: options.target,
    location: options.watch === undefined ? options.location : writesOf(options.location, options.watch),
    ...(options.condition === undefined ? {} : { condition: options.condition }),
    captures: options.captures,
    engine: options.engine,
    maxHits: options.hits,
    minIntervalNs: options.minIntervalNs,
    expiresMs,
    agent: client.address,
    pids: order.pids,
    modulePath: planned.module.path,
    buildId: planned.module.buildId,
    plan: planned.encoded,
    status: { phase: 'pending', why: 'not armed yet' },
    kind: 'snapshot',
    everyProcess: options.everyProcess,
    bounds: options.bounds,
    owner: order.owner,
    note: order.note,
    ...(options.terms === undefined ? {} : { terms: options.terms }),
  });
  const wait = new Wait(context, order, options, hooks);
  try {
    return await wait.run();
  } catch (error) {
    // A point that was armed has an ending of its own by now, which says more than that nobody waits any longer.
    if (!wait.wasArmed) {
      const failure = toStillframeError(error);
      context.store.updatePoint(id, { phase: 'failed', why: failure.message });
      disarmLate(client, id, failure);
    }
    throw error;
  }
}

function checkOptions(context: SnapContext, options: SnapOptions): void {
  checkSnapOptions(options);
  if (options.detach && context.agent.temporary) {
    throw new StillframeError('unreachable', 'cannot detach: no agent runs that would keep the point', {
      hint: 'start one with `stillframe agent`, or wait for the hit',
    });
  }
}

/** One armed point that is waited for. */
class Wait {
  readonly #context: SnapContext;
  readonly #order: ArmOrder;
  readonly #options: SnapOptions;
  readonly #hooks: SnapHooks;
  readonly #snapshots = new Map<string, SnapshotRecord>();
  #view: AgentPoint | undefined;
  #failure: StillframeError | undefined;
  #wake: () => void = () => undefined;
  #deadlineMs: number;

  constructor(context: SnapContext, order: ArmOrder, options: SnapOptions, hooks: SnapHooks) {
    this.#context = context;
    this.#order = order;
    this.#options = options;
    this.#hooks = hooks;
    this.#deadlineMs = Date.now() + options.waitMs;
  }

  get wasArmed(): boolean {
    return this.#view !== undefined;
  }

  async run(): Promise<SnapOutcome> {
    let { agent } = this.#context;
    let own: ReachedAgent | undefined;
    try {
      for (;;) {
        const outcome = await this.#converse(agent);
        if (outcome !== undefined) return outcome;
        // The agent is gone. One that was started for this command does not come back.
        await own?.[Symbol.asyncDispose]();
        if (this.#context.agent.temporary) throw await agent.client.closed;
        own = await this.#reconnect(agent);
        agent = own;
      }
    } finally {
      await own?.[Symbol.asyncDispose]();
    }
  }

  /** Undefined when the agent hung up meanwhile. */
  async #converse(agent: ReachedAgent): Promise<SnapOutcome | undefined> {
    const { client } = agent;
    const { id } = this.#order;
    const state = { over: false };
    void client.closed.then(() => {
      state.over = true;
      this.#wake();
    });
    using _listening = client.listen({
      point: (point) => {
        if (point.id !== id) return;
        this.#see(point);
        this.#wake();
      },
      snapshot: (record) => {
        if (record.point !== id || this.#snapshots.has(record.id)) return;
        this.#snapshots.set(record.id, record);
        this.#hooks.snapshot?.(record);
        this.#wake();
      },
      failed: (error) => {
        this.#failure ??= error;
        this.#wake();
      },
    });
    const first = this.#view === undefined;
    this.#see(await client.arm(this.#order));
    if (first) {
      // The wait begins when the point is armed.
      this.#deadlineMs = Date.now() + this.#options.waitMs;
      this.#hooks.armed?.(this.#document());
    }
    if (this.#options.detach) return { point: this.#document(), snapshots: [] };

    while (!state.over) {
      if (this.#isDone()) return await this.#finish(agent, false);
      if (this.#hooks.signal?.aborted === true || Date.now() >= this.#deadlineMs)
        return await this.#finish(agent, true);
      await this.#pause(Math.min(progressMs, this.#deadlineMs - Date.now()));
      if (state.over || this.#isDone()) continue;
      const [view] = await client.points([id]).catch(() => []);
      if (view === undefined) continue;
      this.#see(view);
      if (this.#snapshots.size === 0) this.#hooks.progress?.(view.why);
    }
    return undefined;
  }

  async #finish(agent: ReachedAgent, disarm: boolean): Promise<SnapOutcome> {
    if (this.#failure !== undefined && this.#snapshots.size === 0) {
      await agent.client.disarm(this.#order.id).catch(() => undefined);
      throw this.#failure;
    }
    const why = this.#view?.why ?? '';
    if (disarm) {
      this.#see(await agent.client.disarm(this.#order.id));
      // What hit between the last look and the removal is not thrown away.
      await agent.client.fetch([this.#order.id]);
    }
    if (this.#snapshots.size === 0) throw this.#noHit(why);
    return { point: this.#document(), snapshots: [...this.#snapshots.values()] };
  }

  #noHit(why: string): StillframeError {
    const view = this.#view;
    const end = view?.phase === 'failed' && view.end !== 'target-gone' ? 'failed' : (view?.end ?? '');
    const interrupted = this.#hooks.signal?.aborted === true;
    const { waitMs } = this.#options;
    // One that was removed says less of itself than it did before.
    const last = end === '' || end === 'removed' || end === 'hits' ? why : (view?.why ?? why);
    return noHit({ id: this.#order.id, end, why: last, interrupted, waitMs });
  }

  /** All that can come has come. */
  #isDone(): boolean {
    const view = this.#view;
    if (this.#failure !== undefined) return true;
    if (view === undefined || (view.phase !== 'ended' && view.phase !== 'failed')) return false;
    return BigInt(this.#snapshots.size) >= view.counters.delivered;
  }

  #see(view: AgentPoint): void {
    this.#view = view;
    this.#context.store.updatePoint(view.id, { phase: view.phase, why: view.why, end: view.end });
  }

  #document(): PointDocument {
    return pointDocument(this.#view, this.#context.store.findPoint(this.#order.id));
  }

  async #reconnect(gone: ReachedAgent): Promise<ReachedAgent> {
    for (;;) {
      const reason = await gone.client.closed;
      if (Date.now() >= this.#deadlineMs || this.#hooks.signal?.aborted === true) throw reason;
      this.#hooks.progress?.(`${reason.message}; trying again`);
      await this.#pause(progressMs);
      try {
        return await this.#context.reconnect();
      } catch (error) {
        if (toStillframeError(error).code !== 'unreachable') throw error;
      }
    }
  }

  /** Until something happens, at most so long. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#hooks;
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.#wake = () => undefined;
        resolve();
      };
      const timer = setTimeout(done, Math.max(1, ms));
      signal?.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
  }
}
