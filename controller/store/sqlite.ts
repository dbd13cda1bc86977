/**
 * The embedded store: an SQLite index beside content-addressed core files. Several processes may use one folder at once.
 *
 * A snapshot is announced in `incoming`, then its file is made durable, then its row written and the announcement removed in
 * one transaction. Whoever opens the store finishes what a killed writer left between; a lost index is rebuilt from the
 * notes of the cores themselves.
 */
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import type { RuleStore } from '../automation/rule-store.js';
import type { IncidentStore } from '../automation/incident-store.js';
import type { NotificationQueue } from '../automation/notify-queue.js';
import type { StillframeNote } from '../../format/core/stillframe-note.js';
import { badData, withContext } from '../../format/error.js';
import { isIdentifier, pointOfArming } from '../../format/identifier.js';
import { blobPath, listBlobs, sweepIncoming, writeBlob } from './blob.js';
import {
  canaryText,
  pointFromRow,
  rowOfPoint,
  rowOfSnapshot,
  snapshotFromRow,
  type PointRow,
  type SnapshotRow,
} from './row.js';
import { FleetTables } from './fleet-tables.js';
import { openRuleStore } from './rule-store.js';
import { openIncidentStore } from './incident-store.js';
import { openNotificationQueue } from './notify-queue.js';
import { oneOf, prefixRange } from './reference.js';
import { migrate } from './schema.js';
import type {
  PointRecord,
  ReceivedSnapshot,
  SnapshotFilter,
  SnapshotRecord,
  SnapshotWriter,
  Store,
} from './store.js';

export interface StoreOptions {
  readonly folder: string;
  /** Reads the note of a core file; throws `bad-data`. */
  readonly readNote: (path: string) => StillframeNote;
}

const busyTimeoutMs = 10_000;
const maxNearest = 10;

/** What automation remembers lies in the same index, and is closed with it. */
export interface EmbeddedStore extends Store {
  readonly rules: RuleStore;
  readonly incidents: IncidentStore;
  readonly notifications: NotificationQueue;
}

export function openStore(options: StoreOptions): EmbeddedStore {
  const { folder } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, 'index.db');
  let database: Database;
  try {
    database = new Sqlite(path, { timeout: busyTimeoutMs });
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
  } catch (error) {
    throw withContext(`cannot open the store "${path}"`, error);
  }
  const isNew = migrate(database, path);
  const statements = prepare(database);
  const fleet = new FleetTables(database);

  const index = (id: string, sha256: string, point?: string): ReceivedSnapshot => {
    const file = blobPath(folder, sha256);
    const note = options.readNote(file);
    if (note.snapshot !== id) {
      throw badData(`cannot store snapshot ${id}: the note in the file says "${note.snapshot}"`);
    }
    if (point !== undefined && note.point !== point) {
      throw badData(
        `cannot store snapshot ${id}: it was announced for point "${point}", the note in the file says "${note.point}"`,
      );
    }
    const record = recordOfNote(note, { size: statSync(file).size, sha256 });
    // Counted and written in one transaction: a point never has more snapshots than it asks for, whoever else writes.
    const insert = database.transaction((): ReceivedSnapshot => {
      statements.forget.run(id);
      if (statements.hasSnapshot.get(id) !== undefined) return { kind: 'known', record };
      if (fleet.isFull(record.point)) {
        rmSync(file, { force: true });
        fleet.addSurplus(id, record.point);
        return { kind: 'surplus', point: record.point };
      }
      statements.insertSnapshot.run(rowOfSnapshot(record));
      return { kind: 'stored', record };
    });
    return insert.immediate();
  };
  const finish = (announced: readonly { readonly id: string; readonly sha256: string }[]): void => {
    for (const { id, sha256 } of announced) {
      try {
        if (existsSync(blobPath(folder, sha256))) index(id, sha256);
      } catch {
        // Not a snapshot that can be read: it stays a file, and costs nobody the rest.
      }
    }
  };
  finish(statements.incoming.all());
  if (isNew) finish(rebuild(folder, options));
  sweepIncoming(folder, Date.now());

  const incidents = openIncidentStore(database);
  return {
    folder,
    rules: openRuleStore(database),
    incidents,
    notifications: openNotificationQueue(database, incidents),
    putPoint: (point) => void statements.putPoint.run(rowOfPoint(point)),
    updatePoint: (id, status) => void statements.updatePoint.run({ id, end: '', ...status }),
    updateCanary: (id, canary) => void statements.updateCanary.run({ id, canary: canaryText(canary) }),
    updatePoints(updates) {
      const write = database.transaction(() => {
        for (const update of updates) statements.updatePoint.run({ end: '', ...update });
      });
      write.immediate();
    },
    listPoints: () => statements.points.all().map(pointFromRow),
    findPoint(reference): PointRecord {
      const rows = statements.pointsByPrefix.all(...prefixRange(reference));
      const nearest = (): string[] => statements.points.all().map((row) => row.id);
      return pointFromRow(oneOf(rows, { noun: 'point', reference, nearest, list: 'stillframe points' }));
    },

    getPoint(id) {
      const row = statements.point.get(id);
      return row === undefined ? undefined : pointFromRow(row);
    },
    deletePoint: (id) => fleet.deletePoint(id),
    putArmings: (armings) => fleet.putArmings(armings),
    listArmings: (point) => fleet.listArmings(point),
    countSnapshots: (point) => fleet.countSnapshots(point),

    receive({ id, size, sha256, point }): SnapshotWriter {
      if (!isIdentifier(id)) throw badData(`cannot store a snapshot: "${id}" is no id`);
      const known = statements.snapshot.get(id);
      if (known !== undefined) return discard({ kind: 'known', record: snapshotFromRow(known) });
      const blob = writeBlob(folder, { size, sha256 });
      statements.announce.run(id, sha256);
      return {
        write: (bytes) => blob.write(bytes),
        commit() {
          blob.commit();
          return index(id, sha256, point);
        },
        [Symbol.dispose]: () => blob[Symbol.dispose](),
      };
    },
    listSnapshots(filter: SnapshotFilter = {}) {
      const [low, high] = prefixRange(filter.point ?? '');
      return statements.snapshots.all(low, high, filter.sinceNs ?? 0n).map(snapshotFromRow);
    },
    findSnapshot(reference) {
      const rows =
        reference === 'last'
          ? statements.lastSnapshot.all()
          : statements.snapshotsByPrefix.all(...prefixRange(reference));
      const nearest = (): string[] => statements.latest.all(maxNearest).map((row) => row.id);
      return snapshotFromRow(
        oneOf(rows, { noun: 'snapshot', reference, nearest, list: 'stillframe snapshots' }),
      );
    },
    hasSnapshot: (id) => statements.hasSnapshot.get(id) !== undefined,
    pathOf: (snapshot) => blobPath(folder, snapshot.sha256),
    [Symbol.dispose]: () => database.close(),
  };
}

