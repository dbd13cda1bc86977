/**
 * A controller's end of the conversation with one agent, whoever dialed: commands with answers, states of points as they change,
 * watches, and snapshots, which go to the store as they come and are acknowledged when they are on disk.
 *
 * The agent is believed nothing: every answer has a deadline, what waits is bounded, and a message that makes no sense fails the
 * command that it answers and nothing else.
 */
import { badData, StillframeError, toStillframeError, withContext } from '../../format/error.js';
import { errorOf } from '../../format/failure.js';
import type { Endpoint } from '../../format/endpoint.js';
import { fromLong, numberFromLong, toLong } from '../../proto/long.js';
import type { CommandProperties, Event } from '../../proto/service.js';
import type { SnapshotRecord, SnapshotWriter } from '../store/store.js';
import { dialChannel, type AgentChannel } from './agent-channel.js';
import type {
  AgentFacts,
  AgentPoint,
  AgentTarget,
  ArmOrder,
  CoreOrder,
  CoreProgress,
  EngineStatus,
  Measured,
  MeasureOrder,
  NowOrder,
  TargetFacts,
  WatchEvent,
  WatchOrder,
} from './agent-facts.js';
import { IncomingSnapshots, type ComingSnapshot } from './incoming-snapshots.js';
import {
  armMessage,
  engineFrom,
  factsFrom,
  measuredFrom,
  pointFrom,
  targetFactsFrom,
  targetFrom,
  watchEventFrom,
  watchMessage,
} from './messages.js';
import type { TlsFiles } from './tls.js';

export interface ConversationOptions {
  /** Takes in what comes; `Store.receive`. */
  readonly receive: (announced: ComingSnapshot) => SnapshotWriter;
  /** For the agent's logs: who this is. */
  readonly name?: string;
}

export interface AgentClientOptions extends ConversationOptions {
  readonly endpoint: Endpoint;
  readonly tls?: TlsFiles;
  readonly connectTimeoutMs?: number;
}

export interface AgentListener {
  point?(point: AgentPoint): void;
  /** It is stored; `isNew`: and was not before. */
  snapshot?(record: SnapshotRecord, isNew: boolean): void;
  /** A snapshot came that its point did not ask for any more; it was not kept. */
  surplus?(point: string): void;
  watch?(event: WatchEvent): void;
  /** A snapshot, or an event that nobody asked for, came and could not be taken. */
  failed?(error: StillframeError): void;
}

/** What a conversation offers, whoever opened its stream; for fakes in tests, too. */
export type AgentConversation = Pick<AgentClient, keyof AgentClient>;

/** What is particular to a call. */
interface CallOptions {
  readonly timeoutMs?: number;
  readonly progress?: CoreProgress;
  readonly maxBytes?: number;
  /** Aborted: nobody waits for the answer, and the agent need not bring it about. */
  readonly signal?: AbortSignal | undefined;
}

type Body = NonNullable<Event['body']>;
type Answer<B extends Body> = Extract<Event, { body?: B }>;

interface Pending {
  readonly wants: Body;
  readonly resolve: (event: Event) => void;
  readonly reject: (error: StillframeError) => void;
  /** Put off by each piece of a snapshot, where one is awaited. */
  deadlineMs: number;
  readonly timeoutMs: number;
  /** The snapshot that answers it, while it comes, and once it is stored. */
  coming?: string;
  record?: SnapshotRecord;
  /** Of a core. */
  readonly progress?: CoreProgress;
  /** What the snapshot may have, where that is more than others. */
  readonly maxBytes?: number;
}

const defaultConnectMs = 5000;
const helloTimeoutMs = 10_000;
const heartbeatMs = 10_000;
/** Three heartbeats of the agent. */
const maxSilenceMs = 35_000;
/** Arming in 256 processes, or listing all of a large host, is done well within it. */
const answerMs = 60_000;
/** What a core has beside memory: registers and names of very many threads and mappings. */
const maxNotesBytes = 256 * 1024 * 1024;
const maxPending = 1024;
/** Commands that wait for room in the stream. */
const maxWaiting = 4096;

export class AgentClient implements Disposable {
  readonly address: string;
  readonly certificateName: string | undefined;
  readonly dialedIn: boolean;
  /** Resolves, with the reason, when the conversation is over. */
  readonly closed: Promise<StillframeError>;
  readonly #channel: AgentChannel;
  readonly #pending = new Map<bigint, Pending>();
  readonly #incoming: IncomingSnapshots;
  readonly #listeners = new Set<AgentListener>();
  readonly #heartbeat: NodeJS.Timeout;
  #waiting: CommandProperties[] = [];
  #full = false;
  #settleClosed: (error: StillframeError) => void = () => undefined;
  #facts: AgentFacts | undefined;
  #greeted: (facts: AgentFacts) => void = () => undefined;
  #lastRequest = 0n;
  #heardMs: number = Date.now();
  #end: StillframeError | undefined;

