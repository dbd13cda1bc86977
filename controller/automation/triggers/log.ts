/** Lines of a log file that match, so many within a while on one host. The agents watch the file, through rotation. */
import type { FleetWatches } from '../../fleet/fleet.js';
import type { Clock } from '../clock.js';
import { duration } from '../quantity.js';
import type { LogWhen } from '../rule.js';
import type { Probe, Trigger, TriggerSink } from '../trigger.js';
import { WatchStates } from './watch-states.js';

export interface LogDependencies {
  readonly watches: FleetWatches;
  readonly clock: Clock;
}

const maxHosts = 1000;
const maxLineText = 200;

export class LogTrigger implements Trigger {
  readonly #when: LogWhen;
  readonly #watches: FleetWatches;
  readonly #clock: Clock;
  readonly #states = new WatchStates();
  /** By host: when how many came, oldest first. */
  readonly #counts = new Map<string, { timeMs: number; count: number }[]>();
  #last = 'no line matched yet';

  constructor(when: LogWhen, { watches, clock }: LogDependencies) {
    this.#when = when;
    this.#watches = watches;
    this.#clock = clock;
  }

  get errors(): number {
    return this.#states.errors;
  }

  start(sink: TriggerSink): Disposable {
    const { path, pattern, host } = this.#when;
    const watch = { path, pattern, ...(host === undefined ? {} : { host }) };
    return this.#watches.watchLog(watch, {
      matched: (match) => this.#matched(sink, match),
      state: (from, detail) => this.#states.note(from, detail),
    });
  }

  retire(): Promise<void> {
    return Promise.resolve();
  }

  describe(): string {
    return this.#states.describe(this.#last);
  }

  probe(): Promise<Probe> {
    return Promise.resolve({ ok: !this.#states.areAllDown, text: this.describe() });
  }

  /** NB: an agent's clock is not ours: the line counts when it comes. */
  #matched(
    sink: TriggerSink,
    { host, line, count }: { readonly host: string; readonly line: string; readonly count: number },
  ): void {
    const nowMs = this.#clock.nowMs();
    const { count: wanted, withinMs, path } = this.#when;
    const total = this.#count(host, Math.max(1, count), nowMs);
    const shown = JSON.stringify(line.length > maxLineText ? `${line.slice(0, maxLineText)}…` : line);
    this.#last = `last match on ${host} at ${new Date(nowMs).toISOString()}${wanted > 1 ? `, ${total} of ${wanted}` : ''}: ${shown}`;
    if (total < wanted) return;
    this.#counts.delete(host);
    const many = wanted > 1 ? `${total} lines within ${duration.render(withinMs)}` : 'a line';
    sink.fire({
      text: `${many} of ${path} on ${host}: ${shown}`,
      labels: { host },
      annotations: {},
      facts: { line: line.slice(0, 1024), count: total, wanted, withinMs, path },
    });
  }

  /** Of this host, within the window. */
  #count(host: string, count: number, nowMs: number): number {
    const known = this.#counts.get(host) ?? [];
    const kept = known.filter(({ timeMs }) => timeMs > nowMs - this.#when.withinMs && timeMs <= nowMs);
    kept.push({ timeMs: nowMs, count });
    if (this.#counts.size < maxHosts || this.#counts.has(host)) this.#counts.set(host, kept);
    return kept.reduce((sum, each) => sum + each.count, 0);
  }
}
