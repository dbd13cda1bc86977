/** Software breakpoints on instructions that threads run behind the code: each passing counted, the program right, nobody else made to stand still, signals at the right place, and the memory as it was. */
import { mkdtempSync, openSync, closeSync, readFileSync, readSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openMappedFile } from '../../../../agent/targets/mapped-file.js';
import { readMaps } from '../../../../agent/linux/proc.js';
import type { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import { readUserRegister } from '../../../../format/registers/x86-64.js';
import type { Plan } from '../../../../format/plan/plan.js';
import { compileC } from '../../../support/compile-c.js';
import { type RunningProgram, startProgram } from '../../../support/running-program.js';
import {
  countingPoint,
  planOfPlaces,
  startQuietTracer,
  switchesOfBystander,
  symbolAddress,
  threadTraces,
} from './target.js';

/** Places in `pass`, all of which each pass comes by once. */
const places = [
  'at_load',
  'at_relative',
  'at_store',
  'at_locked',
  'at_shift',
  'at_product',
  'at_choice',
  'at_vector',
  'at_repeat',
  'at_pop',
];
/** A string instruction that takes milliseconds, and is interrupted meanwhile. */
const longPlace = 'at_long';
const longPasses = 100;
const bigMib = 256;
const threads = 3;

const source = `#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

long table = 5, sum;
/* 5 * 3 * 8 + values[0] + values[1], or -1. */
long pass(long *values);
extern char at_load[];
__asm__(".text\\n"
        ".globl pass, ${places.join(', ')}\\n"
        ".type pass, @function\\n"
        "pass:\\n"
        "  pushq %rbx\\n"
        "at_load: movq (%rdi), %rax\\n"
        "at_relative: movq table(%rip), %rcx\\n"
        "at_store: movq %rcx, -64(%rsp)\\n"
        "at_locked: lock incq sum(%rip)\\n"
        "at_shift: shlq $3, %rcx\\n"
        "at_product: imulq $3, %rcx, %rcx\\n"
        "  cmpq $120, %rcx\\n"
        "  movq $-1, %rdx\\n"
        "at_choice: cmoveq %rcx, %rdx\\n"
        "at_vector: paddq (%rdi), %xmm0\\n"
        "  movq %rdi, %rsi\\n"
        "  leaq -128(%rsp), %rdi\\n"
        "  movl $16, %ecx\\n"
        "  cld\\n"
        "at_repeat: rep movsb\\n"
        "  addq -120(%rsp), %rax\\n"
        "  addq %rdx, %rax\\n"
        "at_pop: popq %rbx\\n"
        "  ret\\n"
        ".size pass, .-pass\\n"
        ".globl fill, ${longPlace}\\n"
        ".type fill, @function\\n"
        "fill:\\n"
        "  movl %edx, %eax\\n"
        "  movq %rsi, %rcx\\n"
        "${longPlace}: rep stosb\\n"
        "  ret\\n"
        ".size fill, .-fill\\n");
void fill(char *to, long count, int value);
extern char ${longPlace}[], etext[];
#ifdef RESTARTS
/* Somewhere in this file there is a restartable sequence. */
__asm__(".pushsection __rseq_cs, \\"aw\\"\\n.quad 0, 0, 0, 0\\n.popsection\\n");
#endif

static long passes, wrong, faults, strange;
static long *guarded;

static void on_fault(int signal, siginfo_t *info, void *context) {
  ucontext_t *at = context;
  (void)signal;
  faults++;
  if (at->uc_mcontext.gregs[REG_RIP] != (long)at_load || info->si_addr != guarded) strange++;
  mprotect(guarded, 4096, PROT_READ | PROT_WRITE);
}

static volatile long caught;
/* Nobody is behind the code, as far as it knows. */
static void on_alarm(int signal, siginfo_t *info, void *context) {
  unsigned long rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP], end = (unsigned long)etext;
  (void)signal, (void)info;
  if (rip == (unsigned long)${longPlace}) caught++;
  if (rip >= end && rip < (end | 4095) + 1) strange++;
}

static void fill_often(void) {
  static char room[1 << 25];
  struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
  setitimer(ITIMER_REAL, &often, 0);
  for (int i = 1; i <= ${longPasses}; i++) {
    fill(room, sizeof room, i);
    if (room[0] != i || room[sizeof room - 1] != i) wrong++;
  }
  setitimer(ITIMER_REAL, &never, 0);
}

/* Takes a page after the other, for as long as that takes. */
static void fill_much(void) {
  long size = ${bigMib} << 20;
  char *room = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  puts("filling");
  fflush(stdout);
  fill(room, size, 5);
  if (room[0] != 5 || room[size - 1] != 5) wrong++;
  munmap(room, size);
}

static void *run(void *argument) {
  long count = *(long *)argument;
  for (long i = 0; i < count; i++) {
    long values[2] = { i, i % 7 };
    if (pass(values) != 120 + i + i % 7) __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
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
  struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
  sigaction(SIGSEGV, &action, 0);
  guarded = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct sigaction alarmed = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART };
  sigaction(SIGALRM, &alarmed, 0);
  sigset_t alarms;
  sigemptyset(&alarms);
  sigaddset(&alarms, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarms, 0);
  pthread_create(&bystander, 0, rest, 0);
  pthread_sigmask(SIG_UNBLOCK, &alarms, 0);
  puts("up");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != 0) {
    long count = atol(line);
    passes = wrong = faults = strange = sum = caught = 0;
    if (line[0] == 'l') {
      fill_often();
      printf("%s, %ld strange, %ld wrong\\n", caught > 0 ? "caught" : "never caught", strange, wrong);
    } else if (line[0] == 'm') {
      fill_much();
      printf("filled, %ld wrong\\n", wrong);
    } else if (line[0] == 'f') {
      for (int i = 0; i < 100; i++) {
        mprotect(guarded, 4096, PROT_NONE);
        if (pass(guarded) != 120) wrong++;
      }
      printf("%ld faults, %ld strange, %ld wrong\\n", faults, strange, wrong);
    } else {
      for (int i = 0; i < ${threads}; i++) pthread_create(&all[i], 0, run, &count);
      for (int i = 0; i < ${threads}; i++) pthread_join(all[i], 0);
      printf("%ld passes, %ld sum, %ld wrong\\n", passes, sum, wrong);
    }
    fflush(stdout);
  }
  return 7;
}
`;
const program = compileC(source, { name: 'displaced', flags: ['-g', '-O1', '-fcf-protection=none'] });
const restarting = compileC(source, { name: 'restarting', flags: ['-g', '-O1', '-DRESTARTS'] });

const planFor = (path: string, names: readonly string[] = places): Plan => planOfPlaces(path, 'pass', names);
const startTracer = (): TracerSupervisor =>
  startQuietTracer({ journalFolder: folder, restartDelayMs: 60_000 });

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** How many bytes of its code differ from the file: in the memory of the process, to the end of the last page. */
function changedCode(pid: number): number {
  const mapping = readMaps(pid).find(({ permissions, inode }) => permissions === 'r-xp' && inode !== 0);
  if (mapping === undefined) throw new Error('no code is mapped');
  using file = openMappedFile(pid, mapping);
  const wanted = Buffer.alloc(Number(mapping.end - mapping.start));
  wanted.set(
    file.source.read(mapping.fileOffset, Math.min(wanted.length, file.source.size - mapping.fileOffset)),
  );
  const memory = Buffer.alloc(wanted.length);
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  try {
    readSync(fd, memory, 0, memory.length, mapping.start);
  } finally {
    closeSync(fd);
  }
  return memory.reduce((count, byte, i) => count + (byte === wanted[i] ? 0 : 1), 0);
}

function residentMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

async function ask(target: RunningProgram, line: string): Promise<string> {
  target.child.stdin.write(`${line}\n`);
  return await target.nextLine();
}

async function expectRight(target: RunningProgram, count: number): Promise<void> {
  const all = threads * count;
  expect(await ask(target, String(count))).toBe(`${all} passes, ${all} sum, 0 wrong`);
}

async function expectEnd(target: RunningProgram): Promise<void> {
  expect(threadTraces(target.pid).every(({ tracer }) => tracer === 0)).toBe(true);
  await expectRight(target, 1000);
  target.child.stdin.end();
  expect(await target.ended).toBe(7);
}

test('are passed without anybody else standing still, and nothing stays', { timeout: 120_000 }, async () => {
  await using target = startProgram(program);
  expect(await target.nextLine()).toBe('up');
  {
    await using tracer = startTracer();
    const armed = await tracer.arm({ ...countingPoint, pid: target.pid, plan: planFor(program) });
    expect(armed.refusals.join()).toContain('software breakpoints are used');
    expect(changedCode(target.pid)).toBeGreaterThan(places.length);
    const before = switchesOfBystander(target.pid);
    await expectRight(target, 200);
    expect(switchesOfBystander(target.pid)).toBe(before);
    const counters = await tracer.disarm('p', target.pid);
    expect(counters).toMatchObject({ hits: BigInt(threads * 200 * places.length), dropped: 0n });
  }
  expect(changedCode(target.pid)).toBe(0);
  await expectEnd(target);
});

test(
  'who faults there is told the place where it faults, and passes once',
  { timeout: 120_000 },
  async () => {
    await using target = startProgram(program);
    expect(await target.nextLine()).toBe('up');
    {
      await using tracer = startTracer();
      await tracer.arm({ ...countingPoint, pid: target.pid, plan: planFor(program) });
      expect(await ask(target, 'f')).toBe('100 faults, 0 strange, 0 wrong');
      const counters = await tracer.disarm('p', target.pid);
      expect(counters?.hits).toBe(BigInt(100 * places.length));
    }
    expect(changedCode(target.pid)).toBe(0);
    await expectEnd(target);
  },
);

test(
  'signals and looks at threads that are there find them at the instruction',
  { timeout: 120_000 },
  async () => {
    await using target = startProgram(program);
    expect(await target.nextLine()).toBe('up');
    {
      await using tracer = startTracer();
      const plan = planFor(program, [longPlace, ...places]);
      const armed = await tracer.arm({ ...countingPoint, pid: target.pid, plan });
      const answer = ask(target, 'l');
      const seen = new Set<bigint>();
      const isOver = answer.then(() => true);
      const request = { pid: target.pid, tids: [], stackBytes: 0, maxBytes: 4096, engine: 'ptrace' as const };
      while (!(await Promise.race([isOver, Promise.resolve(false)]))) {
        const { capture } = await tracer.now(request);
        for (const { registers } of capture.threads) {
          if (registers !== undefined) seen.add(readUserRegister(registers, 'rip'));
        }
      }
      expect(await answer).toBe('caught, 0 strange, 0 wrong');
      expect(seen).toContain(armed.addresses[0]);
      const bias = (armed.addresses[0] ?? 0n) - symbolAddress(program, longPlace);
      const end = symbolAddress(program, 'etext') + bias;
      expect([...seen].filter((pc) => pc >= end && pc < (end | 4095n) + 1n)).toEqual([]);
      const counters = await tracer.disarm('p', target.pid);
      expect(counters?.hits).toBe(BigInt(longPasses));
    }
    expect(changedCode(target.pid)).toBe(0);
    await expectEnd(target);
  },
);

test('what a killed tracer leaves behind is used again', { timeout: 120_000 }, async () => {
  await using target = startProgram(program);
  expect(await target.nextLine()).toBe('up');
  let left = 0;
  for (let round = 0; round < 2; round++) {
    await using tracer = startTracer();
    await tracer.arm({ ...countingPoint, pid: target.pid, plan: planFor(program) });
    await expectRight(target, 20);
    // Nobody is at the addresses now: a thread that came by before the bytes are put back would die, as the documentation says.
    process.kill(await tracer.start(), 'SIGKILL');
    await expect.poll(() => readdirSync(folder), { timeout: 60_000 }).toEqual([]);
    const changed = changedCode(target.pid);
    expect(changed).toBeGreaterThan(0);
    if (round > 0) expect(changed).toBe(left);
    left = changed;
    await expectRight(target, 100);
  }
  {
    await using tracer = startTracer();
    await tracer.arm({ ...countingPoint, pid: target.pid, plan: planFor(program) });
    await expectRight(target, 20);
  }
  expect(changedCode(target.pid)).toBe(left);
  await expectEnd(target);
});

test('a thread that is there when the tracer is killed runs on', { timeout: 120_000 }, async () => {
  await using target = startProgram(program);
  expect(await target.nextLine()).toBe('up');
  await using tracer = startTracer();
  await tracer.arm({ ...countingPoint, pid: target.pid, plan: planFor(program, [longPlace, ...places]) });
  const before = residentMib(target.pid);
  expect(await ask(target, 'm')).toBe('filling');
  while (residentMib(target.pid) < before + bigMib / 16)
    await new Promise((resolve) => setTimeout(resolve, 1));
  process.kill(await tracer.start(), 'SIGKILL');
  expect(await target.nextLine()).toBe('filled, 0 wrong');
  await expect.poll(() => readdirSync(folder), { timeout: 60_000 }).toEqual([]);
  expect(changedCode(target.pid)).toBeGreaterThan(0);
  await expectEnd(target);
});

test('a file with restartable sequences is run where it is', { timeout: 120_000 }, async () => {
  await using target = startProgram(restarting);
  expect(await target.nextLine()).toBe('up');
  {
    await using tracer = startTracer();
    await tracer.arm({ ...countingPoint, pid: target.pid, plan: planFor(restarting) });
    expect(changedCode(target.pid)).toBe(places.length);
    await expectRight(target, 10);
    const counters = await tracer.disarm('p', target.pid);
    expect(counters?.hits).toBe(BigInt(threads * 10 * places.length));
  }
  await expectEnd(target);
});
