import { describe, expect, test } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import { settled } from './fake-clock.js';
import { target } from './fakes.js';
import { Stage } from './stage.js';

const minute = 60_000;

interface Parts {
  readonly name?: string;
  readonly when?: string;
  readonly where?: string;
  readonly what?: string;
  readonly limits?: string;
  readonly rest?: string;
}

function rules(...all: readonly Parts[]): string {
  const entries = (all.length === 0 ? [{}] : all).map(
    ({ name = 'r', when = '{ manual: {} }', where = 'name:x', what, limits = '', rest = '' }: Parts) =>
      `  - { name: ${name}, when: ${when}, where: '${where}', what: [${what ?? "{ snapshot: { at: 'f.c:1' } }"}], limits: { cooldown: 10m, per-day: 5, hits: 4, stacks: 2, expire: 15m${limits === '' ? '' : `, ${limits}`} }${rest === '' ? '' : `, ${rest}`} }`,
  );
  return `rules:\n${entries.join('\n')}\n`;
}

async function opened(text = rules()): Promise<Stage> {
  const stage = new Stage({ rules: text });
  await stage.start();
  return stage;
}

describe('a firing', () => {
  test('opens an incident, sets its points, and closes when so many different stacks came', async () => {
    await using stage = await opened(
      rules({
        what: "{ snapshot: { at: 'orders.c:88', if: 'status >= 500', capture: 'order->id', hits: 3, every: 2s, depth: 2 } }",
      }),
    );
    expect(await stage.fire('r')).toEqual({ rule: 'r', fired: true, why: '', incident: 'i1' });
    const [point] = stage.points.points.values();
    expect(point?.spec).toEqual({
      kind: 'snapshot',
      target: 'name:x',
      location: 'orders.c:88',
      condition: 'status >= 500',
      captures: ['order->id'],
      engine: '',
      bounds: { depth: 2 },
      maxHits: 3,
      everyProcess: false,
      minIntervalNs: 2_000_000_000n,
      expiresMs: stage.clock.nowMs() + 15 * minute,
      owner: 'rule:r',
      note: 'step 1 of rule r',
      incident: 'i1',
    });
    expect(stage.incidents.find('i1').cause).toEqual({
      rule: 'r',
      trigger: 'manual',
      text: 'fired by ada@host',
      labels: {},
      facts: { owner: 'ada@host' },
    });
    for (const stack of ['a', 'a', 'b']) stage.points.hit('p1', stack);
    await settled();
    expect(stage.incidents.timeline()).toEqual([
      'fired: fired by ada@host',
      'armed: point p1: snapshot orders.c:88 if status >= 500 at name:x: armed in 1 process, 0 hits',
      'snapshot: snapshot s1-a of point p1, 1 of 4',
      'new-stack: snapshot s1-a has a stack of its own, 1 of 2',
      'snapshot: snapshot s2-a of point p1, 2 of 4',
      'snapshot: snapshot s3-b of point p1, 3 of 4',
      'new-stack: snapshot s3-b has a stack of its own, 2 of 2',
      'bound: 2 different stacks came, as many as limits.stacks allows',
      'point: point p1 is ended: removed: 2 different stacks came, as many as limits.stacks allows',
      'closed: 2 different stacks came, as many as limits.stacks allows',
    ]);
    expect(stage.points.live).toEqual([]);
    expect(await stage.rule()).toMatchObject({
      state: 'cooling-down',
      why: 'cools down for another 10m, until 2026-01-05T12:10:00.000Z; fires by hand only',
      firings: 1,
      refused: 0,
      failures: 0,
      lastFired: '2026-01-05T12:00:00.000Z',
    });
  });

  test('closes when so many snapshots came; what is in flight is noted and not counted', async () => {
    await using stage = await opened(rules());
    await stage.fire('r');
    for (let i = 0; i < 6; i++) stage.points.hit('p1', 'same');
    await settled();
    const timeline = stage.incidents.timeline();
    expect(timeline.filter((line) => line.startsWith('snapshot: '))).toEqual([
      'snapshot: snapshot s1-same of point p1, 1 of 4',
      'snapshot: snapshot s2-same of point p1, 2 of 4',
      'snapshot: snapshot s3-same of point p1, 3 of 4',
      'snapshot: snapshot s4-same of point p1, 4 of 4',
      'snapshot: snapshot s5-same of point p1 came after the end',
      'snapshot: snapshot s6-same of point p1 came after the end',
    ]);
    expect(stage.incidents.find('i1').closed).toBe('4 snapshots came, as many as limits.hits allows');
    // Much later, of an agent that was away.
    await stage.clock.advance(minute);
    stage.points.hit('p1', 'late');
    await settled();
    expect(stage.incidents.timeline().at(-1)).toBe(
      'snapshot: snapshot s7-late of point p1 came after the end',
    );
  });

  test('expires, and says what it waited for', async () => {
    await using stage = await opened(rules());
    await stage.fire('r');
    stage.points.change('p1', { why: 'armed in 1 process, 0 hits, condition false 12 times' });
    await stage.clock.advance(15 * minute - 1000);
    expect(stage.incidents.find('i1').closed).toBeUndefined();
    await stage.clock.advance(1000);
    const why = 'it expired: no snapshot came; armed in 1 process, 0 hits, condition false 12 times';
    expect(stage.incidents.find('i1').closed).toBe(why);
    expect(stage.points.removed).toEqual([{ id: 'p1', why }]);
    expect((await stage.rule()).failures).toBe(0);
  });

  test('ends with its points, when what they delivered is there', async () => {
    await using stage = await opened(rules());
    await stage.fire('r');
    stage.points.hit('p1', 'a', { told: false });
    stage.points.change('p1', { state: 'ended', why: '1 of 1 hits delivered' });
    await stage.clock.advance(2 * minute);
    expect(stage.incidents.find('i1').closed).toBeUndefined();
    stage.points.hit('p1', 'b');
    await stage.clock.advance(minute);
    // The one that was never told is still missing.
    expect(stage.incidents.find('i1').closed).toBeUndefined();
    await stage.clock.advance(15 * minute);
    expect(stage.incidents.find('i1').closed).toBe('it expired: one snapshot came, one stack');
  });

  test('ends with its points at once where all is there, and after a moment where nothing was delivered', async () => {
    await using stage = await opened(rules({ name: 'a' }, { name: 'b' }));
    await stage.fire('a');
    await stage.fire('b');
    stage.points.hit('p1', 'x');
    await settled();
    stage.points.change('p1', { state: 'ended', why: '1 of 1 hits delivered' });
    await settled();
    expect(stage.incidents.find('i1').closed).toBe('its points ended: 1 of 1 hits delivered');
    stage.points.change('p2', { state: 'ended', why: 'removed by ada@host' });
    await stage.clock.advance(4000);
    expect(stage.incidents.find('i2').closed).toBeUndefined();
    await stage.clock.advance(2000);
    expect(stage.incidents.find('i2').closed).toBe('its points ended: removed by ada@host');
  });

  test('the states of its points are told when they change, and not without end', async () => {
    await using stage = await opened(rules());
    stage.points.standing = { state: 'pending', why: 'no process fits "name:x" yet' };
    await stage.fire('r');
    stage.points.change('p1', { state: 'armed', why: 'armed in 1 process, 0 hits' });
    stage.points.change('p1', { why: 'armed in 1 process, 3 hits' });
    for (let i = 0; i < 300; i++)
      stage.points.change('p1', { state: i % 2 === 0 ? 'pending' : 'armed', why: '' });
    const told = stage.incidents.timeline().filter((line) => line.startsWith('point: '));
    expect(told.slice(0, 2)).toEqual([
      'point: point p1 is armed: armed in 1 process, 0 hits',
      'point: point p1 is pending',
    ]);
    expect(told).toHaveLength(201);
    expect(told.at(-1)).toBe('point: points change their state too often: no more of it is noted');
  });

  test('a stack that cannot be told counts as a hit, and as no stack', async () => {
    await using stage = await opened(rules());
    stage.stackOf = () => Promise.reject(new StillframeError('bad-data', 'cannot unwind'));
    await stage.fire('r');
    for (let i = 0; i < 4; i++) stage.points.hit('p1', String(i));
    await settled();
    expect(stage.incidents.timeline()).toContain(
      'snapshot: snapshot s1-0 of point p1, 1 of 4, its stack could not be told',
    );
    expect(stage.incidents.find('i1').closed).toBe('4 snapshots came, as many as limits.hits allows');
  });

  test('an unwinder that hangs does not hold it up for good', async () => {
    await using stage = await opened(rules());
    stage.stackOf = () => new Promise(() => undefined);
    await stage.fire('r');
    stage.points.hit('p1', 'a');
    await stage.clock.advance(59_000);
    expect(stage.incidents.timeline()).toHaveLength(2);
    await stage.clock.advance(2000);
    expect(stage.incidents.timeline()).toHaveLength(3);
  });
});

