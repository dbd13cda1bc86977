/** A point keeper on a store of its own over a fleet in memory; what a test of it needs, in one place. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { PointKeeper } from '../../../controller/fleet/point-keeper.js';
import type { PointSpec } from '../../../controller/fleet/points.js';
import type { PointDocument } from '../../../controller/service/documents.js';
import { openStore } from '../../../controller/store/sqlite.js';
import type { SnapshotRecord, Store } from '../../../controller/store/store.js';
import { readTestNote } from '../store/snapshot-bytes.js';
import { FakeFleet, FakePlanner } from './fake-fleet.js';
import { SymbolsHere } from '../../../controller/service/symbols-here.js';

export class KeeperBench implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'stillframe-keeper-'));
  readonly planner: FakePlanner = new FakePlanner();
  readonly fleet: FakeFleet;
  /** Snapshots in the order in which they were announced. */
  readonly announced: SnapshotRecord[] = [];
  readonly told: PointDocument[] = [];
  readonly logged: string[] = [];
  store: Store;
  keeper: PointKeeper;

  constructor(...hosts: string[]) {
    this.store = this.#openStore();
    this.fleet = new FakeFleet(this.store, ...hosts);
    this.keeper = this.#makeKeeper();
  }

  /** As if the controller had been killed with -9 and started again: nothing of the old one is done any more. */
  crash(wrap: (store: Store) => Store = (store) => store): void {
    this.store[Symbol.dispose]();
    // Its timers are all that is left of it.
    void this.keeper[Symbol.asyncDispose]().catch(() => undefined);
    this.store = wrap(this.#openStore());
    this.fleet.reopen(this.store);
    this.keeper = this.#makeKeeper();
  }

  set(part: Partial<PointSpec> = {}, strict = false): Promise<PointDocument> {
    return this.keeper.set(specOf(part), { strict });
  }

  document(id: string): PointDocument {
    const found = this.keeper.list().find((point) => point.id === id);
    if (found === undefined) throw new Error(`no point ${id}`);
    return found;
  }

  why(id: string): string {
    return this.document(id).why;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.keeper[Symbol.asyncDispose]();
    this.store[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #openStore(): Store {
    return openStore({ folder: this.folder, readNote: readTestNote });
  }

  #makeKeeper(): PointKeeper {
    const log = (facts: object, message: string): void =>
      void this.logged.push(`${message} ${JSON.stringify(facts)}`);
    const keeper = new PointKeeper({
      store: this.store,
      fleet: this.fleet,
      symbols: new SymbolsHere(() => {
        throw new Error('plans are made by the fake planner');
      }),
      log: { info: () => undefined, warn: log, error: log },
      planner: this.planner,
    });
    keeper.listen({
      point: (point) => void this.told.push(point),
      snapshot: (record) => void this.announced.push(record),
    });
    return keeper;
  }
}

export function specOf(part: Partial<PointSpec>): PointSpec {
  return {
    kind: 'snapshot',
    target: 'name:shop',
    location: 'orders.c:70',
    captures: [],
    engine: '',
    bounds: {},
    maxHits: 1,
    everyProcess: false,
    minIntervalNs: 0n,
    expiresMs: Date.now() + 3_600_000,
    owner: 'ada@desk',
    note: '',
    ...part,
  };
}

/** Lets all that is under way come to rest. */
export async function rest(): Promise<void> {
  for (let i = 0; i < 50; i++) await turn();
}
