/** What is computed with registers, against the processor: every form, registers of all kinds, all that flags and widths may be. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { decodeEmulation, emulate } from '../../../format/x86-64/emulate.js';
import {
  userRegisterOffset,
  userRegistersBytes,
  type UserRegisterName,
} from '../../../format/registers/x86-64.js';
import { compileC } from '../../support/compile-c.js';
import { Random } from '../../agent/engines/uprobe/random-plan.js';

const rounds = 6;
/** In the order in which instructions encode them. */
const names = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(
  ' ',
) as UserRegisterName[];
const random = new Random(11);
const byte = (): number => random.below(256);
const constant = (): number[] =>
  random.chance(50) ? [byte(), byte(), byte(), byte()] : [random.below(9), 0, 0, 0];

/** Without REX.W, with it, and with registers of either half. */
const prefixes = [[], [0x41], [0x44], [0x45], [0x48], [0x49], [0x4c], [0x4d]];

function forms(): number[][] {
  const both = (): number => 0xc0 | random.below(64);
  const digit = (value: number): number => 0xc0 | (value << 3) | random.below(8);
  const operations = [0, 1, 4, 5, 6, 7];
  return prefixes.flatMap((prefix) => {
    const wide = ((prefix[0] ?? 0) & 8) !== 0;
    const plain = [
      [0x89, both()],
      [0x8b, both()],
      [0x85, both()],
      [0xc7, digit(0), ...constant()],
      [0xf7, digit(0), ...constant()],
      [0xa9, ...constant()],
      [0xb8 | random.below(8), ...constant(), ...(wide ? constant() : [])],
      ...operations.flatMap((n) => [
        [(n << 3) | 1, both()],
        [(n << 3) | 3, both()],
        [(n << 3) | 5, ...constant()],
        [0x83, digit(n), byte()],
        [0x81, digit(n), ...constant()],
      ]),
      // lea: a register; with a short and a long distance; with an index; an index alone; from the program counter.
      [0x8d, (random.below(8) << 3) | random.of([0, 1, 2, 3, 6, 7])],
      [0x8d, 0x40 | (random.below(8) << 3) | random.of([0, 1, 2, 3, 5, 6, 7]), byte()],
      [0x8d, 0x80 | (random.below(8) << 3) | random.of([0, 1, 2, 3, 5, 6, 7]), ...constant()],
      [0x8d, 0x44 | (random.below(8) << 3), byte(), byte()],
      [0x8d, 0x84 | (random.below(8) << 3), byte(), ...constant()],
      [0x8d, 0x04 | (random.below(8) << 3), (byte() & 0xf8) | 4],
      [0x8d, 0x04 | (random.below(8) << 3), (byte() & 0xf8) | 5, ...constant()],
      [0x8d, 0x05 | (random.below(8) << 3), ...constant()],
      [0x8d, 0x44 | (random.below(8) << 3), 0x20 | random.below(8), byte()],
    ];
    return plain.map((bytes) => [...prefix, ...bytes]);
  });
}

