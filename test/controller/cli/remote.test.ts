import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import type { ControllerApi, FireOptions, SnapOptions } from '../../../controller/service/controller-api.js';
import { openWorkplace, type CliResult, type Workplace } from '../../support/cli.js';
import { pointNamed, serveFake, summaryNamed, type ServedController } from '../../support/fake-controller.js';
import { repositoryRoot } from '../../support/paths.js';
import { makeCertificates } from '../../support/tls.js';
import { crashCore } from '../../support/core.js';

/** The shipped command line, with a controller of the test's own that says what each test wants said. */
let place: Workplace;
let served: ServedController | undefined;
let folder: string;

beforeEach(() => {
  place = openWorkplace();
  folder = mkdtempSync(join(tmpdir(), 'stillframe-test-'));
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
  await served?.[Symbol.asyncDispose]();
  served = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function serve(methods: Partial<ControllerApi>): Promise<void> {
  served = await serveFake(methods);
  place.environment['STILLFRAME_CONTROLLER'] = served.address;
}

const run = (...args: string[]): Promise<CliResult> => place.run(...args);
const point = pointNamed('0000000000p1', {
  owner: 'eva@desk',
  note: 'TICKET-7',
  incident: '0000000000i1',
  hosts: [
    { host: 'web-1', state: 'armed', why: '3 hits, condition false 3 times', hits: 3 },
    { host: 'web-2\u001B[31m', state: 'pending', why: 'no such process yet', hits: 0 },
  ],
});
const snapshot = {
  id: '0000000000s1', point: point.id, pid: 7, tid: 8, comm: 'orders', host: 'web-1', buildId: 'ab', engine: 'uprobe',
  location: { function: 'total', file: '/nowhere/orders.c', line: 70 },
  frames: [
    { index: 0, function: 'total', file: '/nowhere/orders.c', line: 70, address: '0x1', inlined: false, locals: [] },
  ],
  captures: [], threads: [],
}; // prettier-ignore

describe('points', () => {
  test('as text: kind, hosts, owner, note and incident, with nothing that moves a terminal', async () => {
    await serve({
      points: () => Promise.resolve([point, pointNamed('0000000000p2', { kind: 'count', hits: 12 })]),
    });
    const { status, stdout } = await run('points');
    expect(status).toBe(0);
    expect(stdout).toBe(
      [
        '0000000000p1  armed  orders.c:70 in name:orders',
        '  0 hits',
        '  web-1  armed  3 hits  3 hits, condition false 3 times',
        '  web-2\\x1b[31m  pending  0 hits  no such process yet',
        '  expires 2025-06-01T00:00:00.000Z, set by eva@desk, incident 0000000000i1, note: TICKET-7',
        '0000000000p2  armed  counts only  orders.c:70 in name:orders',
        '  0 hits',
        '  expires 2025-06-01T00:00:00.000Z',
        '',
      ].join('\n'),
    );
  });

  test('--watch: a line a change, a document a change with --json, and Ctrl-C is its end', async () => {
    const watch: ControllerApi['watchPoints'] = (reference, hooks) =>
      new Promise((resolve) => {
        expect(reference).toBe('0000');
        hooks.points([point]);
        const timer = setInterval(
          () => hooks.points([{ ...point, state: 'ended', why: 'all hits came', hits: 1 }]),
          300,
        );
        hooks.signal.addEventListener('abort', () => {
          clearInterval(timer);
          resolve();
        });
      });
    await serve({ watchPoints: watch });
    const lines = async (...args: string[]): Promise<{ lines: string[]; status: number | null }> => {
      const child = spawn(process.execPath, [join(repositoryRoot, 'bin', 'stillframe.js'), ...args], {
        env: place.environment,
      });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.split('\n').length > 2) child.kill('SIGINT');
      });
      const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
      return { lines: text.split('\n').slice(0, 2), status };
    };
    const plain = await lines('points', '0000', '--watch');
    expect(plain.status).toBe(0);
    expect(plain.lines[0]).toMatch(/^\d{4}-\S+Z {2}0000000000p1 {2}armed {2}0 hits {2}0 hits$/);
    expect(plain.lines[1]).toMatch(/ {2}ended {2}1 hit {2}all hits came$/);
    const json = await lines('points', '0000', '--watch', '--json');
    expect(json.lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      point,
      { ...point, state: 'ended', why: 'all hits came', hits: 1 },
    ]);
  });
});

