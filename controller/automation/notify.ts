/**
 * Tells webhooks what became of incidents. The rule engine says what there is to tell and whom:
 *
 *     notifier.enqueue(incident, { event: 'incident-opened', timeMs }, [{ url, tokenFile, secretFile, includeValues }]);
 *     notifier.enqueue(incident, { event: 'snapshot', timeMs, snapshot: id }, destinations);
 *     notifier.enqueue(incident, { event: 'incident-closed', timeMs }, destinations);
 *
 * When `enqueue` returns, the call is on disk: it is made at least once, also when the controller is killed, and in order for each
 * incident and address. To enqueue the same again, after a restart, is harmless. What is told is written down right after; a call that
 * fails is tried again with exponential back-off (`notify-retry.ts`), and one that is refused or fails too often is given up; either
 * end is an event `notified` of the incident. A destination that does not answer delays no other.
 *
 * What is sent is documented in docs/webhook.md.
 */
import { toStillframeError, type StillframeError } from '../../format/error.js';
import type { IncidentEvent } from './incident.js';
import { makePayload, withoutValues, type PayloadOptions } from './notify-payload.js';
import type { Delivery, Destination, Notification, NotificationQueue } from './notify-queue.js';
import { callWebhook, destinationName, parseDestination, type Outcome } from './notify-request.js';
import { defaultRetryPolicy, retryDelayMs, whyGivenUp, type RetryPolicy } from './notify-retry.js';

export interface NotifierOptions extends PayloadOptions {
  readonly queue: NotificationQueue;
  /** What keeps the notifier itself from working: the store. It goes on later. */
  readonly failed: (error: StillframeError) => void;
  readonly retry?: RetryPolicy;
  readonly timeoutMs?: number;
  /** Certificates to trust instead of the system's, in PEM. */
  readonly ca?: string;
}

const defaultTimeoutMs = 5000;
/** Calls at once: in all, and to one address. */
const maxCalls = 16;
const maxCallsOfOne = 2;
/** Calls that wait for one address; those that come then are not kept. */
const maxWaiting = 1000;
const maxPauseMs = 60_000;
const pauseAfterFailureMs = 5000;
/** What is told is bounded part by part; all of it together is here. */
const maxBodyCharacters = 1024 * 1024;

export class Notifier implements AsyncDisposable {
  readonly #options: NotifierOptions;
  readonly #ended = new AbortController();
  /** By id of the delivery: the address. */
  readonly #calls = new Map<string, string>();
  readonly #running = new Set<Promise<void>>();
  #wake: () => void = () => undefined;
  #isAwake = false;
  /** The last that was made: deliveries of one event to several addresses say the same. */
  #made: { readonly key: string; readonly payload: Awaited<ReturnType<typeof makePayload>> } | undefined;

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** Begins with what waits from before. */
  start(): void {
    this.#track(this.#work());
  }

  /**
   * Durable when it returns. An address that cannot be called, or too many calls that wait for it, is an event of the incident. Throws
   * `not-found` for an incident that is none.
   */
  enqueue(incident: string, notification: Notification, destinations: readonly Destination[]): void {
    const { queue, incidents } = this.#options;
    incidents.findIncident(incident);
    const kept: Destination[] = [];
    for (const destination of destinations) {
      const why = whyNotKept(destination, queue);
      if (why === undefined) kept.push(destination);
      else incidents.add(incident, notTold(destination, notification, why));
    }
    queue.enqueue(incident, notification, kept);
    this.#awake();
  }

  /** Ends calls that are under way; they are made again by the next who starts. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    this.#awake();
    await Promise.all(this.#running);
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  #awake(): void {
    this.#isAwake = true;
    this.#wake();
  }

  async #work(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      let pauseMs = pauseAfterFailureMs;
      this.#isAwake = false;
      try {
        const unmadeMs = await this.#makeBodies();
        pauseMs = Math.min(unmadeMs, this.#startCalls());
      } catch (thrown) {
        this.#options.failed(toStillframeError(thrown));
      }
      await this.#pause(pauseMs);
    }
  }

  /** In their order; gives how long to wait for one that could not be made. */
  async #makeBodies(): Promise<number> {
    const { queue } = this.#options;
    for (;;) {
      const [delivery] = queue.listUnmade(Date.now(), 1);
      if (delivery === undefined || this.#ended.signal.aborted) return maxPauseMs;
      try {
        const body = await this.#makeBody(delivery);
        if (body.length > maxBodyCharacters) {
          this.#giveUp(delivery, 0, `it would be ${body.length} characters long`);
        } else queue.setBody(delivery.id, body);
      } catch (thrown) {
        this.#noteUnmade(delivery, toStillframeError(thrown));
        return pauseAfterFailureMs;
      }
      // What is made can be sent while the next is made.
      this.#startCalls();
    }
  }

