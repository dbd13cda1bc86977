/** The checkout service of native-fixtures and its load, built when they are first wanted. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { StillframeError } from '../../../format/error.js';
import type { Stage, Started } from './stage.js';

/** The checkout of the sources: this file runs from dist/controller/cli/demo-automation. */
const fixtures = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..', 'native-fixtures');
const reportTimeoutMs = 30_000;

/** Kinds of request that the load can mix in; docs are in native-fixtures/checkout-load/main.c. */
export type RequestKind = 'yen' | 'gift' | 'review';

export interface Service {
  readonly program: Started;
  readonly pid: number;
  /** HOST:PORT. */
  readonly address: string;
  readonly log: string;
}

/** A second of the load, as it saw it. */
export interface LoadSecond {
  readonly rps: number;
  readonly p99Us: number;
  readonly maxUs: number;
  readonly errors: number;
  /** Since it started. */
  readonly wrong: number;
}

export interface Load {
  readonly program: Started;
  /** So many percent of the requests are of that kind from now on. */
  mix(kind: RequestKind, percent: number): void;
  /** Waits for so many of its reports. */
  seconds(count: number): Promise<LoadSecond[]>;
  /** All reports so far. */
  reports(): LoadSecond[];
}

export async function startService(stage: Stage): Promise<Service> {
  const log = join(stage.folder, 'checkout.log');
  const program = await stage.start(buildProgram('checkout-service'), ['--log', log], {
    ready: /^ready pid=\d+ port=(\d+)$/,
    // The name that `service:` looks for.
    environment: { OTEL_SERVICE_NAME: stage.serviceName },
  });
  return { program, pid: program.pid, address: `127.0.0.1:${program.ready[1]}`, log };
}

export async function startLoad(stage: Stage, service: Service, rate: number): Promise<Load> {
  const port = service.address.slice(service.address.indexOf(':') + 1);
  const args = ['--port', port, '--rate', String(rate)];
  const program = await stage.start(buildProgram('checkout-load'), args, { ready: /^rps=/ });
  const reports = (): LoadSecond[] => program.lines.flatMap(parseReport);
  return {
    program,
    mix: (kind, percent) => program.tell(`mix ${kind} ${percent}`),
    reports,
    async seconds(count) {
      const before = reports().length;
      const deadline = Date.now() + reportTimeoutMs + count * 1000;
      while (reports().length < before + count) {
        if (Date.now() > deadline) throw new StillframeError('target-gone', 'the load reports no more');
        await sleep(50);
      }
      return reports().slice(before, before + count);
    },
  };
}

function parseReport(line: string): LoadSecond[] {
  const match = /^rps=(\d+) p99us=(\d+) maxus=(\d+) errors=(\d+) wrong=(\d+)$/.exec(line);
  if (match === null) return [];
  const [rps = 0, p99Us = 0, maxUs = 0, errors = 0, wrong = 0] = match.slice(1).map(Number);
  return [{ rps, p99Us, maxUs, errors, wrong }];
}

/** `failure.c:LINE` where an order fails. */
export function errorLocation(): string {
  const text = readFileSync(join(fixtures, 'checkout-service', 'failure.c'), 'utf8');
  const line = text.split('\n').findIndex((each) => each.endsWith('PROBE: error')) + 1;
  return `failure.c:${line}`;
}

export function buildProgram(name: string): string {
  const run = spawnSync(process.execPath, [join(fixtures, 'build.mjs'), name], { encoding: 'utf8' });
  if (run.status !== 0) {
    throw new StillframeError('not-found', `cannot build the sample service: ${run.stderr.trim()}`, {
      hint: 'install gcc (Debian: apt-get install gcc libc6-dev), or run `npm run demo:automation` as root, which does',
    });
  }
  return run.stdout.trim();
}
