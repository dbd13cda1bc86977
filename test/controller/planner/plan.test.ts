import { describe, expect, test } from 'vitest';
import { linkAddress } from '../../../format/address.js';
import { absent } from '../../../format/absent.js';
import { listExpression } from '../../../format/dwarf-op/list.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import { StillframeError } from '../../../format/error.js';
import { listPlan } from '../../../format/plan/list.js';
import { flattenRanges } from '../../../format/plan/plan.js';
import { verifyPlan } from '../../../format/plan/verify.js';
import { type PlannedPoint, planPoint, type PlanRequestOptions } from '../../../controller/planner/plan.js';
import type { CompositeType } from '../../../controller/types/type.js';
import {
  functionSymbol,
  lineAddress,
  type LiteralModule,
  literalSymbols,
  sourceFrame,
  variable,
} from '../../support/literal-symbols.js';
import { array, char, double, enumeration, field, int, long, pointer, struct } from '../../support/types.js';

const tier = enumeration('tier', { BRONZE: 0, GOLD: 2 });
const customer: CompositeType = struct('customer', 32, [
  field('id', int, 0),
  field('name', pointer(char), 8),
  field('tier', tier, 16),
  field('referrer', () => pointer(customer), 24),
]);
const order = struct('order', 24, [
  field('customer', pointer(customer), 0),
  field('total', long, 8),
  field('currency', array(char, 4), 16),
]);

const inRegister = (number: number): Uint8Array => Uint8Array.of(DW_OP.DW_OP_reg0 + number);
/** At the CFA less 32. */
const onStack = Uint8Array.of(DW_OP.DW_OP_fbreg, 0x60);

const file = '/src/orders.c';
const variables = [
  variable('order', pointer(order), inRegister(5), { parameter: true }),
  variable('count', int, onStack),
  variable('gone', int, undefined),
];
const charge: LiteralModule = {
  functions: [functionSymbol('charge', 0x401000n, 0x401100n, { file, line: 10 })],
  files: { [file]: { 12: [lineAddress(0x401010n, 'charge')] } },
  stacks: new Map([[0x401010n, [sourceFrame('charge', variables, { file, line: 12 })]]]),
  types: { tier },
  cfa: { register: 7, offset: 16n },
};

function plan(more: Partial<PlanRequestOptions> = {}, module: LiteralModule = charge): PlannedPoint {
  const point = planPoint({
    symbols: literalSymbols(module),
    modulePath: '/usr/bin/app',
    location: 'orders.c:12',
    ...more,
  });
  verifyPlan(point.plan);
  return point;
}

/** Every range as a line: its path, address and length; children indented. */
function rangesOf(point: PlannedPoint): string[] {
  const [site] = point.plan.sites;
  const flat = flattenRanges(site?.ranges ?? []);
  const level = (index: number): number => {
    const parent = flat[index]?.parent;
    return parent === undefined ? 0 : 1 + level(parent);
  };
  return flat.map(
    ({ range }, i) =>
      `${'  '.repeat(level(i))}${range.path} @ ${listExpression(range.address)} # ${listExpression(range.length)}${range.untilNul ? ' until NUL' : ''}`,
  );
}

