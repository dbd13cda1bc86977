/** The state of one rule, in memory and on disk: on disk first. */
import type { RuleStore } from './rule-store.js';
import { encodeState, type RuleState } from './rule-state.js';

export class RuleMemory {
  readonly rule: string;
  readonly #store: RuleStore;
  #state: RuleState;
  #isDirty = false;

  constructor(rule: string, state: RuleState, store: RuleStore) {
    this.rule = rule;
    this.#state = state;
    this.#store = store;
  }

  get state(): RuleState {
    return this.#state;
  }

  /** Durable when it returns. With `alert`, that alert is done in the same step. */
  write(state: RuleState, alert?: number): void {
    this.#store.saveState(this.rule, encodeState(state), alert);
    this.#state = state;
    this.#isDirty = false;
  }

  /** For counts that nothing depends on: durable with the next write or `flush`. */
  note(state: RuleState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#isDirty = true;
  }

  flush(): void {
    if (this.#isDirty) this.write(this.#state);
  }

  /** All that `work` writes, here and in the same database, or nothing of it. */
  atomically<T>(work: () => T): T {
    const before = this.#state;
    try {
      return this.#store.atomically(work);
    } catch (error) {
      this.#state = before;
      throw error;
    }
  }
}