  /** Dials and greets. Throws `unreachable`. */
  static connect(options: AgentClientOptions): Promise<AgentClient> {
    const { endpoint, tls, connectTimeoutMs = defaultConnectMs } = options;
    return AgentClient.converse(dialChannel({ endpoint, tls, connectTimeoutMs }), options);
  }

  /** Greets over a stream that is there. Throws `unreachable`, or `bad-data` where the hello makes no sense. */
  static async converse(channel: AgentChannel, options: ConversationOptions): Promise<AgentClient> {
    const client = new AgentClient(channel, options);
    try {
      await client.#greet(options.name ?? `cli ${process.pid}`);
      return client;
    } catch (error) {
      client[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(channel: AgentChannel, options: ConversationOptions) {
    this.#channel = channel;
    this.address = channel.address;
    this.certificateName = channel.certificateName;
    this.dialedIn = channel.dialedIn;
    this.#incoming = new IncomingSnapshots(options.receive);
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    channel.open({
      heard: (event) => this.#hear(event),
      drained: () => this.#flush(),
      ended: (reason) => this.#close(reason),
    });
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs);
  }

  get facts(): AgentFacts {
    if (this.#facts === undefined) throw new StillframeError('internal', 'the agent has not greeted yet');
    return this.#facts;
  }

  listen(listener: AgentListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  listTargets(selector = ''): Promise<readonly AgentTarget[]> {
    return this.#call('targets', { listTargets: { selector } }, ({ targets }) =>
      (targets.targets ?? []).map(targetFrom),
    );
  }

  targetFacts(pid: number): Promise<TargetFacts> {
    return this.#call('targetFacts', { getTargetFacts: { pid } }, (event) =>
      targetFactsFrom(event.targetFacts),
    );
  }

  probeEngines(): Promise<readonly EngineStatus[]> {
    return this.#call('engines', { probeEngines: {} }, ({ engines }) =>
      (engines.engines ?? []).map(engineFrom),
    );
  }

  arm(order: ArmOrder): Promise<AgentPoint> {
    return this.#call('pointState', { arm: armMessage(order) }, (event) => pointFrom(event.pointState));
  }

  /** Resolves when the kernel holds no probe of the point any more. */
  disarm(pointId: string): Promise<AgentPoint> {
    return this.#call('pointState', { disarm: { pointId } }, (event) => pointFrom(event.pointState));
  }

  resume(pointId: string): Promise<AgentPoint> {
    return this.#call('pointState', { resume: { pointId } }, (event) => pointFrom(event.pointState));
  }

  /** With `watchMs`, states of changed points follow at that interval. */
  points(pointIds: readonly string[] = [], watchMs = 0): Promise<readonly AgentPoint[]> {
    return this.#call('points', { listPoints: { pointIds: [...pointIds], watchMs } }, ({ points }) =>
      (points.points ?? []).map(pointFrom),
    );
  }

