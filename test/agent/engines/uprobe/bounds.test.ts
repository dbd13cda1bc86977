/**
 * Plans at every bound, and past it: what the bound allows the kernel takes and runs, with the bytes that the evaluator says; what is beyond is refused by
 * name, or cut with the cut named in the hit.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attachWays } from '../../../../agent/engines/uprobe/attach.js';
import { uprobeEngine } from '../../../../agent/engines/uprobe/engine.js';
import { fitSite } from '../../../../agent/engines/uprobe/fit.js';
import { ProcessMemory } from '../../../../agent/linux/memory.js';
import type { Capture, MissingRange } from '../../../../format/capture.js';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import { StillframeError } from '../../../../format/error.js';
import { defaultLimits } from '../../../../format/limits.js';
import { flattenRanges, hasRepeats, type Plan, type PlanRange } from '../../../../format/plan/plan.js';
import { maxRepeated, maxRepeatItems, maxRepeatNesting } from '../../../../format/plan/repeat.js';
import { rangeBytes, runPlanSite } from '../../../../format/plan/run.js';
import { readUserRegister } from '../../../../format/registers/x86-64.js';
import { verifyPlan } from '../../../../format/plan/verify.js';
import { expression as e, sleb, u64, uleb } from '../../../support/dwarf-expression.js';
import { rangeOf, siteOf } from '../../../support/plan.js';
import { compileC } from '../../../support/compile-c.js';
import { startProgram } from '../../../support/running-program.js';
import { thrown } from '../../../support/thrown.js';
import {
  buildIdOf,
  type Lab,
  type LabState,
  pageBytes,
  regionPages,
  regionStart,
  startLab,
  symbolAddress,
} from './lab.js';
import { registersOf } from './random-state.js';

const number = (n: number | bigint): Uint8Array => e(DW_OP.DW_OP_constu, uleb(n));
const rdi = (offset = 0): Uint8Array => e(DW_OP.DW_OP_breg5, sleb(offset));
const object = e(DW_OP.DW_OP_push_object_address);
const pointed = e(object, DW_OP.DW_OP_deref);

/** Each word of the memory leads to the next one, and the last to none. */
const words = (regionPages * pageBytes) / 8;
const chain = Buffer.alloc(words * 8);
for (let i = 0; i + 1 < words; i++) chain.writeBigUInt64LE(regionStart + BigInt((i + 1) * 8), i * 8);

const state: LabState = { registers: Array.from({ length: 16 }, () => regionStart) };
const mostHits = 64;