describe('steps', () => {
  const two = rules({ what: "{ snapshot: { at: 'f.c:1' } }, { snapshot: { at: 'g.c:2' } }, { now: {} }" });
  const refusal = new StillframeError('not-found', 'no line 1 in "f.c"', { hint: 'did you mean "f2.c"?' });

  test('one that fails is noted, and the next goes on', async () => {
    await using stage = await opened(two);
    stage.points.refuse = ({ location }) => (location === 'f.c:1' ? refusal : undefined);
    await stage.fire('r');
    expect(stage.incidents.timeline()).toEqual([
      'fired: fired by ada@host',
      'failed: step 1 failed: snapshot f.c:1 at name:x: no line 1 in "f.c"',
      'armed: point p1: snapshot g.c:2 at name:x: armed in 1 process, 0 hits',
      'snapshot: snapshot n1: all threads of checkout (100@web-1)',
      'armed: took all threads of 100@web-1',
    ]);
    expect(stage.incidents.find('i1').closed).toBeUndefined();
  });

  test('with stop-on-failure the others are not taken', async () => {
    await using stage = await opened(
      rules({
        what: "{ snapshot: { at: 'f.c:1' } }, { snapshot: { at: 'g.c:2' } }",
        rest: 'stop-on-failure: true',
      }),
    );
    stage.points.refuse = ({ location }) => (location === 'f.c:1' ? refusal : undefined);
    await stage.fire('r');
    expect(stage.points.points.size).toBe(0);
    expect(stage.incidents.find('i1').closed).toBe(
      'every step failed: step 1 failed: snapshot f.c:1 at name:x: no line 1 in "f.c"',
    );
  });

  test('all threads of so many processes, and of none that refuses', async () => {
    await using stage = await opened(
      rules({ what: '{ now: { processes: 2, engine: ptrace, stack: 32k } }' }),
    );
    stage.targets = () =>
      Promise.resolve(
        [1, 2, 3, 4].map((pid) => target(pid, 'web-1', pid === 1 ? { refusal: 'policy' } : {})),
      );
    stage.now = ({ target: pid }) =>
      pid === '2@web-1'
        ? Promise.reject(new StillframeError('target-gone', 'process 2 exited'))
        : Promise.resolve({ id: 'n' });
    await stage.fire('r');
    expect(stage.nows).toEqual([
      { target: '2@web-1', tids: [], engine: 'ptrace', bounds: { stackBytes: 32768 } },
      { target: '3@web-1', tids: [], engine: 'ptrace', bounds: { stackBytes: 32768 } },
    ]);
    expect(stage.incidents.timeline()).toEqual([
      'fired: fired by ada@host',
      'failed: cannot take all threads of 2@web-1: process 2 exited',
      'snapshot: snapshot n: all threads of checkout (3@web-1)',
      'armed: took all threads of 3@web-1; 1 more fit',
      'closed: its steps are done',
    ]);
    expect(stage.incidents.find('i1').events[2]?.facts).toEqual({
      step: 1,
      snapshot: 'n',
      pid: 3,
      host: 'web-1',
    });
  });

  test('no process fits', async () => {
    await using stage = await opened(rules({ what: '{ now: {} }' }));
    stage.targets = () => Promise.resolve([]);
    await stage.fire('r');
    expect(stage.incidents.find('i1').closed).toBe(
      'every step failed: step 1 failed: all threads of name:x now: no process fits "name:x"',
    );
    expect((await stage.rule()).why).toContain('the last firing brought nothing: every step failed');
  });

  test('a point that is not armed in time fails its step, and is removed should it be set after all', async () => {
    await using stage = await opened(two);
    let open = (): void => undefined;
    stage.points.gate = new Promise((resolve) => (open = resolve));
    await stage.fire('r');
    await stage.clock.advance(61_000);
    expect(stage.incidents.timeline()[1]).toBe(
      'failed: step 1 failed: snapshot f.c:1 at name:x: setting a point at f.c:1 took longer than 1m',
    );
    open();
    await settled();
    expect(stage.points.removed).toEqual([{ id: 'p1', why: 'it was set too late' }]);
    expect(stage.points.live.map(({ location }) => location)).toEqual(['g.c:2']);
  });

  test('a point that is set when its incident is over is removed', async () => {
    await using stage = await opened(
      rules({ what: "{ snapshot: { at: 'f.c:1' } }, { snapshot: { at: 'g.c:2' } }" }),
    );
    await stage.fire('r');
    let open = (): void => undefined;
    await stage.clock.advance(16 * minute);
    stage.points.gate = new Promise((resolve) => (open = resolve));
    await stage.fire('r');
    const first = [...stage.points.points.keys()];
    await stage.clock.advance(16 * minute);
    open();
    await settled();
    expect(stage.incidents.find('i2').closed).toBeDefined();
    expect(stage.points.live).toEqual([]);
    expect(first).toEqual(['p1', 'p2']);
  });
});

