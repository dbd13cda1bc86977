/**
 * A point in memory: what was asked, how it ended if it did, and its places, one for each agent that has something to do with it. No
 * I/O; the keeper and its agents act on it.
 */
import type { StillframeError } from '../../format/error.js';
import { makeArmingIdentifier } from '../../format/identifier.js';
import { parseSelector, type Selector } from '../../format/target-selector.js';
import type { AgentPoint, AgentTarget } from '../rpc/agent-facts.js';
import type {
  ArmingRecord,
  FleetCanary,
  HitCount,
  HitCounters,
  PointPhase,
  PointRecord,
} from '../store/store.js';
import { addHits, countHits, isSameCount, noCount, noHits } from './hit-count.js';

const endings = ['hits', 'expired', 'removed', 'target-gone', 'failed'] as const;
export type PointEnding = (typeof endings)[number];

export interface Ending {
  readonly end: PointEnding;
  readonly detail: string;
  /** The detail says all, hits included: it was written down before. */
  readonly final: boolean;
}

export class KeptPoint {
  readonly record: PointRecord;
  readonly selector: Selector;
  /** By the agent's identity. */
  readonly places: Map<string, Place> = new Map();
  ending: Ending | undefined;
  /** Where it is, or was, tried first; undefined where it is tried nowhere yet. */
  canary: FleetCanary | undefined;
  isCanaryArmed = false;
  stored = 0;
  surplus = 0;
  /** What was written to the store last. */
  written: string;
  /** When listeners were told last. */
  toldMs = 0;

  constructor(record: PointRecord) {
    this.record = record;
    this.canary = record.canary;
    this.selector = parseSelector(record.target);
    this.written = statusText(record.status.phase, record.status.why);
    if (record.status.phase === 'ended' || record.status.phase === 'failed') {
      const end = endings.find((known) => known === record.status.end) ?? 'removed';
      this.ending = { end, detail: record.status.why, final: true };
    }
  }

  get id(): string {
    return this.record.id;
  }

  get active(): boolean {
    return this.ending === undefined;
  }

  get phase(): PointPhase {
    if (this.ending !== undefined) return this.ending.end === 'failed' ? 'failed' : 'ended';
    const phases = [...this.places.values()].flatMap((place) => place.phases());
    if (phases.includes('armed')) return 'armed';
    return phases.includes('suspended') ? 'suspended' : 'pending';
  }

  /** Hits that are still wanted; of each process, where each may have so many. */
  get remaining(): number {
    const { maxHits, everyProcess, kind } = this.record;
    return everyProcess || kind === 'count' ? maxHits : Math.max(0, maxHits - this.stored);
  }

  /** What agents are asked for: they know their processes, and not what this controller calls them. */
  get agentSelector(): string {
    return this.selector.kind === 'any' ? '' : this.record.target;
  }

  /** Whether an agent arms newcomers by itself. A pid names one process, and may name another tomorrow. */
  get takesNewcomers(): boolean {
    return this.selector.kind !== 'pid';
  }

  place(agent: { readonly identity: string; readonly host: string }): Place {
    const known = this.places.get(agent.identity);
    if (known !== undefined) {
      known.host = agent.host;
      return known;
    }
    const place = new Place(this.id, agent.identity, agent.host);
    this.places.set(agent.identity, place);
    return place;
  }

  counters(): HitCounters {
    return [...this.places.values()].reduce((sum, place) => addHits(sum, place.counters()), noHits);
  }
}

/** A process that fits, as far as it was looked at. */
export interface PlacedTarget {
  readonly target: AgentTarget;
  /** Of the module that the location is in; undefined until it was looked at, or where it has none. */
  buildId?: string;
  /** Why it cannot be armed, whatever its build; it is looked at again when that is due. */
  refusal?: Refusal;
}

export interface Refusal {
  readonly error: StillframeError;
  readonly attempts: number;
  readonly retryAtMs: number;
}

/** Why the processes of a build could not be armed; tried again when it is due, or when another process appears. */
export interface BuildRefusal extends Refusal {
  readonly keys: ReadonlySet<string>;
}

/** How the point stands at one agent, for one build. */
export class Arming {
  readonly id: string;
  readonly point: string;
  readonly agent: string;
  readonly buildId: string;
  state: ArmingRecord['state'] = 'open';
  why = '';
  count: HitCount = noCount;
  /** What this conversation's agent said last; undefined where it has said nothing. */
  view: AgentPoint | undefined;

  constructor(about: Pick<ArmingRecord, 'id' | 'point' | 'agent' | 'buildId'>) {
    this.id = about.id;
    this.point = about.point;
    this.agent = about.agent;
    this.buildId = about.buildId;
  }

  /** The agent holds it, and this conversation hears of it. */
  get live(): boolean {
    return this.view !== undefined && !isOver(this.view);
  }

