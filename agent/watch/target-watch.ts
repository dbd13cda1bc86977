/** The processes that fit a selector, told as the difference between what the listener knows and what is there, whenever it takes it. */
import { keyOf } from '../session/delivered.js';
import { runsAnother, type TargetChanges, type TargetPoll } from '../session/target-poll.js';
import type { TargetProcess } from '../tracer/client.js';
import { matches } from '../tracer/select.js';
import { parseSelector, type Selector } from '../../format/target-selector.js';

export interface TargetDifference {
  readonly appeared: readonly TargetProcess[];
  readonly left: readonly TargetProcess[];
}

/** So that one message stays small. */
const maxTaken = 256;

export class TargetWatch implements Disposable {
  readonly #selector: Selector;
  readonly #changed: () => void;
  readonly #subscription: Disposable;
  readonly #fitting = new Map<string, TargetProcess>();
  readonly #told = new Map<string, TargetProcess>();
  /** That nobody fits is told as well, once. */
  #isTold = false;

  /** `changed`: there is something to take. Throws `usage` for a selector that means nothing. */
  constructor(selector: string, targets: TargetPoll, changed: () => void) {
    this.#selector = parseSelector(selector);
    this.#changed = changed;
    this.#subscription = targets.subscribe({ looked: (changes) => this.#looked(changes) });
  }

  /** Undefined when there is nothing (more). */
  take(): TargetDifference | undefined {
    const left: TargetProcess[] = [];
    for (const [key, before] of this.#told) {
      if (left.length === maxTaken) break;
      const now = this.#fitting.get(key);
      if (now !== undefined && !isNews(before, now)) continue;
      this.#told.delete(key);
      left.push(before);
    }
    const appeared: TargetProcess[] = [];
    for (const [key, target] of this.#fitting) {
      if (appeared.length === maxTaken) break;
      if (this.#told.has(key)) continue;
      this.#told.set(key, target);
      appeared.push(target);
    }
    if (this.#isTold && appeared.length + left.length === 0) return undefined;
    this.#isTold = true;
    return { appeared, left };
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }

  #looked({ changed, left }: TargetChanges): void {
    let isChanged = !this.#isTold;
    for (const target of left) isChanged = this.#fitting.delete(keyOf(target)) || isChanged;
    for (const { after } of changed) {
      const key = keyOf(after);
      const before = this.#fitting.get(key);
      if (matches(this.#selector, after)) {
        this.#fitting.set(key, after);
        if (before === undefined || isNews(before, after)) isChanged = true;
      } else if (this.#fitting.delete(key)) {
        isChanged = true;
      }
    }
    if (isChanged) this.#changed();
  }
}

/** To whom a process is told as one that left and another that appeared: what it runs, and whether that can be looked into. */
function isNews(before: TargetProcess, after: TargetProcess): boolean {
  return runsAnother(before, after) || before.refusal !== after.refusal;
}
