/**
 * The front's end of the tracer: starts the helper process, calls it, and when it dies (a kill, a native crash) puts in order what
 * it left, starts another with growing delays, and says so to whoever must arm again. No FFI here.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineName, ProcessFacts } from '../../format/capture.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { Journal, defaultJournalFolder } from '../engines/ptrace/journal.js';
import { fromWireError } from '../engines/wire-error.js';
import type {
  CapturedProcess,
  CoreOrder,
  CoreProgress,
  EngineReport,
  MadeCore,
  MeasureRequest,
  NowRequest,
  PointCounters,
  ProcessChanges,
  ProcessCounters,
  ProcessUsage,
  TargetProcess,
  TracerArmRequest,
  TracerArmed,
  TracerClient,
  TracerListener,
  UsageRequest,
} from './client.js';
import { checkAwaited } from './abandoned.js';
import type { CallName, Calls, FromTracer, PointOfProcess, ToTracer } from './protocol.js';

export interface SupervisorOptions {
  readonly log?: (level: 'info' | 'warn' | 'error', message: string) => void;
  /** How long a call may take. */
  readonly callTimeoutMs?: number;
  /** The delay before the first restart; it doubles up to `maxRestartDelayMs`. */
  readonly restartDelayMs?: number;
  readonly maxRestartDelayMs?: number;
  /** Where the ptrace engine journals software breakpoints. */
  readonly journalFolder?: string;
}

/** NB: a busy host takes long to start anything, and there is no other tracer to be had. */
/**
 * A collection that shares its work with threads of V8 waits for them, and on a busy machine they have no processor for tens of milliseconds; somebody else's
 * threads may stand still meanwhile.
 */
const tracerFlags = ['--single-threaded-gc'];
const startTimeoutMs = 60_000;
/** compiled: dist/agent/tracer. It is started from few files where they are there. */
const starter = new URL('../../../bin/start.js', import.meta.url);
const program = 'agent/tracer/main.js';
/** A tracer that lived so long was healthy: the delay begins anew. */
const healthyMs = 30_000;

interface PendingCall {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: StillframeError) => void;
  readonly timer: NodeJS.Timeout;
  /** Puts the end of the time off. */
  readonly progress?: CoreProgress | undefined;
}

interface CallOptions {
  readonly timeoutMs: number;
  readonly progress?: CoreProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Tracer {
  readonly child: ChildProcess;
  /** With its capabilities. */
  readonly ready: Promise<readonly string[]>;
  readonly startedMs: number;
}

export class TracerSupervisor implements TracerClient {
  readonly #options: Required<SupervisorOptions>;
  readonly #pending = new Map<number, PendingCall>();
  /** Armings that were given up while the tracer was at it: what it armed all the same nobody knows of. */
  readonly #late = new Map<number, PointOfProcess>();
  #listener: TracerListener | undefined;
  #tracer: Promise<Tracer> | undefined;
  #lastId = 0;
  #delayMs: number;
  #closed = false;
  readonly #closing = new AbortController();

  /** Nothing runs before the first call or {@link start}. */
  constructor(options: SupervisorOptions = {}) {
    this.#options = {
      log: () => undefined,
      callTimeoutMs: 60_000,
      restartDelayMs: 100,
      maxRestartDelayMs: 10_000,
      journalFolder: defaultJournalFolder(),
      ...options,
    };
    this.#delayMs = this.#options.restartDelayMs;
  }

  /** Starts the tracer; resolves with its pid when it takes calls. */
  async start(): Promise<number> {
    const { child, ready } = await this.#current();
    await ready;
    return child.pid ?? -1;
  }

  /** Effective ones of the tracer, by name. */
  async capabilities(): Promise<readonly string[]> {
    return await (
      await this.#current()
    ).ready;
  }

  listen(listener: TracerListener): void {
    this.#listener = listener;
  }

