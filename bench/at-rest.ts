/**
 * What an agent takes while nothing happens: CPU time and memory of both its processes, with no point and with ten that are armed and not passed, beside a Node that
 * does nothing.
 *
 * usage: node dist/bench/at-rest.js [--json]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readStatus } from '../agent/linux/proc.js';
import { startLoop } from './loop.js';
import { compileBenchProgram, report } from './measure.js';

const seconds = 30;
const points = 10;
const stillframe = join(import.meta.dirname, '..', '..', 'bin', 'stillframe.js');

const folder = mkdtempSync(join(tmpdir(), 'stillframe-at-rest-'));
const socket = `unix:${join(folder, 'agent.sock')}`;
const environment: NodeJS.ProcessEnv = {
  ...process.env,
  XDG_DATA_HOME: join(folder, 'data'),
  STILLFRAME_AGENT: socket,
  NO_COLOR: '1',
};
// What tests set, and what costs each start of Node 80 ms.
for (const name of ['STILLFRAME_CONTROLLER', 'NODE_EXTRA_CA_CERTS', 'NODE_ENV']) delete environment[name];

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** Milliseconds of CPU time so far; `USER_HZ` is 100. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

function residentMiB(pid: number): number {
  const [, kilobytes = '0'] =
    /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kilobytes) / 1024;
}

interface Rest {
  readonly percent: number;
  readonly mebibytes: number;
}

async function rest(pids: readonly number[]): Promise<Rest> {
  const sum = (of: (pid: number) => number): number => pids.reduce((all, pid) => all + of(pid), 0);
  const before = sum(cpuMs);
  const begin = performance.now();
  await sleep(seconds * 1000);
  return {
    percent: (100 * (sum(cpuMs) - before)) / (performance.now() - begin),
    mebibytes: sum(residentMiB),
  };
}

async function arm(target: string, number: number): Promise<void> {
  const child = spawn(
    process.execPath,
    [stillframe, 'snap', target, 'handle', '--if', `(long)$rdi == ${number}`, '--detach'],
    { env: environment, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const [status] = (await once(child, 'exit')) as [number];
  if (status !== 0) throw new Error('cannot arm');
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

const idle = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1e9)'], { env: environment });
const agent = spawn(
  process.execPath,
  [stillframe, 'agent', '--listen', socket, '--spool', join(folder, 'spool')],
  {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
try {
  if (agent.stdout !== null) await once(agent.stdout, 'data');
  await sleep(3000);
  const front = agent.pid ?? -1;
  const pids = [front, ...childrenOf(front)];
  if (pids.length !== 2) throw new Error(`the agent has ${pids.length} processes`);
  const node = await rest([idle.pid ?? -1]);
  const empty = await rest(pids);

  const program = compileBenchProgram('probe-lab/loop.c', ['-g', '-O1']);
  await using target = await startLoop(program);
  for (let i = 0; i < points; i++) await arm(String(target.pid), i);
  await sleep(3000);
  const armed = await rest(pids);
  if (readStatus(front).tracerPid !== 0) throw new Error('somebody traces the agent');
  report('at-rest', {
    'percent of one CPU (wanted: at most 0.1)': {
      'a Node that does nothing': node.percent,
      'the agent, no point': empty.percent,
      [`the agent, ${points} points that nobody passes`]: armed.percent,
    },
    'MiB resident': {
      'a Node that does nothing': node.mebibytes,
      'both processes of the agent': empty.mebibytes,
      'both, with the points': armed.mebibytes,
      'both beyond two Nodes (wanted: at most 80)': empty.mebibytes - 2 * node.mebibytes,
    },
  });
} finally {
  await end(agent);
  await end(idle);
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