describe('bounds', () => {
  test('a trigger that fires while the incident is open is counted, and told with growing pauses', async () => {
    await using stage = await opened(rules());
    await stage.fire('r');
    for (let i = 0; i < 600; i++) {
      expect(await stage.fire('r')).toEqual({
        rule: 'r',
        fired: false,
        why: 'incident i1 is open, and counts it',
        incident: 'i1',
      });
      await stage.clock.advance(1000);
    }
    const repeated = stage.incidents.timeline().filter((line) => line.startsWith('repeated: '));
    expect(repeated.length).toBeGreaterThan(3);
    expect(repeated.length).toBeLessThan(10);
    expect(repeated[0]).toBe('repeated: the trigger fired again: fired by ada@host');
    await stage.clock.advance(15 * minute);
    const told = stage.incidents.find('i1').events.filter(({ kind }) => kind === 'repeated');
    expect(told.reduce((sum, { facts }) => sum + Number(facts['count']), 0)).toBe(600);
    expect(stage.incidents.incidents).toHaveLength(1);
    expect(stage.automation.counters().rules[0]).toMatchObject({ firings: 1, repeated: 600, refused: {} });
  });

  test('the cooldown and the budget refuse, and say until when', async () => {
    await using stage = await opened(
      rules({ limits: 'expire: 1m' }).replace('expire: 15m, ', '').replace('per-day: 5', 'per-day: 2'),
    );
    await stage.fire('r');
    await stage.clock.advance(2 * minute);
    expect(await stage.fire('r')).toMatchObject({
      fired: false,
      why: 'cools down for another 8m, until 2026-01-05T12:10:00.000Z',
    });
    await stage.clock.advance(8 * minute);
    expect(await stage.fire('r')).toMatchObject({ fired: true, incident: 'i2' });
    await stage.clock.advance(60 * minute);
    expect(await stage.fire('r')).toMatchObject({
      fired: false,
      why: '2 of 2 firings of 24 h are used up, until 2026-01-06T12:00:00.000Z',
    });
    expect(await stage.rule()).toMatchObject({ state: 'spent', refused: 2 });
    await stage.clock.advance(23 * 60 * minute);
    expect(await stage.fire('r')).toMatchObject({ fired: true });
  });

  test('a dry run says what it would do, and does nothing', async () => {
    await using stage = await opened(rules({ rest: 'dry-run: true' }));
    const why = 'dry run: it would take snapshot f.c:1 at name:x';
    for (let i = 0; i < 5; i++) expect(await stage.fire('r')).toEqual({ rule: 'r', fired: false, why });
    expect(stage.incidents.incidents).toEqual([]);
    expect(stage.points.points.size).toBe(0);
    expect(stage.log.lines.filter((line) => line.includes('dry run'))).toHaveLength(1);
    expect((await stage.rule()).why).toBe('dry run: it only says what it would do; fires by hand only');
  });

  test('a disabled rule', async () => {
    await using stage = await opened(rules({ rest: 'enabled: false' }));
    expect(await stage.fire('r')).toEqual({ rule: 'r', fired: false, why: 'the rule is disabled' });
    expect(await stage.rule()).toMatchObject({ state: 'disabled', why: 'enabled is false', refused: 1 });
  });

  test('labels that are not allowed refuse it, and suspend nothing', async () => {
    await using stage = await opened(
      rules({ where: 'service:{{ labels.job }}', rest: 'allow: { job: [a] }' }),
    );
    for (let i = 0; i < 20; i++) {
      expect(await stage.fire('r', { job: 'a;b' })).toMatchObject({
        fired: false,
        why: 'label "job" is "a;b": only letters, digits and . _ : / @ - may stand in a target',
      });
    }
    const rule = await stage.rule();
    expect(rule).toMatchObject({ state: 'active', refused: 20, failures: 0 });
    expect(rule.why).toContain('last firing refused: label "job" is "a;b"');
    expect(await stage.fire('r', { job: 'a' })).toMatchObject({ fired: true });
    expect([...stage.points.points.values()][0]?.spec.target).toBe('service:a');
    expect((await stage.rule()).why).not.toContain('refused');
  });

  test('a rule that keeps failing suspends itself, says so, and comes back when it is changed', async () => {
    await using stage = await opened(
      rules({ limits: 'suspend-after: 3' }).replace('cooldown: 10m', 'cooldown: 1s'),
    );
    stage.points.refuse = () => new StillframeError('bad-expression', 'unknown name "statsu"');
    for (let i = 0; i < 3; i++) {
      expect(await stage.fire('r')).toMatchObject({ fired: true });
      await stage.clock.advance(2000);
    }
    expect(stage.incidents.timeline().at(-2)).toContain(
      'bound: rule r is suspended after 3 firings of which nothing came',
    );
    expect(await stage.rule()).toMatchObject({ state: 'suspended', failures: 3, firings: 3 });
    expect(stage.log.lines.some((line) => line.startsWith('error rule suspended'))).toBe(true);
    expect(stage.automation.counters().rules[0]).toMatchObject({ suspended: true });

    stage.write(
      rules({ limits: 'suspend-after: 3', rest: 'note: fixed' }).replace('cooldown: 10m', 'cooldown: 1s'),
    );
    await stage.clock.advance(5000);
    expect(await stage.rule()).toMatchObject({ state: 'active', failures: 3, firings: 3 });
  });

  test('and when it works by hand', async () => {
    await using stage = await opened(rules({ limits: 'suspend-after: 1' }));
    stage.points.refuse = () => new StillframeError('not-found', 'no function "f"');
    await stage.fire('r');
    expect(await stage.rule()).toMatchObject({ state: 'suspended' });
    stage.points.refuse = () => undefined;
    await stage.clock.advance(11 * minute);
    expect(await stage.fire('r')).toMatchObject({ fired: true });
    expect(await stage.rule()).toMatchObject({ state: 'suspended' });
    stage.points.hit('p1', 'a');
    stage.points.hit('p1', 'b');
    await settled();
    expect(await stage.rule()).toMatchObject({ state: 'cooling-down' });
  });

  test('a target that does not exist is a failure once the point expired, and says why', async () => {
    await using stage = await opened(rules());
    stage.points.standing = { state: 'pending', why: 'no process fits "name:x" yet' };
    await stage.fire('r');
    await stage.clock.advance(16 * minute);
    expect(stage.incidents.find('i1').closed).toBe(
      'it expired: no snapshot came; no process fits "name:x" yet',
    );
    expect(await stage.rule()).toMatchObject({ failures: 1 });
  });
});

