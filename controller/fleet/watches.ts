/**
 * What is asked of a fleet, asked of each agent that it concerns, and asked again of each that comes (back). Watches of targets with the
 * same selector are one watch at the agents.
 */
import { toStillframeError } from '../../format/error.js';
import { parseSelector } from '../../format/target-selector.js';
import type { AgentTarget, WatchEvent, WatchOrder } from '../rpc/agent-facts.js';
import type {
  AgentStatus,
  FleetAgent,
  LogListener,
  LogWatch,
  TargetListener,
  UsageListener,
  UsageWatch,
} from './fleet.js';

interface Watch {
  readonly id: string;
  readonly order: WatchOrder;
  /** Undefined: every host. */
  readonly host: string | undefined;
  readonly heard: (agent: FleetAgent, event: WatchEvent) => void;
  /** Why it is not watched there; empty when it is. */
  readonly state: (host: string, detail: string) => void;
  readonly gone: (agent: FleetAgent, reason: string) => void;
  /** An agent that is not there when the watch begins. */
  readonly missing: (host: string, reason: string) => void;
}

/** Of one watch at one agent. */
const maxTargets = 4096;

export class WatchBoard {
  readonly #agents: () => readonly FleetAgent[];
  readonly #statuses: () => readonly AgentStatus[];
  readonly #watches = new Map<string, Watch>();
  readonly #targets = new Map<string, TargetWatch>();
  #lastId = 0;

  constructor(fleet: {
    readonly agents: () => readonly FleetAgent[];
    readonly statuses: () => readonly AgentStatus[];
  }) {
    this.#agents = fleet.agents;
    this.#statuses = fleet.statuses;
  }

