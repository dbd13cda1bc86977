import { describe, expect, test } from 'vitest';
import { inline } from '../../../controller/cli/render-value.js';
import { planPoint, type PlanRequestOptions } from '../../../controller/planner/plan.js';
import { renderVariable } from '../../../controller/types/render.js';
import type { Type } from '../../../controller/types/type.js';
import type { Value } from '../../../controller/types/value.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import { defaultLimits } from '../../../format/limits.js';
import { flattenRanges } from '../../../format/plan/plan.js';
import { runPlanSite } from '../../../format/plan/run.js';
import { userRegisterOffset, userRegistersBytes } from '../../../format/registers/x86-64.js';
import { at, memoryOf, u32, u64 } from '../../support/literal-memory.js';
import {
  functionSymbol,
  lineAddress,
  literalSymbols,
  sourceFrame,
  variable,
} from '../../support/literal-symbols.js';
import { field, int, long, pointer, struct } from '../../support/types.js';
import {
  listType,
  mapType,
  optionalType,
  order,
  sharedType,
  stringType,
  vectorType,
} from '../../support/view-types.js';

/** Locals with views, in the frame of a function whose stack window is not taken: what a plan brings of them by itself. */
const text = stringType();
const frame = 0x7ffc_0000_1000n;
const longText = (data: bigint, size: number): Uint8Array =>
  Buffer.concat([u64(data), u64(size), u64(size + 16), new Uint8Array(16)]);
const ints = (...values: number[]): Uint8Array => Buffer.concat(values.map((value) => u32(value)));
const tag = (value: number): Uint8Array => Uint8Array.of(value, 0, 0, 0, 0, 0, 0, 0);

const node = struct('Node', 24, () => [
  field('id', long, 0),
  field(
    'next',
    sharedType(() => node),
    8,
  ),
]);

const heap = [
  at(0x71000n, 'a string that is somewhere else'),
  at(0x71100n, 'the second string, also elsewhere'),
  at(0x72000n, longText(0x71000n, 31), longText(0x71100n, 33)),
  at(0x73000n, ints(...Array.from({ length: 300 }, (_, i) => i))),
  at(0x74000n, u32(7), u32(0), longText(0x71000n, 31)),
  at(0x74100n, u64(2)),
  at(0x75000n, u64(0x75100), ints(1)),
  at(0x75100n, u64(0x75200), ints(2)),
  at(0x75200n, u64(0), ints(3)),
  at(0x76000n, longText(0x71000n, 31), ints(1, 0), longText(0x71100n, 33), ints(2, 0)),
  at(0x77000n, u64(1), u64(0x77100), u64(0x74100)),
  at(0x77100n, u64(2), u64(0x77200), u64(0x74100)),
  at(0x77200n, u64(3), u64(0x77300), u64(0x74100)),
  at(0x77300n, u64(4), u64(0), u64(0x74100)),
];

const locals: readonly (readonly [string, Type, Uint8Array])[] = [
  ['name', text, longText(0x71000n, 31)],
  ['names', vectorType(text, 40), Buffer.concat([u64(0x72000), u64(0x72050), u64(0x72050)])],
  ['numbers', vectorType(int, 4), Buffer.concat([u64(0x73000), u64(0x734b0), u64(0x734b0)])],
  ['shared', sharedType(order), Buffer.concat([u64(0x74000), u64(0x74100)])],
  ['nobody', sharedType(order), Buffer.concat([u64(0), u64(0)])],
  ['some', optionalType(text, 40), Buffer.concat([tag(1), longText(0x71100n, 33)])],
  ['none', optionalType(text, 40), Buffer.concat([tag(0), longText(0x79999n, 33)])],
  ['list', listType(int), Buffer.concat([u64(0x75000), u64(3)])],
  ['map', mapType(text, int, 40, 48), Buffer.concat([u64(0x76000), u64(2)])],
  ['chain', pointer(node), u64(0x77000)],
  ['broken', vectorType(text, 40), Buffer.concat([u64(0x72000), u64(0x72041), u64(0x72050)])],
];

