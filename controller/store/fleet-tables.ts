/** What a store keeps for points of a fleet beside the points themselves: where they are armed, and what came in excess of them. */
import type { Database } from 'better-sqlite3';
import { armingFromRow, rowOfArming, type ArmingRow } from './row.js';
import type { ArmingRecord, SnapshotCount } from './store.js';

/** Of one point: an agent that sends more than anybody asked for fills no table. */
const maxSurplus = 10_000;
/** Of a point that takes so many hits of every process, however many processes there are. */
const maxOfEveryProcess = 100_000;

type PointBound = { readonly max_hits: bigint; readonly every_process: bigint };
type Count = { readonly count: bigint };

export class FleetTables {
  readonly #database: Database;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: Database) {
    this.#database = database;
    this.#statements = prepare(database);
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

  countSnapshots(point: string): SnapshotCount {
    return {
      stored: Number(this.#count('stored', point)),
      surplus: Number(this.#count('surplus', point)),
    };
  }

  #count(what: 'stored' | 'surplus', point: string): bigint {
    return this.#statements[what].get(point)?.count ?? 0n;
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
