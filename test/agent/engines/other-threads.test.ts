import { expect, test, vi } from 'vitest';
import type { NowRequest, PointCounters, PointEnd } from '../../../agent/engines/engine.js';
import { OtherThreads } from '../../../agent/engines/other-threads.js';
import { readTids } from '../../../agent/linux/proc.js';
import { TracerSupervisor } from '../../../agent/tracer/supervisor.js';
import type { Capture } from '../../../format/capture.js';
import { StillframeError } from '../../../format/error.js';
import { captureOf, rangeOf, threadOf } from '../../support/captures.js';
import { startWorkers, workersPlan } from './uprobe/workers.js';

const counters: PointCounters = { hits: 1n, conditionFalse: 0n, faults: 0n, dropped: 0n, delivered: 1n };
const end: PointEnd = { kind: 'hits', detail: 'all delivered' };

function heard(look: (request: NowRequest) => Promise<Capture>): {
  readonly others: OtherThreads;
  readonly told: (Capture | PointEnd)[];
} {
  const told: (Capture | PointEnd)[] = [];
  const sink = {
    hit: (capture: Capture) => void told.push(capture),
    ended: (reason: PointEnd) => void told.push(reason),
  };
  return { others: new OtherThreads(look, sink, 4096), told };
}

const hitOf = (tid: number): Capture =>
  captureOf({
    pid: 10,
    tid,
    timeNs: 5_000_000n,
    threads: [threadOf(tid)],
    ranges: [rangeOf(0x7000n, [1], { path: `stack of ${tid}`, provenance: 'at-hit' })],
  });

const after = captureOf({
  engine: 'observe',
  pid: 10,
  tid: 10,
  timeNs: 5_250_000n,
  threads: [threadOf(10), threadOf(11), threadOf(12, { provenance: 'racy' })],
  ranges: [
    rangeOf(0x7000n, [1], { path: 'stack of 10', provenance: 'at-hit' }),
    rangeOf(0x8000n, [1], { path: 'stack of 11', provenance: 'at-hit' }),
    rangeOf(0x9000n, [1], { path: 'stack of 12', provenance: 'racy' }),
  ],
  missing: [{ path: 'stack of 12', reason: 'limit', detail: 'no room' }],
});

test('the hit stays as it is, and the other threads are labelled as read after it', async () => {
  const requests: NowRequest[] = [];
  const { others, told } = heard((request) => {
    requests.push(request);
    return Promise.resolve(after);
  });
  others.hit(hitOf(10));
  others.ended(end, counters);
  await vi.waitFor(() => expect(told).toHaveLength(2));
  expect(requests).toEqual([{ pid: 10, tids: [], stackBytes: 4096, maxBytes: 524_288 }]);
  const [capture, reason] = told as [Capture, PointEnd];
  expect(reason).toBe(end);
  expect(capture.timeNs).toBe(5_000_000n);
  expect(capture.threads.map(({ tid, provenance }) => [tid, provenance])).toEqual([
    [10, 'at-hit'],
    [11, 'after-hit'],
    [12, 'racy'],
  ]);
  expect(capture.ranges.map(({ path, provenance, delayUs }) => [path, provenance, delayUs])).toEqual([
    ['stack of 10', 'at-hit', undefined],
    ['stack of 11', 'after-hit', 250],
    ['stack of 12', 'racy', 250],
  ]);
  expect(capture.missing).toEqual(after.missing);
});

test('a look that fails costs the other threads, and not the hit', async () => {
  const { others, told } = heard(() => Promise.reject(new StillframeError('denied', 'needs CAP_BPF')));
  others.hit(hitOf(10));
  await vi.waitFor(() => expect(told).toHaveLength(1));
  expect(told[0]).toMatchObject({
    threads: [{ tid: 10 }],
    missing: [{ path: 'stacks of the other threads', reason: 'unreadable', detail: 'needs CAP_BPF' }],
  });
});

test('hits come in their order, those that are too many at once without their other threads', async () => {
  const answers: (() => void)[] = [];
  const { others, told } = heard(() => new Promise((resolve) => answers.push(() => resolve(after))));
  for (let i = 0; i < 20; i++) others.hit(hitOf(100 + i));
  others.ended(end, counters);
  expect(answers).toHaveLength(16);
  for (const answer of answers.toReversed()) answer();
  await vi.waitFor(() => expect(told).toHaveLength(21));
  const captures = told.slice(0, 20) as Capture[];
  expect(captures.map(({ tid }) => tid)).toEqual(Array.from({ length: 20 }, (_, i) => 100 + i));
  expect(captures.map(({ threads }) => threads.length)).toEqual([...Array<number>(16).fill(4), 1, 1, 1, 1]);
  expect(captures[19]?.missing).toEqual([
    {
      path: 'stacks of the other threads',
      reason: 'limit',
      detail: '16 hits wait for their other threads already',
    },
  ]);
  expect(told[20]).toBe(end);
});

test.each(['uprobe', 'ptrace'] as const)(
  '%s: all threads of a real process come with its hit',
  async (engine) => {
    await using workers = await startWorkers(3);
    await using tracer = new TracerSupervisor();
    const hits: Capture[] = [];
    const ends: PointEnd[] = [];
    tracer.listen({
      hit: (_, { capture }) => void hits.push(capture),
      ended: (_, __, reason) => void ends.push(reason),
      restarted: () => undefined,
    });
    const plan = workersPlan({ stackBytes: 2048 });
    await tracer.arm({
      pointId: 'p',
      pid: workers.pid,
      plan,
      engine,
      maxHits: 1,
      minIntervalNs: 0n,
      allThreads: true,
    });
    const tids = readTids(workers.pid);
    expect(tids.length).toBe(4);
    await workers.call(5);
    await vi.waitFor(() => expect(ends).toHaveLength(1));
    expect(hits).toHaveLength(1);
    const [hit] = hits;
    expect(hit?.threads[0]?.tid).toBe(hit?.tid);
    expect(hit?.threads.map(({ tid }) => tid).toSorted((a, b) => a - b)).toEqual(tids);
    for (const { tid, provenance } of hit?.threads.slice(1) ?? []) {
      expect(tid).not.toBe(hit?.tid);
      expect(['after-hit', 'racy']).toContain(provenance);
    }
    const stacks = hit?.ranges.filter(({ path }) => path.startsWith('stack of ')) ?? [];
    expect(stacks.length).toBeGreaterThan(1);
    expect(stacks.slice(1).every(({ delayUs }) => delayUs !== undefined && delayUs >= 0)).toBe(true);
  },
);
