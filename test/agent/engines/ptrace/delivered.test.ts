/**
 * Hits that bring something, taken by the list of a wait: what they bring is of the moment of the hit, though the thread has run on before anything is made of it, and the counters are
 * those of hits that are taken one by one.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { planCapture } from '../../../../agent/engines/ptrace/capture-steps.js';
import { TracerSupervisor } from '../../../../agent/tracer/supervisor.js';
import type { Capture } from '../../../../format/capture.js';
import { ByteWriter } from '../../../../format/bytes.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import type { Plan, PlanRange } from '../../../../format/plan/plan.js';
import { readUserRegister } from '../../../../format/registers/x86-64.js';
import { compileC } from '../../../support/compile-c.js';
import { type RunningProgram, startProgram } from '../../../support/running-program.js';
import { rangeOf } from '../../../support/plan.js';
import { buildIdOf, symbolAddress } from './target.js';

const threads = 3;
const each = 60;
const stackBytes = 2048;
const bySoftware = ['pass', 'one', 'two', 'three', 'four'];

/** Each pass has an order of its own; when the function returns, all of it is written over. */
const program = compileC(
  `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item { long value; char name[24]; };
struct order { long value; long count; struct item *item; struct item *none; };

/* What is pushed and taken back is its result. */
long pass(long value, struct order *order), one(void), two(void), three(void), four(void);
__asm__(".text\\n.globl pass, one, two, three, four\\n.type pass, @function\\n"
        "pass: pushq %rdi\\n  popq %rax\\n  ret\\n"
        "one: pushq %rbx\\n  popq %rbx\\n  ret\\n"
        "two: pushq %rbx\\n  popq %rbx\\n  ret\\n"
        "three: pushq %rbx\\n  popq %rbx\\n  ret\\n"
        "four: pushq %rbx\\n  popq %rbx\\n  ret\\n");

static long wrong;

static void *run(void *argument) {
  struct { long first, count, marks[16]; } *own = argument;
  for (long i = own->first; i < own->first + own->count; i++) {
    volatile long mark[64];
    struct item item = {i, ""};
    struct order order = {i, i % 3, &item, 0};
    snprintf(item.name, sizeof item.name, "item %ld", i);
    for (int j = 0; j < 64; j++) mark[j] = i;
    if (pass(i, &order) != i) __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
    for (int j = 0; j < 64; j++) mark[j] = -1;
    memset(&item, 0xff, sizeof item);
    memset(&order, 0xff, sizeof order);
    __asm__ volatile("" ::"r"(&item), "r"(&order), "r"(mark) : "memory");
  }
  return 0;
}

int main(void) {
  static struct { long first, count, marks[16]; } all[${threads}];
  pthread_t running[${threads}];
  puts("up");
  fflush(stdout);
  char line[64];
  long next = 1;
  while (fgets(line, sizeof line, stdin) != 0) {
    for (int i = 0; i < ${threads}; i++) {
      all[i].first = next;
      all[i].count = atol(line);
      next += all[i].count;
      pthread_create(&running[i], 0, run, &all[i]);
    }
    for (int i = 0; i < ${threads}; i++) pthread_join(running[i], 0);
    printf("%ld wrong\\n", wrong);
    fflush(stdout);
  }
  return 7;
}
`,
  { name: 'delivered', flags: ['-g', '-O1'] },
);

const rsi = DW_OP.DW_OP_breg4;
const object = DW_OP.DW_OP_push_object_address;
const { DW_OP_deref: deref, DW_OP_mul: mul, DW_OP_lit8: eight, DW_OP_ne: ne, DW_OP_lit0: zero } = DW_OP;
const member = (offset: number): Uint8Array => Uint8Array.of(object, DW_OP.DW_OP_plus_uconst, offset, deref);

