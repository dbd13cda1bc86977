import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import { StillframeError } from '../../../format/error.js';
import {
  type AggregateTotals,
  Aggregator,
  addTotals,
  bucketOf,
  emptyCell,
  type PlanAggregate,
  type SiteAggregate,
} from '../../../format/plan/aggregate.js';
import { decodePlan, encodePlan } from '../../../format/plan/encode.js';
import { listPlan } from '../../../format/plan/list.js';
import { type Plan, withoutRanges } from '../../../format/plan/plan.js';
import { runSiteAggregate } from '../../../format/plan/run.js';
import { verifyPlan } from '../../../format/plan/verify.js';
import { registersOf } from '../../support/captures.js';
import { expression as e, sleb } from '../../support/dwarf-expression.js';
import { memoryOf } from '../../support/memory.js';
import { planOf, rangeOf, siteOf } from '../../support/plan.js';
import { thrown } from '../../support/thrown.js';

const rdi = e(DW_OP.DW_OP_breg5, sleb(0));
const lit = (n: number): Uint8Array => e(DW_OP.DW_OP_lit0 + n);
const linear = { kind: 'linear', base: -5n, width: 10n, count: 3 } as const;
const histogram: PlanAggregate = {
  kind: 'histogram',
  signed: true,
  buckets: linear,
  group: { kind: 'text', maxBytes: 8 },
  maxGroups: 2,
};
const own: SiteAggregate = { value: rdi, group: rdi, groupLength: lit(3) };

function metric(aggregate: PlanAggregate, site: SiteAggregate, changes: Partial<Plan> = {}): Plan {
  return planOf([siteOf({ aggregate: site })], { version: 2, aggregate, ...changes });
}

const full = metric(histogram, own, {
  request: { location: 'app.c:1', captures: [], metric: 'histogram(size) by name' },
});

describe('a plan with an aggregate', () => {
  test('gives back the same plan, and is listed', () => {
    verifyPlan(full);
    expect(decodePlan(encodePlan(full))).toEqual(full);
    expect(withoutRanges(full).aggregate).toEqual(histogram);
    expect(listPlan(full)).toBe(`plan for /usr/bin/app (build id 0123456789abcdef)
  location app.c:1
  adds up: histogram of signed values, 3 buckets of 10 from -5, by a string of 8 bytes, at most 2 groups
site 0x1136 (file offset 0x136) main
  value DW_OP_breg5 0
  group DW_OP_breg5 0
  group length DW_OP_lit3
`);
  });

  test('one without is what it always was', () => {
    expect(encodePlan(planOf([siteOf()]))[4]).toBe(1);
  });

  test('mutated bytes give a plan or bad data', () => {
    const bytes = encodePlan(full);
    const changes = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(changes, fc.nat(bytes.length), (changed, cut) => {
        const mutated = bytes.slice(0, cut % 3 === 0 ? cut : bytes.length);
        for (const [at, value] of changed) mutated[at] = value;
        try {
          verifyPlan(decodePlan(mutated));
        } catch (error) {
          expect(error).toBeInstanceOf(StillframeError);
          expect(error).toMatchObject({ code: 'bad-data' });
        }
      }),
      { numRuns: 3000 },
    );
  });

  const count: PlanAggregate = { kind: 'count', signed: false, maxGroups: 1 };
  test.each<[string, Plan, string]>([
    ['no aggregate', planOf([siteOf()], { version: 2 }), 'version 2 without an aggregate'],
    ['an old version', metric(count, {}, { version: 1 }), 'version 1 with an aggregate'],
    ['a stack window', metric(count, {}, { stackBytes: 8 }), 'an aggregate with a stack window'],
    [
      'ranges',
      planOf([siteOf({ aggregate: {}, ranges: [rangeOf('a', rdi, lit(1))] })], {
        version: 2,
        aggregate: count,
      }),
      'site 0x1136: it collects ranges and adds up',
    ],
    ['a signed count', metric({ ...count, signed: true }, {}), 'a count of signed values'],
    ['a count of something', metric(count, { value: rdi }), 'site 0x1136: a count with a wrong value'],
    ['a sum of nothing', metric({ ...count, kind: 'sum' }, {}), 'site 0x1136: a sum with a wrong value'],
    ['no buckets', metric({ ...count, kind: 'histogram' }, { value: rdi }), 'a histogram without buckets'],
    ['no group', metric(count, { group: rdi }), 'site 0x1136: a wrong group'],
    [
      'a length of a number',
      metric({ ...count, group: { kind: 'number' } }, { group: rdi, groupLength: lit(1) }),
      'site 0x1136: a length without a string',
    ],
    ['groups', metric({ ...count, maxGroups: 10_001 }, {}), 'maxGroups 10001 is not within 1 to 10000'],
    ['no groups', metric({ ...count, maxGroups: 0 }, {}), 'maxGroups 0 is not within 1 to 10000'],
    [
      'long strings',
      metric({ ...count, group: { kind: 'text', maxBytes: 129 } }, { group: rdi }),
      'the bytes of a group 129 is not within 1 to 128',
    ],
    [
      'buckets of nothing',
      metric({ ...histogram, buckets: { ...linear, width: 0n } }, own),
      'buckets of width 0',
    ],
    ['buckets below what there is', metric({ ...histogram, signed: false }, own), 'buckets from -5'],
    [
      'too many buckets',
      metric({ ...histogram, buckets: { ...linear, count: 1001 } }, own),
      'the number of buckets 1001 is not within 1 to 1000',
    ],
    [
      'too many in all',
      metric({ ...histogram, maxGroups: 10_000, buckets: { ...linear, count: 100 } }, own),
      '1020000 buckets in all, 200000 are the most',
    ],
    [
      'an expression without a value',
      metric(histogram, { ...own, value: e() }),
      'site 0x1136: value: 0 values are left instead of 1 at offset 0x0',
    ],
    [
      'an object',
      metric(histogram, { ...own, group: e(DW_OP.DW_OP_push_object_address) }),
      'site 0x1136: group: DW_OP_push_object_address where there is no object at offset 0x0',
    ],
    ['a site alone', planOf([siteOf({ aggregate: {} })]), 'site 0x1136: it adds up, and the plan does not'],
    [
      'a plan alone',
      planOf([siteOf()], { version: 2, aggregate: count }),
      'site 0x1136: it does not add up, and the plan does',
    ],
  ])('refuses: %s', (_, plan, reason) => {
    expect(thrown(() => verifyPlan(plan))).toBe(`bad-data: cannot verify plan: ${reason}`);
  });
});

