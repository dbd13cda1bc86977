/**
 * One point at one agent: looks which builds its processes run, has each planned for and armed, and clears what is wanted no more. Called
 * for one point after another, and again whenever something changed; what is done already is not done again.
 */
import { engineNames } from '../../format/capture.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { AgentPoint, AgentTarget, ArmOrder, TargetFacts } from '../rpc/agent-facts.js';
import { chooseInProcess, isLocal, maxTargets, type ChosenProcess } from '../service/planning.js';
import { splitLocation } from '../service/targets.js';
import type { PointContext } from './agent-points.js';
import type { Arming, KeptPoint, Place, PlacedTarget, Refusal } from './kept-point.js';
import type { PointAgent } from './point-agent.js';
import { mayArm } from './fleet-canary.js';
import { keyOf } from './watches.js';

export interface AgentArmingOptions {
  readonly agent: PointAgent;
  readonly context: PointContext;
  /** Which life of the agent this is. */
  readonly life: string;
  readonly isClosed: () => boolean;
  /** Takes in a state that the agent answered with. */
  readonly see: (view: AgentPoint) => void;
  /** The point has to be looked at once more. */
  readonly mark: (point: KeptPoint) => void;
  /** It is not alive there any more. */
  readonly dropped: (arming: string) => void;
}

export const firstRetryMs = 5000;
const maxRetryMs = 5 * 60_000;
/** Processes of a group that are asked for their modules before planning is given up for now. */
const maxAsked = 3;

export class AgentArming {
  readonly #options: AgentArmingOptions;
  readonly #agent: PointAgent;
  readonly #context: PointContext;
  readonly #local: boolean;

  constructor(options: AgentArmingOptions) {
    this.#options = options;
    this.#agent = options.agent;
    this.#context = options.context;
    this.#local = isLocal(options.agent.client);
  }

