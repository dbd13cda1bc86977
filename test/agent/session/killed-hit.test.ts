import fs, { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { defaultPolicy } from '../../../agent/policy/policy.js';
import type { PointRequest } from '../../../agent/session/point.js';
import { PointRecords } from '../../../agent/session/point-records.js';
import { Session } from '../../../agent/session/session.js';
import { Spool } from '../../../agent/session/spool.js';
import { planOf, siteOf } from '../../support/plan.js';
import { FakeTracer } from './fake-tracer.js';
import { requestOf as anyRequest, targetOf } from './session-lab.js';

/** After how many more changes to the disk the agent is killed: what it would have done after that does not happen. */
const disk = { changesLeft: Infinity, isKilled: false };

const { openSync, writeSync, renameSync, rmSync: remove } = fs;
const real = { openSync, writeSync, renameSync, rmSync: remove };

function step(): void {
  disk.changesLeft -= 1;
  disk.isKilled ||= disk.changesLeft < 0;
  if (disk.isKilled) throw new Error('killed');
}

beforeAll(() => {
  for (const [name, change] of Object.entries<(...args: never[]) => unknown>(real)) {
    Object.assign(fs, {
      [name]: (...args: never[]) => {
        step();
        return change(...args);
      },
    });
  }
  // Modules that have imported them see these from now on.
  syncBuiltinESMExports();
});
afterAll(() => {
  Object.assign(fs, real);
  syncBuiltinESMExports();
});

const id = '0000000000p1';
let folder: string;
let tracer: FakeTracer;
let session: Session;

/** As after kill -9: what is on disk is all that there is. */
async function startAgent(): Promise<void> {
  disk.changesLeft = Infinity;
  disk.isKilled = false;
  tracer = new FakeTracer();
  tracer.targets = [100, 200].map((pid) => ({ ...targetOf(pid), startTicks: BigInt(pid) }));
  session = new Session({
    tracer,
    spool: new Spool({ folder, maxBytes: 1024 * 1024 }),
    policy: defaultPolicy(),
    host: 'here',
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    records: new PointRecords(join(folder, 'points')),
  });
  await session.restore();
}

/** A hit, and the agent killed before it has changed the disk so often; whether it was. */
function hitAndKill(pid: number, changes: number): boolean {
  disk.changesLeft = changes;
  tracer.hit(id, pid);
  return disk.isKilled;
}

const requestOf = (more: Partial<PointRequest>): PointRequest =>
  anyRequest({ id, pids: [100, 200], plan: planOf([siteOf()]), ...more });

/** What the tracer would still deliver, by pid. */
const left = (): Record<string, number> =>
  Object.fromEntries([...tracer.armed.values()].map(({ pid, maxHits }) => [pid, maxHits]));

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-killed-'));
  await startAgent();
});
afterEach(async () => {
  disk.isKilled = false;
  disk.changesLeft = Infinity;
  await session[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Row {
  readonly maxHits: number;
  readonly everyProcess: boolean;
  /** Hits of process 100 before the one that the kill falls on. */
  readonly before: number;
}

test.each<Row>([
  { maxHits: 1, everyProcess: false, before: 0 },
  { maxHits: 3, everyProcess: false, before: 0 },
  { maxHits: 3, everyProcess: false, before: 1 },
  { maxHits: 3, everyProcess: false, before: 2 },
  { maxHits: 1, everyProcess: true, before: 0 },
  { maxHits: 2, everyProcess: true, before: 1 },
])('wherever the kill falls, no hit is lost or doubled: %o', async ({ maxHits, everyProcess, before }) => {
  let steps = 0;
  for (let isKilled = true; isKilled; steps++) {
    rmSync(folder, { recursive: true, force: true });
    await startAgent();
    await session.arm(requestOf({ maxHits, everyProcess }));
    for (let i = 0; i < before; i++) tracer.hit(id, 100);
    isKilled = hitAndKill(100, steps);
    await startAgent();
    // The controller had not heard of the end, and asks again.
    await session.arm(requestOf({ maxHits, everyProcess }));
    const spooled = session.spool.list().length;
    const kept = maxHits - spooled;
    expect([before, before + 1]).toContain(spooled);
    if (everyProcess) expect(left()).toEqual({ ...(kept > 0 ? { 100: kept } : {}), 200: maxHits });
    else expect(left()).toEqual(kept > 0 ? { 100: kept, 200: kept } : {});
    // Acknowledged, it is no longer in the spool: the record says it now.
    for (const { id: snapshot } of session.spool.list()) session.acknowledge(snapshot);
    const armed = left();
    await startAgent();
    await session.arm(requestOf({ maxHits, everyProcess }));
    expect(left()).toEqual(armed);
  }
  // Two files of the spool, one record: each opened, written, moved into place.
  expect(steps).toBeGreaterThan(9);
});

test('a point whose only hit came before it was written down', async () => {
  tracer.whileArming = ({ pid }) => {
    if (pid === 100) hitAndKill(100, 7);
  };
  await session.arm(requestOf({})).catch(() => undefined);
  expect(disk.isKilled).toBe(true);
  await startAgent();
  expect(session.spool.list()).toHaveLength(1);
  expect(await session.points()).toEqual([]);
  expect(await session.arm(requestOf({}))).toMatchObject({ phase: 'ended', end: 'hits' });
  expect(tracer.calls).toEqual([]);
});

test('what a hit leaves in the spool says which hit it was', async () => {
  await session.arm(requestOf({ maxHits: 5, everyProcess: true }));
  tracer.hit(id, 100);
  tracer.hit(id, 200);
  tracer.hit(id, 200);
  const last = session.spool.list().find(({ delivery }) => delivery?.delivered === 3);
  const sidecar: unknown = JSON.parse(readFileSync(join(folder, `${last?.id ?? ''}.json`), 'utf8'));
  expect(sidecar).toMatchObject({ delivery: { delivered: 3, pid: 200, startTicks: '200', ofProcess: 2 } });
});
