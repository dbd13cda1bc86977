/**
 * One controller and 200 simulated agents that dial it: how long until all have greeted (again after all hung up at once), what
 * each costs in memory, and how long from setting a point to the last agent armed. Its peer in the same run is a bare gRPC server that
 * does nothing but answer the greeting: what the transport alone costs.
 * usage: node dist/bench/fleet.js [--json]
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ControllerClient } from '../controller/rpc/controller-client.js';
import { parseEndpoint } from '../format/endpoint.js';
import { median } from './machine.js';
import { compileBenchProgram, report } from './measure.js';

const root = process.cwd();
const agents = 200;
const points = 20;
const folder = mkdtempSync(join(tmpdir(), 'stillframe-bench-'));
const children: ChildProcess[] = [];

interface Lines {
  readonly process: ChildProcess;
  /** The next line. */
  next(): Promise<string>;
}

function start(args: readonly string[]): Lines {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const waiting: ((line: string) => void)[] = [];
  const ready: string[] = [];
  if (child.stdout === null) throw new Error('no stdout');
  createInterface({ input: child.stdout }).on('line', (line) => {
    const next = waiting.shift();
    if (next === undefined) ready.push(line);
    else next(line);
  });
  return {
    process: child,
    next: () =>
      new Promise((resolve, reject) => {
        const line = ready.shift();
        if (line !== undefined) return resolve(line);
        const timer = setTimeout(() => reject(new Error(`${args.join(' ')} says nothing`)), 60_000);
        waiting.push((text) => {
          clearTimeout(timer);
          resolve(text);
        });
        return undefined;
      }),
  };
}

/** Resident, in bytes. */
function residentOf({ pid }: ChildProcess): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}

interface Storm {
  readonly firstMs: number;
  readonly againMs: number;
  readonly bytesEach: number;
}

const addressIn = (line: string): string => /(?:127\.0\.0\.1:\d+)/.exec(line)?.[0] ?? '';

async function greeted(fleet: Lines): Promise<number> {
  const line = JSON.parse(await fleet.next()) as { timeMs: number };
  return line.timeMs;
}

/** Connects all, hangs all up, connects all again. */
async function storm(server: Lines, address: string, program: string): Promise<Storm & { fleet: Lines }> {
  const before = residentOf(server.process);
  const fleet = start(['dist/bench/simulated-agents.js', address, String(agents), program]);
  const begin = JSON.parse(await fleet.next()) as { timeMs: number };
  const first = await greeted(fleet);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const bytesEach = (residentOf(server.process) - before) / agents;
  const redial = Date.now();
  fleet.process.stdin?.write('again\n');
  const again = await greeted(fleet);
  return { fleet, firstMs: first - begin.timeMs, againMs: again - redial, bytesEach };
}

async function armed(fleet: Lines): Promise<{ readonly armed: number; readonly timeMs: number }> {
  return JSON.parse(await fleet.next()) as { armed: number; timeMs: number };
}

try {
  const program = compileBenchProgram('probe-lab/loop.c', ['-O2', '-g']);
  const bare = start(['dist/bench/bare-gateway.js']);
  const theirs = await storm(bare, addressIn(await bare.next()), program);
  theirs.fleet.process.kill();
  bare.process.kill();

  const controller = start([
    'bin/stillframe.js',
    'controller',
    '--listen',
    '127.0.0.1:0',
    '--store',
    `sqlite:${join(folder, 'store')}`,
    '--log-level',
    'error',
  ]);
  const address = addressIn(await controller.next());
  const ours = await storm(controller, address, program);

  using client = new ControllerClient({ endpoint: parseEndpoint(address), tls: undefined });
  const all: number[] = [];
  const calls: number[] = [];
  for (let i = 0; i < points; i++) {
    const begin = Date.now();
    const { point } = await client.snap(
      {
        target: 'name:checkout',
        location: 'main',
        captures: [],
        engine: '',
        bounds: {},
        hits: 1,
        minIntervalNs: 0n,
        everyProcess: false,
        waitMs: 0,
        detach: true,
      },
      {},
    );
    calls.push(Date.now() - begin);
    all.push((await armed(ours.fleet)).timeMs - begin);
    await client.removePoints([point.id]);
  }
  const sorted = all.toSorted((a, b) => a - b);
  report('fleet', {
    [`${agents} agents dial one controller`]: {
      'ms until all have greeted': ours.firstMs,
      'ms until all have greeted again after all hung up': ours.againMs,
      'the same, bare gRPC server': theirs.againMs,
      'KiB of the controller an agent': ours.bytesEach / 1024,
      'the same, bare gRPC server ': theirs.bytesEach / 1024,
    },
    [`one point on ${agents} agents`]: {
      'ms to the last one armed, median': median(all),
      'ms to the last one armed, slowest': sorted.at(-1) ?? Number.NaN,
      'ms of the call': median(calls),
    },
    ratios: {
      'connect storm: controller / bare gRPC': ours.againMs / theirs.againMs,
      'memory an agent: controller / bare gRPC': ours.bytesEach / theirs.bytesEach,
    },
  });
} finally {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
}
