/**
 * A controller that runs elsewhere, as a ControllerApi: it asks over gRPC, and throws the errors that the controller threw. Where the
 * controller is away, or goes away meanwhile, that is `unreachable`, but for `snap`, which waits for it to come back.
 */
import { Client, connectivityState, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import { grpcTarget, refuseExposure, type Endpoint } from '../../format/endpoint.js';
import { StillframeError } from '../../format/error.js';
import { numberFromLong, toLong } from '../../proto/long.js';
import { controllerMethods, type Fields, type Method } from '../../proto/service.js';
import type {
  ControllerApi,
  Exported,
  LogSummary,
  SnapHooks,
  SnapOptions,
  SnapOutcome,
  SnapshotReference,
} from '../service/controller-api.js';
import type { MetricDocument } from '../service/metric-document.js';
import { documentKinds, readDocument, readDocuments, readValue } from './answers.js';
import {
  evalMessage,
  explainMessage,
  logMessage,
  metricMessage,
  coreMessage,
  nowMessage,
  showMessage,
  snapMessage,
  snapshotFilterMessage,
} from './controller-messages.js';
import { maxAnswerBytes } from './controller-server.js';
import { errorOfCall } from './failure-trailer.js';
import { writeFileFrom } from './received-file.js';
import { followSnap, type SnapContext } from './snap-follower.js';
import { channelCredentials, type TlsFiles } from './tls.js';

export interface ControllerClientOptions {
  readonly endpoint: Endpoint;
  readonly tls: TlsFiles | undefined;
  readonly connectTimeoutMs?: number;
}

const defaultConnectMs = 5000;
/** Of calls that a controller answers out of what it has, or after its agents answered. */
const answerMs = 120_000;
/** A core of hundreds of gigabytes is written, sent and stored within it; the agent's silence ends it earlier. */
const coreMs = 12 * 3600_000;

export class ControllerClient implements ControllerApi, Disposable {
  readonly address: string;
  readonly #client: Client;
  readonly #connectMs: number;
  /** Streams that are open; closing the channel alone would leave them so. */
  readonly #streams = new Set<{ cancel(): void }>();

  /** Dials at the first call. Throws `denied` where certificates are needed. */
  constructor({ endpoint, tls, connectTimeoutMs = defaultConnectMs }: ControllerClientOptions) {
    refuseExposure('dial', endpoint, tls !== undefined);
    this.address = grpcTarget(endpoint);
    this.#connectMs = connectTimeoutMs;
    this.#client = new Client(this.address, channelCredentials(endpoint.kind === 'unix' ? undefined : tls), {
      'grpc.max_receive_message_length': maxAnswerBytes + 1024 * 1024,
      'grpc.enable_retries': 0,
      'grpc.keepalive_time_ms': 20_000,
      'grpc.keepalive_timeout_ms': 20_000,
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 2000,
    });
  }

  [Symbol.dispose](): void {
    for (const stream of this.#streams) stream.cancel();
    this.#client.close();
  }

  readonly doctor: ControllerApi['doctor'] = async () => {
    const { json } = await this.#call(controllerMethods.doctor, {});
    return readDocuments(documentKinds.doctor, json);
  };

  readonly targets: ControllerApi['targets'] = async (target = '') => {
    const { json } = await this.#call(controllerMethods.targets, { target });
    return readDocuments(documentKinds.target, json);
  };

  readonly explain: ControllerApi['explain'] = async (options) => {
    const waitMs = answerMs + (options.measureMs ?? 0);
    const { json } = await this.#call(controllerMethods.explain, explainMessage(options), waitMs);
    return readDocument(documentKinds.explain, json);
  };

  async snap(options: SnapOptions, hooks: SnapHooks): Promise<SnapOutcome> {
    const request = snapMessage(options);
    const open: SnapContext['open'] = (listener, hangUp) =>
      this.#stream(controllerMethods.snap, request, listener, hangUp);
    return await followSnap({ api: this, open, address: this.address }, options, hooks);
  }

  /** Interrupted, it is what was told last: a controller that is not listened to any longer tells no more. */
  readonly metric: ControllerApi['metric'] = async (options, hooks) => {
    let last: MetricDocument | undefined;
    const request = metricMessage(options);
    await this.#stream(
      controllerMethods.metric,
      request,
      ({ json }) => {
        const isFirst = last === undefined;
        last = readDocument(documentKinds.metric, json);
        if (last.final) return;
        if (isFirst) hooks.armed?.(last);
        else hooks.sample?.(last);
      },
      hooks.signal,
    );
    if (last?.final === true || (last !== undefined && hooks.signal?.aborted === true)) return last;
    throw new StillframeError(
      'unreachable',
      `the controller at ${this.address} did not tell the last numbers`,
    );
  };

  /** Interrupted, it is what was told so far. */
  readonly log: ControllerApi['log'] = async (options, hooks) => {
    let summary: LogSummary | undefined;
    let [lines, missed] = [0, 0];
    await this.#stream(
      controllerMethods.log,
      logMessage(options),
      ({ armed, lineJson, dropped, doneJson }) => {
        if (typeof armed === 'string') hooks.armed?.(armed);
        if (typeof lineJson === 'string') {
          hooks.line(readDocument(documentKinds.logLine, lineJson));
          lines += 1;
        }
        if (dropped !== null && dropped !== undefined) {
          const count = numberFromLong(dropped.count);
          missed += count;
          hooks.dropped(count, dropped.why ?? '');
        }
        if (typeof doneJson === 'string') summary = readDocument(documentKinds.logSummary, doneJson);
      },
      hooks.signal,
    );
    if (summary !== undefined) return summary;
    if (hooks.signal?.aborted === true) return { lines, dropped: missed, why: 'interrupted' };
    throw new StillframeError('unreachable', `the controller at ${this.address} went away`);
  };

  readonly now: ControllerApi['now'] = async (options) => {
    const { snapshotId } = await this.#call(controllerMethods.now, nowMessage(options));
    return { id: snapshotId ?? '' };
  };

  readonly core: ControllerApi['core'] = async (options) => {
    const { snapshotId } = await this.#call(controllerMethods.core, coreMessage(options), coreMs);
    return { id: snapshotId ?? '' };
  };

  readonly points: ControllerApi['points'] = async (point = '') => {
    const { json } = await this.#call(controllerMethods.points, { point });
    return readDocuments(documentKinds.point, json);
  };

  readonly watchPoints: ControllerApi['watchPoints'] = async (point = '', hooks) => {
    await this.#stream(
      controllerMethods.watchPoints,
      { point },
      ({ json }) => hooks.points(readDocuments(documentKinds.point, json)),
      hooks.signal,
    );
  };

  readonly removePoints: ControllerApi['removePoints'] = async (points) => {
    const { json } = await this.#call(controllerMethods.removePoints, { points: [...points] });
    return readDocuments(documentKinds.point, json);
  };

  readonly resumePoints: ControllerApi['resumePoints'] = async (points) => {
    const { json } = await this.#call(controllerMethods.resumePoints, { points: [...points] });
    return readDocuments(documentKinds.point, json);
  };

  readonly snapshots: ControllerApi['snapshots'] = async (filter) => {
    const { json } = await this.#call(controllerMethods.snapshots, snapshotFilterMessage(filter));
    return readDocuments(documentKinds.summary, json);
  };

  readonly show: ControllerApi['show'] = async (reference, options) => {
    const { json } = await this.#call(controllerMethods.show, showMessage(stored(reference), options));
    return readDocument(documentKinds.snapshot, json);
  };

  readonly evaluate: ControllerApi['evaluate'] = async (reference, expressions, options) => {
    const request = evalMessage(stored(reference), expressions, options);
    const { json } = await this.#call(controllerMethods.eval, request);
    return (json ?? []).map(readValue);
  };

  readonly exportCore: ControllerApi['exportCore'] = (reference, file) =>
    this.#download(controllerMethods.export, { snapshot: stored(reference) }, file);

  readonly rules: ControllerApi['rules'] = async () => {
    const { json } = await this.#call(controllerMethods.rules, {});
    return readDocuments(documentKinds.rule, json);
  };

  readonly testRule: ControllerApi['testRule'] = async (rule) => {
    const { json } = await this.#call(controllerMethods.testRule, { rule });
    return readDocument(documentKinds.ruleTest, json);
  };

  readonly fireRule: ControllerApi['fireRule'] = async (rule, { labels, owner }) => {
    const { json } = await this.#call(controllerMethods.fireRule, { rule, labels: { ...labels }, owner });
    return readDocument(documentKinds.firing, json);
  };

  readonly incidents: ControllerApi['incidents'] = async ({ rule = '', sinceMs = 0 }) => {
    const sinceNs = toLong(BigInt(Math.max(0, Math.floor(sinceMs))) * 1_000_000n);
    const { json } = await this.#call(controllerMethods.incidents, { rule, sinceNs });
    return readDocuments(documentKinds.incidentSummary, json);
  };

  readonly incident: ControllerApi['incident'] = async (incident) => {
    const { json } = await this.#call(controllerMethods.showIncident, { incident });
    return readDocument(documentKinds.incident, json);
  };

  readonly exportIncident: ControllerApi['exportIncident'] = (incident, file) =>
    this.#download(controllerMethods.exportIncident, { incident }, file);

  /** Until the channel is ready or has failed once: then calls fail at once and say why. */
  async #connect(): Promise<void> {
    const channel = this.#client.getChannel();
    const deadlineMs = Date.now() + this.#connectMs;
    for (;;) {
      const state = channel.getConnectivityState(true);
      if (state !== connectivityState.IDLE && state !== connectivityState.CONNECTING) return;
      const changed = await new Promise<boolean>((resolve) =>
        channel.watchConnectivityState(state, deadlineMs, (error) => resolve(error === undefined)),
      );
      if (changed) continue;
      throw new StillframeError(
        'unreachable',
        `cannot reach the controller at ${this.address}: no answer within ${this.#connectMs / 1000} s`,
        { cause: state },
      );
    }
  }

  async #call<Request, Answer>(
    method: Method<Request, Answer>,
    request: Request,
    waitMs: number = answerMs,
  ): Promise<Answer> {
    await this.#connect();
    const options = { deadline: Date.now() + waitMs };
    return await new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        options,
        (error: ServiceError | null, answer?: Answer) => {
          if (error !== null) reject(errorOfCall(error, this.address));
          else if (answer !== undefined) resolve(answer);
          else reject(new StillframeError('internal', `no answer and no error of ${method.path}`));
        },
      );
    });
  }

  /** Resolves at the end of the stream, or when the signal is aborted, which hangs up. What the listener throws ends it as well. */
  async #stream<Request, Answer>(
    method: Method<Request, Answer>,
    request: Request,
    listener: (answer: Answer) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#connect();
    if (signal?.aborted === true) return;
    const stream = this.#open(method, request);
    const hangUp = (): void => stream.cancel();
    signal?.addEventListener('abort', hangUp, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        stream.on('data', (answer: Answer) => {
          try {
            listener(answer);
          } catch (error) {
            reject(error);
            hangUp();
          }
        });
        stream.once('end', resolve);
        stream.on('error', (error: ServiceError) => {
          if (signal?.aborted === true) resolve();
          else reject(errorOfCall(error, this.address));
        });
      });
    } finally {
      signal?.removeEventListener('abort', hangUp);
    }
  }

  #open<Request, Answer>(
    { path, requestSerialize, responseDeserialize }: Method<Request, Answer>,
    request: Request,
  ): ClientReadableStream<Answer> {
    const stream = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }

  #download<Request>(
    method: Method<Request, Fields<'Chunk'>>,
    request: Request,
    file: string,
  ): Promise<Exported> {
    return writeFileFrom(this.#answers(method, request), file);
  }

  /** Read no faster than whoever iterates; hangs up when that stops early. */
  async *#answers<Request, Answer>(
    method: Method<Request, Answer>,
    request: Request,
  ): AsyncGenerator<Answer, void> {
    await this.#connect();
    const stream = this.#open(method, request);
    let failure: ServiceError | undefined;
    // NB: grpc-js ends the stream first and emits the error after, so that iterating alone may miss it.
    stream.on('error', (error: ServiceError) => (failure ??= error));
    try {
      yield* stream as AsyncIterable<Answer>;
    } catch (error) {
      if (failure === undefined) throw error;
    } finally {
      stream.cancel();
    }
    if (failure !== undefined) throw errorOfCall(failure, this.address);
  }
}

/** What a controller has stored; files that lie here are read here. */
function stored({ name, exe, sysroot }: SnapshotReference): string {
  if (exe === undefined && sysroot === undefined) return name;
  throw new StillframeError('unsupported', 'cannot give a controller files with --exe or --sysroot', {
    hint: 'export the snapshot and show the file: `stillframe export ID -o FILE`, `stillframe show FILE`',
  });
}
