import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import { parseEndpoint } from '../../../format/endpoint.js';
import { ControllerMetrics, type MetricsSource } from '../../../controller/http/metrics.js';
import { startHttpServer, type HttpServerOptions } from '../../../controller/http/server.js';
import type { PointListener } from '../../../controller/fleet/points.js';
import { pointNamed } from '../../support/fake-controller.js';
import { makeCertificates } from '../../support/tls.js';
import type { SnapshotRecord } from '../../../controller/store/store.js';

let folder: string;
const closing: AsyncDisposable[] = [];
let listener: PointListener = {};
const errors: object[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-test-'));
  errors.length = 0;
});
afterEach(async () => {
  for (const each of closing.splice(0)) await each[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const rule = {
  name: 'errors', file: 'r.yaml', line: 1, trigger: 'manual', state: 'active', why: '',
  firings: 3, refused: 2, failures: 1,
} as const; // prettier-ignore
let points = [pointNamed('p1', { hits: 7 }), pointNamed('p2', { state: 'pending' })];
const source: MetricsSource = {
  agents: () => [
    { host: 'a', identity: 'a', address: 'x', connected: true, sinceMs: 0 },
    { host: 'b', identity: 'b', address: 'y', connected: false, sinceMs: 0, error: 'away' },
  ],
  points: () => points,
  refreshPoints: () => Promise.resolve(),
  rules: () => Promise.resolve([rule]),
  openIncidents: () => 4,
  listenToPoints: (added) => {
    listener = added;
    return { [Symbol.dispose]: () => undefined };
  },
};

async function start(options: Partial<HttpServerOptions> = {}): Promise<string> {
  const metrics = new ControllerMetrics(source);
  const server = await startHttpServer({
    endpoint: parseEndpoint('127.0.0.1:0'),
    tls: undefined,
    metrics,
    plugins: [],
    refusal: () => undefined,
    log: { debug: () => undefined, error: (facts) => void errors.push(facts) },
    ...options,
  });
  closing.push(server, { [Symbol.asyncDispose]: () => Promise.resolve(metrics[Symbol.dispose]()) });
  return server.address;
}

const post = (url: string, body: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });

describe('health', () => {
  test('alive is not ready', async () => {
    let refusal: string | undefined = 'starting';
    const url = await start({ refusal: () => refusal });
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' });
    const before = await fetch(`${url}/readyz`);
    expect(before.status).toBe(503);
    expect(await before.json()).toEqual({ error: { code: 'unreachable', message: 'starting' } });
    refusal = undefined;
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });
});

describe('metrics', () => {
  const sample = (text: string, name: string): string | undefined =>
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length + 1);

  test('what the fleet, points and rules are, and what happened since', async () => {
    const url = await start();
    points = [
      pointNamed('p1', { hits: 9 }),
      pointNamed('p2', { state: 'pending' }),
      pointNamed('p3', { hits: 5, state: 'ended' }),
    ];
    listener.snapshot?.({ size: 1000 } as SnapshotRecord, pointNamed('p1'));
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain');
    const text = await response.text();
    const values = {
      'stillframe_agents{state="connected"}': '1',
      'stillframe_agents{state="disconnected"}': '1',
      'stillframe_points{state="armed"}': '1',
      'stillframe_points{state="pending"}': '1',
      'stillframe_points{state="failed"}': '0',
      stillframe_incidents_open: '4',
      'stillframe_rule_firings_total{rule="errors"}': '3',
      'stillframe_rule_refused_total{rule="errors"}': '2',
      'stillframe_rule_failures_total{rule="errors"}': '1',
      // Two of the point that had seven before, five of the one that was new.
      stillframe_point_hits_total: '7',
      stillframe_snapshots_stored_total: '1',
      stillframe_snapshots_stored_bytes_total: '1000',
    };
    const found = Object.fromEntries(Object.keys(values).map((name) => [name, sample(text, name)]));
    expect(found).toEqual(values);
    expect(text).toContain('process_resident_memory_bytes');
    // Scraping twice counts nothing twice.
    const again = await (await fetch(`${url}/metrics`)).text();
    expect(sample(again, 'stillframe_rule_firings_total{rule="errors"}')).toBe('3');
    expect(sample(again, 'stillframe_point_hits_total')).toBe('7');
  });

  test('requests of webhooks by what became of them', async () => {
    const url = await start({
      plugins: [
        (app) => {
          app.post('/api/v1/alerts', async (request, reply) => {
            if (request.headers.authorization === undefined) {
              return reply.status(401).send({ error: { code: 'denied', message: 'no token' } });
            }
            return reply.status(202).send({});
          });
        },
      ],
    });
    await post(`${url}/api/v1/alerts`, '{}', { authorization: 'Bearer x' });
    await post(`${url}/api/v1/alerts`, '{}');
    await post(`${url}/api/v1/alerts`, '{');
    await post(`${url}/api/v1/nothing/${'x'.repeat(100)}`, '{}');
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const result of ['accepted', 'unauthorized', 'malformed']) {
      expect(
        sample(text, `stillframe_webhook_requests_total{path="/api/v1/alerts",result="${result}"}`),
      ).toBe('1');
    }
    // A path that somebody made up is no label.
    expect(text).not.toContain('nothing');
  });
});

