/** Incidents in the embedded store: rows to records and back, each call one transaction. */
import { randomBytes } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { StillframeError } from '../../format/error.js';
import { isIdentifier, makeIdentifier } from '../../format/identifier.js';
import {
  eventKinds,
  type IncidentCause,
  type IncidentEvent,
  type EventKind,
} from '../automation/incident.js';
import {
  incidentLimits,
  signatureVersion,
  type IncidentQuery,
  type IncidentRecord,
  type IncidentStore,
} from '../automation/incident-store.js';
import { boundedEntries, boundedText, entriesFrom } from './bounded-text.js';
import { oneOf, prefixRange } from './reference.js';
import { pointFromRow, snapshotFromRow, type PointRow, type SnapshotRow } from './row.js';

interface IncidentRow {
  readonly id: string;
  readonly rule: string;
  readonly cause_trigger: string;
  readonly text: string;
  readonly labels: string;
  readonly facts: string;
  readonly started_ms: bigint;
  readonly closed_ms: bigint | null;
  readonly events: bigint;
  readonly dropped_events: bigint;
}

interface EventRow {
  readonly incident: string;
  readonly number: bigint;
  readonly time_ms: bigint;
  readonly kind: string;
  readonly text: string;
  readonly facts: string;
}

const maxNearest = 10;
/** Where the event stands that counts those that are not kept: behind all others, `closed` included. */
const overflowNumber = 1n << 40n;

export function openIncidentStore(database: Database): IncidentStore {
  const statements = prepare(database);

  const insertEvent = (incident: string, number: bigint, event: IncidentEvent): void => {
    statements.insertEvent.run({
      incident,
      number,
      time_ms: BigInt(Math.floor(event.timeMs)),
      kind: event.kind,
      text: boundedText(event.text, incidentLimits.maxTextCharacters),
      facts: JSON.stringify(boundedEntries(event.facts)),
    });
  };
  /** Throws `not-found`. */
  const rowOf = (id: string): IncidentRow => {
    const row = statements.incident.get(id);
    if (row === undefined) throw new StillframeError('not-found', `no incident "${id}"`);
    return row;
  };
  const append = (incident: string, event: IncidentEvent): void => {
    const { events, dropped_events: dropped } = rowOf(incident);
    const named = event.kind === 'snapshot' ? event.facts['snapshot'] : undefined;
    if (typeof named === 'string' && isIdentifier(named)) {
      statements.nameSnapshot.run(incident, named, incident, incidentLimits.maxNamedSnapshots);
    }
    if (event.kind === 'closed' || events < incidentLimits.maxEvents) {
      insertEvent(incident, events, event);
      statements.countEvent.run(incident);
      return;
    }
    statements.dropEvent.run(incident);
    insertEvent(incident, overflowNumber, overflow(Number(dropped) + 1, event.timeMs));
  };
  const open = (cause: IncidentCause, timeMs: number): string => {
    const id = freeIdentifier(timeMs, (candidate) => statements.incident.get(candidate) !== undefined);
    statements.insertIncident.run({
      id,
      rule: cause.rule,
      cause_trigger: cause.trigger,
      text: boundedText(cause.text, incidentLimits.maxTextCharacters),
      labels: JSON.stringify(boundedEntries(cause.labels)),
      facts: JSON.stringify(boundedEntries(cause.facts)),
      started_ms: BigInt(Math.floor(timeMs)),
    });
    append(id, { timeMs, kind: 'fired', text: cause.text, facts: cause.facts });
    return id;
  };
  const close = (incident: string, why: string, timeMs: number): void => {
    if (rowOf(incident).closed_ms !== null) return;
    statements.close.run(BigInt(Math.floor(timeMs)), incident);
    append(incident, { timeMs, kind: 'closed', text: why, facts: {} });
  };

  return {
    open: (cause, timeMs) => database.transaction(open).immediate(cause, timeMs),
    add: (incident, event) => database.transaction(append).immediate(incident, event),
    close: (incident, why, timeMs) => database.transaction(close).immediate(incident, why, timeMs),
    listOpen: () => statements.open.all(),
    listIncidents(query: IncidentQuery = {}) {
      const since = BigInt(Math.floor(query.sinceMs ?? 0));
      const rows = statements.incidents.all(since, query.rule ?? null, query.rule ?? null);
      return rows.map(recordOf);
    },
    findIncident(reference) {
      const rows =
        reference === 'last' ? statements.last.all() : statements.byPrefix.all(...prefixRange(reference));
      const nearest = (): string[] => statements.latest.all(maxNearest).map((row) => row.id);
      return recordOf(oneOf(rows, { noun: 'incident', reference, nearest, list: 'stillframe incidents' }));
    },
    listEvents: (incident) => statements.events.all(incident).map(eventOf),
    listPoints: (incident) => statements.points.all(incident).map(pointFromRow),
    listSnapshots: (incident) => statements.snapshots.all(incident, incident).map(snapshotFromRow),
    findSignature(snapshot) {
      const row = statements.signature.get(snapshot, signatureVersion);
      return row === undefined ? undefined : { key: row.key, frames: textsFrom(row.frames) };
    },
    putSignature: (snapshot, { key, frames }) =>
      void statements.putSignature.run(snapshot, signatureVersion, key, JSON.stringify(frames)),
  };
}

