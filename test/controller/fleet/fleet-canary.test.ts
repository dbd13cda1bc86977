import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { PointDocument } from '../../../controller/service/documents.js';
import { StillframeError } from '../../../format/error.js';
import { armedAt, type FakeHost } from './fake-fleet.js';
import { KeeperBench, rest } from './keeper-bench.js';

const shop = (pid: number) => ({ pid, name: 'shop', buildId: 'aaaaaaaa11' });
const names = ['web-1', 'web-2', 'web-3'];
const beganMs = Date.parse('2026-01-01T00:00:00Z');

let bench: KeeperBench;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'], now: beganMs });
  bench = new KeeperBench(...names);
  for (const [index, name] of names.entries()) host(name).start(shop(10 * (index + 1)));
});
afterEach(async () => {
  vi.useRealTimers();
  await bench[Symbol.asyncDispose]();
});

const host = (name: string): FakeHost => bench.fleet.host(name);
const hostsOf = (id: string): string[] => names.filter((name) => armedAt(host(name), id).length > 0);
const canaryMsAt = (name: string): unknown[] =>
  [...host(name).held.values()].map(({ order }) => order.terms?.canaryMs);

async function seconds(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    vi.advanceTimersByTime(1000);
    await rest();
  }
}

/** The agents come one after another, so that the first is the canary. */
async function set(): Promise<PointDocument> {
  bench.fleet.connect('web-1');
  const point = await bench.set({ maxHits: 9, terms: { canaryMs: 35_000, cpuPercent: 2 } });
  await rest();
  bench.fleet.connect('web-2', 'web-3');
  await rest();
  return point;
}

test('a point of many hosts is tried at one first, says so, and is armed at the others when it was borne there', async () => {
  const { id } = await set();
  expect(hostsOf(id)).toEqual(['web-1']);
  expect(bench.why(id)).toBe(
    'armed at 1 address in process 10 at web-1 by uprobe: 0 hits, no thread has passed there yet; canary at web-1 until 2026-01-01T00:00:35Z, then at the other 2 hosts',
  );
  const waiting = bench.document(id).hosts?.find((each) => each.host === 'web-2');
  expect(waiting?.why).toContain('waits for the host where it is tried first');
  await seconds(33);
  expect(hostsOf(id)).toEqual(['web-1']);
  await seconds(4);
  expect(hostsOf(id)).toEqual(names);
  // In one process of the first, in all at once of the others.
  expect(names.flatMap(canaryMsAt)).toEqual([35_000, 0, 0]);
  expect(host('web-2').held.values().next().value?.order.terms?.cpuPercent).toBe(2);
  expect(bench.why(id)).not.toContain('canary');
});

test('who comes later waits as well, and no more when it was borne', async () => {
  bench.fleet.connect('web-1');
  const { id } = await bench.set({ maxHits: 9, terms: { canaryMs: 35_000 } });
  await seconds(40);
  bench.fleet.connect('web-2');
  await rest();
  expect(hostsOf(id)).toEqual(['web-1', 'web-2']);
});

test.each([
  ['dies', () => host('web-1').stop(10), 'no process fits name:shop'],
  [
    'cannot bear it',
    (id: string) => {
      const [arming = ''] = armedAt(host('web-1'), id);
      host('web-1').end(arming, 'failed', 'failed', 'the tracer died 4 times');
    },
    'the tracer died 4 times',
  ],
] as const)('the process that %s at the first keeps it from all others', async (_, happens, why) => {
  const { id } = await set();
  await seconds(5);
  happens(id);
  await seconds(60);
  expect(hostsOf(id)).toEqual([]);
  expect(bench.document(id)).toMatchObject({
    state: 'failed',
    end: 'failed',
    why: `${why}; not armed at other hosts, for web-1 was the first`,
  });
});

test('one that is suspended keeps it from the others until it was resumed, and borne for as long', async () => {
  const { id } = await set();
  const [arming = ''] = armedAt(host('web-1'), id);
  host('web-1').suspend(arming, 'suspended, for its hits took 3% of a CPU');
  await seconds(60);
  expect(hostsOf(id)).toEqual(['web-1']);
  expect(bench.why(id)).toContain('suspended at web-1');
  expect(bench.why(id)).toContain('canary at web-1 when it was resumed, then at the other 2 hosts');
  bench.crash();
  bench.fleet.connect();
  await seconds(3);
  expect(hostsOf(id)).toEqual(['web-1']);
  await bench.keeper.resume(id);
  await seconds(30);
  expect(hostsOf(id)).toEqual(['web-1']);
  await seconds(8);
  expect(hostsOf(id)).toEqual(names);
});

test('a host that refuses it is not the one that it is tried at', async () => {
  host('web-1').failures.set('arm', new StillframeError('denied', 'the policy does not allow it'));
  const { id } = await set();
  await seconds(2);
  expect(hostsOf(id).length).toBe(1);
  expect(hostsOf(id)).not.toContain('web-1');
});

test('a controller that is killed meanwhile is followed by one that goes on with it', async () => {
  const { id } = await set();
  await seconds(10);
  bench.crash();
  bench.fleet.connect('web-2', 'web-3');
  await seconds(30);
  // The first is not there: nothing is known of it.
  expect(hostsOf(id)).toEqual(['web-1']);
  bench.fleet.connect('web-1');
  await seconds(3);
  expect(hostsOf(id)).toEqual(names);
  bench.crash();
  bench.fleet.connect();
  await seconds(3);
  expect(bench.why(id)).not.toContain('canary');
});

test('without, it is armed everywhere at once', async () => {
  bench.fleet.connect();
  const { id } = await bench.set({ maxHits: 9 });
  await rest();
  expect(hostsOf(id)).toEqual(names);
});
