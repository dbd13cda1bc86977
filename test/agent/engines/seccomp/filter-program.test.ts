import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { callWords, evaluateFilter } from '../../../../agent/engines/seccomp/filter-program.js';
import { whyRefused, type FilteredCall } from '../../../../agent/engines/seccomp/verdict.js';
import { compileC } from '../../../support/compile-c.js';

type Line = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number];

function program(lines: readonly Line[]): Buffer {
  const bytes = Buffer.alloc(lines.length * 8);
  for (const [i, [code, jumpTrue, jumpFalse, k]] of lines.entries()) {
    bytes.writeUInt16LE(code, i * 8);
    bytes.writeUInt8(jumpTrue, i * 8 + 2);
    bytes.writeUInt8(jumpFalse, i * 8 + 3);
    bytes.writeUInt32LE(k, i * 8 + 4);
  }
  return bytes;
}

const loadWord = (index: number): Line => [0x20, 0, 0, index * 4];
const ret = (value: number): Line => [0x06, 0, 0, value];
const RET_A: Line = [0x16, 0, 0, 0];
const JEQ = 0x15;

/** Words 0 to 15, but for what is not known. */
const words = (unknown: readonly number[] = []): (number | undefined)[] =>
  Array.from({ length: callWords }, (_, i) => (unknown.includes(i) ? undefined : 1000 + i));

describe('a filter', () => {
  test.each<{
    what: string;
    lines: readonly Line[];
    unknown?: readonly number[];
    result: number | undefined;
  }>([
    { what: 'returns a constant', lines: [ret(7)], result: 7 },
    { what: 'returns a word', lines: [loadWord(4), RET_A], result: 1004 },
    { what: 'returns its length of data', lines: [[0x80, 0, 0, 0], RET_A], result: 64 },
    { what: 'jumps where equal', lines: [loadWord(0), [JEQ, 0, 1, 1000], ret(1), ret(2)], result: 1 },
    { what: 'jumps where not', lines: [loadWord(0), [JEQ, 0, 1, 1001], ret(1), ret(2)], result: 2 },
    {
      what: 'decides by what is not known',
      lines: [loadWord(4), [JEQ, 0, 1, 1], ret(1), ret(2)],
      unknown: [4],
      result: undefined,
    },
    { what: 'returns what is not known', lines: [loadWord(4), RET_A], unknown: [4], result: undefined },
    {
      what: 'reads what is not known, and decides by another word',
      lines: [loadWord(4), loadWord(0), [JEQ, 0, 1, 1000], ret(1), ret(2)],
      unknown: [4],
      result: 1,
    },
    {
      what: 'keeps what is not known in memory',
      lines: [loadWord(4), [0x02, 0, 0, 3], loadWord(0), [0x60, 0, 0, 3], RET_A],
      unknown: [4],
      result: undefined,
    },
    {
      what: 'calculates with what is not known',
      lines: [loadWord(4), [0x54, 0, 0, 1], RET_A],
      unknown: [4],
      result: undefined,
    },
  ])('$what', ({ lines, unknown, result }) => {
    expect(evaluateFilter(program(lines), words(unknown))).toBe(result);
  });

  test.each<{ what: string; bytes: Uint8Array; message: string }>([
    { what: 'of half an instruction', bytes: new Uint8Array(12), message: '12 bytes are no program' },
    { what: 'without an end', bytes: program([loadWord(0)]), message: 'it has no end' },
    { what: 'that jumps past its end', bytes: program([[0x05, 0, 0, 9]]), message: 'it has no end' },
    {
      what: 'that reads past its data',
      bytes: program([[0x20, 0, 0, 64], RET_A]),
      message: 'instruction 0x20 is none of seccomp',
    },
    {
      what: 'that reads a packet',
      bytes: program([[0x40, 0, 0, 0], RET_A]),
      message: 'instruction 0x40 is none of seccomp',
    },
    {
      what: 'of more memory than there is',
      bytes: program([[0x02, 0, 0, 16], RET_A]),
      message: 'it has no word 16 of memory',
    },
    { what: 'that divides by 0', bytes: program([[0x3c, 0, 0, 0], RET_A]), message: 'it divides by 0' },
  ])('$what is refused', ({ bytes, message }) => {
    expect(() => evaluateFilter(bytes, words())).toThrow(`cannot evaluate a seccomp filter: ${message}`);
  });
});

describe('filters, one upon another', () => {
  const call: FilteredCall = {
    name: 'clone',
    number: 56,
    programCounter: 0x7000_0000_1234n,
    args: [undefined, 5n],
  };
  test.each<{ what: string; filters: readonly (readonly Line[])[]; reason: string | undefined }>([
    { what: 'none', filters: [], reason: undefined },
    {
      what: 'the least action wins',
      filters: [[ret(0x7fff_0000)], [ret(0x0003_0000)], [ret(0x0005_0001)]],
      reason: 'seccomp answers clone with SECCOMP_RET_TRAP',
    },
    {
      what: 'killing the process is less than killing the thread',
      filters: [[ret(0)], [ret(0x8000_0000)]],
      reason: 'seccomp answers clone with SECCOMP_RET_KILL_PROCESS',
    },
    {
      what: 'an action that nobody knows',
      filters: [[ret(0x1234_0000)]],
      reason: 'seccomp answers clone with 0x12340000',
    },
    { what: 'data of an action that allows', filters: [[ret(0x7fff_00ff)]], reason: undefined },
    {
      what: 'low word of the program counter',
      filters: [[loadWord(2), [JEQ, 0, 1, 0x1234], ret(0), ret(0x7fff_0000)]],
      reason: 'seccomp answers clone with SECCOMP_RET_KILL_THREAD',
    },
    {
      what: 'high word of the program counter',
      filters: [[loadWord(3), [JEQ, 0, 1, 0x7000], ret(0x7fff_0000), ret(0)]],
      reason: undefined,
    },
    {
      what: 'an argument that is not known',
      filters: [[loadWord(4), [JEQ, 0, 1, 1], ret(0), ret(0x7fff_0000)]],
      reason: 'what seccomp answers to clone depends on what is not known before',
    },
    {
      what: 'the upper half of a process id, which is known',
      filters: [[loadWord(5), [JEQ, 0, 1, 0], ret(0x7fff_0000), ret(0)]],
      reason: undefined,
    },
  ])('$what', ({ filters, reason }) => {
    expect(whyRefused(filters.map(program), call)).toBe(reason);
  });
});