/** NB: an id ends in four characters of chance: two incidents of one millisecond may meet. */
function freeIdentifier(timeMs: number, isTaken: (id: string) => boolean): string {
  for (let i = 0; i < 100; i++) {
    const id = makeIdentifier(timeMs, randomBytes(4));
    if (!isTaken(id)) return id;
  }
  throw new StillframeError('internal', 'cannot make an id for an incident: all that were tried are taken');
}

function overflow(dropped: number, timeMs: number): IncidentEvent {
  const text = `an incident keeps ${incidentLimits.maxEvents} events: ${dropped} that came later ${dropped === 1 ? 'is' : 'are'} not kept`;
  return { timeMs, kind: 'bound', text, facts: { dropped } };
}

function recordOf(row: IncidentRow): IncidentRecord {
  return {
    id: row.id,
    cause: {
      rule: row.rule,
      trigger: row.cause_trigger,
      text: row.text,
      labels: Object.fromEntries(
        Object.entries(entriesFrom(row.labels)).map(([name, value]) => [name, String(value)]),
      ),
      facts: entriesFrom(row.facts),
    },
    startedMs: Number(row.started_ms),
    ...(row.closed_ms === null ? {} : { closedMs: Number(row.closed_ms) }),
  };
}

function eventOf(row: EventRow): IncidentEvent {
  return {
    timeMs: Number(row.time_ms),
    kind: kindFrom(row.kind),
    text: row.text,
    facts: entriesFrom(row.facts),
  };
}

function kindFrom(text: string): EventKind {
  const kind = eventKinds.find((name) => name === text);
  if (kind === undefined) {
    throw new StillframeError('bad-data', `cannot read the store: unknown event "${text}" of an incident`);
  }
  return kind;
}

function textsFrom(json: string): string[] {
  const list: unknown = JSON.parse(json);
  return Array.isArray(list) ? list.map(String) : [];
}

function prepare(database: Database) {
  database.defaultSafeIntegers(true);
  return {
    insertIncident: database.prepare<[Omit<IncidentRow, 'closed_ms' | 'events' | 'dropped_events'>]>(
      `INSERT INTO incidents VALUES (@id, @rule, @cause_trigger, @text, @labels, @facts, @started_ms, NULL, 0, 0)`,
    ),
    incident: database.prepare<[string], IncidentRow>('SELECT * FROM incidents WHERE id = ?'),
    incidents: database.prepare<[bigint, string | null, string | null], IncidentRow>(
      'SELECT * FROM incidents WHERE started_ms >= ? AND (? IS NULL OR rule = ?) ORDER BY started_ms, id',
    ),
    byPrefix: database.prepare<[string, string], IncidentRow>(
      'SELECT * FROM incidents WHERE id >= ? AND id < ? ORDER BY id LIMIT 20',
    ),
    last: database.prepare<[], IncidentRow>(
      'SELECT * FROM incidents ORDER BY started_ms DESC, id DESC LIMIT 1',
    ),
    latest: database.prepare<[number], { id: string }>(
      'SELECT id FROM incidents ORDER BY started_ms DESC, id DESC LIMIT ?',
    ),
    open: database.prepare<[], { id: string; rule: string }>(
      'SELECT id, rule FROM incidents WHERE closed_ms IS NULL ORDER BY id',
    ),
    close: database.prepare<[bigint, string]>('UPDATE incidents SET closed_ms = ? WHERE id = ?'),
    countEvent: database.prepare<[string]>('UPDATE incidents SET events = events + 1 WHERE id = ?'),
    dropEvent: database.prepare<[string]>(
      'UPDATE incidents SET dropped_events = dropped_events + 1 WHERE id = ?',
    ),
    insertEvent: database.prepare<[EventRow]>(
      `INSERT INTO incident_events VALUES (@incident, @number, @time_ms, @kind, @text, @facts)
       ON CONFLICT (incident, number) DO UPDATE SET text = excluded.text, facts = excluded.facts`,
    ),
    events: database.prepare<[string], EventRow>(
      'SELECT * FROM incident_events WHERE incident = ? ORDER BY number',
    ),
    nameSnapshot: database.prepare<[string, string, string, number]>(
      `INSERT OR IGNORE INTO incident_snapshots SELECT ?, ?
       WHERE (SELECT count(*) FROM incident_snapshots WHERE incident = ?) < ?`,
    ),
    points: database.prepare<[string], PointRow>(
      'SELECT * FROM points WHERE incident = ? ORDER BY created_ms, id',
    ),
    // A snapshot says its point, or an arming of its point: the point's id and more.
    snapshots: database.prepare<[string, string], SnapshotRow>(
      `SELECT * FROM snapshots WHERE id IN (
         SELECT snapshots.id FROM points JOIN snapshots
           ON snapshots.point >= points.id AND snapshots.point < points.id || '.'
         WHERE points.incident = ?
         UNION SELECT snapshot FROM incident_snapshots WHERE incident = ?
       ) ORDER BY time_ns, id`,
    ),
    signature: database.prepare<[string, number], { key: string; frames: string }>(
      'SELECT key, frames FROM stack_signatures WHERE snapshot = ? AND version = ?',
    ),
    putSignature: database.prepare<[string, number, string, string]>(
      'INSERT OR REPLACE INTO stack_signatures VALUES (?, ?, ?, ?)',
    ),
  };
}
