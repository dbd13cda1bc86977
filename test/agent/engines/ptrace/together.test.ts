/**
 * Threads that wait for each other, at software breakpoints that are stepped over: one that is left standing after a step holds up all others, and then
 * nothing comes by that would let it run.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import type { Plan } from '../../../../format/plan/plan.js';
import { compileC } from '../../../support/compile-c.js';
import { startProgram } from '../../../support/running-program.js';
import { countingPoint, planOfPlaces, startQuietTracer } from './target.js';

const threads = 4;
const rounds = 10;
const turns = 10;
/** Each turn comes by the first, which cannot be done for the thread; more than four make breakpoints in code of them. */
const places = ['at_store', 'at_repeat', 'unused2', 'unused3', 'unused4'];

const program = compileC(
  `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
        ".size turn, .-turn\\n"
        ".globl contended, at_1, at_2, at_3, at_4, at_5\\n"
        ".type contended, @function\\n"
        "contended:\\n"
        "at_1: movq (%rdi), %rax\\n"
        "at_2: addq $5, %rax\\n"
        "at_3: movq %rax, (%rdi)\\n"
        "at_4: subq $2, %rax\\n"
        "at_5: ret\\n"
        ".size contended, .-contended\\n");
long contended(long *number);

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

static pthread_barrier_t five;

static void *contend(void *argument) {
  long count = *(long *)argument, number = 0;
  for (long i = 0; i < count; i++) {
    for (long j = 0; j < 4; j++) {
      long before = number;
      if (contended(&number) != before + 3) __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
    }
    pthread_barrier_wait(&five);
  }
  return 0;
}

static volatile int goes_on;

/* Each for itself, with rests that leave others a processor. */
static void *run_on(void *argument) {
  while (goes_on) {
    long number = 0;
    usleep(50);
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
    if (line[0] == 'c') {
      pthread_t contending[5];
      count = atol(line + 1);
      pthread_barrier_init(&five, 0, 5);
      for (int i = 0; i < 5; i++) pthread_create(&contending[i], 0, contend, &count);
      for (int i = 0; i < 5; i++) pthread_join(contending[i], 0);
      printf("%ld contended, %ld wrong\\n", count, wrong);
      fflush(stdout);
      continue;
    }
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

const planAt = (names: readonly string[]): Plan => planOfPlaces(program, 'turn', names);
const plan = planAt(places);
const startTracer = (): TracerSupervisor => startQuietTracer({ journalFolder: folder });

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('threads that wait for each other all come by, each time', { timeout: 120_000 }, async () => {
  await using target = startProgram(program);
  expect(await target.nextLine()).toBe('up');
  await using tracer = startTracer();
  await tracer.arm({ ...countingPoint, pid: target.pid, plan });
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
    for (let i = 0; i < 2; i++) {
      const pointId = `p${i}`;
      await tracer.arm({ ...countingPoint, pointId, pid: target.pid, plan });
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
  await tracer.arm({ ...countingPoint, pid: target.pid, plan });
  target.child.stdin.write('-2000\n');
  expect(await target.nextLine()).toBe('clear');
  expect((await tracer.disarm('p', target.pid))?.hits).toBe(1n);
});

test(
  'threads that step at the same time, with processors for all, are none of them left standing',
  { timeout: 120_000 },
  async () => {
    // In real time, so that they meet at breakpoints on a busy machine as they do on one that is at rest.
    await using target = startProgram('chrt', ['-r', '1', program]);
    expect(await target.nextLine()).toBe('up');
    await using tracer = startTracer();
    execFileSync('chrt', ['-a', '-r', '-p', '1', String(await tracer.start())]);
    await tracer.arm({
      ...countingPoint,
      pid: target.pid,
      plan: planAt(['at_1', 'at_2', 'at_3', 'at_4', 'at_5']),
    });
    target.child.stdin.write('c 10\n');
    expect(await target.nextLine()).toBe('10 contended, 0 wrong');
    expect((await tracer.disarm('p', target.pid))?.hits).toBe(1000n);
  },
);
