import { describe, expect, test } from 'vitest';
import { inline } from '../../../controller/cli/render-value.js';
import { planPoint, type PlanRequestOptions } from '../../../controller/planner/plan.js';
import { renderVariable } from '../../../controller/types/render.js';
import type { Value } from '../../../controller/types/value.js';
import { defaultLimits } from '../../../format/limits.js';
import { flattenRanges } from '../../../format/plan/plan.js';
import { runPlanSite } from '../../../format/plan/run.js';
import { memoryOf } from '../../support/literal-memory.js';
import { addresses, locals, process, registersOfHit, symbols } from './view-process.js';

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
  const result = runPlanSite(site, { registers: registersOfHit(), memory: process, maxBytes: plan.maxBytes });
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
  // Two of them, each with its characters.
  expect(elements).toEqual(Array.from({ length: 4 }, () => 'names[0..99]'));
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
