/**
 * A fleet in memory for tests of the point keeper: hosts with processes, and agents that hold points as real ones do: armed by id once,
 * newcomers by selector, hits counted, snapshots spooled until they are stored. The test says what happens, and when a host is away.
 */
import { createHash } from 'node:crypto';
import { StillframeError } from '../../../format/error.js';
import { makeIdentifier, pointOfArming } from '../../../format/identifier.js';
import { parseSelector } from '../../../format/target-selector.js';
import type { AgentListener } from '../../../controller/rpc/agent-client.js';
import type {
  AgentCounters,
  AgentFacts,
  AgentModule,
  AgentPoint,
  AgentTarget,
  ArmOrder,
  TargetFacts,
} from '../../../controller/rpc/agent-facts.js';
import type { AgentStatus } from '../../../controller/fleet/fleet.js';
import type {
  PointAgent,
  PointFleet,
  PointFleetListener,
  PointTargetListener,
} from '../../../controller/fleet/point-agent.js';
import type { PlanRequest, PointPlanner } from '../../../controller/fleet/planner.js';
import type { ReceivedSnapshot, Store } from '../../../controller/store/store.js';
import { snapshotBytes } from '../store/snapshot-bytes.js';

export interface FakeProcess {
  readonly pid: number;
  readonly name: string;
  readonly buildId: string;
  /** Libraries by name, with their build ids. */
  readonly libraries?: Readonly<Record<string, string>>;
  readonly refusal?: string;
  readonly startTimeMs?: number;
}

interface HeldPoint {
  readonly order: ArmOrder;
  phase: AgentPoint['phase'];
  end: string;
  why: string;
  armed: Set<number>;
  hits: bigint;
  conditionFalse: bigint;
  delivered: number;
}

interface Spooled {
  readonly id: string;
  readonly point: string;
  readonly bytes: Uint8Array;
}

let lastSnapshot = 0;

export class FakeHost {
  readonly name: string;
  readonly processes: Map<number, FakeProcess> = new Map();
  readonly held: Map<string, HeldPoint> = new Map();
  readonly spool: Map<string, Spooled> = new Map();
  /** What it was asked, in order: `arm ID pids`, `disarm ID`. */
  readonly calls: string[] = [];
  /** Answers to `arm` and `disarm` that fail. */
  readonly failures: Map<'arm' | 'disarm' | 'points' | 'targetFacts', StillframeError> = new Map();
  /** Acknowledgements that do not reach it: the snapshot comes again. */
  losesAcknowledgements = false;
  /** Snapshots are held back until `deliver`. */
  isSlow = false;
  /** Waits in `arm` and `disarm`, for tests of what happens meanwhile. */
  gate: Promise<void> = Promise.resolve();
  /** Tells counters when it is asked to. */
  watchMs = 0;
  pid = 100;
  agent: FakeAgent | undefined;
  #fleet: FakeFleet;

  constructor(name: string, fleet: FakeFleet) {
    this.name = name;
    this.#fleet = fleet;
  }

  get identity(): string {
    return `dialed ${this.name}`;
  }

  start(...processes: FakeProcess[]): void {
    for (const process of processes) this.processes.set(process.pid, process);
    for (const [id, point] of this.held) {
      if (point.order.selector === '' || isOver(point)) continue;
      for (const process of processes) this.#armIn(id, point, process);
      this.tell(id);
    }
    this.#fleet.targetsChanged(this, processes, []);
  }

  stop(...pids: number[]): void {
    const gone = pids.flatMap((pid) => this.processes.get(pid) ?? []);
    for (const pid of pids) this.processes.delete(pid);
    for (const [id, point] of this.held) {
      for (const pid of pids) point.armed.delete(pid);
      if (isOver(point) || point.armed.size > 0) continue;
      if (point.order.selector === '') this.#over(point, 'ended', 'target-gone', 'the process has ended');
      else Object.assign(point, { phase: 'pending', why: `no process fits ${point.order.selector}` });
      this.tell(id);
    }
    this.#fleet.targetsChanged(this, [], gone);
  }

  /** A thread passes the point; the condition is true, or is not. */
  hit(pid: number, condition = true): void {
    for (const [id, point] of this.held) {
      if (!point.armed.has(pid) || isOver(point)) continue;
      point.hits += 1n;
      if (!condition) {
        point.conditionFalse += 1n;
        continue;
      }
      if (point.order.countOnly) continue;
      point.delivered += 1;
      const snapshot = makeIdentifier(Date.now() + ++lastSnapshot, Buffer.from('abcd'));
      const bytes = snapshotBytes({
        snapshot,
        point: id,
        host: this.name,
        pid,
        timeNs: BigInt(lastSnapshot),
      });
      this.spool.set(snapshot, { id: snapshot, point: id, bytes });
      if (point.delivered >= point.order.maxHits && !point.order.everyProcess) {
        this.#over(point, 'ended', 'hits', `delivered ${point.delivered}`);
      }
      if (!this.isSlow) this.deliver();
      this.tell(id);
    }
  }

