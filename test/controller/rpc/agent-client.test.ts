import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { toLong } from '../../../proto/long.js';
import { AgentClient } from '../../../controller/rpc/agent-client.js';
import type { ComingSnapshot } from '../../../controller/rpc/incoming-snapshots.js';
import { openStore } from '../../../controller/store/sqlite.js';
import type { SnapshotRecord, SnapshotWriter, Store } from '../../../controller/store/store.js';
import { readTestNote, snapshotBytes } from '../store/snapshot-bytes.js';
import { hello, ScriptedChannel } from './scripted-channel.js';
import { rejected } from '../../support/thrown.js';

let folder: string;
let store: Store;
const clients: AgentClient[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-client-'));
  store = openStore({ folder, readNote: readTestNote });
});
afterEach(() => {
  vi.useRealTimers();
  for (const client of clients.splice(0)) client[Symbol.dispose]();
  store[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

const receive = (announced: ComingSnapshot): SnapshotWriter => store.receive(announced);

async function converse(channel: ScriptedChannel): Promise<AgentClient> {
  const client = await AgentClient.converse(channel, { receive });
  clients.push(client);
  return client;
}

async function dialed(): Promise<{ channel: ScriptedChannel; client: AgentClient }> {
  const channel = new ScriptedChannel();
  channel.answers = { greeting: { hello } };
  return { channel, client: await converse(channel) };
}

const id = '0t3k9fx7q2ab';
const point = '000000000001';

function announcement(bytes: Uint8Array, part: object = {}) {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { snapshotBegin: { snapshotId: id, pointId: point, size: toLong(bytes.length), sha256, ...part } };
}

function send(channel: ScriptedChannel, bytes: Uint8Array, request = 0n): void {
  const envelope = { request: toLong(request) };
  channel.say({ ...envelope, ...announcement(bytes) });
  for (let offset = 0; offset < bytes.length; offset += 100) {
    const data = bytes.subarray(offset, offset + 100);
    channel.say({ ...envelope, snapshotChunk: { snapshotId: id, offset: toLong(offset), data } });
  }
  channel.say({ ...envelope, snapshotEnd: { snapshotId: id } });
}

const acknowledged = (channel: ScriptedChannel): (string | null | undefined)[] =>
  channel.written.flatMap((command) =>
    command.acknowledgeSnapshot ? [command.acknowledgeSnapshot.snapshotId] : [],
  );

describe('hello', () => {
  test('a dialed agent is greeted and answers', async () => {
    const { client, channel } = await dialed();
    expect(client.facts).toMatchObject({ host: 'web-1', pid: 7 });
    expect(channel.written[0]?.greeting).toMatchObject({ controller: `cli ${process.pid}` });
  });

  test('an agent that dialed says hello unasked, and is greeted all the same', async () => {
    const channel = new ScriptedChannel({ dialedIn: true, certificateName: 'agent-1' });
    const conversing = converse(channel);
    channel.say({ hello });
    const client = await conversing;
    expect(client).toMatchObject({ facts: { host: 'web-1' }, certificateName: 'agent-1', dialedIn: true });
    expect(channel.written[0]?.greeting).toBeDefined();
    // Its answer to the greeting changes nothing.
    channel.answer('greeting', { hello: { ...hello, host: 'other' } });
    expect(client.facts.host).toBe('web-1');
  });

  test('one that dialed and says nothing, or something else, is let go', async () => {
    vi.useFakeTimers();
    const silent = new ScriptedChannel({ dialedIn: true });
    const waiting = rejected(converse(silent));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await waiting).toBe('unreachable: the agent at agent.test:1 did not say hello within 10 s');
    expect(silent.isClosed).toBe(true);

    const rude = new ScriptedChannel({ dialedIn: true });
    const refused = rejected(converse(rude));
    rude.say({ snapshotEnd: { snapshotId: id } });
    expect(await refused).toBe(
      'bad-data: the agent at agent.test:1 said "snapshotEnd" where a hello was expected',
    );
    expect(rude.isClosed).toBe(true);
  });

  test.each([
    [{ host: '' }, 'an agent calls its host "", which is no host name'],
    [{ host: 'a b' }, 'an agent calls its host "a b", which is no host name'],
    [{ host: '../etc' }, 'an agent calls its host "../etc", which is no host name'],
    [{ host: 'web#2' }, 'an agent calls its host "web#2", which is no host name'],
    [{ host: 'x'.repeat(300) }, `an agent calls its host "${'x'.repeat(80)}", which is no host name`],
    [{ kernel: 'k'.repeat(300) }, 'an agent at host web-1 says a kernel that is none: 300 characters'],
    [{ bootId: 'a\u001b[2J' }, 'an agent at host web-1 says a bootId that is none: 5 characters'],
  ])('%o is refused', async (part, message) => {
    const channel = new ScriptedChannel({ dialedIn: true });
    const refused = rejected(converse(channel));
    channel.say({ hello: { ...hello, ...part } });
    expect(await refused).toBe(`bad-data: ${message}`);
    const dialedChannel = new ScriptedChannel();
    dialedChannel.answers = { greeting: { hello: { ...hello, ...part } } };
    expect(await rejected(converse(dialedChannel))).toBe(`bad-data: the agent at agent.test:1: ${message}`);
  });
});

describe('answers', () => {
  test('are matched by request and kind; failures are thrown; strangers are ignored', async () => {
    const { client, channel } = await dialed();
    const targets = client.listTargets('name:x');
    channel.say({ request: toLong(999), targets: { targets: [] } });
    channel.answer('listTargets', { points: {} });
    channel.answer('listTargets', { targets: { targets: [{ pid: 3, comm: 'x' }] } });
    expect(await targets).toMatchObject([{ pid: 3, comm: 'x' }]);
    const facts = client.targetFacts(4);
    channel.answer('getTargetFacts', { failure: { code: 'not-found', message: 'no process 4' } });
    expect(await rejected(facts)).toBe('not-found: no process 4');
  });

  test('numbers that nobody can mean', async () => {
    const { client, channel } = await dialed();
    const targets = client.listTargets();
    channel.answer('listTargets', { targets: { targets: [{ pid: 3, startTimeMs: toLong(2n ** 63n) }] } });
    const [target] = await targets;
    expect(new Date(target?.startTimeMs ?? NaN).toISOString()).toBe('+275760-09-13T00:00:00.000Z');
    const measured = client.measure({ pid: 1, plan: new Uint8Array(), durationMs: 5, engine: '' });
    channel.answer('measure', { measured: { durationMs: toLong(2n ** 63n) } });
    expect(await rejected(measured)).toBe(
      'bad-data: the agent at agent.test:1 answered measured wrongly: RangeError: 64-bit field does not fit a number: 9223372036854775808',
    );
  });

  test('one that does not come fails its command and nothing else', async () => {
    vi.useFakeTimers();
    const { client, channel } = await dialed();
    const waiting = rejected(client.listTargets());
    for (let i = 0; i < 7; i++) {
      await vi.advanceTimersByTimeAsync(10_000);
      channel.say({ heartbeat: { timeMs: toLong(1) } });
    }
    expect(await waiting).toBe('unreachable: the agent at agent.test:1 gave no targets within 60 s');
    channel.answer('listTargets', { targets: {} });
    const again = client.listTargets();
    channel.answer('listTargets', { targets: {} });
    expect(await again).toEqual([]);
  });

  test('an agent that takes no commands is waited for, and its commands are bounded', async () => {
    const { client, channel } = await dialed();
    channel.hasRoom = false;
    const first = client.points();
    const before = channel.written.length;
    const second = client.listTargets();
    const third = client.points(['a']);
    expect(channel.written).toHaveLength(before);
    channel.drain();
    expect(channel.written.slice(before).map(({ listTargets }) => listTargets !== undefined)).toEqual([
      true,
      false,
    ]);
    const many = Array.from({ length: 1100 }, () => rejected(client.points()));
    expect((await Promise.race(many)).startsWith('limit: 1024 commands wait for the agent')).toBe(true);
    client[Symbol.dispose]();
    await Promise.allSettled([first, second, third, ...many]);
  });

  test('silence ends the conversation, heartbeats go both ways', async () => {
    vi.useFakeTimers();
    const { client, channel } = await dialed();
    const waiting = rejected(client.points());
    await vi.advanceTimersByTimeAsync(10_000);
    expect(channel.written.at(-1)?.heartbeat).toBeDefined();
    await vi.advanceTimersByTimeAsync(30_000);
    expect((await client.closed).message).toBe('the agent at agent.test:1 fell silent');
    expect(await waiting).toBe('unreachable: the agent at agent.test:1 fell silent');
    expect(channel.isClosed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('watches', () => {
  test('what they see comes to listeners', async () => {
    const { client, channel } = await dialed();
    const seen: unknown[] = [];
    client.listen({ watch: (event) => void seen.push(event) });
    const asked = client.watch({
      id: 'w1',
      kind: 'usage',
      selector: 'name:x',
      resource: 'rss',
      above: 5,
      forMs: 100,
    });
    channel.answer('watchUsage', { done: {} });
    await asked;
    channel.say({ targetsChanged: { watchId: 'w0', appeared: [{ pid: 4 }] } });
    channel.say({ usageExceeded: { watchId: 'w1', timeMs: toLong(9), target: { pid: 4 }, value: 6 } });
    channel.say({ logMatched: { watchId: 'w2', timeMs: toLong(9), line: 'x', count: 3 } });
    channel.say({ watchState: { watchId: 'w2', detail: 'no such file' } });
    expect(seen).toMatchObject([
      { id: 'w0', kind: 'targets', appeared: [{ pid: 4 }], left: [] },
      { id: 'w1', kind: 'usage', timeMs: 9, target: { pid: 4 }, value: 6 },
      { id: 'w2', kind: 'log', timeMs: 9, line: 'x', count: 3 },
      { id: 'w2', kind: 'state', detail: 'no such file' },
    ]);
    expect(channel.written.at(-1)).toMatchObject({ watchUsage: { watchId: 'w1', resource: 2, above: 5 } });
  });
});

describe('snapshots', () => {
  interface Told {
    snapshots: [SnapshotRecord, boolean][];
    surplus: string[];
    failed: string[];
  }
  function listen(client: AgentClient): Told {
    const told: Told = { snapshots: [], surplus: [], failed: [] };
    client.listen({
      snapshot: (record, isNew) => void told.snapshots.push([record, isNew]),
      surplus: (which) => void told.surplus.push(which),
      failed: ({ code, message }) => void told.failed.push(`${code}: ${message}`),
    });
    return told;
  }

  test('are acknowledged when they are in the store', async () => {
    const { client, channel } = await dialed();
    const told = listen(client);
    send(channel, snapshotBytes({ snapshot: id, point }));
    expect(store.hasSnapshot(id)).toBe(true);
    expect(acknowledged(channel)).toEqual([id]);
    expect(told.snapshots.map(([record, isNew]) => [record.id, isNew])).toEqual([[id, true]]);
  });

  test('one that comes again is acknowledged again, and is not new', async () => {
    const { client, channel } = await dialed();
    const told = listen(client);
    const bytes = snapshotBytes({ snapshot: id, point });
    send(channel, bytes);
    send(channel, bytes);
    expect(acknowledged(channel)).toEqual([id, id]);
    expect(told.snapshots.map(([, isNew]) => isNew)).toEqual([true, false]);
    expect(store.listSnapshots()).toHaveLength(1);
  });

  test('what the store cannot keep is not acknowledged', async () => {
    const { client, channel } = await dialed();
    const told = listen(client);
    send(channel, snapshotBytes({ snapshot: '0t3k9fx7q2ac', point }));
    expect(told.failed).toEqual([
      `bad-data: cannot store snapshot ${id}: the note in the file says "0t3k9fx7q2ac"`,
    ]);
    expect(acknowledged(channel)).toEqual([]);
  });

  test('a "now" is answered with what is in the store, or with why it is not', async () => {
    const { client, channel } = await dialed();
    const order = { pid: 1, tids: [], stackBytes: 1, maxBytes: 1, engine: '' } as const;
    const taken = client.now(order);
    send(channel, snapshotBytes({ snapshot: id, point }), channel.requestOf('now'));
    expect((await taken).id).toBe(id);
    const refused = client.now(order);
    const request = channel.requestOf('now');
    channel.say({
      request: toLong(request),
      ...announcement(new Uint8Array(1), { size: toLong(2n ** 50n), snapshotId: '0t3k9fx7q2ac' }),
    });
    expect(await rejected(refused)).toBe(
      'limit: cannot store snapshot "0t3k9fx7q2ac": 1125899906842624 bytes are announced, 1 to 1073741824 are taken',
    );
  });

  test.each([
    [
      'of an absurd size',
      [
        {
          snapshotBegin: { snapshotId: id, pointId: point, size: toLong(2n ** 40n), sha256: '0'.repeat(64) },
        },
      ],
      `limit: cannot store snapshot "${id}": 1099511627776 bytes are announced, 1 to 1073741824 are taken`,
    ],
    [
      'of no size',
      [{ snapshotBegin: { snapshotId: id, pointId: point, sha256: '0'.repeat(64) } }],
      `limit: cannot store snapshot "${id}": 0 bytes are announced, 1 to 1073741824 are taken`,
    ],
    [
      'of more bytes than a number holds',
      [{ snapshotBegin: { snapshotId: id, pointId: point, size: toLong(2n ** 63n) } }],
      'bad-data: the agent at agent.test:1 sent snapshotBegin: 64-bit field does not fit a number: 9223372036854775808',
    ],
    [
      'with a name that is a path',
      [{ snapshotBegin: { snapshotId: '../../x', pointId: point, size: toLong(5), sha256: '0'.repeat(64) } }],
      'bad-data: cannot store a snapshot: "../../x" is no id',
    ],
    [
      'with a gap',
      [
        { snapshotBegin: { snapshotId: id, pointId: point, size: toLong(9), sha256: '0'.repeat(64) } },
        { snapshotChunk: { snapshotId: id, offset: toLong(4), data: Buffer.from('abc') } },
      ],
      `bad-data: cannot store snapshot ${id}: 3 bytes at 4 came, those at 0 were next`,
    ],
    [
      'in empty pieces',
      [
        { snapshotBegin: { snapshotId: id, pointId: point, size: toLong(9), sha256: '0'.repeat(64) } },
        { snapshotChunk: { snapshotId: id } },
      ],
      `bad-data: cannot store snapshot ${id}: 0 bytes at 0 came, those at 0 were next`,
    ],
    [
      'with more than was announced',
      [
        { snapshotBegin: { snapshotId: id, pointId: point, size: toLong(2), sha256: '0'.repeat(64) } },
        { snapshotChunk: { snapshotId: id, data: Buffer.from('abc') } },
      ],
      'bad-data: cannot store a snapshot: more than the announced 2 bytes came',
    ],
    [
      'for another point than its note says',
      [announcement(snapshotBytes({ snapshot: id, point: '000000000002' })),
        { snapshotChunk: { snapshotId: id, data: snapshotBytes({ snapshot: id, point: '000000000002' }) } },
        { snapshotEnd: { snapshotId: id } }],
      `bad-data: cannot store snapshot ${id}: it was announced for point "${point}", the note in the file says "000000000002"`,
    ], // prettier-ignore
  ])('%s are refused once, and the conversation goes on', async (_, events, message) => {
    const { client, channel } = await dialed();
    const told = listen(client);
    for (const event of events) channel.say(event);
    // What follows of it is nobody's.
    channel.say({ snapshotChunk: { snapshotId: id, data: Buffer.from('more') } });
    channel.say({ snapshotEnd: { snapshotId: id } });
    expect(told.failed).toEqual([message]);
    expect(acknowledged(channel)).toEqual([]);
    const left = join(folder, 'incoming');
    expect(existsSync(left) ? readdirSync(left) : []).toEqual([]);
    const targets = client.listTargets();
    channel.answer('listTargets', { targets: {} });
    expect(await targets).toEqual([]);
  });

  test('no more than a few come from one agent at once', async () => {
    const { client, channel } = await dialed();
    const told = listen(client);
    for (let i = 0; i < 5; i++)
      channel.say(announcement(Buffer.from('x'), { snapshotId: `0t3k9fx7q2a${i}` }));
    expect(told.failed).toEqual([
      'limit: cannot store snapshot "0t3k9fx7q2a4": 4 others are coming from the same agent',
    ]);
    client[Symbol.dispose]();
    expect(readdirSync(join(folder, 'incoming'))).toEqual([]);
  });

  test('one that nobody waits for any more is cancelled, and what came of it does not stand in the way of others', async () => {
    const { client, channel } = await dialed();
    const order = { pid: 1, maxBytes: 1000, engine: '' as const };
    for (let i = 0; i < 10; i++) {
      const asker = new AbortController();
      const core = rejected(client.core(order, () => undefined, asker.signal));
      const request = toLong(channel.requestOf('core'));
      const bytes = snapshotBytes({ snapshot: id, point });
      channel.say({ request, ...announcement(bytes, { snapshotId: `00000000000${i}`, pointId: '' }) });
      if (i % 2 === 0) {
        asker.abort();
        expect(await core).toBe('unreachable: nobody waits for the agent at agent.test:1 any more');
        expect(channel.written.at(-1)?.cancel?.request).toEqual(request);
      } else {
        channel.answer('core', { failure: { code: 'system', message: 'the disk is full' } });
        expect(await core).toBe('system: the disk is full');
      }
    }
    expect(readdirSync(join(folder, 'incoming'))).toEqual([]);
    const asked = client.now({ pid: 1, tids: [], stackBytes: 0, maxBytes: 0, engine: '' });
    send(channel, snapshotBytes({ snapshot: id, point }), channel.requestOf('now'));
    expect(await asked).toMatchObject({ id });
  });

  test('one that does not come in time is cancelled', async () => {
    vi.useFakeTimers();
    const { client, channel } = await dialed();
    channel.answers = { heartbeat: { heartbeat: {} } };
    const measured = rejected(
      client.measure({ pid: 1, plan: new Uint8Array(), durationMs: 1000, engine: '' }),
    );
    await vi.advanceTimersByTimeAsync(80_000);
    expect(await measured).toBe('unreachable: the agent at agent.test:1 gave no measured within 61 s');
    const cancelled = channel.written.flatMap(({ cancel }) => (cancel ? [cancel.request] : []));
    expect(cancelled).toEqual([toLong(channel.requestOf('measure'))]);
  });

  test('hits beyond what a point of a fleet asks for are counted once and not kept', async () => {
    store.putPoint({
      id: point, createdMs: 1, target: 'name:x', location: 'f', captures: [], engine: '', maxHits: 1, minIntervalNs: 0n,
      expiresMs: 9e12, agent: '', pids: [], modulePath: '', buildId: '', plan: new Uint8Array(),
      status: { phase: 'armed', why: '' }, kind: 'snapshot', everyProcess: false, bounds: {}, owner: '', note: '',
    }); // prettier-ignore
    const { client, channel } = await dialed();
    const told = listen(client);
    const arming = `${point}-aabbccdd`;
    const first = snapshotBytes({ snapshot: '0t3k9fx7q2aa', point: arming });
    using writer = store.receive({
      id: '0t3k9fx7q2aa',
      size: first.length,
      sha256: createHash('sha256').update(first).digest('hex'),
    });
    writer.write(first);
    expect(writer.commit()).toMatchObject({ kind: 'stored', record: { point } });
    const bytes = snapshotBytes({ snapshot: id, point: arming });
    for (let i = 0; i < 2; i++) {
      channel.say(announcement(bytes, { pointId: arming }));
      channel.say({ snapshotChunk: { snapshotId: id, data: bytes } });
      channel.say({ snapshotEnd: { snapshotId: id } });
    }
    expect(acknowledged(channel)).toEqual([id, id]);
    expect(told).toEqual({ snapshots: [], surplus: [point, point], failed: [] });
    expect(store.countSnapshots(point)).toEqual({ stored: 1, surplus: 1 });
  });
});

describe('whatever an agent says', () => {
  const ids = fc.constantFrom('', id, point, '../x', 'w1');
  const longs = fc.oneof(fc.nat(20).map(BigInt), fc.bigInt(0n, 2n ** 64n - 1n)).map(toLong);
  const bytes = fc.uint8Array({ maxLength: 20 });
  const target = fc.record({ pid: fc.nat(), comm: fc.string(), startTimeMs: longs, startTicks: longs });
  const event = fc.oneof(
    fc.record({ snapshotId: ids, pointId: ids, size: longs, sha256: fc.constantFrom('', '0'.repeat(64)) }).map((snapshotBegin) => ({ snapshotBegin })),
    fc.record({ snapshotId: ids, offset: longs, data: bytes }).map((snapshotChunk) => ({ snapshotChunk })),
    fc.record({ snapshotId: ids }).map((snapshotEnd) => ({ snapshotEnd })),
    fc.record({ pointId: ids, phase: fc.nat(9), expiresMs: longs, counters: fc.record({ hits: longs }) }).map((pointState) => ({ pointState })),
    fc.record({ watchId: ids, appeared: fc.array(target), left: fc.array(target) }).map((targetsChanged) => ({ targetsChanged })),
    fc.record({ watchId: ids, timeMs: longs, line: fc.string(), count: fc.nat() }).map((logMatched) => ({ logMatched })),
    fc.record({ watchId: ids, timeMs: longs, target, value: fc.double() }).map((usageExceeded) => ({ usageExceeded })),
    fc.record({ code: fc.string(), message: fc.string() }).map((failure) => ({ failure })),
    fc.record({ host: fc.string(), pid: fc.nat() }).map((hello_) => ({ hello: hello_ })),
    fc.constant({}),
  ); // prettier-ignore

  test('costs what it answers at most, and the conversation goes on', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(event, fc.bigInt(0n, 6n))), async (events) => {
        const { client, channel } = await dialed();
        const points: string[] = [];
        client.listen({ point: ({ expiresMs }) => void points.push(new Date(expiresMs).toISOString()) });
        const calls = [client.points(), client.listTargets(), client.targetFacts(1)].map((call) =>
          call.catch(() => undefined),
        );
        for (const [said, request] of events) channel.say({ ...said, request: toLong(request) });
        const engines = client.probeEngines();
        channel.answer('probeEngines', { engines: {} });
        expect(await engines).toEqual([]);
        expect(store.listSnapshots()).toEqual([]);
        client[Symbol.dispose]();
        await Promise.all(calls);
        const left = join(folder, 'incoming');
        expect(existsSync(left) ? readdirSync(left) : []).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
