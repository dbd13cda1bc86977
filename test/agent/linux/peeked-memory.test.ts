/** What CAP_SYS_PTRACE alone shows, held against what root reads in /proc. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ProcessMemory } from '../../../agent/linux/memory.js';
import { PeekedMemory, peekAuxv } from '../../../agent/linux/peeked-memory.js';
import { readMaps } from '../../../agent/linux/proc.js';
import { compileC } from '../../support/compile-c.js';
import { compileNative, go } from '../../support/compile-native.js';
import { startProgram, type RunningProgram } from '../../support/running-program.js';

const source = `#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char line[64];
  puts("up"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) execl(argv[0], argv[0], "again", (char *)0);
}
`;
const plain = compileC(source, { name: 'plain', flags: ['-g', '-O1'] });
const fixed = compileC(source, { name: 'fixed', flags: ['-g', '-O1', '-static'] });
const goSource = `package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	fmt.Println("up")
	bufio.NewReader(os.Stdin).ReadString('\\n')
}
`;

test.each<readonly [string, () => RunningProgram]>([
  ['a program', () => startProgram(plain)],
  ['a static program', () => startProgram(fixed)],
  [
    'many arguments',
    () =>
      startProgram(
        plain,
        Array.from({ length: 2000 }, (_, i) => `argument ${i}`),
      ),
  ],
  ['Go', () => startProgram(compileNative(goSource, 'plain', go()))],
])('the auxiliary vector of %s', async (_, start) => {
  await using target = start();
  await target.nextLine();
  using memory = new PeekedMemory(target.pid);
  expect(peekAuxv(memory)).toEqual(readFileSync(`/proc/${target.pid}/auxv`));
});

test('the same memory as the file of /proc, mapping by mapping', async () => {
  await using target = startProgram(plain);
  await target.nextLine();
  using peeked = new PeekedMemory(target.pid);
  using memory = new ProcessMemory(target.pid);
  const readable = readMaps(target.pid).filter(
    ({ permissions, path }) => permissions.startsWith('r') && !path.startsWith('[v'),
  );
  expect(readable.length).toBeGreaterThan(8);
  for (const { start, end } of readable) {
    const length = Math.min(Number(end - start), 200_000) + 4096;
    const [mine, its] = [new Uint8Array(length), new Uint8Array(length)];
    const got = peeked.readInto(start, mine);
    expect(got).toBe(memory.readInto(start, its));
    expect(Buffer.from(mine.subarray(0, got)).equals(its.subarray(0, got))).toBe(true);
  }
  expect(peeked.readInto(-1n, new Uint8Array(8))).toBe(0);
  expect(peeked.readInto(0x10n, new Uint8Array(8))).toBe(0);
});

test('nothing of another program that the process executes, nor of one that is gone', async () => {
  await using target = startProgram(plain);
  await target.nextLine();
  using memory = new PeekedMemory(target.pid);
  const byte = new Uint8Array(1);
  expect(memory.readInto(memory.stackStart, byte)).toBe(1);
  target.child.stdin.write('go\n');
  await target.nextLine();
  expect(memory.readInto(memory.stackStart, byte)).toBe(0);
  target.child.kill('SIGKILL');
  await target.ended;
  await sleep(0);
  expect(memory.readInto(memory.stackStart, byte)).toBe(0);
  expect(() => new PeekedMemory(target.pid)).toThrow(expect.objectContaining({ code: 'target-gone' }));
});
