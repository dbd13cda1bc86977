import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ChannelCredentials, Client } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import { grpcStatus } from '../../../format/grpc-status.js';
import { controllerMethods, type Method } from '../../../proto/service.js';
import { ControllerClient } from '../../../controller/rpc/controller-client.js';
import { explainMessage } from '../../../controller/rpc/controller-messages.js';
import type { Asker, ControllerApi, SnapOptions } from '../../../controller/service/controller-api.js';
import { pointNamed, serveFake, summaryNamed, type ServedController } from '../../support/fake-controller.js';

let served: ServedController | undefined;
let client: ControllerClient | undefined;

afterEach(async () => {
  client?.[Symbol.dispose]();
  await served?.[Symbol.asyncDispose]();
  served = undefined;
  client = undefined;
});

async function connect(methods: Partial<ControllerApi>): Promise<ControllerClient> {
  served = await serveFake(methods);
  client = new ControllerClient({ endpoint: served.endpoint, tls: undefined });
  return client;
}

async function thrownBy(work: () => Promise<unknown>): Promise<unknown> {
  const thrown: unknown = await work().then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown === undefined) throw new Error('nothing was thrown');
  return thrown;
}

const point = pointNamed('0000000000p1');
const options: SnapOptions = {
  target: 'name:orders',
  location: 'orders.c:70',
  condition: 'total > 3',
  captures: ['order->name', 'total'],
  engine: 'uprobe',
  bounds: { depth: 2, stackBytes: 4096, bytes: 65_536 },
  hits: 3,
  minIntervalNs: 18_446_744_073_709_551_615n,
  everyProcess: true,
  expireMs: 60_000,
  waitMs: 5000,
  detach: false,
  owner: 'eva@desk',
  note: 'why so slow? ünïcödé',
  terms: { canaryMs: 0, cpuPercent: 0.25, allThreads: true },
  watch: { onlyChanges: true },
};
const pointOptions = {
  target: options.target,
  location: options.location,
  captures: options.captures,
  engine: '',
  bounds: {},
} as const;
const doctor = {
  host: 'web-1',
  kernel: '6.1',
  architecture: 'x64',
  version: '0.1.0',
  agent: { address: 'unix:/a', pid: 1, uid: 0, temporary: false },
  engines: [],
};
const target = {
  pid: 7,
  name: 'orders',
  executable: '/bin/orders',
  args: [],
  uid: 0,
  buildId: 'ab',
  started: 'x',
};
const snapshot = {
  id: 's1', point: 'p1', pid: 1, tid: 1, comm: 'x', host: 'h', buildId: '', engine: 'uprobe',
  location: {}, frames: [], captures: [], threads: [],
}; // prettier-ignore
const rule = {
  name: 'errors', file: 'r.yaml', line: 3, trigger: 'manual', state: 'active', why: 'waits',
  firings: 1, refused: 2, failures: 0,
} as const; // prettier-ignore
const ruleTest = {
  rule: 'errors',
  steps: [],
  trigger: { ok: true, text: 'x' },
  wouldFire: true,
  text: 'it would',
};
const incident = {
  id: 'i1', rule: 'errors', trigger: 'manual', state: 'open', started: 'x', cause: 'eva asked',
  labels: { job: 'shop' }, snapshots: 1, stacks: 1, timeline: [], points: [], groups: [],
} as const; // prettier-ignore

/** Each method: what it is asked, and what it answers. */
type RoundTrip = {
  readonly [Name in keyof ControllerApi]?: {
    readonly asked: Parameters<ControllerApi[Name]>;
    readonly answer: Awaited<ReturnType<ControllerApi[Name]>>;
  };
};
const roundTrips: RoundTrip = {
  doctor: { asked: [], answer: [doctor, { ...doctor, host: 'web-2' }] },
  targets: { asked: ['name:orders@web-1'], answer: [target] },
  explain: {
    asked: [{ ...pointOptions, measureMs: 2000 }],
    answer: { targets: [{ pid: 7, name: 'orders' }] } as never,
  },
  now: {
    asked: [{ target: '7', tids: [7, 8], engine: 'ptrace', bounds: { bytes: 1 } }],
    answer: { id: 's1' },
  },
  points: { asked: ['0t3k'], answer: [point, pointNamed('0000000000p2', { note: 'a "note"' })] },
  removePoints: { asked: [['p1', 'p2']], answer: [point] },
  resumePoints: { asked: [['p1', 'p2']], answer: [point] },
  snapshots: {
    asked: [{ point: 'p1', sinceNs: 1_748_649_600_000_000_001n }],
    answer: [summaryNamed('s1')],
  },
  show: {
    asked: [{ name: 'last' }, { frame: 0, depth: 5, allThreads: false, raw: true }],
    answer: snapshot,
  },
  rules: { asked: [], answer: [rule] },
  testRule: { asked: ['errors'], answer: ruleTest },
  fireRule: {
    asked: ['errors', { labels: { job: 'shop', __proto__x: 'y' }, owner: 'eva@desk' }],
    answer: { rule: 'errors', fired: true, why: '', incident: 'i1' },
  },
  incidents: { asked: [{ rule: 'errors', sinceMs: 1_748_649_600_000 }], answer: [incident] },
  incident: { asked: ['last'], answer: incident },
};

