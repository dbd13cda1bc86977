import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { defaultPolicy } from '../../../agent/policy/policy.js';
import { Conversation } from '../../../agent/rpc/conversation.js';
import { Session } from '../../../agent/session/session.js';
import { Spool } from '../../../agent/session/spool.js';
import { Watches } from '../../../agent/watch/watches.js';
import { StillframeError } from '../../../format/error.js';
import { encodePlan } from '../../../format/plan/encode.js';
import { fromLong, toLong } from '../../../proto/long.js';
import {
  decodeCommand,
  decodeEvent,
  encodeCommand,
  encodeEvent,
  type CommandProperties,
  type Event,
} from '../../../proto/service.js';
import { planOf, rangeOf, siteOf } from '../../support/plan.js';
import { FakeTracer } from '../session/fake-tracer.js';

let folder: string;
let tracer: FakeTracer;
let session: Session;
let watches: Watches;
let conversation: Conversation;
const events: Event[] = [];
/** How many events were handed over and not yet taken. */
let waiting = 0;
let mostWaiting = 0;
let takeMs = 0;

function converse(): Conversation {
  return new Conversation({
    session,
    watches,
    hello: { version: 'x', host: 'here' },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    channel: {
      async send(event) {
        waiting += 1;
        mostWaiting = Math.max(mostWaiting, waiting);
        // Over the wire and back, so that nothing is seen that a controller would not see.
        events.push(decodeEvent(encodeEvent(event)));
        await new Promise((resolve) => setTimeout(resolve, takeMs));
        waiting -= 1;
      },
    },
  });
}

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

function makeWatches(): Watches {
  return new Watches({ tracer, targets: session.targets, gate: session.gate, log });
}

