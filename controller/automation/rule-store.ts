/** What automation keeps on disk: the state of each rule, and the alerts that were accepted. Implemented by `controller/store/rule-store.ts`. */

export interface RuleStore {
  listStates(): readonly StoredState[];
  /** Durable when it returns. With `alert`, the alert of that number is done in the same transaction. */
  saveState(rule: string, json: string, alert?: number): void;
  removeState(rule: string): void;

  /**
   * Takes in those whose rule and key were never seen, in one transaction that is durable when it returns, and notes that the others were
   * seen again. Gives for each whether it is new. Throws `limit`, with none of them taken, where too many wait already.
   */
  acceptAlerts(alerts: readonly NewAlert[], nowMs: number): readonly boolean[];
  /** Those that were accepted and are not done, oldest first, behind that number. */
  listWaitingAlerts(after: number, limit: number): readonly WaitingAlert[];
  countWaitingAlerts(): number;
  /** Done, with no effect on the state of a rule. */
  finishAlert(number: number): void;
  /** Forgets those that are done and were not seen since then, so that no more than so many stay. */
  pruneAlerts(seenBeforeMs: number, atMost: number): number;

  /** All that is written during the work is durable together, or not at all: of this store, and of others in the same database. */
  atomically<T>(work: () => T): T;
}

export interface StoredState {
  readonly rule: string;
  readonly json: string;
}

export interface NewAlert {
  readonly rule: string;
  /** Of this alert, and of its being fired or resolved: the same whenever it is sent again. */
  readonly key: string;
  readonly json: string;
}

export interface WaitingAlert extends NewAlert {
  readonly number: number;
  readonly receivedMs: number;
}

/** More wait only where nobody works them off. */
export const maxWaitingAlerts = 10_000;
