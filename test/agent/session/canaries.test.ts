import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { defaultPolicy } from '../../../agent/policy/policy.js';
import type { PointRequest, PointView } from '../../../agent/session/point.js';
import { PointRecords } from '../../../agent/session/point-records.js';
import { StillframeError } from '../../../format/error.js';
import { FakeTracer } from './fake-tracer.js';
import { requestOf, targetOf, useSessions } from './session-lab.js';

const lab = useSessions();
const id = '0000000000p1';
const beganMs = Date.parse('2026-01-01T00:00:00Z');
const all = [100, 200, 300];
const records = (): PointRecords => new PointRecords(join(lab.folder, 'points'));
const armed = (): number[] => [...lab.tracer.armed.values()].map(({ pid }) => pid);

beforeEach(async () => {
  await lab.session[Symbol.asyncDispose]();
  vi.useFakeTimers({ now: beganMs });
  lab.tracer.targets = all.map((pid) => targetOf(pid));
  lab.session = lab.makeSession(defaultPolicy(), records());
});

const seconds = async (count: number): Promise<void> => {
  await vi.advanceTimersByTimeAsync(count * 1000);
};

const arm = async (more: Partial<PointRequest> = {}): Promise<PointView> =>
  await lab.session.arm(requestOf({ id, pids: all, maxHits: 5, terms: { canaryMs: 35_000 }, ...more }));

const view = async (): Promise<PointView | undefined> => (await lab.session.points())[0];

describe('a point that covers several processes', () => {
  test('begins in one, says so, and is in the others when that one has borne it', async () => {
    expect(await arm()).toMatchObject({
      phase: 'armed',
      canary: { pid: 100, untilMs: beganMs + 35_000, waiting: 2 },
      why: 'armed at 1 address in process 100 by uprobe: 0 hits, no thread has passed there yet; canary on 100 until 2026-01-01T00:00:35Z, then in the other 2 processes',
    });
    await seconds(34);
    expect(armed()).toEqual([100]);
    await seconds(2);
    expect(armed()).toEqual(all);
    expect(lab.views.at(-1)?.canary).toBeUndefined();
    expect((await view())?.why).toMatch(/^armed at 3 addresses in 3 processes by uprobe: 0 hits, [^;]*$/);
  });

  test('begins in the first that can be armed', async () => {
    lab.tracer.targets = [targetOf(200), targetOf(300)];
    const { refusals } = lab.tracer;
    refusals.set(100, new StillframeError('denied', 'not this one'));
    expect(await arm()).toMatchObject({ canary: { pid: 200, waiting: 1 }, refusals: ['not this one'] });
    await seconds(36);
    expect(armed()).toEqual([200, 300]);
  });

  test.each([
    ['the policy asks for it', { terms: {} }, 10_000, [100]],
    ['the policy asks for longer', { terms: { canaryMs: 5000 } }, 10_000, [100]],
    ['nobody asks for it', { terms: {} }, 0, all],
    ['it covers one process', { pids: [100] }, 0, [100]],
  ])('%s', async (_, more, leastMs, first) => {
    await lab.session[Symbol.asyncDispose]();
    lab.session = lab.makeSession({ ...defaultPolicy(), canaryMs: leastMs });
    await arm(more);
    expect(armed()).toEqual(first);
    await seconds(8);
    expect(armed()).toEqual(first);
    expect((await view())?.canary === undefined).toBe(leastMs === 0);
  });

  test('takes newcomers when the canary has borne it, which none of them is', async () => {
    await arm({ selector: 'name:app' });
    lab.tracer.targets = [...lab.tracer.targets, targetOf(400)];
    await seconds(30);
    expect(armed()).toEqual([100]);
    await seconds(8);
    expect(armed().toSorted((a, b) => a - b)).toEqual([...all, 400]);
    lab.tracer.targets = [...lab.tracer.targets, targetOf(500)];
    await seconds(3);
    expect(armed()).toContain(500);
  });

  test('is in the others at once when the canary has delivered all that was asked of it', async () => {
    await arm({ everyProcess: true, maxHits: 1 });
    lab.tracer.hit(id, 100);
    lab.tracer.end(id, 100, { kind: 'hits', detail: '1 of 1 hits delivered' });
    await seconds(0);
    expect(armed()).toEqual([200, 300]);
    expect(await view()).toMatchObject({ phase: 'armed' });
  });

  test('ends with its hits, wherever they come from', async () => {
    await arm({ maxHits: 1 });
    lab.tracer.hit(id, 100);
    await seconds(0);
    expect(await view()).toMatchObject({ phase: 'ended', end: 'hits' });
    await seconds(40);
    expect(armed()).toEqual([]);
  });
});

