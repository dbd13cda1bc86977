import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import { makeArmingIdentifier } from '../../../format/identifier.js';
import { armedAt, type FakeHost } from './fake-fleet.js';
import { KeeperBench, rest } from './keeper-bench.js';
import { rejected } from '../../support/thrown.js';

const build = 'aaaaaaaa11';
const shop = (pid: number, part: object = {}) => ({ pid, name: 'shop', buildId: build, ...part });

let bench: KeeperBench;
let web1: FakeHost;
let web2: FakeHost;

beforeEach(() => {
  bench = new KeeperBench('web-1', 'web-2');
  web1 = bench.fleet.host('web-1');
  web2 = bench.fleet.host('web-2');
  bench.fleet.connect();
});
afterEach(async () => {
  vi.useRealTimers();
  await bench[Symbol.asyncDispose]();
});

const armed = (host: FakeHost, id: string): number => armedAt(host, id).length;

describe('arming', () => {
  test('processes that are there, on every host, each host once', async () => {
    web1.start(shop(1), shop(2));
    web2.start(shop(7));
    const { id } = await bench.set({}, true);
    expect(web1.calls).toEqual([
      `arm ${makeArmingIdentifier(id, build)} 1,2`,
      `armed ${id}-aaaaaaaa in 1`,
      `armed ${id}-aaaaaaaa in 2`,
    ]);
    expect(armed(web2, id)).toBe(1);
    expect(bench.document(id)).toMatchObject({
      state: 'armed',
      why: 'armed at 3 addresses in 3 processes at web-1, web-2 by uprobe: 0 hits, no thread has passed there yet',
      owner: 'ada@desk',
      hosts: [
        {
          host: 'web-1',
          state: 'armed',
          why: 'armed at 2 addresses in 2 processes by uprobe: 0 hits, no thread has passed there yet',
          hits: 0,
        },
        {
          host: 'web-2',
          state: 'armed',
          why: 'armed at 1 address in process 7 by uprobe: 0 hits, no thread has passed there yet',
          hits: 0,
        },
      ],
    });
    // One plan for the build, whatever the number of processes and hosts.
    expect(new Set(bench.planner.planned)).toEqual(new Set([`${id} ${build}`]));
  });

  test('a process that comes later, and one that comes after that without being asked', async () => {
    const { id } = await bench.set({}, true);
    expect(bench.document(id)).toMatchObject({
      state: 'pending',
      why: 'no process fits name:shop on any of 2 hosts yet',
    });
    web2.start(shop(5));
    await rest();
    expect(bench.why(id)).toContain('armed at 1 address in process 5 at web-2 by uprobe');
    web2.start(shop(6));
    await rest();
    expect(web2.calls.filter((call) => call.startsWith('arm '))).toHaveLength(1);
    expect(bench.why(id)).toContain('in 2 processes at web-2');
    web2.stop(5, 6);
    await rest();
    expect(bench.document(id)).toMatchObject({
      state: 'pending',
      why: 'no process fits name:shop on any of 2 hosts yet',
    });
  });

  test('only at the host that is named', async () => {
    web1.start(shop(1));
    web2.start(shop(2));
    const { id } = await bench.set({ target: 'name:shop@web-2' }, true);
    expect([armed(web1, id), armed(web2, id)]).toEqual([0, 1]);
    expect(bench.document(id).hosts?.map(({ host }) => host)).toEqual(['web-2']);
    const waiting = await bench.set({ target: 'name:other@web-2' });
    expect(bench.why(waiting.id)).toBe('no process fits name:other@web-2 yet');
  });

  test('each build has a plan and an arming of its own', async () => {
    web1.start(shop(1), shop(2, { buildId: 'bbbbbbbb22' }));
    const { id } = await bench.set({}, true);
    expect(armedAt(web1, id).toSorted()).toEqual([`${id}-aaaaaaaa`, `${id}-bbbbbbbb`]);
    web1.start(shop(3, { buildId: 'cccccccc33' }));
    await rest();
    expect(armedAt(web1, id)).toHaveLength(3);
    expect(bench.why(id)).toContain('in 3 processes at web-1');
  });

  test('what is asked is passed on', async () => {
    web1.start(shop(1));
    const spec = {
      engine: 'ptrace',
      everyProcess: true,
      maxHits: 4,
      minIntervalNs: 7n,
      note: 'why',
      expiresMs: Date.now() + 9e6,
    } as const;
    const { id } = await bench.set(spec, true);
    expect(web1.held.get(`${id}-aaaaaaaa`)?.order).toMatchObject({
      ...spec,
      selector: 'name:shop',
      owner: 'ada@desk',
      countOnly: false,
      whileConnected: false,
    });
  });

  test('a pid is armed in that process only, and ends with it', async () => {
    web1.start(shop(1), shop(2));
    const { id } = await bench.set({ target: '1' }, true);
    expect(web1.held.get(`${id}-aaaaaaaa`)?.order).toMatchObject({ pids: [1], selector: '' });
    web1.stop(1);
    await rest();
    expect(bench.document(id)).toMatchObject({
      state: 'ended',
      end: 'target-gone',
      why: 'the process has ended',
    });
  });

  test('another process with the same pid is not taken for it', async () => {
    web1.start(shop(1));
    web1.failures.set('arm', new StillframeError('limit', '200 points are armed already'));
    const { id } = await bench.set({ target: '1' });
    await rest();
    expect(bench.why(id)).toBe('cannot arm in 1 process at web-1: 200 points are armed already');
    web1.failures.clear();
    bench.fleet.disconnect('web-1');
    web1.processes.clear();
    web1.start(shop(1, { startTimeMs: Date.now() + 60_000 }));
    bench.fleet.connect('web-1');
    await rest();
    expect(armed(web1, id)).toBe(0);
  });
});

