/**
 * Threads that wait for each other, at software breakpoints that are stepped over: one that is left standing after a step holds up all others, and then
 * nothing comes by that would let it run.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import type { Plan } from '../../../../format/plan/plan.js';
import { compileC } from '../../../support/compile-c.js';
import { startProgram } from '../../../support/running-program.js';
import { buildIdOf, symbolAddress } from './target.js';

const threads = 4;
const rounds = 25;
const turns = 10;
/** Each turn comes by the first, which cannot be done for the thread; more than four make breakpoints in code of them. */
const places = ['at_store', 'at_repeat', 'unused2', 'unused3', 'unused4'];

const program = compileC(
  `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* *number + 3, and stores *number + 5. */
long turn(long *number);
void clear(char *bytes, long count);
__asm__(".text\\n"
        ".globl turn, clear, at_store, at_repeat, unused2, unused3, unused4\\n"
        ".type turn, @function\\n"
        "turn: movq (%rdi), %rax\\n"
        "  addq $5, %rax\\n"
        "at_store: movq %rax, (%rdi)\\n"
        "  subq $2, %rax\\n"
        "  ret\\n"
        "clear: movq %rsi, %rcx\\n"
        "  xorl %eax, %eax\\n"
        "at_repeat: rep stosb\\n"
        "  ret\\n"
        "unused2: nop\\n"
        "unused3: nop\\n"
        "unused4: nop\\n"
        ".size turn, .-turn\\n");

static pthread_barrier_t together;
static long wrong;

static void *run(void *argument) {
  long count = *(long *)argument, number = 0;
  for (long i = 0; i < count; i++) {
    for (long j = 0; j < ${turns}; j++) {
      long before = number;
      if (turn(&number) != before + 3 || number != before + 5) __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
    }
    pthread_barrier_wait(&together);
  }
  return 0;
}

static volatile int goes_on;

/* All the time, and each for itself. */
static void *run_on(void *argument) {
  while (goes_on) {
    long number = 0;
    if (turn(&number) != 3 || number != 5) __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
  }
  return argument;
}

int main(void) {
  pthread_t all[${threads}];
  pthread_barrier_init(&together, 0, ${threads});
  puts("up");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != 0) {
    long count = atol(line);
    if (count < 0) {
      static char bytes[4096];
      clear(bytes, -count);
      puts("clear");
      fflush(stdout);
      continue;
    }
    if (count == 0) {
      goes_on = !goes_on;
      for (int i = 0; i < ${threads}; i++) if (goes_on) pthread_create(&all[i], 0, run_on, 0); else pthread_join(all[i], 0);
      printf("%d, %ld wrong\\n", goes_on, wrong);
      fflush(stdout);
      continue;
    }
    for (int i = 0; i < ${threads}; i++) pthread_create(&all[i], 0, run, &count);
    for (int i = 0; i < ${threads}; i++) pthread_join(all[i], 0);
    printf("%ld rounds, %ld wrong\\n", count, wrong);
    fflush(stdout);
  }
  return 7;
}
`,
  { name: 'together', flags: ['-g', '-O1', '-pthread'] },
);

const plan: Plan = {
  version: 1,
  module: { buildId: buildIdOf(program), path: program },
  sites: places.map((name) => {
    const linkAddress = symbolAddress(program, name);
    return { linkAddress, fileOffset: Number(linkAddress), function: 'turn', inlined: false, ranges: [] };
  }),
  stackBytes: 0,
  maxBytes: 1,
  request: { location: 'turn', captures: [] },
};

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function startTracer(): TracerSupervisor {
  const tracer = new TracerSupervisor({ journalFolder: folder });
  tracer.listen({
    hit: () => undefined,
    ended: () => undefined,
    passed: () => undefined,
    restarted: () => undefined,
  });
  return tracer;
}

const point = { pointId: 'p', engine: 'ptrace' as const, maxHits: 1, minIntervalNs: 0n, countOnly: true };

test('threads that wait for each other all come by, each time', { timeout: 120_000 }, async () => {
  await using target = startProgram(program);
  expect(await target.nextLine()).toBe('up');
  await using tracer = startTracer();
  await tracer.arm({ ...point, pid: target.pid, plan });
  target.child.stdin.write(`${rounds}\n`);
  expect(await target.nextLine()).toBe(`${rounds} rounds, 0 wrong`);
  const counters = await tracer.disarm('p', target.pid);
  expect(counters).toMatchObject({ hits: BigInt(threads * rounds * turns), dropped: 0n, faults: 0n });
  expect(readdirSync(folder)).toEqual([]);
  target.child.stdin.end();
  expect(await target.ended).toBe(7);
});

test(
  'a process outlives that breakpoints are taken away while all its threads run into them',
  { timeout: 120_000 },
  async () => {
    await using target = startProgram(program);
    expect(await target.nextLine()).toBe('up');
    await using tracer = startTracer();
    target.child.stdin.write('0\n');
    expect(await target.nextLine()).toBe('1, 0 wrong');
    for (let i = 0; i < 3; i++) {
      const pointId = `p${i}`;
      await tracer.arm({ ...point, pointId, pid: target.pid, plan });
      while (((await tracer.counters([pointId]))[0]?.counters.hits ?? 0n) < 5n) await sleep(1);
      expect((await tracer.disarm(pointId, target.pid))?.hits).toBeGreaterThanOrEqual(5n);
      expect(await Promise.race([target.ended, Promise.resolve('running')])).toBe('running');
    }
    target.child.stdin.write('0\n');
    expect(await target.nextLine()).toBe('0, 0 wrong');
    target.child.stdin.end();
    expect(await target.ended).toBe(7);
  },
);

test('an instruction that repeats itself is one hit', { timeout: 120_000 }, async () => {
  await using target = startProgram(program);
  expect(await target.nextLine()).toBe('up');
  await using tracer = startTracer();
  await tracer.arm({ ...point, pid: target.pid, plan });
  target.child.stdin.write('-2000\n');
  expect(await target.nextLine()).toBe('clear');
  expect((await tracer.disarm('p', target.pid))?.hits).toBe(1n);
});
