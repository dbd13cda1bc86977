/**
 * A controller over real agents, in the test's process so that its parts can be looked at, and be dropped as if it had been killed. Programs
 * have names and paths of their own: other tests run on the same machine.
 */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { openFleet, type AgentFleet } from '../../controller/fleet/agent-fleet.js';
import { PointKeeper } from '../../controller/fleet/point-keeper.js';
import type { PointSpec } from '../../controller/fleet/points.js';
import { openEmbeddedStore } from '../../controller/service/embedded-store.js';
import { FleetController } from '../../controller/service/fleet-controller.js';
import type { PointDocument } from '../../controller/service/documents.js';
import { openSymbols } from '../../controller/service/symbols.js';
import type { Store } from '../../controller/store/store.js';
import { openWorkplace, type StartedProgram, type Workplace } from './cli.js';
import { buildTicker } from './ticker.js';
import { SymbolsHere } from '../../controller/service/symbols-here.js';

let names = 0;

export class FleetPlace implements AsyncDisposable {
  readonly place: Workplace = openWorkplace();
  /** Of the program that points are set in. */
  readonly name: string = `tick${process.pid}x${++names}`;
  store!: Store;
  fleet!: AgentFleet;
  points!: PointKeeper;
  controller!: FleetController;

  get socket(): string {
    return this.place.environment['STILLFRAME_AGENT'] ?? '';
  }

  open(
    agents: readonly string[] = [this.socket],
    folder: string = join(this.place.folder, 'controller'),
  ): void {
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    this.store = openEmbeddedStore(folder);
    this.fleet = openFleet({ agents, tls: undefined, store: this.store, log });
    this.points = new PointKeeper({
      store: this.store,
      fleet: this.fleet,
      symbols: new SymbolsHere(openSymbols),
      log,
    });
    this.controller = new FleetController({
      fleet: this.fleet,
      points: this.points,
      store: this.store,
      symbols: new SymbolsHere(openSymbols),
    });
  }

  async close(): Promise<void> {
    await this.points[Symbol.asyncDispose]();
    await this.fleet[Symbol.asyncDispose]();
    this.store[Symbol.dispose]();
  }

  /** As if it had been killed: nothing more is written or said. */
  async drop(): Promise<void> {
    this.store[Symbol.dispose]();
    await this.fleet[Symbol.asyncDispose]();
    await this.points[Symbol.asyncDispose]();
  }

  connected(count: number): Promise<void> {
    return expect.poll(() => this.fleet.agents().length).toBe(count);
  }

  /** The ticker under a name of this place. */
  program(): string {
    const path = join(this.place.folder, this.name);
    copyFileSync(buildTicker(), path);
    return path;
  }

  start(path: string = this.program()): Promise<StartedProgram> {
    return this.place.startProgram(path, [], { ready: /^ready$/ });
  }

  spec(part: Partial<PointSpec> = {}): PointSpec {
    return {
      kind: 'snapshot',
      target: `name:${this.name}`,
      location: 'pass',
      captures: [],
      engine: '',
      bounds: {},
      maxHits: 1,
      everyProcess: false,
      minIntervalNs: 0n,
      expiresMs: Date.now() + 600_000,
      owner: 'test',
      note: '',
      ...part,
    };
  }

  document(id: string): PointDocument {
    const found = this.points.list().find((point) => point.id === id);
    if (found === undefined) throw new Error(`no point ${id}`);
    return found;
  }

  state(id: string, wanted: string): Promise<void> {
    return expect.poll(() => this.document(id)).toMatchObject({ state: wanted });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.place[Symbol.asyncDispose]();
  }
}
