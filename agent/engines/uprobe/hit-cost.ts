/**
 * What hits cost the threads that pass, measured on this host: the way into the kernel and out of it by probes on functions of our own, one of which begins with an
 * instruction that the kernel emulates; and the program itself by the kernel's own count of its runs.
 */
import { toStillframeError } from '../../../format/error.js';
import { PointState } from '../../bpf/point-state.js';
import { type BpfObject, enableRunStatistics } from '../../linux/bpf.js';
import type { AttachWay } from './attach.js';
import { attachCounting, callProbed, isOwnEmulated, type OwnFunction } from './probe.js';

const calls = 100;
const rounds = 20;
/** No probe costs less; where it seems to, something else was in the way. */
const leastNs = 300;
/** Counting costs each program of the host two looks at the clock a run, so it is done for a part of the time only. */
const sampleMs = 100;
const sampleEveryMs = 2000;
/** A part of that, which is looked at by itself: see `run-times.ts`. */
const stretchMs = 10;
/** Looking takes no more than one part in so many of the time. */
const mostShare = 10;

export class HitCosts {
  readonly #passages = new Map<string, number>();
  #counting: BpfObject | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #looks = new Set<() => void>();
  #nextSampleMs = 0;
  #sampledMs = 0;
  #refused = false;

  /** Nanoseconds, of a hit of a program that does next to nothing, on an instruction that the kernel emulates or does not. */
  passageNs(way: AttachWay, isEmulated: boolean): number {
    // Where no function of our own begins with an emulated one, the other is what can be said: it is dearer.
    const name = isEmulated && isOwnEmulated('argz_count') ? 'argz_count' : 'ffsll';
    const key = `${way.name} ${way.sleepable} ${name}`;
    const known = this.#passages.get(key);
    if (known !== undefined) return known;
    const measured = measurePassage(way, name);
    this.#passages.set(key, measured);
    return measured;
  }

  /** Nanoseconds of so many hits. `runNs`: what a run of the program takes, as was seen while {@link sample} had them counted. */
  spentNs(way: AttachWay, isEmulated: boolean, hits: bigint, runNs: number): bigint {
    return BigInt(Math.round(this.passageNs(way, isEmulated)) + Math.round(runNs)) * hits;
  }

  /** Where a point is disarmed: nothing of it is left then. That of others goes on with the next sample. */
  endSample(): void {
    clearTimeout(this.#timer);
    this.#looks.clear();
    this.#counting?.[Symbol.dispose]();
    this.#counting = undefined;
    this.#nextSampleMs = performance.now() + sampleEveryMs;
  }

  /**
   * Lets the kernel count runs for a moment, now and then; `look` is called again and again meanwhile. Needs CAP_SYS_ADMIN; without it the program's own time is
   * not known.
   */
  sample(look: () => void): void {
    const now = performance.now();
    if (this.#refused || (this.#counting === undefined && now < this.#nextSampleMs)) return;
    this.#looks.add(look);
    if (this.#counting !== undefined) return;
    try {
      this.#counting = enableRunStatistics();
      this.#sampledMs = now + sampleMs;
      this.#lookIn(stretchMs);
    } catch (error) {
      const { code } = toStillframeError(error);
      if (code !== 'denied' && code !== 'system' && code !== 'unsupported') throw error;
      this.#refused = true;
      this.#looks.clear();
    }
  }

  #lookIn(ms: number): void {
    this.#timer = setTimeout(() => this.#look(), ms);
    this.#timer.unref();
  }

  #look(): void {
    const beganMs = performance.now();
    for (const look of this.#looks) look();
    const now = performance.now();
    if (now >= this.#sampledMs) this.endSample();
    // Where there is much to look at, it is looked at less often.
    else this.#lookIn(Math.max(stretchMs, mostShare * (now - beganMs)));
  }
}

/** The least of some rounds: what else ran meanwhile only adds. */
function measurePassage(way: AttachWay, name: OwnFunction): number {
  const round = (): number => {
    const begin = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) callProbed(name);
    return Number(process.hrtime.bigint() - begin) / calls;
  };
  const least = (): number => Math.min(...Array.from({ length: rounds }, round));
  for (let i = 0; i < rounds / 4; i++) round();
  const without = least();
  using state = new PointState(1);
  using _attachment = attachCounting(way, state.fd, name);
  return Math.max(leastNs, least() - without);
}
