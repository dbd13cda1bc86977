/**
 * A metric from the request to its last number: plan, arm, ask again and again, disarm, and read what the kernel holds when no probe is
 * left, so that no hit is lost. One agent or several; what they count is one.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { makeIdentifier } from '../../format/identifier.js';
import { defaultLimits } from '../../format/limits.js';
import { addTotals, noTotals } from '../../format/plan/aggregate.js';
import { metricText, sameShape } from '../planner/metric.js';
import type { AgentConversation } from '../rpc/agent-client.js';
import type { AgentPoint, ArmOrder } from '../rpc/agent-facts.js';
import type { MetricHooks, MetricOptions } from './controller-api.js';
import { type MetricDocument, metricNumbers } from './metric-document.js';
import { disarmLate } from './disarm-late.js';
import type { Planned } from './planning.js';

export interface MetricAgent {
  /** Undefined where there is one agent only. */
  readonly host?: string;
  readonly client: Pick<AgentConversation, 'arm' | 'disarm' | 'points' | 'closed'>;
  readonly planned: Planned;
}

/** How long a point outlives a command that was killed, beyond the few seconds after which the agent misses it. */
const graceMs = 30_000;

/** Throws `usage`. */
export function checkMetricOptions({ metric, everyMs, forMs }: MetricOptions): void {
  const { kind, value, buckets, maxGroups, groupBytes } = metric;
  if ((kind === 'count') !== (value === undefined)) {
    throw new StillframeError('usage', `a ${kind} ${value === undefined ? 'needs' : 'has no'} expression`);
  }
  within('--max-groups', maxGroups, defaultLimits.maxGroups);
  within('--string-bytes', groupBytes, defaultLimits.maxGroupBytes);
  if (buckets?.kind === 'linear') {
    within('the number of buckets', buckets.count, defaultLimits.maxBuckets);
    if (buckets.width < 1n) throw new StillframeError('usage', 'the width of buckets must be at least 1');
  }
  if (everyMs < 200) throw new StillframeError('usage', '--every must be at least 200ms');
  if (forMs !== undefined && (forMs < 1 || forMs > defaultLimits.maxExpiryMs)) {
    throw new StillframeError('usage', '--for must be longer than nothing, and at most 30 days');
  }
}

function within(what: string, value: number | undefined, most: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= 1 && value <= most)) return;
  throw new StillframeError('usage', `${what} must be from 1 to ${most}, not ${value}`);
}

export async function runMetric(
  agents: readonly MetricAgent[],
  options: MetricOptions,
  hooks: MetricHooks,
): Promise<MetricDocument> {
  const run = new MetricRun(agents, options);
  try {
    await run.arm();
    await run.watch(hooks);
  } finally {
    await run.disarm();
  }
  return run.document(true);
}

class MetricRun {
  readonly #agents: readonly MetricAgent[];
  readonly #options: MetricOptions;
  readonly #id = makeIdentifier(Date.now(), randomBytes(4));
  readonly #views = new Map<MetricAgent, AgentPoint>();
  readonly #failures = new Set<string>();
  readonly #armed = new Set<MetricAgent>();
  #startMs = Date.now();
  #endMs: number | undefined;

  constructor(agents: readonly MetricAgent[], options: MetricOptions) {
    this.#agents = agents;
    this.#options = options;
  }