describe('what is asked and answered arrives as it was said', () => {
  test.each(Object.entries(roundTrips))('%s', async (name, { asked, answer }) => {
    let heard: unknown[] | undefined;
    const api = await connect({
      [name]: (...args: unknown[]) => {
        heard = args;
        return Promise.resolve(answer);
      },
    });
    const method = api[name as keyof ControllerApi] as (...args: unknown[]) => Promise<unknown>;
    expect(await method.apply(api, [...asked])).toEqual(answer);
    // What takes long hears when its caller goes.
    const asker = name === 'explain' ? [{ signal: expect.any(AbortSignal) as unknown }] : [];
    expect(heard).toEqual([...asked, ...asker]);
  });

  test('what was not given is not given there', async () => {
    const heard: unknown[] = [];
    const api = await connect({
      targets: (selector) => Promise.resolve(heard.push(selector)).then(() => []),
      points: (reference) => Promise.resolve(heard.push(reference)).then(() => []),
      snapshots: (filter) => Promise.resolve(heard.push(filter)).then(() => []),
      incidents: (filter) => Promise.resolve(heard.push(filter)).then(() => []),
      show: (reference, show) => Promise.resolve(heard.push(reference, show)).then(() => snapshot as never),
    });
    await api.targets();
    await api.points();
    await api.snapshots({});
    await api.incidents({});
    await api.show({ name: 's1' }, {});
    expect(heard).toEqual([undefined, undefined, {}, {}, { name: 's1' }, { raw: false }]);
  });

  test('eval: a value or an error for each expression, with the position of what is wrong', async () => {
    const value = { type: 'int', kind: 'int', value: '3' } as const;
    const error = new StillframeError('bad-expression', 'unknown name "totl"', {
      detail: { position: 4, length: 4 },
      candidates: ['total'],
      hint: 'did you mean total?',
    });
    const heard: unknown[] = [];
    const api = await connect({
      evaluate: (...args) => Promise.resolve(heard.push(...args)).then(() => [value, error]),
    });
    const [first, second] = await api.evaluate({ name: 'last' }, ['total', '1 + totl'], { frame: 1, tid: 9 });
    expect(first).toEqual(value);
    expect(second).toBeInstanceOf(StillframeError);
    expect(second).toMatchObject({
      code: 'bad-expression',
      message: 'unknown name "totl"',
      detail: { position: 4, length: 4 },
      candidates: ['total'],
      hint: 'did you mean total?',
    });
    expect(heard).toEqual([{ name: 'last' }, ['total', '1 + totl'], { frame: 1, tid: 9, raw: false }]);
  });

  test('snap: what happens on the way, in order, and the outcome', async () => {
    let heard: SnapOptions | undefined;
    const api = await connect({
      snap: async (asked, hooks) => {
        heard = asked;
        hooks.armed?.(point);
        hooks.progress?.('1 hit, condition false 1 time');
        hooks.snapshot?.({ id: 's1' });
        hooks.snapshot?.({ id: 's2' });
        await Promise.resolve();
        return { point: { ...point, state: 'ended' }, snapshots: [{ id: 's1' }, { id: 's2' }, { id: 's3' }] };
      },
    });
    const seen: unknown[] = [];
    const outcome = await api.snap(options, {
      armed: ({ id }) => seen.push(['armed', id]),
      progress: (why) => seen.push(['why', why]),
      snapshot: ({ id }) => seen.push(['snapshot', id]),
    });
    expect(heard).toEqual(options);
    expect(seen).toEqual([
      ['armed', point.id],
      ['why', '1 hit, condition false 1 time'],
      ['snapshot', 's1'],
      ['snapshot', 's2'],
      ['snapshot', 's3'],
    ]);
    expect(outcome).toEqual({
      point: { ...point, state: 'ended' },
      snapshots: [{ id: 's1' }, { id: 's2' }, { id: 's3' }],
    });
  });
});