/** Sets all registers, the stack pointer last, runs one instruction, and keeps what they are then. */
function program(
  instructions: readonly (readonly number[])[],
  values: readonly (readonly bigint[])[],
): string {
  const moves = (of: string, flip: boolean): string =>
    names
      .map((name, i) =>
        name === 'rsp'
          ? ''
          : flip
            ? `mov %${name}, ${of}+${i * 8}(%rip)`
            : `mov ${of}+${i * 8}(%rip), %${name}`,
      )
      .filter((line) => line !== '')
      .join('\\n');
  const functions = instructions.map(
    (bytes, i) => `f${i}:
push %rbx\\npush %rbp\\npush %r12\\npush %r13\\npush %r14\\npush %r15
mov %rsp, kept(%rip)
push given+128(%rip)\\npopfq
${moves('given', false)}
mov given+32(%rip), %rsp
at${i}: .byte ${bytes.join(', ')}
mov %rsp, taken+32(%rip)
mov kept(%rip), %rsp
${moves('taken', true)}
pushfq\\npop taken+128(%rip)
pop %r15\\npop %r14\\npop %r13\\npop %r12\\npop %rbp\\npop %rbx\\nret`,
  );
  return `#include <stdio.h>
#include <string.h>
unsigned long given[17], taken[17], kept;
__asm__(".text\\n${functions.join('\n').replaceAll('\n', '\\n')}\\n"
        ".data\\nall: ${instructions.map((_, i) => `.quad f${i}, at${i}`).join('\\n')}\\n.text\\n");
extern void *all[][2];
static const unsigned long values[][17] = {${values.map((row) => `{${row.map((value) => `${value}ul`).join(', ')}}`).join(',\n')}};
int main(void) {
  for (int i = 0; i < ${instructions.length}; i++) {
    for (int j = 0; j < ${values.length}; j++) {
      memcpy(given, values[j], sizeof given);
      ((void (*)(void))all[i][0])();
      printf("%lx", (unsigned long)all[i][1]);
      for (int k = 0; k < 17; k++) printf(" %lx", taken[k]);
      putchar('\\n');
    }
  }
  return 0;
}`;
}

function registersOf(values: readonly bigint[], rip: bigint): Buffer {
  const buffer = Buffer.alloc(userRegistersBytes);
  names.forEach((name, i) => buffer.writeBigUInt64LE(values[i] ?? 0n, userRegisterOffset(name)));
  buffer.writeBigUInt64LE(values[16] ?? 0n, userRegisterOffset('eflags'));
  buffer.writeBigUInt64LE(rip, userRegisterOffset('rip'));
  return buffer;
}

test('computes what the processor computes, flags included', { timeout: 60_000 }, () => {
  const instructions = forms();
  const values = Array.from({ length: rounds }, () => [
    ...names.map(() => random.interesting()),
    BigInt(random.of([0x202, 0xad7, 0x246, 0xa93])),
  ]);
  const path = compileC(program(instructions, values), { name: 'computing', flags: ['-O1'] });
  const lines = execFileSync(path, { encoding: 'utf8', maxBuffer: 1 << 26 })
    .trim()
    .split('\n');
  expect(lines).toHaveLength(instructions.length * rounds);
  lines.forEach((line, n) => {
    const bytes = instructions[Math.floor(n / rounds)] ?? [];
    const given = values[n % rounds] ?? [];
    const [rip = 0n, ...taken] = line.split(' ').map((digits) => BigInt(`0x${digits}`));
    const registers = registersOf(given, rip);
    const done = emulate(Uint8Array.from([...bytes, 0xcc]), registers);
    const what = `${Buffer.from(bytes).toString('hex')} of round ${n % rounds}`;
    expect([what, done?.rip]).toEqual([what, rip + BigInt(bytes.length)]);
    const after = [...given];
    if (done?.set !== undefined) after[names.indexOf(done.set.register)] = done.set.value;
    if (done?.eflags !== undefined) after[16] = done.eflags;
    expect([what, ...after.map((value) => value.toString(16))]).toEqual([
      what,
      ...taken.map((value) => value.toString(16)),
    ]);
  });
});

test.each([
  ['a move from memory', [0x48, 0x8b, 0x07]],
  ['a move to memory', [0x48, 0x89, 0x07]],
  ['a comparison with memory', [0x48, 0x83, 0x3f, 0x00]],
  ['a sum with carry', [0x48, 0x11, 0xc0]],
  ['a difference with borrow', [0x83, 0xd8, 0x01]],
  ['16 bits', [0x66, 0x89, 0xc8]],
  ['8 bits', [0x88, 0xc8]],
  ['a segment', [0x65, 0x48, 0x8d, 0x07]],
  ['addresses of 32 bits', [0x67, 0x8d, 0x07]],
  ['two prefixes', [0x48, 0x48, 0x89, 0xc8]],
  ['a negation', [0xf7, 0xd8]],
  ['an exchange', [0x48, 0x87, 0xc8]],
])('is left to the processor: %s', (_, bytes) => {
  expect(decodeEmulation(Uint8Array.from([...bytes, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc]))).toBeUndefined();
});
