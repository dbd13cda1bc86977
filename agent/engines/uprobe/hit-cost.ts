/**
 * What hits cost the threads that pass, measured on this host: the way into the kernel and out of it by a probe on a function of our own, and the program
 * itself by the kernel's own count of its runs.
 */
import { toStillframeError } from '../../../format/error.js';
import { createPointState } from '../../bpf/point-state.js';
import { type BpfObject, enableRunStatistics, type ProgramRuns } from '../../linux/bpf.js';
import type { AttachWay } from './attach.js';
import { attachCounting, callProbed } from './probe.js';

const calls = 300;
const rounds = 5;
/** Counting costs each program of the host two looks at the clock a run, so it is done for a part of the time only. */
const sampleMs = 100;
const sampleEveryMs = 2000;

export class HitCosts {
  readonly #passages = new Map<AttachWay, number>();
  #counting: BpfObject | undefined;
  #nextSampleMs = 0;
  #refused = false;

  /** Nanoseconds, of a hit of a program that does next to nothing. */
  passageNs(way: AttachWay): number {
    const known = this.#passages.get(way);
    if (known !== undefined) return known;
    const measured = measurePassage(way);
    this.#passages.set(way, measured);
    return measured;
  }

  /** Nanoseconds of all hits so far. `runs`: as {@link sample} brought them. */
  spentNs(way: AttachWay, hits: bigint, runs: readonly ProgramRuns[]): bigint {
    const count = runs.reduce((sum, each) => sum + each.count, 0n);
    const timeNs = runs.reduce((sum, each) => sum + each.timeNs, 0n);
    const program = count === 0n ? 0n : (timeNs * hits) / count;
    return BigInt(Math.round(this.passageNs(way))) * hits + program;
  }

  /** Lets the kernel count runs for a moment, now and then. Needs CAP_SYS_ADMIN; without it the program's own time is not known. */
  sample(): void {
    const now = performance.now();
    if (this.#refused || this.#counting !== undefined || now < this.#nextSampleMs) return;
    try {
      const counting = enableRunStatistics();
      this.#counting = counting;
      setTimeout(() => {
        counting[Symbol.dispose]();
        this.#counting = undefined;
        this.#nextSampleMs = performance.now() + sampleEveryMs;
      }, sampleMs).unref();
    } catch (error) {
      const { code } = toStillframeError(error);
      if (code !== 'denied' && code !== 'system' && code !== 'unsupported') throw error;
      this.#refused = true;
    }
  }
}

/** The least of some rounds: what else ran meanwhile only adds. */
function measurePassage(way: AttachWay): number {
  const round = (): number => {
    const begin = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) callProbed();
    return Number(process.hrtime.bigint() - begin) / calls;
  };
  const least = (): number => Math.min(...Array.from({ length: rounds }, round));
  round();
  const without = least();
  using state = createPointState(1);
  using _attachment = attachCounting(way, state.fd);
  return Math.max(0, least() - without);
}
