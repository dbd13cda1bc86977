/**
 * A fleet of real agents: dialed again and again, or taken over from the gateway that they dial. Who is who is the roster's matter, what
 * is watched the board's; here conversations begin, end, and are listened to.
 */
import { grpcTarget, parseEndpoint, type Endpoint } from '../../format/endpoint.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { pointOfArming } from '../../format/identifier.js';
import { acceptChannel, type AgentStream } from '../rpc/agent-channel.js';
import { AgentClient } from '../rpc/agent-client.js';
import type { ComingSnapshot } from '../rpc/incoming-snapshots.js';
import type { TlsFiles } from '../rpc/tls.js';
import { isOfFleet, type SnapshotWriter, type Store } from '../store/store.js';
import { Dialing } from './dialing.js';
import type {
  AgentStatus,
  Fleet,
  FleetAgent,
  FleetListener,
  FleetLog,
  LogListener,
  LogWatch,
  TargetListener,
  UsageListener,
  UsageWatch,
} from './fleet.js';
import { Roster } from './roster.js';
import { WatchBoard } from './watches.js';

export interface FleetOptions {
  /** To be dialed: `unix:PATH` or `HOST:PORT`. */
  readonly agents: readonly string[];
  readonly tls: TlsFiles | undefined;
  readonly store: Store;
  readonly log: FleetLog;
}

/** Throws `usage` for an address that is none. */
export function openFleet(options: FleetOptions): AgentFleet {
  return new AgentFleet(options);
}

/** Streams that have not said hello yet; and those that have. */
const maxUngreeted = 512;
const maxAgents = 5000;
/** How long dialed agents that answered wait for the others at the start, so that names do not depend on who is quicker. */
const firstRoundMs = 1500;
const connectTimeoutMs = 5000;
const complaintMs = 10_000;