  /** Sends what the spool holds for points that are followed. */
  deliver(points?: readonly string[]): number {
    const { agent } = this;
    if (agent === undefined) return 0;
    let count = 0;
    for (const { id, point, bytes } of this.spool.values()) {
      if (points === undefined ? !agent.followed.has(point) : !points.includes(point)) continue;
      count += 1;
      if (agent.send(id, point, bytes) && !this.losesAcknowledgements) this.spool.delete(id);
    }
    return count;
  }

  /** Its states go to who follows the point. */
  tell(id: string): void {
    const view = this.view(id);
    if (view !== undefined && this.agent?.followed.has(id) === true) this.agent.tell(view);
  }

  end(id: string, phase: 'ended' | 'failed', end: string, why: string): void {
    const point = this.held.get(id);
    if (point !== undefined) this.#over(point, phase, end, why);
    this.tell(id);
  }

  suspend(id: string, why: string): void {
    Object.assign(this.held.get(id) ?? {}, { phase: 'suspended', why });
    this.tell(id);
  }

  /** Another life: counters begin at zero. `forgets`: what it held is lost with the old one. */
  restart(options: { readonly forgets?: boolean } = {}): void {
    this.pid += 1;
    if (options.forgets === true) this.held.clear();
    for (const point of this.held.values()) Object.assign(point, { hits: 0n, conditionFalse: 0n });
  }

  arm(order: ArmOrder): AgentPoint {
    this.calls.push(`arm ${order.id} ${order.pids.join(',')}`);
    const known = this.held.get(order.id);
    if (known === undefined) {
      const failure = this.failures.get('arm');
      if (failure !== undefined) throw failure;
      const point: HeldPoint = {
        order,
        phase: 'pending',
        end: '',
        why: '',
        armed: new Set(),
        hits: 0n,
        conditionFalse: 0n,
        delivered: 0,
      };
      for (const process of this.processes.values()) {
        if (order.pids.includes(process.pid) || (order.selector !== '' && fits(order.selector, process))) {
          this.#armIn(order.id, point, process);
        }
      }
      if (point.armed.size === 0) throw new StillframeError('target-gone', 'no such process');
      this.held.set(order.id, point);
    }
    const view = this.view(order.id);
    if (view === undefined) throw new Error('it was just armed');
    return view;
  }

  view(id: string): AgentPoint | undefined {
    const point = this.held.get(id);
    if (point === undefined) return undefined;
    const counters: AgentCounters = {
      hits: point.hits,
      conditionFalse: point.conditionFalse,
      faults: 0n,
      dropped: 0n,
      delivered: BigInt(point.delivered),
    };
    return {
      id,
      phase: point.phase,
      engine: 'uprobe',
      processes: [...point.armed].map((pid) => ({ pid, addresses: [0x1000n] })),
      counters,
      why: point.why,
      end: point.end,
      location: '',
      condition: '',
      expiresMs: point.order.expiresMs,
      refusals: [],
      owner: point.order.owner,
      note: point.order.note,
      countOnly: point.order.countOnly,
    };
  }

  #armIn(id: string, point: HeldPoint, process: FakeProcess): void {
    // As the agent pins by build id: the plan is of one build.
    const build = Buffer.from(point.order.plan).toString();
    const builds = [process.buildId, ...Object.values(process.libraries ?? {})];
    if (!builds.includes(build) || process.refusal !== undefined) return;
    if (point.order.selector !== '' && !fits(point.order.selector, process)) return;
    point.armed.add(process.pid);
    Object.assign(point, { phase: 'armed', why: 'armed' });
    this.calls.push(`armed ${id} in ${process.pid}`);
  }

  #over(point: HeldPoint, phase: AgentPoint['phase'], end: string, why: string): void {
    Object.assign(point, { phase, end, why, armed: new Set() });
  }
}

const isOver = (point: HeldPoint): boolean => point.phase === 'ended' || point.phase === 'failed';

function fits(selector: string, process: FakeProcess): boolean {
  if (selector === '') return true;
  const { kind, value } = parseSelector(selector);
  return kind === 'pid' ? process.pid === Number(value) : process.name === value;
}

function targetOf(process: FakeProcess): AgentTarget {
  return {
    pid: process.pid,
    comm: process.name,
    args: [],
    uid: 0,
    executable: `/usr/bin/${process.name}`,
    buildId: process.buildId,
    unit: '',
    container: '',
    service: '',
    startTicks: BigInt(process.pid),
    startTimeMs: process.startTimeMs ?? 1,
    refusal: process.refusal ?? '',
  };
}

