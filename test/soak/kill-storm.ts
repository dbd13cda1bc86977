/**
 * Tracers killed with -9 at random instants of their lives, while they arm points, log lines, metrics and a watch in a service under load, and while hits come. After
 * each kill: nothing of it is in the kernel or in the service's code, and the service says that it computes and answers as it should.
 *
 * The tracers are spoken to as their front does; no front is started, which makes a kill cheap. Some are the very process that an agent runs, the
 * others ({@link ./storm-tracer.ts}) leave out what takes most of its start.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FromTracer, ToTracer } from '../../agent/tracer/protocol.js';
import type { TracerArmRequest } from '../../agent/tracer/client.js';
import { planPoint, type PlanRequestOptions } from '../../controller/planner/plan.js';
import { takenAddressRegisters } from '../support/address-registers.js';
import { breakpointsAt, disturbedThreads } from '../support/code-bytes.js';
import { compileFixture } from '../support/compile.js';
import { probeLinksOf } from '../support/kernel-links.js';
import { openSymbols } from '../support/open-symbols.js';
import { programStarter } from '../support/paths.js';
import { type RunningProgram, startProgram } from '../support/running-program.js';

/** A machine may be busy. */
const maxArmingMs = 30_000;
const realTracer = 'agent/tracer/main.js';
const quickTracer = 'test/soak/storm-tracer.js';

/** What happened in one life of a tracer before its end. */
export interface Life {
  /** Points that were armed by then. */
  readonly armed: number;
  readonly hits: number;
  readonly livedMs: number;
}

/** What the service says of itself. */
export interface Verdict {
  readonly passes: number;
  readonly wrong: number;
  readonly signals: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
}

/** Points of one life. */
export const stormPoints = 5;

export interface StormResult {
  readonly lives: readonly Life[];
  /** The service's own words, of all services together; latencies of the slowest. */
  readonly verdict: Verdict;
  /** What was left of a tracer when the kernel had had time to take it away. */
  readonly remains: readonly string[];
}

export function checkerProgram(): string {
  return compileFixture('probe-lab/checker.c', { cc: 'gcc', flags: ['-g', '-O2', '-pthread'] });
}

export async function askVerdict(service: RunningProgram): Promise<Verdict> {
  service.child.stdin.write('?\n');
  const [passes, wrong, signals, p50Ns, p99Ns] = (await service.nextLine()).split(' ').map(Number);
  if (p99Ns === undefined) throw new Error('the service said too little');
  return { passes: passes ?? 0, wrong: wrong ?? 0, signals: signals ?? 0, p50Ns: p50Ns ?? 0, p99Ns };
}

/** What is armed, with one plan a kind. */
export function stormOrders(program: string, pid: number): TracerArmRequest[] {
  const symbols = openSymbols(program);
  const plan = (options: Partial<PlanRequestOptions>): TracerArmRequest['plan'] =>
    planPoint({ symbols, modulePath: program, location: 'step', ...options }).plan;
  const common = { pid, maxHits: 1_000_000, minIntervalNs: 0n };
  return [
    { ...common, pointId: 'point', plan: plan({ condition: 'work->kind == 1' }) },
    { ...common, pointId: 'log', minIntervalNs: 5_000_000n, plan: plan({ captures: ['work->name'] }) },
    {
      ...common,
      pointId: 'metric',
      countOnly: true,
      plan: plan({ metric: { kind: 'histogram', value: 'work->number', by: 'work->name' } }),
    },
    {
      ...common,
      pointId: 'watch',
      minIntervalNs: 5_000_000n,
      plan: plan({ location: 'latest', watch: { onlyChanges: true } }),
    },
    { ...common, pointId: 'count', countOnly: true, plan: plan({ condition: 'work->number < 0' }) },
  ];
}

class Storm {
  readonly #service: RunningProgram;
  readonly #orders: readonly TracerArmRequest[];
  readonly #journal: string;
  readonly lives: Life[] = [];
  readonly remains: string[] = [];
  #addresses: readonly bigint[] = [];
  /** How long it takes until hits are told, by program, as the last life that came so far took. */
  readonly #armedMs = new Map<string, number>();

  constructor(service: RunningProgram, journal: string) {
    this.#service = service;
    this.#journal = journal;
    this.#orders = stormOrders(checkerProgram(), service.pid);
  }

