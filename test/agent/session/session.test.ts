import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { defaultPolicy, type Policy } from '../../../agent/policy/policy.js';
import type { PointRequest, PointView } from '../../../agent/session/point.js';
import { PointRecords } from '../../../agent/session/point-records.js';
import { Session } from '../../../agent/session/session.js';
import { Spool, type SpooledSnapshot } from '../../../agent/session/spool.js';
import { openCore } from '../../../format/core/read.js';
import { StillframeError } from '../../../format/error.js';
import { planOf, rangeOf, siteOf } from '../../support/plan.js';
import { FakeTracer } from './fake-tracer.js';

let folder: string;
let tracer: FakeTracer;
let spool: Spool;
let session: Session;
const snapshots: SpooledSnapshot[] = [];
const views: PointView[] = [];

function makeSession(policy: Policy = defaultPolicy(), records?: PointRecords): Session {
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const made = new Session({
    tracer,
    spool,
    policy,
    host: 'here',
    log,
    ...(records === undefined ? {} : { records }),
  });
  made.subscribe({ snapshot: (snapshot) => snapshots.push(snapshot), point: (view) => views.push(view) });
  return made;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-session-'));
  tracer = new FakeTracer();
  spool = new Spool({ folder, maxBytes: 1024 * 1024 });
  snapshots.length = 0;
  views.length = 0;
  session = makeSession();
});
afterEach(async () => {
  vi.useRealTimers();
  await session[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function requestOf(more: Partial<PointRequest> = {}): PointRequest {
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

describe('arming', () => {
  test('gives the state, and twice the same id is once', async () => {
    const view = await session.arm(requestOf());
    expect(view).toMatchObject({
      id: 'p1',
      phase: 'armed',
      engine: 'uprobe',
      processes: [{ pid: 100, addresses: [0x1000n] }],
      why: 'armed at 1 address in process 100 by uprobe: 0 hits, no thread has passed there yet',
      location: 'app.c:7',
      condition: 'x > 1',
    });
    const again = await Promise.all([session.arm(requestOf()), session.arm(requestOf())]);
    expect(again.map(({ phase }) => phase)).toEqual(['armed', 'armed']);
    expect(tracer.calls).toEqual(['arm p1 100 best 1']);
  });

  test('a process that cannot be armed costs nothing where another can', async () => {
    tracer.refusals.set(100, new StillframeError('target-gone', 'process 100 is gone'));
    const view = await session.arm(requestOf({ pids: [100, 200] }));
    expect(view.processes.map(({ pid }) => pid)).toEqual([200]);
    expect(view.refusals).toEqual(['process 100 is gone']);
  });

  test('where none can be armed the error is told and the point is not known', async () => {
    tracer.refusals.set(100, new StillframeError('mismatch', 'other build id'));
    await expect(session.arm(requestOf())).rejects.toThrow('other build id');
    expect(await session.points()).toEqual([]);
    await expect(session.remove('p1')).rejects.toThrow('this agent has no point p1');
  });

  test('the policy is asked first', async () => {
    await session[Symbol.asyncDispose]();
    const policy: Policy = {
      ...defaultPolicy(),
      restrictsPrograms: true,
      checkProgram({ executable }) {
        throw new StillframeError('denied', `not "${executable}"`);
      },
    };
    tracer.targets = [targetOf(100)];
    session = makeSession(policy);
    await expect(session.arm(requestOf())).rejects.toThrow('not "/usr/bin/app"');
    await expect(session.now({ pid: 100, tids: [], stackBytes: 0, maxBytes: 1 })).rejects.toThrow(
      'not "/usr/bin/app"',
    );
    expect(tracer.calls).toEqual(['dispose']);
  });
});

function targetOf(pid: number): FakeTracer['targets'][number] {
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

describe('hits', () => {
  test('a hit becomes a core in the spool with the point in its note, and the last one ends the point', async () => {
    await session.arm(requestOf());
    tracer.countersNow = { hits: 9n, conditionFalse: 8n, faults: 0n, dropped: 0n, delivered: 1n };
    tracer.hit('p1', 100, {
      site: 0,
      cost: { hits: 9, conditionFalse: 8, faults: 0, dropped: 0, bytes: 5, stoppedNs: 0 },
    });
    await vi.waitFor(() => expect(views.at(-1)?.phase).toBe('ended'));
    const [snapshot] = snapshots;
    expect(snapshot).toMatchObject({ point: 'p1' });
    const path = spool.pathOf(snapshot?.id ?? '') ?? '';
    const bytes = readFileSync(path);
    const core = openCore({
      name: path,
      size: bytes.length,
      read: (offset, length) => bytes.subarray(offset, offset + length),
    });
    expect(core.note).toMatchObject({
      snapshot: snapshot?.id,
      point: 'p1',
      host: 'here',
      request: { location: 'app.c:7', condition: 'x > 1' },
      cost: { hits: 9, conditionFalse: 8 },
    });
    expect(views.at(-1)).toMatchObject({
      end: 'hits',
      why: 'delivered its hit (9 hits, condition false 8 times)',
    });
    expect(tracer.calls).toEqual(['arm p1 100 best 1', 'disarm p1 100']);
    session.acknowledge(snapshot?.id ?? '');
    expect(spool.list()).toEqual([]);
  });

  test('the first of several processes wins, and the others are disarmed', async () => {
    await session.arm(requestOf({ pids: [100, 200] }));
    tracer.hit('p1', 200);
    tracer.hit('p1', 100);
    await vi.waitFor(() => expect(tracer.armed.size).toBe(0));
    expect(snapshots).toHaveLength(1);
  });

  test('with everyProcess each has its own', async () => {
    await session.arm(requestOf({ pids: [100, 200], everyProcess: true }));
    tracer.hit('p1', 200);
    tracer.hit('p1', 200);
    tracer.hit('p1', 100);
    expect(snapshots).toHaveLength(2);
    tracer.end('p1', 200, { kind: 'hits', detail: '' });
    tracer.end('p1', 100, { kind: 'hits', detail: '' });
    expect(views.at(-1)).toMatchObject({ phase: 'ended', end: 'hits' });
  });

  test('a hit that comes before arming has answered is kept', async () => {
    tracer.whileArming = ({ pointId, pid }) => tracer.hit(pointId, pid);
    const view = await session.arm(requestOf());
    expect(snapshots).toHaveLength(1);
    expect(view).toMatchObject({ phase: 'ended', end: 'hits' });
    expect(tracer.armed.size).toBe(0);
  });

  test('a full spool loses the hit, says so, and harms nothing', async () => {
    await session[Symbol.asyncDispose]();
    spool = new Spool({ folder, maxBytes: 10 });
    session = makeSession();
    await session.arm(requestOf({ maxHits: 2 }));
    tracer.hit('p1', 100);
    const [view] = await session.points();
    expect(view?.counters).toMatchObject({ dropped: 1n, delivered: 1n });
    expect(view?.phase).toBe('armed');
    expect(snapshots).toEqual([]);
  });

  test('bytes that the plan marks as secret are in no range of the core', async () => {
    const secret = rangeOf('user->password', Uint8Array.of(0x30), Uint8Array.of(0x30), { secret: true });
    await session.arm(requestOf({ plan: planOf([siteOf({ ranges: [secret] })]) }));
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => i);
    tracer.hit('p1', 100, {
      site: 0,
      ranges: [
        { address: 0x1000n, bytes, provenance: 'at-hit', path: 'stack of 100' },
        { address: 0x1010n, bytes: bytes.slice(16, 24), provenance: 'at-hit', path: 'user->password' },
      ],
    });
    const path = spool.pathOf(snapshots[0]?.id ?? '') ?? '';
    const file = readFileSync(path);
    const core = openCore({
      name: path,
      size: file.length,
      read: (at, length) => file.subarray(at, at + length),
    });
    expect(core.note?.ranges.map(({ address, length }) => [address, length])).toEqual([
      [0x1000n, 16],
      [0x1018n, 40],
    ]);
    expect(core.note?.missing).toEqual([
      {
        path: 'user->password',
        address: 0x1010n,
        length: 8,
        reason: 'redacted',
        detail: 'its name or type is on the list of secrets of this host',
      },
    ]);
    expect(file.includes(Buffer.from(bytes.slice(16, 24)))).toBe(false);
  });
});

describe('ends', () => {
  test('removal waits for the tracer, and says what the counters were', async () => {
    await session.arm(requestOf());
    tracer.countersNow = { hits: 5n, conditionFalse: 5n, faults: 1n, dropped: 0n, delivered: 0n };
    const view = await session.remove('p1');
    expect(view).toMatchObject({
      phase: 'ended',
      end: 'removed',
      why: 'removed (5 hits, condition false 5 times, memory not readable 1 time)',
    });
    expect(await session.remove('p1')).toMatchObject({ end: 'removed' });
    expect(tracer.calls).toEqual(['arm p1 100 best 1', 'disarm p1 100']);
  });

  test('with its last process', async () => {
    await session.arm(requestOf({ pids: [100, 200] }));
    tracer.end('p1', 100, { kind: 'target-gone', detail: 'process 100 exited' });
    expect(views).toEqual([]);
    tracer.end('p1', 200, { kind: 'target-gone', detail: 'process 200 exited' });
    expect(views.at(-1)).toMatchObject({ phase: 'ended', end: 'target-gone', why: 'process 200 exited' });
  });

  test('by expiry', async () => {
    vi.useFakeTimers();
    await session[Symbol.asyncDispose]();
    session = makeSession();
    await session.arm(requestOf({ expiresMs: Date.now() + 2500 }));
    await vi.advanceTimersByTimeAsync(2000);
    expect(views).toEqual([]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(views.at(-1)).toMatchObject({
      end: 'expired',
      why: 'expired, armed at 1 address in process 100 by uprobe: 0 hits, no thread has passed there yet',
    });
    expect(tracer.armed.size).toBe(0);
  });

  test('with the session: all is disarmed, then the tracer ends', async () => {
    await session.arm(requestOf({ pids: [100, 200] }));
    await session[Symbol.asyncDispose]();
    expect(tracer.calls.slice(2)).toEqual(['disarm p1 100', 'disarm p1 200', 'dispose']);
  });
});

describe('a tracer that died', () => {
  test('is followed by arming again, for what is left to deliver', async () => {
    await session.arm(requestOf({ maxHits: 3 }));
    tracer.hit('p1', 100);
    tracer.countersNow = { hits: 4n, conditionFalse: 3n, faults: 0n, dropped: 0n, delivered: 1n };
    await session.points();
    tracer.die('killed');
    await vi.waitFor(() => expect(tracer.calls).toEqual(['arm p1 100 best 3', 'arm p1 100 best 2']));
    await vi.waitFor(async () => {
      const [view] = await session.points();
      // What was counted before is not forgotten.
      expect(view?.counters).toMatchObject({ hits: 8n, conditionFalse: 6n, delivered: 1n });
    });
  });

  test('with the target gone meanwhile ends the point', async () => {
    await session.arm(requestOf());
    tracer.refusals.set(100, new StillframeError('target-gone', 'process 100 is gone'));
    tracer.die('killed');
    await vi.waitFor(() =>
      expect(views.at(-1)).toMatchObject({ end: 'target-gone', why: 'process 100 is gone' }),
    );
  });

  test('again and again fails the point that may be the cause', async () => {
    await session.arm(requestOf());
    for (let i = 0; i < 4; i++) {
      tracer.die('SIGSEGV');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(views.at(-1)).toMatchObject({ phase: 'failed', why: 'the tracer died 4 times: SIGSEGV' });
  });
});

test('a selector arms processes as they appear', async () => {
  vi.useFakeTimers();
  await session[Symbol.asyncDispose]();
  session = makeSession();
  const view = await session.arm(requestOf({ pids: [], selector: 'name:app' }));
  expect(view).toMatchObject({ phase: 'pending', why: 'no process fits name:app yet' });
  tracer.targets = [targetOf(300)];
  await vi.advanceTimersByTimeAsync(1500);
  expect(views.at(-1)).toMatchObject({ phase: 'armed', processes: [{ pid: 300 }] });
  tracer.end('p1', 300, { kind: 'target-gone', detail: 'process 300 exited' });
  expect(views.at(-1)).toMatchObject({
    phase: 'pending',
    why: 'waiting for a process that fits name:app: process 300 exited',
  });
});

describe('an agent that was killed or stopped', () => {
  const id = '0000000000p1';
  const records = (): PointRecords => new PointRecords(join(folder, 'points'));
  const files = (): string[] => readdirSync(join(folder, 'points'));

  /** As after kill -9: the session is left as it is, and another starts with what is on disk. */
  async function another(): Promise<void> {
    tracer = new FakeTracer();
    tracer.targets = [targetOf(100)];
    session = makeSession(defaultPolicy(), records());
    await session.restore();
  }

  beforeEach(async () => {
    await session[Symbol.asyncDispose]();
    tracer.targets = [targetOf(100)];
    session = makeSession(defaultPolicy(), records());
    await session.arm(requestOf({ id, maxHits: 3, minIntervalNs: 5n, engine: 'ptrace' }));
    tracer.hit(id, 100);
  });

  test('is followed by one that arms its points again, for what is left', async () => {
    await another();
    expect(tracer.calls).toEqual([`arm ${id} 100 ptrace 2`]);
    expect(tracer.armed.get(`${id} 100`)).toMatchObject({
      minIntervalNs: 5n,
      plan: { request: { location: 'app.c:7' } },
    });
    await session[Symbol.asyncDispose]();
    await another();
    expect(tracer.calls).toEqual([`arm ${id} 100 ptrace 2`]);
  });

  test('not in another process that has the pid by now', async () => {
    tracer = new FakeTracer();
    tracer.targets = [{ ...targetOf(100), startTicks: 77n }];
    session = makeSession(defaultPolicy(), records());
    await session.restore();
    expect(tracer.calls).toEqual([]);
    expect(await session.points()).toMatchObject([
      { id, end: 'target-gone', why: 'its process is gone, and no agent ran when it went' },
    ]);
  });

  test('not what was removed, used up or expired: it stays listed, and arming it again changes nothing', async () => {
    await session.remove(id);
    const [used, expired] = ['0000000000p2', '0000000000p3-89abcdef'];
    await session.arm(requestOf({ id: used }));
    tracer.hit(used, 100);
    await session.arm(requestOf({ id: expired, expiresMs: Date.now() + 20 }));
    expect(files()).toEqual([`${id}.json`, `${used}.json`, `${expired}.json`]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await another();
    const ends = (): Promise<(string | undefined)[]> =>
      session.points().then((points) => points.map(({ end }) => end));
    expect(await ends()).toEqual(['removed', 'hits', 'expired']);
    await session.arm(requestOf({ id, maxHits: 3 }));
    await session.arm(requestOf({ id: used }));
    expect(await ends()).toEqual(['removed', 'hits', 'expired']);
    expect(tracer.calls).toEqual([]);
    await another();
    expect(await ends()).toEqual(['removed', 'hits', 'expired']);
  });

  test('points that ended are forgotten when there are many, on disk too', async () => {
    for (let i = 0; i < 110; i++) {
      const each = `00000000${String(i).padStart(4, '0')}`;
      await session.arm(requestOf({ id: each }));
      await session.remove(each);
    }
    // The one that is alive, and the newest of the others.
    expect(await session.points()).toHaveLength(101);
    expect(files()).toHaveLength(101);
  });

  test('with each process for itself, each goes on with what it has left', async () => {
    tracer.targets = [targetOf(100), targetOf(200)];
    const each = '0000000000p4';
    await session.arm(requestOf({ id: each, pids: [100, 200], everyProcess: true, maxHits: 2 }));
    tracer.hit(each, 100);
    tracer.hit(each, 100);
    tracer.hit(each, 200);
    tracer = new FakeTracer();
    tracer.targets = [targetOf(100), targetOf(200)];
    session = makeSession(defaultPolicy(), records());
    await session.restore();
    expect(tracer.calls).toEqual([`arm ${id} 100 ptrace 2`, `arm ${each} 200 best 1`]);
  });

  test('a stop in order is no suspicion', async () => {
    for (let i = 0; i < 5; i++) {
      await session[Symbol.asyncDispose]();
      await another();
    }
    expect(tracer.calls).toEqual([`arm ${id} 100 ptrace 2`]);
  });

  test('not for ever: a point that comes back again and again may be the cause', async () => {
    for (let i = 0; i < 3; i++) await another();
    expect(tracer.calls).toHaveLength(1);
    await another();
    expect(tracer.calls).toEqual([]);
    expect(await session.points()).toEqual([]);
    // Unless somebody asks for it; what it has delivered is known.
    await session.arm(requestOf({ id, maxHits: 3 }));
    expect(tracer.calls).toEqual([`arm ${id} 100 best 2`]);
  });

  test('nor what cannot be armed; it can be removed', async () => {
    tracer = new FakeTracer();
    tracer.targets = [targetOf(100)];
    tracer.refusals.set(100, new StillframeError('denied', 'no'));
    session = makeSession(defaultPolicy(), records());
    await session.restore();
    expect(await session.points()).toEqual([]);
    expect(await session.remove(id)).toMatchObject({ end: 'removed' });
    await another();
    expect(tracer.calls).toEqual([]);
  });

  test('points that only count are armed again too, and count from zero', async () => {
    const counting = '0000000000p5-01234567';
    const asked = { countOnly: true, owner: 'rules', note: 'errors' };
    await session.arm(requestOf({ id: counting, ...asked }));
    tracer.countersNow = { hits: 9n, conditionFalse: 1n, faults: 0n, dropped: 0n, delivered: 0n };
    await session.points();
    await another();
    expect(tracer.calls).toContain(`arm ${counting} 100 best count`);
    const [view] = await session.points([counting]);
    expect(view).toMatchObject({ ...asked, phase: 'armed', counters: { hits: 0n } });
    tracer.end(counting, 100, { kind: 'target-gone', detail: 'process 100 exited' });
    expect(await session.points([counting])).toMatchObject([{ phase: 'ended', end: 'target-gone' }]);
  });

  test('a point that somebody waited for goes when nobody comes for it', async () => {
    vi.useFakeTimers();
    const [waited, kept] = ['0000000000p6', '0000000000p7'];
    const more = { whileConnected: true, expiresMs: Date.now() + 3600_000 };
    await session.arm(requestOf({ id: waited, ...more }));
    await session.arm(requestOf({ id: kept, ...more }));
    await another();
    using _hold = session.hold(kept);
    await vi.advanceTimersByTimeAsync(40_000);
    expect(await session.points([waited, kept])).toMatchObject([
      { phase: 'ended', end: 'removed', why: 'removed, for the command that waited for it is gone' },
      { phase: 'armed' },
    ]);
  });

  test('a record that is damaged is removed', async () => {
    writeFileSync(join(folder, 'points', `${id}.json`), '{"version":1');
    await another();
    expect(tracer.calls).toEqual([]);
    expect(files()).toEqual([]);
  });

  test('all its points are known before the first is armed again; who asks for one waits for it', async () => {
    await session.arm(requestOf({ id: '0000000000p8' }));
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    tracer = new FakeTracer();
    tracer.targets = [targetOf(100)];
    const arm = tracer.arm.bind(tracer);
    tracer.arm = async (request) => {
      await held;
      return await arm(request);
    };
    session = makeSession(defaultPolicy(), records());
    const restored = session.restore();
    const why = 'is being armed again, for the agent was restarted';
    expect(await session.points()).toMatchObject([
      { id, phase: 'pending', why },
      { id: '0000000000p8', phase: 'pending', why },
    ]);
    const asked = session.arm(requestOf({ id: '0000000000p8' }));
    const removed = session.remove(id);
    release();
    expect(await removed).toMatchObject({ end: 'removed' });
    await restored;
    expect(await asked).toMatchObject({ phase: 'armed' });
    expect([...tracer.armed.values()].map(({ pointId }) => pointId)).toEqual(['0000000000p8']);
    await another();
    expect(tracer.calls).toEqual(['arm 0000000000p8 100 best 1']);
  });

  test('a record of the first agents is read', async () => {
    const path = join(folder, 'points', `${id}.json`);
    const { ...json } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify({ ...json, processes: [{ pid: 100, startTicks: '0' }] }));
    await another();
    expect(tracer.calls).toEqual([`arm ${id} 100 ptrace 2`]);
  });
});

test('a process that goes before its arming is answered ends the point', async () => {
  tracer.whileArming = ({ pointId, pid }) =>
    tracer.end(pointId, pid, { kind: 'target-gone', detail: 'process 100 exited' });
  const view = await session.arm(requestOf());
  expect(view).toMatchObject({
    phase: 'ended',
    end: 'target-gone',
    why: 'process 100 exited',
    processes: [],
  });
});

test('more points than the limit are refused', async () => {
  for (let i = 0; i < 200; i++) await session.arm(requestOf({ id: `p${i}` }));
  await expect(session.arm(requestOf({ id: 'q' }))).rejects.toThrow(
    'cannot arm point q: 200 points are armed already',
  );
});

describe('a point that costs too much', () => {
  const spent = (ms: number): void => {
    tracer.countersNow = { ...tracer.countersNow, hits: 1_000_000n, spentNs: BigInt(ms) * 1_000_000n };
  };
  const looks = async (count: number): Promise<void> => {
    await vi.advanceTimersByTimeAsync(count * 1000);
  };

  beforeEach(async () => {
    await session[Symbol.asyncDispose]();
    vi.useFakeTimers();
    session = makeSession();
  });

  test('is suspended, says so, leaves nothing armed, and can be resumed', async () => {
    await session.arm(requestOf());
    await looks(2);
    spent(500);
    await looks(1);
    const [view] = await session.points();
    expect(view?.phase).toBe('suspended');
    expect(view?.why).toBe(
      'suspended, for its hits took 50% of a CPU from the threads that pass, and the default limits allows a point 1% over 10 s (cpuPercent.point); `stillframe resume` arms it again',
    );
    expect(tracer.armed.size).toBe(0);
    expect(views.at(-1)?.phase).toBe('suspended');
    tracer.countersNow = { hits: 0n, conditionFalse: 0n, faults: 0n, dropped: 0n, delivered: 0n };
    expect((await session.resume('p1')).phase).toBe('armed');
    expect(tracer.armed.size).toBe(1);
    // What it has counted before is not lost.
    expect((await session.points())[0]?.counters.hits).toBe(1_000_000n);
    await looks(20);
    expect((await session.points())[0]?.phase).toBe('armed');
  });

  test('is left alone while what it takes is less than its share, and after a burst', async () => {
    await session.arm(requestOf());
    for (let i = 1; i <= 60; i++) {
      spent(90 + i * 9);
      await looks(1);
    }
    expect((await session.points())[0]?.phase).toBe('armed');
  });

  test('the dearest goes when all together take too much', async () => {
    await session[Symbol.asyncDispose]();
    session = makeSession({ ...defaultPolicy(), cpu: { name: 'the policy', point: 0, host: 5 } });
    await session.arm(requestOf());
    await session.arm(requestOf({ id: 'p2', pids: [200] }));
    const costs = new Map([
      ['p1', 20n],
      ['p2', 50n],
    ]);
    let seconds = 0n;
    tracer.counters = (ids) =>
      Promise.resolve(
        [...tracer.armed.values()]
          .filter(({ pointId }) => ids.includes(pointId))
          .map(({ pointId, pid }) => ({
            pointId,
            pid,
            counters: { ...tracer.countersNow, spentNs: (costs.get(pointId) ?? 0n) * 1_000_000n * seconds },
          })),
      );
    for (; seconds < 40n; seconds++) {
      tracer.pass();
      await looks(1);
    }
    const phases = (await session.points()).map(({ id, phase }) => [id, phase]);
    expect(phases).toEqual([
      ['p1', 'armed'],
      ['p2', 'suspended'],
    ]);
  });

  test('stays so when the tracer dies, is not armed in newcomers, and goes with its removal', async () => {
    tracer.targets = [targetOf(100)];
    await session.arm(requestOf({ selector: 'name:app', pids: [] }));
    await looks(3);
    expect(tracer.armed.size).toBe(1);
    spent(500);
    await looks(1);
    tracer.listener.restarted('killed');
    tracer.targets = [targetOf(100), targetOf(200)];
    await looks(3);
    expect((await session.points())[0]?.phase).toBe('suspended');
    expect(tracer.armed.size).toBe(0);
    spent(0);
    await session.resume('p1');
    await looks(3);
    expect(tracer.armed.size).toBe(2);
    expect((await session.remove('p1')).phase).toBe('ended');
  });

  test('is armed again by the agent after this one', async () => {
    await session[Symbol.asyncDispose]();
    const id = '0000000000p1';
    const records = join(folder, 'points');
    tracer.targets = [targetOf(100)];
    session = makeSession(defaultPolicy(), new PointRecords(records));
    await session.arm(requestOf({ id }));
    spent(500);
    await looks(2);
    expect((await session.points())[0]?.phase).toBe('suspended');
    spent(0);
    const next = makeSession(defaultPolicy(), new PointRecords(records));
    await next.restore();
    expect((await next.points())[0]?.phase).toBe('armed');
    await next[Symbol.asyncDispose]();
  });
});
