import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ArmedPoint, PointCounters } from '../../../agent/engines/engine.js';
import type { ProgramImages } from '../../../agent/targets/program-image.js';
import { type LookedAfter, PointLooks } from '../../../agent/tracer/point-looks.js';
import { StillframeError } from '../../../format/error.js';

let told: (readonly string[])[];
let logged: string[];
let looks: PointLooks;

beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  logged = [];
  looks = new PointLooks({
    passed: (pointIds) => told.push(pointIds),
    log: (_, message) => logged.push(message),
  });
});

afterEach(() => {
  looks[Symbol.dispose]();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

type Look = (images: ProgramImages) => bigint;

function pointWith(look: Look | undefined, hits = 0n): ArmedPoint {
  const counters = { hits, conditionFalse: 0n, faults: 0n, dropped: 0n, delivered: 0n };
  return {
    engine: 'uprobe',
    addresses: [],
    counters: () => counters,
    disarm: () => Promise.resolve(),
    ...(look === undefined ? {} : { look: (images) => ({ hits: look(images) }) }),
  };
}

const armed = (pointId: string, look: Look, pid = 100): LookedAfter => ({
  pointId,
  pid,
  point: pointWith(look),
});

const second = async (): Promise<void> => {
  await vi.advanceTimersByTimeAsync(1000);
};

test('tells of points that were passed since it was told of them, and of no others', async () => {
  const hits = { p: 0n, q: 0n };
  looks.add(armed('p', () => hits.p));
  looks.add(armed('q', () => hits.q));
  await second();
  expect(told).toEqual([]);
  hits.q = 5n;
  await second();
  await second();
  expect(told).toEqual([['q']]);
  hits.p = 1n;
  hits.q = 6n;
  await second();
  expect(told).toEqual([['q'], ['p', 'q']]);
});

test('tells of a point whose library is loaded, or is gone again', async () => {
  let awaited: string | undefined = 'its library is not loaded';
  const look = (): Pick<PointCounters, 'hits' | 'awaited'> => ({
    hits: 0n,
    ...(awaited === undefined ? {} : { awaited }),
  });
  looks.add({ pointId: 'p', pid: 100, point: { ...pointWith(undefined), look } });
  await second();
  await second();
  expect(told).toEqual([['p']]);
  awaited = undefined;
  await second();
  await second();
  expect(told).toEqual([['p'], ['p']]);
});

test('a point in several processes is told of once', async () => {
  looks.add(armed('p', () => 1n, 100));
  looks.add(armed('p', () => 2n, 200));
  await second();
  expect(told).toEqual([['p']]);
});

test('an engine that hears of ends by itself is asked for its counters', async () => {
  looks.add({ pointId: 'p', pid: 100, point: pointWith(undefined, 3n) });
  await second();
  await second();
  expect(told).toEqual([['p']]);
});

describe('looking', () => {
  test('all points of a look see processes by the same images, those of the next by others', async () => {
    const seen: ProgramImages[] = [];
    const look = (images: ProgramImages): bigint => {
      seen.push(images);
      return 0n;
    };
    looks.add(armed('p', look));
    looks.add(armed('q', look));
    await second();
    await second();
    expect(seen.length).toBe(4);
    expect(seen[0]).toBe(seen[1]);
    expect(seen[2]).not.toBe(seen[0]);
  });

  test('ends with the last point, and begins with the next', async () => {
    const look = vi.fn(() => 0n);
    const first = armed('p', look);
    looks.add(first);
    await second();
    looks.remove(first);
    expect(vi.getTimerCount()).toBe(0);
    await second();
    expect(look).toHaveBeenCalledTimes(1);
    looks.add(armed('q', look));
    await second();
    expect(look).toHaveBeenCalledTimes(2);
  });

  test('that fails is logged once, and keeps no other point from being looked at', async () => {
    looks.add(
      armed('p', () => {
        throw new StillframeError('denied', 'cannot read /proc/100/auxv: EACCES');
      }),
    );
    looks.add(armed('q', () => 1n));
    await second();
    await second();
    expect(logged).toEqual([
      'cannot look after point "p" in process 100: cannot read /proc/100/auxv: EACCES',
    ]);
    expect(told).toEqual([['q']]);
  });

  test('is rarer where it takes long', async () => {
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    const look = vi.fn(() => {
      now += 6;
      return 0n;
    });
    looks.add(armed('p', look));
    await second();
    expect(look).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(2900);
    expect(look).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(look).toHaveBeenCalledTimes(2);
  });
});
