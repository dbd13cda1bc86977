import { describe, expect, test } from 'vitest';
import { checkExpression } from '../../../controller/expression/check.js';
import { followValue } from '../../../controller/expression/collect-type.js';
import { Collector } from '../../../controller/expression/collect.js';
import { evaluate } from '../../../controller/expression/evaluate.js';
import { RangeTree } from '../../../controller/expression/range-tree.js';
import { isUnlowered } from '../../../controller/expression/lower.js';
import { rootPath } from '../../../controller/types/path.js';
import { sizeOf } from '../../../controller/types/layout.js';
import { isAbsent } from '../../../format/absent.js';
import { listExpression } from '../../../format/dwarf-op/list.js';
import { verifyPlanExpression } from '../../../format/dwarf-op/verify.js';
import { defaultLimits } from '../../../format/limits.js';
import type { CompositeType, Type } from '../../../controller/types/type.js';
import type { MemoryReader } from '../../../format/memory.js';
import { flattenRanges, type PlanRange } from '../../../format/plan/plan.js';
import { runPlanSite } from '../../../format/plan/run.js';
import { dwarfRegisterNames, userRegisterOffset } from '../../../format/registers/x86-64.js';
import * as t from '../../support/types.js';
import { orderAddress, orderProgram } from './order.js';
import { bias, Program } from './program.js';

function collect(program: Program, captures: readonly string[], depth = 3): readonly PlanRange[] {
  const collector = new Collector(program.lowering(), { limits: defaultLimits });
  for (const capture of captures) {
    const refused = collector.capture(checkExpression(capture, program), depth);
    if (refused !== undefined) throw new Error(refused.unsupported);
  }
  for (const { range, parent } of flattenRanges(collector.ranges)) {
    verifyPlanExpression(range.address, { hasObject: parent !== undefined });
    verifyPlanExpression(range.length, { hasObject: parent !== undefined });
  }
  return collector.ranges;
}

/** What a probe would bring, as the only memory of a program that is otherwise the same. */
function captured(program: Program, ranges: readonly PlanRange[]): { memory: MemoryReader; faults: number } {
  const registers = new Uint8Array(216);
  const view = new DataView(registers.buffer);
  for (const [n, name] of dwarfRegisterNames.entries()) {
    view.setBigUint64(userRegisterOffset(name), program.registers[n] ?? 0n, true);
  }
  const site = {
    linkAddress: (program.registers[16] ?? 0n) - bias,
    fileOffset: 0,
    function: 'f',
    inlined: false,
    ranges,
  };
  const result = runPlanSite(site, { registers, memory: program.memory, maxBytes: 1 << 20 });
  const copy = new Program();
  for (const { address, bytes } of result.ranges) copy.write(address, bytes);
  return { memory: copy.memory, faults: result.faults };
}

const tree = (ranges: readonly PlanRange[], indent = ''): string =>
  ranges
    .map(({ path, maxBytes, untilNul, children }) => {
      const rest = children.length === 0 ? '' : `\n${tree(children, `${indent}  `)}`;
      return `${indent}${path} ${untilNul ? 'string' : maxBytes}${rest}`;
    })
    .join('\n');

describe('the ranges of a capture', () => {
  const program = orderProgram();
  test.each([
    [
      'order',
      '*order 88\n  *order->customer 48\n    order->customer->name string\n    *order->customer->referrer 48\n      order->customer->referrer->name string\n    *order->customer->parts 8\n      *order->customer->parts string',
    ],
    ['order->customer->name', '*order 88\n  *order->customer 48\n    order->customer->name string'],
    ['order->customer->tier == GOLD', '*order 88\n  *order->customer 48'],
    [
      'order->customer->parts[1]',
      '*order 88\n  *order->customer 48\n    order->customer->parts[1] 8\n      order->customer->parts[1] string',
    ],
    ['order->data', '*order 88\n  *order->data 256\n  *order->data string'],
    [
      'order->customer->parts @ 2',
      '*order 88\n  *order->customer 48\n    order->customer->parts @ 2 16\n      order->customer->parts[0] string\n      order->customer->parts[1] string',
    ],
    ['order->customer->name == "Ada"', '*order 88\n  *order->customer 48\n    order->customer->name string'],
    ['total_orders + i', 'total_orders 8\ni 4'],
    ['grid[1][i & 1]', 'i 4\ngrid[1][i & 1] 4'],
    ['(char *)order->data', '*order 88\n  (char *)order->data string'],
    ['&order->items[1]', '*(&order->items[1]) 2'],
    ['1 + 2', ''],
    ['$rdi', ''],
  ])('%s', (expression, wanted) => {
    expect(tree(collect(program, [expression]))).toBe(wanted);
  });
});