describe('why it has not fired', () => {
  test('a library that is not loaded, until it is', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    await bench[Symbol.asyncDispose]();
    bench = new KeeperBench('web-1');
    web1 = bench.fleet.host('web-1');
    bench.fleet.connect();
    web1.start(shop(1));
    const { id } = await bench.set({ location: 'libpay.so!charge' });
    await rest();
    expect(bench.why(id)).toBe('cannot arm in 1 process at web-1: it maps no module "libpay.so"');
    web1.processes.set(1, shop(1, { libraries: { 'libpay.so': 'eeeeeeee55' } }));
    vi.advanceTimersByTime(6000);
    await rest();
    expect(armedAt(web1, id)).toEqual([`${id}-eeeeeeee`]);
  });

  test('a location or expression that does not fit a build', async () => {
    bench.planner.refusals.set(
      build,
      new StillframeError('not-found', 'no line 42 in "orders.c": nearest are 40, 45'),
    );
    web1.start(shop(1), shop(2));
    web2.start(shop(3));
    const { id } = await bench.set();
    await rest();
    expect(bench.why(id)).toBe(
      'cannot arm in 3 processes at web-1, web-2: no line 42 in "orders.c": nearest are 40, 45',
    );
    expect(bench.document(id).hosts).toEqual([
      { host: 'web-1', state: 'refused', why: 'cannot arm in 2 processes: no line 42 in "orders.c": nearest are 40, 45', hits: 0 },
      { host: 'web-2', state: 'refused', why: 'cannot arm in 1 process: no line 42 in "orders.c": nearest are 40, 45', hits: 0 },
    ]); // prettier-ignore
    // Another build may be right.
    web2.start(shop(4, { buildId: 'bbbbbbbb22' }));
    await rest();
    expect(bench.why(id)).toBe(
      'armed at 1 address in process 4 at web-2 by uprobe: 0 hits, no thread has passed there yet; cannot arm in 3 processes at web-1, web-2: no line 42 in "orders.c": nearest are 40, 45',
    );
  });

  test('hits with a false condition', async () => {
    web1.start(shop(1));
    const { id } = await bench.set({ condition: 'total > 10' }, true);
    web1.hit(1, false);
    web1.hit(1, false);
    await bench.keeper.refresh();
    expect(bench.why(id)).toBe(
      'armed at 1 address in process 1 at web-1 by uprobe: 2 hits, condition false 2 times',
    );
  });

  test('suspended; not watched; not allowed; without a build id', async () => {
    web1.start(shop(1), shop(2, { refusal: 'the policy does not allow it' }), shop(3, { buildId: '' }));
    const { id } = await bench.set({}, true);
    expect(bench.why(id)).toBe(
      'armed at 1 address in process 1 at web-1 by uprobe: 0 hits, no thread has passed there yet; cannot arm in 1 process at web-1: the policy does not allow it; cannot arm in 1 process at web-1: "/usr/bin/shop" has no build id: nothing proves that two processes run the same file',
    );
    web1.suspend(`${id}-aaaaaaaa`, 'its condition took 1.2% of a CPU');
    await rest();
    expect(bench.document(id).state).toBe('suspended');
    expect(bench.why(id)).toContain('suspended at web-1: its condition took 1.2% of a CPU; cannot arm');
  });

  test('processes that an agent cannot watch are asked for', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    await bench[Symbol.asyncDispose]();
    bench = new KeeperBench('web-1');
    web1 = bench.fleet.host('web-1');
    bench.fleet.refusesWatches = '256 watches are the most';
    bench.fleet.connect();
    const { id } = await bench.set();
    await rest();
    expect(bench.why(id)).toBe(
      'no process fits name:shop at web-1 yet; processes at web-1 are looked for now and then only: 256 watches are the most',
    );
    web1.start(shop(1));
    vi.advanceTimersByTime(11_000);
    await rest();
    expect(armed(web1, id)).toBe(1);
    web1.stop(1);
    vi.advanceTimersByTime(11_000);
    await rest();
    expect(bench.why(id)).toContain('no process fits name:shop at web-1 yet');
  });

  test('agents that are not connected', async () => {
    const { id } = await bench.set();
    bench.fleet.disconnect('web-2', 'connect ECONNREFUSED 10.0.0.2:7443');
    expect(bench.why(id)).toBe(
      'no process fits name:shop at web-1 yet; agent web-2 is not connected: connect ECONNREFUSED 10.0.0.2:7443',
    );
    bench.fleet.disconnect('web-1', 'it hung up');
    expect(bench.why(id)).toBe(
      'agent web-1 is not connected: it hung up; agent web-2 is not connected: connect ECONNREFUSED 10.0.0.2:7443',
    );
    expect(bench.document(id).hosts?.map(({ state }) => state)).toEqual(['not-connected', 'not-connected']);
  });

  test('listeners are told, and counters are asked for while somebody listens and something is armed', async () => {
    web1.start(shop(1));
    expect(web1.watchMs).toBe(0);
    const { id } = await bench.set({ maxHits: 3 }, true);
    await rest();
    expect(web1.watchMs).toBe(1000);
    expect(web2.watchMs).toBe(0);
    bench.told.length = 0;
    web1.hit(1);
    await vi.waitFor(() => expect(bench.told.at(-1)).toMatchObject({ id, hits: 1, delivered: 1 }));
  });
});