/** One conversation with a host. */
export class FakeAgent implements PointAgent {
  readonly host: string;
  readonly identity: string;
  readonly address: string;
  readonly followed: Set<string> = new Set();
  readonly client: PointAgent['client'];
  readonly #listeners = new Set<AgentListener>();
  readonly #store: Store;
  isGone = false;

  constructor(host: FakeHost, store: Store) {
    this.host = host.name;
    this.identity = host.identity;
    this.address = host.name;
    this.#store = store;
    this.client = this.#makeClient(host);
  }

  tell(view: AgentPoint): void {
    if (!this.isGone) this.#tellAll((listener) => listener.point?.(view));
  }

  /** False when it could not be stored: it is not acknowledged then. */
  send(id: string, point: string, bytes: Uint8Array): boolean {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    let received: ReceivedSnapshot;
    try {
      using writer = this.#store.receive({ id, point, size: bytes.length, sha256 });
      writer.write(bytes);
      received = writer.commit();
    } catch {
      return false;
    }
    this.#tellAll((listener) => {
      if (received.kind === 'surplus') listener.surplus?.(received.point);
      else listener.snapshot?.(received.record, received.kind === 'stored');
    });
    return true;
  }

  /** What goes wrong in the controller does so there. */
  #tellAll(tell: (listener: AgentListener) => void): void {
    for (const listener of this.#listeners) {
      try {
        tell(listener);
      } catch {
        // As a real conversation does: it goes on.
      }
    }
  }

  #makeClient(host: FakeHost): PointAgent['client'] {
    const answer = async <T>(work: () => T): Promise<T> => {
      await Promise.resolve();
      if (this.isGone) throw new StillframeError('unreachable', 'it hung up');
      return work();
    };
    const failing = (call: 'arm' | 'disarm' | 'points' | 'targetFacts'): void => {
      const failure = host.failures.get(call);
      if (failure !== undefined) throw failure;
    };
    return {
      facts: factsOf(host),
      listen: (listener) => {
        this.#listeners.add(listener);
        return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
      },
      listTargets: (selector: string | undefined) =>
        answer(() =>
          [...host.processes.values()].filter((process) => fits(selector ?? '', process)).map(targetOf),
        ),
      targetFacts: (pid) =>
        answer(() => {
          failing('targetFacts');
          const process = host.processes.get(pid);
          if (process === undefined) throw new StillframeError('not-found', `no process ${pid}`);
          return targetFactsOf(process);
        }),
      points: (ids, watchMs) =>
        answer(() => {
          failing('points');
          host.watchMs = watchMs ?? 0;
          const chosen = ids === undefined || ids.length === 0 ? [...host.held.keys()] : ids;
          return chosen.flatMap((id) => host.view(id) ?? []);
        }),
      followPoints: (ids) =>
        answer(() => {
          for (const id of ids) this.followed.add(id);
          host.deliver();
          return ids.flatMap((id) => host.view(id) ?? []);
        }),
      arm: async (order) => {
        await host.gate;
        return await answer(() => {
          this.followed.add(order.id);
          return host.arm(order);
        });
      },
      disarm: async (id) => {
        await host.gate;
        return await answer(() => {
          failing('disarm');
          host.calls.push(`disarm ${id}`);
          const point = host.held.get(id);
          if (point === undefined) throw new StillframeError('not-found', `this agent has no point ${id}`);
          if (!isOver(point)) host.end(id, 'ended', 'removed', 'removed');
          const view = host.view(id);
          if (view === undefined) throw new Error('it is held');
          return view;
        });
      },
      resume: (id) =>
        answer(() => {
          host.calls.push(`resume ${id}`);
          const point = host.held.get(id);
          if (point === undefined) throw new StillframeError('not-found', `this agent has no point ${id}`);
          Object.assign(point, { phase: 'armed', why: 'armed' });
          const view = host.view(id);
          if (view === undefined) throw new Error('it is held');
          return view;
        }),
      fetch: (ids) => answer(() => host.deliver(ids ?? [])),
    };
  }
}

function factsOf(host: FakeHost): AgentFacts {
  return {
    version: '0.1.0',
    host: host.name,
    pid: host.pid,
    bootId: `boot of ${host.name}`,
    pidNamespace: 'pid:[1]',
    kernel: '6',
    architecture: 'x64',
    uid: 0,
  };
}

function targetFactsOf(process: FakeProcess): TargetFacts {
  const module = (path: string, buildId: string): AgentModule => ({
    path,
    buildId,
    start: 0x1000n,
    end: 0x2000n,
    bias: 0n,
    deleted: false,
  });
  const libraries = Object.entries(process.libraries ?? {}).map(([name, id]) =>
    module(`/usr/lib/${name}`, id),
  );
  return {
    target: targetOf(process),
    modules: [module(`/usr/bin/${process.name}`, process.buildId), ...libraries],
  };
}

