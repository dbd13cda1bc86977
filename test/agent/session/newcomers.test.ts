import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { defaultPolicy, type Policy } from '../../../agent/policy/policy.js';
import type { PointRequest, PointView } from '../../../agent/session/point.js';
import { Session } from '../../../agent/session/session.js';
import { Spool } from '../../../agent/session/spool.js';
import type { TargetProcess } from '../../../agent/tracer/client.js';
import { StillframeError } from '../../../format/error.js';
import { planOf, siteOf } from '../../support/plan.js';
import { FakeTracer } from './fake-tracer.js';

let folder: string;
let tracer: FakeTracer;
let session: Session;
const views: PointView[] = [];

function makeSession(policy: Policy = defaultPolicy()): void {
  tracer = new FakeTracer();
  session = new Session({
    tracer,
    spool: new Spool({ folder, maxBytes: 1024 * 1024 }),
    policy,
    host: 'here',
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  session.subscribe({ point: (view) => views.push(view) });
}

beforeEach(() => {
  vi.useFakeTimers();
  folder = mkdtempSync(join(tmpdir(), 'stillframe-newcomers-'));
  views.length = 0;
  makeSession();
});
afterEach(async () => {
  await session[Symbol.asyncDispose]();
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

function requestOf(more: Partial<PointRequest> = {}): PointRequest {
  return {
    id: 'p1',
    pids: [],
    selector: 'name:app',
    plan: planOf([siteOf()]),
    countOnly: false,
    maxHits: 1,
    everyProcess: false,
    minIntervalNs: 0n,
    expiresMs: Date.now() + 24 * 3600_000,
    owner: '',
    note: '',
    ...more,
  };
}

function targetOf(pid: number, more: Partial<TargetProcess> = {}): TargetProcess {
  return {
    pid,
    comm: 'app',
    executable: '/usr/bin/app',
    args: [],
    buildId: 'b1',
    uid: 0,
    unit: '',
    container: '',
    service: '',
    startTimeMs: 0,
    startTicks: BigInt(pid),
    ...more,
  };
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const armedPids = (): number[] => [...tracer.armed.values()].map(({ pid }) => pid);
const view = async (): Promise<PointView | undefined> => (await session.points(['p1']))[0];

describe('processes that come', () => {
  test('are armed within half a second, each once, and those that do not fit are not', async () => {
    expect(await session.arm(requestOf({ maxHits: 5 }))).toMatchObject({
      phase: 'pending',
      why: 'no process fits name:app yet',
    });
    tracer.targets = [targetOf(100), targetOf(101, { comm: 'other', executable: '/usr/bin/other' })];
    await pass(500);
    expect(tracer.calls).toEqual(['arm p1 100 best 5']);
    expect(views.at(-1)).toMatchObject({ phase: 'armed', processes: [{ pid: 100 }] });
    // A worker that it forked.
    tracer.targets = [...tracer.targets, targetOf(102)];
    await pass(2000);
    expect(tracer.calls).toEqual(['arm p1 100 best 5', 'arm p1 102 best 5']);
    expect(tracer.armed.get('p1 102')?.startTicks).toBe(102n);
  });

  test('and were there before are armed at once', async () => {
    tracer.targets = [targetOf(100), targetOf(101)];
    await session.arm(requestOf());
    await pass(1);
    expect(armedPids()).toEqual([100, 101]);
  });

  test('in a storm, while arming takes long, are armed once', async () => {
    const release: (() => void)[] = [];
    const arm = tracer.arm.bind(tracer);
    tracer.arm = async (request) => {
      await new Promise<void>((resolve) => release.push(resolve));
      return await arm(request);
    };
    await session.arm(requestOf());
    for (let i = 0; i < 20; i++) {
      tracer.targets = [...tracer.targets, targetOf(100 + i)];
      await pass(300);
      // Looked at again, and different in what does not matter.
      tracer.targets = tracer.targets.map((target) => ({ ...target, args: [String(i)] }));
      await pass(300);
      if (i % 3 === 0) release.shift()?.();
    }
    for (let i = 0; i < 40; i++) {
      release.shift()?.();
      await pass(10);
    }
    expect(armedPids()).toHaveLength(20);
    expect(new Set(tracer.calls).size).toBe(tracer.calls.length);
  });

  test('all together deliver no more than asked', async () => {
    await session.arm(requestOf({ maxHits: 2 }));
    tracer.targets = [targetOf(100)];
    await pass(500);
    tracer.hit('p1', 100);
    tracer.targets = [targetOf(100), targetOf(101)];
    await pass(500);
    expect(tracer.armed.get('p1 101')).toMatchObject({ maxHits: 1 });
    tracer.hit('p1', 101);
    tracer.targets = [targetOf(102)];
    await pass(500);
    expect(views.at(-1)).toMatchObject({ end: 'hits', counters: { delivered: 2n } });
    expect(armedPids()).toEqual([]);
    expect(session.spool.list()).toHaveLength(2);
  });

  test('each for itself deliver as many, and one that has is left in peace', async () => {
    await session.arm(requestOf({ everyProcess: true }));
    tracer.targets = [targetOf(100)];
    await pass(500);
    tracer.hit('p1', 100);
    tracer.end('p1', 100, { kind: 'hits', detail: '1 of 1 hits delivered' });
    expect(await view()).toMatchObject({
      phase: 'pending',
      why: 'waiting for a process that fits name:app: 1 of 1 hits delivered',
    });
    tracer.targets = [targetOf(100, { args: ['x'] }), targetOf(101)];
    await pass(3000);
    expect(tracer.calls).toEqual(['arm p1 100 best 1', 'arm p1 101 best 1']);
    // Another process of that number starts with nothing delivered.
    tracer.targets = [targetOf(100, { startTicks: 777n }), targetOf(101)];
    await pass(3000);
    expect(tracer.calls.at(-1)).toBe('arm p1 100 best 1');
    expect(tracer.calls).toHaveLength(3);
  });

  test('after one that ended are armed, and what it counted stays', async () => {
    await session.arm(requestOf({ countOnly: true }));
    tracer.targets = [targetOf(100)];
    await pass(500);
    const last = { hits: 7n, conditionFalse: 0n, faults: 0n, dropped: 0n, delivered: 0n };
    tracer.targets = [];
    tracer.end('p1', 100, { kind: 'target-gone', detail: 'process 100 is gone' }, last);
    expect(views.at(-1)?.why).toBe('waiting for a process that fits name:app: process 100 is gone');
    await pass(2000);
    tracer.targets = [targetOf(101)];
    await pass(500);
    expect(await view()).toMatchObject({ phase: 'armed', processes: [{ pid: 101 }], counters: { hits: 7n } });
  });

  test('are not looked for when no point wants them', async () => {
    await session.arm(requestOf({ id: 'p2', pids: [5], selector: '' }));
    await pass(5000);
    expect(tracer.looks).toBe(0);
    await session.arm(requestOf());
    await pass(1000);
    const { looks } = tracer;
    expect(looks).toBeGreaterThanOrEqual(4);
    await session.remove('p1');
    await pass(5000);
    expect(tracer.looks).toBe(looks);
  });

  test('are as many as a point may have, and no more', async () => {
    tracer.targets = Array.from({ length: 300 }, (_, i) => targetOf(1000 + i));
    await session.arm(requestOf());
    await pass(1000);
    const state = await view();
    expect(state?.processes).toHaveLength(256);
    expect(state?.refusals).toHaveLength(21);
    expect(state?.refusals[0]).toBe(
      'cannot arm the point in process 1256: it is armed in 256 processes already',
    );
    expect(state?.refusals.at(-1)).toBe('and 24 more');
  });
});

describe('a process that cannot be armed', () => {
  const otherBuild = new StillframeError(
    'mismatch',
    'process 100 runs build id b2, the plan was made for b1',
  );

  test('says why, once, and is not tried again', async () => {
    tracer.refusals.set(100, otherBuild);
    await session.arm(requestOf());
    tracer.targets = [targetOf(100)];
    await pass(120_000);
    expect(tracer.calls).toEqual(['arm p1 100 best 1']);
    expect(await view()).toMatchObject({
      phase: 'pending',
      why: 'no process that fits name:app can be armed: process 100 runs build id b2, the plan was made for b1',
      refusals: [otherBuild.message],
    });
    // One that does armed beside it.
    tracer.targets = [targetOf(100), targetOf(101)];
    await pass(500);
    expect(await view()).toMatchObject({ phase: 'armed', refusals: [otherBuild.message] });
    tracer.targets = [targetOf(101)];
    await pass(500);
    expect(await view()).toMatchObject({ refusals: [] });
  });

  test('is tried again when it executes another program', async () => {
    tracer.refusals.set(100, otherBuild);
    await session.arm(requestOf());
    tracer.targets = [targetOf(100)];
    await pass(1000);
    tracer.refusals.clear();
    tracer.targets = [targetOf(100, { buildId: 'b3' })];
    await pass(500);
    expect(await view()).toMatchObject({ phase: 'armed', refusals: [] });
  });

  test('yet is tried again at growing intervals', async () => {
    tracer.refusals.set(100, new StillframeError('not-found', 'process 100 does not map "libx.so"'));
    await session.arm(requestOf());
    tracer.targets = [targetOf(100)];
    await pass(5000);
    const few = tracer.calls.length;
    expect(few).toBeGreaterThan(3);
    expect(few).toBeLessThan(7);
    await pass(600_000);
    expect(tracer.calls.length).toBeLessThan(few + 18);
    tracer.refusals.clear();
    await pass(61_000);
    expect(await view()).toMatchObject({ phase: 'armed', refusals: [] });
  });

  test('by policy is not even tried', async () => {
    await session[Symbol.asyncDispose]();
    makeSession({
      ...defaultPolicy(),
      restrictsPrograms: true,
      checkProgram({ pid }) {
        throw new StillframeError('denied', `the owner forbids ${pid}`);
      },
    });
    await session.arm(requestOf());
    tracer.targets = [targetOf(100), targetOf(101)];
    await pass(10_000);
    expect(tracer.calls).toEqual([]);
    expect((await view())?.why).toBe(
      'no process that fits name:app can be armed: the owner forbids 100, and 1 more',
    );
  });
});

describe('a process that executes another program', () => {
  test('is let go when it does not fit any more', async () => {
    await session.arm(requestOf());
    tracer.targets = [targetOf(100)];
    await pass(500);
    tracer.countersNow = { hits: 4n, conditionFalse: 4n, faults: 0n, dropped: 0n, delivered: 0n };
    tracer.targets = [targetOf(100, { comm: 'sh', executable: '/bin/sh', buildId: 'b9' })];
    await pass(500);
    expect(tracer.calls).toEqual(['arm p1 100 best 1', 'disarm p1 100']);
    expect(await view()).toMatchObject({
      phase: 'pending',
      processes: [],
      counters: { hits: 4n },
      why: 'waiting for a process that fits name:app: process 100 executed another program',
    });
  });

  test('is armed when it fits by then, and again when it still fits', async () => {
    await session.arm(requestOf());
    tracer.targets = [targetOf(100, { comm: 'sh', executable: '/bin/sh', buildId: 'b9' })];
    await pass(1000);
    expect(tracer.calls).toEqual([]);
    tracer.targets = [targetOf(100)];
    await pass(500);
    tracer.targets = [targetOf(100, { executable: '/opt/v2/app' })];
    await pass(500);
    expect(tracer.calls).toEqual(['arm p1 100 best 1', 'disarm p1 100', 'arm p1 100 best 1']);
  });

  test('is looked at again when its engine says that it did', async () => {
    await session.arm(requestOf());
    tracer.targets = [targetOf(100)];
    await pass(500);
    tracer.end('p1', 100, { kind: 'target-gone', detail: 'process 100 executed another program' });
    await pass(1000);
    expect(await view()).toMatchObject({ phase: 'armed', processes: [{ pid: 100 }] });
  });
});

test('a point whose mechanism fails in one process is not lost for the others', async () => {
  await session.arm(requestOf());
  tracer.targets = [targetOf(100)];
  await pass(500);
  tracer.end('p1', 100, { kind: 'failed', detail: 'process 100 has got a handler for signal 23' });
  expect(await view()).toMatchObject({
    phase: 'pending',
    why: 'no process that fits name:app can be armed: process 100 has got a handler for signal 23',
  });
  tracer.targets = [targetOf(100), targetOf(101)];
  await pass(300);
  expect(armedPids()).toEqual([101]);
});

test('processes that are named and go meanwhile do not end a point that waits for others', async () => {
  tracer.refusals.set(100, new StillframeError('target-gone', 'there is no process 100'));
  expect(await session.arm(requestOf({ pids: [100] }))).toMatchObject({ phase: 'pending' });
  tracer.refusals.set(100, new StillframeError('mismatch', 'another build'));
  await expect(session.arm(requestOf({ id: 'p2', pids: [100] }))).rejects.toThrow('another build');
});

test('a selector that means nothing is refused before anything is armed', async () => {
  await expect(session.arm(requestOf({ pids: [100], selector: 'nonsense' }))).rejects.toMatchObject({
    code: 'usage',
  });
  expect(tracer.calls).toEqual([]);
});

test('removal waits for what is just being armed', async () => {
  let release: () => void = () => undefined;
  const arm = tracer.arm.bind(tracer);
  tracer.arm = async (request) => {
    const armed = await arm(request);
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return armed;
  };
  await session.arm(requestOf());
  tracer.targets = [targetOf(100)];
  await pass(500);
  expect(armedPids()).toEqual([100]);
  let isRemoved = false;
  const removal = session.remove('p1').then(() => (isRemoved = true));
  await pass(1000);
  expect(isRemoved).toBe(false);
  release();
  await removal;
  expect(armedPids()).toEqual([]);
});

describe('a tracer that dies', () => {
  test('twice in a row is followed by arming again', async () => {
    await session.arm(requestOf({ pids: [100], selector: '' }));
    tracer.refusals.set(100, new StillframeError('unreachable', 'the tracer is gone'));
    tracer.die('SIGKILL');
    await pass(100);
    expect(await view()).toMatchObject({ phase: 'pending' });
    tracer.refusals.clear();
    tracer.die('SIGKILL');
    await pass(100);
    expect(await view()).toMatchObject({ phase: 'armed', processes: [{ pid: 100 }] });
  });

  test('leaves a point that waits for processes waiting', async () => {
    await session.arm(requestOf());
    tracer.targets = [targetOf(100)];
    await pass(500);
    tracer.refusals.set(100, new StillframeError('system', 'no memory'));
    tracer.die('SIGKILL');
    await pass(100);
    expect(await view()).toMatchObject({ phase: 'pending' });
    tracer.refusals.clear();
    await pass(5000);
    expect(await view()).toMatchObject({ phase: 'armed', processes: [{ pid: 100 }] });
  });
});
