/**
 * Which hits a point has delivered: in all, and by process, for with `everyProcess` each may deliver as many. A process is a pid
 * and when it started: a pid alone may mean another one by now. No I/O.
 */
import type { Delivery } from './spool.js';

export interface ProcessKey {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTicks: bigint;
}

export interface ProcessDelivered extends ProcessKey {
  readonly delivered: number;
}

export class Delivered {
  #total = 0;
  readonly #byProcess = new Map<string, ProcessDelivered>();

  get total(): number {
    return this.#total;
  }

  of(process: ProcessKey): number {
    return this.#byProcess.get(keyOf(process))?.delivered ?? 0;
  }

  /** One more; gives what goes into the spool with it. */
  add({ pid, startTicks }: ProcessKey): Delivery {
    const ofProcess = this.of({ pid, startTicks }) + 1;
    this.#total += 1;
    this.#byProcess.set(keyOf({ pid, startTicks }), { pid, startTicks, delivered: ofProcess });
    return { delivered: this.#total, pid, startTicks, ofProcess };
  }

  /** What an earlier agent wrote down, here or there: the larger is true, for each is written after the hit. */
  recall(total: number, processes: readonly ProcessDelivered[]): void {
    this.#total = Math.max(this.#total, total);
    for (const { pid, startTicks, delivered } of processes) {
      if (delivered <= this.of({ pid, startTicks })) continue;
      this.#byProcess.set(keyOf({ pid, startTicks }), { pid, startTicks, delivered });
    }
  }

  /** Those that are gone never come back. */
  forget(isGone: (process: ProcessKey) => boolean): void {
    for (const [key, process] of this.#byProcess) if (isGone(process)) this.#byProcess.delete(key);
  }

  processes(): readonly ProcessDelivered[] {
    return [...this.#byProcess.values()];
  }
}

export const keyOf = ({ pid, startTicks }: ProcessKey): string => `${pid} ${startTicks}`;

export const isSame =
  (one: ProcessKey) =>
  (other: ProcessKey): boolean =>
    one.pid === other.pid && one.startTicks === other.startTicks;