describe('a disk that is full', () => {
  /** Writes of this kind fail, from the one of that number on, until `isFull` is false. */
  function filling(kind: string, from: number): { isFull: boolean; step: (name: string) => void } {
    const disk = { isFull: true, step };
    let seen = 0;
    function step(name: string): void {
      if (name === kind && ++seen >= from && disk.isFull) throw new Error('the disk is full');
    }
    return disk;
  }

  test.each([
    ['before save', 2],
    ['before save', 3],
    ['before add', 1],
    ['before close', 1],
  ])('%s, from number %i on: the incident goes on when there is room again', async (kind, from) => {
    const disk = filling(kind, from);
    await using stage = new Stage({ rules: rules(), step: (name) => disk.step(name) });
    await stage.start();
    await stage.fire('r').catch(() => undefined);
    await stage.clock.advance(3000);
    const hit = (): void => {
      for (const { id } of stage.points.live) for (const stack of ['x', 'y']) stage.points.hit(id, stack);
    };
    hit();
    await stage.clock.advance(3000);
    disk.isFull = false;
    await stage.clock.advance(3000);
    hit();
    await stage.clock.advance(16 * minute);
    expect(stage.incidents.incidents).toHaveLength(1);
    expect(stage.incidents.find('i1').closed).toBeDefined();
    expect(stage.points.live).toEqual([]);
    expect(await stage.rule()).toMatchObject({ firings: 1 });
    expect(stage.log.lines.some((line) => line.includes('the disk is full'))).toBe(true);
  });
});

