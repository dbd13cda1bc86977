/**
 * Webhook calls that wait to be made. They survive the controller: a call is removed from the queue only in the same step that notes
 * in the incident that it was delivered or given up. Implemented by `controller/store/notify-queue.ts`.
 */
import type { IncidentEvent } from './incident.js';

export const notificationKinds = ['incident-opened', 'snapshot', 'incident-closed'] as const;
export type NotificationKind = (typeof notificationKinds)[number];

/** What there is to tell of an incident. */
export interface Notification {
  readonly event: NotificationKind;
  /** When it happened. */
  readonly timeMs: number;
  /** Of the event `snapshot`: its id. */
  readonly snapshot?: string;
}

/** Where to tell it: the key `notify` of a rule. */
export interface Destination {
  /** `http:` or `https:`. */
  readonly url: string;
  /** Sent as `Authorization: Bearer …`; read for each call, so that it may be replaced while the controller runs. */
  readonly tokenFile?: string;
  /** Key of the signature over the body; read for each call. */
  readonly secretFile?: string;
  /** Values of the target's variables go along; else only where it was and how often. */
  readonly includeValues?: boolean;
}

export interface Delivery {
  /** Also the `Idempotency-Key`: equal for all tries. */
  readonly id: string;
  readonly incident: string;
  readonly notification: Notification;
  readonly destination: Destination;
  /** Undefined until it is made; then the same for all tries. */
  readonly body: string | undefined;
  /** Tries so far. */
  readonly tries: number;
  readonly createdMs: number;
  /** When the next try is due. */
  readonly nextMs: number;
}

export interface NotificationQueue {
  /**
   * Keeps one delivery for each destination, behind those that wait. What was enqueued before (same incident, event, snapshot and
   * address) is not enqueued again, delivered or not: whoever starts again may say it again.
   */
  enqueue(incident: string, notification: Notification, destinations: readonly Destination[]): void;
  /** Those without a body that are due, oldest first. */
  listUnmade(nowMs: number, limit: number): readonly Delivery[];
  setBody(id: string, body: string): void;
  /**
   * Of each incident and address the one whose turn it is; those behind it wait for it. By when they are due, and so many of each address
   * at most, so that one with many does not hide another.
   */
  listHeads(ofEach: number): readonly Delivery[];
  /** Before a try is made: counts it, and says when the next would be due. */
  noteTry(id: string, nextMs: number): void;
  /** The next try is due at another time. */
  postpone(id: string, nextMs: number): void;
  /** It was delivered or given up: no more tries, its body is forgotten, and the incident has the event. Idempotent. */
  finish(id: string, state: 'delivered' | 'given-up', event: IncidentEvent): void;
  /** How many wait for an address. */
  countWaiting(url: string): number;
}