/** Deterministic, 32 bits. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const alu = [0x00, 0x10, 0x20, 0x40, 0x50, 0xa0];

/** A program that the kernel takes, and that answers each call with an errno which it calculates. */
function randomProgram(next: () => number): Line[] {
  const length = 3 + (next() % 30);
  // The kernel wants memory to be written before it is read, on every way there.
  const lines: Line[] = Array.from({ length: 16 }, (_, i): Line => [0x02, 0, 0, i]);
  const constant = (): number => (next() % 3 === 0 ? next() : next() % 8);
  for (let i = 0; i < length; i++) {
    const left = Math.min(4, length - i - 1);
    const one: readonly (() => Line)[] = [
      () => loadWord(next() % callWords),
      () => [0x00, 0, 0, constant()],
      () => [0x01, 0, 0, constant()],
      () => [0x60, 0, 0, next() % 16],
      () => [0x61, 0, 0, next() % 16],
      () => [0x02, 0, 0, next() % 16],
      () => [0x03, 0, 0, next() % 16],
      () => [0x07, 0, 0, 0],
      () => [0x87, 0, 0, 0],
      () => [0x84, 0, 0, 0],
      () => [0x04 | (alu[next() % alu.length] ?? 0), 0, 0, constant()],
      () => [0x0c | (alu[next() % alu.length] ?? 0), 0, 0, 0],
      () => [0x34, 0, 0, 1 + (next() % 100)],
      () => [next() % 2 === 0 ? 0x64 : 0x74, 0, 0, next() % 32],
      () => [next() % 2 === 0 ? 0x6c : 0x7c, 0, 0, 0],
      () => [
        0x05 | ((1 + (next() % 4)) << 4) | (next() % 2 === 0 ? 8 : 0),
        next() % (left + 1),
        next() % (left + 1),
        constant(),
      ],
      () => [0x05, 0, 0, next() % (left + 1)],
    ];
    const line = one[next() % one.length]?.();
    if (line !== undefined) lines.push(line);
  }
  // All of the answer counts: two foldings of it into 12 bits.
  return [
    ...lines,
    [0x07, 0, 0, 0],
    [0x74, 0, 0, 12],
    [0xac, 0, 0, 0],
    [0x54, 0, 0, 0xfff],
    [0x44, 0, 0, 0x0005_0000],
    RET_A,
  ];
}

test('300 random filters answer as the kernel has them answer', () => {
  const next = random(20_261_127);
  const cases = Array.from({ length: 300 }, () => ({
    lines: randomProgram(next),
    number: next() % 1000,
    args: Array.from({ length: 6 }, () => (BigInt(next() % 5 === 0 ? next() : 0) << 32n) | BigInt(next())),
  }));
  const input = cases
    .map(({ lines, number, args }) => `${number} ${args.join(' ')} ${lines.length} ${lines.flat().join(' ')}`)
    .join('\n');
  const { stdout, status, stderr } = spawnSync(kernelProgram, { input: `${input}\n`, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const answers = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(BigInt));
  const low = (value: bigint): number => Number(BigInt.asUintN(32, value));
  const expected = cases.map(({ lines, number, args }, i) => {
    const counter = answers[i]?.[1] ?? 0n;
    const halves = [counter, ...args].flatMap((value) => [low(value), low(value >> 32n)]);
    return evaluateFilter(program(lines), [number, 0xc000_003e, ...halves]);
  });
  expect(answers.map(([errno]) => Number(errno))).toEqual(expected.map((answer) => (answer ?? 0) & 0xfff));
  expect(new Set(expected).size).toBeGreaterThan(60);
});

/** For each line of its input: what the kernel answers, and where the call was made. */
const kernelProgram = compileC(
  `#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static struct { long result; unsigned long counter; } *shared;
int main(void) {
  struct rlimit none = { 0, 0 };
  setrlimit(RLIMIT_CORE, &none);
  shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  unsigned long number, a[6], length;
  while (scanf("%lu %lu %lu %lu %lu %lu %lu %lu", &number, a, a + 1, a + 2, a + 3, a + 4, a + 5, &length) == 8) {
    struct sock_filter code[64];
    for (unsigned long i = 0; i < length; i++) {
      unsigned long c, t, f, k;
      if (scanf("%lu %lu %lu %lu", &c, &t, &f, &k) != 4) return 2;
      code[i] = (struct sock_filter){ c, t, f, k };
    }
    shared->result = -99;
    pid_t child = fork();
    if (child == 0) {
      struct sock_fprog program = { length, code };
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) { perror("seccomp"); _exit(1); }
      register unsigned long r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
      long result = number;
      __asm__ volatile("syscall\\n1: lea 1b(%%rip), %%rcx\\n" : "+a"(result), "=&c"(shared->counter) : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9) : "r11", "memory");
      shared->result = result;
      __builtin_trap();
    }
    int status;
    waitpid(child, &status, 0);
    printf("%ld %lu\\n", -shared->result, shared->counter);
  }
  return 0;
}
`,
  { name: 'kernel-filter' },
);
