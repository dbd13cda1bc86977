/**
 * Passes of a line of the target above so many a second: a count point of our own, no instrumentation in the service. The point belongs to
 * the rule, outlives the controller, and is taken up again by its owner and note; it goes when the rule does.
 */
import { createHash } from 'node:crypto';
import { toStillframeError } from '../../../format/error.js';
import { defaultLimits } from '../../../format/limits.js';
import type { Points, PointSpec } from '../../fleet/points.js';
import type { PointDocument } from '../../service/documents.js';
import { every, type Clock } from '../clock.js';
import { duration, rate } from '../quantity.js';
import { ownerOf, type MetricWhen } from '../rule.js';
import type { Probe, Trigger, TriggerSink } from '../trigger.js';
import { Holding } from './holding.js';

export interface MetricDependencies {
  readonly points: Points;
  readonly clock: Clock;
}

const tickMs = 1000;
const retryMs = 30_000;

export class MetricTrigger implements Trigger {
  readonly #when: MetricWhen;
  readonly #rule: string;
  readonly #points: Points;
  readonly #clock: Clock;
  readonly #holding: Holding<number>;
  readonly #hits: HitCounter;
  #point: PointDocument | undefined;
  #setting = false;
  #retryAtMs = 0;
  #problem = '';
  #over = false;
  #retired = false;
  errors = 0;

  constructor(rule: string, when: MetricWhen, { points, clock }: MetricDependencies) {
    this.#when = when;
    this.#rule = rule;
    this.#points = points;
    this.#clock = clock;
    this.#holding = new Holding(when.forMs);
    this.#hits = new HitCounter(when.windowMs);
  }

  start(sink: TriggerSink): Disposable {
    const listening = this.#points.listen({
      point: (point) => {
        if (point.id === this.#point?.id) this.#point = point;
      },
    });
    void this.#tick(sink);
    const ticking = every(this.#clock, tickMs, () => void this.#tick(sink));
    return {
      [Symbol.dispose]: () => {
        ticking[Symbol.dispose]();
        listening[Symbol.dispose]();
        this.#over = true;
      },
    };
  }

  async retire(): Promise<void> {
    this.#retired = true;
    const point = this.#point;
    if (point === undefined) return;
    await this.#points
      .remove(point.id, `rule ${this.#rule} does not count here any more`)
      .catch(() => undefined);
  }