function makeSession(): Session {
  const spool = new Spool({ folder, maxBytes: 64 * 1024 * 1024 });
  return new Session({ tracer, spool, policy: defaultPolicy(), host: 'here', log });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-conversation-'));
  tracer = new FakeTracer();
  session = makeSession();
  watches = makeWatches();
  conversation = converse();
  events.length = 0;
  waiting = 0;
  mostWaiting = 0;
  takeMs = 0;
});
afterEach(async () => {
  conversation[Symbol.dispose]();
  await watches[Symbol.asyncDispose]();
  await session[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const say = (request: number, command: CommandProperties, to = conversation): Promise<void> =>
  to.receive(decodeCommand(encodeCommand({ ...command, request: toLong(request) })));

const arm: CommandProperties = {
  arm: {
    pointId: 'p1',
    pids: [100],
    plan: encodePlan(planOf([siteOf()])),
    maxHits: 1,
    expiresMs: toLong(Date.now() + 60_000),
  },
};

function bodies(): string[] {
  return events.map((event) => `${fromLong(event.request)} ${event.body ?? ''}`);
}

test('each command is answered with its number', async () => {
  await say(1, { greeting: { version: 'y' } });
  await say(2, { listTargets: {} });
  await say(3, { probeEngines: {} });
  await say(4, arm);
  await say(5, { listPoints: {} });
  await say(6, { disarm: { pointId: 'p1' } });
  await say(7, { acknowledgeSnapshot: { snapshotId: 'nothing' } });
  await say(8, { fetchSnapshots: {} });
  expect(bodies()).toEqual([
    '1 hello',
    '2 targets',
    '3 engines',
    '4 pointState',
    '5 points',
    '0 pointState',
    '6 pointState',
    '7 done',
    '8 fetched',
  ]);
});

test.each<[string, CommandProperties, string, string]>([
  ['an unknown command', {}, 'unsupported', 'unknown command: the controller is newer than this agent'],
  ['an unknown point', { disarm: { pointId: 'nope' } }, 'not-found', 'this agent has no point nope'],
  ['an unknown engine', { now: { pid: 1, engine: 'magic' } }, 'usage', 'unknown engine "magic"'],
  ['a point without an id', { arm: { pids: [1] } }, 'usage', 'cannot arm a point without an id'],
  [
    'a point of nothing',
    { arm: { pointId: 'p' } },
    'usage',
    'cannot arm point p: neither process nor selector is given',
  ],
  [
    'a note that is a book',
    { arm: { pointId: 'p', pids: [1], note: 'x'.repeat(5000) } },
    'limit',
    'cannot arm a point: note has 5000 characters, 4096 are the most',
  ],
  [
    'a crowd of processes',
    { arm: { pointId: 'p', pids: Array.from({ length: 2000 }, (_, i) => i + 1) } },
    'limit',
    'cannot arm a point in 2000 processes at once, 1024 are the most',
  ],
  [
    'a crowd of points',
    { followPoints: { pointIds: Array.from({ length: 10_001 }, (_, i) => `p${i}`) } },
    'limit',
    'cannot follow 10001 points in one conversation: 10000 are the most',
  ],
  [
    'a measurement of an hour',
    { measure: { pid: 1, durationMs: toLong(3600_000) } },
    'usage',
    'cannot measure for 3600000 ms: 1 to 60000 are allowed',
  ],
])('%s is a failure, and the conversation goes on', async (_, command, code, message) => {
  await say(9, command);
  expect(events[0]).toMatchObject({ body: 'failure', failure: { code, message } });
  await say(10, { listPoints: {} });
  expect(events[1]?.body).toBe('points');
});

test('a hostile plan is refused before anything is armed', async () => {
  const plan = encodePlan(planOf([siteOf()]));
  for (let length = 0; length < plan.length; length += 3) {
    await say(1, { arm: { ...arm.arm, plan: plan.subarray(0, length) } });
    expect(events.at(-1)).toMatchObject({ body: 'failure', failure: { code: 'bad-data' } });
  }
  // A jump that goes back.
  const looping = planOf([siteOf({ condition: Uint8Array.of(0x2f, 0xfd, 0xff) })]);
  await say(2, { arm: { ...arm.arm, plan: encodePlan(looping) } });
  expect(events.at(-1)?.body).toBe('failure');
  expect(tracer.calls).toEqual([]);
});

test("an error's hint, candidates and detail arrive", async () => {
  tracer.refusals.set(
    100,
    new StillframeError('mismatch', 'other file', {
      hint: 'do this',
      candidates: ['a', 'b'],
      detail: { address: 0xffff_ffff_ffff_fff0n, pid: 100, errnoName: 'EPERM' },
    }),
  );
  await say(1, arm);
  expect(events[0]).toMatchObject({
    body: 'failure',
    failure: {
      code: 'mismatch',
      message: 'other file',
      hint: 'do this',
      candidates: ['a', 'b'],
      detail: { address: '0xfffffffffffffff0', pid: 100, errnoName: 'EPERM' },
    },
  });
});

const bigBytes = 5 * 1024 * 1024;

function hitBig(): void {
  const bytes = new Uint8Array(bigBytes);
  for (let i = 0; i < bytes.length; i += 997) bytes[i] = i & 0xff;
  tracer.hit('p1', 100, { ranges: [{ address: 0x10000n, bytes, provenance: 'at-hit', path: 'big' }] });
}

function received(): Buffer {
  const chunks: Buffer[] = [];
  let next = 0;
  for (const event of events) {
    if (event.body !== 'snapshotChunk') continue;
    const data = Buffer.from(event.snapshotChunk.data ?? new Uint8Array());
    expect(data.length).toBeLessThanOrEqual(1024 * 1024);
    expect(Number(fromLong(event.snapshotChunk.offset))).toBe(next);
    next += data.length;
    chunks.push(data);
  }
  return Buffer.concat(chunks);
}

test('a snapshot comes in pieces, whole, and no faster than it is taken', async () => {
  await say(1, arm);
  takeMs = 5;
  hitBig();
  await vi.waitFor(() => expect(bodies()).toContain('0 snapshotEnd'));
  const begin = events.find((event) => event.body === 'snapshotBegin')?.snapshotBegin;
  const file = received();
  expect(file.length).toBe(Number(fromLong(begin?.size)));
  expect(createHash('sha256').update(file).digest('hex')).toBe(begin?.sha256);
  // The point's state may stand beside one piece.
  expect(mostWaiting).toBeLessThanOrEqual(2);
});

test('a snapshot waits until it is acknowledged, and goes to the next conversation that has the point', async () => {
  await say(1, arm);
  conversation[Symbol.dispose]();
  hitBig();
  expect(session.spool.list()).toHaveLength(1);
  events.length = 0;
  conversation = converse();
  await say(1, arm);
  await vi.waitFor(() => expect(bodies()).toContain('0 snapshotEnd'));
  expect(received().length).toBeGreaterThan(bigBytes);
  const id = session.spool.list()[0]?.id ?? '';
  // Not stored there after all: it is sent again.
  events.length = 0;
  await say(2, { fetchSnapshots: { pointIds: ['p1'] } });
  expect(received().length).toBeGreaterThan(bigBytes);
  await say(3, { acknowledgeSnapshot: { snapshotId: id } });
  expect(session.spool.list()).toEqual([]);
});

test('points that others armed are followed: their states, what waits of them, and what comes', async () => {
  using other = converse();
  await say(1, arm, other);
  other[Symbol.dispose]();
  tracer.hit('p1', 100);
  await vi.waitFor(() => expect(session.spool.list()).toHaveLength(1));
  await say(1, { arm: { ...arm.arm, pointId: 'p2', maxHits: 2 } }, other);
  events.length = 0;
  await say(2, { followPoints: { pointIds: ['p1', 'p2', 'p2', 'unknown'] } });
  const answer = events.find((event) => event.body === 'points')?.points?.points;
  expect(answer?.map(({ pointId, end }) => [pointId, end])).toEqual([
    ['p1', 'hits'],
    ['p2', ''],
  ]);
  await vi.waitFor(() => expect(bodies()).toContain('0 snapshotEnd'));
  events.length = 0;
  tracer.hit('p2', 100);
  await vi.waitFor(() => expect(bodies().toSorted()).toContain('0 snapshotEnd'));
  expect(events.find((event) => event.body === 'pointState')?.pointState).toMatchObject({ pointId: 'p2' });
  // Also what is armed only later.
  await say(3, { arm: { ...arm.arm, pointId: 'unknown' } }, other);
  tracer.hit('unknown', 100);
  await vi.waitFor(() =>
    expect(events.filter(({ body }) => body === 'snapshotBegin').at(-1)?.snapshotBegin?.pointId).toBe(
      'unknown',
    ),
  );
});

test('a point that lives while it is waited for lives on with those who follow it', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
  try {
    await session[Symbol.asyncDispose]();
    session = makeSession();
    const first = converse();
    await say(
      1,
      { arm: { ...arm.arm, expiresMs: toLong(Date.now() + 3600_000), whileConnected: true } },
      first,
    );
    const second = converse();
    await say(2, { followPoints: { pointIds: ['p1'] } }, second);
    first[Symbol.dispose]();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(tracer.armed.size).toBe(1);
    second[Symbol.dispose]();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(tracer.armed.size).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('a point that lives while it is waited for goes also where who asked hung up before it was armed', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
  try {
    await session[Symbol.asyncDispose]();
    session = makeSession();
    const hasty = converse();
    tracer.whileArming = () => hasty[Symbol.dispose]();
    await say(
      1,
      { arm: { ...arm.arm, expiresMs: toLong(Date.now() + 3600_000), whileConnected: true } },
      hasty,
    );
    expect(tracer.armed.size).toBe(1);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(tracer.armed.size).toBe(0);
    expect(await session.points()).toMatchObject([
      { phase: 'ended', end: 'removed', why: 'removed, for the command that waited for it is gone' },
    ]);
  } finally {
    vi.useRealTimers();
  }
});

test('who asked, why, and that it only counts is kept and told', async () => {
  const plan = encodePlan(
    planOf([siteOf({ ranges: [rangeOf('x', Uint8Array.of(0x30), Uint8Array.of(0x31))] })], {
      stackBytes: 1024,
    }),
  );
  await say(1, {
    arm: { ...arm.arm, plan, countOnly: true, maxHits: 0, owner: 'alex@here', note: 'why is it slow' },
  });
  const asked = { owner: 'alex@here', note: 'why is it slow', countOnly: true };
  expect(events[0]?.pointState).toMatchObject(asked);
  const [request] = tracer.armed.values();
  expect(request).toMatchObject({ countOnly: true, plan: { stackBytes: 0, sites: [{ ranges: [] }] } });
  tracer.countersNow = { hits: 12n, conditionFalse: 2n, faults: 0n, dropped: 0n, delivered: 0n };
  await say(2, { listPoints: {} });
  expect(events[1]?.points?.points).toMatchObject([
    { ...asked, why: 'armed at 1 address in process 100 by uprobe: 12 hits' },
  ]);
});

test('snapshots of points of others are not sent', async () => {
  using other = converse();
  await say(1, arm, other);
  events.length = 0;
  conversation[Symbol.dispose]();
  using bystander = converse();
  other[Symbol.dispose]();
  hitBig();
  await say(1, { listPoints: {} }, bystander);
  expect(bodies()).toEqual(['1 points']);
});

/** Resolves, by failing as a tracer does, when nobody waits any more. */
const untilAbandoned = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(new StillframeError('unreachable', 'abandoned')));
  });

const madeCore = { engine: 'fork', size: 3, storedBytes: 3, stoppedNs: 0, copyNs: 0, writeMs: 0 } as const;

describe('what somebody waits for', () => {
  test('is not done any further when the conversation ends: of a core nothing stays, a measurement ends', async () => {
    const begun: string[] = [];
    tracer.makeCore = ({ file }, signal) => {
      writeFileSync(file, 'a part of it');
      begun.push('core');
      return untilAbandoned(signal);
    };
    tracer.whileMeasuring = (signal) => {
      begun.push('measure');
      return untilAbandoned(signal);
    };
    const both = [
      say(1, { core: { pid: 100, maxBytes: toLong(1_000_000) } }),
      say(2, { measure: { pid: 100, plan: encodePlan(planOf([siteOf()])), durationMs: toLong(60_000) } }),
    ];
    await vi.waitFor(() => expect(begun.toSorted()).toEqual(['core', 'measure']));
    conversation[Symbol.dispose]();
    await Promise.all(both);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is cancelled by its number, and nothing else is', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    tracer.whileMeasuring = (signal) => {
      signals.push(signal);
      return untilAbandoned(signal);
    };
    const measure = {
      measure: { pid: 100, plan: encodePlan(planOf([siteOf()])), durationMs: toLong(60_000) },
    };
    const [first] = [say(1, measure), say(2, measure)];
    await vi.waitFor(() => expect(signals).toHaveLength(2));
    await say(3, { cancel: { request: toLong(1) } });
    await say(4, { cancel: { request: toLong(99) } });
    await first;
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, false]);
    expect(bodies().toSorted()).toEqual(['1 failure', '3 done', '4 done']);
  });

  test('is not kept when it comes after the conversation ended', async () => {
    tracer.makeCore = ({ file }) => {
      writeFileSync(file, 'all');
      conversation[Symbol.dispose]();
      return Promise.resolve(madeCore);
    };
    await say(1, { core: { pid: 100, maxBytes: toLong(1_000_000) } });
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each(['now', 'core'] as const)(
    'a %s that was sent and not acknowledged goes with the conversation',
    async (kind) => {
      tracer.makeCore = ({ file }) => {
        writeFileSync(file, 'all');
        return Promise.resolve(madeCore);
      };
      await say(
        1,
        kind === 'now' ? { now: { pid: 100 } } : { core: { pid: 100, maxBytes: toLong(1_000_000) } },
      );
      expect(bodies()).toContain('1 snapshotEnd');
      expect(session.spool.list()).toHaveLength(1);
      conversation[Symbol.dispose]();
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  test('is gone when it is cancelled after it was sent, and before it was acknowledged', async () => {
    await say(1, { now: { pid: 100 } });
    await say(2, { now: { pid: 100 } });
    expect(session.spool.list()).toHaveLength(2);
    await say(3, { cancel: { request: toLong(1) } });
    expect(session.spool.list()).toHaveLength(1);
    expect(bodies()).toContain('2 snapshotEnd');
  });

  test('is gone with an agent that was killed', async () => {
    await say(1, { now: { pid: 100 } });
    const [snapshot] = session.spool.list();
    await session[Symbol.asyncDispose]();
    // As the next agent finds it.
    session = makeSession();
    expect(session.spool.pathOf(snapshot?.id ?? '')).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
  });
});
