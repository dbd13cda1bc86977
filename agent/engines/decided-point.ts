/**
 * A point a part of whose condition no engine decides: the engine brings candidates, and here it is decided on their bytes which of them are hits. Around any engine, so that
 * nothing else of the agent knows of candidates: its counters, its hits and its end are those of a point like any other.
 *
 * Looking at a candidate costs much more than a condition in the kernel, so their number is bounded in time; one that is not looked at, or of which it cannot be told, is
 * counted as undecided, and is neither a hit nor none.
 */
import { isAbsent } from '../../format/absent.js';
import type { Capture } from '../../format/capture.js';
import { CapturedMemory } from '../../format/decision/captured-memory.js';
import { decide } from '../../format/decision/decide.js';
import { hasDecisions } from '../../format/plan/plan.js';
import { toStillframeError } from '../../format/error.js';
import type { ArmedPoint, ArmRequest, Engine, PointCounters, PointEnd, PointSink } from './engine.js';

/** At most one candidate of a process in so long; engines make it up to twice as long, by chance. */
export const candidateIntervalNs = 10_000_000n;
/** As many as an engine can count to. */
const endless = 0x7fff_ffff;
const maxReasonCharacters = 500;

/** Arms with the engine; where the plan has something to decide, the hits are those that were decided to be. Undefined for an engine without points. */
export async function armPoint(
  engine: Engine,
  request: ArmRequest,
  sink: PointSink,
): Promise<ArmedPoint | undefined> {
  if (request.countOnly || !hasDecisions(request.plan)) return await engine.arm?.(request, sink);
  const deciding = new DecidingSink(request, sink);
  const candidates = { ...request, maxHits: endless, minIntervalNs: candidateIntervalNs };
  const armed = await engine.arm?.(candidates, deciding);
  return armed === undefined ? undefined : deciding.around(armed);
}

class DecidingSink implements PointSink {
  readonly #request: ArmRequest;
  readonly #sink: PointSink;
  #armed: ArmedPoint | undefined;
  #isOver = false;
  #delivered = 0;
  #false = 0n;
  #undecided = 0n;
  #why: string | undefined;
  #limited = 0n;
  #lastNs: bigint | undefined;

  constructor(request: ArmRequest, sink: PointSink) {
    this.#request = request;
    this.#sink = sink;
  }

  around(armed: ArmedPoint): ArmedPoint {
    this.#armed = armed;
    if (this.#isOver) void this.#finish(armed);
    return {
      engine: armed.engine,
      addresses: armed.addresses,
      warning: armed.warning,
      counters: () => this.#counters(armed.counters()),
      look: (images) => armed.look?.(images) ?? armed.counters(),
      disarm: () => armed.disarm(),
    };
  }

  hit(capture: Capture): void {
    if (this.#isOver || !this.#isHit(capture)) return;
    const { maxHits, minIntervalNs } = this.#request;
    if (this.#lastNs !== undefined && capture.timeNs - this.#lastNs < minIntervalNs) {
      this.#limited += 1n;
      return;
    }
    this.#lastNs = capture.timeNs;
    this.#delivered += 1;
    const { cost } = capture;
    this.#sink.hit({
      ...capture,
      cost: {
        ...cost,
        conditionFalse: cost.conditionFalse + Number(this.#false),
        faults: cost.faults + Number(this.#undecided),
      },
    });
    if (this.#delivered < maxHits) return;
    this.#isOver = true;
    if (this.#armed !== undefined) void this.#finish(this.#armed);
  }

  ended(reason: PointEnd, last: PointCounters): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink.ended(reason, this.#counters(last));
  }

  /** Never rejects. */
  async #finish(armed: ArmedPoint): Promise<void> {
    const detail = `${this.#delivered} of ${this.#request.maxHits} hits delivered`;
    let reason: PointEnd = { kind: 'hits', detail };
    try {
      await armed.disarm();
    } catch (error) {
      reason = { kind: 'failed', detail: toStillframeError(error).message };
    }
    this.#sink.ended(reason, this.#counters(armed.counters()));
  }

  #isHit(capture: Capture): boolean {
    const site = capture.site === undefined ? undefined : this.#request.plan.sites[capture.site];
    if (site?.decision === undefined) return true;
    const thread = capture.threads.find(({ tid }) => tid === capture.tid);
    if (thread?.registers === undefined) {
      this.#cannotTell('the registers of the thread are not known');
      return false;
    }
    const { tid, pid } = capture;
    const { comm, registers } = thread;
    const { linkAddress, decision } = site;
    const memory = new CapturedMemory(capture);
    const holds = decide(decision, { registers, memory, linkAddress, tid, pid, comm });
    if (isAbsent(holds)) this.#cannotTell(holds.detail);
    else if (!holds) this.#false += 1n;
    return holds === true;
  }

  #cannotTell(why: string): void {
    this.#undecided += 1n;
    this.#why = why.slice(0, maxReasonCharacters);
  }

  #counters(candidates: PointCounters): PointCounters {
    const { hits, conditionFalse, faults, dropped, spentNs, awaited, limited: unseen = 0n } = candidates;
    const undecided = this.#undecided + unseen;
    const why = this.#why ?? (unseen === 0n ? undefined : tooMany);
    return {
      hits,
      conditionFalse: conditionFalse + this.#false,
      faults,
      dropped,
      delivered: BigInt(this.#delivered),
      ...(spentNs === undefined ? {} : { spentNs }),
      ...(this.#limited === 0n ? {} : { limited: this.#limited }),
      ...(undecided === 0n ? {} : { undecided }),
      ...(why === undefined ? {} : { undecidedWhy: why }),
      ...(awaited === undefined ? {} : { awaited }),
    };
  }
}

const tooMany = `more than ${1_000_000_000n / candidateIntervalNs} a second that the kernel lets through`;
