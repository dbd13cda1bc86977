/**
 * redis and memcached under load, with points of each kind on functions that every request passes: every answer is the right one, to the last, and what was
 * counted is what was asked.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openWorkplace, type Workplace } from '../support/cli.js';
import { ClosedLoop, memcachedExchanges, redisExchanges } from '../support/closed-loop.js';
import type { SnapshotJson } from '../support/documents.js';
import { buildMemcached, buildRedis } from '../support/fixtures.js';
import { probeLinksOf } from '../support/kernel-links.js';

const servers = [
  {
    name: 'redis',
    build: () => buildRedis(),
    args: (socket: string) => ['--port', '0', '--unixsocket', socket, '--save', ''],
    ready: /ready to accept connections/i,
    exchanges: redisExchanges,
    hot: 'processCommand',
    isFalse: 'c->argc == 77',
    isTrue: 'c->argc > 1',
    line: 'argc {c->argc}',
    watched: 'server.stat_numcommands',
  },
  {
    name: 'memcached',
    build: buildMemcached,
    args: (socket: string) => ['-u', 'root', '-s', socket, '-t', '2'],
    ready: 'started',
    exchanges: memcachedExchanges,
    hot: 'assoc_find',
    isFalse: 'nkey == 77',
    isTrue: 'nkey > 1',
    line: 'nkey {nkey}',
    watched: 'stats_state.curr_items',
  },
] as const;

let workplace: Workplace;
beforeEach(async () => {
  workplace = openWorkplace();
  // A hot path under full load takes more than the one percent that hosts grant.
  const policy = join(workplace.folder, 'policy.json');
  writeFileSync(policy, JSON.stringify({ logRate: 50, cpuPercent: { point: 0, host: 0 } }));
  await workplace.startAgent({ args: ['--policy', policy] });
});
afterEach(async () => {
  await workplace[Symbol.asyncDispose]();
});

for (const { name, build, args, ready, exchanges, hot, isFalse, isTrue, line, watched } of servers) {
  test(`${name}: snapshots, a false condition, log lines, a metric and a watch, and no client sees anything`, async () => {
    const socket = join(workplace.folder, 'server.sock');
    const server = await workplace.startProgram(build(), args(socket), { ready });
    using loop = await ClosedLoop.open(socket, exchanges, 2);
    const pid = String(server.pid);

    const snapshots = (await workplace.json(
      'snap',
      pid,
      hot,
      '--if',
      isTrue,
      '--hits',
      '3',
      '--every',
      '10ms',
    )) as SnapshotJson[];
    expect(snapshots.map(({ frames }) => frames[0]?.function)).toEqual([hot, hot, hot]);
    const never = await workplace.run('snap', pid, hot, '--if', isFalse, '--wait', '3s');
    expect(never.status, never.stderr).toBe(4);
    expect(never.stderr).toMatch(/condition false [1-9]\d+ times/);
    const logged = await workplace.json('log', pid, hot, line, '--for', '2s');
    expect(logged.length).toBeGreaterThan(1);
    loop.take();
    const [metric] = (await workplace.json('metric', pid, hot, '--count', '--for', '1s')).slice(-1) as {
      hits: number;
    }[];
    expect(metric?.hits).toBeGreaterThan(10);
    expect(loop.take().requests).toBeGreaterThan(10);
    const [written] = (await workplace.json('watch', pid, watched)) as SnapshotJson[];
    expect(written?.engine).toBe('watch');

    expect(probeLinksOf(server.pid)).toEqual([]);
    // NB: throws for the first wrong answer since the beginning.
    for (let requests = 0; requests <= 10; requests += loop.take().requests) await sleep(50);
    expect(server.process.exitCode).toBeNull();
  });
}