  /** True when it counted something. */
  see(view: AgentPoint, life: string): boolean {
    const before = this.count;
    this.view = view;
    this.count = countHits(before, life, view.counters);
    return before.life !== life || !isSameCount(before.last, this.count.last);
  }
}

export function isOver(view: AgentPoint): boolean {
  return view.phase === 'ended' || view.phase === 'failed';
}

export class Place {
  readonly point: string;
  readonly agent: string;
  host: string;
  /** By pid and start. */
  readonly targets: Map<string, PlacedTarget> = new Map();
  /** By id. */
  readonly armings: Map<string, Arming> = new Map();
  /** By build. */
  readonly refusals: Map<string, BuildRefusal> = new Map();
  /** Why processes are not watched there. */
  watchDetail = '';
  /** The process that a pid names has left. */
  isGone = false;
  /** Its armings are not in the store as they are here. */
  dirty = false;
  /** When to try again what failed as a whole. */
  passRetryAtMs: number | undefined;

  constructor(point: string, agent: string, host: string) {
    this.point = point;
    this.agent = agent;
    this.host = host;
  }

  add(record: ArmingRecord): void {
    const arming = new Arming(record);
    arming.state = record.state;
    arming.why = record.why;
    arming.count = record.count;
    this.armings.set(record.id, arming);
  }

  /** The one that counts for a build: the first, or the one that took over when all its hits were used up and not all came. */
  armingFor(buildId: string): Arming | undefined {
    let last: Arming | undefined;
    for (let generation = 0; generation < maxGenerations; generation++) {
      const arming = this.armings.get(makeArmingIdentifier(this.point, buildId, generation));
      if (arming === undefined) return last;
      last = arming;
    }
    return last;
  }

  /** Another arming of the build; undefined when there were too many. */
  nextArming(buildId: string): Arming | undefined {
    for (let generation = 0; generation < maxGenerations; generation++) {
      const id = makeArmingIdentifier(this.point, buildId, generation);
      if (this.armings.has(id)) continue;
      const arming = new Arming({ id, point: this.point, agent: this.agent, buildId });
      // Until the agent is asked.
      arming.state = 'closed';
      this.armings.set(id, arming);
      return arming;
    }
    return undefined;
  }

  arming(id: string, buildId: string): Arming {
    const known = this.armings.get(id);
    if (known !== undefined) return known;
    const arming = new Arming({ id, point: this.point, agent: this.agent, buildId });
    this.armings.set(id, arming);
    this.dirty = true;
    return arming;
  }

  /** Processes that may be armed, by the build that the location is in. */
  builds(): ReadonlyMap<string, readonly PlacedTarget[]> {
    const builds = new Map<string, PlacedTarget[]>();
    for (const placed of this.targets.values()) {
      if (placed.buildId === undefined || placed.refusal !== undefined) continue;
      const group = builds.get(placed.buildId);
      if (group === undefined) builds.set(placed.buildId, [placed]);
      else group.push(placed);
    }
    return builds;
  }

  /** Why processes that are there could not be armed. */
  errors(): readonly StillframeError[] {
    return [...this.targets.values(), ...[...this.refusals.values()].map((refusal) => ({ refusal }))].flatMap(
      ({ refusal }) => (refusal === undefined ? [] : [refusal.error]),
    );
  }

  /** When something that was refused is to be tried again. */
  retryAtMs(): number | undefined {
    const times = [...this.targets.values(), ...[...this.refusals.values()].map((refusal) => ({ refusal }))]
      .map(({ refusal }) => refusal?.retryAtMs ?? Infinity)
      .concat(this.passRetryAtMs ?? Infinity);
    const first = Math.min(...times);
    return first === Infinity ? undefined : first;
  }

  /** The agent went away: what it said holds no longer, what was counted does. */
  forget(): void {
    this.targets.clear();
    this.refusals.clear();
    this.passRetryAtMs = undefined;
    this.isGone = false;
    this.watchDetail = '';
    for (const arming of this.armings.values()) arming.view = undefined;
  }

  phases(): PointPhase[] {
    return [...this.armings.values()].flatMap(({ view }) => (view === undefined ? [] : [view.phase]));
  }

  counters(): HitCounters {
    return [...this.armings.values()].reduce((sum, { count }) => addHits(sum, count.total), noHits);
  }

  /** The agent may hold a probe or a snapshot of it. */
  get open(): boolean {
    return [...this.armings.values()].some(({ state }) => state === 'open');
  }

  records(): ArmingRecord[] {
    return [...this.armings.values()].map((arming) => ({
      id: arming.id,
      point: arming.point,
      agent: arming.agent,
      host: this.host,
      buildId: arming.buildId,
      state: arming.state,
      why: arming.why,
      count: arming.count,
    }));
  }
}

/** An agent that uses up its hits so often without their coming is not asked again. */
const maxGenerations = 16;

export function statusText(phase: PointPhase, why: string): string {
  return `${phase} ${why}`;
}
