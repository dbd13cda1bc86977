/** What `rules ls`, `rules test` and `rules fire` say, as JSON. */

export interface RuleDocument {
  readonly name: string;
  /** File and line where it stands. */
  readonly file: string;
  readonly line: number;
  readonly trigger: string;
  /**
   * `spent`: the budget of the day is used up; `suspended`: it failed too often; `loading-failed`: no rule, but a file that has an error
   * and of which no rule runs. A rule whose file has an error runs as it was before, and `why` says so.
   */
  readonly state: 'active' | 'cooling-down' | 'spent' | 'suspended' | 'disabled' | 'loading-failed';
  /** Why it is in that state, and what its trigger last saw: one line. */
  readonly why: string;
  readonly firings: number;
  readonly refused: number;
  readonly failures: number;
  /** Firings while its incident was open: counted there. */
  readonly repeated?: number;
  readonly lastFired?: string;
  readonly openIncident?: string;
}

export interface RuleTestDocument {
  readonly rule: string;
  /** What would happen, step by step. */
  readonly steps: readonly {
    readonly step: string;
    readonly ok: boolean;
    /** Where it would be armed, or why it cannot be. */
    readonly text: string;
  }[];
  readonly trigger: { readonly ok: boolean; readonly text: string };
  readonly wouldFire: boolean;
  readonly text: string;
}

export interface FiringDocument {
  readonly rule: string;
  readonly fired: boolean;
  /** Why it did not: the bound that holds. */
  readonly why: string;
  readonly incident?: string;
}