  /** Throws, with nothing left armed by {@link disarm}, where no agent could. */
  async arm(): Promise<void> {
    const { engine, forMs, owner, note, terms } = this.#options;
    let failure: StillframeError | undefined;
    for (const agent of this.#agents) {
      const order: ArmOrder = {
        id: this.#id,
        pids: agent.planned.targets.map(({ pid }) => pid),
        selector: '',
        plan: agent.planned.encoded,
        engine,
        maxHits: 1,
        everyProcess: true,
        minIntervalNs: 0n,
        expiresMs: Date.now() + (forMs === undefined ? defaultLimits.defaultExpiryMs : forMs + graceMs),
        whileConnected: true,
        countOnly: true,
        ...(terms === undefined ? {} : { terms }),
        owner: owner ?? '',
        note: note ?? '',
      };
      try {
        this.#views.set(agent, await agent.client.arm(order));
        this.#armed.add(agent);
      } catch (error) {
        const refusal = toStillframeError(error);
        failure ??= refusal;
        disarmLate(agent.client, this.#id, refusal);
        this.#fail(agent, refusal);
      }
    }
    if (this.#armed.size === 0) throw failure ?? new StillframeError('internal', 'nothing was armed');
    this.#startMs = Date.now();
  }

  /** Until the time is over, nobody wants to know any longer, or nothing is armed any more. */
  async watch(hooks: MetricHooks): Promise<void> {
    const { signal } = hooks;
    const { everyMs, forMs } = this.#options;
    hooks.armed?.(this.document(false));
    const endMs = forMs === undefined ? Infinity : this.#startMs + forMs;
    for (let next = this.#startMs + everyMs; ; next += everyMs) {
      const untilMs = Math.min(next, endMs);
      await pause(untilMs, signal);
      if (signal?.aborted === true || Date.now() >= endMs) return;
      await this.#look();
      if (this.#isOver()) return;
      hooks.sample?.(this.document(false));
      if (Date.now() > next + everyMs) next = Date.now();
    }
  }

  /** What has ended by itself has its last numbers, too. */
  async disarm(): Promise<void> {
    this.#endMs = Date.now();
    await Promise.all(
      [...this.#views.keys()].map(async (agent) => {
        try {
          this.#views.set(agent, await agent.client.disarm(this.#id));
        } catch (error) {
          this.#fail(agent, toStillframeError(error));
        }
      }),
    );
  }

  async #look(): Promise<void> {
    await Promise.all(
      [...this.#armed].map(async (agent) => {
        try {
          const [view] = await agent.client.points([this.#id]);
          if (view !== undefined) this.#views.set(agent, view);
        } catch (error) {
          this.#armed.delete(agent);
          this.#fail(agent, toStillframeError(error));
        }
      }),
    );
  }

  #isOver(): boolean {
    return [...this.#armed].every((agent) => {
      const phase = this.#views.get(agent)?.phase;
      return phase === 'ended' || phase === 'failed';
    });
  }

  #fail({ host }: MetricAgent, { message }: StillframeError): void {
    this.#failures.add(
      `${host === undefined ? '' : `${host}: `}${message}: the numbers are those that it told last`,
    );
  }

  document(final: boolean): MetricDocument {
    const { metric, target, location, condition } = this.#options;
    const shape = sameShape(this.#agents.flatMap(({ planned }) => planned.shape ?? []));
    if (metric === undefined || shape === undefined)
      throw new StillframeError('internal', 'a metric without a plan');
    const views = [...this.#views.values()];
    const { maxGroups } = shape.aggregate;
    const totals = views.reduce(
      (sum, view) => addTotals(sum, view.aggregate ?? noTotals, maxGroups),
      noTotals,
    );
    const sum = (of: (view: AgentPoint) => bigint): number =>
      Number(views.reduce((all, view) => all + of(view), 0n));
    const { value, group } = shape;
    return {
      metric: metricText(metric),
      kind: metric.kind,
      target,
      location,
      ...(condition === undefined ? {} : { condition }),
      ...(value === undefined ? {} : { valueType: value.type }),
      ...(group === undefined ? {} : { groupType: group.type }),
      final,
      time: new Date().toISOString(),
      elapsedMs: (this.#endMs ?? Date.now()) - this.#startMs,
      engine: views[0]?.engine ?? '',
      processes: this.#processes(),
      hits: sum(({ counters }) => counters.hits),
      conditionFalse: sum(({ counters }) => counters.conditionFalse),
      conditionUnreadable: sum(({ counters }) => counters.faults),
      unreadable: Number(totals.unreadable),
      ...metricNumbers(totals, shape),
      notes: this.#notes(),
    };
  }

  #processes(): MetricDocument['processes'] {
    return this.#agents.flatMap(({ host, planned }) =>
      planned.targets.map(({ pid }) => ({ ...(host === undefined ? {} : { host }), pid })),
    );
  }

  #notes(): string[] {
    const notes = new Set(this.#failures);
    for (const { planned } of this.#agents) {
      for (const { target, reason } of planned.leftOut)
        notes.add(`process ${target.pid} is left out: ${reason}`);
    }
    for (const { phase, end, why, refusals, engine } of this.#views.values()) {
      // Why engines that come after the first were not asked is of no use to who has the first.
      const isFirst = (refusal: string): boolean =>
        engine === 'uprobe' && /^(ptrace|observe|mem): /.test(refusal);
      for (const refusal of refusals) if (!isFirst(refusal)) notes.add(refusal);
      if ((phase === 'ended' || phase === 'failed') && end !== 'removed') notes.add(why);
    }
    return [...notes];
  }
}

async function pause(untilMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(Math.max(0, untilMs - Date.now()), undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
}
