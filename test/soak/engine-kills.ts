/**
 * Tracers of the stopping engines, and the fronts of agents, killed with -9 at random instants, while they stop threads, hold breakpoints, lead a thread through the
 * making of a copy. A front is killed alone, so that its tracer sees it go, or with its tracer at once. After each kill: the tracer of a front is gone, no thread is stopped or traced, no copy and no child is there, no breakpoint is in the code, and the process says that it computes as
 * it should, that each of its calls lasted as long as it was to, and that it has heard of no child.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { breakpointsAt } from '../support/code-bytes.js';
import { programStarter } from '../support/paths.js';
import { startProgram, type RunningProgram } from '../support/running-program.js';
import { askHealth, copiedProgram, relativesOf } from '../agent/engines/fork/target.js';
import { askCounts, busyProgram, symbolAddress, threadTraces } from '../agent/engines/ptrace/target.js';

/** What is done to the process: `software` are breakpoints in its code, which only a living process can take away again: there the front is killed alone. */
export type Work = 'copies' | 'stops' | 'points' | 'software';

export interface Kind {
  readonly work: Work;
  readonly victim: 'tracer' | 'front';
}

export const allKinds: readonly Kind[] = [
  ...(['copies', 'stops', 'points'] as const).map((work) => ({ work, victim: 'tracer' as const })),
  ...(['copies', 'stops', 'points', 'software'] as const).map((work) => ({
    work,
    victim: 'front' as const,
  })),
];

export interface KillOptions {
  /** Ends it early, between two kills. */
  readonly signal?: AbortSignal;
  /** After each kill. */
  readonly killed?: () => void;
}

/** Enough for two processors: most of a life is its start. */
const lanes = 2;
const maxDelayMs = 20;
const maxUnborn = 20;

export interface KillResult {
  readonly kills: number;
  /** Of the time of each tracer, in percent, what it spent where a kill matters. */
  readonly medianShare: number;
  readonly wrong: readonly string[];
}

/** Kills so many of a kind, in each of several processes. */
export async function killAgain(kind: Kind, kills: number, options: KillOptions = {}): Promise<KillResult> {
  const each = Array.from({ length: lanes }, (_, i) => Math.floor((kills + i) / lanes));
  const results = await Promise.all(
    each.map((count, lane) => killLane(kind, { kills: count, lane, ...options })),
  );
  const shares = results.flatMap(({ shares: some }) => some).toSorted((a, b) => a - b);
  return {
    kills: shares.length,
    medianShare: shares[Math.floor(shares.length / 2)] ?? 0,
    wrong: results.flatMap(({ wrong }) => wrong),
  };
}

interface LaneResult {
  readonly shares: readonly number[];
  readonly wrong: readonly string[];
}

interface LaneOptions extends KillOptions {
  readonly kills: number;
  readonly lane: number;
}

async function killLane(kind: Kind, { kills, lane, signal, killed }: LaneOptions): Promise<LaneResult> {
  const { work } = kind;
  const isCounted = work === 'points' || work === 'software';
  // Copies are known by their arguments, which are others in each lane and kind.
  const size =
    8 +
    lane +
    lanes * allKinds.findIndex(({ work: each, victim }) => each === work && victim === kind.victim);
  await using target = isCounted
    ? startProgram(busyProgram, ['2', 's'])
    : startProgram(copiedProgram, ['2', String(size)]);
  await target.nextLine();
  const addresses = isCounted ? workAddresses(target.pid) : [];
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-kills-'));
  const shares: number[] = [];
  const wrong: string[] = [];
  let before = await verdictOf(work, target);
  for (let i = 0, unborn = 0; i < kills; i++) {
    if (signal?.aborted === true) break;
    const life = await killOne(kind, { pid: target.pid, address: addresses[0] ?? 0n, folder });
    if (life === undefined) {
      if (++unborn > maxUnborn) throw new Error(`${unborn} of them ended before anything was done`);
      i--;
      continue;
    }
    shares.push(life.share);
    wrong.push(...life.wrong.map((text) => `kill ${i}: ${text}`));
    const after = await verdictOf(work, target);
    const left = await remains(target.pid);
    if (isCounted && breakpointsAt(target.pid, addresses) > 0) left.push('a breakpoint');
    killed?.();
    wrong.push(...[...left, ...after.wrong].map((text) => `kill ${i}: ${text}`));
    if (after.done < before.done) wrong.push(`kill ${i}: it began anew`);
    before = after;
  }
  rmSync(folder, { recursive: true });
  target.child.stdin.write('q\n');
  const end = await target.ended;
  if (end !== 7) wrong.push(`the process ended with ${end}`);
  return { shares, wrong };
}

