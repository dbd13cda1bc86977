/** Hits that are decided while the list of a wait goes on: each passing is counted once, by whichever way it was decided, and told of soon. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Breakpoints } from '../../../../agent/engines/ptrace/breakpoints.js';
import { findDecidedSites } from '../../../../agent/engines/ptrace/decided-points.js';
import type { PointSpec } from '../../../../agent/engines/ptrace/messages.js';
import { TracedPoint } from '../../../../agent/engines/ptrace/points.js';
import { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import { ByteWriter } from '../../../../format/bytes.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import type { Plan } from '../../../../format/plan/plan.js';
import { compileC } from '../../../support/compile-c.js';
import { startProgram } from '../../../support/running-program.js';
import { buildIdOf, symbolAddress } from './target.js';

const threads = 3;
const each = 200;
/** Of so many passes one is a hit. */
const oneOf = 10;
const bySoftware = ['pass', 'one', 'two', 'three', 'four'];

const program = compileC(
  `#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* What is pushed and taken back is its result. */
long pass(long value, const long *memory), one(void), two(void), three(void), four(void);
__asm__(".text\\n.globl pass, one, two, three, four\\n.type pass, @function\\n"
        "pass: pushq %rdi\\n  popq %rax\\n  ret\\n"
        "one: pushq %rbx\\n  popq %rbx\\n  ret\\n"
        "two: pushq %rbx\\n  popq %rbx\\n  ret\\n"
        "three: pushq %rbx\\n  popq %rbx\\n  ret\\n"
        "four: pushq %rbx\\n  popq %rbx\\n  ret\\n");

static long wrong;

static void *run(void *argument) {
  long count = *(long *)argument;
  for (long i = 0; i < count; i++) {
    long memory = i % ${oneOf};
    if (pass(i, &memory) != i) __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
    /* As a breakpoint's, and nobody's. */
    if (i % 50 == 0) raise(SIGURG);
  }
  return 0;
}

int main(void) {
  pthread_t all[${threads}];
  puts("up");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != 0) {
    long count = atol(line);
    for (int i = 0; i < ${threads}; i++) pthread_create(&all[i], 0, run, &count);
    for (int i = 0; i < ${threads}; i++) pthread_join(all[i], 0);
    printf("%ld wrong\\n", wrong);
    fflush(stdout);
  }
  return 7;
}
`,
  { name: 'decided', flags: ['-g', '-O1'] },
);

/** `*memory == 5`. */
const condition = new ByteWriter()
  .u8(DW_OP.DW_OP_breg4)
  .sleb(0)
  .u8(DW_OP.DW_OP_deref)
  .u8(DW_OP.DW_OP_lit5)
  .u8(DW_OP.DW_OP_eq)
  .finish();

const planAt = (places: readonly string[]): Plan => ({
  version: 1,
  module: { buildId: buildIdOf(program), path: program },
  sites: places.map((name) => {
    const linkAddress = symbolAddress(program, name);
    return {
      linkAddress,
      fileOffset: Number(linkAddress),
      function: name,
      inlined: false,
      ranges: [],
      condition,
    };
  }),
  stackBytes: 0,
  maxBytes: 1,
  request: { location: 'pass', captures: [] },
});

describe.each([
  ['hardware breakpoints', ['pass']],
  ['software breakpoints', bySoftware],
])('%s', (_, places) => {
  test('hits and passes that are none are counted and told of', { timeout: 120_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'journal-'));
    await using target = startProgram(program);
    try {
      expect(await target.nextLine()).toBe('up');
      await using tracer = new TracerSupervisor({ journalFolder: folder });
      let delivered = 0;
      const hit = (): void => {
        delivered++;
      };
      tracer.listen({ hit, ended: () => undefined, passed: () => undefined, restarted: () => undefined });
      const point = { pointId: 'p', engine: 'ptrace' as const, maxHits: 1_000_000, minIntervalNs: 0n };
      const armed = await tracer.arm({ ...point, pid: target.pid, plan: planAt(places) });
      expect(armed.refusals.join().includes('software breakpoints are used')).toBe(places.length > 1);
      for (let round = 1; round <= 2; round++) {
        target.child.stdin.write(`${each}\n`);
        expect(await target.nextLine()).toBe('0 wrong');
        const hits = BigInt(threads * each * round);
        const expected = {
          hits,
          conditionFalse: (hits * BigInt(oneOf - 1)) / BigInt(oneOf),
          faults: 0n,
          dropped: 0n,
        };
        // Nobody comes any more, and nothing is asked of the thread that traces.
        await expect
          .poll(async () => (await tracer.counters(['p']))[0]?.counters, { timeout: 20_000 })
          .toMatchObject(expected);
      }
      const counters = await tracer.disarm('p', target.pid);
      const all = (threads * each * 2) / oneOf;
      expect(counters).toMatchObject({ delivered: BigInt(all) });
      await expect.poll(() => delivered, { timeout: 20_000 }).toBe(all);
      target.child.stdin.write('5\n');
      expect(await target.nextLine()).toBe('0 wrong');
      target.child.stdin.end();
      expect(await target.ended).toBe(7);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('are decided by the list', () => {
  const spec = (over: Partial<PointSpec>, conditions: readonly (Uint8Array | undefined)[]): PointSpec => {
    const plan = planAt(conditions.map(() => 'pass'));
    const sites = plan.sites.map(({ linkAddress, fileOffset }, i) => {
      const own = conditions[i];
      const site = { linkAddress, fileOffset, function: 'pass', inlined: false, ranges: [] };
      return own === undefined ? site : { ...site, condition: own };
    });
    return {
      pointId: 'p',
      plan: { ...plan, sites },
      addresses: conditions.map((_, i) => 0x1000n + BigInt(i)),
      countOnly: false,
      maxHits: 1,
      minIntervalNs: 0n,
      allowSoftware: false,
      counters: new SharedArrayBuffer(64),
      ...over,
    };
  };
  const product = Uint8Array.of(DW_OP.DW_OP_lit2, DW_OP.DW_OP_dup, DW_OP.DW_OP_mul);
  const sameAddress = { addresses: [0x1000n, 0x1000n] };
  test.each([
    ['conditions', spec({}, [condition, condition]), [0x1000n, 0x1001n]],
    ['passes that are only counted', spec({ countOnly: true }, [undefined]), [0x1000n]],
    ['what is a hit each time', spec({}, [undefined]), [0x1000n]],
    ['not what it cannot compute', spec({}, [product, condition]), [0x1001n]],
    ['not several at an address', spec(sameAddress, [condition, condition]), []],
    [
      'not more than there is room for',
      spec(
        {},
        Array.from({ length: 20 }, () => condition),
      ),
      16,
    ],
  ] as const)('%s', (_, point, expected) => {
    using hardware = new Breakpoints(process.pid, 23);
    const found = findDecidedSites(
      [new TracedPoint(point, 'hardware')],
      hardware,
      undefined,
      () => undefined,
    );
    if (typeof expected === 'number') expect(found).toHaveLength(expected);
    else expect(found.map(({ address }) => address)).toEqual(expected);
  });
  test('none of a point whose breakpoints are not there', () => {
    expect(
      findDecidedSites(
        [new TracedPoint(spec({}, [condition]), 'software')],
        undefined,
        undefined,
        () => undefined,
      ),
    ).toEqual([]);
  });
});
