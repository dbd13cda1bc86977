import { describe, expect, test } from 'vitest';
import { inline } from '../../../controller/cli/render-value.js';
import { checkExpression } from '../../../controller/expression/check.js';
import { Collector } from '../../../controller/expression/collect.js';
import { evaluate } from '../../../controller/expression/evaluate.js';
import { renderValue } from '../../../controller/types/render.js';
import { verifyPlanExpression } from '../../../format/dwarf-op/verify.js';
import { defaultLimits } from '../../../format/limits.js';
import type { MemoryReader } from '../../../format/memory.js';
import { flattenRanges, type PlanRange } from '../../../format/plan/plan.js';
import { runPlanSite } from '../../../format/plan/run.js';
import { userRegistersBytes } from '../../../format/registers/x86-64.js';
import { Program } from './program.js';
import { viewProgram } from './views.js';

const program = viewProgram();

function collect(capture: string, depth: number): readonly PlanRange[] {
  const collector = new Collector(program.lowering(), { limits: defaultLimits });
  const refused = collector.capture(checkExpression(capture, program), depth);
  if (refused !== undefined) throw new Error(refused.unsupported);
  for (const { range, parent } of flattenRanges(collector.ranges)) {
    verifyPlanExpression(range.address, { hasObject: parent !== undefined });
    verifyPlanExpression(range.length, { hasObject: parent !== undefined });
  }
  return collector.ranges;
}

/** What a probe would bring, as the only memory there is. */
function captured(ranges: readonly PlanRange[]): { readonly memory: MemoryReader; readonly faults: number } {
  const site = { linkAddress: 0n, fileOffset: 0, function: 'f', inlined: false, ranges };
  const registers = new Uint8Array(userRegistersBytes);
  const result = runPlanSite(site, { registers, memory: program.memory, maxBytes: 1 << 20 });
  const copy = new Program();
  for (const { address, bytes } of result.ranges) copy.write(address, bytes);
  return { memory: copy.memory, faults: result.faults };
}

function shown(text: string, memory: MemoryReader): string {
  const frame = { ...program.frame(), memory };
  const value = evaluate(checkExpression(text, program), frame);
  return inline(renderValue(value, { memory, limits: defaultLimits, path: text }));
}

describe('what a capture brings shows as it does in the process', () => {
  test.each([
    'name',
    'long_name',
    'empty',
    'wide',
    'numbers',
    'items',
    'shared',
    'maybe',
    'none',
    'outcome',
    'failed',
    'counter',
    'list',
    'ages',
    'squares',
    'any',
    'nobody',
    'tuple',
    'circle',
    'broken',
    'vector',
    'name.size()',
    'name == "abc"',
    'long_name == "a string that is not here"',
    'long_name.contains("not")',
    'long_name[3]',
    'items[0].name == shared->name',
    'numbers[1]',
    'numbers[i]',
    'numbers[0:2]',
    'numbers.back()',
    'items[1].name',
    'items[1].name == "x"',
    'items[0:2]',
    'shared->name',
    'shared.use_count()',
    '*shared',
    'maybe.value()',
    'none.value().name',
    'outcome.value().size()',
    'list[2]',
    'list[1:3]',
    'list.contains(300)',
    'ages["bob"]',
    'squares[12]',
    'squares[numbers[0]]',
    'list[items[1].id - 1]',
    'list.contains(numbers[1] * 10)',
    'any.(Item).name',
    'any != nil',
    'circle.Named::id',
  ])('%s', (text) => {
    const { memory, faults } = captured(collect(text, 3));
    expect(shown(text, memory)).toBe(shown(text, program.memory));
    expect(faults).toBe(0);
  });
});

test('depth 0 brings characters and elements, and nothing that they lead to', () => {
  const { memory } = captured(collect('long_name', 0));
  expect(shown('long_name', memory)).toBe('"a string that is not here"');
  const deep = captured(collect('shared', 0));
  expect(shown('shared', deep.memory)).toBe('0x7f0000001100 {use_count=2} → <not captured>');
});
