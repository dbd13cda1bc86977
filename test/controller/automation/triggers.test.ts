import { describe, expect, test } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import type { Firing, Outcome } from '../../../controller/automation/firing.js';
import type { LogWhen, MetricWhen, ProcessWhen } from '../../../controller/automation/rule.js';
import type { Trigger } from '../../../controller/automation/trigger.js';
import { AlertmanagerTrigger } from '../../../controller/automation/triggers/alertmanager.js';
import { Holding } from '../../../controller/automation/triggers/holding.js';
import { LogTrigger } from '../../../controller/automation/triggers/log.js';
import { HitCounter, MetricTrigger } from '../../../controller/automation/triggers/metric.js';
import { ProcessTrigger } from '../../../controller/automation/triggers/process.js';
import type { AgentTarget } from '../../../controller/rpc/agent-facts.js';
import { FakeClock, settled } from './fake-clock.js';
import { FakePoints, FakeWatches } from './fakes.js';

/** A trigger that runs, and what it fired. */
function running(trigger: Trigger, outcome: Outcome = { kind: 'fired', incident: 'i' }) {
  const fired: Omit<Firing, 'trigger'>[] = [];
  const held = trigger.start({
    fire: (firing) => {
      fired.push(firing);
      return outcome;
    },
  });
  return { fired, [Symbol.dispose]: () => held[Symbol.dispose]() };
}

describe('holding for a while', () => {
  const see = (holding: Holding<string>, keys: string, atMs: number): string[] =>
    holding
      .see(new Map(keys.split('').map((key) => [key, key])), atMs)
      .map(({ key, heldMs, again }) => `${key} ${heldMs}${again ? ' again' : ''}`);

  test('each key by itself, again until it is accepted, and anew when it ceased', () => {
    const holding = new Holding<string>(10);
    expect(see(holding, 'a', 0)).toEqual([]);
    expect(see(holding, 'ab', 5)).toEqual([]);
    expect(see(holding, 'ab', 10)).toEqual(['a 10']);
    holding.accept('a');
    expect(see(holding, 'ab', 15)).toEqual(['b 10']);
    expect(see(holding, 'ab', 20)).toEqual(['b 15 again']);
    expect(see(holding, 'b', 25)).toEqual(['b 20 again']);
    expect(see(holding, 'ab', 30)).toEqual(['b 25 again']);
    expect(see(holding, 'a', 40)).toEqual(['a 10']);
  });

  test('when nobody could look, what was not accepted begins anew', () => {
    const holding = new Holding<string>(10);
    see(holding, 'ab', 0);
    expect(see(holding, 'a', 10)).toEqual(['a 10']);
    holding.accept('a');
    see(holding, 'ab', 11);
    holding.forget();
    expect(see(holding, 'ab', 21)).toEqual([]);
    expect(see(holding, 'ab', 31)).toEqual(['b 10']);
  });

  test('a clock that is put back begins anew', () => {
    const holding = new Holding<string>(10);
    see(holding, 'a', 100);
    expect(see(holding, 'a', 50)).toEqual([]);
    expect(see(holding, 'a', 60)).toEqual(['a 10']);
  });
});

describe('the rate of a counter', () => {
  const hits = (...hosts: [string, number][]) => ({
    hits: 0,
    hosts: hosts.map(([host, count]) => ({ host, state: 'armed', why: '', hits: count })),
  });

  test('over the window, not higher than what was seen to come', () => {
    const counter = new HitCounter(10_000);
    counter.see({ hits: 5000 }, 0);
    expect(counter.perSecond(0)).toBe(0);
    for (let s = 1; s <= 20; s++) counter.see({ hits: 5000 + s * 3 }, s * 1000);
    expect(counter.perSecond(20_000)).toBe(3);
    for (let s = 21; s <= 25; s++) counter.see({ hits: 5060 }, s * 1000);
    expect(counter.perSecond(25_000)).toBe(1.5);
    expect(counter.perSecond(60_000)).toBe(0);
  });

  test('at first as if nothing had been before', () => {
    const counter = new HitCounter(10_000);
    counter.see({ hits: 0 }, 0);
    counter.see({ hits: 10 }, 1000);
    expect(counter.perSecond(1000)).toBe(1);
  });

  test('hosts that come, go and begin anew never make it higher', () => {
    const counter = new HitCounter(10_000);
    counter.see(hits(['a', 1000], ['b', 500]), 0);
    counter.see(hits(['b', 500]), 1000);
    counter.see(hits(['a', 1000], ['b', 500]), 2000);
    counter.see(hits(['a', 0], ['b', 500], ['c', 9000]), 3000);
    expect(counter.perSecond(3000)).toBe(0);
    counter.see(hits(['a', 10], ['b', 510], ['c', 9010]), 4000);
    expect(counter.perSecond(4000)).toBe(3);
  });
});

