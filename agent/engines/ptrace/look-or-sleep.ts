/**
 * Whether a thread that waits for the next stop of a busy point had better look for it again and again, or sleep. On processors that are idle, to be woken
 * takes longer than a hit; on busy ones who looks keeps away the very thread that he waits for. So both are tried now and then. Pure.
 */
export type Manner = 'look' | 'sleep';

/** One wait of so many is done the other way. */
const triesEvery = 32;
/** What a wait counts for at most: the point may have been left alone. */
const maxNs = 1_000_000;
const weight = 1 / 8;

export class LookOrSleep {
  readonly #meanNs = { look: 0, sleep: 0 };
  #waits = 0;

  next(): Manner {
    const better = this.#meanNs.look <= this.#meanNs.sleep ? 'look' : 'sleep';
    this.#waits = (this.#waits + 1) % triesEvery;
    if (this.#waits > 0) return better;
    return better === 'look' ? 'sleep' : 'look';
  }

  learn(manner: Manner, tookNs: number): void {
    const mean = this.#meanNs[manner];
    const took = Math.min(Math.max(tookNs, 1), maxNs);
    this.#meanNs[manner] = mean === 0 ? took : mean + (took - mean) * weight;
  }
}
