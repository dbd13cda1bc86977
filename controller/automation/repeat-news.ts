/** A trigger that goes on firing while its incident is open: told together, with growing pauses. */

const firstPauseMs = 10_000;
const maxPauseMs = 3_600_000;

export interface RepeatNewsItem {
  readonly text: string;
  readonly facts: { readonly count: number; readonly total: number };
}

export class RepeatNews {
  #told = 0;
  #nextMs = 0;
  #pauseMs = firstPauseMs;
  #last = '';

  /** Of another incident, which has repeated so often already. */
  begin(total: number): void {
    this.#told = total;
    this.#nextMs = 0;
    this.#pauseMs = firstPauseMs;
    this.#last = '';
  }

  /** What the trigger said. */
  note(text: string): void {
    this.#last = text;
  }

  /** What there is to tell now; with `isLast`, also what would wait. */
  take(total: number, nowMs: number, isLast: boolean): RepeatNewsItem | undefined {
    const count = total - this.#told;
    if (count <= 0 || (!isLast && nowMs < this.#nextMs)) return undefined;
    this.#told = total;
    this.#nextMs = nowMs + this.#pauseMs;
    this.#pauseMs = Math.min(maxPauseMs, this.#pauseMs * 2);
    const times = count === 1 ? 'fired again' : `fired ${count} more times`;
    const text = `the trigger ${times}${this.#last === '' ? '' : `: ${this.#last}`}`;
    return { text, facts: { count, total } };
  }
}
