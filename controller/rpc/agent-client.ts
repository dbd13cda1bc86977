/**
 * A controller's end of the conversation with an agent that it dialed: commands with answers, states of points as they change, and
 * snapshots, which go to the store as they come and are acknowledged when they are on disk.
 */
import { Client, type ClientDuplexStream } from '@grpc/grpc-js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { errorOf } from '../../format/failure.js';
import { grpcTarget, type Endpoint } from '../../format/endpoint.js';
import { codeOfGrpcStatus } from '../../format/grpc-status.js';
import { stillframe } from '../../proto/generated/stillframe.js';
import { fromLong, numberFromLong, toLong } from '../../proto/long.js';
import {
  agentConversePath,
  decodeEvent,
  encodeCommand,
  type CommandProperties,
  type Event,
} from '../../proto/service.js';
import type { AnnouncedSnapshot, SnapshotRecord, SnapshotWriter } from '../store/store.js';
import type {
  AgentFacts,
  AgentPoint,
  AgentTarget,
  ArmOrder,
  EngineStatus,
  Measured,
  MeasureOrder,
  NowOrder,
  TargetFacts,
} from './agent-facts.js';
import { factsFrom, measuredFrom, pointFrom, engineFrom, targetFactsFrom, targetFrom } from './messages.js';
import { channelCredentials, type TlsFiles } from './tls.js';

export interface AgentClientOptions {
  readonly endpoint: Endpoint;
  readonly tls?: TlsFiles;
  /** Takes in what comes; `Store.receive`. */
  readonly receive: (announced: AnnouncedSnapshot) => SnapshotWriter;
  readonly connectTimeoutMs?: number;
}

export interface AgentListener {
  point?(point: AgentPoint): void;
  /** It is stored. */
  snapshot?(record: SnapshotRecord): void;
  /** A snapshot came and could not be stored. */
  failed?(error: StillframeError): void;
}

type Answer<B extends Event['body']> = Extract<Event, { body?: B }>;

interface Pending {
  readonly wants: NonNullable<Event['body']>;
  readonly resolve: (event: Event) => void;
  readonly reject: (error: StillframeError) => void;
}

interface Incoming {
  readonly writer: SnapshotWriter;
  offset: number;
}

const defaultConnectMs = 5000;
const heartbeatMs = 10_000;
/** Three heartbeats of the agent. */
const maxSilenceMs = 35_000;
const maxMessageBytes = 16 * 1024 * 1024;

export class AgentClient implements Disposable {
  readonly address: string;
  /** Resolves, with the reason, when the conversation is over. */
  readonly closed: Promise<StillframeError>;
  readonly #client: Client;
  readonly #stream: ClientDuplexStream<CommandProperties, Event>;
  readonly #receive: AgentClientOptions['receive'];
  readonly #pending = new Map<bigint, Pending>();
  readonly #incoming = new Map<string, Incoming>();
  readonly #stored = new Map<string, SnapshotRecord>();
  readonly #listeners = new Set<AgentListener>();
  readonly #heartbeat: NodeJS.Timeout;
  #settleClosed: (error: StillframeError) => void = () => undefined;
  #facts: AgentFacts | undefined;
  #lastRequest = 0n;
  #heardMs: number = Date.now();
  #end: StillframeError | undefined;

