import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { displaceInstruction, maxDisplacedBytes } from '../../../format/x86-64/displaced.js';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const [from, to] = [0x401000n, 0x401800n];

describe('is copied, and the thread comes back behind it', () => {
  test.each<[string, string, string]>([
    ['mov (%rdi),%rax', '48 8b 07', '48 8b 07 e9 fb f7 ff ff'],
    ['mov 0x10(%rip),%rax', '48 8b 05 10 00 00 00', '48 8b 05 10 f8 ff ff e9 fb f7 ff ff'],
    ['movl $7,0x10(%rip)', 'c7 05 10 00 00 00 07 00 00 00', 'c7 05 10 f8 ff ff 07 00 00 00 e9 fb f7 ff ff'],
    ['lock incl 0x2000(%rip)', 'f0 ff 05 00 20 00 00', 'f0 ff 05 00 18 00 00 e9 fb f7 ff ff'],
    ['vmovdqu 0x0(%rip),%ymm0', 'c5 fe 6f 05 00 00 00 00', 'c5 fe 6f 05 00 f8 ff ff e9 fb f7 ff ff'],
    ['rep movsb', 'f3 a4', 'f3 a4 e9 fb f7 ff ff'],
    ['mov %fs:0x28,%rax', '64 48 8b 04 25 28 00 00 00', '64 48 8b 04 25 28 00 00 00 e9 fb f7 ff ff'],
    ['cmpxchg8b (%rdi)', '0f c7 0f', '0f c7 0f e9 fb f7 ff ff'],
  ])('%s', (_, instruction, code) => {
    const displaced = displaceInstruction(bytes(`${instruction} 90 90`), from, to);
    expect(Buffer.from(displaced?.code ?? []).toString('hex')).toBe(code.replaceAll(' ', ''));
    expect(displaced?.length).toBe(bytes(instruction).length);
  });
});

describe('is left where it is', () => {
  test.each<[string, string]>([
    ['call', 'e8 00 00 00 00'],
    ['call *%rax', 'ff d0'],
    ['jmp *%rax', 'ff e0'],
    ['lcall *(%rax)', 'ff 18'],
    ['jmp', 'eb fe'],
    ['je', '0f 84 00 00 00 00'],
    ['loop', 'e2 fe'],
    ['jrcxz', 'e3 fe'],
    ['ret', 'c3'],
    ['iret', '48 cf'],
    ['int3', 'cc'],
    ['int $0x80', 'cd 80'],
    ['syscall', '0f 05'],
    ['sysenter', '0f 34'],
    ['ud2', '0f 0b'],
    ['hlt', 'f4'],
    ['popf', '9d'],
    ['xbegin', 'c7 f8 00 00 00 00'],
    ['xabort', 'c6 f8 00'],
    ['xend', '0f 01 d5'],
    ['fld', 'd9 07'],
    ['xsave (%rdi)', '0f ae 27'],
    ['wrssd %eax,(%rdi)', '0f 38 f6 07'],
    ['lea 0x0(%eip),%rax', '67 48 8d 05 00 00 00 00'],
    ['cut off', '48 8b'],
    ['nothing', ''],
  ])('%s', (_, instruction) => {
    expect(displaceInstruction(bytes(instruction), from, to)).toBeUndefined();
  });

  test('where the place is further away than a jump leads', () => {
    const load = bytes('48 8b 07');
    expect(displaceInstruction(load, from, from + 0x7fff_0000n)).toBeDefined();
    expect(displaceInstruction(load, from, from + 0x8000_0010n)).toBeUndefined();
    const relative = bytes('48 8b 05 00 00 00 80');
    expect(displaceInstruction(relative, from, to)).toBeUndefined();
    expect(displaceInstruction(relative, from, from - 0x800n)).toBeDefined();
  });
});

interface Listed {
  readonly address: bigint;
  readonly code: Uint8Array;
  readonly text: string;
}

function list(args: readonly string[], file: string): Listed[] {
  const run = spawnSync('objdump', ['-w', ...args, file], { encoding: 'utf8', maxBuffer: 2 ** 30 });
  expect(run.status).toBe(0);
  return run.stdout.split('\n').flatMap((line) => {
    const match = /^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+) *\t(.*)$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined || match[3] === undefined) return [];
    return { address: BigInt(`0x${match[1]}`), code: bytes(match[2]), text: match[3] };
  });
}

/** What is written for it, with the address itself in place of one that counts from the program counter. */
function meaning(text: string): string {
  const [, address] = /# (?:0x)?([0-9a-f]+)/.exec(text) ?? [];
  const [operation = ''] = text.split('#');
  return operation.trim().replace(/-?0x[0-9a-f]+\(%rip\)/, `0x${address}`);
}

test('means the same to objdump, wherever it is', { timeout: 120_000 }, () => {
  const file = '/lib/x86_64-linux-gnu/libc.so.6';
  const place = 0x4000_0000n;
  const seen = new Set<string>();
  const moved: (Listed & { readonly length: number })[] = [];
  let counted = 0;
  for (const { address, code, text } of list(['-d', '-j', '.text'], file)) {
    counted++;
    const key = Buffer.from(code).toString('hex');
    if (seen.has(key) || seen.size > 10_000) continue;
    seen.add(key);
    const at = place + BigInt(moved.length * maxDisplacedBytes);
    const displaced = displaceInstruction(code, address, at);
    if (displaced !== undefined) moved.push({ address, text, ...displaced });
  }
  expect(counted).toBeGreaterThan(100_000);
  expect(moved.length).toBeGreaterThan(5000);
  const image = Buffer.alloc(moved.length * maxDisplacedBytes, 0x90);
  for (const [i, { code }] of moved.entries()) image.set(code, i * maxDisplacedBytes);
  const folder = mkdtempSync(join(tmpdir(), 'displaced-'));
  try {
    const path = join(folder, 'image');
    writeFileSync(path, image);
    const flat = ['-D', '-b', 'binary', '-m', 'i386:x86-64', `--adjust-vma=0x${place.toString(16)}`];
    const there = new Map(list(flat, path).map(({ address, text }) => [address, text]));
    const differing = moved.flatMap(({ address, text, length }, i) => {
      const at = place + BigInt(i * maxDisplacedBytes);
      const found = [meaning(there.get(at) ?? ''), meaning(there.get(at + BigInt(length)) ?? '')];
      const wanted = [meaning(text), `jmp    0x${(address + BigInt(length)).toString(16)}`];
      return found.join() === wanted.join() ? [] : [`${found.join()} for ${wanted.join()}`];
    });
    expect(differing.slice(0, 20)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
