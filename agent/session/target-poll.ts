/**
 * The processes of this host as they come and go, for all who must hear of it: one look at an interval, however many listen, and none when
 * nobody does. What changed is told as the difference to what was told before, also where the tracer was restarted in between.
 */
import { isDeepStrictEqual } from 'node:util';
import { toStillframeError } from '../../format/error.js';
import type { ProcessChanges, ProgramOfProcess, TargetProcess, TracerClient } from '../tracer/client.js';
import type { SessionLog } from './session-log.js';

export interface TargetChanges {
  /** Those that are new (without `before`), and those of which something is different now; the same process, by pid and start. */
  readonly changed: readonly { readonly before?: TargetProcess; readonly after: TargetProcess }[];
  readonly left: readonly TargetProcess[];
}

export interface TargetListener {
  /** After each look, also when nothing changed; the first time with all processes as new ones. */
  looked(changes: TargetChanges): void;
  /** Whether it has something to do that a look brings about, also when nothing changes. */
  isWaiting?(): boolean;
}

const intervalMs = 250;
/** So long it is left to the tracer to look, and to say when something is different. */
const patienceMs = 2000;
/** A look that takes long is followed by a pause that is so many times longer. */
const restFactor = 4;

export class TargetPoll implements Disposable {
  readonly #tracer: Pick<TracerClient, 'pollTargets'>;
  readonly #log: SessionLog;
  readonly #targets = new Map<number, TargetProcess>();
  readonly #listeners = new Set<TargetListener>();
  #cursor = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Counts the times that it began anew: what comes of an earlier look is void. */
  #era = 0;

  constructor(tracer: Pick<TracerClient, 'pollTargets'>, log: SessionLog) {
    this.#tracer = tracer;
    this.#log = log;
  }

  /** As of the last look. */
  get targets(): ReadonlyMap<number, TargetProcess> {
    return this.#targets;
  }

  subscribe(listener: TargetListener): Disposable {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#start();
    else if (this.#cursor > 0) {
      const changed = [...this.#targets.values()].map((after) => ({ after }));
      queueMicrotask(() => {
        if (this.#listeners.has(listener)) listener.looked({ changed, left: [] });
      });
    }
    return {
      [Symbol.dispose]: () => {
        if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#stop();
      },
    };
  }

  [Symbol.dispose](): void {
    this.#listeners.clear();
    this.#stop();
  }

  #start(): void {
    this.#era += 1;
    void this.#look(this.#era);
  }

  #stop(): void {
    this.#era += 1;
    clearTimeout(this.#timer);
    this.#cursor = 0;
    this.#targets.clear();
  }

  async #look(era: number): Promise<void> {
    const startedMs = performance.now();
    let lookMs: number | undefined;
    try {
      const isWaiting = [...this.#listeners].some((listener) => listener.isWaiting?.() === true);
      const changes = await this.#tracer.pollTargets(this.#cursor, isWaiting ? 0 : patienceMs);
      lookMs = changes.tookMs;
      if (era !== this.#era) return;
      const told = this.#take(changes);
      for (const listener of this.#listeners) listener.looked(told);
    } catch (error) {
      if (era !== this.#era) return;
      const failure = toStillframeError(error);
      // A tracer that is being restarted is told of elsewhere.
      if (failure.code !== 'unreachable') {
        this.#log.warn({ error: failure.message }, 'cannot look at the processes');
      }
    }
    const tookMs = lookMs ?? performance.now() - startedMs;
    const restMs = Math.max(intervalMs - tookMs, restFactor * tookMs, intervalMs / 5);
    this.#timer = setTimeout(() => void this.#look(era), restMs);
  }

  #take({ cursor, isReset, changed, gone }: ProcessChanges): TargetChanges {
    this.#cursor = cursor;
    const left: TargetProcess[] = [];
    const leave = (target: TargetProcess): void => {
      this.#targets.delete(target.pid);
      left.push(target);
    };
    for (const { pid, startTicks } of gone) {
      const target = this.#targets.get(pid);
      if (target?.startTicks === startTicks) leave(target);
    }
    if (isReset) {
      const present = new Set(changed.map(({ pid }) => pid));
      for (const target of this.#targets.values()) if (!present.has(target.pid)) leave(target);
    }
    const told: { before?: TargetProcess; after: TargetProcess }[] = [];
    for (const after of changed) {
      const before = this.#targets.get(after.pid);
      if (before?.startTicks === after.startTicks) {
        if (!isDeepStrictEqual(before, after)) told.push({ before, after });
      } else {
        if (before !== undefined) leave(before);
        told.push({ after });
      }
      this.#targets.set(after.pid, after);
    }
    return { changed: told, left };
  }
}

/** Whether it runs another program than before: what was armed in it means nothing any more. */
export function runsAnother(before: ProgramOfProcess, after: ProgramOfProcess): boolean {
  return before.executable !== after.executable || before.buildId !== after.buildId;
}
