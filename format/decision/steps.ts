import { absent, type Absent } from '../absent.js';

/** What one decision may take: about a hundredth of a second. */
export const maxDecisionSteps = 100_000;

export class Steps {
  #left = maxDecisionSteps;

  /** Undefined while there are enough. */
  take(steps: number): Absent | undefined {
    this.#left -= Math.ceil(steps);
    if (this.#left >= 0) return undefined;
    return absent('limit', `it takes more than the ${maxDecisionSteps} steps that a decision may take`);
  }
}