describe('metric', () => {
  const when: MetricWhen = {
    kind: 'metric',
    target: 'name:checkout',
    location: 'orders.c:88',
    condition: 'status >= 500',
    engine: '',
    abovePerSecond: 3,
    forMs: 3000,
    windowMs: 5000,
  };

  test('fires when the rate held for a while, with its numbers', async () => {
    const clock = new FakeClock();
    const points = new FakePoints();
    const trigger = new MetricTrigger('r', when, { points, clock });
    using run = running(trigger);
    await settled();
    expect([...points.points.values()][0]?.spec).toMatchObject({
      kind: 'count',
      target: 'name:checkout',
      location: 'orders.c:88',
      condition: 'status >= 500',
      owner: 'rule:r',
      everyProcess: true,
    });
    for (let s = 1; s <= 4; s++) {
      points.change('p1', { hits: s * 4 });
      await clock.advance(1000);
    }
    expect(trigger.describe()).toBe('3.2/s at orders.c:88, above 3/s');
    expect(run.fired).toEqual([]);
    for (let s = 5; s <= 7; s++) {
      points.change('p1', { hits: s * 4 });
      await clock.advance(1000);
    }
    expect(run.fired).toEqual([
      {
        text: '4/s over 5s at orders.c:88 if status >= 500 of name:checkout, above 3/s for 3s',
        labels: {},
        annotations: {},
        facts: { value: 4, above: 3, windowMs: 5000, heldMs: 3000, point: 'p1' },
        again: false,
      },
    ]);
    expect(await trigger.probe()).toEqual({ ok: true, text: '4/s at orders.c:88, above 3/s', holds: true });
    await clock.advance(20_000);
    expect(trigger.describe()).toBe('0/s at orders.c:88, not above 3/s');
    expect(run.fired).toHaveLength(1);
  });

  test('a point that waits says what for', async () => {
    const points = new FakePoints();
    points.standing = { state: 'pending', why: 'no process fits "name:checkout" yet' };
    const trigger = new MetricTrigger('r', when, { points, clock: new FakeClock() });
    using _run = running(trigger);
    expect(trigger.describe()).toBe('its count point is not set yet');
    await settled();
    expect(trigger.describe()).toBe(
      '0/s at orders.c:88, not above 3/s; point p1: no process fits "name:checkout" yet',
    );
  });

  test('a point that cannot be set is tried again now and then', async () => {
    const clock = new FakeClock();
    const points = new FakePoints();
    const trigger = new MetricTrigger('r', when, { points, clock });
    points.set = () => Promise.reject(new StillframeError('usage', 'no such engine'));
    using _run = running(trigger);
    await clock.advance(100_000);
    expect(trigger.describe()).toBe('cannot count at orders.c:88: no such engine');
    expect(trigger.errors).toBe(4);
    expect((await trigger.probe()).ok).toBe(false);
  });

  test('a point that ended is set anew, and counts anew', async () => {
    const clock = new FakeClock();
    const points = new FakePoints();
    const trigger = new MetricTrigger('r', when, { points, clock });
    using run = running(trigger);
    await clock.advance(40_000);
    points.change('p1', { state: 'ended', why: 'expired', hits: 1_000_000 });
    await clock.advance(3000);
    expect(points.live.map(({ id }) => id)).toEqual(['p2']);
    await clock.advance(10_000);
    expect(run.fired).toEqual([]);
  });

  test('what is set when the rule is gone already is removed', async () => {
    const points = new FakePoints();
    let open = (): void => undefined;
    points.gate = new Promise((resolve) => (open = resolve));
    const trigger = new MetricTrigger('r', when, { points, clock: new FakeClock() });
    running(trigger)[Symbol.dispose]();
    await trigger.retire();
    open();
    await settled();
    expect(points.removed).toEqual([{ id: 'p1', why: 'rule r does not count here any more' }]);
  });
});