function errorOf(run: () => unknown): StillframeError {
  try {
    run();
  } catch (error) {
    if (error instanceof StillframeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('parameters and locals', () => {
  test('a pointer in a register is followed to the depth, strings beyond it; what the stack window has is not asked for', () => {
    const point = plan();
    expect(rangesOf(point)).toEqual([
      '*order @ DW_OP_breg5 0 # DW_OP_breg5 0; DW_OP_const2u 65535; DW_OP_gt; DW_OP_lit24; DW_OP_mul',
      '  *order->customer @ DW_OP_push_object_address; DW_OP_deref # DW_OP_push_object_address; DW_OP_deref; DW_OP_const2u 65535; DW_OP_gt; DW_OP_const1u 32; DW_OP_mul',
      '    order->customer->name @ DW_OP_push_object_address; DW_OP_plus_uconst 8; DW_OP_deref # DW_OP_push_object_address; DW_OP_plus_uconst 8; DW_OP_deref; DW_OP_const2u 65535; DW_OP_gt; DW_OP_const2u 1024; DW_OP_mul until NUL',
      '    *order->customer->referrer @ DW_OP_push_object_address; DW_OP_plus_uconst 24; DW_OP_deref # DW_OP_push_object_address; DW_OP_plus_uconst 24; DW_OP_deref; DW_OP_const2u 65535; DW_OP_gt; DW_OP_const1u 32; DW_OP_mul',
      '      order->customer->referrer->name @ DW_OP_push_object_address; DW_OP_plus_uconst 8; DW_OP_deref # DW_OP_push_object_address; DW_OP_plus_uconst 8; DW_OP_deref; DW_OP_const2u 65535; DW_OP_gt; DW_OP_const2u 1024; DW_OP_mul until NUL',
    ]);
    expect(point.plan).toMatchObject({
      version: 1,
      module: { buildId: 'c0ffee', path: '/usr/bin/app' },
      stackBytes: 16384,
      maxBytes: 65536,
      request: { location: 'orders.c:12', captures: [] },
      sites: [
        { linkAddress: 0x401010n, fileOffset: 0x1010, function: 'charge', file, line: 12, inlined: false },
      ],
    });
  });

  test('depth 1', () => {
    expect(rangesOf(plan({ depth: 1 })).map((line) => line.split(' @')[0])).toEqual(['*order']);
  });

  test('a local without a stack window is a range', () => {
    expect(rangesOf(plan({ depth: 0, stackBytes: 0 }))).toEqual(['count @ DW_OP_breg7 -16 # DW_OP_lit4']);
  });

  test('none', () => {
    expect(rangesOf(plan({ locals: false }))).toEqual([]);
  });

  test('the same request gives the same plan', () => {
    expect(plan({ condition: 'order->total > 5' })).toEqual(plan({ condition: 'order->total > 5' }));
  });
});

test('a plan as it is listed', () => {
  const point = plan({ condition: 'order->customer->tier == GOLD', captures: ['order->total'], depth: 1 });
  expect(listPlan(point.plan)).toBe(`plan for /usr/bin/app (build id c0ffee)
  location orders.c:12
  condition order->customer->tier == GOLD
  capture order->total
  stack window 16384 bytes, at most 65536 bytes a hit
site 0x401010 (file offset 0x1010) charge at /src/orders.c:12
  if DW_OP_breg5 0; DW_OP_deref; DW_OP_plus_uconst 16; DW_OP_deref_size 4; DW_OP_lit2; DW_OP_eq
  *order (at most 24 bytes)
    address DW_OP_breg5 0
    length DW_OP_lit24
    *order->customer (at most 32 bytes)
      address DW_OP_push_object_address; DW_OP_deref
      length DW_OP_const1u 32
`);
});

describe('captures', () => {
  const captured = (...captures: string[]): string[] => rangesOf(plan({ captures, locals: false }));
  test('what is on the way to it comes along', () => {
    expect(captured('order->customer->tier')).toEqual([
      '*order @ DW_OP_breg5 0 # DW_OP_lit24',
      '  *order->customer @ DW_OP_push_object_address; DW_OP_deref # DW_OP_const1u 32',
    ]);
  });
  test('a slice of constant length, with what its elements lead to', () => {
    expect(captured('order[0:2]').map((line) => line.split(' #')[0])).toEqual([
      'order[0:2] @ DW_OP_breg5 0',
      '  *order[0:2][0].customer @ DW_OP_push_object_address; DW_OP_deref',
      '    order[0:2][0].customer->name @ DW_OP_push_object_address; DW_OP_plus_uconst 8; DW_OP_deref',
      '    *order[0:2][0].customer->referrer @ DW_OP_push_object_address; DW_OP_plus_uconst 24; DW_OP_deref',
      '      order[0:2][0].customer->referrer->name @ DW_OP_push_object_address; DW_OP_plus_uconst 8; DW_OP_deref',
      '      *order[0:2][0].customer->referrer->referrer @ DW_OP_push_object_address; DW_OP_plus_uconst 24; DW_OP_deref',
      '        order[0:2][0].customer->referrer->referrer->name @ DW_OP_push_object_address; DW_OP_plus_uconst 8; DW_OP_deref',
      '  *order[0:2][1].customer @ DW_OP_push_object_address; DW_OP_plus_uconst 24; DW_OP_deref',
      '    order[0:2][1].customer->name @ DW_OP_push_object_address; DW_OP_plus_uconst 8; DW_OP_deref',
      '    *order[0:2][1].customer->referrer @ DW_OP_push_object_address; DW_OP_plus_uconst 24; DW_OP_deref',
      '      order[0:2][1].customer->referrer->name @ DW_OP_push_object_address; DW_OP_plus_uconst 8; DW_OP_deref',
      '      *order[0:2][1].customer->referrer->referrer @ DW_OP_push_object_address; DW_OP_plus_uconst 24; DW_OP_deref',
      '        order[0:2][1].customer->referrer->referrer->name @ DW_OP_push_object_address; DW_OP_plus_uconst 8; DW_OP_deref',
    ]);
  });
  test('a slice whose length is known at the hit', () => {
    expect(captured('order->currency[0:order->total]')).toEqual([
      '*order @ DW_OP_breg5 0 # DW_OP_lit24',
      'order->currency[0:order->total] @ DW_OP_breg5 0; DW_OP_plus_uconst 16 # DW_OP_breg5 0; DW_OP_plus_uconst 8; DW_OP_deref; DW_OP_lit0; DW_OP_minus; DW_OP_lit1; DW_OP_mul',
    ]);
  });
  test('what a number is computed from', () => {
    expect(captured('order->total * 2 + 1')).toEqual(['*order @ DW_OP_breg5 0 # DW_OP_lit24']);
  });
  test('a variable that is optimised out is told, and the point goes on', () => {
    const point = plan({ captures: ['gone', 'order->total'] });
    expect(point.explanation.sites[0]?.captures).toEqual([
      { expression: 'gone', type: 'int', absent: { reason: 'optimized-out', detail: 'gone: optimised out' } },
      { expression: 'order->total', type: 'long' },
    ]);
  });
  test('an unknown name is refused', () => {
    expect(errorOf(() => plan({ captures: ['ordr->total'] })).message).toContain('ordr');
  });
});

describe('the budget', () => {
  test('of bytes: what does not fit is told', () => {
    const point = plan({ maxBytes: 100, stackBytes: 0 });
    expect(rangesOf(point).map((line) => line.split(' @')[0])).toEqual([
      'count',
      '*order',
      '  *order->customer',
      '    *order->customer->referrer',
    ]);
    expect(point.explanation.sites[0]?.cuts).toEqual([
      'order->customer->name: more than 100 bytes',
      'order->customer->referrer->name: more than 100 bytes',
    ]);
  });
  test.each<[Partial<PlanRequestOptions>, string]>([
    [{ maxBytes: 0 }, 'the bytes of a hit must be from 1 to 524288, not 0'],
    [{ maxBytes: 1_000_000 }, 'the bytes of a hit must be from 1 to 524288, not 1000000'],
    [{ stackBytes: 300_000 }, 'the stack window must be from 0 to 65536, not 300000'],
    [{ depth: -1 }, 'the depth must be from 0 to 128, not -1'],
  ])('%o', (more, message) => {
    const error = errorOf(() => plan(more));
    expect([error.code, error.message]).toEqual(['usage', `cannot plan the point: ${message}`]);
  });
});

describe('the condition', () => {
  test('runs in the kernel, and what it reads comes along', () => {
    const point = plan({ condition: 'order->total > 10000', locals: false });
    expect(listExpression(point.plan.sites[0]?.condition ?? new Uint8Array())).toBe(
      'DW_OP_breg5 0; DW_OP_plus_uconst 8; DW_OP_deref; DW_OP_const2u 10000; DW_OP_gt',
    );
    expect(rangesOf(point)).toEqual(['*order @ DW_OP_breg5 0 # DW_OP_lit24']);
  });

  test('a variable that is optimised out at the only site', () => {
    const later = variable('total', long, undefined, {
      locationAt: (address) =>
        address === 0x401020n
          ? { kind: 'expression', expression: inRegister(3) }
          : absent('optimized-out', 'optimised out'),
    });
    const module: LiteralModule = {
      ...charge,
      files: { [file]: { 12: [lineAddress(0x401010n, 'charge')], 14: [lineAddress(0x401020n, 'charge')] } },
      stacks: new Map([[0x401010n, [sourceFrame('charge', [later], { file, line: 12 })]]]),
    };
    const error = errorOf(() => plan({ condition: 'total > 5' }, module));
    expect(error.code).toBe('unsupported');
    expect(error.message).toBe(
      'cannot decide condition "total > 5" at charge (orders.c:12) at 0x401010: total: optimised out',
    );
    expect(error.hint).toBe('"total" can be had at line 14');
    expect(error.candidates).toEqual(['orders.c:14']);
    const nowhere = { ...module, files: { [file]: { 12: [lineAddress(0x401010n, 'charge')] } } };
    expect(errorOf(() => plan({ condition: 'total > 5' }, nowhere)).hint).toBe(
      'no line of this function near it has "total"',
    );
  });

  test('a site where it cannot be decided is dropped, and said so', () => {
    const module: LiteralModule = {
      ...charge,
      files: { [file]: { 12: [lineAddress(0x401010n, 'charge'), lineAddress(0x401050n, 'charge')] } },
      stacks: new Map([
        [0x401010n, [sourceFrame('charge', variables, { file, line: 12 })]],
        [
          0x401050n,
          [sourceFrame('charge', [variable('order', pointer(order), undefined)], { file, line: 12 })],
        ],
      ]),
    };
    const point = plan({ condition: 'order->total > 5' }, module);
    expect(point.plan.sites.map((site) => site.linkAddress)).toEqual([0x401010n]);
    expect(point.explanation.dropped).toEqual([
      {
        address: '0x401050',
        function: 'charge',
        reason:
          'cannot decide condition "order->total > 5" at charge (orders.c:12) at 0x401050: order: optimised out',
      },
    ]);
  });

  test('an address that is inside of an instruction is dropped, and refused where it is the only one', () => {
    // mov %rsp,%rbp for ever
    const bytes = new Uint8Array(0x100).map((_, i) => [0x48, 0x89, 0xe5][i % 3] ?? 0);
    const module = { ...charge, code: { address: 0x401000n, bytes } };
    const error = errorOf(() => plan({}, module));
    expect([error.code, error.message]).toEqual([
      'bad-data',
      'cannot probe charge (orders.c:12) at 0x401010: 0x401010 is inside of an instruction',
    ]);
  });
});

test('the explanation', () => {
  const point = plan({ condition: 'order->total > 10000', captures: ['order->customer'], depth: 1 });
  expect(point.explanation).toEqual({
    location: 'orders.c:12',
    module: { path: '/usr/bin/app', buildId: 'c0ffee' },
    stackBytes: 16384,
    maxBytes: 65536,
    dropped: [],
    sites: [
      {
        address: '0x401010',
        function: 'charge',
        file,
        line: 12,
        inlined: false,
        inlinedInto: [],
        afterPrologue: false,
        instruction: {
          bytes: '90',
          group: 'nop',
          probe: 'emulated',
          cost: '0.5 to 1 us a hit: the kernel emulates the instruction',
        },
        condition: {
          text: 'order->total > 10000',
          runsIn: 'kernel',
          listing: 'DW_OP_breg5 0; DW_OP_plus_uconst 8; DW_OP_deref; DW_OP_const2u 10000; DW_OP_gt',
        },
        captures: [{ expression: 'order->customer', type: 'struct customer *' }],
        variables: [
          {
            name: 'order',
            type: 'struct order *',
            parameter: true,
            function: 'charge',
            where: 'in register rdi',
          },
          { name: 'count', type: 'int', parameter: false, function: 'charge', where: 'on the stack' },
          {
            name: 'gone',
            type: 'int',
            parameter: false,
            function: 'charge',
            absent: { reason: 'optimized-out', detail: 'optimised out' },
          },
        ],
        ranges: { count: 3, expectedBytes: 184, mostBytes: 1080 },
        cuts: [],
      },
    ],
  });
});

test('an inlined copy says what it is inlined into', () => {
  const inner = sourceFrame('price', [variable('unit', double, inRegister(17))], {
    file,
    line: 12,
    inlined: true,
  });
  const module: LiteralModule = {
    ...charge,
    files: { [file]: { 12: [lineAddress(0x401010n, 'price', true)] } },
    stacks: new Map([[0x401010n, [inner, sourceFrame('charge', variables, { file, line: 30 })]]]),
    functions: [
      functionSymbol('charge', 0x401000n, 0x401100n),
      functionSymbol('price', 0x401200n, 0x401210n),
    ],
    cfa: { register: 7, offset: 16n },
  };
  const point = plan({ depth: 1 }, module);
  expect(point.plan.sites[0]).toMatchObject({ function: 'price', line: 12, inlined: true });
  expect(point.explanation.sites[0]).toMatchObject({
    inlinedInto: ['charge'],
    variables: [
      { name: 'unit', function: 'price', where: 'in register xmm0' },
      { name: 'order', function: 'charge' },
      { name: 'count', function: 'charge' },
      { name: 'gone', function: 'charge' },
    ],
  });
  expect(rangesOf(point).map((line) => line.split(' @')[0])).toEqual(['*order']);
  expect(linkAddress(0x401010n)).toBe(point.plan.sites[0]?.linkAddress);
});
