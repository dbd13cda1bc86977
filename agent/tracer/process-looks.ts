/**
 * Looks at the processes of this host for whoever waits for one to come or go: again and again, until something is different or the wait is over. While nothing
 * happens a look is a glance at what the kernel counts anyway, and nobody is woken.
 */
import { readProcessPulse } from '../linux/proc.js';
import type { ProcessChanges, ProcessTable } from '../targets/process-table.js';

const intervalMs = 250;
/** A look that takes long is followed by a pause that is so many times longer. */
const restFactor = 4;
/** So often all are looked at, whatever the kernel counts: a process may execute another program. */
const fullMs = 2000;

export class ProcessLooks {
  readonly #table: ProcessTable;
  readonly #pulse: () => string;
  #turn = 0;
  #lastPulse = '';
  #fullAtMs = 0;

  /** `pulse`: for tests; something that is another one when a process began or ended. */
  constructor(table: ProcessTable, pulse: () => string = readProcessPulse) {
    this.#table = table;
    this.#pulse = pulse;
  }

  /** What changed since the cursor, as soon as something did; at the latest after `waitMs`. Another call ends the one before. */
  async next(cursor: number, waitMs: number): Promise<ProcessChanges> {
    const turn = ++this.#turn;
    const deadlineMs = performance.now() + waitMs;
    let changes = this.#look(cursor);
    while (isNothing(changes) && performance.now() < deadlineMs) {
      const { tookMs = 0 } = changes;
      await sleep(Math.max(intervalMs - tookMs, restFactor * tookMs));
      if (turn !== this.#turn) return changes;
      if (this.#isQuiet()) continue;
      changes = this.#look(changes.cursor);
    }
    return changes;
  }

  #isQuiet(): boolean {
    return !this.#table.hasYoung() && performance.now() < this.#fullAtMs && this.#pulse() === this.#lastPulse;
  }

  #look(cursor: number): ProcessChanges {
    const begin = performance.now();
    // First: what comes while it is looked is seen next time.
    this.#lastPulse = this.#pulse();
    const changes = this.#table.update(cursor);
    const now = performance.now();
    this.#fullAtMs = now + fullMs;
    return { ...changes, tookMs: now - begin };
  }
}

function isNothing({ isReset, changed, gone }: ProcessChanges): boolean {
  return !isReset && changed.length === 0 && gone.length === 0;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
