import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { IncidentEvent } from '../../../controller/automation/incident.js';
import { IncidentView } from '../../../controller/automation/incident-view.js';
import { Notifier, type NotifierOptions } from '../../../controller/automation/notify.js';
import type { WebhookPayload } from '../../../controller/automation/notify-payload.js';
import type { Notification } from '../../../controller/automation/notify-queue.js';
import { openSymbols } from '../../../controller/service/symbols.js';
import type { EmbeddedStore } from '../../../controller/store/sqlite.js';
import { repositoryRoot } from '../../support/paths.js';
import { fillStore, takeSnapshots } from './shop.js';
import { causeOf, makeStoreFolder, startMs, type StoreFolder } from './store-folder.js';
import { startWebhookServer, type Answer, type ReceivedCall } from './webhook-server.js';
import { SymbolsHere } from '../../../controller/service/symbols-here.js';

const retry = { firstDelayMs: 10, maxDelayMs: 50, maxTries: 4, maxAgeMs: 60_000 };
const opened: Notification = { event: 'incident-opened', timeMs: startMs };
const closed: Notification = { event: 'incident-closed', timeMs: startMs + 5 };
const snapshotEvent = (snapshot: string): Notification => ({
  event: 'snapshot',
  timeMs: startMs + 1,
  snapshot,
});

let folder: StoreFolder;
let store: EmbeddedStore;
let id: string;
let failures: string[];
beforeEach(() => {
  folder = makeStoreFolder();
  store = folder.open();
  id = store.incidents.open(causeOf(), startMs);
  failures = [];
});
afterEach(() => {
  store[Symbol.dispose]();
  folder[Symbol.dispose]();
  expect(failures).toEqual([]);
});

function makeNotifier(part: Partial<NotifierOptions> = {}, of: EmbeddedStore = store): Notifier {
  const { incidents, notifications: queue } = of;
  const view = new IncidentView({ store: of, incidents, symbols: new SymbolsHere(openSymbols) });
  const failed: NotifierOptions['failed'] = (error) => failures.push(error.message);
  // NB: a call that a busy machine takes long for is not to be made again.
  const notifier = new Notifier({ view, incidents, queue, failed, retry, timeoutMs: 60_000, ...part });
  notifier.start();
  return notifier;
}

const payloadOf = (call: ReceivedCall | undefined): WebhookPayload =>
  JSON.parse(call?.body ?? 'null') as WebhookPayload;

