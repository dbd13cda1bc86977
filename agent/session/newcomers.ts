/**
 * Arms points with a selector in processes as they come: started later, forked by one that is armed, or executing another program by now. A process that
 * a point cannot be armed in is remembered with the reason, and tried again only where that may help, at growing intervals.
 */
import { StillframeError } from '../../format/error.js';
import type { TargetProcess, TracerClient } from '../tracer/client.js';
import { parseSelector, type Selector } from '../../format/target-selector.js';
import { matches } from '../tracer/select.js';
import type { Arming, ArmOutcome } from './arming.js';
import { type ProcessKey, keyOf } from './delivered.js';
import type { Gate } from './gate.js';
import type { Armed, Point } from './point.js';
import { runsAnother, type TargetChanges, type TargetPoll } from './target-poll.js';

export interface NewcomersOptions {
  readonly tracer: TracerClient;
  readonly targets: TargetPoll;
  readonly arming: Arming;
  readonly gate: Gate;
  /** A point was armed in another process, is no longer armed in one, or says something else of itself. */
  readonly changed: (point: Point) => void;
}

/** A process that fits and is not armed. */
interface Candidate {
  readonly target: TargetProcess;
  dueMs: number;
  attempts: number;
}

interface Seeker {
  readonly point: Point;
  readonly selector: Selector;
  readonly candidates: Map<string, Candidate>;
  /** Processes that are being disarmed, since they execute another program. */
  readonly leaving: Set<number>;
  isBusy: boolean;
}

const firstDelayMs = 250;
const maxDelayMs = 60_000;
const maxTriesAtOnce = 50;

export class Newcomers implements Disposable {
  readonly #options: NewcomersOptions;
  readonly #seekers = new Map<Point, Seeker>();
  #subscription: Disposable | undefined;

  constructor(options: NewcomersOptions) {
    this.#options = options;
  }

