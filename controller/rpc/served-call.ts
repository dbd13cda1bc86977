/**
 * How calls of faces are served: answers and errors of ours, streams that honour the caller's window, callers that hang up, a bound on how
 * many are open, and an end to all of them when the controller stops.
 */
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerErrorResponse,
  ServerWritableStream,
} from '@grpc/grpc-js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { grpcStatus } from '../../format/grpc-status.js';
import type { Method } from '../../proto/service.js';
import { statusOf } from './failure-trailer.js';

/** What pino offers: facts about calls, never what was asked or answered. */
export interface ServiceLog {
  debug(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** Where the answers of one call go. */
export interface AnswerChannel<Answer> {
  /** Aborted when the caller hung up. */
  readonly signal: AbortSignal;
  /** False: the caller reads slower than this; `drained` says when it goes on. */
  write(answer: Answer): boolean;
  /** Rejects with `unreachable` when the caller hangs up meanwhile. */
  drained(): Promise<void>;
}

const maxOpenCalls = 256;
const stopping: Partial<ServerErrorResponse> = {
  code: grpcStatus.UNAVAILABLE,
  details: 'the controller is stopping',
};

export class ServedCalls {
  readonly #log: ServiceLog;
  readonly #streams = new Set<{ end(): void }>();
  #open = 0;
  #stopped = false;

  constructor(log: ServiceLog) {
    this.#log = log;
  }

  unary<Request, Answer>(
    { path }: Method<Request, Answer>,
    work: (request: Request, signal: AbortSignal) => Promise<Answer>,
  ): handleUnaryCall<Request, Answer> {
    return (call, callback) => {
      const hangUp = new AbortController();
      call.once('cancelled', () => hangUp.abort());
      const answer = this.#counted(path, () => work(call.request, hangUp.signal));
      answer.then(
        (value) => callback(null, value),
        (error: unknown) => callback(this.#failed(path, error)),
      );
    };
  }

  stream<Request, Answer>(
    { path }: Method<Request, Answer>,
    work: (request: Request, channel: AnswerChannel<Answer>) => Promise<void>,
  ): handleServerStreamingCall<Request, Answer> {
    return (call) => {
      const hangUp = new AbortController();
      const open = {
        end: () => {
          // Whoever waits comes back to its point: this is no hanging up.
          this.#streams.delete(open);
          call.emit('error', stopping);
        },
      };
      const over = (): void => {
        if (this.#streams.delete(open)) hangUp.abort();
      };
      this.#streams.add(open);
      for (const event of ['cancelled', 'error', 'close'] as const) call.on(event, over);
      const channel = channelOf(call, hangUp.signal);
      this.#counted(path, () => work(call.request, channel)).then(
        () => {
          if (this.#streams.delete(open)) call.end();
        },
        (error: unknown) => {
          if (this.#streams.delete(open)) call.emit('error', this.#failed(path, error));
        },
      );
    };
  }

  /** Ends the streams, with a status that tells their callers to come back; from now on all calls are refused. */
  stop(): void {
    this.#stopped = true;
    for (const stream of this.#streams) stream.end();
  }

  async #counted<T>(path: string, work: () => Promise<T>): Promise<T> {
    if (this.#stopped) throw new Stopped();
    if (this.#open >= maxOpenCalls) {
      throw new StillframeError('limit', `the controller serves ${maxOpenCalls} calls already`, {
        hint: 'try again in a moment',
      });
    }
    this.#open += 1;
    const startMs = Date.now();
    try {
      return await work();
    } finally {
      this.#open -= 1;
      this.#log.debug({ method: path, ms: Date.now() - startMs }, 'served');
    }
  }

  #failed(path: string, thrown: unknown): Partial<ServerErrorResponse> {
    if (thrown instanceof Stopped) return stopping;
    const error = toStillframeError(thrown);
    if (error.code === 'internal') {
      const cause = error.cause instanceof Error ? error.cause : error;
      this.#log.error({ method: path, error: error.message, stack: cause.stack }, 'call failed');
    } else {
      this.#log.debug({ method: path, code: error.code }, 'call refused');
    }
    return statusOf(error);
  }
}

class Stopped extends Error {}

function channelOf<Request, Answer>(
  call: ServerWritableStream<Request, Answer>,
  signal: AbortSignal,
): AnswerChannel<Answer> {
  return {
    signal,
    write: (answer) => !signal.aborted && call.write(answer),
    drained: () =>
      new Promise((resolve, reject) => {
        const settle = (): void => {
          call.off('drain', settle);
          signal.removeEventListener('abort', settle);
          if (signal.aborted) reject(new StillframeError('unreachable', 'the caller hung up'));
          else resolve();
        };
        if (signal.aborted) settle();
        call.once('drain', settle);
        signal.addEventListener('abort', settle);
      }),
  };
}