describe('refusals', () => {
  test.each([
    [{ target: '' }, 'cannot parse target "": it is empty'],
    [{ target: '@web-1' }, 'cannot set a point in all processes of a host: "@web-1" is too wide'],
    [{ maxHits: 0 }, 'cannot set a point: its hits must be from 1 to 1000, not 0'],
    [{ maxHits: 1001 }, 'cannot set a point: its hits must be from 1 to 1000, not 1001'],
    [
      { minIntervalNs: -1n },
      'cannot set a point: the interval between hits must be from 0 to 2^63 ns, not -1',
    ],
    [{ expiresMs: 5 }, 'cannot set a point: it would expire before it is set'],
    [{ expiresMs: Date.now() + 40 * 86_400_000 }, 'cannot set a point: it must expire within 30 days'],
    [{ kind: 'count', captures: ['x'] } as const, 'cannot set a point: a point that counts captures nothing'],
    [{ note: 'x'.repeat(5000) }, 'cannot set a point: the note is longer than 4096 characters'],
    [
      { captures: Array<string>(101).fill('x') },
      'cannot set a point: 101 captures are asked for, 100 are the most',
    ],
  ])('%o', async (part, message) => {
    expect(await rejected(bench.set(part))).toBe(`usage: ${message}`);
    expect(bench.keeper.list()).toEqual([]);
  });

  test('strict: the first refusal is thrown and nothing is kept', async () => {
    bench.planner.refusals.set(build, new StillframeError('bad-expression', 'no variable "totl" here'));
    web1.start(shop(1));
    expect(await rejected(bench.set({}, true))).toBe('bad-expression: no variable "totl" here');
    expect(bench.keeper.list()).toEqual([]);
    expect(bench.store.listPoints()).toEqual([]);
    expect(bench.store.listArmings()).toEqual([]);
  });

  test('strict: refused by the agent', async () => {
    web1.failures.set('arm', new StillframeError('denied', 'the policy allows no engine'));
    web1.start(shop(1));
    expect(await rejected(bench.set({}, true))).toBe('denied: the policy allows no engine');
    expect(bench.store.listPoints()).toEqual([]);
  });

  test('strict: one process that can be armed is enough', async () => {
    bench.planner.refusals.set('bbbbbbbb22', new StillframeError('not-found', 'no line 42'));
    web1.start(shop(1, { buildId: 'bbbbbbbb22' }));
    web2.start(shop(2));
    const { id } = await bench.set({}, true);
    expect(bench.document(id).state).toBe('armed');
  });

  test('a pid that is not there, is there twice, or that nobody can be asked for', async () => {
    expect(await rejected(bench.set({ target: '4' }))).toBe('not-found: there is no process 4');
    web1.start(shop(4));
    web2.start(shop(4));
    expect(await rejected(bench.set({ target: '4' }))).toBe('ambiguous: "4" fits 2 processes');
    expect((await bench.set({ target: '4@web-2' }, true)).state).toBe('armed');
    bench.fleet.disconnect('web-1');
    bench.fleet.disconnect('web-2');
    expect(await rejected(bench.set({ target: '4' }))).toBe(
      'unreachable: agent web-1 is not connected: connect ECONNREFUSED, nor are 1 others',
    );
    expect(await rejected(bench.set({ target: '4@db-1' }))).toBe('not-found: no agent is called "db-1"');
  });

  test('a thousand points are the most', async () => {
    for (let i = 0; i < 1000; i++) await bench.set();
    expect(await rejected(bench.set())).toBe('limit: cannot set a point: 1000 are active already');
  });
});