  /** Dials and greets. Throws `unreachable`. */
  static async connect(options: AgentClientOptions): Promise<AgentClient> {
    const client = new AgentClient(options);
    try {
      const { hello } = await client.#call('hello', {
        greeting: { version: '0.1.0', controller: `cli ${process.pid}` },
      });
      client.#facts = factsFrom(hello);
      return client;
    } catch (error) {
      client[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(options: AgentClientOptions) {
    this.address = grpcTarget(options.endpoint);
    this.#receive = options.receive;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.#client = new Client(this.address, channelCredentials(options.tls), {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      'grpc.enable_retries': 0,
    });
    this.#client.waitForReady(Date.now() + (options.connectTimeoutMs ?? defaultConnectMs), (error) => {
      if (error === undefined) return;
      this.#close(
        new StillframeError('unreachable', `cannot reach the agent at ${this.address}: ${error.message}`),
      );
    });
    this.#stream = this.#client.makeBidiStreamRequest(agentConversePath, encodeCommand, decodeEvent);
    this.#stream.on('data', (event: Event) => this.#hear(event));
    this.#stream.on('error', (error: Error & { code?: number; details?: string }) => {
      const code = error.code === undefined ? 'unreachable' : codeOfGrpcStatus(error.code);
      const text = `cannot reach the agent at ${this.address}: ${error.details ?? error.message}`;
      this.#close(new StillframeError(code === 'internal' ? 'unreachable' : code, text));
    });
    this.#stream.on('end', () =>
      this.#close(new StillframeError('unreachable', `the agent at ${this.address} hung up`)),
    );
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

  async listTargets(selector = ''): Promise<readonly AgentTarget[]> {
    const { targets } = await this.#call('targets', { listTargets: { selector } });
    return (targets.targets ?? []).map(targetFrom);
  }

  async targetFacts(pid: number): Promise<TargetFacts> {
    const { targetFacts } = await this.#call('targetFacts', { getTargetFacts: { pid } });
    return targetFactsFrom(targetFacts);
  }

  async probeEngines(): Promise<readonly EngineStatus[]> {
    const { engines } = await this.#call('engines', { probeEngines: {} });
    return (engines.engines ?? []).map(engineFrom);
  }

  async arm(order: ArmOrder): Promise<AgentPoint> {
    const { pointState } = await this.#call('pointState', {
      arm: {
        pointId: order.id,
        pids: [...order.pids],
        selector: order.selector,
        plan: order.plan,
        engine: order.engine,
        maxHits: order.maxHits,
        everyProcess: order.everyProcess,
        minIntervalNs: toLong(order.minIntervalNs),
        expiresMs: toLong(order.expiresMs),
        whileConnected: order.whileConnected,
        countOnly: order.countOnly,
        owner: order.owner,
        note: order.note,
      },
    });
    return pointFrom(pointState);
  }

  /** Resolves when the kernel holds no probe of the point any more. */
  async disarm(pointId: string): Promise<AgentPoint> {
    const { pointState } = await this.#call('pointState', { disarm: { pointId } });
    return pointFrom(pointState);
  }

  async points(pointIds: readonly string[] = []): Promise<readonly AgentPoint[]> {
    const { points } = await this.#call('points', { listPoints: { pointIds: [...pointIds] } });
    return (points.points ?? []).map(pointFrom);
  }

  async now(order: NowOrder): Promise<SnapshotRecord> {
    const { snapshotEnd } = await this.#call('snapshotEnd', {
      now: {
        pid: order.pid,
        tids: [...order.tids],
        stackBytes: toLong(order.stackBytes),
        maxBytes: toLong(order.maxBytes),
        engine: order.engine,
      },
    });
    const id = snapshotEnd.snapshotId ?? '';
    const record = this.#stored.get(id);
    if (record === undefined) throw new StillframeError('internal', `snapshot ${id} did not reach the store`);
    return record;
  }

  /** Brings what waits in the agent's spool into the store; gives how many there were. Without ids: all, whoever armed its point. */
  async fetch(pointIds: readonly string[] = []): Promise<number> {
    const { fetched } = await this.#call('fetched', { fetchSnapshots: { pointIds: [...pointIds] } });
    return fetched.count ?? 0;
  }

  async measure(order: MeasureOrder): Promise<Measured> {
    const { measured } = await this.#call('measured', {
      measure: {
        pid: order.pid,
        plan: order.plan,
        durationMs: toLong(order.durationMs),
        engine: order.engine,
      },
    });
    return measuredFrom(measured);
  }

  [Symbol.dispose](): void {
    this.#close(new StillframeError('unreachable', `the conversation with ${this.address} was closed`));
  }

  async #call<B extends NonNullable<Event['body']>>(
    wants: B,
    command: Omit<CommandProperties, 'request'>,
  ): Promise<Answer<B>> {
    if (this.#end !== undefined) throw this.#end;
    this.#lastRequest += 1n;
    const request = this.#lastRequest;
    const answer = await new Promise<Event>((resolve, reject) => {
      this.#pending.set(request, { wants, resolve, reject });
      this.#stream.write({ ...command, request: toLong(request) });
    });
    return answer as Answer<B>;
  }

  #hear(event: Event): void {
    this.#heardMs = Date.now();
    const request = fromLong(event.request);
    const pending = this.#pending.get(request);
    try {
      this.#take(event);
    } catch (error) {
      const failure = toStillframeError(error);
      for (const listener of this.#listeners) listener.failed?.(failure);
      this.#pending.delete(request);
      pending?.reject(failure);
      return;
    }
    if (pending === undefined) return;
    if (event.body === 'failure') {
      this.#pending.delete(request);
      pending.reject(errorOf(event.failure));
    } else if (event.body === pending.wants) {
      this.#pending.delete(request);
      pending.resolve(event);
    }
  }

  #take(event: Event): void {
    if (event.body === 'snapshotBegin') this.#begin(event.snapshotBegin);
    else if (event.body === 'snapshotChunk') this.#chunk(event.snapshotChunk);
    else if (event.body === 'snapshotEnd') this.#commit(event.snapshotEnd.snapshotId ?? '');
    else if (event.body === 'pointState') {
      const point = pointFrom(event.pointState);
      for (const listener of this.#listeners) listener.point?.(point);
    }
  }

  #begin(begin: stillframe.v1.SnapshotBegin.$Properties): void {
    const id = begin.snapshotId ?? '';
    this.#incoming.get(id)?.writer[Symbol.dispose]();
    const writer = this.#receive({ id, size: numberFromLong(begin.size), sha256: begin.sha256 ?? '' });
    this.#incoming.set(id, { writer, offset: 0 });
  }

  #chunk(chunk: stillframe.v1.SnapshotChunk.$Properties): void {
    const id = chunk.snapshotId ?? '';
    const incoming = this.#incoming.get(id);
    // Of a snapshot that was refused already.
    if (incoming === undefined) return;
    try {
      const data = chunk.data ?? new Uint8Array();
      const offset = numberFromLong(chunk.offset);
      if (offset !== incoming.offset) {
        throw new StillframeError(
          'bad-data',
          `cannot store snapshot ${id}: a piece at ${offset} came, ${incoming.offset} was next`,
        );
      }
      incoming.writer.write(data);
      incoming.offset += data.length;
    } catch (error) {
      this.#incoming.delete(id);
      incoming.writer[Symbol.dispose]();
      throw error;
    }
  }

  #commit(id: string): void {
    const incoming = this.#incoming.get(id);
    if (incoming === undefined) return;
    this.#incoming.delete(id);
    let record: SnapshotRecord;
    try {
      record = incoming.writer.commit();
    } finally {
      incoming.writer[Symbol.dispose]();
    }
    this.#stored.set(id, record);
    this.#lastRequest += 1n;
    this.#stream.write({ request: toLong(this.#lastRequest), acknowledgeSnapshot: { snapshotId: id } });
    for (const listener of this.#listeners) listener.snapshot?.(record);
  }

  #beat(): void {
    if (Date.now() - this.#heardMs > maxSilenceMs) {
      this.#close(new StillframeError('unreachable', `the agent at ${this.address} fell silent`));
    } else {
      this.#stream.write({ heartbeat: { timeMs: toLong(Date.now()) } });
    }
  }

  #close(reason: StillframeError): void {
    if (this.#end !== undefined) return;
    this.#end = reason;
    clearInterval(this.#heartbeat);
    for (const { writer } of this.#incoming.values()) writer[Symbol.dispose]();
    this.#incoming.clear();
    for (const pending of this.#pending.values()) pending.reject(reason);
    this.#pending.clear();
    // Acknowledgements that were written still go out; what is left of the stream goes with the client.
    this.#stream.end();
    this.#client.close();
    this.#settleClosed(reason);
  }
}