describe('errors', () => {
  test('arrive as they were thrown', async () => {
    const thrown = new StillframeError('ambiguous', 'location "x" fits 2 functions', {
      detail: { address: 0x7fff_ffff_ffff_f000n, position: 3, length: 1, file: '/bin/x', errno: 2, pid: 7 },
      candidates: ['a.c:1', 'b.c:2'],
      hint: 'name one of them',
    });
    const api = await connect({ explain: () => Promise.reject(thrown) });
    const error = await thrownBy(() => api.explain(pointOptions));
    expect(error).toBeInstanceOf(StillframeError);
    const { code, message, detail, candidates, hint } = error as StillframeError;
    expect({ code, message, detail, candidates, hint }).toEqual({
      code: 'ambiguous',
      message: thrown.message,
      detail: thrown.detail,
      candidates: ['a.c:1', 'b.c:2'],
      hint: 'name one of them',
    });
  });

  test('with more candidates than travel: as many as do', async () => {
    const candidates = Array.from({ length: 5000 }, (_, i) => `/some/long/path/to/a/file-${i}.c:${i}`);
    const api = await connect({
      points: () =>
        Promise.reject(new StillframeError('not-found', `no point ${'x'.repeat(20_000)}`, { candidates })),
    });
    const error = (await thrownBy(() => api.points())) as StillframeError;
    expect(error.code).toBe('not-found');
    expect(error.candidates.length).toBeGreaterThan(100);
    expect(error.candidates).toEqual(candidates.slice(0, error.candidates.length));
    expect(error.message.length).toBe(8192);
  });

  test('of a stream arrive as well, and a bug is logged with its stack', async () => {
    const api = await connect({
      snap: () => Promise.reject(new TypeError('undefined is not a function')),
    });
    await expect(api.snap(options, {})).rejects.toMatchObject({
      code: 'internal',
      message: 'undefined is not a function',
    });
    expect(served?.errors).toMatchObject([
      {
        method: '/stillframe.v1.Controller/Snap',
        stack: expect.stringContaining('TypeError: undefined is not') as string,
      },
    ]);
  });

  test('what is no document of the kind that was asked for is refused', async () => {
    const api = await connect({
      points: () => Promise.resolve([{ id: 'p1', state: 3 } as never]),
      show: () => Promise.resolve([] as never),
    });
    await expect(api.points()).rejects.toMatchObject({
      code: 'bad-data',
      message: 'the controller sent a point whose "state" is no string',
    });
    await expect(api.show({ name: 'last' }, {})).rejects.toMatchObject({
      code: 'bad-data',
      message: 'the controller sent something else than a snapshot',
    });
  });

  test('files that lie here are no business of a controller, nor are its files of callers', async () => {
    const api = await connect({});
    await expect(api.show({ name: 's1', exe: '/bin/x' }, {})).rejects.toMatchObject({ code: 'unsupported' });
    await expect(
      api.snap({ ...options, exe: '/bin/x' }, {}),
    ).rejects.toMatchObject({ code: 'unsupported' }); // prettier-ignore
    await expect(api.show({ name: '/etc/shadow' }, {})).rejects.toMatchObject({
      code: 'usage',
      message: '"/etc/shadow" is no id of a snapshot',
    });
  });
});

