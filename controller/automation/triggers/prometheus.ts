/** A Prometheus query above or below a value for a while. Whatever keeps it from being asked, or answered well, never fires. */
import { toStillframeError } from '../../../format/error.js';
import type { Clock } from '../clock.js';
import { duration, shortNumber } from '../quantity.js';
import type { PrometheusWhen } from '../rule.js';
import type { Probe, Trigger, TriggerSink } from '../trigger.js';
import { Holding } from './holding.js';
import { queryPrometheus, type Series } from './prometheus-query.js';

/** Series that may fire at one look. */
const maxFirings = 10;
const maxBackOffMs = 5 * 60_000;

export class PrometheusTrigger implements Trigger {
  readonly #when: PrometheusWhen;
  readonly #clock: Clock;
  readonly #holding: Holding<Series>;
  readonly #abort = new AbortController();
  #seen = 'not asked yet';
  #failuresInRow = 0;
  errors = 0;

  constructor(when: PrometheusWhen, clock: Clock) {
    this.#when = when;
    this.#clock = clock;
    this.#holding = new Holding(when.forMs);
  }

  start(sink: TriggerSink): Disposable {
    let timer: Disposable | undefined;
    const { signal } = this.#abort;
    const look = async (): Promise<void> => {
      await this.#look(sink);
      if (!signal.aborted) timer = this.#clock.after(this.#pauseMs(), () => void look());
    };
    void look();
    return {
      [Symbol.dispose]: () => {
        this.#abort.abort();
        timer?.[Symbol.dispose]();
      },
    };
  }

  retire(): Promise<void> {
    return Promise.resolve();
  }

  describe(): string {
    return this.#seen;
  }

  async probe(): Promise<Probe> {
    try {
      const series = await queryPrometheus(this.#when, this.#abort.signal);
      const holding = this.#above(series);
      const [example] = holding.size > 0 ? holding.values() : series;
      return {
        ok: true,
        text: this.#describeSeries(series, holding),
        holds: holding.size > 0,
        ...(example === undefined ? {} : { labels: example.labels }),
      };
    } catch (error) {
      return { ok: false, text: this.#describeError(error), holds: false };
    }
  }

  /** Never throws. */
  async #look(sink: TriggerSink): Promise<void> {
    const { signal } = this.#abort;
    try {
      const series = await queryPrometheus(this.#when, signal);
      if (signal.aborted) return;
      this.#failuresInRow = 0;
      const holding = this.#above(series);
      this.#seen = this.#describeSeries(series, holding);
      const due = this.#holding.see(holding, this.#clock.nowMs());
      for (const { item, key, heldMs, again } of due.slice(0, maxFirings)) {
        const outcome = sink.fire({ ...this.#firing(item, heldMs), again });
        if (outcome.kind === 'fired') this.#holding.accept(key);
      }
      if (due.length > maxFirings) this.#seen += `; ${due.length - maxFirings} more than fire at once`;
    } catch (error) {
      if (signal.aborted) return;
      this.errors++;
      this.#failuresInRow++;
      this.#holding.forget();
      this.#seen = this.#describeError(error);
      if (this.#failuresInRow > 1) this.#seen += ` (${this.#failuresInRow} times)`;
    }
  }

  #firing({ labels, value }: Series, heldMs: number) {
    const { query, bound, forMs } = this.#when;
    const held = forMs === 0 ? '' : ` for ${duration.render(Math.floor(heldMs / 1000) * 1000)}`;
    const text = `${query} is ${shortNumber(value)}${labelText(labels)}, ${this.#boundText()}${held}`;
    const facts = { value, [bound.direction]: bound.value, heldMs, query };
    return { text, labels, annotations: {}, facts };
  }

  #above(series: readonly Series[]): ReadonlyMap<string, Series> {
    const { direction, value: bound } = this.#when.bound;
    // NaN is neither.
    const holds = ({ value }: Series): boolean => (direction === 'above' ? value > bound : value < bound);
    return new Map(series.filter(holds).map((each) => [keyOf(each), each]));
  }

  #describeSeries(series: readonly Series[], holding: ReadonlyMap<string, Series>): string {
    const { direction, value: bound } = this.#when.bound;
    if (series.length === 0) return 'the query gives no series';
    const numbers = series.filter(({ value }) => !Number.isNaN(value));
    const isNearer = (a: Series, b: Series): boolean =>
      direction === 'above' ? a.value > b.value : a.value < b.value;
    const first =
      numbers.reduce<Series | undefined>(
        (best, each) => (best === undefined || isNearer(each, best) ? each : best),
        undefined,
      ) ?? series[0];
    const value = first === undefined ? '' : `${shortNumber(first.value)}${labelText(first.labels)}`;
    const end = direction === 'above' ? 'highest' : 'lowest';
    const all = series.length === 1 ? value : `${end} of ${series.length} series: ${value}`;
    const nan = series.length - numbers.length;
    const none = nan === 0 ? '' : `; ${nan} NaN`;
    return holding.size === 0
      ? `${all}, not ${direction} ${shortNumber(bound)}${none}`
      : `${all}, ${this.#boundText()}${series.length === 1 ? '' : ` (${holding.size} of them)`}${none}`;
  }

  #describeError(error: unknown): string {
    return `cannot ask ${this.#when.url}: ${toStillframeError(error).message}`;
  }

  #boundText(): string {
    const { direction, value } = this.#when.bound;
    return `${direction} ${shortNumber(value)}`;
  }

  #pauseMs(): number {
    const { everyMs } = this.#when;
    if (this.#failuresInRow < 2) return everyMs;
    return Math.max(everyMs, Math.min(maxBackOffMs, everyMs * 2 ** Math.min(20, this.#failuresInRow - 1)));
  }
}

function keyOf({ labels }: Series): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

const maxLabelText = 200;

function labelText(labels: Readonly<Record<string, string>>): string {
  const all = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  if (all.length === 0) return '';
  const text = all.join(', ');
  return ` {${text.length > maxLabelText ? `${text.slice(0, maxLabelText)}…` : text}}`;
}
