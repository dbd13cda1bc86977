import { describe, expect, test } from 'vitest';

import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import { decodePlan, encodePlan } from '../../../format/plan/encode.js';
import { listPlan } from '../../../format/plan/list.js';
import type { Plan, PlanRange } from '../../../format/plan/plan.js';
import { maxRepeated } from '../../../format/plan/repeat.js';
import { runPlanSite } from '../../../format/plan/run.js';
import { verifyPlan } from '../../../format/plan/verify.js';
import { registersOf } from '../../support/captures.js';
import { expression as e, sleb, uleb } from '../../support/dwarf-expression.js';
import { memoryOf } from '../../support/memory.js';
import { planOf, rangeOf, siteOf } from '../../support/plan.js';
import { thrown } from '../../support/thrown.js';

const number = (n: number): Uint8Array => e(DW_OP.DW_OP_constu, uleb(n));
const rdi = e(DW_OP.DW_OP_breg5, sleb(0));
const object = e(DW_OP.DW_OP_push_object_address);
/** What lies at an offset in the object. */
const field = (offset: number): Uint8Array =>
  e(DW_OP.DW_OP_push_object_address, DW_OP.DW_OP_plus_uconst, uleb(offset), DW_OP.DW_OP_deref);
const stride = (bytes: number): Uint8Array => e(object, DW_OP.DW_OP_plus_uconst, uleb(bytes));

/** Nodes of 16 bytes: where the next is, and a name. */
const name = rangeOf('name', field(8), number(8), { untilNul: true });
const list = (maxItems: number, children: readonly PlanRange[] = []): PlanRange =>
  rangeOf('list', rdi, number(16), { maxBytes: 16, children, repeat: { maxItems, next: field(0) } });
const array = (maxItems: number, count: number): PlanRange =>
  rangeOf('array', rdi, number(8), {
    maxBytes: 8,
    repeat: { maxItems, count: number(count), next: stride(8) },
  });
const planWith = (ranges: readonly PlanRange[]): Plan => ({ ...planOf([siteOf({ ranges })]), version: 3 });

const base = 0x2_0000;
function nodes(links: readonly number[], names: readonly number[] = []): ReturnType<typeof memoryOf> {
  const bytes = new Uint8Array(links.length * 16);
  const view = new DataView(bytes.buffer);
  links.forEach((next, i) => {
    view.setBigUint64(i * 16, BigInt(next), true);
    view.setBigUint64(i * 16 + 8, BigInt(names[i] ?? 0), true);
  });
  return memoryOf([
    { address: BigInt(base), bytes },
    { address: 0x9_0000n, bytes: new TextEncoder().encode('Ada\0') },
  ]);
}
const at = (node: number): number => base + node * 16;
const chain = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => (i + 1 < count ? at(i + 1) : 0));

function run(
  ranges: readonly PlanRange[],
  memory: ReturnType<typeof memoryOf>,
  maxBytes = 1 << 20,
): { readonly got: readonly string[]; readonly missing: readonly string[]; readonly faults: number } {
  verifyPlan(planWith(ranges));
  const registers = registersOf({ rdi: BigInt(base), rip: 0x1136n });
  const result = runPlanSite(siteOf({ ranges }), { registers, memory, maxBytes });
  return {
    got: result.ranges.map(({ path, address }) => `${path} ${address.toString(16)}`),
    missing: result.missing.map(
      ({ path, reason, detail, address }) => `${path} ${address?.toString(16) ?? ''}: ${reason}, ${detail}`,
    ),
    faults: result.faults,
  };
}

