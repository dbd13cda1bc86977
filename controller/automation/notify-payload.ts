/** What a webhook is told of an incident: docs/webhook.md. Values of the target's variables only where the destination asked for them. */
import { formatTime } from '../snapshot/show.js';
import type { SnapshotRecord } from '../store/store.js';
import type { IncidentCause, IncidentSummary, StackGroup } from './incident.js';
import type { IncidentStore } from './incident-store.js';
import { distinct, timeText } from './incident-timeline.js';
import type { IncidentView } from './incident-view.js';
import type { Notification, NotificationKind } from './notify-queue.js';

/** Keys are only ever added within a version. */
export interface WebhookPayload {
  readonly version: '1';
  /** Equal for all tries, and in the header `Idempotency-Key`. */
  readonly delivery: string;
  readonly event: NotificationKind;
  /** When it happened. RFC 3339. */
  readonly time: string;
  /** As it was when this was first sent. */
  readonly incident: IncidentSummary;
  readonly cause: Omit<IncidentCause, 'rule'>;
  /** Of `snapshot`. */
  readonly snapshot?: WebhookSnapshot;
  /** Of `incident-closed`: most frequent first. */
  readonly groups?: readonly WebhookGroup[];
  readonly link?: string;
}

export interface WebhookSnapshot {
  readonly id: string;
  readonly time?: string;
  readonly point?: string;
  readonly host?: string;
  readonly pid?: number;
  readonly tid?: number;
  readonly comm?: string;
  readonly function?: string;
  readonly file?: string;
  readonly line?: number;
  readonly stack?: readonly string[];
  readonly values?: readonly { readonly name: string; readonly text: string }[];
}

export interface WebhookGroup {
  readonly stack: readonly string[];
  /** How many. */
  readonly count: number;
  /** Their ids, the oldest ones. */
  readonly snapshots: readonly string[];
  readonly same?: StackGroup['same'];
  /** Each text once, with how often it was there. */
  readonly different?: readonly { readonly name: string; readonly texts: readonly string[] }[];
  readonly note?: string;
}

export interface PayloadOptions {
  readonly view: IncidentView;
  readonly incidents: IncidentStore;
  /** Where a person can look at it. */
  readonly link?: (incident: string) => string;
}

const maxGroups = 10;
const maxSnapshotsTold = 50;
const maxValues = 20;
const maxTexts = 10;
const leftOut = '(a line of a log, left out: values are not included)';

/** Everything, values included: `withoutValues` takes them out again. */
export async function makePayload(
  { view, incidents, link }: PayloadOptions,
  incident: string,
  notification: Notification,
): Promise<Omit<WebhookPayload, 'delivery'>> {
  const { event, timeMs } = notification;
  const { cause } = incidents.findIncident(incident);
  const { rule: _, ...withoutRule } = cause;
  const snapshot =
    notification.snapshot === undefined
      ? undefined
      : await snapshotOf(view, incidents, incident, notification.snapshot);
  const groups =
    event === 'incident-closed' ? (await view.incident(incident)).groups.map(groupOf) : undefined;
  return {
    version: '1',
    event,
    time: timeText(timeMs),
    incident: await view.summary(incident),
    cause: withoutRule,
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(groups === undefined ? {} : { groups: groups.slice(0, maxGroups) }),
    ...(link === undefined ? {} : { link: link(incident) }),
  };
}

/** A line of a log is the target's word as well: of that trigger nothing is told but that it fired. */
export function withoutValues(payload: Omit<WebhookPayload, 'delivery'>): Omit<WebhookPayload, 'delivery'> {
  const { incident, cause, snapshot, groups } = payload;
  const told = cause.trigger === 'log' ? { text: leftOut, labels: {}, facts: {} } : cause;
  return {
    ...payload,
    incident: { ...incident, cause: told.text, labels: told.labels },
    cause: { ...cause, ...told },
    ...(snapshot === undefined ? {} : { snapshot: withoutSnapshotValues(snapshot) }),
    ...(groups === undefined ? {} : { groups: groups.map(withoutGroupValues) }),
  };
}

function withoutSnapshotValues(snapshot: WebhookSnapshot): WebhookSnapshot {
  const { values: _, ...rest } = snapshot;
  return rest;
}

function withoutGroupValues(group: WebhookGroup): WebhookGroup {
  const { same: _, different: __, ...rest } = group;
  return rest;
}

async function snapshotOf(
  view: IncidentView,
  incidents: IncidentStore,
  incident: string,
  id: string,
): Promise<WebhookSnapshot> {
  const record = incidents.listSnapshots(incident).find((snapshot) => snapshot.id === id);
  if (record === undefined) return { id };
  const { frames } = await view.snapshots.signature(record);
  const values = await valuesOf(view, record);
  const { point, host, pid, tid, comm, file, line } = record;
  return {
    id,
    time: formatTime(record.timeNs),
    point,
    host,
    pid,
    tid,
    comm,
    ...(record.function === undefined ? {} : { function: record.function }),
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    stack: frames,
    values,
  };
}

async function valuesOf(
  view: IncidentView,
  record: SnapshotRecord,
): Promise<readonly { readonly name: string; readonly text: string }[]> {
  const read = await view.snapshots.leaves(record);
  if ('error' in read) return [];
  return [...read.value.byName.values()]
    .filter(({ kind }) => kind !== 'set' && kind !== 'address')
    .slice(0, maxValues)
    .map(({ name, text }) => ({ name, text }));
}

function groupOf({ stack, snapshots, same, different, note }: StackGroup): WebhookGroup {
  return {
    stack,
    count: snapshots.length,
    snapshots: snapshots.slice(0, maxSnapshotsTold),
    same: same.slice(0, maxValues),
    different: different
      .slice(0, maxValues)
      .map(({ name, texts }) => ({ name, texts: distinct(texts).slice(0, maxTexts) })),
    ...(note === undefined ? {} : { note }),
  };
}