  describe(): string {
    if (this.#problem !== '') return this.#problem;
    const point = this.#point;
    if (point === undefined) return 'its count point is not set yet';
    const { location, abovePerSecond } = this.#when;
    const seen = rate.render(this.#hits.perSecond(this.#clock.nowMs()));
    const bound = `${this.#isAbove() ? 'above' : 'not above'} ${rate.render(abovePerSecond)}`;
    const standing = point.state === 'armed' || point.why === '' ? '' : `; point ${point.id}: ${point.why}`;
    return `${seen} at ${location}, ${bound}${standing}`;
  }

  probe(): Promise<Probe> {
    const isWell = this.#problem === '' && this.#point !== undefined;
    return Promise.resolve({ ok: isWell, text: this.describe(), holds: isWell && this.#isAbove() });
  }

  #isAbove(): boolean {
    return this.#hits.perSecond(this.#clock.nowMs()) > this.#when.abovePerSecond;
  }

  async #tick(sink: TriggerSink): Promise<void> {
    if (this.#point === undefined || this.#point.state === 'ended') await this.#setPoint();
    const nowMs = this.#clock.nowMs();
    if (this.#over || this.#point === undefined) return;
    this.#hits.see(this.#point, nowMs);
    const perSecond = this.#hits.perSecond(nowMs);
    const holding = new Map(perSecond > this.#when.abovePerSecond ? [['', perSecond]] : []);
    for (const { heldMs, again } of this.#holding.see(holding, nowMs)) {
      const outcome = sink.fire({ ...this.#firing(perSecond, heldMs), again });
      if (outcome.kind === 'fired') this.#holding.accept('');
    }
  }

  #firing(perSecond: number, heldMs: number) {
    const { location, condition, abovePerSecond, windowMs, forMs, target } = this.#when;
    const where = `${location}${condition === undefined ? '' : ` if ${condition}`} of ${target}`;
    const held = forMs === 0 ? '' : ` for ${duration.render(Math.floor(heldMs / 1000) * 1000)}`;
    const text = `${rate.render(perSecond)} over ${duration.render(windowMs)} at ${where}, above ${rate.render(abovePerSecond)}${held}`;
    const facts = { value: perSecond, above: abovePerSecond, windowMs, heldMs, point: this.#point?.id ?? '' };
    return { text, labels: {}, annotations: {}, facts };
  }

  async #setPoint(): Promise<void> {
    const nowMs = this.#clock.nowMs();
    if (this.#setting || this.#over || nowMs < this.#retryAtMs) return;
    this.#setting = true;
    this.#retryAtMs = nowMs + retryMs;
    try {
      const spec = this.#spec(nowMs);
      const kept = this.#points.list().find((point) => isSame(point, spec));
      const point = kept ?? (await this.#points.set(spec));
      this.#problem = '';
      this.#point = point;
      // It counts from here: what is there already was not seen to come.
      this.#hits.restart();
      if (this.#retired) await this.retire();
    } catch (error) {
      this.errors++;
      this.#problem = `cannot count at ${this.#when.location}: ${toStillframeError(error).message}`;
    } finally {
      this.#setting = false;
    }
  }

  #spec(nowMs: number): PointSpec {
    const { target, location, condition, engine } = this.#when;
    return {
      kind: 'count',
      target,
      location,
      ...(condition === undefined ? {} : { condition }),
      captures: [],
      engine,
      bounds: {},
      maxHits: 1,
      everyProcess: true,
      minIntervalNs: 0n,
      // When it ends the next one is set.
      expiresMs: nowMs + defaultLimits.maxExpiryMs,
      owner: ownerOf(this.#rule),
      note: noteOf(this.#rule, this.#when),
    };
  }
}

/** Names what is counted, so that a rule that counts elsewhere does not take up the old point. */
export function noteOf(rule: string, { target, location, condition, engine }: MetricWhen): string {
  const what = JSON.stringify([target, location, condition ?? '', engine]);
  return `counts for rule ${rule} (${createHash('sha256').update(what).digest('hex').slice(0, 8)})`;
}

function isSame(point: PointDocument, spec: PointSpec): boolean {
  const { owner, note, kind, state } = point;
  return kind === 'count' && owner === spec.owner && note === spec.note && state !== 'ended';
}

/**
 * Counters of hosts to a rate over a sliding window. A host that is seen for the first time, or whose counter went back, counts from what it
 * says then: a rate is never higher than what was seen to come.
 */
export class HitCounter {
  readonly #windowMs: number;
  readonly #lastOfHost = new Map<string, number>();
  #samples: { readonly timeMs: number; readonly total: number }[] = [];
  #total = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  see(point: Pick<PointDocument, 'hits' | 'hosts'>, nowMs: number): void {
    const hosts = point.hosts ?? [{ host: '', hits: point.hits }];
    const present = new Set(hosts.map(({ host }) => host));
    for (const host of this.#lastOfHost.keys()) if (!present.has(host)) this.#lastOfHost.delete(host);
    for (const { host, hits } of hosts) {
      const last = this.#lastOfHost.get(host);
      if (last !== undefined && hits > last) this.#total += hits - last;
      this.#lastOfHost.set(host, hits);
    }
    const from = nowMs - this.#windowMs;
    const kept = this.#samples.filter(({ timeMs }) => timeMs <= nowMs);
    // One sample at or before the window's beginning is its foot.
    const foot = kept.findLastIndex(({ timeMs }) => timeMs <= from);
    this.#samples = [...kept.slice(Math.max(0, foot)), { timeMs: nowMs, total: this.#total }];
  }

  /** Over the whole window, also where it was not watched for so long yet. */
  perSecond(nowMs: number): number {
    const from = nowMs - this.#windowMs;
    const foot = this.#samples.findLast(({ timeMs }) => timeMs <= from) ?? this.#samples[0];
    return foot === undefined ? 0 : ((this.#total - foot.total) * 1000) / this.#windowMs;
  }

  restart(): void {
    this.#lastOfHost.clear();
    this.#samples = [];
  }
}
