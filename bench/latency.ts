/**
 * What points on hot paths cost those who wait for answers: redis and memcached under a client with eight connections, the time of a request at p50 and p99, without a point
 * and with each kind of point on a function that every request passes; in turns, in one run, through the agent as it is shipped. A wrong answer ends the run.
 *
 * usage: node dist/bench/latency.js [--json]
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { openWorkplace, type StartedProgram, type Workplace } from '../test/support/cli.js';
import {
  ClosedLoop,
  type Exchange,
  type LoopFigures,
  memcachedExchanges,
  redisExchanges,
} from '../test/support/closed-loop.js';
import { buildMemcached, buildRedis } from '../test/support/fixtures.js';
import { probeLinksOf } from '../test/support/kernel-links.js';
import { median } from './machine.js';
import { report } from './measure.js';

const rounds = 5;
const roundMs = 2000;
const connections = 8;

interface Server {
  readonly program: string;
  readonly args: (socket: string) => readonly string[];
  readonly ready: RegExp | 'started';
  readonly exchanges: (key: string, value: string) => readonly Exchange[];
  /** Arguments of commands that arm each kind of point for as long as they run. */
  readonly points: Readonly<Record<string, readonly [string, ...string[]]>>;
}

const servers: Readonly<Record<string, Server>> = {
  redis: {
    program: buildRedis(),
    args: (socket) => ['--port', '0', '--unixsocket', socket, '--save', ''],
    ready: /ready to accept connections/i,
    exchanges: redisExchanges,
    points: {
      'a condition that is false': ['snap', 'processCommand', '--if', 'c->argc == 77'],
      'a metric': ['metric', 'processCommand', '--count'],
      'log lines, 50 a second': ['log', 'processCommand', 'argc {c->argc}'],
      'ten snapshots a second': ['snap', 'processCommand', '--hits', '1000', '--every', '100ms'],
    },
  },
  memcached: {
    program: buildMemcached(),
    args: (socket) => ['-u', 'root', '-s', socket, '-t', '2'],
    ready: 'started',
    exchanges: memcachedExchanges,
    points: {
      'a condition that is false': ['snap', 'assoc_find', '--if', 'nkey == 77'],
      'a metric': ['metric', 'assoc_find', '--count'],
      'log lines, 50 a second': ['log', 'assoc_find', 'nkey {nkey}'],
      'ten snapshots a second': ['snap', 'assoc_find', '--hits', '1000', '--every', '100ms'],
    },
  },
};

async function withPoint(
  place: Workplace,
  { pid, point }: { readonly pid: number; readonly point: readonly [string, ...string[]] },
  measure: () => Promise<LoopFigures>,
): Promise<LoopFigures> {
  const [command, ...rest] = point;
  const args = [join('bin', 'stillframe.js'), command, String(pid), ...rest];
  const started = await place.startProgram(process.execPath, args, { ready: 'started' });
  await untilArmed(pid, started);
  const figures = await measure();
  const ended = new Promise((resolve) => started.process.once('exit', resolve));
  if (started.process.exitCode !== null)
    throw new Error(`${args.join(' ')} ended: ${started.lines.join('\n')}`);
  started.process.kill('SIGINT');
  // What it still has to show is not what is measured.
  const patience = setTimeout(() => started.process.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(patience);
  return figures;
}

async function untilArmed(pid: number, { process: command, lines }: StartedProgram): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (probeLinksOf(pid).length > 0) return;
    if (command.exitCode !== null)
      throw new Error(`${command.spawnargs.join(' ')} ended: ${lines.join('\n')}`);
    await sleep(50);
  }
  throw new Error('no point was armed');
}

async function measureServer({
  program,
  args,
  ready,
  exchanges,
  points,
}: Server): Promise<Record<string, number>> {
  await using place = openWorkplace();
  // What is measured is what points cost when nobody bounds it.
  const policy = join(place.folder, 'policy.json');
  writeFileSync(policy, JSON.stringify({ logRate: 50, cpuPercent: { point: 0, host: 0 } }));
  const socket = join(place.folder, 'server.sock');
  const { pid } = await place.startProgram(program, args(socket), { ready });
  await place.startAgent({ args: ['--policy', policy] });
  using loop = await ClosedLoop.open(socket, exchanges, connections);
  const measure = async (): Promise<LoopFigures> => {
    await sleep(200);
    loop.take();
    await sleep(roundMs);
    return loop.take();
  };
  await measure();
  const figures = new Map<string, LoopFigures[]>([
    ['alone', []],
    ...Object.keys(points).map((name): [string, LoopFigures[]] => [name, []]),
  ]);
  for (let round = 0; round < rounds; round++) {
    figures.get('alone')?.push(await measure());
    for (const [name, point] of Object.entries(points)) {
      figures.get(name)?.push(await withPoint(place, { pid, point }, measure));
    }
  }
  const rows: Record<string, number> = {};
  const of = (name: string, pick: (figures: LoopFigures) => number): number =>
    median((figures.get(name) ?? []).map(pick));
  rows['alone: requests a second'] = of('alone', ({ perSecond }) => perSecond);
  rows['alone: p50, us'] = of('alone', ({ p50Us }) => p50Us);
  rows['alone: p99, us'] = of('alone', ({ p99Us }) => p99Us);
  for (const name of Object.keys(points)) {
    rows[`${name}: p50 / alone`] = of(name, ({ p50Us }) => p50Us) / of('alone', ({ p50Us }) => p50Us);
    rows[`${name}: p99 / alone`] = of(name, ({ p99Us }) => p99Us) / of('alone', ({ p99Us }) => p99Us);
  }
  return rows;
}

const tables: Record<string, Record<string, number>> = {};
for (const [name, server] of Object.entries(servers))
  tables[`${name}, no wrong answer`] = await measureServer(server);
report('latency', tables);
