import { readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { defaultPolicy, type Policy } from '../../../agent/policy/policy.js';
import { Spool } from '../../../agent/session/spool.js';
import { openCore } from '../../../format/core/read.js';
import { StillframeError } from '../../../format/error.js';
import { planOf, rangeOf, siteOf } from '../../support/plan.js';
import { requestOf, targetOf, useSessions } from './session-lab.js';

const lab = useSessions();

describe('arming', () => {
  test('gives the state, and twice the same id is once', async () => {
    const view = await lab.session.arm(requestOf());
    expect(view).toMatchObject({
      id: 'p1',
      phase: 'armed',
      engine: 'uprobe',
      processes: [{ pid: 100, addresses: [0x1000n] }],
      why: 'armed at 1 address in process 100 by uprobe: 0 hits, no thread has passed there yet',
      location: 'app.c:7',
      condition: 'x > 1',
    });
    const again = await Promise.all([lab.session.arm(requestOf()), lab.session.arm(requestOf())]);
    expect(again.map(({ phase }) => phase)).toEqual(['armed', 'armed']);
    expect(lab.tracer.calls).toEqual(['arm p1 100 best 1']);
  });

  test('a process that cannot be armed costs nothing where another can', async () => {
    lab.tracer.refusals.set(100, new StillframeError('target-gone', 'process 100 is gone'));
    const view = await lab.session.arm(requestOf({ pids: [100, 200] }));
    expect(view.processes.map(({ pid }) => pid)).toEqual([200]);
    expect(view.refusals).toEqual(['process 100 is gone']);
  });

  test('where none can be armed the error is told and the point is not known', async () => {
    lab.tracer.refusals.set(100, new StillframeError('mismatch', 'other build id'));
    await expect(lab.session.arm(requestOf())).rejects.toThrow('other build id');
    expect(await lab.session.points()).toEqual([]);
    await expect(lab.session.remove('p1')).rejects.toThrow('this agent has no point p1');
  });

  test('the policy is asked first', async () => {
    await lab.session[Symbol.asyncDispose]();
    const policy: Policy = {
      ...defaultPolicy(),
      restrictsPrograms: true,
      checkProgram({ executable }) {
        throw new StillframeError('denied', `not "${executable}"`);
      },
    };
    lab.tracer.targets = [targetOf(100)];
    lab.session = lab.makeSession(policy);
    await expect(lab.session.arm(requestOf())).rejects.toThrow('not "/usr/bin/app"');
    await expect(lab.session.now({ pid: 100, tids: [], stackBytes: 0, maxBytes: 1 })).rejects.toThrow(
      'not "/usr/bin/app"',
    );
    expect(lab.tracer.calls).toEqual(['dispose']);
  });
});

describe('hits', () => {
  test('a hit becomes a core in the spool with the point in its note, and the last one ends the point', async () => {
    await lab.session.arm(requestOf());
    lab.tracer.countersNow = { hits: 9n, conditionFalse: 8n, faults: 0n, dropped: 0n, delivered: 1n };
    lab.tracer.hit('p1', 100, {
      site: 0,
      cost: { hits: 9, conditionFalse: 8, faults: 0, dropped: 0, bytes: 5, stoppedNs: 0 },
    });
    await vi.waitFor(() => expect(lab.views.at(-1)?.phase).toBe('ended'));
    const [snapshot] = lab.snapshots;
    expect(snapshot).toMatchObject({ point: 'p1' });
    const path = lab.spool.pathOf(snapshot?.id ?? '') ?? '';
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
    expect(lab.views.at(-1)).toMatchObject({
      end: 'hits',
      why: 'delivered its hit (9 hits, condition false 8 times)',
    });
    expect(lab.tracer.calls).toEqual(['arm p1 100 best 1', 'disarm p1 100']);
    lab.session.acknowledge(snapshot?.id ?? '');
    expect(lab.spool.list()).toEqual([]);
  });

  test('the first of several processes wins, and the others are disarmed', async () => {
    await lab.session.arm(requestOf({ pids: [100, 200] }));
    lab.tracer.hit('p1', 200);
    lab.tracer.hit('p1', 100);
    await vi.waitFor(() => expect(lab.tracer.armed.size).toBe(0));
    expect(lab.snapshots).toHaveLength(1);
  });

  test('with everyProcess each has its own', async () => {
    await lab.session.arm(requestOf({ pids: [100, 200], everyProcess: true }));
    lab.tracer.hit('p1', 200);
    lab.tracer.hit('p1', 200);
    lab.tracer.hit('p1', 100);
    expect(lab.snapshots).toHaveLength(2);
    lab.tracer.end('p1', 200, { kind: 'hits', detail: '' });
    lab.tracer.end('p1', 100, { kind: 'hits', detail: '' });
    expect(lab.views.at(-1)).toMatchObject({ phase: 'ended', end: 'hits' });
  });

  test('a hit that comes before arming has answered is kept', async () => {
    lab.tracer.whileArming = ({ pointId, pid }) => lab.tracer.hit(pointId, pid);
    const view = await lab.session.arm(requestOf());
    expect(lab.snapshots).toHaveLength(1);
    expect(view).toMatchObject({
      phase: 'armed',
      why: 'being disarmed: delivered its hit (7 hits, condition false 6 times, 1 of 1 delivered)',
    });
    await vi.waitFor(() => expect(lab.views.at(-1)).toMatchObject({ phase: 'ended', end: 'hits' }));
    expect(lab.tracer.armed.size).toBe(0);
  });

  test('a full spool loses the hit, says so, and harms nothing', async () => {
    await lab.session[Symbol.asyncDispose]();
    lab.spool = new Spool({ folder: lab.folder, maxBytes: 10 });
    lab.session = lab.makeSession();
    await lab.session.arm(requestOf({ maxHits: 2 }));
    lab.tracer.hit('p1', 100);
    const [view] = await lab.session.points();
    expect(view?.counters).toMatchObject({ dropped: 1n, delivered: 1n });
    expect(view?.phase).toBe('armed');
    expect(lab.snapshots).toEqual([]);
  });

  test('bytes that the plan marks as secret are in no range of the core', async () => {
    const secret = rangeOf('user->password', Uint8Array.of(0x30), Uint8Array.of(0x30), { secret: true });
    await lab.session.arm(requestOf({ plan: planOf([siteOf({ ranges: [secret] })]) }));
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => i);
    lab.tracer.hit('p1', 100, {
      site: 0,
      ranges: [
        { address: 0x1000n, bytes, provenance: 'at-hit', path: 'stack of 100' },
        { address: 0x1010n, bytes: bytes.slice(16, 24), provenance: 'at-hit', path: 'user->password' },
      ],
    });
    const path = lab.spool.pathOf(lab.snapshots[0]?.id ?? '') ?? '';
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
    await lab.session.arm(requestOf());
    lab.tracer.countersNow = { hits: 5n, conditionFalse: 5n, faults: 1n, dropped: 0n, delivered: 0n };
    const view = await lab.session.remove('p1');
    expect(view).toMatchObject({
      phase: 'ended',
      end: 'removed',
      why: 'removed (5 hits, condition false 5 times, memory not readable 1 time)',
    });
    expect(await lab.session.remove('p1')).toMatchObject({ end: 'removed' });
    expect(lab.tracer.calls).toEqual(['arm p1 100 best 1', 'disarm p1 100']);
  });

  test('with its last process', async () => {
    await lab.session.arm(requestOf({ pids: [100, 200] }));
    lab.tracer.end('p1', 100, { kind: 'target-gone', detail: 'process 100 exited' });
    expect(lab.views).toEqual([]);
    lab.tracer.end('p1', 200, { kind: 'target-gone', detail: 'process 200 exited' });
    expect(lab.views.at(-1)).toMatchObject({ phase: 'ended', end: 'target-gone', why: 'process 200 exited' });
  });

  test('by expiry', async () => {
    vi.useFakeTimers();
    await lab.session[Symbol.asyncDispose]();
    lab.session = lab.makeSession();
    await lab.session.arm(requestOf({ expiresMs: Date.now() + 2500 }));
    await vi.advanceTimersByTimeAsync(2000);
    expect(lab.views).toEqual([]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(lab.views.at(-1)).toMatchObject({
      end: 'expired',
      why: 'expired, armed at 1 address in process 100 by uprobe: 0 hits, no thread has passed there yet',
    });
    expect(lab.tracer.armed.size).toBe(0);
  });

  test('with the session: all is disarmed, then the tracer ends', async () => {
    await lab.session.arm(requestOf({ pids: [100, 200] }));
    await lab.session[Symbol.asyncDispose]();
    expect(lab.tracer.calls.slice(2)).toEqual(['disarm p1 100', 'disarm p1 200', 'dispose']);
  });
});

describe('a tracer that died', () => {
  test('is followed by arming again, for what is left to deliver', async () => {
    await lab.session.arm(requestOf({ maxHits: 3 }));
    lab.tracer.hit('p1', 100);
    lab.tracer.countersNow = { hits: 4n, conditionFalse: 3n, faults: 0n, dropped: 0n, delivered: 1n };
    await lab.session.points();
    lab.tracer.die('killed');
    await vi.waitFor(() => expect(lab.tracer.calls).toEqual(['arm p1 100 best 3', 'arm p1 100 best 2']));
    await vi.waitFor(async () => {
      const [view] = await lab.session.points();
      // What was counted before is not forgotten.
      expect(view?.counters).toMatchObject({ hits: 8n, conditionFalse: 6n, delivered: 1n });
    });
  });

  test('with the target gone meanwhile ends the point', async () => {
    await lab.session.arm(requestOf());
    lab.tracer.refusals.set(100, new StillframeError('target-gone', 'process 100 is gone'));
    lab.tracer.die('killed');
    await vi.waitFor(() =>
      expect(lab.views.at(-1)).toMatchObject({ end: 'target-gone', why: 'process 100 is gone' }),
    );
  });

  test('again and again fails the point that may be the cause', async () => {
    await lab.session.arm(requestOf());
    for (let i = 0; i < 4; i++) {
      lab.tracer.die('SIGSEGV');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(lab.views.at(-1)).toMatchObject({ phase: 'failed', why: 'the tracer died 4 times: SIGSEGV' });
  });
});

test('a selector arms processes as they appear', async () => {
  vi.useFakeTimers();
  await lab.session[Symbol.asyncDispose]();
  lab.session = lab.makeSession();
  const view = await lab.session.arm(requestOf({ pids: [], selector: 'name:app' }));
  expect(view).toMatchObject({ phase: 'pending', why: 'no process fits name:app yet' });
  lab.tracer.targets = [targetOf(300)];
  await vi.advanceTimersByTimeAsync(1500);
  expect(lab.views.at(-1)).toMatchObject({ phase: 'armed', processes: [{ pid: 300 }] });
  lab.tracer.end('p1', 300, { kind: 'target-gone', detail: 'process 300 exited' });
  expect(lab.views.at(-1)).toMatchObject({
    phase: 'pending',
    why: 'waiting for a process that fits name:app: process 300 exited',
  });
});

test('a process that goes before its arming is answered ends the point', async () => {
  lab.tracer.whileArming = ({ pointId, pid }) =>
    lab.tracer.end(pointId, pid, { kind: 'target-gone', detail: 'process 100 exited' });
  const view = await lab.session.arm(requestOf());
  expect(view).toMatchObject({
    phase: 'ended',
    end: 'target-gone',
    why: 'process 100 exited',
    processes: [],
  });
});

test('more points than the limit are refused', async () => {
  for (let i = 0; i < 200; i++) await lab.session.arm(requestOf({ id: `p${i}` }));
  await expect(lab.session.arm(requestOf({ id: 'q' }))).rejects.toThrow(
    'cannot arm point q: 200 points are armed already',
  );
});