let lab: Lab;
beforeAll(async () => {
  lab = await startLab(
    Array.from({ length: mostHits }, () => state),
    chain,
  );
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

interface Ran {
  readonly capture: Capture;
  readonly warning: string | undefined;
  readonly expected: ReturnType<typeof runPlanSite>;
}

function planWith(ranges: readonly PlanRange[], changes: Partial<Plan> = {}, condition?: Uint8Array): Plan {
  const probed = symbolAddress(lab.path, 'probed');
  const site = siteOf({
    linkAddress: probed,
    fileOffset: Number(probed),
    function: 'run_state',
    ...(condition === undefined ? {} : { condition }),
    ranges,
  });
  const plan: Plan = {
    version: 1,
    module: { buildId: lab.buildId, path: lab.path },
    sites: [site],
    stackBytes: 0,
    maxBytes: defaultLimits.defaultHitBytes,
    request: { location: '*probed', captures: [] },
    ...changes,
  };
  return { ...plan, version: hasRepeats(plan) ? 3 : 1 };
}

/** One hit, and what the evaluator says of it. */
async function run(plan: Plan): Promise<Ran> {
  verifyPlan(plan);
  const engine = uprobeEngine(attachWays().slice(0, 1));
  const captures: Capture[] = [];
  const point = await engine.arm?.(
    { pointId: 'b', pid: lab.pid, plan, maxHits: 1, minIntervalNs: 0n, countOnly: false, forced: true },
    { hit: (capture) => captures.push(capture), ended: () => undefined },
  );
  const [address] = point?.addresses ?? [];
  const [site] = plan.sites;
  if (point === undefined || address === undefined || site === undefined) throw new Error('not armed');
  using memory = new ProcessMemory(lab.pid);
  const expected = runPlanSite(site, {
    registers: registersOf(state, address),
    memory,
    maxBytes: rangeBytes(plan),
  });
  await lab.step(1);
  for (let i = 0; i < 30_000 && captures.length === 0; i++) await sleep(2);
  const { warning } = point;
  await point.disarm();
  const [capture] = captures;
  if (capture === undefined) throw new Error('no hit came');
  return { capture, warning, expected };
}

const textOf = ({ path, reason, detail }: MissingRange): string => `${path}: ${reason}, ${detail}`;

/** All that the evaluator brings, in the kernel, too. */
async function runWhole(plan: Plan): Promise<Ran> {
  const ran = await run(plan);
  const own = ran.capture.ranges.filter(({ path }) => !path.startsWith('stack of'));
  expect(own.length).toBe(ran.expected.ranges.length);
  own.forEach(({ path, address, bytes }, i) => {
    const wanted = ran.expected.ranges[i];
    if (
      wanted === undefined ||
      path !== wanted.path ||
      address !== wanted.address ||
      Buffer.compare(bytes, wanted.bytes) !== 0
    )
      throw new Error(`range ${i}, "${path}", is not what the evaluator brings`);
  });
  const missing = ran.capture.missing.filter(({ path }) => !path.startsWith('stack of'));
  expect(missing.map(textOf)).toEqual(ran.expected.missing.map(textOf));
  expect(ran.warning).toBeUndefined();
  return ran;
}

const refused = (plan: Plan): string => thrown(() => verifyPlan(plan));

describe('depth', () => {
  const nested = (levels: number): PlanRange =>
    rangeOf('p', levels === 0 ? rdi() : pointed, number(8), {
      maxBytes: 8,
      children: [],
    });
  const deep = (levels: number): PlanRange => {
    let inner: PlanRange | undefined;
    for (let level = levels; level >= 0; level--)
      inner = { ...nested(level), children: inner === undefined ? [] : [inner] };
    return inner ?? nested(0);
  };

  test('as many pointers one after another as a plan may follow', async () => {
    const { capture } = await runWhole(planWith([deep(defaultLimits.maxNesting - 1)]));
    expect(capture.ranges).toHaveLength(defaultLimits.maxNesting);
  });

  test('one more is refused', () => {
    expect(refused(planWith([deep(defaultLimits.maxNesting)]))).toMatch(/ranges nested deeper than 128/);
  });
});

describe('ranges', () => {
  const pair = (i: number): PlanRange =>
    rangeOf(`r${i}`, rdi(i * 16), number(8), {
      maxBytes: 8,
      children: [rangeOf(`*r${i}`, pointed, number(8), { maxBytes: 8 })],
    });
  const pairs = (count: number): PlanRange[] => Array.from({ length: count / 2 }, (_, i) => pair(i));

  test('as many as a plan may have', async () => {
    const { capture } = await runWhole(planWith(pairs(defaultLimits.maxRanges)));
    expect(capture.ranges).toHaveLength(defaultLimits.maxRanges);
  });

  test('more are refused', () => {
    expect(refused(planWith(pairs(defaultLimits.maxRanges + 2)))).toMatch(/more than 1024 ranges/);
  });
});

describe('bytes', () => {
  const all = regionPages * pageBytes;
  const regions = (count: number): PlanRange[] =>
    Array.from({ length: count }, (_, i) =>
      rangeOf(`region ${i}`, number(regionStart), number(all), { maxBytes: all }),
    );

  test('as many as a hit may bring, half of them stack', async () => {
    const { maxHitBytes, maxStackBytes } = defaultLimits;
    const plan = planWith(regions((maxHitBytes - maxStackBytes) / all), {
      maxBytes: maxHitBytes,
      stackBytes: maxStackBytes,
    });
    const { capture } = await run(plan);
    const own = capture.ranges.filter(({ path }) => path.startsWith('region'));
    const readable = own.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const missing = capture.missing.filter(({ path }) => path.startsWith('region'));
    expect(readable + missing.length * all).toBe(maxHitBytes - maxStackBytes);
  });

  test('what is beyond is cut, and says so', async () => {
    const half = Array.from({ length: 5 }, (_, i) =>
      rangeOf(`part ${i}`, rdi(i * 1000), number(1000), { maxBytes: 1000 }),
    );
    const { capture } = await runWhole(planWith(half, { maxBytes: 2500 }));
    expect(capture.missing.map(textOf)).toEqual([
      'part 2: limit, 500 of 1000 bytes, the most for a hit',
      'part 3: limit, the bytes of a hit are used up',
      'part 4: limit, the bytes of a hit are used up',
    ]);
    const { maxHitBytes, maxStackBytes } = defaultLimits;
    expect(refused(planWith([], { maxBytes: maxHitBytes + 1 }))).toMatch(
      /maxBytes 524289 is not within 1 to 524288/,
    );
    expect(refused(planWith([], { stackBytes: maxStackBytes + 1 }))).toMatch(
      /stackBytes 262145 is not within/,
    );
  });
});

describe('values on the stack of an expression', () => {
  const sum = (count: number): Uint8Array =>
    e(...Array<number>(count).fill(DW_OP.DW_OP_lit1), ...Array<number>(count - 1).fill(DW_OP.DW_OP_plus));
  const most = defaultLimits.maxExpressionStack;

  test('as many as may be: in a condition, a length, and what leads to the next item', async () => {
    const items = rangeOf('items', rdi(), sum(most), {
      maxBytes: most,
      repeat: { maxItems: 5, count: sum(most), next: e(object, sum(most - 1), DW_OP.DW_OP_plus) },
    });
    const { capture } = await runWhole(planWith([items], {}, sum(most)));
    expect(capture.missing.map(textOf)).toEqual(['items: limit, more than 5 items']);
  });

  test('one more is refused', () => {
    expect(refused(planWith([], {}, sum(most + 1)))).toMatch(/more than 64 entries on the stack/);
  });
});

describe('items of repeats', () => {
  const list = (maxItems: number, children: readonly PlanRange[] = []): PlanRange =>
    rangeOf('list', rdi(), number(8), { maxBytes: 8, children, repeat: { maxItems, next: pointed } });
  const inner = (levels: number): readonly PlanRange[] =>
    levels === 0
      ? []
      : [
          rangeOf(`level ${levels}`, object, number(1), {
            maxBytes: 1,
            children: inner(levels - 1),
            repeat: { maxItems: 3, next: e(object, DW_OP.DW_OP_plus_uconst, uleb(1)) },
          }),
        ];

  test('as many as a list may have', async () => {
    const { capture } = await runWhole(planWith([list(maxRepeatItems)]));
    expect(capture.ranges).toHaveLength(maxRepeatItems);
    expect(capture.missing.map(textOf)).toEqual(['list: limit, more than 1000 items']);
  });

  test('as many repeats within each other as may be', async () => {
    const { capture } = await runWhole(planWith([list(4, inner(maxRepeatNesting - 1))]));
    expect(capture.ranges).toHaveLength(4 * (1 + 3 * (1 + 3 * (1 + 3))));
    expect(refused(planWith([list(4, inner(maxRepeatNesting))]))).toMatch(/more than 4 nested repeats/);
  });

  test('all of a hit together bring so many, and what is beyond is named', async () => {
    const name = rangeOf('name', object, number(4), { maxBytes: 4 });
    const plan = planWith([
      list(maxRepeatItems, [name, name]),
      rangeOf('after', rdi(), number(8), { maxBytes: 8 }),
    ]);
    const { capture } = await runWhole(plan);
    expect(capture.ranges).toHaveLength(maxRepeated + 1);
    expect(capture.ranges.at(-1)?.path).toBe('after');
    expect(capture.missing.map(textOf)).toEqual([
      'name: limit, the repeats of a hit bring more than 1024 ranges',
    ]);
  });
});

describe('addresses', () => {
  const count = 512;
  const source = `
#include <stdio.h>
long known = 0x1234567;
__attribute__((noinline)) void sled(void) { __asm__ volatile(".rept ${count}; nop; .endr"); }
int main(void) {
  puts("ready"); fflush(stdout);
  while (getchar() != EOF) { sled(); puts("passed"); fflush(stdout); }
}
`;

  test('hundreds of them at one point, each of which hits', async () => {
    const path = compileC(source, { name: 'sled', flags: ['-g', '-O1', '-Wl,--build-id=sha1'] });
    await using program = startProgram(path, []);
    await program.nextLine();
    // Behind what a function may begin with.
    const start = symbolAddress(path, 'sled') + 16n;
    const known = e(DW_OP.DW_OP_addr, u64(symbolAddress(path, 'known')));
    const sites = Array.from({ length: count - 32 }, (_, i) =>
      siteOf({
        condition: e(known, DW_OP.DW_OP_deref),
        linkAddress: start + BigInt(i),
        fileOffset: Number(start) + i,
        function: 'sled',
        ranges: [rangeOf('known', known, number(8), { maxBytes: 8 })],
      }),
    );
    const plan = planWith([], { module: { buildId: buildIdOf(path), path }, sites });
    verifyPlan(plan);
    const captures: Capture[] = [];
    const began = performance.now();
    const point = await uprobeEngine(attachWays().slice(0, 1)).arm?.(
      {
        pointId: 'a',
        pid: program.pid,
        plan,
        maxHits: 1000,
        minIntervalNs: 0n,
        countOnly: false,
        forced: true,
      },
      { hit: (capture) => captures.push(capture), ended: () => undefined },
    );
    if (point === undefined) throw new Error('not armed');
    console.log(`${sites.length} sites attached in ${Math.round(performance.now() - began)} ms`);
    program.child.stdin.write('x');
    await program.nextLine();
    for (let i = 0; i < 10_000 && BigInt(captures.length) + point.counters().dropped < sites.length; i++)
      await sleep(2);
    const { hits, dropped } = point.counters();
    await point.disarm();
    expect(hits).toBe(BigInt(sites.length));
    expect(captures.length + Number(dropped)).toBe(sites.length);
    expect(new Set(captures.map(({ site }) => site)).size).toBe(captures.length);
    for (const { site, threads, ranges } of captures) {
      // One program serves them all, and knows where it is.
      const registers = threads[0]?.registers;
      expect(registers === undefined ? undefined : readUserRegister(registers, 'rip')).toBe(
        point.addresses[site ?? -1],
      );
      expect(Buffer.from(ranges[0]?.bytes ?? [])).toEqual(Buffer.from([0x67, 0x45, 0x23, 1, 0, 0, 0, 0]));
    }
  });

  test('more than a plan may have are refused', () => {
    const sites = Array.from({ length: 4097 }, (_, i) => siteOf({ linkAddress: BigInt(i), fileOffset: i }));
    expect(refused({ ...planWith([]), sites })).toMatch(/more than 4096 sites/);
  });
});

describe('the size of a program', () => {
  /** Where a range is by way of many reads, which all give the same. */
  const far = (steps: number): Uint8Array =>
    e(
      rdi(),
      ...Array<number>(steps)
        .fill(0)
        .flatMap(() => [DW_OP.DW_OP_dup, DW_OP.DW_OP_deref, DW_OP.DW_OP_drop]),
    );

  test('a long condition is taken as it is', async () => {
    await runWhole(planWith([], {}, far(1000)));
  });

  test('a condition that no program can hold says what to do', async () => {
    const divisions = Array<number>(2400)
      .fill(0)
      .flatMap(() => [DW_OP.DW_OP_dup, DW_OP.DW_OP_dup, DW_OP.DW_OP_div, DW_OP.DW_OP_drop]);
    const plan = planWith([], {}, e(rdi(), ...divisions));
    await expect(run(plan)).rejects.toMatchObject({
      code: 'limit',
      message: expect.stringContaining('cannot compile "condition"') as string,
      hint: expect.stringContaining('make the expression shorter') as string,
    });
  });

  test('of ranges that are too many for one program the first ones come, and the rest is named', async () => {
    const ranges = Array.from({ length: 40 }, (_, i) =>
      rangeOf(`far ${i}`, far(500), number(8), { maxBytes: 8 }),
    );
    const { capture, warning, expected } = await run(planWith(ranges));
    const came = capture.ranges.length;
    expect(came).toBeGreaterThan(8);
    expect(came).toBeLessThan(40);
    expect(capture.ranges.map(({ path }) => path)).toEqual(
      expected.ranges.slice(0, came).map(({ path }) => path),
    );
    const why = `the kernel takes no larger program at run_state than one that collects ${came} ranges`;
    expect(warning).toBe(why);
    expect(capture.missing.map(textOf)).toEqual(
      ranges.slice(came).map(({ path }) => `${path}: limit, ${why}`),
    );
  });

  test('what lies below a range that is left out is not named again', () => {
    const tree = rangeOf('a', rdi(), number(8), {
      children: [
        rangeOf('b', object, number(8), { children: [rangeOf('c', object, number(8))] }),
        rangeOf('d', object, number(8)),
      ],
    });
    const { site, left } = fitSite(siteOf({ ranges: [tree] }), (tried) => {
      const { length } = flattenRanges(tried.ranges);
      if (length > 1) throw new StillframeError('limit', 'too large');
      return length;
    });
    expect([flattenRanges(site.ranges).map(({ range }) => range.path), left]).toEqual([['a'], ['b', 'd']]);
  });

  test('what is wrong in another way is not tried again', () => {
    let tries = 0;
    const failing = (): never => {
      tries++;
      throw new StillframeError('denied', 'no');
    };
    expect(thrown(() => fitSite(siteOf({ ranges: [rangeOf('a', rdi(), number(8))] }), failing))).toBe(
      'denied: no',
    );
    expect(tries).toBe(1);
  });
});