/** Takes what is here already, and keeps none of it. */
function discard(received: ReceivedSnapshot): SnapshotWriter {
  return { write: () => undefined, commit: () => received, [Symbol.dispose]: () => undefined };
}

export function recordOfNote(
  note: StillframeNote,
  file: { readonly size: number; readonly sha256: string },
): SnapshotRecord {
  const { location } = note;
  return {
    id: note.snapshot,
    point: pointOfArming(note.point),
    pid: note.pid,
    tid: note.tid,
    comm: note.comm,
    host: note.host,
    buildId: note.buildId,
    modulePath: note.modulePath,
    timeNs: note.timeNs,
    engine: note.engine,
    ...(location === undefined ? {} : { function: location.function, address: location.address }),
    ...(location?.file === undefined ? {} : { file: location.file }),
    ...(location?.line === undefined ? {} : { line: location.line }),
    ...file,
  };
}

/** All blobs with the ids that their notes say. */
function rebuild(folder: string, options: StoreOptions): { id: string; sha256: string }[] {
  return listBlobs(folder).flatMap((sha256) => {
    try {
      return [{ id: options.readNote(blobPath(folder, sha256)).snapshot, sha256 }];
    } catch {
      return [];
    }
  });
}

function prepare(database: Database) {
  database.defaultSafeIntegers(true);
  const range = 'id >= ? AND id < ? ORDER BY id LIMIT 20';
  return {
    putPoint: database.prepare<[PointRow]>(
      `INSERT INTO points VALUES (@id, @created_ms, @target, @location, @condition, @captures, @engine, @max_hits, @min_interval_ns,
       @expires_ms, @agent, @pids, @module_path, @build_id, @plan, @phase, @why, @kind, @every_process, @bounds, @owner, @note, @incident, @ending,
       @terms, @watch, @canary)
       ON CONFLICT (id) DO UPDATE SET pids = excluded.pids, agent = excluded.agent, plan = excluded.plan,
       phase = excluded.phase, why = excluded.why, ending = excluded.ending`,
    ),
    updatePoint: database.prepare<[{ id: string; phase: string; why: string; end: string }]>(
      'UPDATE points SET phase = @phase, why = @why, ending = @end WHERE id = @id',
    ),
    updateCanary: database.prepare<[{ id: string; canary: string }]>(
      'UPDATE points SET canary = @canary WHERE id = @id',
    ),
    points: database.prepare<[], PointRow>('SELECT * FROM points ORDER BY id'),
    pointsByPrefix: database.prepare<[string, string], PointRow>(`SELECT * FROM points WHERE ${range}`),
    point: database.prepare<[string], PointRow>('SELECT * FROM points WHERE id = ?'),
    announce: database.prepare<[string, string]>('INSERT OR REPLACE INTO incoming VALUES (?, ?)'),
    forget: database.prepare<[string]>('DELETE FROM incoming WHERE id = ?'),
    incoming: database.prepare<[], { id: string; sha256: string }>('SELECT id, sha256 FROM incoming'),
    insertSnapshot: database.prepare<[SnapshotRow]>(
      `INSERT OR IGNORE INTO snapshots VALUES (@id, @point, @pid, @tid, @comm, @host, @build_id, @module_path, @time_ns, @engine,
       @function, @file, @line, @address, @size, @sha256)`,
    ),
    snapshots: database.prepare<[string, string, bigint], SnapshotRow>(
      'SELECT * FROM snapshots WHERE point >= ? AND point < ? AND time_ns >= ? ORDER BY time_ns, id',
    ),
    snapshotsByPrefix: database.prepare<[string, string], SnapshotRow>(
      `SELECT * FROM snapshots WHERE ${range}`,
    ),
    lastSnapshot: database.prepare<[], SnapshotRow>(
      'SELECT * FROM snapshots ORDER BY time_ns DESC, id DESC LIMIT 1',
    ),
    latest: database.prepare<[number], { id: string }>(
      'SELECT id FROM snapshots ORDER BY time_ns DESC LIMIT ?',
    ),
    hasSnapshot: database.prepare<[string], { one: bigint }>('SELECT 1 AS one FROM snapshots WHERE id = ?'),
    snapshot: database.prepare<[string], SnapshotRow>('SELECT * FROM snapshots WHERE id = ?'),
  };
}
