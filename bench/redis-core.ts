/**
 * A redis of 1 GiB under load: the longest time that a PING took while it is left alone, while it saves by a fork of its own (BGSAVE), while its core is
 * taken by a copy, and while gcore takes it; in turns, in one run.
 *
 * usage: node dist/bench/redis-core.js [--json]
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { TracerSupervisor } from '../agent/tracer/supervisor.js';
import { median } from './machine.js';
import { report } from './measure.js';

const rounds = 3;
const quietMs = 1000;
const keys = 1_900_000;
const valueBytes = 440;
const mebibyte = 1024 ** 2;

const folder = mkdtempSync(join(tmpdir(), 'stillframe-bench-redis-'));
const socket = join(folder, 'redis.sock');
const children: ChildProcess[] = [];

function build(): string {
  const run = spawnSync(process.execPath, ['native-fixtures/redis.mjs'], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  return run.stdout.trim();
}

const redisCommand = (...words: readonly string[]): string =>
  execFileSync('redis-cli', ['-s', socket, ...words], { encoding: 'utf8' });

async function startRedis(): Promise<number> {
  const args = [
    '--port',
    '0',
    '--unixsocket',
    socket,
    '--save',
    '',
    '--dir',
    folder,
    '--enable-debug-command',
    'yes',
  ];
  const child = spawn(build(), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) if (/ready to accept/i.test(line)) break;
  child.stdout.resume();
  redisCommand('debug', 'populate', String(keys), 'key', String(valueBytes));
  return child.pid ?? -1;
}

async function untilSaved(): Promise<void> {
  while (!redisCommand('info', 'persistence').includes('rdb_bgsave_in_progress:0')) await sleep(100);
}

async function measure(): Promise<Record<string, number>> {
  const pid = await startRedis();
  const load = [
    '-s',
    socket,
    '-t',
    'set',
    '-r',
    String(keys),
    '-d',
    String(valueBytes),
    '-n',
    '1000000000',
    '-c',
    '4',
    '-q',
  ];
  children.push(spawn('redis-benchmark', load, { stdio: 'ignore' }));
  const pinger = new Worker(new URL('./pinger.js', import.meta.url), { workerData: socket });
  const gap = async (): Promise<number> => {
    pinger.postMessage('gap', []);
    const [longest] = (await once(pinger, 'message')) as [number];
    return longest;
  };
  await using tracer = new TracerSupervisor();
  const gaps = { alone: [] as number[], save: [] as number[], copy: [] as number[], gcore: [] as number[] };
  const rates: number[] = [];
  const stops: number[] = [];
  let resident = 0;
  for (let round = 0; round < rounds; round++) {
    await gap();
    await sleep(quietMs);
    gaps.alone.push(await gap());
    redisCommand('bgsave');
    await untilSaved();
    gaps.save.push(await gap());
    const file = join(folder, 'fork.core');
    const made = await tracer.core(
      { pid, maxBytes: 2 ** 40, file, snapshot: '0t3k00000000', host: 'bench' },
      () => undefined,
    );
    gaps.copy.push(await gap());
    stops.push(made.stoppedNs / 1e6);
    rates.push(made.storedBytes / mebibyte / (made.writeMs / 1000));
    resident = made.storedBytes / mebibyte;
    rmSync(file);
    execFileSync('gcore', ['-o', join(folder, 'gcore'), String(pid)], { stdio: 'ignore' });
    gaps.gcore.push(await gap());
    rmSync(join(folder, `gcore.${pid}`));
  }
  await pinger.terminate();
  return {
    'in its core, MiB': resident,
    'longest PING, left alone, ms': median(gaps.alone),
    'longest PING, its own BGSAVE, ms': median(gaps.save),
    'longest PING, copied, ms': median(gaps.copy),
    'threads held still by the copy, ms': median(stops),
    'longest PING, gcore, ms': median(gaps.gcore),
    'copied / BGSAVE': median(gaps.copy) / median(gaps.save),
    'gcore / copied': median(gaps.gcore) / median(gaps.copy),
    'core written, MiB/s': median(rates),
  };
}

try {
  report('redis-core', { 'redis, 1 GiB': await measure() });
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