describe('bounds of requests', () => {
  const long = 'x'.repeat(20_000);
  test.each<[string, (api: ControllerApi) => Promise<unknown>, string]>([
    [
      'a target',
      (api) => api.targets(long),
      'target is too long: 20000 characters, at most 1024 are allowed',
    ],
    ['a condition', (api) => api.snap({ ...options, condition: long }, {}), 'condition is too long'],
    ['a capture', (api) => api.snap({ ...options, captures: [long] }, {}), 'capture is too long'],
    [
      'captures',
      (api) => api.snap({ ...options, captures: Array.from({ length: 65 }, () => 'x') }, {}),
      'too many captures: 65, at most 64 are allowed',
    ],
    ['an owner', (api) => api.snap({ ...options, owner: long }, {}), 'owner is too long'],
    ['a wait', (api) => api.snap({ ...options, waitMs: 2 ** 40 }, {}), 'milliseconds to wait is too large'],
    ['no location', (api) => api.snap({ ...options, location: '' }, {}), 'location is missing'],
    ['no target', (api) => api.snap({ ...options, target: '' }, {}), 'target is missing'],
    [
      'an engine',
      (api) => api.explain({ ...pointOptions, engine: 'warp' as never }),
      'there is no engine "warp"',
    ],
    ['a measurement', (api) => api.explain({ ...pointOptions, measureMs: 60_001 }), 'measured milliseconds'],
    [
      'points',
      (api) => api.removePoints(Array.from({ length: 2000 }, () => 'p')),
      'too many points: 2000, at most 1024 are allowed',
    ],
    [
      'a depth',
      (api) => api.show({ name: 's' }, { depth: 99 }),
      'depth is too large: 99, at most 10 is allowed',
    ],
    [
      'expressions',
      (api) =>
        api.evaluate(
          { name: 's' },
          Array.from({ length: 300 }, () => 'x'),
          {},
        ),
      'too many expressions: 300, at most 256 are allowed',
    ],
    [
      'labels',
      (api) =>
        api.fireRule('r', {
          labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`l${i}`, ''])),
          owner: '',
        }),
      'too many labels: 65, at most 64 are allowed',
    ],
    ['a rule', (api) => api.testRule(''), 'rule is missing'],
  ])('%s', async (_, ask, message) => {
    const api = await connect({});
    await expect(ask(api)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(message) as string,
    });
  });

  test('more calls at once than are served are refused, and the rest is answered', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    await connect({ points: () => gate.then(() => []) });
    const { path, requestSerialize, responseDeserialize } = controllerMethods.points;
    // A connection of its own each, for one may only have so many streams.
    const clients = Array.from(
      { length: 3 },
      () =>
        new Client(served?.address ?? '', ChannelCredentials.createInsecure(), {
          'grpc.use_local_subchannel_pool': 1,
        }),
    );
    const calls = clients
      .flatMap((each) => Array.from({ length: 100 }, () => each))
      .map(
        (each) =>
          new Promise<number>((resolve) => {
            each.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, (error) =>
              resolve(error?.code ?? 0),
            );
          }),
      );
    expect(await Promise.race(calls)).toBe(grpcStatus.RESOURCE_EXHAUSTED);
    release();
    const codes = await Promise.all(calls);
    expect(codes.filter((code) => code === 0)).toHaveLength(256);
    for (const each of clients) each.close();
  });
});

/** Calls, and hangs up when it is worked on; resolves when whoever works has heard of it. */
async function hangUp<Request, Answer>(
  name: 'core' | 'explain',
  { path, requestSerialize, responseDeserialize }: Method<Request, Answer>,
  request: Request,
): Promise<void> {
  const begun = withResolver();
  const heard = withResolver();
  await connect({
    [name]: (_: unknown, { signal }: Asker) => {
      begun.resolve();
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          heard.resolve();
          reject(new StillframeError('unreachable', 'nobody waits'));
        });
      });
    },
  });
  const caller = new Client(served?.address ?? '', ChannelCredentials.createInsecure());
  const call = caller.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, () => undefined);
  await begun.promise;
  call.cancel();
  await heard.promise;
  caller.close();
}