export class AgentFleet implements Fleet, AsyncDisposable {
  readonly #options: FleetOptions;
  readonly #roster = new Roster();
  readonly #board: WatchBoard;
  readonly #dialings: Dialing<AgentClient>[] = [];
  readonly #listeners = new Set<FleetListener>();
  /** Who takes hits that are not for the store, by point. */
  readonly #takers = new Map<string, (announced: ComingSnapshot) => SnapshotWriter>();
  /** Dialed in the first round, in the order of their answers; undefined when it is over. */
  #early: AgentClient[] | undefined = [];
  #ungreeted = 0;
  #closed = false;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#board = new WatchBoard({
      agents: () => this.#roster.agents(),
      statuses: () => this.#roster.statuses(),
    });
    const endpoints = options.agents.map((text) => parseEndpoint(text));
    // One agent that was named twice is dialed once.
    const byAddress = new Map(endpoints.map((endpoint) => [grpcTarget(endpoint), endpoint]));
    for (const [address, endpoint] of byAddress) this.#dial(address, endpoint);
    void this.#endFirstRound();
  }

  agents(): readonly FleetAgent[] {
    return this.#roster.agents();
  }

  statuses(): readonly AgentStatus[] {
    return this.#roster.statuses();
  }

  listen(listener: FleetListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  take(pointId: string, receive: (announced: ComingSnapshot) => SnapshotWriter): Disposable {
    this.#takers.set(pointId, receive);
    return { [Symbol.dispose]: () => void this.#takers.delete(pointId) };
  }

  /** Throws `usage`. */
  watchTargets(selector: string, listener: TargetListener): Disposable {
    return this.#board.watchTargets(selector, listener);
  }

  watchLog(watch: LogWatch, listener: LogListener): Disposable {
    return this.#board.watchLog(watch, listener);
  }

  /** Throws `usage`. */
  watchUsage(watch: UsageWatch, listener: UsageListener): Disposable {
    return this.#board.watchUsage(watch, listener);
  }

  /** Takes the stream over for good; `serveFleetGateway` (controller/rpc/fleet-gateway.ts) calls it for each that comes. */
  accept(stream: AgentStream): void {
    const channel = acceptChannel(stream);
    const isFull = this.#ungreeted >= maxUngreeted || this.#roster.agents().length >= maxAgents;
    if (this.#closed || isFull) {
      // It comes again, and finds room when others have gone.
      channel.close();
      return;
    }
    this.#ungreeted += 1;
    AgentClient.converse(channel, this.#conversation())
      .then(
        (client) => this.#admit(client),
        (error: unknown) => {
          const { message } = toStillframeError(error);
          this.#options.log.warn(
            { address: channel.address, error: message },
            'an agent that dialed was refused',
          );
        },
      )
      .finally(() => {
        this.#ungreeted -= 1;
      });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const dialing of this.#dialings) dialing[Symbol.dispose]();
    for (const client of this.#early ?? []) client[Symbol.dispose]();
    for (const { client } of this.#roster.agents()) client[Symbol.dispose]();
    // Their ends are told before this is done.
    return new Promise((resolve) => setImmediate(resolve));
  }

  #conversation() {
    return {
      receive: (announced: ComingSnapshot) => this.#receive(announced),
      name: `controller ${process.pid}`,
    };
  }

  #dial(address: string, endpoint: Endpoint): void {
    const { tls, log } = this.#options;
    let lastError = '';
    const connect = async (): Promise<AgentClient> => {
      const options = { endpoint, connectTimeoutMs, ...this.#conversation() };
      return await AgentClient.connect(tls === undefined ? options : { ...options, tls });
    };
    this.#roster.expect(address);
    this.#dialings.push(
      new Dialing({
        connect,
        connected: (client) => {
          lastError = '';
          if (this.#early === undefined) this.#admit(client);
          else this.#early.push(client);
        },
        failed: (error) => {
          const reason = withoutPrefix(error.message, address);
          this.#roster.failed(address, reason);
          // It is tried again and again: the same is not said again and again.
          if (reason !== lastError) log.warn({ agent: address, error: reason }, 'an agent cannot be reached');
          lastError = reason;
        },
      }),
    );
  }

  /** Names go by address among those that answered by then. */
  async #endFirstRound(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, firstRoundMs);
    });
    await Promise.race([Promise.all(this.#dialings.map((dialing) => dialing.attempted)), late]);
    clearTimeout(timer);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const client of early.toSorted((a, b) => (a.address < b.address ? -1 : 1))) this.#admit(client);
  }

  #admit(client: AgentClient): void {
    if (this.#closed) {
      client[Symbol.dispose]();
      return;
    }
    const admission = this.#roster.admit(client);
    if ('refused' in admission) {
      client[Symbol.dispose]();
      this.#roster.failed(client.address, admission.refused);
      this.#options.log.warn(
        { address: client.address, reason: admission.refused },
        'an agent is not wanted',
      );
      return;
    }
    const { agent, replaced } = admission;
    if (replaced !== undefined) {
      replaced.client[Symbol.dispose]();
      this.#tellGone(replaced, 'the same agent began another conversation');
    }
    client.listen({
      watch: (event) => this.#board.heard(agent, event),
      failed: this.#complaints(agent),
    });
    void client.closed.then((reason) => {
      const text = withoutPrefix(reason.message, client.address);
      if (this.#roster.leave(agent, text)) this.#tellGone(agent, text);
    });
    const { host, address } = agent;
    this.#options.log.info({ agent: host, address, version: client.facts.version }, 'agent connected');
    for (const listener of this.#listeners) listener.connected?.(agent);
    this.#board.connected(agent);
  }

  /** What an agent sends that cannot be taken is logged, and no more often than somebody can read. */
  #complaints(agent: FleetAgent): (error: StillframeError) => void {
    let loggedMs = 0;
    let unlogged = 0;
    return ({ message }) => {
      unlogged += 1;
      const nowMs = Date.now();
      if (nowMs - loggedMs < complaintMs) return;
      this.#options.log.warn(
        { agent: agent.host, error: message, count: unlogged },
        'refused what an agent sent',
      );
      loggedMs = nowMs;
      unlogged = 0;
    };
  }

  #tellGone(agent: FleetAgent, reason: string): void {
    const { host, address } = agent;
    if (!this.#closed) this.#options.log.warn({ agent: host, address, reason }, 'agent disconnected');
    this.#board.disconnected(agent, reason);
    for (const listener of this.#listeners) listener.disconnected?.(agent, reason);
  }

  /** Takes only what this controller asked for: a point of its own, or all threads of a process. */
  #receive(announced: ComingSnapshot): SnapshotWriter {
    const { id, point, asked } = announced;
    const take = this.#takers.get(point);
    if (take !== undefined) return take(announced);
    const { store } = this.#options;
    const known = point === '' ? undefined : store.getPoint(pointOfArming(point));
    if (point === '' ? !asked : known === undefined || !isOfFleet(known)) {
      throw new StillframeError('denied', `cannot store snapshot ${id.slice(0, 40)}: nobody asked for it`);
    }
    return store.receive(announced);
  }
}

/** Who reads it knows which agent is meant. */
function withoutPrefix(message: string, address: string): string {
  const prefix = `cannot reach the agent at ${address}: `;
  if (message.startsWith(prefix)) return message.slice(prefix.length);
  return message.replace(`the agent at ${address} `, 'it ');
}