test('an incident that cannot be opened did not happen, and whoever fired it is told', async () => {
  let isFull = true;
  const step = (name: string): void => {
    if (name === 'before open' && isFull) throw new Error('the disk is full');
  };
  await using stage = new Stage({ rules: rules(), step });
  await stage.start();
  await expect(stage.fire('r')).rejects.toMatchObject({
    code: 'internal',
    message: 'cannot fire rule "r": cannot write it down: the disk is full',
  });
  isFull = false;
  expect(await stage.fire('r')).toMatchObject({ fired: true, incident: 'i1' });
});

describe('news', () => {
  test('of an incident are for those whom its rule named when it fired', async () => {
    const told = (url: string): string => `notify: [{ url: 'https://${url}/', token-file: /t }]`;
    const what = '{ now: {} }, { snapshot: { at: f } }';
    await using stage = await opened(rules({ what, rest: told('a') }));
    await stage.fire('r');
    stage.write(rules({ what, rest: told('b') }));
    await stage.clock.advance(5000);
    for (const stack of ['x', 'y', 'z']) stage.points.hit('p1', stack);
    await settled();
    expect(stage.told).toEqual([
      'i1 incident-opened  https://a/',
      'i1 snapshot n1 https://a/',
      'i1 snapshot s1-x https://a/',
      'i1 snapshot s2-y https://a/',
      'i1 incident-closed  https://a/',
    ]);
  });

  test('that cannot be told do not hold it up', async () => {
    await using stage = await opened(rules({ rest: "notify: [{ url: 'https://a/' }]" }));
    stage.told.push = () => {
      throw new Error('the disk is full');
    };
    await stage.fire('r');
    for (const stack of ['x', 'y']) stage.points.hit('p1', stack);
    await settled();
    expect(stage.incidents.find('i1').closed).toBeDefined();
    expect(stage.log.lines.filter((line) => line.includes('cannot tell of an incident'))).toHaveLength(4);
  });
});