describe('what was captured can be evaluated', () => {
  const elements = (count: number): string[] =>
    Array.from({ length: count }, (_, i) => `order->customer->parts[${i}] == "x"`);
  const cases: readonly (readonly [string, readonly string[]])[] = [
    [
      'order',
      ['order->id', 'order->customer->name == "Ada Lovelace"', 'order->wide', 'order->customer->tier'],
    ],
    [
      'order->customer->name',
      ['order->customer->name.contains("Love")', 'order->customer->balance', 'order->total'],
    ],
    ['order->items[order->items[2]]', ['order->items[order->items[2]]', 'order->items[2]']],
    [
      'order->customer->parts @ order->items[1] + 4',
      ['order->customer->parts[0] == "Ada Lovelace"', ...elements(2)],
    ],
    ['(1 ? *order : *nothing).customer->name', ['order->customer->name == "A"']],
    ['order->data', ['((char *)order->data)[7]', '(char *)order->data == "Ada Lovelace"']],
    ['order->customer->name[4:8]', ['order->customer->name[4:8] == "Love"']],
    ['l > 0 ? i : u', ['l', 'i', 'u']],
    ['*(order + 0) @ 1', ['order->total']],
  ];
  test.each(cases)('%s', (capture, questions) => {
    const program = orderProgram().fillPages();
    const { memory } = captured(program, collect(program, [capture]));
    const frame = { ...program.frame(), memory };
    for (const question of [...questions, capture]) {
      const node = checkExpression(question, program);
      const value = evaluate(node, frame);
      const whole = evaluate(node, program.frame());
      if (value.place.kind === 'memory') {
        const size = sizeOf(value.type) ?? 0;
        const bytes = memory.read(value.place.address, size);
        if (isAbsent(bytes)) throw new Error(`${question}: ${bytes.detail}`);
        expect(value.place).toEqual(whole.place);
      } else {
        expect(value.place.kind).toBe('bytes');
        expect({ question, value }).toMatchObject({ question, value: { place: whole.place } });
      }
    }
  });
});

test('null pointers are nothing to collect, and no fault', () => {
  const program = orderProgram().fillPages();
  const ranges = collect(program, ['order']);
  program.registers[5] = 0n;
  expect(captured(program, ranges).faults).toBe(0);
  program.registers[5] = orderAddress;
  program.integer(orderAddress + 8n, 0, 8);
  expect(captured(program, ranges).faults).toBe(0);
  program.integer(orderAddress + 8n, 0x6660_0000n, 8);
  expect(captured(program, ranges).faults).toBe(1);
});

test('a child is found from its parent, not from the registers again', () => {
  const program = orderProgram();
  const [root] = collect(program, ['order->customer->name']);
  const child = root?.children[0];
  expect(listExpression(root?.address ?? new Uint8Array())).toBe('DW_OP_breg5 0');
  expect(listExpression(child?.address ?? new Uint8Array())).toBe(
    'DW_OP_push_object_address; DW_OP_plus_uconst 8; DW_OP_deref',
  );
});

test('two captures share what they have in common', () => {
  const program = orderProgram();
  const ranges = collect(program, ['order->customer->name', 'order->customer->tier', 'order->total']);
  expect(flattenRanges(ranges).map(({ range }) => range.path)).toEqual([
    '*order',
    '*order->customer',
    'order->customer->name',
  ]);
});

test('a large struct is not taken whole for one member', () => {
  const large = t.struct('server', 5000, [
    t.field('clients', t.long, 0),
    t.field('port', t.int, 4000),
    t.field('db', t.pointer(t.struct('db', 16, [t.field('id', t.int, 8)])), 4016),
  ]);
  const program = orderProgram().variable('server', large, { kind: 'global', link: 0x8000n });
  expect(tree(collect(program, ['server.port']))).toBe('server.port 4');
  expect(tree(collect(program, ['server.db->id']))).toBe('server.db 8\n  *server.db 16');
});

/** A struct with pointers to its own type, and a name. */
function linked(...links: readonly string[]): CompositeType {
  const node: CompositeType = t.struct('node', 16 + links.length * 8, () => [
    t.field('id', t.long, 0),
    t.field('name', t.pointer(t.char), 8),
    ...links.map((link, i) => t.field(link, t.pointer(node), 16 + i * 8)),
  ]);
  return node;
}

const withPointer = (target: Type): Program =>
  orderProgram().variable('head', t.pointer(target), { kind: 'register', register: 5 });

test.each<[string, readonly string[], string]>([
  ['a list', ['next'], '*head->next... 24\n  head->next...->name string'],
  ['a list in both directions', ['prev', 'next'], '*head->next... 32\n  head->next...->name string'],
  ['a way up', ['parent'], '*head->parent... 24\n  head->parent...->name string'],
  [
    'a tree',
    ['left', 'right'],
    [
      '*head 32',
      '  head->name string',
      '  *head->left 32',
      '    head->left->name string',
      '  *head->right 32',
      '    head->right->name string',
    ].join('\n'),
  ],
  [
    'something else',
    ['owner'],
    '*head 24\n  head->name string\n  *head->owner 24\n    head->owner->name string',
  ],
])('%s, captured by its name', (_, links, expected) => {
  expect(tree(collect(withPointer(linked(...links)), ['head'], 2))).toBe(expected);
});

