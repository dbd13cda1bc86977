/** A session over a tracer in memory, with a spool on disk, made anew for each test of a file. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, vi } from 'vitest';
import { defaultPolicy, type Policy } from '../../../agent/policy/policy.js';
import type { PointRequest, PointView } from '../../../agent/session/point.js';
import type { PointRecords } from '../../../agent/session/point-records.js';
import { Session } from '../../../agent/session/session.js';
import { Spool, type SpooledSnapshot } from '../../../agent/session/spool.js';
import { planOf, siteOf } from '../../support/plan.js';
import { FakeTracer } from './fake-tracer.js';

export class SessionLab {
  folder!: string;
  tracer!: FakeTracer;
  spool!: Spool;
  session!: Session;
  /** What all sessions told. */
  readonly snapshots: SpooledSnapshot[] = [];
  readonly views: PointView[] = [];

  begin(): void {
    this.folder = mkdtempSync(join(tmpdir(), 'stillframe-session-'));
    this.tracer = new FakeTracer();
    this.spool = new Spool({ folder: this.folder, maxBytes: 1024 * 1024 });
    this.snapshots.length = 0;
    this.views.length = 0;
    this.session = this.makeSession();
  }

  async end(): Promise<void> {
    await this.session[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }

  makeSession(policy: Policy = defaultPolicy(), records?: PointRecords): Session {
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const { tracer, spool } = this;
    const made = new Session({
      tracer,
      spool,
      policy,
      host: 'here',
      log,
      ...(records === undefined ? {} : { records }),
    });
    made.subscribe({
      snapshot: (snapshot) => this.snapshots.push(snapshot),
      point: (view) => this.views.push(view),
    });
    return made;
  }
}

/** To be called once by a file of tests: what it gives begins anew before each test. */
export function useSessions(): SessionLab {
  const lab = new SessionLab();
  beforeEach(() => lab.begin());
  afterEach(async () => {
    vi.useRealTimers();
    await lab.end();
  });
  return lab;
}

export function requestOf(more: Partial<PointRequest> = {}): PointRequest {
  return {
    id: 'p1',
    pids: [100],
    selector: '',
    plan: planOf([siteOf()], { request: { location: 'app.c:7', condition: 'x > 1', captures: [] } }),
    countOnly: false,
    maxHits: 1,
    everyProcess: false,
    minIntervalNs: 0n,
    owner: '',
    note: '',
    expiresMs: Date.now() + 3600_000,
    ...more,
  };
}

export function targetOf(pid: number): FakeTracer['targets'][number] {
  return {
    pid,
    comm: 'app',
    executable: '/usr/bin/app',
    args: [],
    buildId: '',
    uid: 0,
    unit: '',
    container: '',
    service: '',
    startTimeMs: 0,
    startTicks: 0n,
  };
}