test.each([
  [-(1n << 63n), 65],
  [-1n, 65],
  [0n, 0],
  [1n, 1],
  [2n, 2],
  [3n, 2],
  [4n, 3],
  [(1n << 63n) - 1n, 63],
  [(1n << 64n) - 1n, 64],
])('%s is in bucket %s of powers of two', (value, bucket) => {
  expect(bucketOf(value, { kind: 'log2' })).toBe(bucket);
});

test.each([
  [-6n, 3],
  [-5n, 0],
  [4n, 0],
  [5n, 1],
  [24n, 2],
  [25n, 4],
])('%s is in bucket %s of three from -5', (value, bucket) => {
  expect(bucketOf(value, linear)).toBe(bucket);
});

describe('adding up', () => {
  test('groups beyond the bound are the rest, faults are counted', () => {
    const sums = new Aggregator({ kind: 'sum', signed: true, group: { kind: 'number' }, maxGroups: 2 });
    for (const [number, value] of [
      [1n, 5n],
      [2n, 6n],
      [1n, -7n],
      [3n, 8n],
      [4n, 9n],
    ] as const)
      sums.add({ value: BigInt.asUintN(64, value), key: { number } });
    sums.add(undefined);
    expect(sums.totals()).toEqual<AggregateTotals>({
      rest: { count: 2n, sum: 17n, buckets: [] },
      groups: [
        { key: { number: 1n }, count: 2n, sum: -2n, buckets: [] },
        { key: { number: 2n }, count: 1n, sum: 6n, buckets: [] },
      ],
      unreadable: 1n,
    });
  });

  test('two processes are one, and no hit is lost to the bound', () => {
    const of = (text: string, count: bigint): AggregateTotals => ({
      rest: { ...emptyCell, count: 1n },
      groups: [{ key: { text: Buffer.from(text), cut: false }, ...emptyCell, count, buckets: [[2, count]] }],
      unreadable: 1n,
    });
    const sum = addTotals(addTotals(of('a', 3n), of('a', 4n), 1), of('b', 5n), 1);
    expect(sum).toEqual({
      rest: { count: 8n, sum: 0n, buckets: [[2, 5n]] },
      groups: [{ key: { text: Buffer.from('a'), cut: false }, count: 7n, sum: 0n, buckets: [[2, 7n]] }],
      unreadable: 3n,
    });
  });

  test.each<[string, SiteAggregate, string | undefined]>([
    ['a string', { group: rdi }, 'Ada'],
    ['one that goes on', { group: e(DW_OP.DW_OP_breg5, sleb(16)) }, 'abcdefgh…'],
    ['as long as can be', { group: e(DW_OP.DW_OP_breg5, sleb(18)) }, 'cdefghij'],
    ['of a length', { group: rdi, groupLength: lit(2) }, 'Ad'],
    ['of none', { group: lit(0), groupLength: lit(0) }, ''],
    ['too long', { group: rdi, groupLength: lit(9) }, 'Ada\0\0\0\0\0…'],
    ['nowhere', { group: lit(0) }, undefined],
  ])('a group by %s', (_, site, wanted) => {
    const bytes = Buffer.alloc(32);
    bytes.write('Ada', 0);
    bytes.write('abcdefghij', 16);
    const memory = memoryOf([{ address: 0x7000n, bytes }]);
    const registers = registersOf({ rdi: 0x7000n, rip: 0x1136n });
    const plan: PlanAggregate = {
      kind: 'count',
      signed: false,
      group: { kind: 'text', maxBytes: 8 },
      maxGroups: 1,
    };
    const sample = runSiteAggregate(siteOf({ aggregate: site }), plan, { registers, memory, maxBytes: 0 });
    const key = sample?.key;
    const text =
      key === undefined || !('text' in key)
        ? undefined
        : Buffer.from(key.text).toString() + (key.cut ? '…' : '');
    expect(text).toBe(wanted);
  });
});
