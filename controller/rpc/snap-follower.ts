/**
 * A point that another process, the controller, sets and waits for: what it says on the way, and what becomes of it when the controller
 * goes away meanwhile. The point is durable there, so the wait goes on when the controller is back, for as long as it was asked for.
 */
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { Fields } from '../../proto/service.js';
import type {
  ControllerApi,
  SnapHooks,
  SnapOptions,
  SnapOutcome,
  SnapshotId,
} from '../service/controller-api.js';
import type { PointDocument } from '../service/documents.js';
import { noHit } from '../service/snap-options.js';
import { documentKinds, readDocument } from './answers.js';
import { isLost, isUnheard } from './failure-trailer.js';

export interface SnapContext {
  readonly address: string;
  readonly api: Pick<ControllerApi, 'points' | 'removePoints' | 'snapshots'>;
  /** The call itself; resolves at its end, and when it was hung up. */
  open(listener: (update: Fields<'SnapUpdate'>) => void, hangUp: AbortSignal): Promise<void>;
}

const pollMs = 1000;
/** How long an interrupted command waits for the controller's last word. */
const lastWordMs = 5000;

export function followSnap(
  context: SnapContext,
  options: SnapOptions,
  hooks: SnapHooks,
): Promise<SnapOutcome> {
  return new SnapFollower(context, options, hooks).run();
}

class SnapFollower {
  readonly #context: SnapContext;
  readonly #options: SnapOptions;
  readonly #hooks: SnapHooks;
  readonly #snapshots = new Map<string, SnapshotId>();
  readonly #hangUp = new AbortController();
  #point: PointDocument | undefined;
  /** The last that the point said of itself before it was removed. */
  #lastWhy = '';
  #isDone = false;
  #deadlineMs = Infinity;

  constructor(context: SnapContext, options: SnapOptions, hooks: SnapHooks) {
    this.#context = context;
    this.#options = options;
    this.#hooks = hooks;
  }

  async run(): Promise<SnapOutcome> {
    const { signal } = this.#hooks;
    const interrupt = (): void => void this.#interrupt();
    signal?.addEventListener('abort', interrupt, { once: true });
    if (signal?.aborted === true) this.#hangUp.abort();
    try {
      await this.#context.open((update) => this.#take(update), this.#hangUp.signal);
    } catch (thrown) {
      const error = toStillframeError(thrown);
      if (!isLost(error)) throw error;
      return await this.#lost(error);
    } finally {
      signal?.removeEventListener('abort', interrupt);
    }
    if (this.#isDone) return this.#outcome();
    if (this.#hangUp.signal.aborted) throw this.#interrupted();
    throw new StillframeError('internal', 'the controller ended the call without an outcome');
  }

  #take(update: Fields<'SnapUpdate'>): void {
    if (typeof update.armedJson === 'string') {
      const point = readDocument(documentKinds.point, update.armedJson);
      this.#point = point;
      this.#lastWhy = point.why;
      this.#deadlineMs = Date.now() + this.#options.waitMs;
      this.#hooks.armed?.(point);
    } else if (typeof update.why === 'string') this.#hooks.progress?.(update.why);
    else if (typeof update.snapshotId === 'string') this.#see({ id: update.snapshotId });
    else if (typeof update.doneJson === 'string') {
      this.#point = readDocument(documentKinds.point, update.doneJson);
      this.#isDone = true;
    }
  }

  #see(snapshot: SnapshotId): void {
    if (this.#snapshots.has(snapshot.id)) return;
    this.#snapshots.set(snapshot.id, { id: snapshot.id });
    this.#hooks.snapshot?.({ id: snapshot.id });
  }

  #outcome(): SnapOutcome {
    if (this.#point === undefined) throw new StillframeError('internal', 'there is no point');
    return { point: this.#point, snapshots: [...this.#snapshots.values()] };
  }

  /** Removing the point ends the call with all that came; hanging up is for a controller that does not answer. */
  async #interrupt(): Promise<void> {
    const point = this.#point;
    const force = setTimeout(() => this.#hangUp.abort(), lastWordMs);
    force.unref();
    if (point === undefined) this.#hangUp.abort();
    else await this.#context.api.removePoints([point.id]).catch(() => this.#hangUp.abort());
  }

  #interrupted(): StillframeError {
    const what = this.#point === undefined ? 'the command' : `point ${this.#point.id}`;
    return new StillframeError('expired', `${what} was interrupted before it fired`);
  }

  async #lost(error: StillframeError): Promise<SnapOutcome> {
    const point = this.#point;
    if (point === undefined) {
      if (isUnheard(error)) throw error;
      throw new StillframeError(error.code, `${error.message}, before it said that the point is set`, {
        cause: error,
        hint: '`stillframe points` says whether it is, when the controller is back',
      });
    }
    if (this.#options.detach) return this.#outcome();
    return await this.#wait(point.id, error);
  }

  /** Asks, once a second, how the point stands, until it has ended or the wait is over. */
  async #wait(id: string, error: StillframeError): Promise<SnapOutcome> {
    let lost: StillframeError | undefined = error;
    const { signal } = this.#hooks;
    for (;;) {
      if (lost !== undefined) this.#hooks.progress?.(`${lost.message}; trying again`);
      await pause(Math.min(pollMs, this.#deadlineMs - Date.now()), signal);
      const isOver = signal?.aborted === true || Date.now() >= this.#deadlineMs;
      try {
        const point = await this.#look(id, isOver);
        lost = undefined;
        if (isOver || point.state === 'ended' || point.state === 'failed') return this.#finish(point);
        if (this.#snapshots.size === 0) this.#hooks.progress?.(point.why);
      } catch (thrown) {
        lost = toStillframeError(thrown);
        if (!isLost(lost)) throw lost;
        if (isOver) throw this.#abandoned(lost);
      }
    }
  }

  async #look(id: string, remove: boolean): Promise<PointDocument> {
    const { api } = this.#context;
    const [point] = remove ? await api.removePoints([id]) : await api.points(id);
    if (point === undefined)
      throw new StillframeError('not-found', `the controller has no point ${id} any more`);
    this.#point = point;
    if (!remove) this.#lastWhy = point.why;
    const found = await api.snapshots({ point: id });
    for (const snapshot of found.toSorted((a, b) => (a.time < b.time ? -1 : 1))) this.#see(snapshot);
    return point;
  }

  #finish(point: PointDocument): SnapOutcome {
    if (this.#snapshots.size > 0) return this.#outcome();
    const { id, end = '', why } = point;
    const interrupted = this.#hooks.signal?.aborted === true;
    throw noHit({
      id,
      end,
      why: end === 'removed' ? this.#lastWhy : why,
      interrupted,
      waitMs: this.#options.waitMs,
    });
  }

  #abandoned(lost: StillframeError): StillframeError {
    const { id, expires } = this.#point ?? { id: '', expires: '' };
    return new StillframeError('unreachable', `${lost.message}: point ${id} may still be armed`, {
      cause: lost,
      hint: `it goes at ${expires}, or with \`stillframe rm ${id}\` when the controller is back`,
    });
  }
}

/** At most so long, and no longer than until the signal is aborted. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(1, ms));
    if (signal?.aborted === true) done();
    else signal?.addEventListener('abort', done, { once: true });
  });
}
