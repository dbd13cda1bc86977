import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { local, type SnapshotJson, type ValueJson } from '../support/documents.js';
import { buildRedis } from '../support/fixtures.js';

/** A real service that we did not write: redis 7 at -O2, under its own benchmark. */
describe('redis-server under redis-benchmark', () => {
  let workplace: Workplace;
  let redis: StartedProgram;
  let benchmark: StartedProgram;
  let port: number;

  beforeAll(async () => {
    workplace = openWorkplace();
    port = await freePort();
    const server = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', workplace.folder];
    redis = await workplace.startProgram(buildRedis(), server, { ready: /Ready to accept connections/ });
    const load = ['-p', String(port), '-t', 'set', '-r', '1000', '-n', '100000000', '-c', '8', '-q'];
    benchmark = await workplace.startProgram('redis-benchmark', load, { ready: 'started' });
    await workplace.startAgent();
  });
  afterAll(async () => {
    await workplace?.[Symbol.asyncDispose]();
  });

  const snap = async (...args: string[]): Promise<SnapshotJson> => {
    const [snapshot] = (await workplace.json('snap', String(redis.pid), ...args)) as SnapshotJson[];
    if (snapshot === undefined) throw new Error('no snapshot');
    return snapshot;
  };

  test('a point in setGenericCommand with a condition on c->argc and captures through pointers', async () => {
    const captures = [
      '--capture',
      'c->argv[1]->ptr',
      '--capture',
      'server.stat_numcommands',
      '--capture',
      'c->db->id',
    ];
    const snapshot = await snap('setGenericCommand', '--if', 'c->argc == 3', ...captures);
    expect(snapshot.engine).toBe('uprobe');
    expect(snapshot.cost.stoppedNs).toBe(0);
    expect(snapshot.frames.slice(0, 3).map((frame) => frame.function)).toEqual([
      'setGenericCommand',
      'setCommand',
      'call',
    ]);
    expect(local(snapshot.frames[0], 'c').type).toBe('client *');
    const [key, commands, db] = snapshot.captures;
    expect(key?.value).toMatch(/^0x[0-9a-f]+$/);
    expect(Number(commands?.value)).toBeGreaterThan(1000);
    expect(db).toMatchObject({ type: 'int', kind: 'int', value: '0' });

    const [argc, text, name] = (await workplace.json(
      'eval',
      snapshot.id,
      'c->argc',
      '(char *)c->argv[1]->ptr',
      'c->cmd->fullname',
    )) as ValueJson[];
    expect(argc?.value).toBe('3');
    expect(text?.text).toMatch(/^key:\d{12}$/);
    expect(name?.text ?? name?.absent?.reason).toBeDefined();
  });

  test('a point in processCommand with a condition on bytes of a key', async () => {
    const bytes =
      "c->argc == 3 && ((char *)c->argv[1]->ptr)[0] == 'k' && ((char *)c->argv[1]->ptr)[15] == '7'";
    const snapshot = await snap('processCommand', '--if', bytes, '--capture', '(char *)c->argv[1]->ptr');
    expect(snapshot.frames[0]?.function).toBe('processCommand');
    expect(snapshot.captures[0]?.text).toMatch(/^key:\d{11}7$/);
    expect(snapshot.cost.hits).toBeGreaterThanOrEqual(1);
  });

  test('redis and its client felt nothing', () => {
    expect(redis.process.exitCode).toBeNull();
    expect(benchmark.process.exitCode).toBeNull();
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
