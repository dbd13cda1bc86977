import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Firing, Outcome } from '../../../controller/automation/firing.js';
import type { PrometheusWhen } from '../../../controller/automation/rule.js';
import type { TriggerSink } from '../../../controller/automation/trigger.js';
import { PrometheusTrigger } from '../../../controller/automation/triggers/prometheus.js';
import { FakeClock } from './fake-clock.js';
import { httpFake, type HttpFake } from './http-fake.js';

type Answer = (response: ServerResponse) => void;

const json =
  (body: unknown, status = 200): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
const success = (resultType: string, result: unknown, more = {}): Answer =>
  json({ status: 'success', data: { resultType, result }, ...more });
const vector = (...series: readonly [labels: Record<string, string>, value: string][]): Answer =>
  success(
    'vector',
    series.map(([metric, value]) => ({ metric, value: [1767614400.1, value] })),
  );

/** A trigger on a fake Prometheus and a fake clock; each look waits for its answer. */
class Lab implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly fired: Omit<Firing, 'trigger'>[] = [];
  outcome: Outcome = { kind: 'fired', incident: 'i' };
  readonly trigger: PrometheusTrigger;
  readonly server: HttpFake;
  #running: Disposable | undefined;
  #answer: Answer;

  private constructor(server: HttpFake, answer: Answer, when: Partial<PrometheusWhen>) {
    this.server = server;
    this.#answer = answer;
    this.trigger = new PrometheusTrigger(
      {
        kind: 'prometheus',
        url: server.url,
        query: 'sum by (job) (rate(errors_total[1m]))',
        bound: { direction: 'above', value: 5 },
        forMs: 0,
        everyMs: 10_000,
        timeoutMs: 5000,
        ...when,
      },
      this.clock,
    );
  }

  static async open(answer: Answer, when: Partial<PrometheusWhen> = {}): Promise<Lab> {
    let lab: Lab | undefined;
    const server = await httpFake((_, response) => lab?.answer(response));
    lab = new Lab(server, answer, when);
    const sink: TriggerSink = {
      fire: (firing) => {
        lab.fired.push(firing);
        return lab.outcome;
      },
    };
    lab.#running = lab.trigger.start(sink);
    await lab.#looked(1);
    return lab;
  }

  answer(response: ServerResponse): void {
    this.#answer(response);
  }

  /** So many looks later, each with this answer. */
  async look(times: number, answer: Answer = this.#answer): Promise<void> {
    this.#answer = answer;
    for (let i = 0; i < times; i++) {
      const before = this.server.requests.length;
      // Until it asks, however long it backs off.
      while (this.server.requests.length === before) {
        await this.clock.advance(10_000);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await this.#looked(before + 1);
    }
  }

  async #looked(count: number): Promise<void> {
    const before = this.trigger.describe();
    for (let i = 0; i < 12_000 && this.server.requests.length < count; i++) await pause(5);
    for (let i = 0; i < 20 && this.trigger.describe() === before; i++) await pause(5);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#running?.[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('what fires', () => {
  test('a series above the bound, with its numbers and labels', async () => {
    await using lab = await Lab.open(vector([{ job: 'checkout' }, '7.25'], [{ job: 'cart' }, '0.5']));
    expect(lab.fired).toEqual([
      {
        text: 'sum by (job) (rate(errors_total[1m])) is 7.25 {job="checkout"}, above 5',
        labels: { job: 'checkout' },
        annotations: {},
        facts: { value: 7.25, above: 5, heldMs: 0, query: 'sum by (job) (rate(errors_total[1m]))' },
        again: false,
      },
    ]);
    expect(lab.trigger.describe()).toBe('highest of 2 series: 7.25 {job="checkout"}, above 5 (1 of them)');
    expect(lab.server.requests[0]).toEqual({
      path: '/api/v1/query?query=sum+by+%28job%29+%28rate%28errors_total%5B1m%5D%29%29',
      authorization: undefined,
    });
  });

  test('once, until it ceased to hold', async () => {
    await using lab = await Lab.open(vector([{}, '6']));
    await lab.look(3);
    expect(lab.fired).toHaveLength(1);
    await lab.look(1, vector([{}, '5']));
    expect(lab.trigger.describe()).toBe('5, not above 5');
    await lab.look(1, vector([{}, '6']));
    expect(lab.fired).toHaveLength(2);
  });

  test('when it held for a while, each series by itself', async () => {
    await using lab = await Lab.open(vector([{ job: 'a' }, '6']), { forMs: 30_000 });
    await lab.look(1, vector([{ job: 'a' }, '6'], [{ job: 'b' }, '6']));
    await lab.look(1);
    expect(lab.fired).toEqual([]);
    await lab.look(1);
    expect(lab.fired.map(({ labels }) => labels)).toEqual([{ job: 'a' }]);
    expect(lab.fired[0]?.text).toContain('above 5 for 30s');
    await lab.look(1);
    expect(lab.fired.map(({ labels }) => labels)).toEqual([{ job: 'a' }, { job: 'b' }]);
  });

  test('not when it only held now and then', async () => {
    await using lab = await Lab.open(vector([{}, '6']), { forMs: 20_000 });
    for (let i = 0; i < 4; i++) {
      await lab.look(1, vector([{}, '4']));
      await lab.look(1, vector([{}, '6']));
    }
    expect(lab.fired).toEqual([]);
  });

  test('what was refused is offered again while it holds, and says so', async () => {
    await using lab = await Lab.open(vector([{}, '6']));
    lab.outcome = { kind: 'refused', bound: 'cooldown', why: '' };
    await lab.look(1, vector([{}, '1']));
    await lab.look(2, vector([{}, '6']));
    lab.outcome = { kind: 'fired', incident: 'i' };
    await lab.look(3);
    expect(lab.fired.map(({ again }) => again)).toEqual([false, false, true, true]);
  });

  test('below a bound; a scalar; infinity', async () => {
    await using below = await Lab.open(success('scalar', [1, '0.5']), {
      bound: { direction: 'below', value: 1 },
    });
    expect(below.fired[0]?.text).toContain('is 0.5, below 1');
    await using infinite = await Lab.open(vector([{}, '+Inf']));
    expect(infinite.fired[0]?.text).toContain('is Infinity, above 5');
    await using negative = await Lab.open(vector([{}, '-Inf']));
    expect(negative.fired).toEqual([]);
  });

  test('many series fire, but not all of them at once', async () => {
    const many = Array.from({ length: 40 }, (_, i): [Record<string, string>, string] => [
      { i: String(i) },
      '9',
    ]);
    await using lab = await Lab.open(vector(...many));
    expect(lab.fired).toHaveLength(10);
    expect(lab.trigger.describe()).toContain('; 30 more than fire at once');
  });

  test('a token of a file goes along, as it is at the time', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stillframe-token-'));
    const tokenFile = join(folder, 'token');
    try {
      writeFileSync(tokenFile, 'abc\n');
      await using lab = await Lab.open(vector(), { tokenFile });
      writeFileSync(tokenFile, 'def');
      await lab.look(1);
      expect(lab.server.requests.map(({ authorization }) => authorization)).toEqual([
        'Bearer abc',
        'Bearer def',
      ]);
      rmSync(tokenFile);
      expect(await lab.trigger.probe()).toEqual({
        ok: false,
        text: `cannot ask ${lab.server.url}: cannot read the secret in "${tokenFile}": ENOENT`,
        holds: false,
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('a path before the API stays', async () => {
    const server = await httpFake((_, response) => vector()(response));
    await using _server = server;
    const lab = await Lab.open(vector(), { url: `${server.url}/prometheus/` });
    await using _lab = lab;
    await lab.trigger.probe();
    expect(server.requests[0]?.path).toMatch(/^\/prometheus\/api\/v1\/query\?/);
  });
});

describe('what never fires, and what is said of it', () => {
  const error = (status: number, errorType: string, text: string): Answer =>
    json({ status: 'error', errorType, error: text }, status);

  test.each<[string, Answer, string | RegExp]>([
    ['no series', vector(), 'the query gives no series'],
    ['NaN', vector([{ job: 'a' }, 'NaN']), 'NaN {job="a"}, not above 5; 1 NaN'],
    ['no number', vector([{}, '7x']), 'NaN, not above 5; 1 NaN'],
    ['an empty number', vector([{}, ' ']), 'NaN, not above 5; 1 NaN'],
    [
      'a query that does not parse',
      error(400, 'bad_data', 'invalid parameter "query": 1:5: parse error: unexpected end of input'),
      'cannot ask URL: it answers 400 bad_data: invalid parameter "query": 1:5: parse error: unexpected end of input',
    ],
    [
      'a query that takes too long there',
      error(503, 'timeout', 'query timed out in expression evaluation'),
      'cannot ask URL: it answers 503 timeout: query timed out in expression evaluation',
    ],
    ['an error in success', json({ status: 'error', error: 'x' }), 'cannot ask URL: it answers 200: x'],
    ['a proxy that refuses', (r) => r.writeHead(401).end('<html>'), 'cannot ask URL: it answers 401'],
    ['a proxy that fails', (r) => r.writeHead(502).end('Bad Gateway'), 'cannot ask URL: it answers 502'],
    ['no JSON', (r) => r.end('hello'), 'cannot ask URL: it answers no JSON of a query'],
    ['JSON of something else', json([1]), 'cannot ask URL: it answers no JSON of a query'],
    [
      'a matrix',
      success('matrix', []),
      'cannot ask URL: the query gives a matrix: it must give a vector or a scalar',
    ],
    [
      'a string',
      success('string', [1, 'x']),
      'cannot ask URL: the query gives a string: it must give a vector or a scalar',
    ],
    [
      'a vector that is none',
      success('vector', { a: 1 }),
      'cannot ask URL: it answers a vector that is none',
    ],
    ['a scalar that is none', success('scalar', 'x'), 'cannot ask URL: it answers a scalar that is none'],
    [
      'histograms',
      success('vector', [{ metric: {}, histogram: [1, {}] }]),
      'cannot ask URL: the query gives histograms: it must give numbers',
    ],
    [
      'warnings',
      success('vector', [{ metric: {}, value: [1, '9'] }], { warnings: ['store x is down'] }),
      'cannot ask URL: it warns: store x is down',
    ],
    [
      'a redirect',
      (r) => r.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      'cannot ask URL: it answers 302 with a redirect, which is not followed',
    ],
    ['it hangs up', (r) => r.destroy(), 'cannot ask URL: it hung up'],
    ['it never answers', () => undefined, 'cannot ask URL: no answer within 300ms'],
    [
      'it never ends',
      (r) => {
        const more = (): void => {
          if (!r.destroyed && r.write(Buffer.alloc(256 * 1024, 32))) setImmediate(more);
          else r.once('drain', more);
        };
        more();
      },
      'cannot ask URL: it answers more than 4 MiB',
    ],
    [
      'more series than anybody looks at',
      success(
        'vector',
        Array.from({ length: 2001 }, () => ({ metric: {}, value: [1, '9'] })),
      ),
      'cannot ask URL: the query gives 2001 series, more than 2000',
    ],
  ])('%s', async (name, answer, said) => {
    await using lab = await Lab.open(answer, { timeoutMs: name === 'it never answers' ? 300 : 5000 });
    for (let i = 0; i < 6000 && lab.trigger.describe() === 'not asked yet'; i++) await pause(10);
    expect(lab.trigger.describe().replaceAll(lab.server.url, 'URL')).toBe(said);
    expect(lab.fired).toEqual([]);
    expect(lab.trigger.errors).toBe(String(said).startsWith('cannot') ? 1 : 0);
  });

  test('nobody is there', async () => {
    const server = await httpFake(() => undefined);
    await server[Symbol.asyncDispose]();
    const when = {
      kind: 'prometheus',
      url: server.url,
      query: 'up',
      forMs: 0,
      everyMs: 1000,
      timeoutMs: 1000,
    } as const;
    const trigger = new PrometheusTrigger(
      { ...when, bound: { direction: 'above', value: 1 } },
      new FakeClock(),
    );
    expect(await trigger.probe()).toEqual({
      ok: false,
      text: `cannot ask ${server.url}: connection refused`,
      holds: false,
    });
  });

  test('while it cannot be asked it is asked less often, and what held before must hold anew', async () => {
    await using lab = await Lab.open(vector([{}, '9']), { forMs: 25_000 });
    await lab.look(1);
    const down = error(503, 'x', 'y');
    await lab.look(1, down);
    const started = lab.clock.nowMs();
    await lab.look(4);
    expect(lab.trigger.describe()).toContain('(5 times)');
    // 10, 20, 40, 80 s after the one before it.
    expect(lab.clock.nowMs() - started).toBeGreaterThanOrEqual(150_000);
    await lab.look(1, vector([{}, '9']));
    expect(lab.fired).toEqual([]);
    await lab.look(3);
    expect(lab.fired).toHaveLength(1);
    expect(lab.trigger.errors).toBe(5);
  });

  test('nothing comes after it was stopped', async () => {
    const lab = await Lab.open(vector([{}, '1']));
    await lab[Symbol.asyncDispose]();
    const asked = lab.server.requests.length;
    await lab.clock.advance(60_000);
    expect(lab.server.requests.length).toBe(asked);
  });
});

test('asked once: what it sees, and whether it holds', async () => {
  await using lab = await Lab.open(vector([{ job: 'a' }, '3'], [{ job: 'b' }, '9'], [{ job: 'c' }, 'NaN']), {
    forMs: 3600_000,
  });
  expect(await lab.trigger.probe()).toEqual({
    ok: true,
    text: 'highest of 3 series: 9 {job="b"}, above 5 (1 of them); 1 NaN',
    holds: true,
    labels: { job: 'b' },
  });
  expect(lab.fired).toEqual([]);
});
