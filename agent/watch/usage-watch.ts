/**
 * Processes that fit a selector and use more than so much for so long. Each is told once when it has crossed the bound, and again only after it
 * was below meanwhile.
 */
import { StillframeError, toStillframeError } from '../../format/error.js';
import { keyOf } from '../session/delivered.js';
import type { Gate } from '../session/gate.js';
import type { TargetPoll } from '../session/target-poll.js';
import type { ProcessUsage, TargetProcess } from '../tracer/client.js';
import { matches } from '../tracer/select.js';
import { parseSelector, type Selector } from '../../format/target-selector.js';
import type { UsageSampler } from './usage-sampler.js';

export const resources = ['cpu', 'rss', 'threads', 'descriptors'] as const;
export type Resource = (typeof resources)[number];

export interface UsageBound {
  /** TARGET of the command line. */
  readonly selector: string;
  readonly resource: Resource;
  /** Percent of one CPU, bytes, or a number. */
  readonly above: number;
  readonly forMs: number;
}

export interface UsageWatchMeans {
  readonly targets: TargetPoll;
  readonly sampler: UsageSampler;
  readonly gate: Gate;
}

export interface UsageExcess {
  readonly timeMs: number;
  readonly target: TargetProcess;
  /** The last one measured. */
  readonly value: number;
}

export interface UsageWatchListener {
  exceeded(excess: UsageExcess): void;
  /** Why something is not measured; empty when everything is (again). */
  state(detail: string): void;
}

interface Course {
  last: ProcessUsage | undefined;
  /** When it went above; undefined while it is not. */
  sinceMs: number | undefined;
  isTold: boolean;
}

const maxIntervalMs = 1000;
const minIntervalMs = 200;
const maxForMs = 24 * 3600_000;

export class UsageWatch implements Disposable {
  readonly #bound: UsageBound;
  readonly #selector: Selector;
  readonly #means: UsageWatchMeans;
  readonly #listener: UsageWatchListener;
  readonly #subscription: Disposable;
  readonly #timer: NodeJS.Timeout;
  readonly #courses = new Map<string, Course>();
  #detail = '';
  #isSampling = false;

  /** Throws `usage`. */
  constructor(bound: UsageBound, means: UsageWatchMeans, listener: UsageWatchListener) {
    const { selector, above, forMs } = bound;
    this.#selector = parseSelector(selector);
    if (!Number.isFinite(above) || above < 0) throw new StillframeError('usage', `cannot watch for ${above}`);
    if (forMs > maxForMs) {
      throw new StillframeError('usage', `cannot watch for ${forMs} ms: a day is the most`);
    }
    this.#bound = bound;
    this.#means = means;
    this.#listener = listener;
    // Only so that the list of processes is kept.
    this.#subscription = means.targets.subscribe({ looked: () => undefined });
    const intervalMs = Math.max(minIntervalMs, Math.min(maxIntervalMs, forMs / 4));
    this.#timer = setInterval(() => void this.#sample(), intervalMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#subscription[Symbol.dispose]();
  }

  async #sample(): Promise<void> {
    if (this.#isSampling) return;
    this.#isSampling = true;
    try {
      const reasons: string[] = [];
      const fitting = this.#fitting(reasons);
      const { sampler } = this.#means;
      const usages = await sampler.sample([...fitting.keys()], this.#bound.resource === 'descriptors');
      const seen = new Set<string>();
      for (const usage of usages) {
        const target = fitting.get(usage.pid);
        if (target?.startTicks !== usage.startTicks) continue;
        seen.add(keyOf(usage));
        this.#judge(target, usage, reasons);
      }
      for (const key of this.#courses.keys()) if (!seen.has(key)) this.#courses.delete(key);
      this.#say(reasons);
    } catch (error) {
      const { code, message } = toStillframeError(error);
      // A tracer that is being restarted is told of elsewhere, and measures again soon.
      if (code !== 'unreachable') this.#say([`cannot measure: ${message}`]);
    } finally {
      this.#isSampling = false;
    }
  }

  /** Those that may be looked into. */
  #fitting(reasons: string[]): ReadonlyMap<number, TargetProcess> {
    const fitting = new Map<number, TargetProcess>();
    for (const target of this.#means.targets.targets.values()) {
      if (!matches(this.#selector, target)) continue;
      const refusal = this.#means.gate.refusalOf(target);
      if (refusal === undefined) fitting.set(target.pid, target);
      else reasons.push(refusal.message);
    }
    return fitting;
  }

  #judge(target: TargetProcess, usage: ProcessUsage, reasons: string[]): void {
    const key = keyOf(usage);
    const course = this.#courses.get(key) ?? { last: undefined, sinceMs: undefined, isTold: false };
    this.#courses.set(key, course);
    const { last } = course;
    course.last = usage;
    const value = this.#valueOf(usage, last, reasons);
    if (value === undefined) return;
    const { resource, above, forMs } = this.#bound;
    if (value <= above) {
      course.sinceMs = undefined;
      course.isTold = false;
      return;
    }
    // Time on the CPU was used since the reading before; the others are what they are at this moment.
    course.sinceMs ??= resource === 'cpu' ? (last?.timeMs ?? usage.timeMs) : usage.timeMs;
    if (course.isTold || usage.timeMs - course.sinceMs < forMs) return;
    course.isTold = true;
    this.#listener.exceeded({ timeMs: Date.now(), target, value });
  }

  /** Undefined where it is not known. */
  #valueOf(usage: ProcessUsage, last: ProcessUsage | undefined, reasons: string[]): number | undefined {
    switch (this.#bound.resource) {
      case 'cpu': {
        const elapsedMs = last === undefined ? 0 : usage.timeMs - last.timeMs;
        if (last === undefined || elapsedMs <= 0) return undefined;
        return (100 * (usage.cpuMs - last.cpuMs)) / elapsedMs;
      }
      case 'rss':
        return usage.rssBytes;
      case 'threads':
        return usage.threads;
      case 'descriptors': {
        const { descriptors } = usage;
        if (typeof descriptors === 'object') reasons.push(descriptors.refusal);
        return typeof descriptors === 'number' ? descriptors : undefined;
      }
    }
  }

  #say(reasons: readonly string[]): void {
    const [first = ''] = reasons;
    const detail = reasons.length > 1 ? `${first}, and ${reasons.length - 1} more` : first;
    if (detail === this.#detail) return;
    this.#detail = detail;
    this.#listener.state(detail);
  }
}