describe('the others are not armed, and it is said why, when the canary', () => {
  test.each([
    [{ kind: 'target-gone', detail: 'process 100 is gone' }, ''],
    [{ kind: 'target-gone', detail: 'process 100 is gone' }, 'name:app'],
    [{ kind: 'failed', detail: 'the ring buffer consumer failed' }, ''],
  ] as const)('ends: %j %s', async (reason, selector) => {
    await arm({ selector });
    await seconds(10);
    lab.tracer.end(id, 100, reason);
    await seconds(40);
    expect(armed()).toEqual([]);
    expect(await view()).toMatchObject({
      phase: 'failed',
      end: 'failed',
      why: `${reason.detail}; not armed in the other 2 processes, for process 100 was the canary`,
    });
    expect((await view())?.canary).toBeUndefined();
  });

  test('ends before its arming is answered', async () => {
    lab.tracer.whileArming = ({ pid }) =>
      lab.tracer.end(id, pid, { kind: 'target-gone', detail: `process ${pid} is gone` });
    expect(await arm()).toMatchObject({ phase: 'failed' });
    expect(lab.tracer.calls.filter((call) => call.startsWith('arm'))).toHaveLength(1);
  });

  test('costs too much; resumed, it is the canary once more', async () => {
    await arm();
    await seconds(2);
    lab.tracer.countersNow = { ...lab.tracer.countersNow, hits: 1_000_000n, spentNs: 500_000_000n };
    await seconds(40);
    expect(armed()).toEqual([]);
    expect(await view()).toMatchObject({ phase: 'suspended', canary: { pid: 100, waiting: 2 } });
    expect((await view())?.why).toMatch(
      /^suspended, for its hits took .*; not armed in the other 2 processes, for process 100 was the canary$/,
    );
    lab.tracer.countersNow = { ...lab.tracer.countersNow, hits: 0n, spentNs: 0n };
    await lab.session.resume(id);
    await seconds(30);
    expect(armed()).toEqual([100]);
    await seconds(10);
    expect(armed()).toEqual(all);
  });

  test('is gone when a new tracer runs', async () => {
    await arm();
    lab.tracer.refusals.set(100, new StillframeError('target-gone', 'there is no process 100'));
    lab.tracer.die('the tracer ended with SIGKILL');
    await seconds(40);
    expect(await view()).toMatchObject({
      phase: 'failed',
      why: 'there is no process 100; not armed in the other 2 processes, for process 100 was the canary',
    });
    expect(armed()).toEqual([]);
  });
});

describe('an agent that is killed meanwhile', () => {
  /** As after kill -9: the session is left as it is. */
  async function another(): Promise<void> {
    const { targets } = lab.tracer;
    lab.tracer = new FakeTracer();
    lab.tracer.targets = targets;
    lab.session = lab.makeSession(defaultPolicy(), records());
    await lab.session.restore();
  }

  test('is followed by one that goes on with the canary', async () => {
    await arm();
    await seconds(10);
    await another();
    expect(armed()).toEqual([100]);
    expect(await view()).toMatchObject({ canary: { pid: 100, untilMs: beganMs + 35_000, waiting: 2 } });
    await seconds(26);
    expect(armed()).toEqual(all);
    await another();
    expect(armed()).toEqual(all);
  });

  test('begins anew, where it was suspended in the canary', async () => {
    await arm();
    await seconds(2);
    lab.tracer.countersNow = { ...lab.tracer.countersNow, hits: 1_000_000n, spentNs: 500_000_000n };
    await seconds(3);
    expect((await view())?.phase).toBe('suspended');
    await seconds(100);
    await another();
    await seconds(30);
    expect(armed()).toEqual([100]);
    await seconds(8);
    expect(armed()).toEqual(all);
  });

  test('with it, the canary: the others are not armed', async () => {
    await arm();
    lab.tracer.targets = [targetOf(200), targetOf(300)];
    await another();
    await seconds(40);
    expect(armed()).toEqual([]);
    expect(await view()).toMatchObject({
      phase: 'failed',
      why: 'it was gone when an agent ran again; not armed in the other 2 processes, for process 100 was the canary',
    });
  });
});
