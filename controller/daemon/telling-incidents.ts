/** The log of incidents, which tells webhooks what it is told: that one was opened, what it caught, that it was closed. */
import { toStillframeError } from '../../format/error.js';
import type { IncidentEvent, IncidentLog } from '../automation/incident.js';
import type { IncidentStore } from '../automation/incident-store.js';
import type { Notifier } from '../automation/notify.js';
import type { Destination, Notification } from '../automation/notify-queue.js';
import type { DaemonLog } from './daemon.js';

export interface TellingOptions {
  readonly incidents: IncidentStore;
  readonly notifier: Pick<Notifier, 'enqueue'>;
  readonly log: DaemonLog;
}

export class TellingIncidents implements IncidentLog {
  readonly #options: TellingOptions;
  /** Rules take up their incidents while they start, before they can be asked whom to tell. */
  #waiting: (() => void)[] = [];
  #destinations: ((rule: string) => readonly Destination[]) | undefined;

  constructor(options: TellingOptions) {
    this.#options = options;
  }

  open(...[cause, timeMs]: Parameters<IncidentLog['open']>): string {
    const id = this.#options.incidents.open(cause, timeMs);
    this.#tell(id, { event: 'incident-opened', timeMs });
    return id;
  }

  add(incident: string, event: IncidentEvent): void {
    this.#options.incidents.add(incident, event);
    const { snapshot } = event.facts;
    if (event.kind !== 'snapshot' || typeof snapshot !== 'string') return;
    this.#tell(incident, { event: 'snapshot', timeMs: event.timeMs, snapshot });
  }

  close(incident: string, why: string, timeMs: number): void {
    this.#options.incidents.close(incident, why, timeMs);
    this.#tell(incident, { event: 'incident-closed', timeMs });
  }

  listOpen(): ReturnType<IncidentLog['listOpen']> {
    return this.#options.incidents.listOpen();
  }

  /** `destinations`: of a rule. What was to be told before is told now. */
  start(destinations: (rule: string) => readonly Destination[]): void {
    this.#destinations = destinations;
    for (const tell of this.#waiting.splice(0)) tell();
  }

  /**
   * NB: within the rule engine's own step of the store, so that it is told if and only if it is so. What keeps it from being told keeps
   * nothing else from being done.
   */
  #tell(incident: string, notification: Notification): void {
    const { incidents, notifier, log } = this.#options;
    const destinations = this.#destinations;
    if (destinations === undefined) {
      this.#waiting.push(() => this.#tell(incident, notification));
      return;
    }
    try {
      const targets = destinations(incidents.findIncident(incident).cause.rule);
      if (targets.length > 0) notifier.enqueue(incident, notification, targets);
    } catch (error) {
      log.error({ incident, error: toStillframeError(error).message }, 'cannot tell webhooks of an incident');
    }
  }
}
