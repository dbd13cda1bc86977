import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { defaultPolicy } from '../../../agent/policy/policy.js';
import { PointRecords } from '../../../agent/session/point-records.js';
import { StillframeError } from '../../../format/error.js';
import { FakeTracer } from './fake-tracer.js';
import { requestOf, targetOf, useSessions } from './session-lab.js';

const lab = useSessions();

describe('an agent that was killed or stopped', () => {
  const id = '0000000000p1';
  const records = (): PointRecords => new PointRecords(join(lab.folder, 'points'));
  const files = (): string[] => readdirSync(join(lab.folder, 'points'));

  /** As after kill -9: the session is left as it is, and another starts with what is on disk. */
  async function another(): Promise<void> {
    lab.tracer = new FakeTracer();
    lab.tracer.targets = [targetOf(100)];
    lab.session = lab.makeSession(defaultPolicy(), records());
    await lab.session.restore();
  }

  beforeEach(async () => {
    await lab.session[Symbol.asyncDispose]();
    lab.tracer.targets = [targetOf(100)];
    lab.session = lab.makeSession(defaultPolicy(), records());
    await lab.session.arm(requestOf({ id, maxHits: 3, minIntervalNs: 5n, engine: 'ptrace' }));
    lab.tracer.hit(id, 100);
  });

  test('is followed by one that arms its points again, for what is left', async () => {
    await another();
    expect(lab.tracer.calls).toEqual([`arm ${id} 100 ptrace 2`]);
    expect(lab.tracer.armed.get(`${id} 100`)).toMatchObject({
      minIntervalNs: 5n,
      plan: { request: { location: 'app.c:7' } },
    });
    await lab.session[Symbol.asyncDispose]();
    await another();
    expect(lab.tracer.calls).toEqual([`arm ${id} 100 ptrace 2`]);
  });

  test('not in another process that has the pid by now', async () => {
    lab.tracer = new FakeTracer();
    lab.tracer.targets = [{ ...targetOf(100), startTicks: 77n }];
    lab.session = lab.makeSession(defaultPolicy(), records());
    await lab.session.restore();
    expect(lab.tracer.calls).toEqual([]);
    expect(await lab.session.points()).toMatchObject([
      { id, end: 'target-gone', why: 'its process is gone, and no agent ran when it went' },
    ]);
  });

  test('not what was removed, used up or expired: it stays listed, and arming it again changes nothing', async () => {
    await lab.session.remove(id);
    const [used, expired] = ['0000000000p2', '0000000000p3-89abcdef'];
    await lab.session.arm(requestOf({ id: used }));
    lab.tracer.hit(used, 100);
    await lab.session.arm(requestOf({ id: expired, expiresMs: Date.now() + 20 }));
    expect(files()).toEqual([`${id}.json`, `${used}.json`, `${expired}.json`]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await another();
    const ends = (): Promise<(string | undefined)[]> =>
      lab.session.points().then((points) => points.map(({ end }) => end));
    expect(await ends()).toEqual(['removed', 'hits', 'expired']);
    await lab.session.arm(requestOf({ id, maxHits: 3 }));
    await lab.session.arm(requestOf({ id: used }));
    expect(await ends()).toEqual(['removed', 'hits', 'expired']);
    expect(lab.tracer.calls).toEqual([]);
    await another();
    expect(await ends()).toEqual(['removed', 'hits', 'expired']);
  });

  test('points that ended are forgotten when there are many, on disk too', async () => {
    for (let i = 0; i < 110; i++) {
      const each = `00000000${String(i).padStart(4, '0')}`;
      await lab.session.arm(requestOf({ id: each }));
      await lab.session.remove(each);
    }
    // The one that is alive, and the newest of the others.
    expect(await lab.session.points()).toHaveLength(101);
    expect(files()).toHaveLength(101);
  });

  test('with each process for itself, each goes on with what it has left', async () => {
    lab.tracer.targets = [targetOf(100), targetOf(200)];
    const each = '0000000000p4';
    await lab.session.arm(requestOf({ id: each, pids: [100, 200], everyProcess: true, maxHits: 2 }));
    lab.tracer.hit(each, 100);
    lab.tracer.hit(each, 100);
    lab.tracer.hit(each, 200);
    lab.tracer = new FakeTracer();
    lab.tracer.targets = [targetOf(100), targetOf(200)];
    lab.session = lab.makeSession(defaultPolicy(), records());
    await lab.session.restore();
    expect(lab.tracer.calls).toEqual([`arm ${id} 100 ptrace 2`, `arm ${each} 200 best 1`]);
  });

  test('a stop in order is no suspicion', async () => {
    for (let i = 0; i < 5; i++) {
      await lab.session[Symbol.asyncDispose]();
      await another();
    }
    expect(lab.tracer.calls).toEqual([`arm ${id} 100 ptrace 2`]);
  });

  test('not for ever: a point that comes back again and again may be the cause', async () => {
    for (let i = 0; i < 3; i++) await another();
    expect(lab.tracer.calls).toHaveLength(1);
    await another();
    expect(lab.tracer.calls).toEqual([]);
    expect(await lab.session.points()).toEqual([]);
    // Unless somebody asks for it; what it has delivered is known.
    await lab.session.arm(requestOf({ id, maxHits: 3 }));
    expect(lab.tracer.calls).toEqual([`arm ${id} 100 best 2`]);
  });

  test('nor what cannot be armed; it can be removed', async () => {
    lab.tracer = new FakeTracer();
    lab.tracer.targets = [targetOf(100)];
    lab.tracer.refusals.set(100, new StillframeError('denied', 'no'));
    lab.session = lab.makeSession(defaultPolicy(), records());
    await lab.session.restore();
    expect(await lab.session.points()).toEqual([]);
    expect(await lab.session.remove(id)).toMatchObject({ end: 'removed' });
    await another();
    expect(lab.tracer.calls).toEqual([]);
  });

  test('points that only count are armed again too, and count from zero', async () => {
    const counting = '0000000000p5-01234567';
    const asked = { countOnly: true, owner: 'rules', note: 'errors' };
    await lab.session.arm(requestOf({ id: counting, ...asked }));
    lab.tracer.countersNow = { hits: 9n, conditionFalse: 1n, faults: 0n, dropped: 0n, delivered: 0n };
    await lab.session.points();
    await another();
    expect(lab.tracer.calls).toContain(`arm ${counting} 100 best count`);
    const [view] = await lab.session.points([counting]);
    expect(view).toMatchObject({ ...asked, phase: 'armed', counters: { hits: 0n } });
    lab.tracer.end(counting, 100, { kind: 'target-gone', detail: 'process 100 exited' });
    expect(await lab.session.points([counting])).toMatchObject([{ phase: 'ended', end: 'target-gone' }]);
  });

  test('a point that somebody waited for goes when nobody comes for it', async () => {
    vi.useFakeTimers();
    const [waited, kept] = ['0000000000p6', '0000000000p7'];
    const more = { whileConnected: true, expiresMs: Date.now() + 3600_000 };
    await lab.session.arm(requestOf({ id: waited, ...more }));
    await lab.session.arm(requestOf({ id: kept, ...more }));
    await another();
    using _hold = lab.session.hold(kept);
    await vi.advanceTimersByTimeAsync(40_000);
    expect(await lab.session.points([waited, kept])).toMatchObject([
      { phase: 'ended', end: 'removed', why: 'removed, for the command that waited for it is gone' },
      { phase: 'armed' },
    ]);
  });

  test('a record that is damaged is removed', async () => {
    writeFileSync(join(lab.folder, 'points', `${id}.json`), '{"version":1');
    await another();
    expect(lab.tracer.calls).toEqual([]);
    expect(files()).toEqual([]);
  });

  test('all its points are known before the first is armed again; who asks for one waits for it', async () => {
    await lab.session.arm(requestOf({ id: '0000000000p8' }));
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    lab.tracer = new FakeTracer();
    lab.tracer.targets = [targetOf(100)];
    const arm = lab.tracer.arm.bind(lab.tracer);
    lab.tracer.arm = async (request) => {
      await held;
      return await arm(request);
    };
    lab.session = lab.makeSession(defaultPolicy(), records());
    const restored = lab.session.restore();
    const why = 'is being armed again, for the agent was restarted';
    expect(await lab.session.points()).toMatchObject([
      { id, phase: 'pending', why },
      { id: '0000000000p8', phase: 'pending', why },
    ]);
    const asked = lab.session.arm(requestOf({ id: '0000000000p8' }));
    const removed = lab.session.remove(id);
    release();
    expect(await removed).toMatchObject({ end: 'removed' });
    await restored;
    expect(await asked).toMatchObject({ phase: 'armed' });
    expect([...lab.tracer.armed.values()].map(({ pointId }) => pointId)).toEqual(['0000000000p8']);
    await another();
    expect(lab.tracer.calls).toEqual(['arm 0000000000p8 100 best 1']);
  });

  test('a record of the first agents is read', async () => {
    const path = join(lab.folder, 'points', `${id}.json`);
    const { ...json } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify({ ...json, processes: [{ pid: 100, startTicks: '0' }] }));
    await another();
    expect(lab.tracer.calls).toEqual([`arm ${id} 100 ptrace 2`]);
  });
});
