/**
 * Alerts on their way from the webhook to the rules. They are durable before the sender is answered, and worked off after that; each is
 * handled once for each rule, however often it is sent and whoever is killed in between.
 */
import * as z from 'zod';
import { toStillframeError } from '../../format/error.js';
import type { Alert, AlertPayload } from './alert-payload.js';
import type { AutomationLog } from './automation-log.js';
import type { Clock } from './clock.js';
import type { RuleRunner } from './rule-runner.js';
import type { NewAlert, RuleStore, WaitingAlert } from './rule-store.js';
import { AlertmanagerTrigger } from './triggers/alertmanager.js';

export interface InboxOptions {
  readonly store: RuleStore;
  readonly clock: Clock;
  readonly log: AutomationLog;
  /** Those that have a rule. */
  readonly runners: () => Iterable<RuleRunner>;
  /** All rules are known: one that is not there is gone for good. */
  readonly isComplete: () => boolean;
}

export interface AlertReceipt {
  readonly received: number;
  /** Kept to be handled: new to a rule that waits for them. */
  readonly accepted: number;
  /** Handled before, or waiting to be. */
  readonly repeated: number;
  /** No rule waits for them. */
  readonly unknown: number;
}

export interface AlertCounters extends AlertReceipt {
  readonly handled: number;
  /** Accepted for a rule that is gone. */
  readonly dropped: number;
  readonly truncated: number;
  readonly unauthenticated: number;
  readonly malformed: number;
  readonly waiting: number;
}

const batch = 50;
/** Alertmanager forgets an alert after five days at the latest; what is sent again after that is another one. */
const keepMs = 14 * 24 * 3600 * 1000;
const keepAtMost = 100_000;
const pruneMs = 3600 * 1000;
const maxSummary = 300;

const storedAlert = z.object({
  status: z.enum(['firing', 'resolved']),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()),
  startsAt: z.string(),
  generatorUrl: z.string(),
  key: z.string(),
  truncated: z.int(),
});
type StoredAlert = z.output<typeof storedAlert>;

export class AlertInbox implements Disposable {
  readonly #options: InboxOptions;
  readonly #counts: Record<Exclude<keyof AlertCounters, 'waiting'>, number> = {
    received: 0,
    accepted: 0,
    repeated: 0,
    unknown: 0,
    handled: 0,
    dropped: 0,
    truncated: 0,
    unauthenticated: 0,
    malformed: 0,
  };
  #isWorking = false;
  #isOver = false;
  #nextPruneMs = 0;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /** Durable when it returns. Throws `limit`, with nothing kept, where too many wait. */
  accept({ alerts, groupKey, truncated }: AlertPayload): AlertReceipt {
    const { store, clock, log } = this.#options;
    const found: NewAlert[] = [];
    let unknown = 0;
    for (const alert of alerts) {
      const rules = this.#rulesFor(alert);
      if (rules.length === 0) unknown++;
      const json = JSON.stringify({ ...alert, truncated } satisfies StoredAlert);
      found.push(...rules.map((rule) => ({ rule, key: `${alert.status} ${alert.key}`, json })));
    }
    const isNew = found.length === 0 ? [] : store.acceptAlerts(found, clock.nowMs());
    const accepted = isNew.filter(Boolean).length;
    const receipt = { received: alerts.length, accepted, repeated: isNew.length - accepted, unknown };
    for (const name of ['received', 'accepted', 'repeated', 'unknown'] as const) {
      this.#counts[name] += receipt[name];
    }
    this.#counts.truncated += truncated;
    if (truncated > 0)
      log.warn({ groupKey: groupKey.slice(0, 200), truncated }, 'alertmanager left out alerts');
    if (accepted > 0) setImmediate(() => void this.work());
    return receipt;
  }

  /** A request that was refused before it was a payload. */
  noteRefused(reason: 'unauthenticated' | 'malformed'): void {
    this.#counts[reason]++;
  }

  /** Works off all that waits and can be handled. Never throws. */
  async work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      for (let after = 0; !this.#isOver;) {
        const waiting = this.#options.store.listWaitingAlerts(after, batch);
        for (const alert of waiting) {
          if (!this.#handle(alert)) return;
          after = alert.number;
        }
        if (waiting.length < batch) return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      const { message, code } = toStillframeError(error);
      this.#options.log.error({ code, reason: message }, 'cannot work off alerts');
    } finally {
      this.#isWorking = false;
    }
  }

  /** About once a second: tries again what could not be handled. */
  tick(): void {
    const { store, clock } = this.#options;
    const nowMs = clock.nowMs();
    if (nowMs >= this.#nextPruneMs) {
      this.#nextPruneMs = nowMs + pruneMs;
      store.pruneAlerts(nowMs - keepMs, keepAtMost);
    }
    void this.work();
  }

  counters(): AlertCounters {
    return { ...this.#counts, waiting: this.#options.store.countWaitingAlerts() };
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
  }

  #rulesFor(alert: Alert): string[] {
    return [...this.#options.runners()]
      .filter(({ trigger }) => trigger instanceof AlertmanagerTrigger && trigger.isMeant(alert.labels))
      .map(({ name }) => name);
  }

  /** False where it must be tried again, and those behind it too. */
  #handle(waiting: WaitingAlert): boolean {
    const { store, log, isComplete } = this.#options;
    const runner = [...this.#options.runners()].find(({ name }) => name === waiting.rule);
    const trigger = runner?.trigger;
    const alert = parseStored(waiting.json);
    if (runner === undefined || !(trigger instanceof AlertmanagerTrigger) || alert === undefined) {
      // A file with an error may still have the rule.
      if (runner === undefined && !isComplete()) return true;
      log.warn(
        { rule: waiting.rule, alert: waiting.number },
        'dropping an alert: its rule does not wait for it any more',
      );
      store.finishAlert(waiting.number);
      this.#counts.dropped++;
      return true;
    }
    const text = describe(alert);
    if (alert.status === 'resolved') {
      if (!runner.incident.resolved(alert.key, text, waiting.number)) store.finishAlert(waiting.number);
      trigger.saw(text, undefined);
      this.#counts.handled++;
      return true;
    }
    const outcome = runner.offer({
      trigger: 'alertmanager',
      text,
      labels: alert.labels,
      annotations: alert.annotations,
      facts: factsOf(alert, waiting),
      alert: { key: alert.key, number: waiting.number },
    });
    trigger.saw(text, outcome);
    if (outcome.kind === 'failed') return false;
    this.#counts.handled++;
    return true;
  }
}

function parseStored(json: string): StoredAlert | undefined {
  try {
    return storedAlert.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
}

function describe({ labels, annotations, status }: StoredAlert): string {
  const name = labels['alertname'] ?? 'without a name';
  const summary = annotations['summary'] ?? annotations['description'] ?? '';
  const said =
    summary === '' ? '' : `: ${summary.length > maxSummary ? `${summary.slice(0, maxSummary)}…` : summary}`;
  return `alert ${name} is ${status}${said}`;
}

function factsOf(alert: StoredAlert, { receivedMs }: WaitingAlert): Record<string, string | number> {
  return {
    startsAt: alert.startsAt,
    received: new Date(receivedMs).toISOString(),
    alert: alert.key.slice(0, 16),
    ...(alert.generatorUrl === '' ? {} : { generatorUrl: alert.generatorUrl }),
    ...(alert.truncated === 0 ? {} : { truncatedAlerts: alert.truncated }),
  };
}
