import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseEndpoint } from '../../../format/endpoint.js';
import { StillframeError } from '../../../format/error.js';
import type { AlertPayload } from '../../../controller/automation/alert-payload.js';
import { ControllerMetrics } from '../../../controller/http/metrics.js';
import { startHttpServer, type RunningHttpServer } from '../../../controller/http/server.js';
import { webhooks, type WebhookOptions } from '../../../controller/http/webhooks.js';

let folder: string;
let server: RunningHttpServer | undefined;
let accepted: AlertPayload[];
let refused: string[];
let fired: unknown[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-test-'));
  [accepted, refused, fired] = [[], [], []];
});
afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const automation: WebhookOptions['automation'] = {
  acceptAlerts(payload) {
    if (accepted.length > 0) throw new StillframeError('limit', 'too many alerts wait');
    accepted.push(payload);
    return { received: payload.alerts.length, accepted: payload.alerts.length, repeated: 0, unknown: 0 };
  },
  noteRefusedRequest: (reason) => void refused.push(reason),
  fireRule(name, options) {
    fired.push([name, options]);
    return Promise.resolve({ rule: name, fired: true, why: '', incident: 'i1' });
  },
};

async function start(tokenFile: string | undefined): Promise<string> {
  const metrics = new ControllerMetrics({
    agents: () => [],
    points: () => [],
    refreshPoints: () => Promise.resolve(),
    rules: () => Promise.resolve([]),
    openIncidents: () => 0,
    listenToPoints: () => ({ [Symbol.dispose]: () => undefined }),
  });
  server = await startHttpServer({
    endpoint: parseEndpoint('127.0.0.1:0'),
    tls: undefined,
    metrics,
    plugins: [webhooks({ automation, tokenFile })],
    refusal: () => undefined,
    log: { debug: () => undefined, error: () => undefined },
  });
  return server.address;
}

function withToken(text: string): string {
  const file = join(folder, 'token');
  writeFileSync(file, text);
  return file;
}

const post = (url: string, body: unknown, token?: string): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  });

const payload = {
  version: '4',
  groupKey: '{}:{alertname="Errors"}',
  status: 'firing',
  receiver: 'stillframe',
  truncatedAlerts: 0,
  alerts: [
    {
      status: 'firing',
      labels: { alertname: 'Errors', job: 'shop' },
      annotations: { summary: 'many' },
      startsAt: '2025-06-01T12:00:00.000Z',
      endsAt: '0001-01-01T00:00:00Z',
      generatorURL: 'http://prometheus/graph',
      fingerprint: 'abcdef',
    },
  ],
};

describe('alerts', () => {
  test('with the token they are taken', async () => {
    const url = `${await start(withToken('s3cret\n'))}/api/v1/alerts`;
    const response = await post(url, payload, 's3cret');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ received: 1, accepted: 1, repeated: 0, unknown: 0 });
    expect(accepted[0]?.alerts[0]?.labels).toEqual({ alertname: 'Errors', job: 'shop' });
  });

  test.each<[string, string | undefined, string | undefined]>([
    ['no token', 's3cret', undefined],
    ['another token', 's3cret', 's3cre'],
    ['a controller without one', undefined, 's3cret'],
  ])('%s: 401, and nothing is taken', async (_, ours, shown) => {
    const url = `${await start(ours === undefined ? undefined : withToken(ours))}/api/v1/alerts`;
    const response = await post(url, payload, shown);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({
      error: { code: 'denied', message: 'this needs a Bearer token' },
    });
    expect(text).not.toContain('s3c');
    expect({ accepted, refused }).toEqual({ accepted: [], refused: ['unauthenticated'] });
  });

  test('a token that was replaced holds at once', async () => {
    const file = withToken('old');
    const url = `${await start(file)}/api/v1/alerts`;
    writeFileSync(file, 'new');
    expect((await post(url, payload, 'old')).status).toBe(401);
    expect((await post(url, payload, 'new')).status).toBe(200);
  });

  test('what is no payload is refused and counted, what cannot be kept comes again', async () => {
    const url = `${await start(withToken('t'))}/api/v1/alerts`;
    const malformed = await post(url, { ...payload, version: '3' }, 't');
    expect(malformed.status).toBe(400);
    expect(await malformed.json()).toMatchObject({ error: { code: 'bad-data' } });
    expect((await post(url, '[]', 't')).status).toBe(400);
    expect(refused).toEqual(['malformed', 'malformed']);
    await post(url, payload, 't');
    // Alertmanager tries again what is answered with 429.
    expect((await post(url, payload, 't')).status).toBe(429);
    expect(refused).toHaveLength(2);
  });

  test('10 MB without a token: refused before it is read', async () => {
    const url = `${await start(withToken('t'))}/api/v1/alerts`;
    const status = await new Promise<number>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': 10_000_000 };
      const request = httpRequest(url, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      request.on('error', reject);
      request.write(' '.repeat(1000));
    });
    expect(status).toBe(401);
    expect((await post(url, payload, 't')).status).toBe(200);
  });
});

describe('firing a rule', () => {
  test('with labels and owner, or with nothing', async () => {
    const url = await start(withToken('t'));
    expect(
      await (
        await post(`${url}/api/v1/rules/error-rate/fire`, { labels: { job: 'shop' }, owner: 'ci' }, 't')
      ).json(),
    ).toEqual({
      rule: 'error-rate',
      fired: true,
      why: '',
      incident: 'i1',
    });
    await post(`${url}/api/v1/rules/x/fire`, {}, 't');
    expect(fired).toEqual([
      ['error-rate', { labels: { job: 'shop' }, owner: 'ci' }],
      ['x', { labels: {}, owner: 'webhook 127.0.0.1' }],
    ]);
  });

  test.each<[string, unknown]>([
    ['labels that are no text', { labels: { job: 3 } }],
    ['an owner without end', { owner: 'x'.repeat(300) }],
    ['other keys', { label: {} }],
    ['a list', []],
  ])('%s: refused', async (_, body) => {
    const url = await start(withToken('t'));
    const response = await post(`${url}/api/v1/rules/x/fire`, body, 't');
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'usage' } });
    expect(fired).toEqual([]);
  });

  test('without a token: 401', async () => {
    const url = await start(withToken('t'));
    expect((await post(`${url}/api/v1/rules/x/fire`, {})).status).toBe(401);
    // What needs none goes on needing none.
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });
});