describe('log', () => {
  const when: LogWhen = {
    kind: 'log',
    path: '/var/log/x.log',
    pattern: 'ERROR .*',
    count: 1,
    withinMs: 60_000,
  };
  const match = (line: string, count = 1, host = 'web-1') => ({ host, timeMs: 0, line, count });

  test('a line that matches, on its host', () => {
    const watches = new FakeWatches();
    const trigger = new LogTrigger({ ...when, host: 'web-1' }, { watches, clock: new FakeClock() });
    {
      using run = running(trigger);
      expect(watches.logs[0]?.watch).toEqual({ path: '/var/log/x.log', pattern: 'ERROR .*', host: 'web-1' });
      watches.logs[0]?.listener.matched(match('ERROR "x"\n'));
      expect(run.fired).toEqual([
        {
          text: 'a line of /var/log/x.log on web-1: "ERROR \\"x\\"\\n"',
          labels: { host: 'web-1' },
          annotations: {},
          facts: { line: 'ERROR "x"\n', count: 1, wanted: 1, withinMs: 60_000, path: '/var/log/x.log' },
        },
      ]);
      expect(trigger.describe()).toBe('last match on web-1 at 2026-01-05T12:00:00.000Z: "ERROR \\"x\\"\\n"');
    }
    expect(watches.logs).toEqual([]);
  });

  test('so many lines within a while, each host by itself', async () => {
    const watches = new FakeWatches();
    const clock = new FakeClock();
    using run = running(new LogTrigger({ ...when, count: 5 }, { watches, clock }));
    const listener = watches.logs[0]?.listener;
    listener?.matched(match('a', 3));
    listener?.matched(match('a', 4, 'web-2'));
    await clock.advance(60_000);
    listener?.matched(match('b', 4));
    expect(run.fired).toEqual([]);
    await clock.advance(30_000);
    listener?.matched(match('c', 1));
    expect(run.fired.map(({ text }) => text)).toEqual(['5 lines within 1m of /var/log/x.log on web-1: "c"']);
    // It begins anew.
    listener?.matched(match('d', 4));
    expect(run.fired).toHaveLength(1);
  });

  test('where it cannot watch', async () => {
    const watches = new FakeWatches();
    const trigger = new LogTrigger(when, { watches, clock: new FakeClock() });
    using _run = running(trigger);
    const listener = watches.logs[0]?.listener;
    listener?.state('web-1', 'no such file');
    listener?.state('web-1', 'no such file');
    listener?.state('web-2', 'permission denied');
    expect(trigger.describe()).toBe('no line matched yet; on web-1: no such file (and on 1 more)');
    expect(trigger.errors).toBe(2);
    expect((await trigger.probe()).ok).toBe(false);
    listener?.state('web-1', '');
    expect(trigger.describe()).toBe('no line matched yet; on web-2: permission denied');
    expect((await trigger.probe()).ok).toBe(true);
  });
});

describe('process', () => {
  const process: AgentTarget = {
    pid: 4711,
    comm: 'checkout',
    args: [],
    uid: 0,
    executable: '/usr/bin/checkout',
    buildId: '',
    unit: 'checkout.service',
    container: '',
    service: '',
    startTicks: 1n,
    startTimeMs: 0,
    refusal: '',
  };

  test.each<[Partial<ProcessWhen>, number, string]>([
    [{ resource: 'cpu', above: 150 }, 180.25, 'cpu of checkout (4711@web-1) is 180%, above 150% for 30s'],
    [
      { resource: 'rss', above: 2 * 1024 ** 3 },
      2.5 * 1024 ** 3,
      'rss of checkout (4711@web-1) is 2560M, above 2G for 30s',
    ],
    [
      { resource: 'rss', above: 1024 ** 3 },
      1024 ** 3 + 4097,
      'rss of checkout (4711@web-1) is 1.0G, above 1G for 30s',
    ],
    [
      { resource: 'threads', above: 500 },
      501,
      'number of threads of checkout (4711@web-1) is 501, above 500 for 30s',
    ],
    [
      { resource: 'descriptors', above: 9, forMs: 60_000 },
      10,
      'number of descriptors of checkout (4711@web-1) is 10, above 9 for 1m',
    ],
  ])('%j', (change, value, text) => {
    const watches = new FakeWatches();
    const when: ProcessWhen = {
      kind: 'process',
      target: 'name:checkout',
      resource: 'cpu',
      above: 1,
      forMs: 30_000,
      ...change,
    };
    const trigger = new ProcessTrigger(when, watches);
    using run = running(trigger);
    const { selector, resource, above, forMs } = watches.usages[0]?.watch ?? {};
    expect({ selector, resource, above, forMs }).toEqual({
      selector: 'name:checkout',
      resource: when.resource,
      above: when.above,
      forMs: when.forMs,
    });
    watches.usages[0]?.listener.exceeded({ host: 'web-1', timeMs: 0, target: process, value });
    expect(run.fired).toEqual([
      {
        text,
        labels: { host: 'web-1', pid: '4711', name: 'checkout', unit: 'checkout.service' },
        annotations: {},
        facts: {
          value,
          above: when.above,
          forMs: when.forMs,
          resource: when.resource,
          pid: 4711,
          host: 'web-1',
        },
        self: '4711@web-1',
      },
    ]);
    expect(trigger.describe()).toBe(text);
  });
});

describe('alertmanager', () => {
  const trigger = (...matchers: [string, string][]): AlertmanagerTrigger =>
    new AlertmanagerTrigger({ kind: 'alertmanager', matchers: new Map(matchers) }, new FakeClock());

  test.each<[[string, string][], Record<string, string>, boolean]>([
    [[['alertname', 'A']], { alertname: 'A', job: 'x' }, true],
    [[['alertname', 'A']], { alertname: 'AB' }, false],
    [[['alertname', 'A*']], { alertname: 'AB' }, true],
    [
      [
        ['alertname', 'A'],
        ['severity', 'page'],
      ],
      { alertname: 'A' },
      false,
    ],
    [
      [
        ['alertname', 'A'],
        ['severity', 'page'],
      ],
      { alertname: 'A', severity: 'page' },
      true,
    ],
    [[['job', '*']], {}, false],
    [[['constructor', '*']], {}, false],
  ])('%j with %j', (matchers, labels, meant) => {
    expect(trigger(...matchers).isMeant(labels)).toBe(meant);
  });
});