/** `*order`, `*order->item` with its name, as many words as it counts, and what a null pointer leads to. */
const ranges: readonly PlanRange[] = [
  rangeOf('order', Uint8Array.of(rsi, 0), Uint8Array.of(DW_OP.DW_OP_const1u, 32), {
    children: [
      rangeOf('order->item', member(16), Uint8Array.of(...member(16), zero, ne, eight, mul)),
      rangeOf('order->none', member(24), Uint8Array.of(...member(24), zero, ne, eight, mul)),
    ],
  }),
  rangeOf(
    'name',
    Uint8Array.of(rsi, 16, deref, DW_OP.DW_OP_plus_uconst, 8),
    Uint8Array.of(DW_OP.DW_OP_lit24),
    {
      untilNul: true,
    },
  ),
  rangeOf('counted', Uint8Array.of(rsi, 0), Uint8Array.of(rsi, 8, deref, eight, mul)),
];
/** `order->count != 0`. */
const isCounted = new ByteWriter().u8(rsi).sleb(8).u8(deref).u8(zero).u8(ne).finish();

function planAt(places: readonly string[], condition?: Uint8Array): Plan {
  return {
    version: 1,
    module: { buildId: buildIdOf(program), path: program },
    sites: places.map((name) => {
      const linkAddress = symbolAddress(program, name);
      return {
        linkAddress,
        fileOffset: Number(linkAddress),
        function: name,
        inlined: false,
        ranges,
        ...(condition === undefined ? {} : { condition }),
      };
    }),
    stackBytes,
    maxBytes: 16_384,
    request: { location: 'pass', captures: [] },
  };
}

const words = (bytes: Uint8Array): bigint[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, i) => view.getBigInt64(i * 8, true));
};

/** All that a hit brings is that of its own pass. Gives the pass. */
function expectOwn(capture: Capture, address: bigint): bigint {
  const [thread] = capture.threads;
  const registers = thread?.registers ?? new Uint8Array();
  const value = readUserRegister(registers, 'rdi');
  expect(readUserRegister(registers, 'rip')).toBe(address);
  // RF is the kernel's.
  expect(readUserRegister(registers, 'eflags') & 0x1_0000n).toBe(0n);
  expect(thread).toMatchObject({ tid: capture.tid, comm: 'delivered', provenance: 'at-hit' });
  expect(thread?.stoppedNs).toBeGreaterThan(0);
  expect(thread?.xstate?.length).toBeGreaterThan(512);
  const [stack, ...brought] = capture.ranges;
  expect(stack?.address).toBe(readUserRegister(registers, 'rsp') - 128n);
  expect(stack?.bytes).toHaveLength(stackBytes);
  expect(words(stack?.bytes ?? new Uint8Array()).filter((word) => word === value).length).toBeGreaterThan(63);
  const order = readUserRegister(registers, 'rsi');
  const read = Object.fromEntries(brought.map(({ path, bytes }) => [path, bytes]));
  const ofOrder = words(read['order'] ?? new Uint8Array());
  expect(ofOrder).toEqual([value, value % 3n, ofOrder[2], 0n]);
  expect(words(read['order->item'] ?? new Uint8Array())).toEqual([value]);
  expect(Buffer.from(read['name'] ?? []).toString()).toBe(`item ${value}\0`);
  expect(read['order->none']).toBeUndefined();
  const counted = read['counted'];
  expect(counted === undefined ? [] : words(counted)).toEqual(ofOrder.slice(0, Number(value % 3n)));
  expect(brought.find(({ path }) => path === 'order')?.address).toBe(order);
  for (const { provenance } of capture.ranges) expect(provenance).toBe('at-hit');
  expect(capture.missing).toEqual([]);
  return value;
}

