import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import { StillframeError } from '../../../format/error.js';
import { decodePlan, encodePlan } from '../../../format/plan/encode.js';
import { listPlan } from '../../../format/plan/list.js';
import type { Plan, PlanRange } from '../../../format/plan/plan.js';
import { runPlanSite } from '../../../format/plan/run.js';
import { verifyPlan } from '../../../format/plan/verify.js';
import { registersOf } from '../../support/captures.js';
import { durationRegister, type PlanTiming } from '../../../format/plan/timing.js';
import { expression as e, sleb, u16, u64, uleb } from '../../support/dwarf-expression.js';
import { memoryOf } from '../../support/memory.js';
import { planOf, rangeOf, siteOf } from '../../support/plan.js';
import { thrown } from '../../support/thrown.js';

const lit = (n: number): Uint8Array => e(DW_OP.DW_OP_lit0 + n);
const rdi = (offset = 0): Uint8Array => e(DW_OP.DW_OP_breg5, sleb(offset));
const name = rangeOf('order->name', e(DW_OP.DW_OP_push_object_address, DW_OP.DW_OP_deref), lit(31), {
  untilNul: true,
  secret: true,
});
const order = rangeOf('order', rdi(), lit(16), { children: [name] });
const duration = e(DW_OP.DW_OP_bregx, uleb(durationRegister), sleb(0));
const timingOf = (...offsets: number[]): PlanTiming => ({
  key: 'goroutine',
  entries: offsets.map((fileOffset) => ({ linkAddress: BigInt(fileOffset), fileOffset, function: 'f' })),
});
const full = planOf(
  [
    siteOf({ file: 'app.c', line: 12, condition: rdi(), ranges: [order] }),
    siteOf({ linkAddress: 0x2000n, fileOffset: 0x1000, inlined: true }),
  ],
  {
    stackBytes: 512,
    request: { location: 'app.c:12', condition: 'order', captures: ['order', 'order->name'] },
  },
);