  probeEngines(): Promise<readonly EngineReport[]> {
    return this.#call('probeEngines', null);
  }
  listTargets(selector?: string): Promise<readonly TargetProcess[]> {
    return this.#call('listTargets', { selector, except: [process.pid] });
  }
  pollTargets(cursor: number, waitMs: number): Promise<ProcessChanges> {
    return this.#call('pollTargets', { cursor, waitMs, except: [process.pid] });
  }
  usage(request: UsageRequest): Promise<readonly ProcessUsage[]> {
    return this.#call('usage', request);
  }
  processFacts(pid: number): Promise<ProcessFacts> {
    return this.#call('processFacts', { pid });
  }
  arm(request: TracerArmRequest): Promise<TracerArmed> {
    return this.#call('arm', request);
  }
  disarm(pointId: string, pid: number): Promise<PointCounters | undefined> {
    return this.#call('disarm', { pointId, pid });
  }
  counters(pointIds: readonly string[]): Promise<readonly ProcessCounters[]> {
    return this.#call('counters', { pointIds });
  }
  now(request: NowRequest & { readonly engine?: EngineName }): Promise<CapturedProcess> {
    return this.#call('now', request);
  }
  core(order: CoreOrder, progress: CoreProgress, signal?: AbortSignal): Promise<MadeCore> {
    return this.#call('core', order, { progress, signal });
  }
  measure(
    request: MeasureRequest,
    signal?: AbortSignal,
  ): Promise<{ readonly engine: EngineName; readonly counters: PointCounters }> {
    const timeoutMs = this.#options.callTimeoutMs + request.durationMs;
    return this.#call('measure', request, { timeoutMs, signal });
  }

  /** Disarms everything and ends the tracer. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing.abort();
    const tracer = await this.#tracer?.catch(() => undefined);
    if (tracer === undefined || hasExited(tracer.child)) return;
    const exited = new Promise<void>((resolve) => tracer.child.once('exit', () => resolve()));
    await this.#send(tracer.child, 'shutdown', null, { timeoutMs: 2000 }).catch(() =>
      tracer.child.kill('SIGKILL'),
    );
    const limit = setTimeout(() => tracer.child.kill('SIGKILL'), 2000);
    await exited;
    clearTimeout(limit);
  }

  #current(): Promise<Tracer> {
    if (this.#closed) return Promise.reject(new StillframeError('unreachable', 'the tracer was shut down'));
    this.#tracer ??= Promise.resolve(this.#spawn());
    return this.#tracer;
  }

  async #call<N extends CallName>(
    call: N,
    parameters: Calls[N]['parameters'],
    options: Partial<CallOptions> = {},
  ): Promise<Calls[N]['result']> {
    const { child, ready } = await this.#current();
    await ready;
    checkAwaited(options.signal);
    return this.#send(child, call, parameters, { timeoutMs: this.#options.callTimeoutMs, ...options });
  }

  #send<N extends CallName>(
    child: ChildProcess,
    call: N,
    parameters: Calls[N]['parameters'],
    { timeoutMs, progress, signal }: CallOptions,
  ): Promise<Calls[N]['result']> {
    const id = ++this.#lastId;
    const message = { id, call, parameters } as ToTracer;
    // The answer is waited for all the same: then nothing of it is left.
    const cancel = (): void => this.#tell(child, 'cancel', { id });
    signal?.addEventListener('abort', cancel, { once: true });
    const reply = new Promise<unknown>((resolve, reject) => {
      const fail = (reason: string): void => {
        clearTimeout(timer);
        this.#pending.delete(id);
        reject(new StillframeError('unreachable', reason));
      };
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        if (message.call === 'arm') this.#late.set(id, message.parameters);
        // NB: it is there, and so is what it has armed: "unreachable" would say that the kernel has taken all away.
        reject(new StillframeError('system', `the tracer did not answer ${call} within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#pending.set(id, { resolve, reject, timer, progress });
      if (!child.connected) {
        fail('the tracer is gone');
        return;
      }
      child.send(message, (error) => {
        if (error !== null) fail(`the tracer is gone: ${error.message}`);
      });
    });
    // What comes back is what the call promises: the tracer is of the same build.
    return reply.finally(() => signal?.removeEventListener('abort', cancel)) as Promise<Calls[N]['result']>;
  }

  /** Nobody waits for the answer; a tracer that is gone has nothing left to do it to. */
  #tell<N extends CallName>(child: ChildProcess, call: N, parameters: Calls[N]['parameters']): void {
    if (child.connected) child.send({ id: ++this.#lastId, call, parameters }, () => undefined);
  }

  #spawn(): Tracer {
    const child = fork(starter, [program, this.#options.journalFolder], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: tracerFlags,
    });
    const ready = new Promise<readonly string[]>((resolve, reject) => {
      const fail = (reason: string): void => {
        clearTimeout(timer);
        reject(new StillframeError('unreachable', `cannot start the tracer: ${reason}`));
      };
      const timer = setTimeout(() => {
        fail(`it was not ready within ${startTimeoutMs} ms`);
        child.kill('SIGKILL');
      }, startTimeoutMs);
      child.once('error', (error) => fail(error.message));
      child.once('exit', (code, signal) => fail(`it ended with ${signal ?? `status ${code}`}`));
      child.on('message', (message: FromTracer) => {
        if (message.kind === 'ready') {
          clearTimeout(timer);
          resolve(message.capabilities);
        } else {
          this.#receive(child, message);
        }
      });
    });
    ready.catch(() => undefined);
    child.once('exit', (code, signal) => this.#died(child, signal ?? `status ${code}`));
    return { child, ready, startedMs: Date.now() };
  }

  /** Armed too late. */
  #undo(child: ChildProcess, id: number): void {
    const late = this.#late.get(id);
    if (late === undefined) return;
    this.#late.delete(id);
    const { pointId, pid } = late;
    this.#tell(child, 'disarm', { pointId, pid });
  }

