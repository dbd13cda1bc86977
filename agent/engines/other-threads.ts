/**
 * A point whose hits bring all other threads of the process with them: their registers and stacks, read right after the hit by an engine that stops nothing, and labelled
 * so. Around any engine with points. What cannot be had is missing with its reason; the hit itself is never lost for it.
 */
import type { Capture, CapturedRange, CapturedThread, MissingRange } from '../../format/capture.js';
import { toStillframeError } from '../../format/error.js';
import { defaultLimits } from '../../format/limits.js';
import type { Provenance } from '../../format/memory.js';
import type { NowRequest, PointCounters, PointEnd, PointSink } from './engine.js';

/** Takes all threads of a process, this instant. */
export type ThreadLook = (request: NowRequest) => Promise<Capture>;

/** Hits that wait for their other threads: those that come while so many wait go without. */
const maxWaiting = 16;

export class OtherThreads implements PointSink {
  readonly #look: ThreadLook;
  readonly #sink: PointSink;
  /** Of each thread, as of the one that hits: none where the host's policy lets no raw stack leave. */
  readonly #stackBytes: number;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(look: ThreadLook, sink: PointSink, stackBytes: number) {
    this.#look = look;
    this.#sink = sink;
    this.#stackBytes = stackBytes;
  }

  hit(capture: Capture): void {
    if (this.#waiting >= maxWaiting) {
      const detail = `${maxWaiting} hits wait for their other threads already`;
      this.#then(() => Promise.resolve(without(capture, 'limit', detail)));
      return;
    }
    // At once: what is read later says less of the hit.
    const taken = this.#take(capture);
    this.#waiting += 1;
    this.#then(async () => await taken.finally(() => (this.#waiting -= 1)));
  }

  /** After the hits before it. */
  ended(reason: PointEnd, last: PointCounters): void {
    this.#last = this.#last.then(() => this.#sink.ended(reason, last));
  }

  /** In the order of the hits. */
  #then(made: () => Promise<Capture>): void {
    this.#last = this.#last.then(async () => this.#sink.hit(await made()));
  }

  /** Never rejects. */
  async #take(capture: Capture): Promise<Capture> {
    const { pid } = capture;
    try {
      const request = { pid, tids: [], stackBytes: this.#stackBytes, maxBytes: defaultLimits.maxHitBytes };
      return joined(capture, await this.#look(request));
    } catch (error) {
      return without(capture, 'unreadable', toStillframeError(error).message);
    }
  }
}

function without(capture: Capture, reason: MissingRange['reason'], detail: string): Capture {
  return {
    ...capture,
    missing: [...capture.missing, { path: 'stacks of the other threads', reason, detail }],
  };
}

/** The hit, and of what was read after it all that is of other threads. */
function joined(hit: Capture, after: Capture): Capture {
  const delayUs = Math.max(0, Number((after.timeNs - hit.timeNs) / 1000n));
  const known = new Set(hit.threads.map(({ tid }) => tid));
  const paths = new Set([...known].map((tid) => `stack of ${tid}`));
  const threads = after.threads
    .filter(({ tid }) => !known.has(tid))
    .map((thread): CapturedThread => ({ ...thread, provenance: afterHit(thread.provenance) }));
  const ranges = after.ranges
    .filter(({ path }) => !paths.has(path))
    .map((range): CapturedRange => ({ ...range, provenance: afterHit(range.provenance), delayUs }));
  return {
    ...hit,
    threads: [...hit.threads, ...threads],
    ranges: [...hit.ranges, ...ranges],
    missing: [...hit.missing, ...after.missing.filter(({ path }) => !paths.has(path))],
    cost: {
      ...hit.cost,
      bytes: hit.cost.bytes + ranges.reduce((sum, { bytes }) => sum + bytes.length, 0),
    },
  };
}

/** What ran while it was read stays what it is. */
const afterHit = (provenance: Provenance): Provenance => (provenance === 'racy' ? 'racy' : 'after-hit');
