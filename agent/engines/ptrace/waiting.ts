/** How the next stop of a process with points is waited for, and the thread of a hit that brings nothing, which goes on with the next wait. */
import { resume, type WaitResult } from '../../linux/ptrace.js';
import { WaitLimit } from '../../linux/wait-limit.js';
import type { ReadAhead } from './ahead.js';
import type { DecidedSite } from './decided-sites.js';
import { LookOrSleep } from './look-or-sleep.js';
import type { TracedPoint } from './points.js';
import type { RegisterSlots } from './registers.js';
import { type AwaitedStops, type GoOn, type SeenStop, StopWait } from './stop-wait.js';

/** A thread that is let run with the next wait. */
export interface HeldThread {
  readonly goOn: GoOn;
  readonly points: readonly TracedPoint[];
  /** Until when its stop is counted. */
  readonly countedNs: bigint;
}

export interface WaitingMeans {
  readonly slots: RegisterSlots;
  /** What is read of a hit, and which are decided at once: it changes with the points. */
  readonly sites: () => readonly DecidedSite[];
  readonly ahead: () => ReadAhead | undefined;
  /** Lets a thread go on whose registers are to be written, by itself. */
  readonly goOn: (goOn: GoOn) => void;
  /** What was to be done for the thread cannot be done: it runs the instruction itself. */
  readonly goOnItself: (goOn: GoOn) => void;
}

/** No thread has this number. */
const nobody = 0;

export class Waiting implements Disposable {
  readonly #means: WaitingMeans;
  readonly #choice = new LookOrSleep();
  readonly #listChoice = new LookOrSleep();
  #limit: WaitLimit | undefined;
  #wait: StopWait | undefined;
  #isStale = true;
  #held: HeldThread | undefined;

  constructor(means: WaitingMeans) {
    this.#means = means;
  }

  /** To be called when points come or go. */
  expire(): void {
    this.#isStale = true;
  }

  get isStale(): boolean {
    return this.#isStale;
  }

  /** Nobody may be held: what is to be written of a thread lies where a new wait begins anew. */
  renew(): void {
    this.#wait?.[Symbol.dispose]();
    this.#limit ??= new WaitLimit();
    this.#isStale = false;
    this.#wait = new StopWait({
      slots: this.#means.slots,
      limit: this.#limit,
      choice: this.#choice,
      listChoice: this.#listChoice,
      sites: this.#means.sites(),
      ahead: this.#means.ahead(),
    });
  }

  hold(held: HeldThread | undefined): void {
    this.#held = held;
  }

  /** Lets the thread run that is held. */
  release(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    if (held.goOn.registers) this.#means.goOn(held.goOn);
    else resume(held.goOn.tid, 0);
    countLate(held, process.hrtime.bigint());
  }

  /** Waits as {@link StopWait.next} does, and lets the thread run before that is held; gives undefined when there is no stop to handle: hits were taken, or the held thread could not go on as it was meant to, and nobody was waited for. */
  next(awaited: AwaitedStops): WaitResult | undefined {
    const [held, wait] = [this.#held, this.#wait];
    this.#held = undefined;
    if (wait === undefined) return undefined;
    const result = wait.next(awaited, held?.goOn);
    if (result.kind !== 'stuck') {
      if (held !== undefined) countLate(held, BigInt(wait.releasedNs));
      return result.kind === 'taken' ? undefined : result;
    }
    if (held === undefined) return { kind: 'none' };
    this.#means.goOnItself(held.goOn);
    countLate(held, process.hrtime.bigint());
    return undefined;
  }

  /** What was read of the thread that the last wait gave, once. */
  takeSeen(tid: number): SeenStop | undefined {
    return this.#wait?.takeSeen(tid);
  }

  /** What was read of a stop is of no other. */
  forgetSeen(): void {
    this.#wait?.takeSeen(nobody);
  }

  /** To be called when threads have come or gone. */
  refresh(): void {
    this.#wait?.refresh();
  }

  [Symbol.dispose](): void {
    this.#wait?.[Symbol.dispose]();
    this.#limit?.[Symbol.dispose]();
  }
}

/** The stop of a thread that was held is counted until it ran. */
function countLate({ points, countedNs }: HeldThread, goneOnNs: bigint): void {
  const lateNs = goneOnNs > countedNs ? goneOnNs - countedNs : 0n;
  for (const point of points) point.count('stoppedNs', lateNs);
}