/** Events `notified`, once there are so many. */
async function notified(count: number, incident: string = id): Promise<readonly IncidentEvent[]> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const events = store.incidents.listEvents(incident).filter(({ kind }) => kind === 'notified');
    if (events.length >= count) return events;
    if (Date.now() > deadline) throw new Error(`${events.length} of ${count} events`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('a call', () => {
  test('says what happened, who says it, and which call it is', async () => {
    await using server = await startWebhookServer();
    await using notifier = makeNotifier({ link: (incident) => `https://here/incidents/${incident}` });
    const tokenFile = join(folder.folder, 'token');
    const secretFile = join(folder.folder, 'secret');
    writeFileSync(tokenFile, 'abc.def\n');
    writeFileSync(secretFile, 'key with spaces \n');
    notifier.enqueue(id, opened, [{ url: server.url, tokenFile, secretFile }]);
    const [event] = await notified(1);
    const [call] = server.calls;
    const payload = payloadOf(call);
    const { rule: _, ...cause } = causeOf();
    expect(payload).toEqual({
      version: '1',
      delivery: expect.stringMatching(/^[0-9a-z]{28}$/) as string,
      event: 'incident-opened',
      time: new Date(startMs).toISOString(),
      incident: {
        id,
        rule: 'checkout-errors',
        trigger: 'prometheus',
        state: 'open',
        started: new Date(startMs).toISOString(),
        cause: causeOf().text,
        labels: causeOf().labels,
        snapshots: 0,
        stacks: 0,
      },
      cause,
      link: `https://here/incidents/${id}`,
    });
    expect(call).toMatchObject({ method: 'POST', path: '/hook' });
    expect(call?.headers).toMatchObject({
      'content-type': 'application/json',
      authorization: 'Bearer abc.def',
      'idempotency-key': payload.delivery,
      'x-stillframe-event': 'incident-opened',
      'x-stillframe-signature': `sha256=${createHmac('sha256', 'key with spaces ')
        .update(call?.body ?? '')
        .digest('hex')}`,
    });
    expect(event).toMatchObject({
      text: `told ${new URL(server.url).origin} of incident-opened`,
      facts: { delivery: payload.delivery, event: 'incident-opened', tries: 1, status: 200 },
    });
  });

  test('that fails is made again, the same in each byte', async () => {
    await using server = await startWebhookServer([500, 503, 200]);
    await using notifier = makeNotifier();
    notifier.enqueue(id, opened, [{ url: server.url }]);
    const [event] = await notified(1);
    expect(event).toMatchObject({
      text: `told ${new URL(server.url).origin} of incident-opened at try 3`,
      facts: { tries: 3, status: 200 },
    });
    expect(server.calls).toHaveLength(3);
    expect(new Set(server.calls.map(({ body }) => body)).size).toBe(1);
    expect(new Set(server.calls.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
  });

  test.each([408, 429, 500, 502])('that is answered %i is made again', async (status) => {
    await using server = await startWebhookServer([status, 204]);
    await using notifier = makeNotifier();
    notifier.enqueue(id, opened, [{ url: server.url }]);
    expect((await notified(1))[0]?.facts).toMatchObject({ tries: 2, status: 204 });
  });

  test.each([400, 401, 404, 410])('that is answered %i is given up at once', async (status) => {
    await using server = await startWebhookServer([status]);
    await using notifier = makeNotifier();
    notifier.enqueue(id, opened, [{ url: server.url }]);
    const [event] = await notified(1);
    expect(event?.text).toBe(
      `did not tell ${new URL(server.url).origin} of incident-opened: it answered ${status}`,
    );
    expect(event?.facts).toMatchObject({ tries: 1 });
    expect(server.calls).toHaveLength(1);
  });

  test('that is redirected goes nowhere else', async () => {
    await using elsewhere = await startWebhookServer();
    await using server = await startWebhookServer([
      (response) => response.writeHead(307, { location: elsewhere.url }).end(),
    ]);
    await using notifier = makeNotifier();
    notifier.enqueue(id, opened, [{ url: server.url }]);
    expect((await notified(1))[0]?.text).toMatch(/it answered 307: redirects are not followed$/);
    expect(elsewhere.calls).toEqual([]);
  });

  test('that fails too often is given up, and the next is made', async () => {
    await using server = await startWebhookServer([500, 500, 500, 500, 200]);
    await using notifier = makeNotifier();
    notifier.enqueue(id, opened, [{ url: server.url }]);
    notifier.enqueue(id, closed, [{ url: server.url }]);
    const [first, second] = await notified(2);
    expect(first?.text).toMatch(/of incident-opened: after 4 tries: it answered 500$/);
    expect(second?.text).toMatch(/^told .* of incident-closed$/);
    expect(server.calls).toHaveLength(5);
  });

  test('waits as long as the other side asks', async () => {
    const busy: Answer = (response) => response.writeHead(429, { 'retry-after': '1' }).end();
    await using server = await startWebhookServer([busy, 200]);
    await using notifier = makeNotifier({ retry: { ...retry, maxDelayMs: 2000 } });
    const before = Date.now();
    notifier.enqueue(id, opened, [{ url: server.url }]);
    await notified(1);
    expect(Date.now() - before).toBeGreaterThanOrEqual(1000);
  });
});

describe('who answers badly', () => {
  test('never: the call ends after its time', async () => {
    const sockets = createServer(() => undefined);
    await new Promise<void>((resolve) => sockets.listen(0, '127.0.0.1', resolve));
    const { port } = sockets.address() as { port: number };
    await using notifier = makeNotifier({ timeoutMs: 100, retry: { ...retry, maxTries: 2 } });
    notifier.enqueue(id, opened, [{ url: `http://127.0.0.1:${port}/` }]);
    expect((await notified(1))[0]?.text).toMatch(/: after 2 tries: no answer within 100 ms$/);
    sockets.close();
  });

  test('with no end: the status counts, and no more than a bound is read', async () => {
    let written = 0;
    await using server = await startWebhookServer([
      (response) => {
        response.writeHead(200);
        const chunk = Buffer.alloc(64 * 1024);
        const more = (): void => {
          while (!response.destroyed && response.write(chunk)) written += chunk.length;
        };
        response.on('drain', more);
        response.on('error', () => undefined);
        more();
      },
    ]);
    await using notifier = makeNotifier();
    notifier.enqueue(id, opened, [{ url: server.url }]);
    expect((await notified(1))[0]?.facts).toMatchObject({ status: 200, tries: 1 });
    // What lies in the buffers of both ends, and not more.
    expect(written).toBeLessThan(32 * 1024 * 1024);
  });

  test('with what is no answer', async () => {
    const sockets = createServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n'));
    await new Promise<void>((resolve) => sockets.listen(0, '127.0.0.1', resolve));
    const { port } = sockets.address() as { port: number };
    await using notifier = makeNotifier({ retry: { ...retry, maxTries: 1 } });
    notifier.enqueue(id, opened, [{ url: `http://127.0.0.1:${port}/` }]);
    expect((await notified(1))[0]?.text).toMatch(/: after 1 try: Parse Error/);
    sockets.close();
  });

  test('nobody', async () => {
    await using notifier = makeNotifier({ retry: { ...retry, maxTries: 1 } });
    notifier.enqueue(id, opened, [{ url: 'http://127.0.0.1:1/secret-path?key=secret' }]);
    const [event] = await notified(1);
    expect(event?.text).toMatch(/^did not tell http:\/\/127\.0\.0\.1:1 of incident-opened: .*ECONNREFUSED/);
    expect(JSON.stringify(event)).not.toContain('secret');
  });

  test('a certificate that nobody vouches for; and one that is trusted', async () => {
    const certificate = makeCertificate(folder.folder);
    await using server = await startWebhookServer([200], { tls: certificate });
    {
      await using notifier = makeNotifier({ retry: { ...retry, maxTries: 1 } });
      notifier.enqueue(id, opened, [{ url: server.url }]);
      expect((await notified(1))[0]?.text).toMatch(/self-signed certificate$/);
      expect(server.calls).toEqual([]);
    }
    await using notifier = makeNotifier({ ca: certificate.cert });
    notifier.enqueue(id, closed, [{ url: server.url }]);
    expect((await notified(2))[1]?.text).toBe(`told ${new URL(server.url).origin} of incident-closed`);
  });
});

describe('what cannot be sent', () => {
  test.each([
    ['a token file that is not there', { tokenFile: '/nonexistent' }, /cannot read "\/nonexistent": ENOENT$/],
    [
      'a token of two lines',
      { tokenFile: 'two\nlines' },
      /holds no token: one word of printable characters$/,
    ],
    ['an empty secret', { secretFile: '\n' }, /holds no secret: it is empty$/],
    ['a secret that is a folder', { secretFile: '/tmp' }, /cannot read "\/tmp": it is no regular file$/],
    [
      'a secret without end',
      { secretFile: '/dev/zero' },
      /cannot read "\/dev\/zero": it is no regular file$/,
    ],
  ])('%s', async (_, files, why) => {
    await using server = await startWebhookServer();
    await using notifier = makeNotifier({ retry: { ...retry, maxTries: 1 } });
    const written = Object.entries(files).map(([key, content]) => {
      if (content.startsWith('/')) return [key, content];
      writeFileSync(join(folder.folder, key), content);
      return [key, join(folder.folder, key)];
    });
    notifier.enqueue(id, opened, [{ url: server.url, ...Object.fromEntries(written) }]);
    expect((await notified(1))[0]?.text).toMatch(why);
    expect(server.calls).toEqual([]);
  });

  test('an address that is none is told at once, and costs the others nothing', async () => {
    await using server = await startWebhookServer();
    await using notifier = makeNotifier();
    notifier.enqueue(id, opened, [{ url: 'file:///etc/passwd' }, { url: 'nonsense' }, { url: server.url }]);
    const texts = (await notified(3)).map(({ text }) => text);
    expect(texts[0]).toMatch(/: cannot notify "file:\/\/\/etc\/passwd": it is no http: or https: address$/);
    expect(texts[1]).toMatch(/^did not tell an address that is none of incident-opened/);
    expect(texts[2]).toMatch(/^told /);
  });

  test('an incident that is none', async () => {
    await using notifier = makeNotifier();
    expect(() => notifier.enqueue('0000000000zz', opened, [{ url: 'http://127.0.0.1:1/' }])).toThrow(
      'no incident "0000000000zz"',
    );
  });

  test('too many that wait for one address', async () => {
    await using notifier = makeNotifier({ retry: { ...retry, firstDelayMs: 60_000, maxDelayMs: 60_000 } });
    const url = 'http://127.0.0.1:1/';
    for (let i = 0; i < 1001; i++) notifier.enqueue(id, snapshotEvent(`s${i}`), [{ url }]);
    const events = await notified(1);
    expect(events).toHaveLength(1);
    expect(events[0]?.text).toMatch(/of snapshot: 1000 calls wait for it already$/);
  });
});

describe('order', () => {
  test('each incident in its order, and none waits for another address', async () => {
    await using good = await startWebhookServer();
    await using bad = await startWebhookServer([500, 500, 500, 200]);
    await using notifier = makeNotifier({ retry: { ...retry, maxTries: 100 } });
    const both = [{ url: bad.url }, { url: good.url }];
    const events = [opened, ...['s1', 's2', 's3'].map(snapshotEvent), closed];
    for (const event of events) notifier.enqueue(id, event, both);
    await notified(10);
    const order = ['incident-opened', 'snapshot', 'snapshot', 'snapshot', 'incident-closed'];
    expect(good.calls.map((call) => payloadOf(call).event)).toEqual(order);
    expect(bad.calls.slice(3).map((call) => payloadOf(call).event)).toEqual(order);
    expect(good.calls.map((call) => payloadOf(call).snapshot?.id)).toEqual([
      undefined,
      's1',
      's2',
      's3',
      undefined,
    ]);
  });

  test('many incidents that wait for one address hide no other', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    await using good = await startWebhookServer();
    await using notifier = makeNotifier({ timeoutMs: 60_000 });
    for (let i = 0; i < 50; i++) {
      const other = store.incidents.open(causeOf(), startMs);
      notifier.enqueue(other, opened, [{ url: `http://127.0.0.1:${port}/` }]);
    }
    notifier.enqueue(id, opened, [{ url: good.url }]);
    await good.received(1);
    silent.close();
  });

  test('the same again is not told again, delivered or not', async () => {
    await using server = await startWebhookServer();
    await using notifier = makeNotifier();
    notifier.enqueue(id, opened, [{ url: server.url }]);
    notifier.enqueue(id, opened, [{ url: server.url }]);
    await notified(1);
    notifier.enqueue(id, opened, [{ url: server.url }]);
    notifier.enqueue(id, closed, [{ url: server.url }]);
    await notified(2);
    expect(server.calls.map((call) => payloadOf(call).event)).toEqual(['incident-opened', 'incident-closed']);
  });
});

describe('values of the target', () => {
  test('go along only where they are asked for', async () => {
    const taken = await takeSnapshots({ way: 'b', snaps: [['--hits', '2']] });
    using shop = fillStore(join(folder.folder, 'shop'), taken, (fresh) => {
      id = fresh.incidents.open(causeOf(), startMs);
      return id;
    });
    await using plain = await startWebhookServer();
    await using full = await startWebhookServer();
    await using notifier = makeNotifier({}, shop);
    const destinations = [{ url: plain.url }, { url: full.url, includeValues: true }];
    const first = taken[0]?.record.id ?? '';
    notifier.enqueue(id, snapshotEvent(first), destinations);
    notifier.enqueue(id, closed, destinations);
    await Promise.all([plain.received(2), full.received(2)]);
    const [snapshot, close] = full.calls.map(payloadOf);
    expect(snapshot?.snapshot).toMatchObject({ id: first, comm: 'shop', function: 'charge' });
    expect(snapshot?.snapshot?.stack?.[1]).toMatch(/^wholesale shop\.c:\d+$/);
    expect(snapshot?.snapshot?.values).toContainEqual({ name: 'order->coupon', text: '"HALF"' });
    expect(close?.groups).toHaveLength(1);
    expect(close?.groups?.[0]).toMatchObject({ count: 2, snapshots: taken.map(({ record }) => record.id) });
    expect(close?.groups?.[0]?.same).toContainEqual({ name: 'order->customer->tier', text: 'GOLD' });
    expect(close?.groups?.[0]?.different?.map(({ name }) => name)).toContain('order->id');

    const documented = readFileSync(join(repositoryRoot, 'docs', 'webhook.md'), 'utf8');
    const keys = full.calls.flatMap((call) => keysOf(JSON.parse(call.body)));
    expect(keys).toEqual(expect.arrayContaining(['groups[].same', 'snapshot.values', 'incident.stacks']));
    const isDocumented = (key: string): boolean =>
      new RegExp(`^\\| \`${key.replaceAll('[]', '\\[\\]')}\` +\\|`, 'm').test(documented);
    expect(keys.filter((key) => !isDocumented(key))).toEqual([]);

    const bare = plain.calls.map(payloadOf);
    expect(bare[0]?.snapshot?.stack).toEqual(snapshot?.snapshot?.stack);
    expect(bare[1]?.groups?.[0]?.count).toBe(2);
    for (const { body } of plain.calls) expect(body).not.toMatch(/GOLD|HALF|Acme|coupon|"values"|"same"/);
  });

  test('a line of a log is one', async () => {
    const cause = causeOf({
      trigger: 'log',
      text: 'line: password=hunter2',
      labels: { user: 'bob' },
      facts: { line: 'bob' },
    });
    const log = store.incidents.open(cause, startMs);
    await using plain = await startWebhookServer();
    await using full = await startWebhookServer();
    await using notifier = makeNotifier();
    notifier.enqueue(log, opened, [{ url: plain.url }, { url: full.url, includeValues: true }]);
    await Promise.all([plain.received(1), full.received(1)]);
    expect(plain.calls[0]?.body).not.toMatch(/hunter2|bob/);
    expect(payloadOf(plain.calls[0]).cause.trigger).toBe('log');
    expect(payloadOf(full.calls[0]).cause).toMatchObject({
      text: 'line: password=hunter2',
      labels: { user: 'bob' },
    });
  });
});

describe('kill -9', () => {
  const script = join(repositoryRoot, 'dist/test/controller/automation/notify-child.js');
  const startChild = (...args: string[]): ChildProcess =>
    spawn(process.execPath, [script, folder.folder, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = async (child: ChildProcess): Promise<void> => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };

  test('again and again: each call is made at least once, in order', async () => {
    store[Symbol.dispose]();
    // The server fails every other call, so that kills fall on tries of all kinds.
    await using server = await startWebhookServer([
      (response) => response.writeHead(server.calls.length % 2 === 0 ? 500 : 200).end(),
    ]);
    const count = 12;
    let child = startChild(server.url, String(count));
    try {
      for (const calls of [3, 7, 12, 16]) {
        await server.received(calls);
        await kill(child);
        child = startChild(server.url);
      }
      const deadline = Date.now() + 60_000;
      store = folder.open();
      while (
        store.incidents
          .listEvents(store.incidents.findIncident('last').id)
          .filter(({ kind }) => kind === 'notified').length <
        count + 2
      ) {
        if (Date.now() > deadline) throw new Error(`only ${server.calls.length} calls came`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      await kill(child);
    }
    const told = server.calls.map((call) => {
      const { event, snapshot } = payloadOf(call);
      return `${event} ${snapshot?.id ?? ''}`;
    });
    const wanted = [
      'incident-opened ',
      ...Array.from({ length: count }, (_, i) => `snapshot 0000000000${String(i).padStart(2, '0')}`),
      'incident-closed ',
    ];
    // Without repetitions: exactly these, in this order.
    expect(told.filter((line, i) => told[i - 1] !== line)).toEqual(wanted);
  });

  test('a call that is under way when the controller dies is made again, under the same key', async () => {
    store[Symbol.dispose]();
    await using server = await startWebhookServer([() => undefined, 200]);
    const first = startChild(server.url, '0');
    await server.received(1);
    await kill(first);
    const second = startChild(server.url);
    await server.received(3);
    await kill(second);
    store = folder.open();
    const [a, b] = server.calls;
    expect(b?.body).toBe(a?.body);
    expect(b?.headers['idempotency-key']).toBe(a?.headers['idempotency-key']);
    expect(payloadOf(server.calls[2]).event).toBe('incident-closed');
  });
});

test('it ends in order: a call under way is cut off, and made by the next', async () => {
  await using server = await startWebhookServer([() => undefined, 200]);
  const first = makeNotifier({ timeoutMs: 60_000 });
  first.enqueue(id, opened, [{ url: server.url }]);
  await server.received(1);
  const before = Date.now();
  await first[Symbol.asyncDispose]();
  // Cut off, not waited for.
  expect(Date.now() - before).toBeLessThan(30_000);
  await using _second = makeNotifier();
  expect((await notified(1))[0]?.facts).toMatchObject({ tries: 2 });
});

/** `incident.id`, `groups[].stack`: as the table of docs/webhook.md has them. Labels and facts have keys of others. */
function keysOf(value: unknown, path: string = ''): string[] {
  const isLast = /(labels|facts|values|same|different)$/.test(path);
  if (isLast || typeof value !== 'object' || value === null) return [path];
  if (!Array.isArray(value)) {
    return Object.entries(value).flatMap(([key, item]) => keysOf(item, path === '' ? key : `${path}.${key}`));
  }
  return [path, ...value.flatMap((item) => keysOf(item, `${path}[]`)).filter((key) => key !== `${path}[]`)];
}

function makeCertificate(parent: string): { readonly key: string; readonly cert: string } {
  const place = mkdtempSync(join(parent, 'tls-'));
  const [key, cert] = [join(place, 'key.pem'), join(place, 'cert.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '1',
  ];
  execFileSync('openssl', [...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  const made = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  rmSync(place, { recursive: true });
  return made;
}
