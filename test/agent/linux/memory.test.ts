import { expect, test } from 'vitest';
import { isAbsent } from '../../../format/absent.js';
import { ProcessMemory } from '../../../agent/linux/memory.js';
import { VectorReader } from '../../../agent/linux/memory-vector.js';
import { compileC } from '../../support/compile-c.js';
import { startProgram } from '../../support/running-program.js';

/** Maps three pages, fills two with 0xab and takes the third away; prints their address. */
const program = compileC(
  `#include <stdio.h>
   #include <string.h>
   #include <unistd.h>
   #include <sys/mman.h>
   int main(void) {
     char *pages = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
     memset(pages, 0xab, 2 * 4096);
     munmap(pages + 2 * 4096, 4096);
     printf("%p\\n", (void *)pages);
     fflush(stdout);
     getchar();
     return 0;
   }`,
  { name: 'pages' },
);

test('reads memory, and names the first missing address', async () => {
  await using target = startProgram(program);
  const pages = BigInt(await target.nextLine());
  using memory = new ProcessMemory(target.pid);
  expect(memory.read(pages + 4000n, 200)).toEqual({
    bytes: new Uint8Array(200).fill(0xab),
    provenance: 'racy',
  });
  const missing = pages + 8192n;
  expect(memory.read(pages + 8190n, 8)).toEqual({
    absent: 'unreadable',
    detail: `memory at 0x${missing.toString(16)} cannot be read`,
    address: missing,
    length: 6,
  });
  expect(isAbsent(memory.read(0n, 1))).toBe(true);
  expect(isAbsent(memory.read(0xffffffffff600000n, 1))).toBe(true);
  expect(isAbsent(memory.read(-1n, 1))).toBe(true);
  target.child.kill('SIGKILL');
  await target.ended;
  expect(isAbsent(memory.read(pages, 1))).toBe(true);
});

test('reads many pieces at once, and goes on after a missing one', async () => {
  await using target = startProgram(program);
  const pages = BigInt(await target.nextLine());
  using reader = new VectorReader(64 * 1024);
  const pieces = [
    { address: pages, length: 16 },
    { address: 16n, length: 32 },
    { address: pages + 8000n, length: 400 },
    { address: pages + 4096n, length: 4096 },
    { address: pages, length: 0 },
    { address: pages + 1n, length: 3 },
  ];
  expect(reader.read(target.pid, pieces)).toEqual([16, 0, 192, 4096, 0, 3]);
  expect(reader.view(16 + 32 + 400, 4096).every((byte) => byte === 0xab)).toBe(true);
  expect(reader.view(16 + 32, 192).every((byte) => byte === 0xab)).toBe(true);
  const many = Array.from({ length: 3000 }, (_, i) => ({ address: pages + BigInt(i), length: 2 }));
  expect(reader.read(target.pid, many).every((count) => count === 2)).toBe(true);
  expect(() => reader.read(target.pid, [{ address: pages, length: 65_537 }])).toThrow(
    `cannot read 65537 bytes of process ${target.pid} at once: room for 65536`,
  );
  target.child.kill('SIGKILL');
  await target.ended;
  expect(() => reader.read(target.pid, pieces)).toThrow(
    `cannot read process ${target.pid}: it does not exist`,
  );
});