describe('verifyPlan', () => {
  test('sums', () => {
    const verified = verifyPlan(full);
    expect(verified.sites.map((site) => site.totalBytes)).toEqual([512 + 128, 512]);
    expect(verified.sites[0]?.ranges.length).toBe(2);
  });

  const deep = (depth: number): PlanRange =>
    rangeOf(`d${depth}`, rdi(), lit(1), depth === 0 ? {} : { children: [deep(depth - 1)] });
  test.each<[string, Plan, string]>([
    ['version', { ...full, version: 4 as 1 }, 'version 4 is not known'],
    [
      'version without timing',
      { ...full, version: 3 },
      'version 3 without timing, a decision, a watch or a repeat',
    ],
    ['timing in version 1', { ...full, timing: timingOf(0x10) }, 'version 1 with timing'],
    ['no entries', { ...full, version: 3, timing: timingOf() }, 'timing without entries'],
    [
      'an entry at a site',
      { ...planOf([siteOf()]), version: 3, timing: timingOf(siteOf().fileOffset) },
      'entry 0x136: a site or another entry has the same address',
    ],
    [
      'the same entry twice',
      { ...full, version: 3, timing: timingOf(0x10, 0x10) },
      'entry 0x10: a site or another entry has the same address',
    ],
    [
      'a duration without timing',
      planOf([siteOf({ condition: duration })]),
      'site 0x1136: condition: register 128 is not in a plan at offset 0x0',
    ],
    [
      'a duration in an address',
      {
        ...planOf([siteOf({ ranges: [rangeOf('a', duration, lit(1))] })]),
        version: 3,
        timing: timingOf(0x10),
      },
      'site 0x1136: range "a": address: register 128 is not in a plan at offset 0x0',
    ],
    [
      'build id',
      planOf([siteOf()], { module: { buildId: 'ABC', path: '/x' } }),
      'build id "ABC" is not lower-case hex',
    ],
    ['module path', planOf([siteOf()], { module: { buildId: '', path: '' } }), 'module path is empty'],
    ['no sites', planOf([]), 'it has no sites'],
    [
      'same address',
      planOf([siteOf(), siteOf({ fileOffset: 1 })]),
      'site 0x1136: another site has the same address',
    ],
    [
      'same offset',
      planOf([siteOf(), siteOf({ linkAddress: 1n })]),
      'site 0x1: another site has the same address',
    ],
    ['stack', planOf([siteOf()], { stackBytes: 262_145 }), 'stackBytes 262145 is not within 0 to 262144'],
    ['bytes', planOf([siteOf()], { maxBytes: 0 }), 'maxBytes 0 is not within 1 to 524288'],
    ['fraction', planOf([siteOf()], { maxBytes: 1.5 }), 'maxBytes 1.5 is not within 1 to 524288'],
    ['address', planOf([siteOf({ linkAddress: -1n })]), 'site 0x-1: address of more than 64 bits'],
    [
      'file offset',
      planOf([siteOf({ fileOffset: -1 })]),
      'site 0x1136: fileOffset -1 is not within 0 to 9007199254740991',
    ],
    ['line', planOf([siteOf({ line: -1 })]), 'site 0x1136: line -1 is not within 0 to 4294967295'],
    [
      'function',
      planOf([siteOf({ function: 'f'.repeat(16_385) })]),
      'site 0x1136: function is longer than 16384 bytes',
    ],
    [
      'range bytes',
      planOf([siteOf({ ranges: [rangeOf('a', rdi(), lit(1), { maxBytes: 0 })] })]),
      'site 0x1136: range "a": maxBytes 0 is not within 1 to 524288',
    ],
    [
      'ranges',
      planOf([siteOf({ ranges: Array.from({ length: 1025 }, (_, i) => rangeOf(`r${i}`, rdi(), lit(1))) })]),
      'site 0x1136: more than 1024 ranges',
    ],
    ['nesting', planOf([siteOf({ ranges: [deep(129)] })]), 'site 0x1136: ranges nested deeper than 128'],
    [
      'captures',
      planOf([siteOf()], { request: { location: 'x', captures: Array.from({ length: 1025 }, () => 'a') } }),
      'more than 1024 captures',
    ],
    [
      'condition',
      planOf([siteOf({ condition: e() })]),
      'site 0x1136: condition: 0 values are left instead of 1 at offset 0x0',
    ],
    [
      'object in a root range',
      planOf([siteOf({ ranges: [rangeOf('a', e(DW_OP.DW_OP_push_object_address), lit(1))] })]),
      'site 0x1136: range "a": address: DW_OP_push_object_address where there is no object at offset 0x0',
    ],
    [
      'length of a child',
      planOf([
        siteOf({
          ranges: [rangeOf('a', rdi(), lit(1), { children: [rangeOf('a->b', rdi(), e(DW_OP.DW_OP_reg0))] })],
        }),
      ]),
      'site 0x1136: range "a->b": length: DW_OP_reg0 is not allowed in a plan at offset 0x0',
    ],
  ])('refuses: %s', (_, plan, reason) => {
    expect(thrown(() => verifyPlan(plan))).toBe(`bad-data: cannot verify plan: ${reason}`);
  });
});