describe('hits', () => {
  test('the first wins: two hosts at once, one snapshot, both disarmed, the other counted', async () => {
    web1.start(shop(1));
    web2.start(shop(2));
    const { id } = await bench.set({}, true);
    web1.isSlow = true;
    web2.isSlow = true;
    web1.hit(1);
    web2.hit(2);
    web1.deliver();
    web2.deliver();
    await rest();
    expect(bench.store.listSnapshots({ point: id })).toHaveLength(1);
    expect(bench.announced.map(({ host }) => host)).toEqual(['web-1']);
    expect([armed(web1, id), armed(web2, id), web1.spool.size, web2.spool.size]).toEqual([0, 0, 0, 0]);
    expect(bench.document(id)).toMatchObject({
      state: 'ended',
      end: 'hits',
      why: 'delivered its hit (2 hits); 1 more came and was not kept',
      hits: 2,
      delivered: 1,
    });
  });

  test('so many over all hosts, never more, never fewer', async () => {
    web1.start(shop(1));
    web2.start(shop(2));
    const { id } = await bench.set({ maxHits: 3 }, true);
    web1.hit(1);
    web2.hit(2);
    await rest();
    expect(bench.document(id)).toMatchObject({ state: 'armed', delivered: 2 });
    expect(bench.why(id)).toContain('2 hits, 2 of 3 delivered');
    web1.hit(1);
    web2.hit(2);
    await rest();
    expect(bench.store.countSnapshots(id)).toEqual({ stored: 3, surplus: 1 });
    expect(bench.document(id)).toMatchObject({ state: 'ended', delivered: 3 });
  });

  test('so many of every process', async () => {
    web1.start(shop(1), shop(2));
    const { id } = await bench.set({ maxHits: 1, everyProcess: true }, true);
    web1.hit(1);
    web1.hit(2);
    await rest();
    expect(bench.document(id)).toMatchObject({ state: 'armed', delivered: 2 });
  });

  test('a snapshot that comes again is stored once, announced once, and acknowledged again', async () => {
    web1.start(shop(1));
    const { id } = await bench.set({ maxHits: 2 }, true);
    web1.losesAcknowledgements = true;
    web1.hit(1);
    await rest();
    expect(web1.spool.size).toBe(1);
    web1.losesAcknowledgements = false;
    bench.fleet.disconnect('web-1');
    bench.fleet.connect('web-1');
    await rest();
    expect(web1.spool.size).toBe(0);
    expect(bench.store.listSnapshots({ point: id })).toHaveLength(1);
    expect(bench.announced).toHaveLength(1);
    expect(bench.document(id)).toMatchObject({ state: 'armed', delivered: 1 });
  });

  test('surplus that comes again is counted once', async () => {
    web1.start(shop(1));
    web2.start(shop(2));
    const { id } = await bench.set({}, true);
    web1.isSlow = true;
    web1.losesAcknowledgements = true;
    web1.hit(1);
    web2.hit(2);
    await rest();
    bench.fleet.disconnect('web-1');
    bench.fleet.connect('web-1');
    await rest();
    expect(bench.why(id)).toContain('; 1 more came and was not kept');
  });

  test('hits that were used up at a host and did not come are asked for once more', async () => {
    web1.start(shop(1));
    const { id } = await bench.set({}, true);
    web1.isSlow = true;
    web1.hit(1);
    // The disk of that host was full: the agent counts a hit and has no snapshot.
    web1.spool.clear();
    await rest();
    expect(armedAt(web1, id)).toEqual([makeArmingIdentifier(id, build, 1)]);
    web1.isSlow = false;
    web1.hit(1);
    await rest();
    expect(bench.document(id)).toMatchObject({ state: 'ended', why: 'delivered its hit (2 hits)' });
  });

  test('counting: summed over hosts and over the lives of an agent', async () => {
    web1.start(shop(1));
    web2.start(shop(2));
    const { id } = await bench.set({ kind: 'count', condition: 'total < 0' }, true);
    expect(web1.held.get(`${id}-aaaaaaaa`)?.order.countOnly).toBe(true);
    for (let i = 0; i < 5; i++) web1.hit(1, false);
    web2.hit(2);
    await bench.keeper.refresh();
    expect(bench.document(id)).toMatchObject({
      kind: 'count',
      hits: 6,
      conditionFalse: 5,
      delivered: 0,
      state: 'armed',
    });
    bench.fleet.disconnect('web-1');
    expect(bench.document(id).hits).toBe(6);
    web1.restart();
    bench.fleet.connect('web-1');
    await rest();
    for (let i = 0; i < 7; i++) web1.hit(1);
    await bench.keeper.refresh();
    expect(bench.document(id).hits).toBe(13);
    bench.crash();
    bench.fleet.connect();
    await rest();
    expect(bench.document(id).hits).toBe(13);
    await bench.keeper.remove(id, 'removed');
    expect(bench.document(id)).toMatchObject({ hits: 13, why: 'removed (13 hits, condition false 5 times)' });
  });
});

test('what agents have suspended is armed again where it is, and nowhere else', async () => {
  web1.start(shop(1));
  web2.start(shop(7));
  const { id } = await bench.set({}, true);
  const arming = makeArmingIdentifier(id, build);
  web1.suspend(arming, 'suspended, for its hits took 12% of a CPU');
  await rest();
  expect(bench.document(id).hosts?.[0]).toMatchObject({ host: 'web-1', state: 'suspended' });
  expect((await bench.keeper.resume(id)).hosts?.[0]).toMatchObject({ host: 'web-1', state: 'armed' });
  expect(web1.calls).toContain(`resume ${arming}`);
  expect(web2.calls).not.toContain(`resume ${arming}`);
});
