/** What becomes of points and snapshots when those who waited for them are gone, and who asks for an end that is on its way. */
import { expect, test, vi } from 'vitest';
import { defaultPolicy } from '../../../agent/policy/policy.js';
import { Arming } from '../../../agent/session/arming.js';
import { Gate } from '../../../agent/session/gate.js';
import { Point } from '../../../agent/session/point.js';
import { StillframeError } from '../../../format/error.js';
import { requestOf, useSessions } from './session-lab.js';

const lab = useSessions();
const longAgoMs = 60_000;

/** Half of what the spool holds. */
function hitLarge(id: string): void {
  const bytes = new Uint8Array(450 * 1024);
  lab.tracer.hit(id, 100, { ranges: [{ address: 0x10000n, bytes, provenance: 'at-hit', path: 'x' }] });
}

const waiting = (): string[] =>
  lab.spool
    .list()
    .map(({ point }) => point)
    .toSorted();

test('who removes a point that is just ending waits for the kernel, too, and changes nothing of how it ended', async () => {
  await lab.session.arm(requestOf());
  let disarmed: () => void = () => undefined;
  const disarm = lab.tracer.disarm.bind(lab.tracer);
  lab.tracer.disarm = async (...which) => {
    await new Promise<void>((resolve) => (disarmed = resolve));
    return await disarm(...which);
  };
  lab.tracer.hit('p1', 100);
  const told: string[] = [];
  const removal = lab.session.remove('p1').then(({ end }) => told.push(end ?? ''));
  await new Promise(setImmediate);
  expect(told).toEqual([]);
  expect(lab.tracer.armed.size).toBe(1);
  // Nobody is told that it is over as long as the kernel has its probe.
  const [point] = await lab.session.points();
  expect(point).toMatchObject({
    phase: 'armed',
    why: 'being disarmed: delivered its hit',
  });
  expect(point).not.toHaveProperty('end');
  disarmed();
  await removal;
  expect(told).toEqual(['hits']);
  expect(lab.tracer.armed.size).toBe(0);
  expect(lab.tracer.calls.filter((call) => call.startsWith('disarm'))).toHaveLength(1);
});

test('a probe that the tracer did not say it removed is not told to be gone', async () => {
  await lab.session.arm(requestOf());
  lab.tracer.disarm = () =>
    Promise.reject(new StillframeError('system', 'the tracer did not answer disarm within 60000 ms'));
  for (let i = 0; i < 2; i++) {
    await expect(lab.session.remove('p1')).rejects.toThrow(
      'the tracer did not answer disarm within 60000 ms',
    );
  }
});

test('what commands that are gone left in the spool gives way to what is waited for, and nothing else does', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const arm = async (id: string, whileConnected: boolean): Promise<Disposable> => {
    await lab.session.arm(requestOf({ id, whileConnected }));
    return lab.session.hold(id);
  };
  (await arm('gone', true))[Symbol.dispose]();
  hitLarge('gone');
  await arm('kept', false);
  hitLarge('kept');
  expect(waiting()).toEqual(['gone', 'kept']);
  const held = await arm('held', true);
  // Its command may come back: until then there is no room.
  hitLarge('held');
  expect(waiting()).toEqual(['gone', 'kept']);
  vi.setSystemTime(Date.now() + longAgoMs);
  await lab.session.arm(requestOf({ id: 'another', whileConnected: true }));
  hitLarge('another');
  expect(waiting()).toEqual(['another', 'kept']);
  // Neither that of a controller that stays, nor that of a command that was there a moment ago.
  await lab.session.arm(requestOf({ id: 'last' }));
  hitLarge('last');
  expect(waiting()).toEqual(['another', 'kept']);
  held[Symbol.dispose]();
});

test('snapshots of a command that is gone go when its point is forgotten; those of a controller that stays wait', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  for (const whileConnected of [true, false]) {
    const id = whileConnected ? 'command' : 'controller';
    await lab.session.arm(requestOf({ id, whileConnected }));
    lab.session.hold(id)[Symbol.dispose]();
    lab.tracer.hit(id, 100);
  }
  // Of a log nobody asks for lines later, though whoever listened may be there for long.
  await lab.session.arm(
    requestOf({ id: 'log', whileConnected: true, stream: true, minIntervalNs: 1_000_000_000n }),
  );
  lab.session.hold('log');
  lab.tracer.hit('log', 100);
  await lab.session.remove('log');
  expect(waiting()).toEqual(['command', 'controller', 'log']);
  vi.setSystemTime(Date.now() + longAgoMs);
  for (let i = 0; i < 101; i++) {
    await lab.session.arm(requestOf({ id: `other${i}` }));
    await lab.session.remove(`other${i}`);
  }
  expect(waiting()).toEqual(['controller']);
});

test('a point that is suspended while it is armed in another process stays suspended, and is armed in none', async () => {
  const { tracer } = lab;
  const arming = new Arming(tracer, new Gate(defaultPolicy(), tracer));
  const point = new Point(requestOf({ pids: [100, 200] }));
  await arming.arm(point, { pid: 100 });
  let disarmed: Promise<unknown> | undefined;
  tracer.whileArming = () => {
    point.suspend('it costs too much');
    disarmed = arming.disarm(point);
  };
  await arming.arm(point, { pid: 200 });
  expect(await disarmed).toEqual([]);
  expect(tracer.armed.size).toBe(0);
  expect(point).toMatchObject({ phase: 'suspended', detail: 'it costs too much' });
  // It goes on in both when it is resumed.
  expect([...point.unarmed.keys()]).toEqual([100, 200]);
});

test('who removes a point that is being armed hears that it could not be disarmed', async () => {
  const { tracer, session } = lab;
  let removal: Promise<unknown> | undefined;
  tracer.disarm = () => Promise.reject(new StillframeError('system', 'the kernel does not let go'));
  tracer.whileArming = () => {
    removal = session.remove('p1');
    // It is looked at below.
    removal.catch(() => undefined);
  };
  expect(await session.arm(requestOf())).toMatchObject({ phase: 'armed', why: 'being disarmed: removed' });
  await expect(removal).rejects.toThrow('the kernel does not let go');
});

test('a point that nobody waits for goes, however long the kernel takes to let go of another', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
  await lab.session[Symbol.asyncDispose]();
  lab.session = lab.makeSession();
  for (const id of ['slow', 'quick', 'expiring']) {
    await lab.session.arm(requestOf({ id, whileConnected: true, expiresMs: Date.now() + 30_000 }));
    if (id !== 'expiring') lab.session.hold(id)[Symbol.dispose]();
    else lab.session.hold(id);
  }
  const { tracer } = lab;
  const disarm = tracer.disarm.bind(tracer);
  let letGo: () => void = () => undefined;
  tracer.disarm = async (id, pid) => {
    if (id === 'slow') await new Promise<void>((resolve) => (letGo = resolve));
    return await disarm(id, pid);
  };
  await vi.advanceTimersByTimeAsync(10_000);
  expect([...tracer.armed.keys()]).toEqual(['slow 100', 'expiring 100']);
  await vi.advanceTimersByTimeAsync(30_000);
  expect([...tracer.armed.keys()]).toEqual(['slow 100']);
  expect((await lab.session.points()).map(({ id, phase, end }) => `${id} ${end ?? phase}`)).toEqual([
    'slow armed',
    'quick removed',
    'expiring expired',
  ]);
  letGo();
  await lab.session.remove('slow');
  expect(tracer.armed.size).toBe(0);
});
