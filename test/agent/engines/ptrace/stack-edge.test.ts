/** Stack pointers at the edge of a mapping: what lies below is another one, or nothing. */
import { afterAll, expect, test } from 'vitest';
import { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import { readUserRegister } from '../../../../format/registers/x86-64.js';
import { compileC } from '../../../support/compile-c.js';
import { startProgram } from '../../../support/running-program.js';

/** Sleeps with a stack of one page, the pointer so many bytes above its beginning; the page below is as told. */
const program = compileC(
  `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int main(int argc, char **argv) {
  (void)argc;
  char *pages = mmap(0, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(pages, 0x11, 4096);
  memset(pages + 4096, 0x22, 4096);
  mprotect(pages + 8192, 4096, PROT_NONE);
  mprotect(pages, 4096, argv[1][0] == 'r' ? PROT_READ : PROT_NONE);
  char *sp = pages + 4096 + atoi(argv[2]);
  puts("up");
  fflush(stdout);
  __asm__ volatile("mov %0, %%rsp\\n1: mov $34, %%eax\\nsyscall\\njmp 1b" : : "r"(sp) : "memory");
  return 0;
}
`,
  { name: 'stack-edge' },
);

const tracer = new TracerSupervisor();
afterAll(() => tracer[Symbol.asyncDispose]());

test.each([
  { below: 'none', above: 64 },
  { below: 'readable', above: 64 },
  { below: 'none', above: 1024 },
  { below: 'readable', above: 1024 },
])('$above bytes above a page that is $below', async ({ below, above }) => {
  await using target = startProgram(program, [below, String(above)]);
  expect(await target.nextLine()).toBe('up');
  for (;;) {
    const { capture } = await tracer.now({
      pid: target.pid,
      tids: [],
      stackBytes: 16_384,
      maxBytes: 1 << 20,
      engine: 'ptrace',
    });
    const [thread] = capture.threads;
    // It may not have come so far yet, or have had no processor to stop on.
    if (thread?.registers === undefined || readUserRegister(thread.registers, 'orig_rax') !== 34n) continue;
    const sp = readUserRegister(thread.registers, 'rsp');
    const redZone = Math.min(128, above);
    const [range, ...others] = capture.ranges;
    expect(others).toEqual([]);
    expect(capture.missing).toEqual([]);
    expect(range).toMatchObject({ address: sp - BigInt(redZone), provenance: 'stopped' });
    expect(range?.bytes).toHaveLength(4096 - above + redZone);
    expect(new Set(range?.bytes)).toEqual(new Set([0x22]));
    break;
  }
});