export class FakeFleet implements PointFleet {
  readonly hosts: Map<string, FakeHost> = new Map();
  readonly #listeners = new Set<PointFleetListener>();
  readonly #watches = new Set<{ readonly selector: string; readonly listener: PointTargetListener }>();
  #store: Store;

  constructor(store: Store, ...names: string[]) {
    this.#store = store;
    for (const name of names) this.hosts.set(name, new FakeHost(name, this));
  }

  host(name: string): FakeHost {
    const host = this.hosts.get(name);
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
  }

  /** For another controller on the same hosts: all conversations are over, and what they sent is not taken any more. */
  reopen(store: Store): void {
    for (const host of this.hosts.values()) {
      if (host.agent !== undefined) host.agent.isGone = true;
      host.agent = undefined;
    }
    this.#listeners.clear();
    this.#watches.clear();
    this.#store = store;
  }

  connect(...names: string[]): void {
    for (const name of names.length === 0 ? this.hosts.keys() : names) {
      const host = this.host(name);
      const agent = new FakeAgent(host, this.#store);
      host.agent = agent;
      for (const listener of this.#listeners) listener.connected?.(agent);
      for (const watch of this.#watches) this.#begin(watch, host, agent);
    }
  }

  disconnect(name: string, reason = 'connect ECONNREFUSED'): void {
    const host = this.host(name);
    const { agent } = host;
    if (agent === undefined) return;
    agent.isGone = true;
    host.agent = undefined;
    this.reasons.set(name, reason);
    for (const listener of this.#listeners) listener.disconnected?.(agent, reason);
  }

  readonly reasons: Map<string, string> = new Map();
  /** Why its agents do not watch processes. */
  refusesWatches = '';

  agents(): readonly FakeAgent[] {
    return [...this.hosts.values()].flatMap(({ agent }) => agent ?? []);
  }

  statuses(): readonly AgentStatus[] {
    return [...this.hosts.values()].map((host) => ({
      host: host.name,
      identity: host.identity,
      address: host.name,
      connected: host.agent !== undefined,
      sinceMs: 0,
      ...(host.agent === undefined ? { error: this.reasons.get(host.name) ?? 'connect ECONNREFUSED' } : {}),
    }));
  }

  listen(listener: PointFleetListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  watchTargets(selector: string, listener: PointTargetListener): Disposable {
    const watch = { selector, listener };
    this.#watches.add(watch);
    for (const host of this.hosts.values()) {
      if (host.agent !== undefined) this.#begin(watch, host, host.agent);
    }
    return { [Symbol.dispose]: () => void this.#watches.delete(watch) };
  }

  targetsChanged(host: FakeHost, appeared: readonly FakeProcess[], left: readonly FakeProcess[]): void {
    const { agent } = host;
    if (agent === undefined || this.refusesWatches !== '') return;
    for (const { selector, listener } of this.#watches) {
      if (!isMeant(selector, host)) continue;
      const of = (processes: readonly FakeProcess[]): AgentTarget[] =>
        processes.filter((process) => fits(selector, process)).map(targetOf);
      if (of(left).length > 0) listener.left(agent, of(left));
      if (of(appeared).length > 0) listener.appeared(agent, of(appeared));
    }
  }

  #begin(
    watch: { readonly selector: string; readonly listener: PointTargetListener },
    host: FakeHost,
    agent: FakeAgent,
  ): void {
    queueMicrotask(() => {
      if (!this.#watches.has(watch) || agent.isGone || !isMeant(watch.selector, host)) return;
      if (this.refusesWatches !== '') {
        watch.listener.state?.(host.name, this.refusesWatches);
        return;
      }
      const targets = [...host.processes.values()].filter((process) => fits(watch.selector, process));
      if (targets.length > 0) watch.listener.appeared(agent, targets.map(targetOf));
    });
  }
}

function isMeant(selector: string, { name }: FakeHost): boolean {
  const { host } = parseSelector(selector);
  return host === undefined || host === name;
}

/** A plan is the build id that it is for. */
export class FakePlanner implements PointPlanner {
  readonly planned: string[] = [];
  /** By build id. */
  readonly refusals: Map<string, StillframeError> = new Map();
  plan({ point, module }: PlanRequest): Promise<Uint8Array> {
    const refusal = this.refusals.get(module.buildId);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.planned.push(`${point.id} ${module.buildId}`);
    return Promise.resolve(Buffer.from(module.buildId));
  }
  forget(): void {
    // Nothing is kept.
  }
}

/** Ids of what a host holds of a point, alive. */
export function armedAt(host: FakeHost, point: string): string[] {
  return [...host.held]
    .filter(([id, held]) => pointOfArming(id) === point && !isOver(held))
    .map(([id]) => id);
}