  connected(agent: FleetAgent): void {
    for (const watch of this.#watches.values()) this.#ask(agent, watch);
  }

  disconnected(agent: FleetAgent, reason: string): void {
    for (const watch of this.#watches.values()) {
      if (!isMeant(watch.host, agent)) continue;
      watch.gone(agent, reason);
    }
  }

  heard(agent: FleetAgent, event: WatchEvent): void {
    const watch = this.#watches.get(event.id);
    if (watch === undefined || !isMeant(watch.host, agent)) return;
    if (event.kind === 'state') watch.state(agent.host, event.detail);
    else watch.heard(agent, event);
  }

  watchTargets(selector: string, listener: TargetListener): Disposable {
    let shared = this.#targets.get(selector);
    if (shared === undefined) {
      shared = new TargetWatch();
      this.#targets.set(selector, shared);
      const { host, kind } = parseSelector(selector);
      const made = shared;
      made.watch = this.#add({
        order: (id) => ({ id, kind: 'targets', selector: kind === 'any' ? '' : selector }),
        host,
        heard: (agent, event) => made.heard(agent, event),
        state: (name, detail) => made.state(name, detail),
        gone: (agent) => made.gone(agent),
        missing: () => undefined,
      });
    }
    const watch = shared;
    watch.join(listener);
    return once(() => {
      if (!watch.leave(listener)) return;
      this.#targets.delete(selector);
      watch.watch?.[Symbol.dispose]();
    });
  }

  watchLog({ host, path, pattern }: LogWatch, listener: LogListener): Disposable {
    const tell = onChange((name, detail) => listener.state(name, detail));
    return this.#add({
      order: (id) => ({ id, kind: 'log', path, pattern }),
      host,
      heard: (agent, event) => {
        if (event.kind !== 'log') return;
        const { timeMs, line, count } = event;
        listener.matched({ host: agent.host, timeMs, line, count });
      },
      ...tellingState(tell),
    });
  }

  watchUsage({ selector, resource, above, forMs }: UsageWatch, listener: UsageListener): Disposable {
    const { host, kind } = parseSelector(selector);
    const asked = kind === 'any' ? '' : selector;
    const tell = onChange((name, detail) => listener.state(name, detail));
    return this.#add({
      order: (id) => ({ id, kind: 'usage', selector: asked, resource, above, forMs }),
      host,
      heard: (agent, event) => {
        if (event.kind !== 'usage') return;
        const { timeMs, target, value } = event;
        listener.exceeded({ host: agent.host, timeMs, target, value });
      },
      ...tellingState(tell),
    });
  }

  #add(about: Omit<Watch, 'id' | 'order'> & { readonly order: (id: string) => WatchOrder }): Disposable {
    const id = `w${++this.#lastId}`;
    const watch: Watch = { ...about, id, order: about.order(id) };
    this.#watches.set(id, watch);
    for (const agent of this.#agents()) this.#ask(agent, watch);
    // Not from within the call that asks: whoever listens has not got its watch yet.
    queueMicrotask(() => {
      if (!this.#watches.has(id)) return;
      for (const { host, connected, error } of this.#statuses()) {
        const meant = watch.host === undefined || watch.host === host;
        if (!connected && meant) watch.missing(host, error ?? '');
      }
    });
    return once(() => {
      this.#watches.delete(id);
      for (const agent of this.#agents()) {
        // One that is not there any more forgot it.
        if (isMeant(watch.host, agent)) agent.client.unwatch(id).catch(() => undefined);
      }
    });
  }

  #ask(agent: FleetAgent, watch: Watch): void {
    if (!isMeant(watch.host, agent)) return;
    agent.client.watch(watch.order).then(
      () => {
        if (this.#watches.has(watch.id)) watch.state(agent.host, '');
      },
      (error: unknown) => {
        const { code, message } = toStillframeError(error);
        // One that went away says so by itself.
        if (code !== 'unreachable' && this.#watches.has(watch.id)) watch.state(agent.host, message);
      },
    );
  }
}

/** The processes that fit one selector, on all hosts, for all who want to know. */
class TargetWatch {
  watch: Disposable | undefined;
  readonly #listeners = new Set<TargetListener>();
  readonly #joining = new Set<TargetListener>();
  readonly #known = new Map<FleetAgent, Map<string, AgentTarget>>();
  readonly #states = new Map<string, string>();

  /** Told of what is known soon, and not from within the call, for whoever listens has not got its watch yet; then of what changes. */
  join(listener: TargetListener): void {
    this.#joining.add(listener);
    queueMicrotask(() => {
      if (!this.#joining.delete(listener)) return;
      this.#listeners.add(listener);
      for (const [agent, targets] of this.#known) {
        if (targets.size > 0) listener.appeared(agent, [...targets.values()]);
      }
      for (const [host, detail] of this.#states) listener.state?.(host, detail);
    });
  }

  /** True when nobody is left. */
  leave(listener: TargetListener): boolean {
    this.#joining.delete(listener);
    this.#listeners.delete(listener);
    return this.#listeners.size + this.#joining.size === 0;
  }

  heard(agent: FleetAgent, event: WatchEvent): void {
    if (event.kind !== 'targets') return;
    let known = this.#known.get(agent);
    if (known === undefined) {
      known = new Map();
      this.#known.set(agent, known);
    }
    const left: AgentTarget[] = [];
    for (const target of event.left) if (known.delete(keyOf(target))) left.push(target);
    const appeared: AgentTarget[] = [];
    for (const target of event.appeared) {
      if (known.size >= maxTargets && !known.has(keyOf(target))) continue;
      known.set(keyOf(target), target);
      appeared.push(target);
    }
    for (const listener of this.#listeners) {
      if (left.length > 0) listener.left(agent, left);
      if (appeared.length > 0) listener.appeared(agent, appeared);
    }
  }

  state(host: string, detail: string): void {
    if ((this.#states.get(host) ?? '') === detail) return;
    this.#states.set(host, detail);
    for (const listener of this.#listeners) listener.state?.(host, detail);
  }

  gone(agent: FleetAgent): void {
    this.#known.delete(agent);
  }
}

/** With the pid it names one process for good. */
export function keyOf(target: AgentTarget): string {
  return `${target.pid}/${target.startTicks}`;
}

/** Whether `…@HOST` means that agent: by its name here, or as it calls itself. */
export function isMeant(
  host: string | undefined,
  agent: { readonly host: string; readonly client: Pick<FleetAgent['client'], 'facts'> },
): boolean {
  return host === undefined || host === agent.host || host === agent.client.facts.host;
}

export function notConnected(host: string, reason: string): string {
  return `agent ${host} is not connected${reason === '' ? '' : `: ${reason}`}`;
}

/** What is told of hosts to who watches logs or usage. */
function tellingState(tell: Watch['state']): Pick<Watch, 'state' | 'gone' | 'missing'> {
  const missing = (host: string, reason: string): void => tell(host, notConnected(host, reason));
  return { state: tell, missing, gone: ({ host }, reason) => missing(host, reason) };
}

/** Tells each host's state when it differs from the last; nothing to say is the state before the first. */
function onChange(tell: (host: string, detail: string) => void): Watch['state'] {
  const last = new Map<string, string>();
  return (host, detail) => {
    if ((last.get(host) ?? '') === detail) return;
    last.set(host, detail);
    tell(host, detail);
  };
}

function once(work: () => void): Disposable {
  let done = false;
  return {
    [Symbol.dispose]() {
      if (done) return;
      done = true;
      work();
    },
  };
}
