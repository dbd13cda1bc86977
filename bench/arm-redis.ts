/**
 * From the command to an armed point, cold: `stillframe snap PID setGenericCommand --detach` on redis-server, whole process
 * start to exit, against gdb attaching and setting the same breakpoint. Prints medians and the ratio.
 * usage: node dist/bench/arm-redis.js [--json]
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { median } from './machine.js';
import { report } from './measure.js';

const root = process.cwd();
const runs = 7;
const folder = mkdtempSync(join(tmpdir(), 'stillframe-bench-'));
const environment = {
  ...process.env,
  XDG_DATA_HOME: folder,
  STILLFRAME_AGENT: `unix:${join(folder, 'agent.sock')}`,
};

function build(): string {
  const run = spawnSync(process.execPath, ['native-fixtures/redis.mjs'], { cwd: root, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  return run.stdout.trim();
}

async function start(
  command: string,
  args: readonly string[],
  ready: RegExp,
): Promise<ReturnType<typeof spawn>> {
  const child = spawn(command, args, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    if (child.stdout === null) throw new Error('no stdout');
    createInterface({ input: child.stdout }).on('line', (line) => ready.test(line) && resolve());
    child.once('exit', (status) => reject(new Error(`${command} ended with ${status}`)));
    setTimeout(() => reject(new Error(`${command} is not ready`)), 20_000).unref();
  });
  return child;
}

function time(command: string, args: readonly string[]): number {
  const begin = process.hrtime.bigint();
  const run = spawnSync(command, args, { env: environment, encoding: 'utf8' });
  const ms = Number(process.hrtime.bigint() - begin) / 1e6;
  if (run.status !== 0) throw new Error(`${command}: ${run.stdout}${run.stderr}`);
  return ms;
}

const stillframe = join(root, 'bin', 'stillframe.js');
const program = build();
const socket = join(folder, 'redis.sock');
const redis = await start(
  program,
  ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder],
  /ready to accept/i,
);
const agentArgs = [
  stillframe,
  'agent',
  '--listen',
  environment.STILLFRAME_AGENT,
  '--spool',
  join(folder, 'spool'),
];
const agent = await start(process.execPath, agentArgs, /./);
try {
  const pid = String(redis.pid);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let i = 0; i < runs; i++) {
    const snap = [stillframe, 'snap', pid, 'setGenericCommand', '--if', 'c->argc == 3', '--detach', '--json'];
    ours.push(time(process.execPath, snap));
    const gdb = [
      '-q',
      '-nx',
      '-batch',
      '-p',
      pid,
      '-ex',
      'break setGenericCommand if c->argc == 3',
      '-ex',
      'detach',
    ];
    theirs.push(time('gdb', gdb));
  }
  report('arm-redis', {
    'ms from the command to an armed point': {
      'stillframe snap --detach': median(ours),
      'the slowest of them': Math.max(...ours),
      'gdb -p, break, detach': median(theirs),
    },
    ratios: { 'stillframe / gdb': median(ours) / median(theirs) },
  });
} finally {
  agent.kill('SIGTERM');
  redis.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