interface Life {
  /** Of its time, in percent, what it spent where a kill matters. */
  readonly share: number;
  readonly wrong: readonly string[];
}

interface Prey {
  readonly pid: number;
  readonly address: bigint;
  /** For what it writes. */
  readonly folder: string;
}

/** Undefined where it ended before it had done anything: on a machine with other work a tracer may not be ready in time. */
async function killOne({ work, victim }: Kind, { pid, address, folder }: Prey): Promise<Life | undefined> {
  const args =
    victim === 'front'
      ? ['test/soak/front.js', work, String(pid), folder]
      : work === 'copies'
        ? ['test/agent/engines/fork/copier.js', String(pid)]
        : [
            'test/agent/engines/ptrace/stopper.js',
            work === 'stops' ? 'now' : 'points',
            String(pid),
            String(address),
          ];
  const child = spawn(process.execPath, [programStarter, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const [text] = (await Promise.race([once(child.stdout, 'data'), exit])) as [unknown];
  if (child.exitCode !== null) return undefined;
  const [share = NaN, tracer] = String(text).trim().split(' ').map(Number);
  await sleep(Math.random() * maxDelayMs);
  child.kill('SIGKILL');
  if (tracer !== undefined && work !== 'software' && Math.random() < 0.5) killIfThere(tracer);
  const [code, signal] = (await exit) as [number | null, string | null];
  if (signal !== 'SIGKILL') throw new Error(`a ${victim} ended by itself: ${code}`);
  return { share, wrong: tracer === undefined ? [] : await outlived(tracer) };
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has seen its front go.
  }
}

/** A tracer that goes on when its front is gone. */
async function outlived(tracer: number): Promise<string[]> {
  for (let i = 0; i < 2000; i++) {
    if (!existsSync(`/proc/${tracer}`)) return [];
    await sleep(5);
  }
  killIfThere(tracer);
  return [`tracer ${tracer} goes on without its front`];
}

interface Verdict {
  readonly done: number;
  readonly wrong: readonly string[];
}

async function verdictOf(work: Work, target: RunningProgram): Promise<Verdict> {
  if (work === 'points' || work === 'software') {
    // What is computed wrong aborts this one.
    const { checksum } = await askCounts(target);
    return { done: checksum, wrong: [] };
  }
  const { rounds, wrong, childSignals, endedEarly, hasChild } = await askHealth(target);
  const told = { wrong, childSignals, endedEarly, hasChild };
  return {
    done: rounds,
    wrong: Object.entries(told).flatMap(([name, count]) => (count === 0 ? [] : [`${name} ${count}`])),
  };
}

/** What is left of a copy or a tracer, when the kernel has had time to take it away: on a machine with other work that is seconds. */
async function remains(pid: number): Promise<string[]> {
  let left: string[] = [];
  for (let i = 0; i < 4000; i++) {
    left = [
      ...relativesOf(pid),
      ...threadTraces(pid).flatMap(({ tracer, state }) =>
        tracer === 0 && !'Tt'.includes(state) ? [] : [`a thread ${state} traced by ${tracer}`],
      ),
    ];
    if (left.length === 0) break;
    await sleep(5);
  }
  return left;
}

/** The program is position independent: addresses in its file count from where it was put. */
function workAddresses(pid: number): bigint[] {
  const [line = ''] = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n');
  const base = BigInt(`0x${line.split('-')[0]}`);
  return ['work', 'second', 'third', 'fourth', 'fifth'].map(
    (name) => base + symbolAddress(busyProgram, name),
  );
}