/** Each local 64 bytes from the one before. */
const addresses = new Map(locals.map(([name], i) => [name, frame + BigInt(64 * i)]));
const process = memoryOf(...heap, ...locals.map(([name, , bytes]) => at(addresses.get(name) ?? 0n, bytes)));
const symbols = literalSymbols({
  functions: [functionSymbol('handle', 0x401000n, 0x401100n)],
  files: { '/src/service.cc': { 12: [lineAddress(0x401010n, 'handle')] } },
  stacks: new Map([
    [
      0x401010n,
      [
        sourceFrame(
          'handle',
          locals.map(([name, type], i) =>
            // Counted from rbp, so that no stack window covers them.
            variable(name, type, Uint8Array.of(DW_OP.DW_OP_breg0 + 6, ...sleb(64 * i))),
          ),
        ),
      ],
    ],
  ]),
});

function sleb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    const isLast = rest < 64;
    bytes.push((rest & 0x7f) | (isLast ? 0 : 0x80));
    if (isLast) return bytes;
  }
}

/** What a hit brings, and how many ranges it took. */
function hit(more: Partial<PlanRequestOptions> = {}): {
  readonly memory: ReturnType<typeof memoryOf>;
  readonly faults: number;
  readonly ranges: number;
  readonly paths: readonly string[];
} {
  const { plan } = planPoint({
    symbols,
    modulePath: '/usr/bin/app',
    location: 'service.cc:12',
    stackBytes: 0,
    ...more,
  });
  const [site] = plan.sites;
  if (site === undefined) throw new Error('no site');
  const registers = new Uint8Array(userRegistersBytes);
  new DataView(registers.buffer).setBigUint64(userRegisterOffset('rbp'), frame, true);
  const result = runPlanSite(site, { registers, memory: process, maxBytes: plan.maxBytes });
  const paths = result.ranges.map(({ path }) => path);
  return {
    memory: memoryOf(...result.ranges),
    faults: result.faults,
    ranges: flattenRanges(site.ranges).length,
    paths,
  };
}

function shown(name: string, memory: ReturnType<typeof memoryOf>): string {
  const [, type] = locals.find(([each]) => each === name) ?? [];
  if (type === undefined) throw new Error(`no local ${name}`);
  const value: Value = { type, place: { kind: 'memory', address: addresses.get(name) ?? 0n } };
  return inline(renderVariable(name, value, { memory, limits: defaultLimits }));
}

describe('a hit brings of each local what its view leads to', () => {
  const { memory, faults } = hit();
  test.each(locals.map(([name]) => name))('%s', (name) => {
    expect(shown(name, memory)).toBe(shown(name, process));
  });
  test('without a fault, where nothing is broken', () => {
    expect(faults).toBe(0);
  });
});

test('what is not there is not asked for', () => {
  const { paths } = hit();
  expect(paths).not.toContain('*nobody');
  expect(paths).not.toContain('none.Some');
  const elements = paths.filter((path) => path.startsWith('names['));
  expect(elements.toSorted()).toEqual(['names[0]', 'names[0]', 'names[1]', 'names[1]']);
});

test('depth 0: characters and elements, and not what those lead to', () => {
  const { memory } = hit({ depth: 0 });
  expect(shown('name', memory)).toBe('"a string that is somewhere else"');
  expect(shown('numbers', memory)).toBe(shown('numbers', process));
  expect(shown('shared', memory)).toMatch(/^0x74000 \{use_count=2\} → <not captured/);
});

test('a page of a long sequence is brought by its capture', () => {
  expect(shown('numbers', process)).toMatch(/99, … 200 more\]$/);
  const page = hit({ captures: ['numbers[100:200]'], locals: false });
  const read = page.memory.read(0x73000n + 400n, 400);
  expect(read).toMatchObject({ provenance: 'at-hit' });
});

test('few ranges: the near ones of all come first', () => {
  const few = hit({ limits: { ...defaultLimits, maxRanges: 30 } });
  expect(few.ranges).toBe(30);
  for (const name of ['name', 'shared', 'some']) expect(shown(name, few.memory)).toBe(shown(name, process));
});