function withResolver(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

test('who makes a core or measures for a caller hears that it hung up', async () => {
  await hangUp('core', controllerMethods.core, { target: '7' });
  await served?.[Symbol.asyncDispose]();
  await hangUp('explain', controllerMethods.explain, explainMessage(pointOptions));
});

describe('exports', () => {
  const bytes = Buffer.alloc(3 * 1024 * 1024 + 17, 'stillframe');

  test('a file comes whole, in pieces', async () => {
    const api = await connect({
      exportCore: ({ name }, file) => {
        writeFileSync(file, bytes);
        return Promise.resolve({ id: `${name}-whole`, bytes: bytes.length });
      },
    });
    const file = join(served?.folder ?? '', 'out.core');
    expect(await api.exportCore({ name: 'last' }, file)).toEqual({ id: 'last-whole', bytes: bytes.length });
    expect(readFileSync(file).equals(bytes)).toBe(true);
    // Neither side leaves pieces.
    expect(readdirSync(served?.folder ?? '').toSorted()).toEqual(['controller.sock', 'out.core']);
  });

  test('an incident, and an empty file', async () => {
    const api = await connect({
      exportIncident: (id, file) => {
        writeFileSync(file, '');
        return Promise.resolve({ id, bytes: 0 });
      },
    });
    const file = join(served?.folder ?? '', 'out.tar');
    expect(await api.exportIncident('i1', file)).toEqual({ id: 'i1', bytes: 0 });
    expect(readFileSync(file)).toHaveLength(0);
  });

  test('one that fails leaves what was there', async () => {
    const api = await connect({
      exportCore: () => Promise.reject(new StillframeError('not-found', 'no snapshot "zz"')),
    });
    const file = join(served?.folder ?? '', 'out.core');
    writeFileSync(file, 'mine');
    await expect(api.exportCore({ name: 'zz' }, file)).rejects.toMatchObject({ code: 'not-found' });
    expect(readFileSync(file, 'utf8')).toBe('mine');
    await expect(api.exportCore({ name: 'zz' }, '/nowhere/out.core')).rejects.toThrow();
    expect(existsSync('/nowhere')).toBe(false);
  });

  test('one whose controller lied about its size is refused', async () => {
    const api = await connect({
      exportCore: (_, file) => {
        writeFileSync(file, 'abc');
        return Promise.resolve({ id: 's', bytes: 100 });
      },
    });
    const file = join(served?.folder ?? '', 'out.core');
    await expect(api.exportCore({ name: 's' }, file)).rejects.toMatchObject({ code: 'internal' });
    expect(existsSync(file)).toBe(false);
  });
});

describe('watching', () => {
  test('all that fit, then those that change, until the caller has enough', async () => {
    let change: (state: string) => void = () => undefined;
    let ended = false;
    const api = await connect({
      watchPoints: (reference, hooks) =>
        new Promise((resolve) => {
          expect(reference).toBe('p1');
          hooks.points([point]);
          change = (state) => hooks.points([{ ...point, state }]);
          hooks.signal.addEventListener('abort', () => {
            ended = true;
            resolve();
          });
        }),
    });
    const enough = new AbortController();
    const seen: string[] = [];
    await api.watchPoints('p1', {
      signal: enough.signal,
      points: (points) => {
        seen.push(...points.map(({ state }) => state));
        if (seen.length === 1) change('suspended');
        else enough.abort();
      },
    });
    expect(seen).toEqual(['armed', 'suspended']);
    await expect.poll(() => ended).toBe(true);
  });

  test('that there are none is said, too', async () => {
    const api = await connect({
      watchPoints: (_, hooks) =>
        new Promise((resolve) => {
          hooks.points([]);
          hooks.signal.addEventListener('abort', () => resolve());
        }),
    });
    const enough = new AbortController();
    const seen: number[] = [];
    const points = (found: readonly unknown[]): void => {
      seen.push(found.length);
      enough.abort();
    };
    await api.watchPoints(undefined, { signal: enough.signal, points });
    expect(seen).toEqual([0]);
  });

  test('of thousands of points that change all the time, a slow reader gets each as it stands last', async () => {
    let rounds = 0;
    const many = Array.from({ length: 3000 }, (_, i) => pointNamed(`p${i}`, { note: 'n'.repeat(500) }));
    const api = await connect({
      watchPoints: async (_, hooks) => {
        for (rounds = 1; rounds <= 50; rounds++) {
          hooks.points(many.map((each) => ({ ...each, hits: rounds })));
          await new Promise(setImmediate);
        }
        hooks.points(many.map((each) => ({ ...each, hits: 1000 })));
        await new Promise<void>((resolve) => hooks.signal.addEventListener('abort', () => resolve()));
      },
    });
    const enough = new AbortController();
    const last = new Map<string, number>();
    let messages = 0;
    await api.watchPoints(undefined, {
      signal: enough.signal,
      points: (points) => {
        messages += 1;
        for (const { id, hits } of points) last.set(id, hits);
        const until = Date.now() + 5;
        while (Date.now() < until);
        if ([...last.values()].every((hits) => hits === 1000)) enough.abort();
      },
    });
    expect(last.size).toBe(3000);
    // Fifty rounds of six messages each, had nothing been left out.
    expect(messages).toBeLessThan(300);
  });
});
