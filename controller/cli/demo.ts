/**
 * `stillframe demo`: the whole story on a sample service. It builds and starts the order service under load, then runs the very
 * commands that a user would type, each printed before its output, against an agent of its own. Everything is
 * removed at the end, also after a failure or Ctrl-C.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { StillframeError } from '../../format/error.js';
import { commandLine, figures, heading, median } from './narration.js';

/** The checkout: this file runs from dist/controller/cli. */
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const program = join(root, 'bin', 'stillframe.js');
const condition = 'order->customer->tier == GOLD && order->total > 10000';
const secondsPerPhase = 3;
const startTimeoutMs = 60_000;

interface Second {
  readonly rps: number;
  readonly p99Us: number;
  readonly wrong: number;
}

/** Runs the demo; resolves to the exit status. */
export async function runDemo(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-demo-'));
  const children: ChildProcess[] = [];
  const cleanUp = (): void => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  const interrupted = (): void => {
    cleanUp();
    process.exit(130);
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    return await story(folder, children);
  } finally {
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
    cleanUp();
  }
}

async function story(folder: string, children: ChildProcess[]): Promise<number> {
  const service = buildService();
  heading('A service under load', [
    'A multi-threaded order service in C, built by gcc -O2 -g, answering 20,000 requests a second.',
    'Nothing in it knows of Stillframe. It reports its own throughput and latency each second.',
  ]);
  const load = await startService(service, children);
  const before = await load.seconds(secondsPerPhase);

  const socket = `unix:${join(folder, 'agent.sock')}`;
  const environment = {
    ...process.env,
    XDG_DATA_HOME: folder,
    STILLFRAME_AGENT: socket,
    // It shows what the command line does alone; a controller that others share is none of its business.
    STILLFRAME_CONTROLLER: '',
  };
  await startAgent(socket, folder, environment, children);
  const cli = (args: readonly string[], expected: readonly number[] = [0]): void => {
    commandLine(args);
    const run = spawnSync(process.execPath, [program, ...args], { env: environment, stdio: 'inherit' });
    if (run.status === null || !expected.includes(run.status)) {
      throw new StillframeError('internal', `the command ended with status ${run.status ?? run.signal}`);
    }
  };

  const location = `orders.c:${chargeLine()}`;
  heading('Name a line; the process goes on', [
    `Set a point at ${location}, only where a gold customer orders for more than 100.00:`,
    'three hits, at most one a second. The condition is decided in the kernel, on every one of 20,000 passes a second.',
  ]);
  const point = ['snap', String(load.pid), location, '--if', condition];
  cli([...point, '--hits', String(secondsPerPhase), '--every', '1s', '--detach']);
  const armed = await load.seconds(secondsPerPhase);
  await sleep(1500);
  cli(['points']);

  heading('The moment, as it was', [
    'The stack with its source, the variables of every frame, nested structs followed through pointers.',
    'What is not there says why: a value that is shown is right.',
  ]);
  cli(['show', 'last']);

  heading('Ask what nobody thought of', ['None of these was asked for when the snapshot was taken.']);
  cli(['eval', 'last', 'order->items[0].quantity * order->items[0].unit_price']);
  cli([
    'eval',
    'last',
    'order->customer->referrer->name',
    '*order->customer->address',
    'order->express ? 3 : 5',
  ]);

  heading('What was not captured says so, and how to get it', [
    'The default plan follows pointers three deep. This is deeper:',
  ]);
  cli(['eval', 'last', 'order->customer->referrer->referrer->address->city'], [0, 1, 3, 6]);

  heading('And the service?', ['Its own figures, before, while the point was armed, and after.']);
  const after = await load.seconds(secondsPerPhase);
  process.stdout.write(`${table({ before, 'while armed': armed, after })}\n`);
  const wrong = after.at(-1)?.wrong ?? 0;
  process.stdout.write(
    `wrong answers: ${wrong}; threads stopped: none; bytes written into the process: none\n`,
  );
  return 0;
}

function buildService(): string {
  const builder = join(root, 'native-fixtures', 'build.mjs');
  const run = spawnSync(process.execPath, [builder, 'order-service'], { encoding: 'utf8' });
  if (run.status !== 0) {
    throw new StillframeError('not-found', `cannot build the sample service: ${run.stderr.trim()}`, {
      hint: 'install gcc (Debian: apt-get install gcc libc6-dev), or run `npm run demo` as root, which does',
    });
  }
  return run.stdout.trim();
}

function chargeLine(): number {
  const source = readFileSync(join(root, 'native-fixtures', 'order-service', 'orders.c'), 'utf8');
  return source.split('\n').findIndex((line) => line.includes('PROBE: charge')) + 1;
}

interface Load {
  readonly pid: number;
  /** Waits for that many of the service's own reports. */
  seconds(count: number): Promise<Second[]>;
}

async function startService(path: string, children: ChildProcess[]): Promise<Load> {
  const child = spawn(path, ['--workers', '4', '--rate', '20000'], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const line = await lines.next();
    if (line.done === true) throw new StillframeError('target-gone', 'the sample service ended');
    return line.value;
  };
  const ready = /^ready pid=(\d+)$/.exec(await next());
  if (ready === null) throw new StillframeError('internal', 'the sample service did not start');
  await next(); // The first second is not whole.
  return {
    pid: Number(ready[1]),
    async seconds(count) {
      const reports: Second[] = [];
      const begin = Date.now();
      while (reports.length < count) {
        const match = /^rps=(\d+) p99us=(\d+) bad=(\d+)$/.exec(await next());
        // Lines that were waiting in the pipe belong to the time before.
        if (match === null || Date.now() - begin < 500) continue;
        reports.push({ rps: Number(match[1]), p99Us: Number(match[2]), wrong: Number(match[3]) });
      }
      return reports;
    },
  };
}

async function startAgent(
  socket: string,
  folder: string,
  environment: NodeJS.ProcessEnv,
  children: ChildProcess[],
): Promise<void> {
  // A condition on 20,000 passes a second costs more than the one percent of a CPU that a host grants a point unless told otherwise.
  const policy = join(folder, 'policy.json');
  writeFileSync(policy, JSON.stringify({ cpuPercent: { point: 40, host: 40 } }));
  const args = [program, 'agent', '--listen', socket, '--spool', join(folder, 'spool'), '--policy', policy];
  const child = spawn(process.execPath, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const ready = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).once('line', () => resolve('ready'));
    child.once('exit', () => resolve('ended'));
  });
  const outcome = await Promise.race([ready, sleep(startTimeoutMs, 'late', { ref: false })]);
  if (outcome !== 'ready') {
    throw new StillframeError('unreachable', `the agent did not start (${outcome}): ${log.trim()}`);
  }
}

function table(phases: Readonly<Record<string, readonly Second[]>>): string {
  const rows = Object.entries(phases).map(([name, seconds]) => [
    name,
    seconds.map(({ rps }) => rps).join('  '),
    `${median(seconds.map(({ p99Us }) => p99Us))} us`,
  ]);
  return figures([['', 'requests per second', 'p99 latency'], ...rows]);
}
