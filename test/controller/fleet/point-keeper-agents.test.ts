import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StillframeError } from '../../../format/error.js';
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

describe('agents that come and go', () => {
  test('one that comes back is followed, and not armed again', async () => {
    web1.start(shop(1));
    const { id } = await bench.set({ maxHits: 2 }, true);
    const before = web1.calls.length;
    bench.fleet.disconnect('web-1');
    expect(bench.document(id).state).toBe('pending');
    web1.hit(1);
    bench.fleet.connect('web-1');
    await rest();
    expect(web1.calls.slice(before)).toEqual([]);
    expect(bench.document(id)).toMatchObject({ state: 'armed', delivered: 1, hits: 1 });
    web1.hit(1);
    await rest();
    expect(bench.document(id).state).toBe('ended');
  });

  test('states that nobody told are found out', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    await bench[Symbol.asyncDispose]();
    bench = new KeeperBench('web-1');
    web1 = bench.fleet.host('web-1');
    bench.fleet.connect();
    web1.start(shop(1));
    const { id } = await bench.set({}, true);
    // It forgot the point, and says nothing of it.
    web1.held.clear();
    vi.advanceTimersByTime(31_000);
    await rest();
    expect(armedAt(web1, id)).toEqual([`${id}-aaaaaaaa`]);
  });

  test('one that lost the point is armed again, under the same name, with the hits that are left', async () => {
    web1.start(shop(1));
    const { id } = await bench.set({ maxHits: 3 }, true);
    web1.hit(1);
    await rest();
    bench.fleet.disconnect('web-1');
    web1.restart({ forgets: true });
    bench.fleet.connect('web-1');
    await rest();
    expect(armedAt(web1, id)).toEqual([`${id}-aaaaaaaa`]);
    expect(web1.held.get(`${id}-aaaaaaaa`)?.order.maxHits).toBe(2);
  });

  test('removed while an agent is away: it says so, and it goes when the agent comes back', async () => {
    web1.start(shop(1));
    web2.start(shop(2));
    const expiresMs = Date.now() + 3_600_000;
    const { id } = await bench.set({ expiresMs }, true);
    bench.fleet.disconnect('web-2', 'it hung up');
    const removed = await bench.keeper.remove(id, 'removed');
    expect(removed).toMatchObject({
      state: 'ended',
      why: `removed; still armed at web-2, which is not connected: it goes there when web-2 comes back, or expires at ${new Date(expiresMs).toISOString()}`,
      hosts: [
        { host: 'web-1', state: 'ended', why: 'nothing of it is left there', hits: 0 },
        { host: 'web-2', state: 'removing', why: 'still armed there: not connected: it hung up', hits: 0 },
      ],
    });
    expect([armed(web1, id), armed(web2, id)]).toEqual([0, 1]);
    // Also when the controller does not live to see it.
    bench.crash();
    expect(bench.why(id)).toContain('removed; still armed at web-2, which is not connected');
    bench.fleet.connect();
    await rest();
    expect(armed(web2, id)).toBe(0);
    expect(bench.why(id)).toBe('removed');
  });

  test('what hit before the removal reached the agent is not thrown away', async () => {
    web1.start(shop(1));
    const { id } = await bench.set({}, true);
    web1.isSlow = true;
    web1.hit(1);
    web1.isSlow = false;
    await bench.keeper.remove(id, 'removed');
    expect(bench.store.countSnapshots(id)).toEqual({ stored: 1, surplus: 0 });
  });

  test('points of others are left alone', async () => {
    web1.start(shop(1));
    const foreign = '000000000000-aaaaaaaa';
    const order = {
      id: foreign,
      pids: [1],
      selector: '',
      plan: Buffer.from(build),
      engine: '',
      maxHits: 1,
      everyProcess: false,
    } as const;
    web1.arm({
      ...order,
      minIntervalNs: 0n,
      expiresMs: 9e12,
      whileConnected: false,
      countOnly: false,
      owner: '',
      note: '',
    });
    web1.arm({
      ...order,
      id: '0t3k9fx7q2ab',
      minIntervalNs: 0n,
      expiresMs: 9e12,
      whileConnected: false,
      countOnly: false,
      owner: '',
      note: '',
    });
    const before = web1.calls.length;
    bench.fleet.disconnect('web-1');
    bench.fleet.connect('web-1');
    await rest();
    web1.hit(1);
    expect(web1.calls.slice(before)).toEqual([]);
    expect([...web1.held.values()].map(({ end }) => end)).toEqual(['hits', 'hits']);
    expect(bench.store.listSnapshots()).toEqual([]);
  });

  test('removed by somebody at the host: not forced upon it, until the agent is another', async () => {
    web1.start(shop(1));
    const { id } = await bench.set({}, true);
    web1.end(`${id}-aaaaaaaa`, 'ended', 'removed', 'removed');
    await rest();
    expect(bench.why(id)).toBe('ended at web-1: removed');
    web1.start(shop(2));
    bench.fleet.disconnect('web-1');
    bench.fleet.connect('web-1');
    await rest();
    expect(armed(web1, id)).toBe(0);
    bench.crash();
    bench.fleet.connect();
    await rest();
    expect(armed(web1, id)).toBe(0);
    bench.fleet.disconnect('web-1');
    web1.restart({ forgets: true });
    bench.fleet.connect('web-1');
    await rest();
    expect(armed(web1, id)).toBe(1);
  });

  test('failed at a host: said, and the other hosts go on', async () => {
    web1.start(shop(1));
    web2.start(shop(2));
    const { id } = await bench.set({}, true);
    web1.end(`${id}-aaaaaaaa`, 'failed', 'failed', 'the tracer died 4 times');
    await rest();
    expect(bench.why(id)).toBe(
      'armed at 1 address in process 2 at web-2 by uprobe: 0 hits, no thread has passed there yet; ended at web-1: the tracer died 4 times',
    );
    web2.hit(2);
    await rest();
    expect(bench.document(id).state).toBe('ended');
  });

  test('removal waits for the agent; one that cannot is tried again', async () => {
    web1.start(shop(1));
    const { id } = await bench.set({}, true);
    let open: () => void = () => undefined;
    web1.gate = new Promise((resolve) => {
      open = resolve;
    });
    let done = false;
    const removing = bench.keeper.remove(id, 'removed').then((document) => {
      done = true;
      return document;
    });
    await rest();
    expect(done).toBe(false);
    open();
    expect((await removing).why).toBe('removed');

    const second = await bench.set({}, true);
    web1.failures.set('disarm', new StillframeError('system', 'cannot detach: EPERM'));
    expect((await bench.keeper.remove(second.id, 'removed')).why).toBe(
      'removed; it is being removed at web-1',
    );
    expect(bench.logged.join()).toContain('cannot detach: EPERM');
  });

  test('removed while it is being armed', async () => {
    web1.start(shop(1));
    let open: () => void = () => undefined;
    web1.gate = new Promise((resolve) => {
      open = resolve;
    });
    const { id } = await bench.set();
    await rest();
    const removing = bench.keeper.remove(id, 'removed');
    open();
    await removing;
    await rest();
    expect(armed(web1, id)).toBe(0);
    expect(bench.why(id)).toBe('removed');
  });

  test('removing what ended says how it ended; what is unknown is not found', async () => {
    web1.start(shop(1));
    const { id } = await bench.set({}, true);
    web1.hit(1);
    await rest();
    expect((await bench.keeper.remove(id, 'removed')).why).toBe('delivered its hit (1 hit)');
    expect(await rejected(bench.keeper.remove('000000000000', 'removed'))).toBe(
      'not-found: no point "000000000000"',
    );
  });
});