  /** States and snapshots of points that are armed already come to this conversation, too. */
  followPoints(pointIds: readonly string[]): Promise<readonly AgentPoint[]> {
    return this.#call('points', { followPoints: { pointIds: [...pointIds] } }, ({ points }) =>
      (points.points ?? []).map(pointFrom),
    );
  }

  async now(order: NowOrder, signal?: AbortSignal): Promise<SnapshotRecord> {
    const command = {
      now: {
        pid: order.pid,
        tids: [...order.tids],
        stackBytes: toLong(order.stackBytes),
        maxBytes: toLong(order.maxBytes),
        engine: order.engine,
      },
    };
    return await this.#call('snapshotEnd', command, recordOf, { signal });
  }

  /** The whole memory; put off is its end by each piece of news. */
  async core(order: CoreOrder, progress: CoreProgress, signal?: AbortSignal): Promise<SnapshotRecord> {
    const { pid, maxBytes, engine } = order;
    const command = { core: { pid, maxBytes: toLong(maxBytes), engine } };
    const mostBytes = maxBytes + maxNotesBytes;
    return await this.#call('snapshotEnd', command, recordOf, { progress, maxBytes: mostBytes, signal });
  }

  /** Brings what waits in the agent's spool into the store; gives how many there were. Without ids: all, whoever armed its point. */
  fetch(pointIds: readonly string[] = []): Promise<number> {
    return this.#call(
      'fetched',
      { fetchSnapshots: { pointIds: [...pointIds] } },
      ({ fetched }) => fetched.count ?? 0,
    );
  }

  measure(order: MeasureOrder, signal?: AbortSignal): Promise<Measured> {
    const { pid, plan, durationMs, engine } = order;
    return this.#call(
      'measured',
      { measure: { pid, plan, durationMs: toLong(durationMs), engine } },
      ({ measured }) => measuredFrom(measured),
      { timeoutMs: answerMs + durationMs, signal },
    );
  }

  /** Replaces the watch of the same id. What it sees comes to listeners' `watch`. */
  async watch(order: WatchOrder): Promise<void> {
    await this.#call('done', watchMessage(order), () => undefined);
  }

  async unwatch(watchId: string): Promise<void> {
    await this.#call('done', { unwatch: { watchId } }, () => undefined);
  }

  [Symbol.dispose](): void {
    this.#close(new StillframeError('unreachable', `the conversation with ${this.address} was closed`));
  }

  async #greet(controller: string): Promise<void> {
    const greeting = { version: '0.1.0', controller };
    if (!this.dialedIn) {
      this.#facts = await this.#call('hello', { greeting }, ({ hello }) => factsFrom(hello));
      return;
    }
    // An agent that dials says hello before it is asked; it is greeted all the same, so that it knows that somebody is here.
    const timer = setTimeout(
      () =>
        this.#close(
          new StillframeError(
            'unreachable',
            `the agent at ${this.address} did not say hello within ${helloTimeoutMs / 1000} s`,
          ),
        ),
      helloTimeoutMs,
    );
    try {
      const hello = new Promise<AgentFacts>((resolve) => {
        this.#greeted = resolve;
      });
      const ended = this.closed.then((reason): never => {
        throw reason;
      });
      this.#facts = await Promise.race([hello, ended]);
    } finally {
      clearTimeout(timer);
    }
    this.#call('hello', { greeting }, () => undefined).catch(() => undefined);
  }

  async #call<B extends Body, T>(
    wants: B,
    command: Omit<CommandProperties, 'request'>,
    read: (event: Answer<B>, pending: Pending) => T,
    { timeoutMs = answerMs, signal, ...core }: CallOptions = {},
  ): Promise<T> {
    if (this.#end !== undefined) throw this.#end;
    if (signal?.aborted === true) throw this.#abandoned();
    if (this.#pending.size >= maxPending) {
      throw new StillframeError('limit', `${maxPending} commands wait for the agent at ${this.address}`);
    }
    this.#lastRequest += 1n;
    const request = this.#lastRequest;
    let entry: Pending | undefined;
    const abandon = (): void => this.#giveUp(request, this.#abandoned());
    signal?.addEventListener('abort', abandon, { once: true });
    const answer = await new Promise<Event>((resolve, reject) => {
      entry = { wants, resolve, reject, timeoutMs, deadlineMs: Date.now() + timeoutMs, ...core };
      this.#pending.set(request, entry);
      this.#write({ ...command, request: toLong(request) });
    }).finally(() => signal?.removeEventListener('abort', abandon));
    if (entry === undefined) throw new Error('unreachable code');
    try {
      return read(answer as Answer<B>, entry);
    } catch (error) {
      if (error instanceof StillframeError) throw withContext(`the agent at ${this.address}`, error);
      throw badData(`the agent at ${this.address} answered ${wants} wrongly: ${String(error)}`);
    }
  }

  #abandoned(): StillframeError {
    return new StillframeError('unreachable', `nobody waits for the agent at ${this.address} any more`);
  }

  /** Fails a command that is not answered yet. What takes long there is not done for nobody. */
  #giveUp(request: bigint, reason: StillframeError): void {
    const pending = this.#pending.get(request);
    if (pending === undefined || this.#end !== undefined) return;
    this.#fail(request, pending, reason);
    if (pending.wants !== 'snapshotEnd' && pending.wants !== 'measured') return;
    this.#lastRequest += 1n;
    this.#write({ request: toLong(this.#lastRequest), cancel: { request: toLong(request) } });
  }

  #fail(request: bigint, pending: Pending, reason: StillframeError): void {
    this.#pending.delete(request);
    if (pending.coming !== undefined) this.#incoming.drop(pending.coming);
    pending.reject(reason);
  }

  #write(command: CommandProperties): void {
    if (!this.#full) {
      this.#full = !this.#channel.write(command);
      return;
    }
    if (this.#waiting.length >= maxWaiting) {
      this.#close(new StillframeError('unreachable', `the agent at ${this.address} takes no more commands`));
      return;
    }
    this.#waiting.push(command);
  }

  #flush(): void {
    this.#full = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const command of waiting) this.#write(command);
  }

  #hear(event: Event): void {
    if (this.#end !== undefined) return;
    this.#heardMs = Date.now();
    if (this.dialedIn && this.#facts === undefined) {
      this.#hearHello(event);
      return;
    }
    const request = fromLong(event.request);
    const pending = this.#pending.get(request);
    try {
      this.#take(event, pending);
    } catch (error) {
      const failure =
        error instanceof RangeError
          ? badData(`the agent at ${this.address} sent ${event.body ?? 'nothing'}: ${error.message}`)
          : toStillframeError(error);
      for (const listener of this.#listeners) listener.failed?.(failure);
      this.#giveUp(request, failure);
      return;
    }
    if (pending === undefined) return;
    if (event.body === 'failure') {
      this.#fail(request, pending, errorOf(event.failure));
    } else if (event.body === pending.wants) {
      this.#pending.delete(request);
      pending.resolve(event);
    }
  }

  /** The first event of an agent that dialed. */
  #hearHello(event: Event): void {
    try {
      if (event.body !== 'hello') {
        throw badData(
          `the agent at ${this.address} said "${event.body ?? 'nothing'}" where a hello was expected`,
        );
      }
      this.#facts = factsFrom(event.hello);
      this.#greeted(this.#facts);
    } catch (error) {
      this.#close(toStillframeError(error));
    }
  }

  #take(event: Event, pending: Pending | undefined): void {
    if (event.body === 'snapshotBegin') {
      const { snapshotId, pointId, size, sha256 } = event.snapshotBegin;
      this.#incoming.begin({
        id: snapshotId ?? '',
        point: pointId ?? '',
        size: numberFromLong(size),
        sha256: sha256 ?? '',
        asked: pending !== undefined,
        ...(pending?.maxBytes === undefined ? {} : { maxBytes: pending.maxBytes }),
      });
      if (pending !== undefined) pending.coming = snapshotId ?? '';
    } else if (event.body === 'snapshotChunk') {
      const { snapshotId, offset, data } = event.snapshotChunk;
      this.#incoming.piece(snapshotId ?? '', numberFromLong(offset), data ?? new Uint8Array());
      this.#putOff();
    } else if (event.body === 'snapshotEnd') {
      this.#commit(event.snapshotEnd.snapshotId ?? '', pending);
    } else if (event.body === 'coreProgress') {
      const { doneBytes, totalBytes } = event.coreProgress;
      this.#putOff();
      pending?.progress?.(numberFromLong(doneBytes), numberFromLong(totalBytes));
    } else if (event.body === 'pointState') {
      const point = pointFrom(event.pointState);
      for (const listener of this.#listeners) listener.point?.(point);
    } else {
      const seen = watchEventFrom(event);
      if (seen === undefined) return;
      for (const listener of this.#listeners) listener.watch?.(seen);
    }
  }

  #commit(id: string, pending: Pending | undefined): void {
    const received = this.#incoming.commit(id);
    if (received === undefined) return;
    if (pending !== undefined && received.record !== undefined) pending.record = received.record;
    // On disk, or not wanted: either way the agent may forget it.
    this.#lastRequest += 1n;
    this.#write({ request: toLong(this.#lastRequest), acknowledgeSnapshot: { snapshotId: id } });
    for (const listener of this.#listeners) {
      if (received.kind === 'surplus') listener.surplus?.(received.point);
      else listener.snapshot?.(received.record, received.kind === 'stored');
    }
  }

  /** A command that brings snapshots is not late while they come. */
  #putOff(): void {
    for (const pending of this.#pending.values()) {
      if (pending.wants === 'fetched' || pending.wants === 'snapshotEnd') {
        pending.deadlineMs = Date.now() + pending.timeoutMs;
      }
    }
  }

  #beat(): void {
    const nowMs = Date.now();
    if (nowMs - this.#heardMs > maxSilenceMs) {
      this.#close(new StillframeError('unreachable', `the agent at ${this.address} fell silent`));
      return;
    }
    for (const [request, pending] of this.#pending) {
      if (nowMs < pending.deadlineMs) continue;
      const seconds = pending.timeoutMs / 1000;
      const what = `the agent at ${this.address} gave no ${pending.wants} within ${seconds} s`;
      this.#giveUp(request, new StillframeError('unreachable', what));
    }
    // One that is full hears enough of us.
    if (!this.#full) this.#write({ heartbeat: { timeMs: toLong(nowMs) } });
  }

  #close(reason: StillframeError): void {
    if (this.#end !== undefined) return;
    this.#end = reason;
    clearInterval(this.#heartbeat);
    this.#incoming[Symbol.dispose]();
    for (const pending of this.#pending.values()) pending.reject(reason);
    this.#pending.clear();
    this.#waiting = [];
    // Acknowledgements that were written still go out; what is left of the stream goes with the channel.
    this.#channel.close();
    this.#settleClosed(reason);
  }
}

function recordOf(event: Answer<'snapshotEnd'>, { record }: Pending): SnapshotRecord {
  if (record !== undefined) return record;
  const id = event.snapshotEnd.snapshotId ?? '';
  throw new StillframeError('internal', `snapshot ${id} did not reach the store`);
}
