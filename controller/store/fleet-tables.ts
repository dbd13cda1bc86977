/** What a store keeps for points of a fleet beside the points themselves: where they are armed, and what came in excess of them. */
import { join } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import { StillframeError, withContext } from '../../format/error.js';
import { armingFromRow, rowOfArming, type ArmingRow } from './row.js';
import type { ArmingRecord } from './store.js';

/** Of one point: an agent that sends more than anybody asked for fills no table. */
const maxSurplus = 10_000;
/** Of a point that takes so many hits of every process, however many processes there are. */
const maxOfEveryProcess = 100_000;

type PointBound = { readonly max_hits: bigint; readonly every_process: bigint };
type Count = { readonly count: bigint };

export class FleetTables {
  readonly #database: Database;
  readonly #folder: string;
  readonly #statements: ReturnType<typeof prepare>;
  #claim: Database | undefined;

  constructor(database: Database, folder: string) {
    this.#database = database;
    this.#folder = folder;
    this.#statements = prepare(database);
  }

  /** See `Store.claimPoints`. The lock is the kernel's, on a file of its own, so it goes with the process. */
  claim(): Disposable {
    const path = join(this.#folder, 'keeper.lock');
    const lock = openLock(path);
    this.#claim = lock;
    return { [Symbol.dispose]: () => void lock.close() };
  }

  putArmings(armings: readonly ArmingRecord[]): void {
    this.#database
      .transaction(() => {
        for (const arming of armings) this.#statements.putArming.run(rowOfArming(arming));
      })
      .immediate();
  }

  listArmings(point?: string): readonly ArmingRecord[] {
    const { armings, armingsOfPoint } = this.#statements;
    return (point === undefined ? armings.all() : armingsOfPoint.all(point)).map(armingFromRow);
  }

  deletePoint(id: string): void {
    this.#database
      .transaction(() => {
        this.#statements.deleteArmings.run(id);
        this.#statements.deletePoint.run(id);
      })
      .immediate();
  }

  /** Whether a snapshot of that point is one too many. Within a transaction, with what follows from it. */
  isFull(point: string): boolean {
    const bound = this.#statements.bound.get(point);
    if (bound === undefined) return false;
    const most = bound.every_process === 0n ? bound.max_hits : BigInt(maxOfEveryProcess);
    return this.#count('stored', point) >= most;
  }

  addSurplus(id: string, point: string): void {
    if (this.#count('surplus', point) < maxSurplus) this.#statements.addSurplus.run(id, point);
  }

  countSnapshots(point: string): { readonly stored: number; readonly surplus: number } {
    return {
      stored: Number(this.#count('stored', point)),
      surplus: Number(this.#count('surplus', point)),
    };
  }

  close(): void {
    this.#claim?.close();
  }

  #count(what: 'stored' | 'surplus', point: string): bigint {
    return this.#statements[what].get(point)?.count ?? 0n;
  }
}

function openLock(path: string): Database {
  let lock: Database;
  try {
    lock = new Sqlite(path, { timeout: 0 });
  } catch (error) {
    throw withContext(`cannot open "${path}"`, error);
  }
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (error instanceof Sqlite.SqliteError && error.code === 'SQLITE_BUSY') {
      throw new StillframeError(
        'usage',
        `another controller keeps the points of this store: "${path}" is locked`,
        {
          hint: 'stop it, or give another --store',
          cause: error,
        },
      );
    }
    throw withContext(`cannot lock "${path}"`, error);
  }
}

function prepare(database: Database) {
  return {
    putArming: database.prepare<[ArmingRow]>(
      `INSERT INTO armings VALUES (@id, @point, @agent, @host, @build_id, @state, @why, @count)
       ON CONFLICT (agent, id) DO UPDATE SET host = excluded.host, state = excluded.state, why = excluded.why,
       count = excluded.count`,
    ),
    armings: database.prepare<[], ArmingRow>('SELECT * FROM armings ORDER BY point, host, id'),
    armingsOfPoint: database.prepare<[string], ArmingRow>(
      'SELECT * FROM armings WHERE point = ? ORDER BY host, id',
    ),
    deleteArmings: database.prepare<[string]>('DELETE FROM armings WHERE point = ?'),
    deletePoint: database.prepare<[string]>('DELETE FROM points WHERE id = ?'),
    // An empty plan is what tells a point of a fleet.
    bound: database.prepare<[string], PointBound>(
      'SELECT max_hits, every_process FROM points WHERE id = ? AND length(plan) = 0',
    ),
    stored: database.prepare<[string], Count>('SELECT count(*) AS count FROM snapshots WHERE point = ?'),
    surplus: database.prepare<[string], Count>('SELECT count(*) AS count FROM surplus WHERE point = ?'),
    addSurplus: database.prepare<[string, string]>('INSERT OR IGNORE INTO surplus VALUES (?, ?)'),
  };
}