describe('expiry', () => {
  beforeEach(async () => {
    await bench[Symbol.asyncDispose]();
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    bench = new KeeperBench('web-1', 'web-2');
    web1 = bench.fleet.host('web-1');
    web2 = bench.fleet.host('web-2');
    bench.fleet.connect();
  });

  test('by the clock of the controller, with the last that was known', async () => {
    web1.start(shop(1));
    const { id } = await bench.set({ expiresMs: Date.now() + 5000, condition: 'total > 10' }, true);
    const waiting = await bench.set({ expiresMs: Date.now() + 5000, target: 'name:other' });
    web1.hit(1, false);
    vi.advanceTimersByTime(6000);
    await rest();
    expect(bench.document(id)).toMatchObject({
      state: 'ended',
      end: 'expired',
      why: 'expired, armed at 1 address in process 1 at web-1 by uprobe: 1 hit, condition false 1 time',
    });
    expect(bench.why(waiting.id)).toBe('expired, no process fits name:other on any of 2 hosts yet');
    expect(armed(web1, id)).toBe(0);
  });

  test('while no controller ran', async () => {
    web1.start(shop(1));
    const { id } = await bench.set({ expiresMs: Date.now() + 5000 }, true);
    await rest();
    vi.setSystemTime(Date.now() + 60_000);
    bench.crash();
    expect(bench.document(id)).toMatchObject({
      state: 'ended',
      why: 'expired while no controller ran; before: armed at 1 address in process 1 at web-1 by uprobe: 0 hits, no thread has passed there yet',
    });
    bench.fleet.connect();
    await rest();
    expect(armed(web1, id)).toBe(0);
  });

  test('an agent that does not answer when its points are taken up is asked again', async () => {
    vi.useRealTimers();
    web1.start(shop(1));
    bench.fleet.disconnect('web-1');
    web1.failures.set('points', new StillframeError('internal', 'the tracer is being restarted'));
    bench.fleet.connect('web-1');
    const { id } = await bench.set();
    await rest();
    expect(armed(web1, id)).toBe(0);
    web1.failures.clear();
    await vi.waitFor(() => expect(armed(web1, id)).toBe(1));
  });
});