  /** Looks for processes for a point until it ends. Throws `usage` for a selector that means nothing. */
  add(point: Point): void {
    const selector = parseSelector(point.request.selector);
    const seeker: Seeker = { point, selector, candidates: new Map(), leaving: new Set(), isBusy: false };
    this.#seekers.set(point, seeker);
    this.#subscription ??= this.#options.targets.subscribe({
      looked: (changes) => this.#looked(changes),
      isWaiting: () => this.#isWaiting(),
    });
    for (const target of this.#options.targets.targets.values()) this.#offer(seeker, target);
    void this.#seek(seeker);
  }

  remove(point: Point): void {
    this.#seekers.delete(point);
    if (this.#seekers.size > 0) return;
    this.#subscription?.[Symbol.dispose]();
    this.#subscription = undefined;
  }

  /** It was armed in a process, and is not any more; whether that is still there is not known. `failure`: why it is not tried again at once. */
  released(point: Point, pid: number, failure?: string): void {
    const seeker = this.#seekers.get(point);
    const target = this.#options.targets.targets.get(pid);
    if (seeker === undefined || target === undefined) return;
    this.#offer(seeker, target);
    const candidate = seeker.candidates.get(keyOf(target));
    if (candidate === undefined) return;
    // One that went is off the list by then.
    candidate.dueMs = Date.now() + 2 * firstDelayMs;
    if (failure === undefined) return;
    candidate.attempts = 3;
    point.refused.set(keyOf(target), failure);
  }

  [Symbol.dispose](): void {
    this.#seekers.clear();
    this.#subscription?.[Symbol.dispose]();
    this.#subscription = undefined;
  }

  /** For a process that is to be tried again. */
  #isWaiting(): boolean {
    return [...this.#seekers.values()].some(({ candidates }) =>
      [...candidates.values()].some(({ dueMs }) => dueMs !== Infinity),
    );
  }

  #looked({ changed, left }: TargetChanges): void {
    for (const seeker of this.#seekers.values()) {
      const { point } = seeker;
      for (const target of left) this.#forget(seeker, target);
      if (left.length > 0) point.delivered.forget(isAmong(left));
      for (const { before, after } of changed) {
        // What was refused there may do now.
        if (before !== undefined && runsAnother(before, after)) this.#forget(seeker, after);
        this.#offer(seeker, after);
      }
      for (const entry of point.armed.values()) {
        const target = this.#options.targets.targets.get(entry.pid);
        if (target?.startTicks !== entry.startTicks || entry.armed.program.executable === '') continue;
        if (runsAnother(entry.armed.program, target)) void this.#executed(seeker, entry);
      }
      void this.#seek(seeker);
    }
  }

  #offer({ point, selector, candidates, leaving }: Seeker, target: TargetProcess): void {
    const key = keyOf(target);
    if (!matches(selector, target)) {
      candidates.delete(key);
      point.refused.delete(key);
    } else if (!point.armed.has(target.pid) && !leaving.has(target.pid)) {
      const known = candidates.get(key);
      candidates.set(key, { target, dueMs: known?.dueMs ?? 0, attempts: known?.attempts ?? 0 });
    }
  }

  #forget({ point, candidates }: Seeker, process: ProcessKey): void {
    candidates.delete(keyOf(process));
    point.refused.delete(keyOf(process));
  }

  /** What was armed there is in no program any more. */
  async #executed(seeker: Seeker, { pid, startTicks, armed }: Armed): Promise<void> {
    const { point } = seeker;
    const { tracer, changed } = this.#options;
    if (seeker.leaving.has(pid)) return;
    seeker.leaving.add(pid);
    try {
      // The list may be older than the arming.
      const [target] = await tracer.listTargets(String(pid));
      if (target?.startTicks !== startTicks || !runsAnother(armed.program, target)) return;
      if (!point.active || point.armed.get(pid)?.armed !== armed) return;
      point.leave(pid);
      if (point.armed.size === 0) point.wait(`process ${pid} executed another program`);
      // Where the tracer is gone its probes are gone with it.
      const last = await tracer.disarm(point.request.id, pid).catch(() => undefined);
      point.release(pid, last);
      changed(point);
      seeker.leaving.delete(pid);
      this.#forget(seeker, target);
      this.#offer(seeker, target);
      await this.#seek(seeker);
    } catch {
      // The tracer is being restarted; the next look says the same.
    } finally {
      seeker.leaving.delete(pid);
    }
  }

  /** One after another, as long as there are some to try now. */
  async #seek(seeker: Seeker): Promise<void> {
    if (seeker.isBusy) return;
    seeker.isBusy = true;
    try {
      let isNews = false;
      let tries = 0;
      // NB: those that come meanwhile are visited as well.
      for (const [key, candidate] of seeker.candidates) {
        if (candidate.dueMs > Date.now()) continue;
        if (this.#seekers.get(seeker.point) !== seeker) return;
        isNews = (await this.#try(seeker, key, candidate)) || isNews;
        // Thousands of them must not hold up the conversations.
        if (++tries % maxTriesAtOnce === 0) await new Promise(setImmediate);
      }
      if (isNews) this.#options.changed(seeker.point);
    } finally {
      seeker.isBusy = false;
    }
  }

  /** Whether there is a refusal that is not known yet. */
  async #try(seeker: Seeker, key: string, candidate: Candidate): Promise<boolean> {
    const { point, candidates } = seeker;
    const { arming, gate, changed } = this.#options;
    const { target } = candidate;
    const outcome: ArmOutcome = gate.refusalOf(target) ?? (await arming.arm(point, target));
    if (outcome === 'armed') changed(point);
    // It left, or became another, meanwhile.
    if (candidates.get(key) !== candidate) return false;
    if (!(outcome instanceof StillframeError) || outcome.code === 'target-gone') {
      candidates.delete(key);
      point.refused.delete(key);
      return false;
    }
    candidate.attempts += 1;
    candidate.dueMs = Date.now() + delayAfter(outcome, candidate.attempts);
    // While the tracer is restarted nothing is known of the process.
    if (outcome.code === 'unreachable') return false;
    const isNews = point.refused.get(key) !== outcome.message;
    point.refused.set(key, outcome.message);
    return isNews;
  }
}

/** Only another program would help, or an owner of the host who thinks again. */
const lastingCodes = new Set(['mismatch', 'denied', 'usage', 'bad-data', 'bad-expression', 'unsupported']);

function delayAfter({ code }: StillframeError, attempts: number): number {
  if (lastingCodes.has(code)) return Infinity;
  return Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(attempts - 1, 16));
}

function isAmong(targets: readonly TargetProcess[]): (process: ProcessKey) => boolean {
  const keys = new Set(targets.map(keyOf));
  return (process) => keys.has(keyOf(process));
}