test('lists that nobody asked for are followed to the depth', () => {
  const program = withPointer(linked('next'));
  const collector = new Collector(program.lowering(), { limits: defaultLimits });
  expect(collector.local(checkExpression('head', program), 2)).toBeUndefined();
  expect(tree(collector.ranges)).toBe(
    '*head 24\n  head->name string\n  *head->next 24\n    head->next->name string',
  );
});

test('all nodes of a list are brought by one range', () => {
  const program = withPointer(linked('next'));
  const at = (i: number): bigint => 0x70_0000n + BigInt(i) * 0x100n;
  program.registers[5] = at(0);
  for (let i = 0; i < 60; i++) {
    const node = Buffer.alloc(32);
    node.writeBigInt64LE(BigInt(i), 0);
    node.writeBigUInt64LE(at(i) + 24n, 8);
    node.writeBigUInt64LE(i < 59 ? at(i + 1) : 0n, 16);
    node.write(`n${i}`, 24);
    // Strings are read up to the end of what is mapped.
    program.write(at(i), Buffer.concat([node, Buffer.alloc(0x100 - 32)]));
  }
  const { memory, faults } = captured(program, collect(program, ['head']));
  expect(faults).toBe(0);
  const last = `head${'->next'.repeat(59)}`;
  for (const [text, size] of [
    [`${last}->id`, 8],
    [`${last}->name[1]`, 1],
  ] as const) {
    const { place } = evaluate(checkExpression(text, program), { ...program.frame(), memory });
    if (place.kind !== 'memory') throw new Error(`${text} is not in memory`);
    expect(memory.read(place.address, size)).toEqual(program.memory.read(place.address, size));
  }
});

test('a plan has an end', () => {
  const program = orderProgram();
  const wide: CompositeType = t.struct('wide', 800, () =>
    Array.from({ length: 100 }, (_, i) => t.field(`p${i}`, t.pointer(wide), i * 8)),
  );
  const collector = new Collector(
    program.variable('wide', t.pointer(wide), { kind: 'register', register: 5 }).lowering(),
    { limits: defaultLimits },
  );
  expect(collector.capture(checkExpression('wide', program), 3)).toBeUndefined();
  expect([collector.size, collector.isFull]).toEqual([1024, true]);
});

test('what has no location says so, and covered variables need no range', () => {
  const program = orderProgram();
  const collector = new Collector(program.lowering(), {
    limits: defaultLimits,
    isCovered: (variable) => variable.name === 'i' || variable.name === 'grid',
    isSecret: (path) => path.endsWith('name'),
  });
  expect(collector.capture(checkExpression('1 + gone', program), 3)).toEqual({
    unsupported: 'gone: optimised out here',
    position: 4,
    length: 4,
    absent: { absent: 'optimized-out', detail: 'optimised out here' },
  });
  expect(collector.local(checkExpression('i', program), 3)).toBeUndefined();
  expect(collector.local(checkExpression('grid[1][2]', program), 3)).toBeUndefined();
  expect(collector.ranges).toEqual([]);
  expect(collector.local(checkExpression('order->data', program), 3)).toBeUndefined();
  expect(tree(collector.ranges)).toBe('*order 88');
  collector.capture(checkExpression('order->customer->name', program), 3);
  const secrets = flattenRanges(collector.ranges).filter(({ range }) => range.secret);
  expect(secrets.map(({ range }) => range.path)).toEqual(['order->customer->name']);
  expect(isUnlowered(collector.capture(checkExpression('order[f > 1].id', program), 3))).toBe(false);
  expect(collector.capture(checkExpression('order[(int)f].id', program), 3)).toMatchObject({
    unsupported: 'floating arithmetic cannot run in the kernel; only comparisons can',
    position: 11,
    length: 1,
  });
});

test('members that double with each level of nesting end', () => {
  const loop: CompositeType = t.struct('loop', 8, () => [t.field('a', loop, 0), t.field('b', loop, 0)]);
  const ranges = new RangeTree(10);
  const steps = { left: 1000 };
  const context = {
    tree: ranges,
    limits: defaultLimits,
    depth: 1,
    explicit: false,
    isNamed: false,
    nesting: 0,
    steps,
  };
  const start = { owner: undefined, code: new Uint8Array() };
  followValue(loop, start, rootPath('x'), { ...context, isSecret: () => false });
  expect(steps.left).toBeLessThanOrEqual(0);
});
