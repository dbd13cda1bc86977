import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fastify, type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { alertRoutes } from '../../../controller/http/alert-routes.js';
import { StillframeError } from '../../../format/error.js';
import { alertBody } from '../automation/alert-payload.js';
import { settled } from '../automation/fake-clock.js';
import { Stage } from '../automation/stage.js';

const rules = `rules:
  - { name: r, when: { alertmanager: { alert: CheckoutErrors } }, where: 'service:{{ labels.job }}', allow: { job: [checkout] }, what: [{ snapshot: { at: f } }], limits: { cooldown: 10m } }
`;

let stage: Stage;
let server: FastifyInstance;
let tokenFile: string;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-routes-'));
  tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, 'correct-horse\n');
  stage = new Stage({ rules });
  await stage.start();
  server = await serve(tokenFile);
});
afterEach(async () => {
  await server.close();
  await stage[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function serve(file: string | undefined): Promise<FastifyInstance> {
  const app = fastify();
  await app.register(alertRoutes({ automation: stage.automation, tokenFile: file, log: stage.log }));
  app.get('/other', () => 'open');
  return app;
}

const authorization = 'Bearer correct-horse';
async function post(
  payload: string | object | undefined,
  options: {
    readonly headers?: Record<string, string>;
    readonly url?: string;
    readonly app?: FastifyInstance;
  } = {},
): Promise<{ readonly status: number; readonly body: unknown; readonly headers: Record<string, unknown> }> {
  const { headers = { authorization }, url = '/api/v1/alerts', app = server } = options;
  const response = await app.inject({
    method: 'POST',
    url,
    headers: { ...(payload === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(payload === undefined ? {} : { payload }),
  });
  await settled();
  return { status: response.statusCode, body: response.json(), headers: response.headers };
}
const error = (code: string, message: string, hint?: string): object => ({
  error: { code, message, ...(hint === undefined ? {} : { hint }) },
});

describe('the webhook', () => {
  test('takes in the real payload, and once', async () => {
    expect(await post(alertBody())).toMatchObject({
      status: 200,
      body: { received: 1, accepted: 1, repeated: 0, unknown: 0 },
    });
    expect(stage.incidents.incidents).toHaveLength(1);
    expect(await post(alertBody())).toMatchObject({
      status: 200,
      body: { received: 1, accepted: 0, repeated: 1, unknown: 0 },
    });
    expect(stage.incidents.incidents).toHaveLength(1);
  });

  test('answers before the work is done', async () => {
    let isAnswered = false;
    let wasAnswered: boolean | undefined;
    stage.points.refuse = () => {
      wasAnswered ??= isAnswered;
      return undefined;
    };
    const answer = server.inject({
      method: 'POST',
      url: '/api/v1/alerts',
      headers: { authorization },
      payload: alertBody(),
    });
    const { statusCode } = await answer;
    isAnswered = true;
    expect(statusCode).toBe(200);
    await settled();
    expect(wasAnswered).toBe(true);
  });

  test.each<[string, Record<string, string>]>([
    ['no token', {}],
    ['an empty one', { authorization: '' }],
    ['another scheme', { authorization: `Basic ${Buffer.from('x:correct-horse').toString('base64')}` }],
    ['the scheme alone', { authorization: 'Bearer ' }],
    ['the token alone', { authorization: 'correct-horse' }],
    ['a wrong one', { authorization: 'Bearer correct-horsf' }],
    ['a part of it', { authorization: 'Bearer correct-hors' }],
    ['more than it', { authorization: 'Bearer correct-horse-' }],
    ['two of them', { authorization: 'Bearer correct-horse correct-horse' }],
    ['another case', { authorization: 'Bearer Correct-Horse' }],
  ])('refuses %s', async (_, headers) => {
    const answer = await post(alertBody(), { headers });
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect(answer.body).toMatchObject({ error: { code: 'denied' } });
    expect(stage.store.alerts).toEqual([]);
    expect(stage.automation.counters().alerts).toMatchObject({ unauthenticated: 1, received: 0 });
    // What was sent stands nowhere.
    expect(stage.log.lines.join('\n')).not.toContain('hors');
  });

  test('reads the token each time', async () => {
    writeFileSync(tokenFile, 'another');
    expect((await post(alertBody())).status).toBe(401);
    expect((await post(alertBody(), { headers: { authorization: 'bearer  another' } })).status).toBe(200);
  });

  test('lets nobody in without a token of its own, and says nothing of its files', async () => {
    await using app = await serve(undefined);
    expect(await post(alertBody(), { app })).toMatchObject({
      status: 401,
      body: error(
        'denied',
        'this controller has no token for alerts, so nobody may send any',
        'start it with a file that holds one',
      ),
    });
    rmSync(tokenFile);
    expect(await post(alertBody())).toMatchObject({
      status: 500,
      body: error('internal', 'cannot check tokens: the token file cannot be read'),
    });
    writeFileSync(tokenFile, '');
    expect((await post(alertBody(), { headers: { authorization: 'Bearer x' } })).status).toBe(500);
    expect((await post(alertBody(), { headers: { authorization: 'Bearer' } })).status).toBe(500);
  });

  test.each<[string, string | object, object]>([
    [
      'an object that is none',
      alertBody({ version: '3' }),
      error(
        'bad-data',
        'cannot read the alerts: version must be "4"',
        'what is wanted is the body of an Alertmanager webhook, version "4"',
      ),
    ],
    [
      'no JSON',
      '{"version": "4", ',
      error(
        'bad-data',
        "cannot read the body: body is not valid JSON but content-type is set to 'application/json'",
      ),
    ],
    [
      'nothing',
      '',
      error(
        'bad-data',
        "cannot read the body: body cannot be empty when content-type is set to 'application/json'",
      ),
    ],
    [
      'a prototype',
      '{"__proto__": {"version": "4"}}',
      error(
        'bad-data',
        "cannot read the body: body is not valid JSON but content-type is set to 'application/json'",
      ),
    ],
    [
      'null',
      'null',
      error(
        'bad-data',
        'cannot read the alerts: must be an object',
        'what is wanted is the body of an Alertmanager webhook, version "4"',
      ),
    ],
  ])('refuses %s', async (_, payload, body) => {
    expect(await post(payload)).toMatchObject({ status: 400, body });
    expect(stage.automation.counters().alerts).toMatchObject({ malformed: 1, received: 0 });
  });

  test('refuses deep nesting, quickly', async () => {
    const deep = `{"version": "4", "x": ${'['.repeat(400_000)}${']'.repeat(400_000)}}`;
    expect((await post(deep)).status).toBe(400);
  });

  test('refuses another type of content', async () => {
    const headers = { authorization, 'content-type': 'text/xml' };
    expect(await post('<x/>', { headers })).toMatchObject({
      status: 415,
      body: error('bad-data', 'the body must be application/json'),
    });
  });

  test('refuses 10 MB', async () => {
    const padding = 'x'.repeat(10_000_000);
    expect(await post(alertBody({ padding }))).toMatchObject({
      status: 413,
      body: error('limit', 'the body is larger than 1 MiB', 'set max_alerts in the webhook of Alertmanager'),
    });
  });

  test('asks to come again where too many wait', async () => {
    stage.store.acceptAlerts = () => {
      throw new StillframeError('limit', 'cannot take in 1 alerts: 10000 wait already');
    };
    const answer = await post(alertBody());
    expect(answer).toMatchObject({ status: 503, body: { error: { code: 'limit' } } });
    expect(answer.headers['retry-after']).toBe('30');
  });

  test('says nothing of what breaks inside', async () => {
    stage.store.acceptAlerts = () => {
      throw new Error('SQLITE_FULL: /var/lib/stillframe');
    };
    expect(await post(alertBody())).toMatchObject({ status: 500, body: error('internal', 'cannot answer') });
    expect(stage.log.lines.some((line) => line.includes('SQLITE_FULL'))).toBe(true);
  });

  test('keeps its token to itself: other routes need none', async () => {
    expect((await server.inject('/other')).body).toBe('open');
  });
});

describe('firing by hand', () => {
  const fire = (name: string, payload?: string | object) =>
    post(payload, { url: `/api/v1/rules/${name}/fire` });

  test('with labels; the bound that holds; no such rule', async () => {
    expect(await fire('r', { labels: { job: 'checkout' } })).toMatchObject({
      status: 200,
      body: { rule: 'r', fired: true, why: '', incident: 'i1' },
    });
    expect(stage.incidents.find('i1').cause.text).toBe('fired by http from 127.0.0.1');
    expect(await fire('r', { labels: { job: 'checkout' } })).toMatchObject({
      status: 409,
      body: { rule: 'r', fired: false, why: 'incident i1 is open, and counts it', incident: 'i1' },
    });
    expect(await fire('x')).toMatchObject({
      status: 404,
      body: { error: { code: 'not-found', message: 'no rule "x"' } },
    });
  });

  test('without labels, and with some that are none', async () => {
    expect(await fire('r')).toMatchObject({ status: 409, body: { why: 'there is no label "job"' } });
    for (const body of [{ labels: [1] }, { labels: { a: 1 } }, [], 'null']) {
      const { status } = await fire('r', body);
      expect(status).toBe(body === 'null' ? 409 : 400);
    }
  });

  test('wants the token', async () => {
    expect((await post({}, { url: '/api/v1/rules/r/fire', headers: {} })).status).toBe(401);
  });
});

describe('on a real socket', () => {
  /** Sends a head, and then more and more of a body, until it is answered. */
  function flood(port: number, head: string): Promise<{ readonly answer: string; readonly sent: number }> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      let sent = 0;
      const received: string[] = [];
      const chunk = Buffer.alloc(64 * 1024, 0x20);
      const more = (): void => {
        while (sent < 10_000_000 && !socket.destroyed && received.length === 0) {
          sent += chunk.length;
          if (!socket.write(chunk)) return void socket.once('drain', more);
        }
      };
      socket.once('connect', () => {
        socket.write(head);
        more();
      });
      socket.on('data', (data) => received.push(data.toString()));
      socket.on('error', () => undefined);
      socket.once('close', () => resolve({ answer: received.join('').split('\r\n')[0] ?? '', sent }));
      socket.setTimeout(60_000, () => reject(new Error('no answer')));
    });
  }
  const head = (token: string, length: string): string =>
    `POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n${token}${length}\r\n\r\n`;

  test.each([
    [
      '10 MB that are announced',
      `Authorization: ${authorization}\r\n`,
      'Content-Length: 10000000',
      'HTTP/1.1 413 Payload Too Large',
    ],
    ['10 MB without the token', '', 'Content-Length: 10000000', 'HTTP/1.1 401 Unauthorized'],
  ])('%s are not read', async (_, token, length, status) => {
    await server.listen({ host: '127.0.0.1', port: 0 });
    const { port } = server.server.address() as { port: number };
    const { answer } = await flood(port, head(token, length));
    expect(answer).toBe(status);
    expect(stage.store.alerts).toEqual([]);
  });

  test('an alert is taken in', async () => {
    await server.listen({ host: '127.0.0.1', port: 0 });
    const { port } = server.server.address() as { port: number };
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/alerts`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify(alertBody()),
    });
    expect([response.status, await response.json()]).toEqual([
      200,
      { received: 1, accepted: 1, repeated: 0, unknown: 0 },
    ]);
  });
});