  async kill(program: string): Promise<void> {
    const child = fork(programStarter, [program, this.#journal], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [],
    });
    const startMs = performance.now();
    let armed = 0;
    let hits = 0;
    const failures: string[] = [];
    let isKilled = false;
    child.on('message', (message: FromTracer) => {
      if (message.kind === 'ready') this.#armAll(child);
      else if (message.kind === 'hit') {
        if (hits++ === 0) this.#armedMs.set(program, performance.now() - startMs);
      } else if (message.kind === 'failed') failures.push(message.error.message);
      else if (message.kind === 'ended') failures.push(`ended: ${message.reason.detail}`);
      else if (message.kind === 'reply') {
        armed++;
        const { addresses } = message.result as { readonly addresses: readonly bigint[] };
        // Of the watch it is data.
        if (this.#orders[message.id]?.pointId !== 'watch') this.#addresses = addresses;
      }
    });
    // Half of the lives end on the way to where all is armed, half while hits come. The first says how long the way is.
    const armedMs = this.#armedMs.get(program);
    const isEarly = armedMs !== undefined && Math.random() < 0.5;
    const untilMs = startMs + (isEarly ? Math.random() * armedMs : maxArmingMs);
    child.once('exit', (_, signal) => {
      if (!isKilled) failures.push(`a tracer ended by itself: ${signal ?? 'with a status'}`);
    });
    const isFull = (): boolean => (armed === this.#orders.length && hits > 0) || failures.length > 0;
    while (!isFull() && performance.now() < untilMs) await sleep(2);
    if (!isEarly) await sleep(Math.random() * 30);
    const livedMs = performance.now() - startMs;
    const exit = once(child, 'exit');
    isKilled = true;
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await exit;
    }
    this.lives.push({ armed, hits, livedMs });
    this.remains.push(...failures, ...(await this.#left()));
  }

  #armAll(child: ChildProcess): void {
    this.#orders.forEach((parameters, id) => {
      const message: ToTracer = { id, call: 'arm', parameters };
      // A channel that closes under it is what this is about.
      child.send(message, () => undefined);
    });
  }

  /** The kernel takes things away after the exit: it is given time. */
  async #left(): Promise<string[]> {
    const { pid } = this.#service;
    let left: string[] = [];
    for (let i = 0; i < 4000; i++) {
      left = [
        ...probeLinksOf(pid).map((link) => `link ${link}`),
        ...(breakpointsAt(pid, this.#addresses) > 0 ? ['a breakpoint in the code'] : []),
        ...takenRegisters(pid),
        ...disturbedThreads(pid).map((tid) => `thread ${tid} stands still or is traced`),
      ];
      if (left.length === 0) break;
      await sleep(5);
    }
    return left;
  }

  verdict(): Promise<Verdict> {
    return askVerdict(this.#service);
  }
}

function takenRegisters(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
    const taken = takenAddressRegisters(Number(tid));
    return taken === 0 ? [] : [`${taken} address registers of thread ${tid}`];
  });
}

/** So many kills, on two services at once; one in `realEvery` of the tracers is an agent's. */
export async function killStorm(kills: number, realEvery: number): Promise<StormResult> {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-storm-'));
  try {
    let left = kills;
    const results = await Promise.all(
      Array.from({ length: 2 }, async (_, chain) => {
        await using service = startProgram(checkerProgram(), ['2']);
        await service.nextLine();
        const storm = new Storm(service, join(folder, `journal${chain}`));
        let before = await storm.verdict();
        while (left-- > 0) {
          await storm.kill(left % realEvery === 0 ? realTracer : quickTracer);
          if (!existsSync(`/proc/${service.pid}`)) throw new Error('the service is gone');
          const after = await storm.verdict();
          if (after.passes <= before.passes) storm.remains.push('the service stands still');
          before = after;
        }
        return { storm, verdict: before };
      }),
    );
    const verdicts = results.map(({ verdict }) => verdict);
    const sum = (of: (verdict: Verdict) => number): number =>
      verdicts.reduce((all, each) => all + of(each), 0);
    return {
      lives: results.flatMap(({ storm }) => storm.lives),
      remains: results.flatMap(({ storm }) => storm.remains),
      verdict: {
        passes: sum(({ passes }) => passes),
        wrong: sum(({ wrong }) => wrong),
        signals: sum(({ signals }) => signals),
        p50Ns: Math.max(...verdicts.map(({ p50Ns }) => p50Ns)),
        p99Ns: Math.max(...verdicts.map(({ p99Ns }) => p99Ns)),
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