describe('snap', () => {
  test('says who asks and why, shows why it has not fired, and what came', async () => {
    let asked: SnapOptions | undefined;
    await serve({
      snap: async (options, hooks) => {
        asked = options;
        hooks.armed?.(point);
        hooks.progress?.('web-1: 3 hits, condition false 3 times');
        hooks.snapshot?.({ id: snapshot.id });
        await Promise.resolve();
        return { point, snapshots: [{ id: snapshot.id }] };
      },
      show: () => Promise.resolve(snapshot as never),
    });
    const result = await run('snap', 'name:orders', 'orders.c:70', '--note', 'TICKET-7', '--if', 'x > 1');
    expect(result.stderr).toBe('point 0000000000p1 0 hits\n');
    expect(result.stdout).toContain('#0   total  orders.c:70');
    expect(result.status).toBe(0);
    expect(asked).toMatchObject({
      target: 'name:orders',
      condition: 'x > 1',
      note: 'TICKET-7',
      owner: `${userInfo().username}@${hostname()}`,
      waitMs: 60_000,
    });
  });

  test('an error of an expression reaches the terminal as the controller threw it', async () => {
    await serve({
      snap: () =>
        Promise.reject(
          new StillframeError('bad-expression', 'unknown name "totl"', {
            detail: { position: 0, length: 4 },
            candidates: ['total'],
            hint: 'did you mean "total"?',
          }),
        ),
    });
    expect(await run('snap', 'name:orders', 'orders.c:70', '--if', 'totl', '--json')).toMatchObject({
      status: 6,
      stdout:
        '{"error":{"code":"bad-expression","message":"unknown name \\"totl\\"","hint":"did you mean \\"total\\"?","candidates":["total"]}}\n',
    });
  });

  test('Ctrl-C removes the point: status 130', async () => {
    let remove: () => void = () => undefined;
    await serve({
      snap: async (_, hooks) => {
        hooks.armed?.(point);
        await new Promise<void>((resolve) => (remove = resolve));
        throw new StillframeError('expired', `point ${point.id} was removed`);
      },
      removePoints: () => {
        remove();
        return Promise.resolve([{ ...point, state: 'ended' }]);
      },
    });
    const program = join(repositoryRoot, 'bin', 'stillframe.js');
    const child = spawn(process.execPath, [program, 'snap', 'name:orders', 'orders.c:70'], {
      env: place.environment,
    });
    child.stderr.once('data', () => child.kill('SIGINT'));
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(130);
  });
});

