/** Webhook calls that wait, in the embedded store. One that is done keeps its row without its body, so that it is not enqueued again. */
import { randomBytes } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { StillframeError } from '../../format/error.js';
import { makeIdentifier } from '../../format/identifier.js';
import type { IncidentEvent, IncidentLog } from '../automation/incident.js';
import {
  notificationKinds,
  type Delivery,
  type Destination,
  type Notification,
  type NotificationKind,
  type NotificationQueue,
} from '../automation/notify-queue.js';

interface DeliveryRow {
  readonly id: string;
  readonly incident: string;
  readonly event: string;
  /** Empty for events that are not of a snapshot. */
  readonly snapshot: string;
  readonly time_ms: bigint;
  readonly url: string;
  readonly token_file: string | null;
  readonly secret_file: string | null;
  readonly include_values: bigint;
  readonly body: string | null;
  readonly tries: bigint;
  readonly created_ms: bigint;
  readonly next_ms: bigint;
}

export function openNotificationQueue(database: Database, incidents: IncidentLog): NotificationQueue {
  const statements = prepare(database);

  const enqueue = (
    incident: string,
    { event, timeMs, snapshot = '' }: Notification,
    destinations: readonly Destination[],
  ): void => {
    const nowMs = Date.now();
    for (const { url, tokenFile, secretFile, includeValues = false } of destinations) {
      statements.insert.run({
        // NB: ids of one millisecond may meet by chance, and an ignored row would be a lost delivery: so twice the chance.
        id: makeIdentifier(nowMs, randomBytes(4)) + randomBytes(8).toString('hex'),
        incident,
        event,
        snapshot,
        time_ms: BigInt(Math.floor(timeMs)),
        url,
        token_file: tokenFile ?? null,
        secret_file: secretFile ?? null,
        include_values: includeValues ? 1n : 0n,
        created_ms: BigInt(nowMs),
        next_ms: BigInt(nowMs),
      });
    }
  };
  const finish = (id: string, state: string, event: IncidentEvent): void => {
    const incident = statements.waiting.get(id)?.incident;
    if (incident === undefined) return;
    statements.finish.run(state, id);
    incidents.add(incident, event);
  };

  return {
    enqueue: (...call) => database.transaction(enqueue).immediate(...call),
    listUnmade: (nowMs, limit) => statements.unmade.all(BigInt(Math.floor(nowMs)), limit).map(deliveryOf),
    setBody: (id, body) => void statements.setBody.run(body, id),
    listHeads: (ofEach) => statements.heads.all(ofEach).map(deliveryOf),
    noteTry: (id, nextMs) => void statements.noteTry.run(BigInt(Math.ceil(nextMs)), id),
    postpone: (id, nextMs) => void statements.postpone.run(BigInt(Math.ceil(nextMs)), id),
    finish: (...call) => database.transaction(finish).immediate(...call),
    countWaiting: (url) => Number(statements.count.get(url)?.count ?? 0n),
  };
}

function deliveryOf(row: DeliveryRow): Delivery {
  return {
    id: row.id,
    incident: row.incident,
    notification: {
      event: kindFrom(row.event),
      timeMs: Number(row.time_ms),
      ...(row.snapshot === '' ? {} : { snapshot: row.snapshot }),
    },
    destination: {
      url: row.url,
      ...(row.token_file === null ? {} : { tokenFile: row.token_file }),
      ...(row.secret_file === null ? {} : { secretFile: row.secret_file }),
      includeValues: row.include_values !== 0n,
    },
    body: row.body ?? undefined,
    tries: Number(row.tries),
    createdMs: Number(row.created_ms),
    nextMs: Number(row.next_ms),
  };
}

function kindFrom(text: string): NotificationKind {
  const kind = notificationKinds.find((name) => name === text);
  if (kind === undefined) {
    throw new StillframeError('bad-data', `cannot read the store: unknown notification "${text}"`);
  }
  return kind;
}

function prepare(database: Database) {
  database.defaultSafeIntegers(true);
  return {
    insert: database.prepare<[Omit<DeliveryRow, 'body' | 'tries'>]>(
      `INSERT INTO deliveries (id, incident, event, snapshot, time_ms, url, token_file, secret_file, include_values, tries, created_ms,
         next_ms, state)
       VALUES (@id, @incident, @event, @snapshot, @time_ms, @url, @token_file, @secret_file, @include_values, 0, @created_ms,
         @next_ms, 'waiting')
       ON CONFLICT (incident, event, snapshot, url) DO NOTHING`,
    ),
    waiting: database.prepare<[string], { incident: string }>(
      `SELECT incident FROM deliveries WHERE id = ? AND state = 'waiting'`,
    ),
    unmade: database.prepare<[bigint, number], DeliveryRow>(
      `SELECT * FROM deliveries WHERE state = 'waiting' AND body IS NULL AND next_ms <= ? ORDER BY number LIMIT ?`,
    ),
    setBody: database.prepare<[string, string]>('UPDATE deliveries SET body = ? WHERE id = ?'),
    heads: database.prepare<[number], DeliveryRow>(
      `SELECT * FROM (
         SELECT *, row_number() OVER (PARTITION BY url ORDER BY next_ms, number) AS place FROM deliveries WHERE number IN (
           SELECT min(number) FROM deliveries WHERE state = 'waiting' GROUP BY incident, url
         )
       ) WHERE place <= ? ORDER BY next_ms, number`,
    ),
    postpone: database.prepare<[bigint, string]>(
      `UPDATE deliveries SET next_ms = ? WHERE id = ? AND state = 'waiting'`,
    ),
    noteTry: database.prepare<[bigint, string]>(
      'UPDATE deliveries SET tries = tries + 1, next_ms = ? WHERE id = ?',
    ),
    finish: database.prepare<[string, string]>('UPDATE deliveries SET state = ?, body = NULL WHERE id = ?'),
    count: database.prepare<[string], { count: bigint }>(
      `SELECT count(*) AS count FROM deliveries WHERE state = 'waiting' AND url = ?`,
    ),
  };
}