describe.each([
  ['hardware breakpoints', ['pass']],
  ['software breakpoints', bySoftware],
])('%s', (_, places) => {
  interface Armed {
    readonly target: RunningProgram;
    readonly tracer: TracerSupervisor;
    readonly captures: Capture[];
    readonly ends: string[];
    readonly address: bigint;
  }
  async function withPoint(
    options: { readonly plan: Plan; readonly maxHits: number; readonly minIntervalNs?: bigint },
    take: (armed: Armed) => Promise<void>,
  ): Promise<void> {
    // Else all of this would be about hits that TypeScript takes.
    for (const site of options.plan.sites) expect(planCapture(site, options.plan)).toBeDefined();
    const folder = mkdtempSync(join(tmpdir(), 'journal-'));
    await using target = startProgram(program);
    try {
      expect(await target.nextLine()).toBe('up');
      await using tracer = new TracerSupervisor({ journalFolder: folder });
      const [captures, ends]: [Capture[], string[]] = [[], []];
      tracer.listen({
        hit: (_id, { capture }) => void captures.push(capture),
        ended: (_id, _pid, { detail }) => void ends.push(detail),
        restarted: () => undefined,
      });
      const point = { pointId: 'p', engine: 'ptrace' as const, minIntervalNs: 0n, ...options };
      const armed = await tracer.arm({ ...point, pid: target.pid });
      await take({ target, tracer, captures, ends, address: armed.addresses[0] ?? 0n });
      target.child.stdin.end();
      expect(await target.ended).toBe(7);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  test('bring what was there when the thread stood', { timeout: 120_000 }, async () => {
    const plan = planAt(places, isCounted);
    await withPoint({ plan, maxHits: 10_000 }, async ({ target, tracer, captures, address }) => {
      target.child.stdin.write(`${each}\n`);
      expect(await target.nextLine()).toBe('0 wrong');
      const delivered = (threads * each * 2) / 3;
      await expect.poll(() => captures.length).toBe(delivered);
      const counters = await tracer.disarm('p', target.pid);
      expect(counters).toMatchObject({
        hits: BigInt(threads * each),
        conditionFalse: BigInt((threads * each) / 3),
        delivered: BigInt(delivered),
        faults: 0n,
        dropped: 0n,
      });
      const passes = captures.map((capture) => expectOwn(capture, address));
      const expected = Array.from({ length: threads * each }, (_unused, i) => BigInt(i + 1));
      expect(passes.toSorted((a, b) => Number(a - b))).toEqual(expected.filter((value) => value % 3n !== 0n));
      const stopped = captures.reduce((sum, { threads: [thread] }) => sum + (thread?.stoppedNs ?? 0), 0);
      expect(Math.max(...captures.map(({ cost }) => cost.stoppedNs))).toBeGreaterThanOrEqual(stopped);
    });
  });

  test('are not more than were asked for', { timeout: 120_000 }, async () => {
    await withPoint({ plan: planAt(places), maxHits: 5 }, async ({ target, captures, ends, address }) => {
      target.child.stdin.write(`${each}\n`);
      expect(await target.nextLine()).toBe('0 wrong');
      await expect.poll(() => ends).toEqual(['5 of 5 hits delivered']);
      expect(captures).toHaveLength(5);
      const passes = captures.map((capture) => expectOwn(capture, address));
      expect(new Set(passes).size).toBe(5);
    });
  });

  test('keep their interval, and those in it are counted', { timeout: 120_000 }, async () => {
    const hour = 3_600_000_000_000n;
    const options = { plan: planAt(places, isCounted), maxHits: 10, minIntervalNs: hour };
    await withPoint(options, async ({ target, tracer, captures, address }) => {
      target.child.stdin.write(`${each}\n`);
      expect(await target.nextLine()).toBe('0 wrong');
      const counters = await tracer.disarm('p', target.pid);
      expect(counters).toMatchObject({
        hits: BigInt(threads * each),
        conditionFalse: BigInt((threads * each) / 3),
        delivered: 1n,
        limited: BigInt((threads * each * 2) / 3 - 1),
        faults: 0n,
        dropped: 0n,
      });
      await expect.poll(() => captures.length).toBe(1);
      for (const capture of captures) expectOwn(capture, address);
    });
  });
});
