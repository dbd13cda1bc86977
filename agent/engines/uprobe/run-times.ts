/**
 * How long the programs of a point run, of what the kernel counts in short stretches of time. NB: the kernel takes the time by the clock: a thread that loses its
 * processor in the middle of a run, as threads do on a busy machine, seems to have run all the while that it waited. No point is to be blamed for that, so a stretch
 * with such a run is counted as if its runs had taken as long as those of the others.
 */
import type { ProgramRuns } from '../../linux/bpf.js';

const maxStretches = 128;
/** Who loses a processor gets it back after another had it for about so long; no run takes as long by itself. */
const lostNs = 2_000_000;
/** Stretches may differ: in one of them hits brought much, in others nothing. */
const mostTimes = 4;

interface Stretch {
  readonly count: number;
  readonly meanNs: number;
}

export class RunTimes {
  #before: ProgramRuns = { count: 0n, timeNs: 0n };
  readonly #stretches: Stretch[] = [];

  /** `runs`: all until now. */
  look(runs: ProgramRuns): void {
    const count = Number(runs.count - this.#before.count);
    const timeNs = Number(runs.timeNs - this.#before.timeNs);
    this.#before = runs;
    if (count <= 0) return;
    this.#stretches.push({ count, meanNs: timeNs / count });
    if (this.#stretches.length > maxStretches) this.#stretches.shift();
  }

  /** Of a run, in nanoseconds; 0 where none was seen. */
  meanNs(): number {
    const usual = this.#usualNs();
    let [count, timeNs] = [0, 0];
    for (const stretch of this.#stretches) {
      const isLost = stretch.meanNs > mostTimes * usual && stretch.count * (stretch.meanNs - usual) > lostNs;
      count += stretch.count;
      timeNs += stretch.count * (isLost ? usual : stretch.meanNs);
    }
    return count === 0 ? 0 : timeNs / count;
  }

  /** The median over all stretches. */
  #usualNs(): number {
    const means = this.#stretches.map(({ meanNs }) => meanNs).toSorted((a, b) => a - b);
    return means[Math.floor((means.length - 1) / 2)] ?? 0;
  }
}
