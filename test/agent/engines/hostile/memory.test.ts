/**
 * No memory left: targets that the kernel kills for it while points are armed in them, and a tracer that it kills for it. Points end and say why, nothing
 * stays, and other processes that the same tracer looks into go on as before.
 */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PointEnd } from '../../../../agent/tracer/client.js';
import { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import { planPoint } from '../../../../controller/planner/plan.js';
import { type StillframeError, toStillframeError } from '../../../../format/error.js';
import type { Plan } from '../../../../format/plan/plan.js';
import { takenAddressRegisters } from '../../../support/address-registers.js';
import { breakpointsAt, disturbedThreads } from '../../../support/code-bytes.js';
import { compileC } from '../../../support/compile-c.js';
import { openSymbols } from '../../../support/open-symbols.js';
import { type RunningProgram, startProgram } from '../../../support/running-program.js';
import { buildIdOf, symbolAddress } from '../uprobe/lab.js';
import { startTracer } from './tracer.js';

/** Two threads that work when they are told to, and memory without end where that is asked for. */
const path = compileC(
  `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile long value;
static volatile long rounds, wrong;
static volatile int works;

__attribute__((noinline, noipa)) long work(long x) { return x + 1; }
__attribute__((noinline, noipa)) long second(long x) { return x + 2; }
__attribute__((noinline, noipa)) long third(long x) { return x + 3; }
__attribute__((noinline, noipa)) long fourth(long x) { return x + 4; }
__attribute__((noinline, noipa)) long fifth(long x) { return x + 5; }

static void *busy(void *argument) {
  for (long i = 0;; usleep(500)) {
    if (!works) continue;
    i++;
    if (work(i) != i + 1 || second(i) != i + 2 || third(i) != i + 3 || fourth(i) != i + 4 || fifth(i) != i + 5) wrong++;
    value = i;
    __atomic_add_fetch(&rounds, 1, __ATOMIC_SEQ_CST);
  }
  return argument;
}

int main(void) {
  pthread_t thread;
  for (int i = 0; i < 2; i++) pthread_create(&thread, 0, busy, 0);
  puts("up");
  fflush(stdout);
  char line[16];
  while (fgets(line, sizeof line, stdin)) {
    if (line[0] == 'w') works = 1;
    while (line[0] == 'm') memset(malloc(1 << 20), 1, 1 << 20);
    printf("%ld %ld\\n", rounds, wrong);
    fflush(stdout);
  }
  return 7;
}
`,
  { name: 'greedy', flags: ['-g', '-O0'] },
);

const functions = ['work', 'second', 'third', 'fourth', 'fifth'];

function codePlan(names: readonly string[]): Plan {
  return {
    version: 1,
    module: { buildId: buildIdOf(path), path },
    sites: names.map((name) => {
      const linkAddress = symbolAddress(path, name);
      return { linkAddress, fileOffset: Number(linkAddress), function: name, inlined: false, ranges: [] };
    }),
    stackBytes: 0,
    maxBytes: 64,
    request: { location: names.join(), captures: [] },
  };
}

const watchPlan = (): Plan =>
  planPoint({
    symbols: openSymbols(path),
    modulePath: path,
    location: 'value',
    captures: [],
    watch: { onlyChanges: false },
  }).plan;

/** Whatever stays in a process when a point is not taken away. */
const kinds = [
  { what: 'a uprobe', engine: 'uprobe', plan: () => codePlan(['work']) },
  { what: 'hardware breakpoints', engine: 'ptrace', plan: () => codePlan(['work']) },
  { what: 'breakpoints in the code', engine: 'ptrace', plan: () => codePlan(functions) },
  { what: 'a watch', engine: 'watch', plan: watchPlan },
] as const;

const group = `/sys/fs/cgroup/memory/stillframe-greedy-${process.pid}`;
beforeAll(() => mkdirSync(group));
afterAll(async () => {
  while (readFileSync(join(group, 'cgroup.procs'), 'utf8') !== '') await sleep(5);
  rmdirSync(group);
});

const limit = (mebibytes: number): void =>
  writeFileSync(join(group, 'memory.limit_in_bytes'), String(mebibytes << 20));

async function ask(target: RunningProgram, what: 'work' | 'count' = 'count'): Promise<number> {
  target.child.stdin.write(`${what}\n`);
  const [rounds, wrong] = (await target.nextLine()).split(' ');
  expect(wrong).toBe('0');
  return Number(rounds);
}

async function expectUntouched(target: RunningProgram, folder: string): Promise<void> {
  while (disturbedThreads(target.pid).length > 0) await sleep(5);
  const code = functions.map((name) => symbolAddress(path, name));
  expect(breakpointsAt(target.pid, loadedAt(target.pid, code))).toBe(0);
  expect(takenAddressRegisters(target.pid)).toBe(0);
  expect(readdirSync(folder).filter((name) => name.startsWith(`${target.pid}-`))).toEqual([]);
  const before = await ask(target, 'work');
  while ((await ask(target)) <= before) await sleep(5);
  target.child.stdin.end();
  expect(await target.ended).toBe(7);
}

/** Link addresses, which are file offsets here, in the process. */
function loadedAt(pid: number, addresses: readonly bigint[]): readonly bigint[] {
  const first = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')[0] ?? '';
  const base = BigInt(`0x${first.split('-')[0]}`);
  return addresses.map((address) => base + address);
}

/** Undefined where it succeeds. */
function lookAt(tracer: TracerSupervisor, pid: number): Promise<StillframeError | undefined> {
  const look = { pid, tids: [], stackBytes: 1 << 16, maxBytes: 1 << 20, engine: 'observe' as const };
  return tracer.now(look).then(() => undefined, toStillframeError);
}

const point = { countOnly: true, maxHits: 1, minIntervalNs: 0n };

describe('a target that is killed for want of memory', () => {
  const { tracer, folder } = startTracer();

  test.each(kinds)('with $what', async ({ engine, plan }) => {
    const ends = new Map<string, PointEnd>();
    let restarts = 0;
    tracer.listen({
      hit: () => undefined,
      passed: () => undefined,
      ended: (pointId, _, reason) => ends.set(pointId, reason),
      restarted: () => restarts++,
    });
    limit(24);
    await using target = startProgram('sh', ['-c', `echo $$ > ${group}/cgroup.procs && exec ${path}`]);
    await using other = startProgram(path);
    for (const program of [target, other]) expect(await program.nextLine()).toBe('up');
    for (const program of [target, other]) {
      const pointId = program === target ? 'greedy' : 'other';
      await tracer.arm({ ...point, pointId, engine, pid: program.pid, plan: plan() });
      await ask(program, 'work');
    }
    const hits = async (pointId: string): Promise<bigint> =>
      (await tracer.counters([pointId]))[0]?.counters.hits ?? 0n;
    for (const pointId of ['greedy', 'other']) while ((await hits(pointId)) === 0n) await sleep(5);
    target.child.stdin.write('memory\n');
    expect(await target.ended).toBe('SIGKILL');
    while (!ends.has('greedy')) await sleep(5);
    expect(ends.get('greedy')).toMatchObject({
      kind: 'target-gone',
      detail: expect.stringContaining(String(target.pid)) as string,
    });
    const before = await hits('other');
    while ((await hits('other')) <= before) await sleep(5);
    expect(await tracer.disarm('other', other.pid)).toMatchObject({ dropped: 0n });
    expect([restarts, [...ends.keys()]]).toEqual([0, ['greedy']]);
    expect(readdirSync(folder)).toEqual([]);
    await expectUntouched(other, folder);
  });
});

describe('a tracer that is killed for want of memory', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'stillframe-hostile-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(kinds)('with $what', async ({ engine, plan }) => {
    // At rest: a thread that reaches a breakpoint in the code before it is put back would die, as the documentation says.
    await using target = startProgram(path);
    expect(await target.nextLine()).toBe('up');
    await using tracer = new TracerSupervisor({ journalFolder: folder, restartDelayMs: 10 });
    const restarted = new Promise<string>((resolve) => {
      tracer.listen({
        hit: () => undefined,
        passed: () => undefined,
        ended: () => undefined,
        restarted: resolve,
      });
    });
    const pid = await tracer.start();
    await tracer.arm({ ...point, pointId: 'p', engine, pid: target.pid, plan: plan() });
    // What it has is not counted, what it takes from now on is.
    writeFileSync(join(group, 'cgroup.procs'), String(pid));
    limit(1);
    const failures = new Set<string>();
    let gone: StillframeError | undefined;
    while (gone === undefined) {
      const error = await lookAt(tracer, target.pid);
      if (error?.code === 'unreachable') gone = error;
      else if (error !== undefined) failures.add(error.message);
    }
    // While it lives, what it cannot do for want of memory it says.
    for (const message of failures) expect(message).toContain('ENOMEM');
    expect(gone.message).toContain('SIGKILL');
    expect(await restarted).toContain('SIGKILL');
    expect(await tracer.counters(['p'])).toEqual([]);
    await expectUntouched(target, folder);
  });
});
