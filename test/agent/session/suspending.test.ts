import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { defaultPolicy, readPolicy } from '../../../agent/policy/policy.js';
import { PointRecords } from '../../../agent/session/point-records.js';
import { requestOf, targetOf, useSessions } from './session-lab.js';

const lab = useSessions();

describe('a point that costs too much', () => {
  const spent = (ms: number): void => {
    lab.tracer.countersNow = {
      ...lab.tracer.countersNow,
      hits: 1_000_000n,
      spentNs: BigInt(ms) * 1_000_000n,
    };
  };
  const looks = async (count: number): Promise<void> => {
    await vi.advanceTimersByTimeAsync(count * 1000);
  };

  beforeEach(async () => {
    await lab.session[Symbol.asyncDispose]();
    vi.useFakeTimers();
    lab.session = lab.makeSession();
  });

  test('is suspended, says so, leaves nothing armed, and can be resumed', async () => {
    await lab.session.arm(requestOf());
    await looks(2);
    spent(500);
    await looks(1);
    const [view] = await lab.session.points();
    expect(view?.phase).toBe('suspended');
    expect(view?.why).toBe(
      'suspended, for its hits took 50% of a CPU from the threads that pass, and the default limits allows a point 1% over 10 s (cpuPercent.point); `stillframe resume` arms it again',
    );
    expect(lab.tracer.armed.size).toBe(0);
    expect(lab.views.at(-1)?.phase).toBe('suspended');
    lab.tracer.countersNow = { hits: 0n, conditionFalse: 0n, faults: 0n, dropped: 0n, delivered: 0n };
    expect((await lab.session.resume('p1')).phase).toBe('armed');
    expect(lab.tracer.armed.size).toBe(1);
    // What it has counted before is not lost.
    expect((await lab.session.points())[0]?.counters.hits).toBe(1_000_000n);
    await looks(20);
    expect((await lab.session.points())[0]?.phase).toBe('armed');
  });

  test('is left alone while what it takes is less than its share, and after a burst', async () => {
    await lab.session.arm(requestOf());
    for (let i = 1; i <= 60; i++) {
      spent(90 + i * 9);
      await looks(1);
    }
    expect((await lab.session.points())[0]?.phase).toBe('armed');
  });

  test.each([
    [3, 20, 'armed'],
    [0.5, 8, 'suspended'],
  ] as const)(
    'has the budget that was asked for: %d%%, when it takes %d ms a second',
    async (cpuPercent, ms, phase) => {
      const view = await lab.session.arm(requestOf({ terms: { cpuPercent } }));
      expect(view.cpuPercent).toBe(cpuPercent);
      for (let i = 1; i <= 30; i++) {
        spent(i * ms);
        await looks(1);
      }
      const [now] = await lab.session.points();
      expect(now?.phase).toBe(phase);
      if (phase === 'suspended')
        expect(now?.why).toContain(`and it may take ${cpuPercent}% over 10 s (--cpu); `);
    },
  );

  test('cannot ask for more than the policy allows', async () => {
    await expect(lab.session.arm(requestOf({ terms: { cpuPercent: 6 } }))).rejects.toThrow(
      'the default limits does not allow a point 6% of a CPU (cpuPercent.most: 5)',
    );
    await lab.session[Symbol.asyncDispose]();
    const path = join(lab.folder, 'policy.json');
    writeFileSync(path, '{ "cpuPercent": { "point": 2 } }');
    lab.session = lab.makeSession(readPolicy(path));
    await expect(lab.session.arm(requestOf({ terms: { cpuPercent: 3 } }))).rejects.toThrow(
      '(cpuPercent.most: 2)',
    );
    expect((await lab.session.arm(requestOf({ terms: { cpuPercent: 1.5 } }))).phase).toBe('armed');
  });

  test('the dearest goes when all together take too much', async () => {
    await lab.session[Symbol.asyncDispose]();
    lab.session = lab.makeSession({ ...defaultPolicy(), cpu: { name: 'the policy', point: 0, host: 5 } });
    await lab.session.arm(requestOf());
    await lab.session.arm(requestOf({ id: 'p2', pids: [200] }));
    const costs = new Map([
      ['p1', 20n],
      ['p2', 50n],
    ]);
    let seconds = 0n;
    lab.tracer.counters = (ids) =>
      Promise.resolve(
        [...lab.tracer.armed.values()]
          .filter(({ pointId }) => ids.includes(pointId))
          .map(({ pointId, pid }) => ({
            pointId,
            pid,
            counters: {
              ...lab.tracer.countersNow,
              spentNs: (costs.get(pointId) ?? 0n) * 1_000_000n * seconds,
            },
          })),
      );
    for (; seconds < 40n; seconds++) {
      lab.tracer.pass();
      await looks(1);
    }
    const phases = (await lab.session.points()).map(({ id, phase }) => [id, phase]);
    expect(phases).toEqual([
      ['p1', 'armed'],
      ['p2', 'suspended'],
    ]);
  });

  test('stays so when the tracer dies, is not armed in newcomers, and goes with its removal', async () => {
    lab.tracer.targets = [targetOf(100)];
    await lab.session.arm(requestOf({ selector: 'name:app', pids: [] }));
    await looks(3);
    expect(lab.tracer.armed.size).toBe(1);
    spent(500);
    await looks(1);
    lab.tracer.listener.restarted('killed');
    lab.tracer.targets = [targetOf(100), targetOf(200)];
    await looks(3);
    expect((await lab.session.points())[0]?.phase).toBe('suspended');
    expect(lab.tracer.armed.size).toBe(0);
    spent(0);
    await lab.session.resume('p1');
    await looks(3);
    expect(lab.tracer.armed.size).toBe(2);
    expect((await lab.session.remove('p1')).phase).toBe('ended');
  });

  test('is armed again by the agent after this one', async () => {
    await lab.session[Symbol.asyncDispose]();
    const id = '0000000000p1';
    const records = join(lab.folder, 'points');
    lab.tracer.targets = [targetOf(100)];
    lab.session = lab.makeSession(defaultPolicy(), new PointRecords(records));
    await lab.session.arm(requestOf({ id }));
    spent(500);
    await looks(2);
    expect((await lab.session.points())[0]?.phase).toBe('suspended');
    spent(0);
    const next = lab.makeSession(defaultPolicy(), new PointRecords(records));
    await next.restore();
    expect((await next.points())[0]?.phase).toBe('armed');
    await next[Symbol.asyncDispose]();
  });
});