describe('plug-ins', () => {
  test('what a route throws is answered as an error, and a bug is logged and not told', async () => {
    const url = await start({
      plugins: [
        (app) => {
          app.post('/api/v1/rules/:name/fire', async (request) => {
            const { name } = request.params as { name: string };
            if (name === 'bug') throw new TypeError('secret of the house');
            throw new StillframeError('not-found', `no rule "${name}"`, {
              hint: '`stillframe rules ls` lists them',
            });
          });
        },
      ],
    });
    const missing = await post(`${url}/api/v1/rules/x/fire`, '{}');
    expect(missing.status).toBe(404);
    expect(await missing.json()).toEqual({
      error: { code: 'not-found', message: 'no rule "x"', hint: '`stillframe rules ls` lists them' },
    });
    const bug = await post(`${url}/api/v1/rules/bug/fire`, '{}');
    expect(bug.status).toBe(500);
    expect(await bug.json()).toEqual({ error: { code: 'internal', message: 'internal error' } });
    expect(errors).toMatchObject([{ error: 'secret of the house' }]);
  });
});

describe('hostile requests', () => {
  const hook: HttpServerOptions['plugins'] = [
    (app) => {
      app.post('/api/v1/alerts', async (request) => ({ got: JSON.stringify(request.body).length }));
      app.post('/api/v1/slow', () => new Promise(() => undefined));
    },
  ];
  const alive = async (url: string): Promise<void> => {
    expect((await post(`${url}/api/v1/alerts`, '{"a":1}')).status).toBe(200);
  };

  test('a body of 10 MB is refused before it is read', async () => {
    const url = await start({ plugins: hook });
    const startMs = Date.now();
    const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
      const request = httpRequest(
        `${url}/api/v1/alerts`,
        { method: 'POST', headers: { 'content-type': 'application/json', 'content-length': 10_000_000 } },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
        },
      );
      request.on('error', reject);
      // Only the first of it: who answers need not wait for the rest.
      request.write(Buffer.alloc(10_000, ' '));
    });
    expect(status).toBe(413);
    expect(JSON.parse(body)).toEqual({
      error: { code: 'limit', message: 'request body is too large', hint: 'at most 1048576 bytes are taken' },
    });
    expect(Date.now() - startMs).toBeLessThan(30_000);
    await alive(url);
  });

  test('one that does not say its length is cut off', async () => {
    const url = await start({ plugins: hook });
    const outcome = await new Promise<number | string>((resolve) => {
      const request = httpRequest(
        `${url}/api/v1/alerts`,
        { method: 'POST', headers: { 'content-type': 'application/json' } },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
      const piece = Buffer.alloc(64 * 1024, '1');
      let sent = 0;
      const send = (): void => {
        if (sent > 10_000_000 || request.destroyed) return;
        sent += piece.length;
        request.write(piece, () => setImmediate(send));
      };
      send();
    });
    expect([413, 'ECONNRESET', 'EPIPE']).toContain(outcome);
    await alive(url);
  });

  test.each<[string, string, Record<string, string>, number]>([
    ['no JSON', '{"a":', {}, 400],
    ['a poisoned prototype', '{"__proto__":{"x":1}}', {}, 400],
    ['another content', '<xml/>', { 'content-type': 'application/xml' }, 415],
    ['text', 'hello', { 'content-type': 'text/plain' }, 415],
    ['headers without end', '{}', { 'x-long': 'y'.repeat(20_000) }, 431],
  ])('%s', async (_, body, headers, status) => {
    const url = await start({ plugins: hook });
    expect((await post(`${url}/api/v1/alerts`, body, headers)).status).toBe(status);
    await alive(url);
  });

  test('more requests at once than are served', async () => {
    const url = await start({ plugins: hook });
    const enough = new AbortController();
    const slow = Array.from({ length: 80 }, () =>
      fetch(`${url}/api/v1/slow`, {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/json' },
        signal: enough.signal,
      }).then(
        ({ status }) => status,
        () => 0,
      ),
    );
    let refused = 0;
    for (const each of slow) void each.then((status) => (refused += status === 503 ? 1 : 0));
    await expect.poll(() => refused).toBe(16);
    enough.abort();
    const statuses = await Promise.all(slow);
    expect(statuses.filter((status) => status === 503)).toHaveLength(16);
    await expect.poll(async () => (await post(`${url}/api/v1/alerts`, '{}')).status).toBe(200);
  });

  test('headers that never end are cut off in time', async () => {
    const url = await start({ plugins: hook });
    const port = Number(new URL(url).port);
    const startMs = Date.now();
    const sockets: Socket[] = [];
    await Promise.all(
      Array.from(
        { length: 20 },
        () =>
          new Promise<void>((resolve) => {
            const socket = connect(port, '127.0.0.1', () =>
              socket.write('POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\n'),
            );
            sockets.push(socket);
            const drip = setInterval(() => socket.write('x: y\r\n'), 500);
            socket.on('error', () => undefined);
            socket.resume();
            socket.once('close', () => {
              clearInterval(drip);
              resolve();
            });
          }),
      ),
    );
    expect(Date.now() - startMs).toBeLessThan(60_000);
    await alive(url);
  });
});

describe('where it listens', () => {
  test('beyond this host only with TLS', async () => {
    await expect(start({ endpoint: parseEndpoint('0.0.0.0:0') })).rejects.toMatchObject({
      code: 'denied',
      message: 'cannot listen on 0.0.0.0 without TLS',
    });
    await expect(start({ endpoint: parseEndpoint('unix:/tmp/x') })).rejects.toMatchObject({ code: 'usage' });
  });

  test('a port in use is named', async () => {
    const url = await start();
    const taken = new URL(url).host;
    await expect(start({ endpoint: parseEndpoint(taken) })).rejects.toMatchObject({
      code: 'system',
      message: expect.stringContaining(`cannot listen on ${taken}: `) as string,
    });
  });

  test('HTTPS, with no certificate of the client', async () => {
    const { server } = makeCertificates(folder);
    const url = await start({ tls: server });
    expect(url).toMatch(/^https:/);
    const status = await new Promise<number>((resolve, reject) => {
      const request = httpsRequest(`${url}/healthz`, { ca: readFileSync(server.ca) }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      request.on('error', reject);
      request.end();
    });
    expect(status).toBe(200);
  });
});