  /** It must not keep those behind it from being made. */
  #noteUnmade(delivery: Delivery, error: StillframeError): void {
    const { queue, failed, retry = defaultRetryPolicy } = this.#options;
    failed(error);
    const tries = delivery.tries + 1;
    queue.noteTry(delivery.id, Date.now() + retryDelayMs(retry, { tries, chance: Math.random() }));
    const given = whyGivenUp(retry, { tries, ageMs: Date.now() - delivery.createdMs });
    if (given !== undefined) this.#giveUp(delivery, tries, `${given}: ${error.message}`);
  }

  async #makeBody({ id, incident, notification, destination }: Delivery): Promise<string> {
    const key = JSON.stringify([incident, notification]);
    if (this.#made?.key !== key) {
      this.#made = { key, payload: await makePayload(this.#options, incident, notification) };
    }
    const { payload } = this.#made;
    const { version, ...rest } = destination.includeValues === true ? payload : withoutValues(payload);
    return JSON.stringify({ version, delivery: id, ...rest });
  }

  /** Starts those that are due; gives the time until the next one is. */
  #startCalls(): number {
    const nowMs = Date.now();
    for (const delivery of this.#options.queue.listHeads(2 * maxCallsOfOne)) {
      const { id, body, nextMs, destination } = delivery;
      if (body === undefined || this.#calls.has(id)) continue;
      if (nextMs > nowMs) return Math.min(maxPauseMs, nextMs - nowMs);
      if (this.#calls.size >= maxCalls) return maxPauseMs;
      if (this.#callsOf(destination.url) >= maxCallsOfOne) continue;
      this.#calls.set(id, destination.url);
      this.#track(this.#call(delivery, body));
    }
    return maxPauseMs;
  }

  #callsOf(url: string): number {
    return [...this.#calls.values()].filter((other) => other === url).length;
  }

  async #call(delivery: Delivery, body: string): Promise<void> {
    try {
      await this.#try(delivery, body);
    } catch (thrown) {
      this.#options.failed(toStillframeError(thrown));
    } finally {
      this.#calls.delete(delivery.id);
      this.#awake();
    }
  }

  async #try(delivery: Delivery, body: string): Promise<void> {
    const { queue, retry = defaultRetryPolicy, timeoutMs = defaultTimeoutMs, ca } = this.#options;
    const tries = delivery.tries + 1;
    const chance = Math.random();
    // Before the call: one that is cut off by our death is a try as well, and does not come again at once.
    queue.noteTry(delivery.id, Date.now() + retryDelayMs(retry, { tries, chance }));
    const { signal } = this.#ended;
    const outcome = await callWebhook(delivery, body, {
      timeoutMs,
      signal,
      ...(ca === undefined ? {} : { ca }),
    });
    if (outcome.kind === 'delivered') {
      queue.finish(delivery.id, 'delivered', told(delivery, tries, outcome));
    } else if (outcome.kind === 'refused') {
      this.#giveUp(delivery, tries, outcome.why);
    } else if (!signal.aborted) {
      const given = whyGivenUp(retry, { tries, ageMs: Date.now() - delivery.createdMs });
      if (given !== undefined) this.#giveUp(delivery, tries, `${given}: ${outcome.why}`);
      else if (outcome.askedMs !== undefined) {
        const delayMs = retryDelayMs(retry, { tries, chance, askedMs: outcome.askedMs });
        queue.postpone(delivery.id, Date.now() + delayMs);
      }
    }
  }

  #giveUp({ id, destination, notification }: Delivery, tries: number, why: string): void {
    this.#options.queue.finish(id, 'given-up', {
      ...notTold(destination, notification, why),
      facts: { delivery: id, event: notification.event, tries },
    });
  }

  /** Until it is woken, or that long. */
  async #pause(pauseMs: number): Promise<void> {
    if (this.#isAwake || this.#ended.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }
}

function whyNotKept({ url }: Destination, queue: NotificationQueue): string | undefined {
  try {
    parseDestination(url);
  } catch (thrown) {
    return toStillframeError(thrown).message;
  }
  return queue.countWaiting(url) >= maxWaiting ? `${maxWaiting} calls wait for it already` : undefined;
}

function told(
  { id, destination, notification }: Delivery,
  tries: number,
  { status }: Extract<Outcome, { kind: 'delivered' }>,
): IncidentEvent {
  const again = tries === 1 ? '' : ` at try ${tries}`;
  return {
    timeMs: Date.now(),
    kind: 'notified',
    text: `told ${destinationName(destination.url)} of ${notification.event}${again}`,
    facts: { delivery: id, event: notification.event, tries, status },
  };
}

function notTold({ url }: Destination, { event }: Notification, why: string): IncidentEvent {
  return {
    timeMs: Date.now(),
    kind: 'notified',
    text: `did not tell ${destinationName(url)} of ${event}: ${why}`,
    facts: { event },
  };
}