describe('where a command goes', () => {
  test('a controller that is away: status 7, with address and cause', async () => {
    place.environment['STILLFRAME_CONTROLLER'] = `unix:${join(folder, 'none.sock')}`;
    expect(await run('points', '--json')).toEqual({
      status: 7,
      stderr: '',
      stdout: `${JSON.stringify({
        error: {
          code: 'unreachable',
          message: `cannot reach the controller at unix:${folder}/none.sock: connect ENOENT ${folder}/none.sock`,
          hint: 'start one with `stillframe controller`, or leave out --controller and STILLFRAME_CONTROLLER',
        },
      })}\n`,
    });
  });

  test('an agent besides is a contradiction; one in the environment is not meant', async () => {
    await serve({ points: () => Promise.resolve([]) });
    expect((await run('points')).stdout).toBe('no points\n');
    expect(await run('points', '--agent', 'unix:/x')).toMatchObject({
      status: 2,
      stderr:
        'error: --agent and --controller exclude each other\nhint: a controller has agents of its own\n',
    });
  });

  test('a core file is read here, whatever the controller has', async () => {
    const asked: string[] = [];
    await serve({
      show: ({ name }) => {
        asked.push(name);
        return Promise.reject(new StillframeError('not-found', `no snapshot "${name}"`));
      },
    });
    using core = crashCore('sh', ['-c', 'kill -SEGV $$']);
    const result = await run('show', core.path, '--json');
    expect(JSON.parse(result.stdout)).toMatchObject({ engine: 'core' });
    const gone = await run('show', join(folder, 'gone'), '--json');
    expect(gone.status).not.toBe(0);
    expect(asked).toEqual([]);
    expect((await run('show', '0t3k', '--json')).status).toBe(3);
    expect(asked).toEqual(['0t3k']);
  });

  test('with TLS: the files are shown to the controller', async () => {
    const { server, client } = makeCertificates(folder);
    served = await serveFake(
      { points: () => Promise.resolve([point]) },
      { listen: '127.0.0.1:0', tls: server },
    );
    const controller = ['--controller', served.address];
    const files = ['--tls-cert', client.cert, '--tls-key', client.key, '--tls-ca', client.ca];
    expect(await run('points', '--json', ...controller, ...files)).toMatchObject({ status: 0 });
    expect(await run('points', '--json', ...controller)).toMatchObject({ status: 7 });
  });
});

describe('of several agents', () => {
  const doctor = (host: string, supported: 'yes' | 'no'): object => ({
    host,
    kernel: '6.1',
    architecture: 'x64',
    version: '0.1.0',
    agent: { address: `${host}:7443`, pid: 1, uid: 0, temporary: false },
    engines: [{ engine: 'uprobe', supported, detail: 'tried' }],
  });

  test('doctor: one after another; a document each', async () => {
    await serve({ doctor: () => Promise.resolve([doctor('web-1', 'yes'), doctor('web-2', 'no')] as never) });
    const text = await run('doctor');
    expect(text.status).toBe(0);
    expect(text.stdout).toContain('web-1  Linux 6.1 x64');
    expect(text.stdout).toContain('\n\nweb-2  Linux 6.1 x64');
    expect(await place.json('doctor')).toHaveLength(2);
  });

  test('doctor of a controller without agents', async () => {
    await serve({ doctor: () => Promise.resolve([]) });
    expect(await run('doctor')).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('error: no agent is connected to this controller\n') as string,
    });
  });

  test('targets name their host', async () => {
    const target = {
      host: 'web-1',
      pid: 7,
      name: 'orders',
      executable: '/bin/orders',
      args: [],
      uid: 0,
      buildId: 'ab',
      started: '',
    };
    await serve({ targets: () => Promise.resolve([target]) });
    const [head = '', row = ''] = (await run('targets')).stdout.split('\n');
    expect(head.split(/ {2,}/)[0]).toBe('HOST');
    expect(row).toMatch(/^web-1 +7 +orders /);
  });
});

describe('snapshots that a controller has', () => {
  test('snapshots, eval, export', async () => {
    await serve({
      snapshots: () => Promise.resolve([summaryNamed('0000000000s1')]),
      evaluate: (_, expressions) =>
        Promise.resolve(
          expressions.map((text) =>
            text === 'bad'
              ? new StillframeError('bad-expression', 'no')
              : { type: 'int', kind: 'int', value: '3' },
          ),
        ),
      exportCore: ({ name }, file) => {
        writeFileSync(file, 'core');
        return Promise.resolve({ id: name, bytes: 4 });
      },
    });
    expect((await run('snapshots')).stdout).toContain('0000000000s1');
    expect(await run('eval', 'last', 'total', 'bad')).toMatchObject({
      status: 6,
      stdout: 'total int = 3\nerror: no\n',
    });
    const file = join(folder, 'out.core');
    expect(await run('export', '0000000000s1', '-o', file)).toMatchObject({ status: 0 });
    expect(readFileSync(file, 'utf8')).toBe('core');
    expect(existsSync(`${file}.part`)).toBe(false);
  });
});

