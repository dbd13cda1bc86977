/**
 * Answers questions to debug information in a thread of its own, so that the thread that serves others is never busy with them. A question
 * that is too much for it (memory, time, a bug) fails alone: the thread is replaced, and the questions that waited go on.
 */
import { Worker } from 'node:worker_threads';
import { StillframeError } from '../../format/error.js';
import type { StackSignature } from '../automation/incident-store.js';
import type { Leaves } from '../snapshot/leaves.js';
import type { ValueDocument } from '../types/value-document.js';
import type {
  EvaluateQuestion,
  PlannedModule,
  PlanQuestion,
  ShownSnapshot,
  ShowQuestion,
  SymbolAnswers,
} from './symbol-answers.js';
import {
  errorOf,
  type FromSymbolWorker,
  type PlainEvaluation,
  type PlainPlan,
  type SymbolQuestion,
  type ToSymbolWorker,
} from './symbol-messages.js';

export interface SymbolThreadOptions {
  readonly log: (message: string) => void;
  /** Of the thread's heap; the sections that it reads lie outside of it and are bounded there. */
  readonly maxHeapMb?: number;
  /** How long one question may take. */
  readonly maxQuestionMs?: number;
  /** For tests: another program for the thread. */
  readonly program?: URL;
}

const defaultHeapMb = 2048;
const defaultQuestionMs = 300_000;
/** Beyond that a question is refused: what answers so slowly will not catch up. */
const maxWaiting = 1000;

interface Waiting {
  readonly id: number;
  readonly asked: SymbolQuestion;
  resolve(answer: unknown): void;
  reject(error: StillframeError): void;
}

export class SymbolThread implements SymbolAnswers, AsyncDisposable {
  readonly #options: SymbolThreadOptions;
  readonly #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #worker: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastId = 0;
  #isClosed = false;

  constructor(options: SymbolThreadOptions) {
    this.#options = options;
  }

  async plan(question: PlanQuestion): Promise<PlannedModule | StillframeError> {
    const answer = (await this.#ask({ kind: 'plan', question })) as PlainPlan;
    return 'error' in answer ? errorOf(answer.error) : answer.planned;
  }

  async show(question: ShowQuestion): Promise<ShownSnapshot> {
    return (await this.#ask({ kind: 'show', question })) as ShownSnapshot;
  }

  async evaluate(question: EvaluateQuestion): Promise<readonly (ValueDocument | StillframeError)[]> {
    const answers = (await this.#ask({ kind: 'evaluate', question })) as readonly PlainEvaluation[];
    return answers.map((each) => ('error' in each ? errorOf(each.error) : each.value));
  }

  async signature(core: string): Promise<StackSignature> {
    return (await this.#ask({ kind: 'signature', question: core })) as StackSignature;
  }

  async leaves(core: string): Promise<Leaves> {
    return (await this.#ask({ kind: 'leaves', question: core })) as Leaves;
  }

  /** The thread holds what it read by itself, until nobody has asked for a while. */
  hold(): Disposable {
    return { [Symbol.dispose]: () => undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const closed = new StillframeError('unreachable', 'the controller is stopping');
    for (const waiting of this.#waiting.splice(0)) waiting.reject(closed);
    this.#current?.reject(closed);
    this.#current = undefined;
    clearTimeout(this.#timer);
    await this.#worker?.terminate();
  }

  #ask(asked: SymbolQuestion): Promise<unknown> {
    if (this.#isClosed)
      return Promise.reject(new StillframeError('unreachable', 'the controller is stopping'));
    if (this.#waiting.length >= maxWaiting) {
      const message = `cannot ask for debug information: ${maxWaiting} questions wait already`;
      return Promise.reject(new StillframeError('limit', message));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ id: ++this.#lastId, asked, resolve, reject });
      this.#next();
    });
  }

  /** One at a time: when the thread ends, it is known whose question it was. */
  #next(): void {
    if (this.#current !== undefined) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#current = next;
    const worker = (this.#worker ??= this.#start());
    const { maxQuestionMs = defaultQuestionMs } = this.#options;
    this.#timer = setTimeout(() => {
      this.#lost(worker, 'limit', `it took more than ${maxQuestionMs} ms`);
      void worker.terminate();
    }, maxQuestionMs);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker is not a window
    worker.postMessage({ id: next.id, asked: next.asked } satisfies ToSymbolWorker);
  }

  #start(): Worker {
    const { program = new URL('./symbol-worker.js', import.meta.url), maxHeapMb = defaultHeapMb } =
      this.#options;
    const worker = new Worker(program, {
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
      // Flags of the main thread (a profiler, a debugger) are not for it.
      execArgv: [],
    });
    worker.on('message', (message: FromSymbolWorker) => this.#heard(worker, message));
    worker.on('error', (error: NodeJS.ErrnoException) => {
      const isMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      const reason = isMemory ? `it needs more than ${maxHeapMb} MiB of memory` : error.message;
      this.#lost(worker, isMemory ? 'limit' : 'internal', reason);
    });
    worker.on('exit', (status) => this.#lost(worker, 'internal', `the thread ended with ${status}`));
    return worker;
  }

  #heard(worker: Worker, message: FromSymbolWorker): void {
    if (message.kind === 'log') {
      this.#options.log(message.message);
      return;
    }
    const current = this.#current;
    if (worker !== this.#worker || message.id !== current?.id) return;
    this.#settle();
    if (message.kind === 'answer') current.resolve(message.answer);
    else current.reject(errorOf(message.failure));
    this.#next();
  }

  /** The first thing that is said of the end of a thread counts. */
  #lost(worker: Worker, code: 'limit' | 'internal', reason: string): void {
    if (worker !== this.#worker || this.#isClosed) return;
    this.#worker = undefined;
    const current = this.#current;
    this.#settle();
    this.#options.log(`the thread for debug information is replaced: ${reason}`);
    current?.reject(new StillframeError(code, `cannot answer from debug information: ${reason}`));
    this.#next();
  }

  #settle(): void {
    clearTimeout(this.#timer);
    this.#current = undefined;
  }
}
