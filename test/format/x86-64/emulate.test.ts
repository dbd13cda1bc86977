/** Instructions done by hand, against what the processor does. */
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { userRegisterOffset, userRegistersBytes } from '../../../format/registers/x86-64.js';
import type { UserRegisterName } from '../../../format/registers/x86-64.js';
import { emulate } from '../../../format/x86-64/emulate.js';
import { compileC } from '../../support/compile-c.js';

const rip = 0x55_5555_5000n;

function registers(values: Partial<Record<UserRegisterName, bigint>>): Buffer {
  const buffer = Buffer.alloc(userRegistersBytes);
  for (const [name, value] of Object.entries({ rip, ...values }) as [UserRegisterName, bigint][])
    buffer.writeBigUInt64LE(value, userRegisterOffset(name));
  return buffer;
}

const run = (bytes: readonly number[], values = {}): ReturnType<typeof emulate> =>
  emulate(Uint8Array.from([...bytes, 0xcc, 0xcc]), registers(values));

/** Carry, parity, zero, sign and overflow, each set or not. */
const flagBits = [0, 2, 6, 7, 11];
const allFlags = Array.from({ length: 32 }, (_, n) =>
  flagBits.reduce((flags, bit, i) => flags | (((n >> i) & 1) << bit), 0x202),
);

/** For each condition and each set of flags, as the processor decides: 1 where the jump is taken. */
function takenByProcessor(): string {
  const conditions = [
    'o',
    'no',
    'b',
    'nb',
    'z',
    'nz',
    'be',
    'nbe',
    's',
    'ns',
    'p',
    'np',
    'l',
    'nl',
    'le',
    'nle',
  ];
  const cases = conditions.map(
    (name) => `
    for (int i = 0; i < 32; i++) {
      unsigned long taken;
      __asm__ volatile("pushq %1\\n popfq\\n mov $1, %0\\n j${name} 1f\\n mov $0, %0\\n1:" : "=&r"(taken) : "r"(flags[i]) : "cc", "memory");
      putchar('0' + (int)taken);
    }`,
  );
  const source = `#include <stdio.h>
static const unsigned long flags[] = {${allFlags.join(', ')}};
int main(void) {${cases.join('')}
  return 0;
}`;
  return execFileSync(compileC(source, { name: 'conditions', flags: ['-O1', '-mno-red-zone'] }), {
    encoding: 'utf8',
  });
}

describe('a conditional jump is taken when the processor takes it', () => {
  const taken = takenByProcessor();
  const decided = (bytes: (condition: number) => readonly number[]): string =>
    Array.from({ length: 16 }, (_, condition) =>
      allFlags
        .map((flags) => run(bytes(condition), { eflags: BigInt(flags) })?.rip)
        .map((to) => {
          if (to === rip + BigInt(bytes(condition).length)) return '0';
          return to === rip + BigInt(bytes(condition).length) + 0x10n ? '1' : '?';
        })
        .join(''),
    ).join('');
  test('short', () => {
    expect(decided((condition) => [0x70 | condition, 0x10])).toBe(taken);
  });
  test('near', () => {
    expect(decided((condition) => [0x0f, 0x80 | condition, 0x10, 0, 0, 0])).toBe(taken);
  });
});

test.each([
  ['nop', [0x90], rip + 1n],
  ['nop of two bytes', [0x66, 0x90], rip + 2n],
  ['nop of five bytes', [0x0f, 0x1f, 0x44, 0x00, 0x00], rip + 5n],
  ['nop of nine bytes', [0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], rip + 9n],
  ['pause', [0xf3, 0x90], rip + 2n],
  ['endbr64', [0xf3, 0x0f, 0x1e, 0xfa], rip + 4n],
  ['jmp back', [0xeb, 0xfe], rip],
  ['jmp near, back', [0xe9, 0x00, 0xff, 0xff, 0xff], rip + 5n - 0x100n],
  ['jne back, taken', [0x75, 0xf0], rip + 2n - 0x10n],
] as const)('%s', (_, bytes, to) => {
  expect(run(bytes)).toEqual({ rip: to });
});

test('a jump wraps around the end of addresses', () => {
  expect(run([0xeb, 0x7f], { rip: 0xffff_ffff_ffff_fff0n })).toEqual({ rip: 0x71n });
});

test('a push of each register brings its value, of the stack pointer that of before', () => {
  const names = [
    'rax',
    'rcx',
    'rdx',
    'rbx',
    'rsp',
    'rbp',
    'rsi',
    'rdi',
    'r8',
    'r9',
    'r10',
    'r11',
    'r12',
    'r13',
    'r14',
    'r15',
  ] as const;
  names.forEach((name, i) => {
    const bytes = i < 8 ? [0x50 + i] : [0x41, 0x50 + i - 8];
    expect(run(bytes, { [name]: 0x8000_0000_0000_0000n + BigInt(i) })).toEqual({
      rip: rip + BigInt(bytes.length),
      pushed: 0x8000_0000_0000_0000n + BigInt(i),
    });
  });
});

test('a call brings where the thread comes back to', () => {
  expect(run([0xe8, 0x10, 0, 0, 0])).toEqual({ rip: rip + 0x15n, pushed: rip + 5n });
  expect(run([0xe8, 0xf0, 0xff, 0xff, 0xff])).toEqual({ rip: rip - 11n, pushed: rip + 5n });
});

test.each([
  ['call with a prefix', [0x66, 0xe8, 0, 0, 0, 0]],
  ['call through a register', [0xff, 0xd0]],
  ['return', [0xc3]],
  ['push of two bytes', [0x66, 0x50]],
  ['push with another prefix', [0x48, 0x50]],
  ['push of a constant', [0x6a, 0x01]],
  ['jump through a register', [0xff, 0xe0]],
  ['jump with a prefix', [0x66, 0xe9, 0, 0, 0, 0]],
  ['conditional jump with a hint', [0x2e, 0x75, 0x10]],
  ['xchg r8, rax', [0x41, 0x90]],
  ['cut off', []],
] as const)('is left to the processor: %s', (_, bytes) => {
  expect(run(bytes)).toBeUndefined();
});
