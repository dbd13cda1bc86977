/**
 * Tracers of the stopping engines killed with -9 at random instants, while they stop threads, hold breakpoints, lead a thread through the making of a
 * copy. After each kill: no thread is stopped or traced, no copy and no child is there, no breakpoint is in the code, and the process says that it computes as
 * it should, that each of its calls lasted as long as it was to, and that it has heard of no child.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { breakpointsAt } from '../support/code-bytes.js';
import { repositoryRoot } from '../support/paths.js';
import { startProgram, type RunningProgram } from '../support/running-program.js';
import { askHealth, copiedProgram, relativesOf } from '../agent/engines/fork/target.js';
import { askCounts, busyProgram, symbolAddress, threadTraces } from '../agent/engines/ptrace/target.js';

export type Kind = 'copies' | 'stops' | 'points';

/** Enough for two processors: most of a life is its start. */
const lanes = 2;
const maxDelayMs = 20;

export interface KillResult {
  readonly kills: number;
  /** Of the time of each tracer, in percent, what it spent where a kill matters. */
  readonly medianShare: number;
  readonly wrong: readonly string[];
}

/** Kills so many tracers of a kind, each in one of several processes. */
export async function killTracers(kind: Kind, kills: number): Promise<KillResult> {
  const each = Array.from({ length: lanes }, (_, i) => Math.floor((kills + i) / lanes));
  const results = await Promise.all(each.map((count, lane) => killLane(kind, count, lane)));
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

async function killLane(kind: Kind, kills: number, lane: number): Promise<LaneResult> {
  // Copies are known by their arguments, which are others in each lane and kind.
  await using target =
    kind === 'points'
      ? startProgram(busyProgram, ['2', 's'])
      : startProgram(copiedProgram, ['2', String(8 + lane + (kind === 'stops' ? lanes : 0))]);
  await target.nextLine();
  const address = kind === 'points' ? workAddress(target.pid) : 0n;
  const shares: number[] = [];
  const wrong: string[] = [];
  let before = await verdictOf(kind, target);
  for (let i = 0; i < kills; i++) {
    shares.push(await killOne(kind, target.pid, address));
    const after = await verdictOf(kind, target);
    const left = await remains(target.pid);
    if (kind === 'points' && breakpointsAt(target.pid, [address]) > 0) left.push('a breakpoint');
    wrong.push(...[...left, ...after.wrong].map((text) => `kill ${i}: ${text}`));
    if (after.done < before.done) wrong.push(`kill ${i}: it began anew`);
    before = after;
  }
  target.child.stdin.write('q\n');
  const end = await target.ended;
  if (end !== 7) wrong.push(`the process ended with ${end}`);
  return { shares, wrong };
}

/** Gives the tracer's share of time. */
async function killOne(kind: Kind, pid: number, address: bigint): Promise<number> {
  const folder = join(repositoryRoot, 'dist/test/agent/engines');
  const args =
    kind === 'copies'
      ? [join(folder, 'fork/copier.js'), String(pid)]
      : [
          join(folder, 'ptrace/stopper.js'),
          kind === 'stops' ? 'now' : 'points',
          String(pid),
          String(address),
        ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const [text] = (await Promise.race([once(child.stdout, 'data'), exit])) as [unknown];
  await sleep(Math.random() * maxDelayMs);
  child.kill('SIGKILL');
  const [code, signal] = (await exit) as [number | null, string | null];
  if (signal !== 'SIGKILL') throw new Error(`a tracer ended by itself: ${code}`);
  return Number(String(text));
}

interface Verdict {
  readonly done: number;
  readonly wrong: readonly string[];
}

async function verdictOf(kind: Kind, target: RunningProgram): Promise<Verdict> {
  if (kind === 'points') {
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

/** What is left of a copy or a tracer, when the kernel has had time to take it away. */
async function remains(pid: number): Promise<string[]> {
  let left: string[] = [];
  for (let i = 0; i < 200; i++) {
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
function workAddress(pid: number): bigint {
  const [line = ''] = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n');
  return BigInt(`0x${line.split('-')[0]}`) + symbolAddress(busyProgram, 'work');
}