describe('rules and incidents', () => {
  test('ls, test, fire', async () => {
    const fired: [string, FireOptions][] = [];
    await serve({
      rules: () =>
        Promise.resolve([
          {
            name: 'error-rate', file: 'rules.yaml', line: 3, trigger: 'alertmanager', state: 'cooling-down',
            why: 'fired 10 s ago, cools down for 5 m', firings: 2, refused: 14, failures: 0,
            lastFired: '2025-06-01T00:00:00Z', openIncident: '0000000000i1',
          },
        ]), // prettier-ignore
      testRule: (name) =>
        Promise.resolve({
          rule: name,
          steps: [{ step: 'snapshot', ok: false, text: 'no process fits service:shop' }],
          trigger: { ok: true, text: 'waits for alerts' },
          wouldFire: false,
          text: '',
        }),
      fireRule: (name, options) => {
        fired.push([name, options]);
        return Promise.resolve(
          name === 'spent'
            ? { rule: name, fired: false, why: 'the budget of the day is used up' }
            : { rule: name, fired: true, why: '', incident: '0000000000i1' },
        );
      },
    });
    expect((await run('rules', 'ls')).stdout).toBe(
      'error-rate  cooling-down  alertmanager  rules.yaml:3\n' +
        '  fired 10 s ago, cools down for 5 m\n' +
        '  fired 2 times, refused 14, last at 2025-06-01T00:00:00Z, open incident 0000000000i1\n',
    );
    expect(await run('rules', 'test', 'error-rate')).toMatchObject({
      status: 6,
      stdout:
        'error-rate  would not fire now\n  ✓ waits for alerts\n  ✗ snapshot  no process fits service:shop\n',
    });
    expect(await run('rules', 'fire', 'error-rate', '--label', 'job=shop', '--label', 'q=a=b')).toMatchObject(
      {
        status: 0,
        stdout: 'fired  error-rate, incident 0000000000i1\n',
      },
    );
    expect(fired).toEqual([
      ['error-rate', { labels: { job: 'shop', q: 'a=b' }, owner: `${userInfo().username}@${hostname()}` }],
    ]);
    expect(await run('rules', 'fire', 'spent', '--json')).toMatchObject({
      status: 5,
      stdout: '{"rule":"spent","fired":false,"why":"the budget of the day is used up"}\n',
    });
    expect(await run('rules', 'fire', 'x', '--label', 'job')).toMatchObject({ status: 2 });
  });

  test('check needs no controller', async () => {
    place.environment['STILLFRAME_CONTROLLER'] = 'unix:/nowhere';
    const file = join(folder, 'rules.yaml');
    writeFileSync(file, 'rules:\n  - name: 3\n');
    const result = await run('rules', 'check', file);
    expect(result.status).toBe(6);
    expect(result.stdout).toContain(`${file}:2:11: rules[0].name: must be text`);
    expect(await run('rules', 'check', join(folder, 'none.yaml'))).toMatchObject({ status: 3 });
  });

  test('incidents, since when, and without a controller', async () => {
    const asked: unknown[] = [];
    await serve({ incidents: (filter) => Promise.resolve(asked.push(filter)).then(() => []) });
    expect((await run('incidents', '--rule', 'error-rate', '--since', '2025-06-01T00:00:00Z')).stdout).toBe(
      'no incidents\n',
    );
    expect(asked).toEqual([{ rule: 'error-rate', sinceMs: Date.UTC(2025, 5, 1) }]);
    delete place.environment['STILLFRAME_CONTROLLER'];
    expect(await run('incidents')).toMatchObject({
      status: 6,
      stderr: expect.stringContaining('by a controller that runs as a daemon') as string,
    });
  });
});

test('completion knows the new commands and options', async () => {
  const complete = async (...words: string[]): Promise<string> =>
    (await run('complete', '--', ...words)).stdout;
  expect(await complete('')).toMatch(/controller[\s\S]*rules[\s\S]*incidents/);
  expect(await complete('points', '--wa')).toContain('--watch');
  expect(await complete('snap', '--no')).toContain('--note');
});