describe('encodePlan', () => {
  test('gives back the same plan, and the same bytes', () => {
    const bytes = encodePlan(full);
    expect(decodePlan(bytes)).toEqual(full);
    expect(encodePlan(decodePlan(bytes))).toEqual(bytes);
  });

  test('with timing, and with an aggregate', () => {
    const timed: Plan = { ...full, version: 3, timing: timingOf(0x10, 0x20) };
    expect(decodePlan(encodePlan(timed))).toEqual(timed);
    const aggregate = { kind: 'sum', signed: true, maxGroups: 1 } as const;
    const both = { ...timed, aggregate, sites: [siteOf({ aggregate: { value: duration } })] };
    expect(decodePlan(encodePlan(both))).toEqual(both);
    verifyPlan(decodePlan(encodePlan({ ...both, stackBytes: 0 })));
  });

  const text = fc.string({ unit: 'binary', maxLength: 20 });
  const anyBytes = fc.uint8Array({ maxLength: 20 });
  const rangeWith = (children: fc.Arbitrary<PlanRange[]>): fc.Arbitrary<PlanRange> =>
    fc.record({
      path: text,
      address: anyBytes,
      length: anyBytes,
      maxBytes: fc.maxSafeNat(),
      untilNul: fc.boolean(),
      secret: fc.boolean(),
      children,
    });
  const range = rangeWith(
    fc.array(rangeWith(fc.array(rangeWith(fc.constant([])), { maxLength: 2 })), { maxLength: 2 }),
  );
  const plan: fc.Arbitrary<Plan> = fc.record({
    version: fc.constant(1 as const),
    module: fc.record({ buildId: text, path: text }),
    sites: fc.array(
      fc.record(
        {
          linkAddress: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
          fileOffset: fc.maxSafeNat(),
          function: text,
          file: text,
          line: fc.nat(),
          inlined: fc.boolean(),
          condition: anyBytes,
          ranges: fc.array(range, { maxLength: 3 }),
        },
        { requiredKeys: ['linkAddress', 'fileOffset', 'function', 'inlined', 'ranges'] },
      ),
      { maxLength: 3 },
    ),
    stackBytes: fc.maxSafeNat(),
    maxBytes: fc.maxSafeNat(),
    request: fc.record(
      { location: text, condition: text, captures: fc.array(text, { maxLength: 3 }) },
      { requiredKeys: ['location', 'captures'] },
    ),
  });

  test('round trip of any plan', () => {
    fc.assert(
      fc.property(plan, (given) => {
        expect(decodePlan(encodePlan(given))).toEqual(given);
      }),
    );
  });

  test('mutated bytes give a plan or bad data', () => {
    const bytes = encodePlan(full);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(bytes.length),
        (changes, cut) => {
          const mutated = bytes.slice(0, cut % 3 === 0 ? cut : bytes.length);
          for (const [at, value] of changes) mutated[at] = value;
          let decoded: Plan | undefined;
          try {
            decoded = decodePlan(mutated);
          } catch (error) {
            expect(error).toMatchObject({ code: 'bad-data' });
          }
          if (decoded === undefined) return;
          try {
            verifyPlan(decoded);
          } catch (error) {
            expect(error).toBeInstanceOf(StillframeError);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  const head = e(0x53, 0x46, 0x50, 0x4c, 1);
  test.each<[string, Uint8Array, string]>([
    ['empty', e(), 'no plan magic at offset 0x0'],
    ['another magic', e(1, 2, 3, 4), 'no plan magic at offset 0x0'],
    ['version', e(0x53, 0x46, 0x50, 0x4c, 4), 'version 4 is not known at offset 0x4'],
    [
      'cut short before an aggregate',
      e(0x53, 0x46, 0x50, 0x4c, 2, 0, 0, 0, 0, 0, 0, 0),
      '1 bytes wanted, 0 left at offset 0xc',
    ],
    [
      'a kind of aggregate',
      e(0x53, 0x46, 0x50, 0x4c, 2, 0, 0, 0, 0, 0, 0, 0, 3),
      'a kind that is not known at offset 0xc',
    ],
    ['no UTF-8', e(head, 1, 0xff), 'text that is not UTF-8 at offset 0x5'],
    ['flags', e(head, 0, 0, 0, 0, 0, 2), 'unknown flags 0x2 at offset 0xa'],
    ['too many sites', e(head, 0, 0, 0, 0, 0, 0, 0, 5), '5 entries in 0 bytes at offset 0xc'],
    ['a rest', e(head, 0, 0, 0, 0, 0, 0, 0, 0, 0), 'bytes after the plan at offset 0xd'],
    ['cut short', e(head, 5), '5 bytes wanted, 0 left at offset 0x6'],
  ])('bad data: %s', (_, bytes, reason) => {
    expect(thrown(() => decodePlan(bytes))).toBe(`bad-data: cannot parse plan: ${reason}`);
  });
});

test('listPlan', () => {
  expect(listPlan(full)).toBe(`plan for /usr/bin/app (build id 0123456789abcdef)
  location app.c:12
  condition order
  capture order
  capture order->name
  stack window 512 bytes, at most 4096 bytes a hit
site 0x1136 (file offset 0x136) main at app.c:12
  if DW_OP_breg5 0
  order (at most 64 bytes)
    address DW_OP_breg5 0
    length DW_OP_lit16
    order->name (at most 64 bytes, until NUL, secret)
      address DW_OP_push_object_address; DW_OP_deref
      length DW_OP_lit31
site 0x2000 (file offset 0x1000) main, inlined
`);
});

describe('runPlanSite', () => {
  const object = new Uint8Array(16);
  new DataView(object.buffer).setBigUint64(0, 0x8000n, true);
  const memory = memoryOf([
    { address: 0x7000n, bytes: object },
    { address: 0x8000n, bytes: new TextEncoder().encode('Ada\0rest') },
    { address: 0x8ffcn, bytes: new TextEncoder().encode('tail') },
    { address: 0x5555_0000_4010n, bytes: Uint8Array.of(9, 0, 0, 0) },
  ]);
  const registers = registersOf({ rdi: 0x7000n, rip: 0x5555_0000_1136n });
  const run = (ranges: readonly PlanRange[], condition?: Uint8Array, maxBytes = 4096) =>
    runPlanSite(siteOf({ ranges, ...(condition === undefined ? {} : { condition }) }), {
      registers,
      memory,
      maxBytes,
    });
  const captured = (path: string, address: bigint, bytes: Uint8Array) => ({
    path,
    address,
    bytes,
    provenance: 'stopped',
  });

  test('follows a pointer and cuts a string at its end', () => {
    expect(run([order], rdi())).toEqual({
      hit: true,
      ranges: [
        captured('order', 0x7000n, object),
        captured('order->name', 0x8000n, new TextEncoder().encode('Ada\0')),
      ],
      missing: [],
      faults: 0,
    });
  });

  test('moves addresses of the module by the bias', () => {
    const global = rangeOf('g', e(DW_OP.DW_OP_addr, u64(0x4010n)), lit(4));
    expect(run([global]).ranges).toEqual([captured('g', 0x5555_0000_4010n, Uint8Array.of(9, 0, 0, 0))]);
  });

  test.each<[string, Uint8Array, boolean, number]>([
    ['true', lit(1), true, 0],
    ['false', lit(0), false, 0],
    ['unreadable', e(DW_OP.DW_OP_lit0, DW_OP.DW_OP_deref), false, 1],
    ['division by zero', e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_lit0, DW_OP.DW_OP_mod), false, 1],
  ])('condition %s', (_, condition, hit, faults) => {
    expect(run([], condition)).toEqual({ hit, ranges: [], missing: [], faults });
  });

  test.each<[string, PlanRange, object[], object[], number]>([
    ['length 0', rangeOf('a', rdi(), lit(0)), [], [], 0],
    ['negative length', rangeOf('a', rdi(), e(DW_OP.DW_OP_lit1, DW_OP.DW_OP_neg)), [], [], 0],
    [
      'more than its most',
      rangeOf('a', rdi(), lit(16), { maxBytes: 6 }),
      [captured('a', 0x7000n, object.subarray(0, 6))],
      [
        {
          path: 'a',
          address: 0x7006n,
          length: 10,
          reason: 'limit',
          detail: '6 of 16 bytes, the most for the range',
        },
      ],
      0,
    ],
    [
      'a string without end',
      rangeOf('a', e(DW_OP.DW_OP_const2u, u16(0x8000)), lit(31), { maxBytes: 2, untilNul: true }),
      [captured('a', 0x8000n, new TextEncoder().encode('Ad'))],
      [
        {
          path: 'a',
          address: 0x8002n,
          length: 29,
          reason: 'limit',
          detail: 'no end of the string within 2 bytes',
        },
      ],
      0,
    ],
    [
      'a string that runs into unreadable memory',
      rangeOf('a', e(DW_OP.DW_OP_const2u, u16(0x8ffc)), lit(31), { untilNul: true }),
      [],
      [{ path: 'a', address: 0x8ffcn, length: 31, reason: 'not-captured', detail: 'no memory at 0x9000' }],
      1,
    ],
    [
      'unreadable, and so its children',
      rangeOf('a', lit(8), lit(4), { children: [rangeOf('a->b', lit(0), lit(1))] }),
      [],
      [
        { path: 'a', address: 8n, length: 4, reason: 'not-captured', detail: 'no memory at 0x8' },
        { path: 'a->b', reason: 'not-captured', detail: '"a", which leads there, was not collected' },
      ],
      1,
    ],
    [
      'unreadable address',
      rangeOf('a', e(DW_OP.DW_OP_lit8, DW_OP.DW_OP_deref), lit(4)),
      [],
      [
        {
          path: 'a',
          address: 8n,
          reason: 'not-captured',
          detail: 'its address depends on memory at 0x8, which cannot be read',
        },
      ],
      1,
    ],
  ])('%s', (_, range, ranges, missing, faults) => {
    expect(run([range])).toEqual({ hit: true, ranges, missing, faults });
  });

  test('the bytes of a hit', () => {
    const two = [rangeOf('a', rdi(), lit(16)), rangeOf('b', rdi(), lit(16)), rangeOf('c', rdi(), lit(16))];
    const result = run(two, undefined, 20);
    expect(result.ranges.map((range) => range.bytes.length)).toEqual([16, 4]);
    expect(result.missing).toEqual([
      {
        path: 'b',
        address: 0x7004n,
        length: 12,
        reason: 'limit',
        detail: '4 of 16 bytes, the most for a hit',
      },
      { path: 'c', address: 0x7000n, length: 16, reason: 'limit', detail: 'the bytes of a hit are used up' },
    ]);
  });
});