  #receive(child: ChildProcess, message: Exclude<FromTracer, { kind: 'ready' }>): void {
    switch (message.kind) {
      case 'reply':
        this.#settle(message.id)?.resolve(message.result);
        this.#undo(child, message.id);
        break;
      case 'failed':
        this.#settle(message.id)?.reject(fromWireError(message.error));
        this.#late.delete(message.id);
        break;
      case 'progress': {
        const pending = this.#pending.get(message.id);
        pending?.timer.refresh();
        pending?.progress?.(message.doneBytes, message.totalBytes);
        break;
      }
      case 'hit':
        this.#listener?.hit(message.pointId, message.captured);
        break;
      case 'ended':
        this.#listener?.ended(message.pointId, message.pid, message.reason, message.last);
        break;
      case 'passed':
        this.#listener?.passed?.(message.pointIds);
        break;
      case 'log':
        this.#options.log(message.level, message.message);
        break;
    }
  }

  #settle(id: number): PendingCall | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    return pending;
  }

  #died(child: ChildProcess, how: string): void {
    // First of all: until then a thread that reaches a software breakpoint dies.
    this.#replay();
    const reason = `the tracer (process ${child.pid}) ended with ${how}`;
    for (const id of this.#pending.keys()) {
      this.#settle(id)?.reject(new StillframeError('unreachable', reason));
    }
    this.#late.clear();
    if (this.#closed) return;
    this.#options.log('error', reason);
    this.#tracer = this.#restart(reason);
    this.#tracer.catch(() => undefined);
  }

  /** The front may not be allowed to; then the next tracer does it when it starts. */
  #replay(): void {
    try {
      for (const message of new Journal(this.#options.journalFolder).replay())
        this.#options.log('warn', message);
    } catch (error) {
      this.#options.log('error', toStillframeError(error).message);
    }
  }

  async #restart(reason: string): Promise<Tracer> {
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(delayMs * 2, this.#options.maxRestartDelayMs);
    await sleep(delayMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
    if (this.#closed) throw new StillframeError('unreachable', 'the tracer was shut down');
    const tracer = this.#spawn();
    tracer.ready.then(
      () => {
        setTimeout(() => {
          if (!hasExited(tracer.child)) this.#delayMs = this.#options.restartDelayMs;
        }, healthyMs).unref();
        this.#listener?.restarted(reason);
      },
      () => undefined,
    );
    return tracer;
  }
}

const hasExited = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;