  get #closed(): boolean {
    return this.#options.isClosed();
  }

  /** Disarms what is armed, and brings in what came of it. */
  async clear(place: Place): Promise<void> {
    const { client } = this.#agent;
    for (const arming of place.armings.values()) {
      if (arming.state !== 'open' && !arming.live) continue;
      try {
        arming.see(await client.disarm(arming.id), this.#options.life);
        this.#options.dropped(arming.id);
      } catch (error) {
        if (toStillframeError(error).code !== 'not-found') throw error;
        arming.view = undefined;
      }
      await client.fetch([arming.id]);
      if (this.#closed) return;
      arming.state = 'closed';
    }
    place.targets.clear();
    place.refusals.clear();
    await this.#context.write(place);
  }

  async arm(point: KeptPoint, place: Place): Promise<void> {
    if (place.isGone) {
      await this.#endGone(point, place);
      return;
    }
    const looked = [...place.targets.values()].slice(0, maxTargets);
    for (const placed of looked) {
      await this.#look(point, place, placed);
      if (this.#isStale(point)) return;
    }
    for (const [buildId, group] of place.builds()) {
      await this.#armBuild(point, place, { buildId, group });
      if (this.#isStale(point)) return;
    }
  }

  /** Its one process is gone: what it left is taken in, and if that is not all that was wanted, no more will come. */
  async #endGone(point: KeptPoint, place: Place): Promise<void> {
    const armings = [...place.armings.values()];
    const held = armings.find(({ live }) => live);
    // The agent says more of the end than that the process is not there.
    if (held !== undefined) return;
    if (armings.length > 0) await this.#agent.client.fetch(armings.map(({ id }) => id));
    if (this.#closed) return;
    this.#context.recount(point.id);
    const why = armings.map(({ view }) => view?.why).find((text) => text !== undefined);
    this.#context.gone(point, why ?? `process ${point.selector.value} at ${place.host} has ended`);
  }

  #isStale(point: KeptPoint): boolean {
    return this.#closed || !point.active || point.remaining === 0;
  }

  /** Which build the location is in, in one process. */
  async #look(point: KeptPoint, place: Place, placed: PlacedTarget): Promise<void> {
    const { target } = placed;
    if (placed.refusal !== undefined && placed.refusal.retryAtMs > Date.now()) return;
    if (placed.buildId !== undefined && placed.refusal === undefined) return;
    const before = placed.refusal;
    delete placed.refusal;
    delete placed.buildId;
    if (target.refusal !== '') {
      placed.refusal = refusalOf(new StillframeError('denied', target.refusal), before);
      return;
    }
    const { module: moduleName } = splitLocation(point.record.location);
    if (moduleName === undefined && target.buildId !== '') {
      placed.buildId = target.buildId;
      return;
    }
    const facts = await this.#facts(target);
    if (facts === undefined) {
      place.targets.delete(keyOf(target));
      return;
    }
    try {
      const { module } = chooseInProcess(facts, moduleName, isLocal(this.#agent.client));
      if (module.buildId === '' && point.takesNewcomers) throw withoutBuildId(module.path);
      placed.buildId = module.buildId;
    } catch (error) {
      placed.refusal = refusalOf(toStillframeError(error), before);
    }
  }

  /** Undefined when the process is gone; who watches the processes is told so, too. */
  async #facts({ pid }: AgentTarget): Promise<TargetFacts | undefined> {
    try {
      return await this.#agent.client.targetFacts(pid);
    } catch (error) {
      const { code } = toStillframeError(error);
      if (code === 'not-found' || code === 'target-gone') return undefined;
      throw error;
    }
  }

  async #armBuild(
    point: KeptPoint,
    place: Place,
    { buildId, group }: { readonly buildId: string; readonly group: readonly PlacedTarget[] },
  ): Promise<void> {
    if (mayArm(point, place.agent) === 'no') return;
    const arming = await this.#nextArming(point, place, buildId);
    if (arming === undefined || this.#isStale(point)) return;
    const refused = place.refusals.get(buildId);
    const keys = new Set(group.map(({ target }) => keyOf(target)));
    const isNew = refused === undefined || [...keys].some((key) => !refused.keys.has(key));
    if (!isNew && refused.retryAtMs > Date.now()) return;
    let asked = false;
    try {
      const plan = await this.#plan(point, place, group);
      // Others may have begun with it meanwhile.
      if (plan === undefined || this.#isStale(point) || !this.#context.mayArm(point, place)) return;
      arming.state = 'open';
      // Before the agent is asked: whatever happens now, it is known that something may be armed there.
      await this.#context.write(place);
      if (this.#isStale(point)) return;
      asked = true;
      const view = await this.#agent.client.arm(this.#order(point, arming, { plan, group }));
      if (this.#closed) return;
      place.refusals.delete(buildId);
      this.#options.see(view);
    } catch (error) {
      const failure = toStillframeError(error);
      if (failure.code === 'unreachable' || this.#closed) throw failure;
      if (asked) {
        // It answered, and leaves nothing armed then.
        arming.state = 'closed';
        await this.#context.write(place);
      }
      place.refusals.set(buildId, { ...refusalOf(failure, refused), keys });
    }
    // It may have ended while it was being armed.
    if (!point.active) this.#options.mark(point);
  }

  /** What is to be armed for a build; undefined when it is, or is not to be. */
  async #nextArming(point: KeptPoint, place: Place, buildId: string): Promise<Arming | undefined> {
    const arming = place.armingFor(buildId);
    if (arming === undefined) return place.nextArming(buildId);
    if (arming.live) return undefined;
    if (arming.state === 'given-up' && arming.count.life === this.#options.life) return undefined;
    if (arming.view === undefined) return arming;
    const { end } = arming.view;
    if (end !== 'hits' && (end !== 'target-gone' || !point.takesNewcomers)) return undefined;
    // It has used up what it was given, and yet not all came that the point asks for: lost for want of room there, or refused here. Or the
    // agent could not hold it while no process was there. Under its name it stays over.
    await this.#agent.client.fetch([arming.id]);
    if (this.#closed) return undefined;
    this.#context.recount(point.id);
    if (this.#isStale(point)) return undefined;
    arming.state = 'closed';
    const next = place.nextArming(buildId);
    if (next !== undefined) return next;
    arming.state = 'given-up';
    arming.why = `it ended there again and again: ${arming.view.why}`;
    await this.#context.write(place);
    return undefined;
  }

  /** Undefined when no process of the group is there any more, or is of another build by now. */
  async #plan(
    point: KeptPoint,
    place: Place,
    group: readonly PlacedTarget[],
  ): Promise<Uint8Array | undefined> {
    const { module: moduleName } = splitLocation(point.record.location);
    let chosen: ChosenProcess | undefined;
    for (const placed of group.slice(0, maxAsked)) {
      const facts = await this.#facts(placed.target);
      if (facts === undefined) {
        place.targets.delete(keyOf(placed.target));
        continue;
      }
      chosen = chooseInProcess(facts, moduleName, isLocal(this.#agent.client));
      if (chosen.module.buildId === placed.buildId) break;
      // Another program was executed in between.
      placed.buildId = chosen.module.buildId;
      chosen = undefined;
      this.#options.mark(point);
    }
    if (chosen === undefined || this.#isStale(point)) return undefined;
    const { module, isExecutable, target } = chosen;
    return await this.#context.planner.plan({
      point: point.record,
      module,
      pid: target.pid,
      isExecutable,
      local: this.#local,
    });
  }

  #order(
    { record, remaining, takesNewcomers, agentSelector, canary }: KeptPoint,
    arming: Arming,
    { plan, group }: { readonly plan: Uint8Array; readonly group: readonly PlacedTarget[] },
  ): ArmOrder {
    const isTriedElsewhere = canary !== undefined && canary.agent !== arming.agent;
    return {
      id: arming.id,
      pids: group.slice(0, maxTargets).map(({ target }) => target.pid),
      selector: takesNewcomers ? agentSelector : '',
      plan,
      engine: engineNames.find((name) => name === record.engine) ?? '',
      maxHits: remaining,
      everyProcess: record.everyProcess,
      minIntervalNs: record.minIntervalNs,
      expiresMs: record.expiresMs,
      whileConnected: false,
      countOnly: record.kind === 'count',
      // Where it was tried elsewhere, it is not tried here again.
      terms: isTriedElsewhere ? { ...record.terms, canaryMs: 0 } : { ...record.terms },
      owner: record.owner,
      note: record.note,
    };
  }
}

function refusalOf(error: StillframeError, before: Refusal | undefined): Refusal {
  const attempts = (before?.attempts ?? 0) + 1;
  const delayMs = Math.min(firstRetryMs * 2 ** (attempts - 1), maxRetryMs);
  return { error, attempts, retryAtMs: Date.now() + delayMs };
}

function withoutBuildId(path: string): StillframeError {
  return new StillframeError(
    'unsupported',
    `"${path}" has no build id: nothing proves that two processes run the same file`,
    {
      hint: 'name one process by its pid, or link the program with --build-id',
    },
  );
}
