/** Software breakpoints on instructions that are done for the thread: each passing counted, the program right, and nobody else made to stand still. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compileC } from '../../../support/compile-c.js';
import { startProgram } from '../../../support/running-program.js';
import { countingPoint, planOfPlaces, startQuietTracer, switchesOfBystander } from './target.js';

/** Places in `pass`, of which each pass comes by nine: by `at_jmp` and `at_lea`, or by `at_nop` and `at_index`. */
const places = [
  'at_push',
  'at_push_r12',
  'at_push_rsp',
  'at_mov',
  'at_call',
  'at_cmp',
  'at_jl',
  'at_lea',
  'at_jmp',
  'at_nop',
  'at_index',
];
const perPass = 9;
const threads = 3;

const program = compileC(
  `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* 2a, or 3b where a < b; -1 where the stack pointer was not pushed as it was. */
long pass(long a, long b);
__asm__(".text\\n"
        ".globl pass, at_push, at_push_r12, at_push_rsp, at_mov, at_call, at_cmp, at_jl, at_lea, at_jmp, at_nop, at_index\\n"
        ".type pass, @function\\n"
        "pass:\\n"
        "at_push: pushq %rbx\\n"
        "at_push_r12: pushq %r12\\n"
        "at_push_rsp: pushq %rsp\\n"
        "  popq %rax\\n"
        "  cmpq %rsp, %rax\\n"
        "  jne 3f\\n"
        "at_mov: movq %rdi, %rbx\\n"
        "  movq %rsi, %r12\\n"
        "at_call: call 4f\\n"
        "at_cmp: cmpq %r12, %rbx\\n"
        "at_jl: jl 1f\\n"
        "at_lea: leaq (%rbx,%rbx), %rax\\n"
        "at_jmp: jmp 2f\\n"
        "1:\\n"
        "at_nop: nopl 0(%rax,%rax)\\n"
        "at_index: leaq (%r12,%r12,2), %rax\\n"
        "2: popq %r12\\n"
        "  popq %rbx\\n"
        "  ret\\n"
        "3: movq $-1, %rax\\n"
        "  jmp 2b\\n"
        "4: ret\\n"
        ".size pass, .-pass\\n");

static long passes, wrong;

static void *run(void *argument) {
  long count = *(long *)argument;
  for (long i = 0; i < count; i++) {
    long a = i % 7 - 3, b = i % 5 - 2;
    if (pass(a, b) != (a < b ? 3 * b : 2 * a)) __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&passes, 1, __ATOMIC_SEQ_CST);
  }
  return 0;
}

static void *rest(void *argument) {
  for (;;) pause();
  return argument;
}

int main(void) {
  pthread_t bystander, all[${threads}];
  pthread_create(&bystander, 0, rest, 0);
  puts("up");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != 0) {
    long count = atol(line);
    passes = wrong = 0;
    for (int i = 0; i < ${threads}; i++) pthread_create(&all[i], 0, run, &count);
    for (int i = 0; i < ${threads}; i++) pthread_join(all[i], 0);
    printf("%ld passes, %ld wrong\\n", passes, wrong);
    fflush(stdout);
  }
  return 7;
}
`,
  { name: 'emulated', flags: ['-g', '-O1'] },
);

const plan = planOfPlaces(program, 'pass', places);

test('are passed without anybody else standing still', { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  await using target = startProgram(program);
  try {
    expect(await target.nextLine()).toBe('up');
    await using tracer = startQuietTracer({ journalFolder: folder });
    const armed = await tracer.arm({ ...countingPoint, pid: target.pid, plan });
    expect(armed.refusals.join()).toContain('software breakpoints are used');
    const before = switchesOfBystander(target.pid);
    expect(before).toBeGreaterThan(0);
    target.child.stdin.write('200\n');
    expect(await target.nextLine()).toBe(`${threads * 200} passes, 0 wrong`);
    expect(switchesOfBystander(target.pid)).toBe(before);
    const counters = await tracer.disarm('p', target.pid);
    expect(counters).toMatchObject({ hits: BigInt(threads * 200 * perPass), dropped: 0n, faults: 0n });
    target.child.stdin.write('1000\n');
    expect(await target.nextLine()).toBe(`${threads * 1000} passes, 0 wrong`);
    target.child.stdin.end();
    expect(await target.ended).toBe(7);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
