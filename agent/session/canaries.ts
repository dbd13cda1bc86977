/** Arms points that cover several processes in one of them first: begins with a canary, and goes on to the others when it has borne the point, or says why not. */
import { StillframeError } from '../../format/error.js';
import type { PointEnd, TracerClient } from '../tracer/client.js';
import type { Arming, ArmOutcome, ProcessToArm } from './arming.js';
import { canaryFailure } from './canary.js';
import type { ProcessKey } from './delivered.js';
import type { Newcomers } from './newcomers.js';
import type { PastPoints } from './past-points.js';
import type { Point } from './point.js';

export interface CanariesContext {
  readonly tracer: TracerClient;
  readonly arming: Arming;
  readonly newcomers: Newcomers;
  readonly past: PastPoints;
  /** So long at least, whatever is asked for. */
  readonly leastMs: number;
  readonly passed: (point: Point) => void;
  readonly failed: (point: Point, detail: string) => Promise<void>;
}

export class Canaries {
  readonly #context: CanariesContext;

  constructor(context: CanariesContext) {
    this.#context = context;
  }

  /** In all of them, or in the first that can be armed, which is the canary of the others then. */
  async arm(point: Point, processes: readonly ProcessToArm[]): Promise<readonly ArmOutcome[]> {
    const { arming } = this.#context;
    const ms = this.#msOf(point);
    // One of an agent before this one goes on as it was: with its canary, or without, for that is over.
    const begins = ms > 0 && processes.length > 1 && point.restores === 0;
    if (point.canary?.untilMs === 0) this.again(point);
    const keys = begins ? await this.#keysOf(processes) : processes;
    const outcomes: ArmOutcome[] = [];
    for (const [index, process] of keys.entries()) {
      const rest = keys.slice(index + 1).filter(hasStart);
      if (begins && rest.length > 0 && hasStart(process)) {
        point.canary = { ...process, untilMs: Date.now() + ms, rest };
      }
      const outcome = await arming.arm(point, process);
      outcomes.push(outcome);
      // It may have delivered all that was asked of it by now, which is all that can be learnt from it.
      if (begins && point.canary !== undefined && point.armed.has(process.pid)) break;
      if (begins && point.active) point.canary = undefined;
    }
    return outcomes;
  }

  /** Once a second or so, after it was looked what points cost. */
  async look(points: readonly Point[], nowMs: number): Promise<void> {
    for (const point of points) {
      const { canary, phase } = point;
      if (canary !== undefined && phase === 'armed' && nowMs >= canary.untilMs) await this.#pass(point);
    }
  }

  /** A point ended in a process: true when that was the canary, and all that follows from it is done here. */
  ended(point: Point, pid: number, reason: PointEnd): boolean {
    const { canary } = point;
    if (canary?.pid !== pid || point.isUsedUp) return false;
    // Before its arming is answered: arm() goes on.
    if (reason.kind === 'hits') {
      if (!point.arming.has(pid)) void this.#pass(point);
    } else {
      void this.#context.failed(point, canaryFailure(canary, reason.detail));
    }
    return true;
  }

  /** It could not be armed again: true when that was the canary. */
  async lost(point: Point, failures: ReadonlyMap<number, StillframeError>): Promise<boolean> {
    const { canary } = point;
    const failure = canary === undefined ? undefined : failures.get(canary.pid);
    if (canary === undefined || failure === undefined) return false;
    await this.#context.failed(point, canaryFailure(canary, failure.message));
    return true;
  }

  /** Its time begins anew, for it was suspended. */
  again(point: Point): void {
    const { canary } = point;
    if (canary !== undefined) point.canary = { ...canary, untilMs: Date.now() + this.#msOf(point) };
  }

  #msOf({ request }: Point): number {
    return Math.max(request.terms?.canaryMs ?? 0, this.#context.leastMs);
  }

  async #pass(point: Point): Promise<void> {
    const { arming, newcomers, past, passed } = this.#context;
    const rest = point.canary?.rest ?? [];
    point.canary = undefined;
    for (const process of rest) {
      const outcome = await arming.arm(point, process);
      // One that went meanwhile is nobody's concern.
      if (outcome instanceof StillframeError && outcome.code !== 'target-gone') point.refuse(outcome.message);
    }
    if (!point.active) return;
    if (point.request.selector !== '') newcomers.add(point);
    past.keep(point);
    passed(point);
  }

  /** With their starts, so that a number that is another process's by then is not armed; without, those that are gone. */
  async #keysOf(processes: readonly ProcessToArm[]): Promise<readonly ProcessToArm[]> {
    const { tracer } = this.#context;
    const keys: ProcessToArm[] = [];
    for (const process of processes) {
      const [target] = hasStart(process) ? [process] : await tracer.listTargets(String(process.pid));
      keys.push(target === undefined ? process : { pid: process.pid, startTicks: target.startTicks });
    }
    return keys;
  }
}

const hasStart = (process: ProcessToArm): process is ProcessKey => process.startTicks !== undefined;
