/** Watches as a controller asks for them, over the wire, with a tracer in memory and files that are real. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync, appendFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { defaultPolicy } from '../../../agent/policy/policy.js';
import { Conversation } from '../../../agent/rpc/conversation.js';
import { Session } from '../../../agent/session/session.js';
import { Spool } from '../../../agent/session/spool.js';
import type { ProcessUsage, TargetProcess } from '../../../agent/tracer/client.js';
import { Watches } from '../../../agent/watch/watches.js';
import { encodePlan } from '../../../format/plan/encode.js';
import { stillframe } from '../../../proto/generated/stillframe.js';
import { toLong } from '../../../proto/long.js';
import {
  decodeCommand,
  decodeEvent,
  encodeCommand,
  encodeEvent,
  type CommandProperties,
  type Event,
} from '../../../proto/service.js';
import { planOf, siteOf } from '../../support/plan.js';
import { FakeTracer } from '../session/fake-tracer.js';

const { Resource } = stillframe.v1;

let folder: string;
let tracer: FakeTracer;
let session: Session;
let watches: Watches;
let conversation: Conversation;
let events: Event[];
/** While it is set the controller does not read. */
let held: Promise<void> | undefined;
let letGo: () => void = () => undefined;

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

function hold(): void {
  held = new Promise((resolve) => {
    letGo = resolve;
  });
}

