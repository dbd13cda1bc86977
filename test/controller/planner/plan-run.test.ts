import { describe, expect, test } from 'vitest';
import { isAbsent } from '../../../format/absent.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import { defaultLimits } from '../../../format/limits.js';
import type { MemoryReader } from '../../../format/memory.js';
import { rangeBytes, runPlanSite } from '../../../format/plan/run.js';
import { userRegisterOffset, userRegistersBytes } from '../../../format/registers/x86-64.js';
import { planPoint, type PlanRequestOptions } from '../../../controller/planner/plan.js';
import { renderVariable } from '../../../controller/types/render.js';
import type { CompositeType } from '../../../controller/types/type.js';
import type { ValueDocument, VariableDocument } from '../../../controller/types/value-document.js';
import { at, memoryOf, u32, u64 } from '../../support/literal-memory.js';
import {
  functionSymbol,
  lineAddress,
  literalSymbols,
  sourceFrame,
  variable,
} from '../../support/literal-symbols.js';
import { array, char, field, int, long, pointer, struct, union } from '../../support/types.js';

/** Plans are run by the reference interpreter on a literal process; what they bring is rendered. */
const customer: CompositeType = struct('customer', 24, [
  field('id', int, 0),
  field('name', pointer(char), 8),
  field('referrer', () => pointer(customer), 16),
]);
const order = struct('order', 48, [
  field('customer', pointer(customer), 0),
  field('notes', array(pointer(char), 2), 8),
  field('total', long, 24),
  field('next', pointer(customer), 32),
  field(undefined, union(undefined, 8, [field('due', long, 0), field('reference', pointer(char), 0)]), 40),
]);
const symbols = literalSymbols({
  functions: [functionSymbol('charge', 0x401000n, 0x401100n)],
  files: { '/src/orders.c': { 12: [lineAddress(0x401010n, 'charge')] } },
  stacks: new Map([
    [
      0x401010n,
      [sourceFrame('charge', [variable('order', pointer(order), Uint8Array.of(DW_OP.DW_OP_reg0 + 5))])],
    ],
  ]),
});

const process: MemoryReader = memoryOf(
  at(0x71000n, u64(0x72000), u64(0x75000), u64(0), u64(777), u64(0), u64(30)),
  at(0x72000n, u32(1), u32(0), u64(0x75100), u64(0x72100)),
  at(0x72100n, u32(2), u32(0), u64(0x75200), u64(0x72200)),
  at(0x72200n, u32(3), u32(0), u64(0x75300), u64(0x72000)),
  at(0x75000n, 'leave at the door\0'),
  at(0x75100n, 'Ada\0'),
  at(0x75200n, 'Grace\0'),
  at(0x75300n, 'Edsger\0'),
);

function hit(
  more: Partial<PlanRequestOptions>,
): ReturnType<typeof runPlanSite> & { readonly memory: MemoryReader } {
  const { plan } = planPoint({ symbols, modulePath: '/usr/bin/app', location: 'orders.c:12', ...more });
  const registers = new Uint8Array(userRegistersBytes);
  const view = new DataView(registers.buffer);
  view.setBigUint64(userRegisterOffset('rip'), 0x401010n, true);
  view.setBigUint64(userRegisterOffset('rdi'), 0x71000n, true);
  const [site] = plan.sites;
  if (site === undefined) throw new Error('no site');
  // The literal memory reads within one range only, so that strings end where they end.
  const memory: MemoryReader = {
    read: (address, length) => {
      for (let shorter = length; shorter > 0; shorter--) {
        const read = process.read(address, shorter);
        if (!isAbsent(read)) {
          return { ...read, bytes: Buffer.concat([read.bytes, new Uint8Array(length - shorter)]) };
        }
      }
      return process.read(address, length);
    },
  };
  const result = runPlanSite(site, { registers, memory, maxBytes: rangeBytes(plan) });
  return { ...result, memory: memoryOf(...result.ranges) };
}

function render(memory: MemoryReader, depth?: number): VariableDocument {
  return renderVariable(
    'order',
    { type: pointer(order), place: { kind: 'bytes', bytes: u64(0x71000) } },
    { memory, limits: defaultLimits, ...(depth === undefined ? {} : { depth }) },
  );
}

function absences(document: ValueDocument): string[] {
  const parts = [
    ...(document.fields ?? []),
    ...(document.elements ?? []),
    ...(document.target === undefined ? [] : [document.target]),
  ];
  // What is no pointer but a number in a union leads nowhere.
  const isNumber = document.address !== undefined && BigInt(document.address) < 0x10000n;
  const own =
    document.absent === undefined || isNumber ? [] : [`${document.absent.hint} ${document.absent.detail}`];
  return [...own, ...parts.flatMap((part) => absences(part))];
}

describe('what a plan brings is what is shown', () => {
  test.each([1, 2, 3, 4, 5])('depth %i: nothing is absent', (depth) => {
    const { memory, missing } = hit({ depth });
    expect(missing.filter((each) => each.reason !== 'not-captured')).toEqual([]);
    const document = render(memory, depth);
    expect(absences(document)).toEqual([]);
    expect(JSON.stringify(document)).toContain('"leave at the door"');
  });

  test('deeper than was captured, the hint says what to capture', () => {
    const { memory } = hit({ depth: 2 });
    expect(absences(render(memory, 4))).toEqual([
      "capture it with --capture 'order->customer->referrer' 0x72100 was not captured",
    ]);
    const more = hit({ depth: 2, captures: ['order->customer->referrer'] });
    expect(absences(render(more.memory, 3))).toEqual([]);
  });

  test('null pointers, and small numbers in a union with one, are no fault', () => {
    expect(hit({}).faults).toBe(0);
  });

  test('a condition that is false is no hit', () => {
    expect(hit({ condition: 'order->total == 778' }).hit).toBe(false);
    expect(hit({ condition: 'order->total == 777' }).hit).toBe(true);
    expect(hit({ condition: 'order->customer->name == "Ada"' }).hit).toBe(true);
    expect(hit({ condition: 'order->next->id == 1' })).toMatchObject({ hit: false, faults: 1 });
  });
});