describe('by hand', () => {
  test('a rule that is not there', async () => {
    await using stage = await opened(rules({ name: 'checkout' }));
    await expect(stage.fire('chekout')).rejects.toMatchObject({
      code: 'not-found',
      message: 'no rule "chekout"',
      candidates: ['checkout'],
      hint: 'did you mean "checkout"?',
    });
  });

  test.each([
    ['a name that is none', { 'a-b': 'x' }, 'cannot fire with the label "a-b"'],
    [
      'a prototype',
      JSON.parse('{"__proto__": "x"}') as Record<string, string>,
      'cannot fire with the label "__proto__"',
    ],
    ['a long value', { a: 'x'.repeat(2000) }, 'cannot fire with the label "a"'],
  ])('%s', async (_, labels, message) => {
    await using stage = await opened();
    await expect(stage.fire('r', labels)).rejects.toMatchObject({ code: 'usage', message });
  });

  test('annotations, and the process that self is', async () => {
    await using stage = await opened(
      rules(
        {
          name: 'a',
          when: '{ alertmanager: { alert: A } }',
          what: "{ snapshot: { at: 'f.c:1', capture: '{{ annotations.capture }}' } }",
          rest: "allow: { annotations.capture: ['order->id'] }",
        },
        {
          name: 'b',
          when: "{ process: { target: 'name:x', cpu: 50% } }",
          where: 'self',
          what: '{ now: {} }',
        },
      ),
    );
    expect(await stage.fire('a', { 'annotations.capture': 'order->id' })).toMatchObject({ fired: true });
    expect([...stage.points.points.values()][0]?.spec.captures).toEqual(['order->id']);
    expect(await stage.fire('b')).toMatchObject({
      fired: false,
      why: '"self" is no process here: fire it with the label self=PID@HOST',
    });
    expect(await stage.fire('b', { self: 'name:x' })).toMatchObject({
      fired: false,
      why: '"self" is "name:x", which is no PID@HOST',
    });
    const asked: string[] = [];
    stage.targets = (selector) => {
      asked.push(selector);
      return Promise.resolve([target(7)]);
    };
    expect(await stage.fire('b', { self: '7@web-1' })).toMatchObject({ fired: true });
    expect(asked).toEqual(['7@web-1']);
  });
});
