import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { decodeInstruction } from '../../../format/x86-64/instruction.js';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

test.each<[string, string, number, string, string]>([
  ['push %rbp', '55', 1, 'push register', 'emulated'],
  ['push %r15', '41 57', 2, 'push register', 'emulated'],
  ['rex.W push %rbp', '48 55', 2, 'push register', 'single-stepped'],
  ['nop', '90', 1, 'nop', 'emulated'],
  ['xchg %rax,%r8', '49 90', 2, 'other', 'single-stepped'],
  ['xchg %ax,%ax', '66 90', 2, 'nop', 'emulated'],
  ['nopl 0x0(%rax,%rax,1)', '0f 1f 44 00 00', 5, 'nop', 'emulated'],
  ['endbr64', 'f3 0f 1e fa', 4, 'endbr64', 'single-stepped'],
  ['rdsspq %rax', 'f3 48 0f 1e c8', 5, 'other', 'single-stepped'],
  ['jmp short', 'eb fe', 2, 'jump', 'emulated'],
  ['jmp near', 'e9 00 00 00 00', 5, 'jump', 'emulated'],
  ['jmp *%rax', 'ff e0', 2, 'other', 'single-stepped'],
  ['je short', '74 10', 2, 'conditional jump', 'emulated'],
  ['je near', '0f 84 00 00 00 00', 6, 'conditional jump', 'emulated'],
  ['call', 'e8 00 00 00 00', 5, 'call', 'emulated'],
  ['call with 66', '66 e8 00 00 00 00', 6, 'call', 'refused'],
  ['ret', 'c3', 1, 'return', 'single-stepped'],
  ['int3', 'cc', 1, 'breakpoint', 'refused'],
  ['mov %rsp,%rbp', '48 89 e5', 3, 'other', 'single-stepped'],
  ['movabs', '48 b8 01 02 03 04 05 06 07 08', 10, 'other', 'single-stepped'],
  ['mov $imm16,%ax', '66 b8 01 02', 4, 'other', 'single-stepped'],
  ['sub $0x18,%rsp', '48 83 ec 18', 4, 'other', 'single-stepped'],
  ['lea 0x0(%rip),%rdi', '48 8d 3d 00 00 00 00', 7, 'other', 'single-stepped'],
  ['movl $1,0x10(%rax,%rcx,4)', 'c7 44 88 10 01 00 00 00', 8, 'other', 'single-stepped'],
  ['testb $1,(%rdi)', 'f6 07 01', 3, 'other', 'single-stepped'],
  ['notl (%rdi)', 'f7 17', 2, 'other', 'single-stepped'],
  ['lock addq $1,0x0(%rip)', 'f0 48 83 05 00 00 00 00 01', 9, 'other', 'refused'],
  ['mov %fs:0x28,%rax', '64 48 8b 04 25 28 00 00 00', 9, 'other', 'single-stepped'],
  ['vzeroupper', 'c5 f8 77', 3, 'other', 'single-stepped'],
  ['vpcmpeqb (%rdi),%ymm0,%ymm1', 'c5 fd 74 0f', 4, 'other', 'single-stepped'],
  ['vpalignr $1,%ymm0,%ymm1,%ymm2', 'c4 e3 75 0f d0 01', 6, 'other', 'single-stepped'],
  ['vmovdqu64 (%rsi),%zmm16', '62 e1 fe 48 6f 06', 6, 'other', 'single-stepped'],
])('%s', (_, hex, length, group, probe) => {
  expect(decodeInstruction(bytes(hex))).toEqual({ length, group, probe });
});

describe('no instruction', () => {
  test.each([
    ['nothing', ''],
    ['prefixes only', '66 66 66 66 66 66 66 66 66 66 66 66 66 66 66'],
    ['cut off', '48 8d 3d 00 00'],
    ['longer than 15 bytes', '66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90'],
    ['push %es', '06'],
    ['lcall', '9a 00 00 00 00 00 00'],
  ])('%s', (_, hex) => {
    expect(decodeInstruction(bytes(hex))).toBeUndefined();
  });
});

describe('objdump finds the same lengths', { timeout: 240_000 }, () => {
  const files = ['/lib/x86_64-linux-gnu/libc.so.6', '/lib/x86_64-linux-gnu/libm.so.6'];
  test.each(files)('%s', (file) => {
    const run = spawnSync('objdump', ['-d', '-w', '-j', '.text', file], {
      encoding: 'utf8',
      maxBuffer: 2 ** 30,
    });
    expect(run.status).toBe(0);
    let compared = 0;
    const differing: string[] = [];
    for (const line of run.stdout.split('\n')) {
      const match = /^ *[0-9a-f]+:\t((?:[0-9a-f]{2} )+) *\t(.*)$/.exec(line);
      // Data between functions, and x87 forms that objdump joins with the fwait before them.
      if (match?.[1] === undefined || match[2] === undefined || match[2].includes('(bad)')) continue;
      const code = bytes(match[1]);
      if (code[0] === 0x9b && code.length > 1) continue;
      compared++;
      const length = decodeInstruction(code)?.length;
      if (length !== code.length) differing.push(`${line}: ${length}`);
    }
    expect(differing.slice(0, 20)).toEqual([]);
    expect(compared).toBeGreaterThan(50_000);
  });
});