function converse(): Conversation {
  return new Conversation({
    session,
    watches,
    hello: { version: 'x', host: 'here' },
    log,
    channel: {
      async send(event) {
        events.push(decodeEvent(encodeEvent(event)));
        await held;
      },
    },
  });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-watching-'));
  tracer = new FakeTracer();
  session = new Session({
    tracer,
    spool: new Spool({ folder: join(folder, 'spool'), maxBytes: 1024 * 1024 }),
    policy: defaultPolicy(),
    host: 'here',
    log,
  });
  watches = new Watches({ tracer, targets: session.targets, gate: session.gate, log });
  events = [];
  held = undefined;
  conversation = converse();
});
afterEach(async () => {
  conversation[Symbol.dispose]();
  await watches[Symbol.asyncDispose]();
  await session[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

let requests = 0;
async function ask(command: CommandProperties): Promise<Event | undefined> {
  const request = toLong((requests += 1));
  await conversation.receive(decodeCommand(encodeCommand({ ...command, request })));
  return events.find((event) => Number(event.request) === requests);
}

const failureOf = async (command: CommandProperties): Promise<unknown> => {
  const { code, message } = (await ask(command))?.failure ?? {};
  return { code, message };
};

function targetOf(pid: number, more: Partial<TargetProcess> = {}): TargetProcess {
  return {
    pid,
    comm: 'app',
    executable: '/usr/bin/app',
    args: ['app', '-x'],
    buildId: 'b1',
    uid: 0,
    unit: '',
    container: '',
    service: '',
    startTimeMs: 0,
    startTicks: BigInt(pid),
    ...more,
  };
}

const until = (check: () => void): Promise<void> => vi.waitFor(check, { interval: 10 });

/** What targets_changed said, event by event. */
const changes = (id = 'w'): { appeared: number[]; left: number[] }[] =>
  events.flatMap(({ targetsChanged: changed }) =>
    changed?.watchId === id
      ? [
          {
            appeared: (changed.appeared ?? []).map(({ pid }) => pid ?? 0),
            left: (changed.left ?? []).map(({ pid }) => pid ?? 0),
          },
        ]
      : [],
  );

describe('targets', () => {
  const watch = (selector = 'name:app', watchId = 'w'): CommandProperties => ({
    watchTargets: { watchId, selector },
  });

  test('all at once, then those that appear and leave, and that there is none', async () => {
    tracer.targets = [targetOf(1), targetOf(2), targetOf(3, { comm: 'x', executable: '/bin/x' })];
    expect((await ask(watch()))?.body).toBe('done');
    await ask(watch('name:nothing', 'none'));
    await until(() => expect(changes()).toEqual([{ appeared: [1, 2], left: [] }]));
    expect(
      events.find(({ targetsChanged: c }) => c?.watchId === 'w')?.targetsChanged?.appeared?.[0],
    ).toMatchObject({
      comm: 'app',
      args: ['app', '-x'],
      buildId: 'b1',
    });
    expect(changes('none')).toEqual([{ appeared: [], left: [] }]);
    tracer.targets = [targetOf(2), targetOf(4)];
    await until(() => expect(changes().at(-1)).toEqual({ appeared: [4], left: [1] }));
    // Another program, in the same process.
    tracer.targets = [targetOf(2), targetOf(4, { buildId: 'b2' })];
    await until(() => expect(changes().at(-1)).toEqual({ appeared: [4], left: [4] }));
    // It fits no longer.
    tracer.targets = [targetOf(2), targetOf(4, { comm: 'y', executable: '/bin/y' })];
    await until(() => expect(changes().at(-1)).toEqual({ appeared: [], left: [4] }));
    expect(changes('none')).toHaveLength(1);
  });

  test('one look at the processes serves all watches and points', async () => {
    for (let i = 0; i < 20; i++) await ask(watch('name:app', `w${i}`));
    const plan = encodePlan(planOf([siteOf()]));
    const expiresMs = toLong(Date.now() + 60_000);
    await ask({ arm: { pointId: 'p', selector: 'name:app', plan, maxHits: 1, expiresMs } });
    const before = tracer.looks;
    const startedMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const most = (performance.now() - startedMs) / 250 + 1;
    expect(tracer.looks - before).toBeGreaterThan(0);
    expect(tracer.looks - before).toBeLessThanOrEqual(most);
  });

  test('a second watch of an id takes the place of the first; unwatch ends it, and what is not there too', async () => {
    tracer.targets = [targetOf(1), targetOf(2, { comm: 'b', executable: '/bin/b' })];
    await ask(watch());
    await until(() => expect(changes()).toHaveLength(1));
    await ask(watch('name:b'));
    await until(() => expect(changes().at(-1)).toEqual({ appeared: [2], left: [] }));
    tracer.targets = [targetOf(5)];
    await until(() => expect(changes().at(-1)).toEqual({ appeared: [], left: [2] }));
    expect((await ask({ unwatch: { watchId: 'w' } }))?.body).toBe('done');
    expect((await ask({ unwatch: { watchId: 'w' } }))?.body).toBe('done');
    const { looks } = tracer;
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(tracer.looks).toBeLessThanOrEqual(looks + 1);
  });

  test('a controller that does not read is told the difference when it does, and what came and went is not', async () => {
    await ask(watch());
    await until(() => expect(changes()).toHaveLength(1));
    hold();
    tracer.targets = [targetOf(1)];
    await until(() => expect(changes()).toHaveLength(2));
    const before = events.length;
    for (let i = 0; i < 4; i++) {
      tracer.targets = [targetOf(2), targetOf(10 + i)];
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    // The last of it has been seen.
    const { looks } = tracer;
    await until(() => expect(tracer.looks).toBeGreaterThan(looks + 1));
    expect(events).toHaveLength(before);
    held = undefined;
    letGo();
    await until(() => expect(changes().slice(2)).toEqual([{ appeared: [2, 13], left: [1] }]));
  });

  test('many come in several messages', async () => {
    tracer.targets = Array.from({ length: 600 }, (_, i) => targetOf(i + 1));
    await ask(watch());
    await until(() => expect(changes().map(({ appeared }) => appeared.length)).toEqual([256, 256, 88]));
  });

  test.each<[string, CommandProperties, string, string]>([
    ['no selector', watch('nonsense'), 'usage', 'cannot parse target "nonsense": it has no known kind'],
    ['no id', watch('name:x', ''), 'usage', 'cannot watch: a watch has an id of 1 to 128 characters'],
    [
      'an id that is a book',
      watch('name:x', 'x'.repeat(129)),
      'usage',
      'cannot watch: a watch has an id of 1 to 128 characters',
    ],
  ])('%s', async (_, command, code, message) => {
    expect(await failureOf(command)).toEqual({ code, message });
  });

  test('more than the limit', async () => {
    for (let i = 0; i < 256; i++) expect((await ask(watch('name:app', `w${i}`)))?.body).toBe('done');
    expect(await failureOf(watch('name:app', 'more'))).toEqual({
      code: 'limit',
      message: 'cannot watch "more": 256 watches are the most of a conversation',
    });
    // In place of another there is always room.
    expect((await ask(watch('name:app', 'w7')))?.body).toBe('done');
  });
});

describe('logs', () => {
  const watch = (pattern: string, watchId = 'l'): CommandProperties => ({
    watchLog: { watchId, path: join(folder, 'app.log'), pattern },
  });
  const matches = (): { line: string; count: number }[] =>
    events.flatMap(({ logMatched: match }) =>
      match === undefined || match === null ? [] : [{ line: match.line ?? '', count: match.count ?? 0 }],
    );
  const states = (): string[] => events.flatMap(({ watchState }) => watchState?.detail ?? []);

  test('lines that match from now on, counted; a controller that does not read gets the sum', async () => {
    writeFileSync(join(folder, 'app.log'), 'error before\n');
    expect((await ask(watch('error (\\d+)')))?.body).toBe('done');
    appendFileSync(join(folder, 'app.log'), 'error 1\nfine\nerror 2\n');
    await until(() => expect(matches()).toEqual([{ line: 'error 2', count: 2 }]));
    hold();
    for (let i = 3; i < 7; i++) {
      appendFileSync(join(folder, 'app.log'), `error ${i}\n`);
      await new Promise((resolve) => setTimeout(resolve, 1100));
    }
    await until(() => expect(matches()).toHaveLength(2));
    held = undefined;
    letGo();
    await until(() => expect(matches().reduce((sum, { count }) => sum + count, 0)).toBe(6));
    // Of three lines that nobody took, the last may be read only now.
    expect([3, 4]).toContain(matches().length);
    expect(matches().at(-1)?.line).toBe('error 6');
  });

  test('a file that is not there is a state, and so that it came', async () => {
    await ask(watch('x'));
    await until(() =>
      expect(states()).toEqual([`cannot watch "${join(folder, 'app.log')}": there is no such file`]),
    );
    writeFileSync(join(folder, 'app.log'), 'x\n');
    await until(() => expect(states()).toHaveLength(2));
    expect(states()[1]).toBe('');
    await until(() => expect(matches()).toEqual([{ line: 'x', count: 1 }]));
  });

  test.each<[string, string, string]>([
    ['(', 'bad-expression', 'cannot use the pattern: missing closing ): `(`'],
    ['(?=x)', 'bad-expression', 'cannot use the pattern: invalid or unsupported Perl syntax: `(?=`'],
    ['x'.repeat(1025), 'bad-expression', 'cannot use the pattern: it has 1025 characters, 1024 are the most'],
    [
      '(\\pL|\\pN){350}',
      'bad-expression',
      'cannot use the pattern: it is too large: 1052 instructions, 1000 are the most',
    ],
  ])('the pattern %s', async (pattern, code, message) => {
    const failure = await failureOf(watch(pattern));
    expect(failure).toMatchObject({ code });
    expect((failure as { message: string }).message.slice(0, 60)).toBe(message.slice(0, 60));
  });

  test('a path that is none', async () => {
    for (const path of ['app.log', '', '/a\0b']) {
      expect(await failureOf({ watchLog: { watchId: 'l', path, pattern: 'x' } })).toMatchObject({
        code: 'usage',
      });
    }
  });
});

describe('usage', () => {
  let usage: Partial<ProcessUsage> = {};
  beforeEach(() => {
    usage = {};
    tracer.targets = [targetOf(1), targetOf(2, { comm: 'b', executable: '/bin/b' })];
    tracer.usageNow = () => [
      { pid: 1, startTicks: 1n, timeMs: performance.now(), cpuMs: 0, rssBytes: 0, threads: 1, ...usage },
    ];
  });
  const watch = (more: stillframe.v1.WatchUsage.$Properties = {}): CommandProperties => ({
    watchUsage: {
      watchId: 'u',
      selector: 'name:app',
      resource: Resource.RESOURCE_THREADS,
      above: 10,
      forMs: toLong(400),
      ...more,
    },
  });
  const excesses = (): { pid: number; value: number }[] =>
    events.flatMap(({ usageExceeded: e }) => (e ? [{ pid: e.target?.pid ?? 0, value: e.value ?? 0 }] : []));

  test('above the bound for so long, once; and again when it was below meanwhile', async () => {
    await ask(watch());
    usage = { threads: 11 };
    const startedMs = performance.now();
    await until(() => expect(excesses()).toEqual([{ pid: 1, value: 11 }]));
    expect(performance.now() - startedMs).toBeGreaterThan(350);
    usage = { threads: 12 };
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(excesses()).toHaveLength(1);
    usage = { threads: 10 };
    await new Promise((resolve) => setTimeout(resolve, 500));
    usage = { threads: 13 };
    await until(() => expect(excesses().at(-1)).toEqual({ pid: 1, value: 13 }));
  });

  test('a short time above is not told', async () => {
    // Longer than once, shorter than all together.
    await ask(watch({ forMs: toLong(3000) }));
    for (let i = 0; i < 5; i++) {
      usage = { threads: 100 };
      await new Promise((resolve) => setTimeout(resolve, 700));
      usage = { threads: 1 };
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
    expect(excesses()).toEqual([]);
  });

  test('descriptors that may not be counted are a state', async () => {
    usage = { descriptors: { refusal: 'cannot count the descriptors of process 1: EACCES' } };
    await ask(watch({ resource: Resource.RESOURCE_DESCRIPTORS }));
    const details = (): string[] => events.flatMap(({ watchState }) => watchState?.detail ?? []);
    await until(() => expect(details()).toEqual(['cannot count the descriptors of process 1: EACCES']));
    usage = { descriptors: 11 };
    await until(() => expect(details()).toHaveLength(2));
    expect(details()[1]).toBe('');
    await until(() => expect(excesses()).toEqual([{ pid: 1, value: 11 }]));
  });

  test.each<[string, stillframe.v1.WatchUsage.$Properties, string]>([
    ['a bound that is no number', { above: Number.NaN }, 'cannot watch for NaN'],
    ['no resource', { resource: Resource.RESOURCE_UNSPECIFIED }, 'cannot watch: no resource that is known'],
    ['a week', { forMs: toLong(7 * 24 * 3600_000) }, 'cannot watch for 604800000 ms: a day is the most'],
    ['no selector', { selector: '' }, 'cannot parse target "": it is empty'],
  ])('%s', async (_, more, message) => {
    expect(await failureOf(watch(more))).toEqual({ code: 'usage', message });
  });
});

test('points are watched at an interval, and told only when something changed', async () => {
  const plan = encodePlan(planOf([siteOf()]));
  const arm = { pids: [100], plan, maxHits: 1, expiresMs: toLong(Date.now() + 60_000) };
  const other = converse();
  await other.receive(decodeCommand(encodeCommand({ arm: { ...arm, pointId: 'p1' }, request: toLong(1) })));
  events = [];
  expect((await ask({ listPoints: { watchMs: 1 } }))?.points?.points).toHaveLength(1);
  const states = (): string[] =>
    events.flatMap(({ pointState }) =>
      pointState ? [`${pointState.pointId ?? ''} ${pointState.why ?? ''}`] : [],
    );
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(states()).toEqual([]);
  tracer.countersNow = { ...tracer.countersNow, hits: 5n };
  await until(() => expect(states()).toEqual(['p1 armed at 1 address in process 100 by uprobe: 5 hits']));
  await other.receive(decodeCommand(encodeCommand({ arm: { ...arm, pointId: 'p2' }, request: toLong(2) })));
  await until(() => expect(states().at(-1)).toContain('p2 armed'));
  await session.remove('p1');
  await until(() => expect(states()).toContain('p1 removed (5 hits)'));
  await until(() => expect(states()).toContain('p2 armed at 1 address in process 100 by uprobe: 5 hits'));
  const count = states().length;
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(states()).toHaveLength(count);
  other[Symbol.dispose]();
});

test('all watches end with their conversation: no look, no thread, no descriptor is left', async () => {
  const openFiles = (): string[] => readdirSync('/proc/self/fd');
  const threads = (): number => readdirSync('/proc/self/task').length;
  const path = join(folder, 'app.log');
  writeFileSync(path, '');
  const before = { files: openFiles().length, threads: threads() };
  await ask({ watchTargets: { watchId: 't', selector: 'name:app' } });
  await ask({ watchLog: { watchId: 'l', path, pattern: 'x' } });
  await ask({ watchLog: { watchId: 'absent', path: join(folder, 'none'), pattern: 'x' } });
  await ask({
    watchUsage: {
      watchId: 'u',
      selector: 'name:app',
      resource: Resource.RESOURCE_THREADS,
      above: 1,
      forMs: toLong(800),
    },
  });
  await ask({ listPoints: { watchMs: 200 } });
  await until(() => expect(tracer.looks).toBeGreaterThan(2));
  expect(threads()).toBeGreaterThan(before.threads);
  // One that is not begun when the conversation ends.
  const late = conversation.receive(
    decodeCommand(encodeCommand({ watchLog: { watchId: 'late', path, pattern: 'x' }, request: toLong(99) })),
  );
  conversation[Symbol.dispose]();
  await late;
  const { looks } = tracer;
  events = [];
  await until(() => expect({ files: openFiles().length, threads: threads() }).toEqual(before));
  appendFileSync(path, 'x\n');
  tracer.targets = [targetOf(1)];
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(tracer.looks).toBeLessThanOrEqual(looks + 1);
  expect(events).toEqual([]);
});
