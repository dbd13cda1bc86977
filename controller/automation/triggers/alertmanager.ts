/** Alerts of an Alertmanager. They come by the webhook and the inbox; this only says which are meant, and what came last. */
import { fitsGlob } from '../glob.js';
import type { Outcome } from '../firing.js';
import type { AlertmanagerWhen } from '../rule.js';
import type { Probe, Trigger } from '../trigger.js';
import type { Clock } from '../clock.js';

export class AlertmanagerTrigger implements Trigger {
  readonly #when: AlertmanagerWhen;
  readonly #clock: Clock;
  #last = 'no alert came yet';
  errors = 0;

  constructor(when: AlertmanagerWhen, clock: Clock) {
    this.#when = when;
    this.#clock = clock;
  }

  /** All matchers fit; a label that an alert does not have fits none. */
  isMeant(labels: Readonly<Record<string, string>>): boolean {
    return [...this.#when.matchers].every(([name, pattern]) => {
      const value = Object.hasOwn(labels, name) ? labels[name] : undefined;
      return value !== undefined && fitsGlob(pattern, value);
    });
  }

  saw(text: string, outcome: Outcome | undefined): void {
    const what = outcome === undefined ? '' : `, ${outcome.kind}`;
    this.#last = `last alert at ${new Date(this.#clock.nowMs()).toISOString()}${what}: ${text}`;
    if (outcome?.kind === 'failed') this.errors++;
  }

  start(): Disposable {
    return { [Symbol.dispose]: () => undefined };
  }

  retire(): Promise<void> {
    return Promise.resolve();
  }

  describe(): string {
    return this.#last;
  }

  probe(): Promise<Probe> {
    const wanted = [...this.#when.matchers].map(([name, pattern]) => `${name}=${JSON.stringify(pattern)}`);
    return Promise.resolve({ ok: true, text: `waits for alerts with ${wanted.join(', ')}; ${this.#last}` });
  }
}