describe('a repeat', () => {
  test('goes to the end of a list, children after each item', () => {
    expect(run([list(10, [name])], nodes(chain(3), [0x9_0000, 0x9_0000, 0x9_0000]))).toEqual({
      got: ['list 20000', 'name 90000', 'list 20010', 'name 90000', 'list 20020', 'name 90000'],
      missing: [],
      faults: 0,
    });
  });

  test.each<[string, number[], number]>([
    ['a list that leads back to its head', [at(1), at(2), at(0)], 3],
    ['an item that leads to itself', [at(1), at(1)], 2],
    ['a small number', [at(1), 0xffff], 2],
    ['an address of the kernel', [at(1), -1], 2],
  ])('ends quietly: %s', (_, links, items) => {
    const { got, missing, faults } = run([list(10)], nodes(links));
    expect({ items: got.length, missing, faults }).toEqual({ items, missing: [], faults: 0 });
  });

  test('names what is cut, and nothing where all came', () => {
    expect(run([list(3)], nodes(chain(3))).missing).toEqual([]);
    expect(run([list(2)], nodes(chain(3))).missing).toEqual(['list 20020: limit, more than 2 items']);
    expect(run([list(2)], nodes([at(1), at(2), at(1)])).missing).toEqual([
      'list 20020: limit, more than 2 items',
    ]);
  });

  test('ends at an item that cannot be read, and says why', () => {
    expect(run([list(9)], nodes([at(1), 0x66_0000]))).toEqual({
      got: ['list 20000', 'list 20010'],
      missing: ['list 660000: not-captured, no memory at 0x660000'],
      faults: 1,
    });
    // The item is short, and what leads on lies behind its end.
    const short = rangeOf('a', rdi, number(16), { repeat: { maxItems: 9, next: field(16) } });
    expect(run([short], nodes([0]))).toEqual({
      got: ['a 20000'],
      missing: ['a 20010: not-captured, its next item depends on memory at 0x20010, which cannot be read'],
      faults: 1,
    });
  });

  test('counts', () => {
    const memory = nodes([1, 2, 3, 4]);
    expect(run([array(100, 3)], memory).got).toEqual(['array 20000', 'array 20008', 'array 20010']);
    expect(run([array(2, 3)], memory)).toEqual({
      got: ['array 20000', 'array 20008'],
      missing: ['array 20010: limit, more than 2 items'],
      faults: 0,
    });
    expect(run([array(2, 0)], memory)).toEqual({ got: [], missing: [], faults: 0 });
  });

  test('in a repeat: lists of an array, and a slot that is null', () => {
    const chains = rangeOf(
      'node',
      e(object, DW_OP.DW_OP_deref),
      e(field(0), number(0xffff), DW_OP.DW_OP_gt, number(16), DW_OP.DW_OP_mul),
      {
        maxBytes: 16,
        children: [name],
        repeat: { maxItems: 5, next: field(0) },
      },
    );
    const memory = nodes([at(4), 0, 0, 0, at(5), 0]);
    expect(run([{ ...array(3, 3), children: [chains] }], memory)).toEqual({
      got: ['array 20000', 'node 20040', 'node 20050', 'array 20008', 'array 20010'],
      missing: ['name 0: not-captured, no memory at 0x0', 'name 0: not-captured, no memory at 0x0'],
      faults: 2,
    });
  });

  test('ends where the bytes of a hit are used up', () => {
    expect(run([list(10)], nodes(chain(5)), 40)).toEqual({
      got: ['list 20000', 'list 20010', 'list 20020'],
      missing: [
        'list 20028: limit, 8 of 16 bytes, the most for a hit',
        'list 20030: limit, the bytes of a hit are used up',
      ],
      faults: 0,
    });
  });

  test('says once that all repeats bring too much, and goes on behind them', () => {
    const inner = rangeOf('i', object, number(1), {
      repeat: { maxItems: 1000, count: number(1000), next: stride(1) },
    });
    const outer = { ...array(8, 8), children: [inner] };
    const memory = memoryOf([{ address: BigInt(base), bytes: new Uint8Array(4096) }]);
    const { got, missing } = run([outer, outer, rangeOf('after', rdi, number(4))], memory);
    expect(got).toHaveLength(maxRepeated + 1);
    expect(got.at(-1)).toBe('after 20000');
    expect(missing).toEqual(['i : limit, the repeats of a hit bring more than 1024 ranges']);
  });

  test('is not run where what leads there was not collected', () => {
    const parent = rangeOf('p', number(0x66_0000), number(8), { children: [list(3, [name])] });
    expect(run([parent], nodes([0])).missing).toEqual([
      'p 660000: not-captured, no memory at 0x660000',
      'list : not-captured, "p", which leads there, was not collected',
    ]);
  });
});

describe('a plan with repeats', () => {
  const plan = planWith([{ ...array(3, 3), children: [list(5, [name])] }]);

  test('is encoded, decoded and listed', () => {
    expect(decodePlan(encodePlan(plan))).toEqual(plan);
    expect(listPlan(plan)).toContain(`  array (at most 8 bytes)
    address DW_OP_breg5 0
    length DW_OP_constu 8
    again and again, at most 3 items, next DW_OP_push_object_address; DW_OP_plus_uconst 8
    count DW_OP_constu 3
    list (at most 16 bytes)`);
  });

  const deep = (left: number): PlanRange => ({ ...list(2, left === 0 ? [] : [deep(left - 1)]) });
  test.each<[string, Plan, string]>([
    ['version', { ...plan, version: 1 }, 'version 1 with a repeat'],
    ['no items', planWith([list(0)]), 'site 0x1136: range "list": maxItems 0 is not within 1 to 1000'],
    ['items', planWith([list(1001)]), 'site 0x1136: range "list": maxItems 1001 is not within 1 to 1000'],
    ['nesting', planWith([deep(4)]), 'site 0x1136: range "list": more than 4 nested repeats'],
    [
      'next',
      planWith([{ ...list(2), repeat: { maxItems: 2, next: e() } }]),
      'site 0x1136: range "list": next: 0 values are left instead of 1 at offset 0x0',
    ],
    [
      'count',
      planWith([{ ...list(2), repeat: { maxItems: 2, count: object, next: object } }]),
      'site 0x1136: range "list": count: DW_OP_push_object_address where there is no object at offset 0x0',
    ],
  ])('is refused: %s', (_, refused, reason) => {
    expect(thrown(() => verifyPlan(refused))).toBe(`bad-data: cannot verify plan: ${reason}`);
  });

  test('may bring as much as all its items', () => {
    expect(verifyPlan(plan).sites[0]?.totalBytes).toBe(3 * 8 + 15 * 16 + 15 * 64);
  });
});
