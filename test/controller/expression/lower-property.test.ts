import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkCondition } from '../../../controller/expression/check.js';
import { evaluateCondition, evaluateScalar } from '../../../controller/expression/evaluate.js';
import { numericOf } from '../../../controller/expression/c-types.js';
import { isUnlowered, lowerCondition, lowerValue } from '../../../controller/expression/lower.js';
import { isAbsent } from '../../../format/absent.js';
import { verifyPlanExpression } from '../../../format/dwarf-op/verify.js';
import type { Program } from './program.js';
import { expressions, floatComparisons, programLeaves, state, textComparisons } from './random.js';
import { wholeOf } from '../../../controller/expression/scalar.js';

/** What the evaluator says and what the plan says; `undefined` when there is no plan for it. */
function both(text: string, program: Program): readonly [string, string] | undefined {
  const node = checkCondition(text, program);
  const plan = lowerCondition(node, program.lowering());
  if (isUnlowered(plan)) return undefined;
  verifyPlanExpression(plan, { hasObject: false });
  const truth = evaluateCondition(node, program.frame());
  const value = program.run(plan);
  const spell = (result: unknown): string => (isAbsent(result) ? 'fault' : String(result));
  const numeric = numericOf(node.type);
  if (numeric?.kind === 'integer') {
    const whole = lowerValue(node, program.lowering());
    const scalar = evaluateScalar(node, program.frame());
    if (!isUnlowered(whole)) {
      const result = program.run(whole);
      const wanted = isAbsent(scalar) ? scalar : BigInt.asUintN(64, wholeOf(scalar));
      if (spell(result) !== spell(wanted)) return [`value ${spell(wanted)}`, `value ${spell(result)}`];
    }
  }
  return [spell(isAbsent(truth) ? truth : truth ? 1n : 0n), spell(value)];
}

/** Generous: what takes two seconds alone takes minutes on a machine that builds and traces beside it. */
const timeoutMs = 300_000;

function agree(arbitrary: fc.Arbitrary<string>, share: number, numRuns: number): void {
  let lowered = 0;
  let all = 0;
  fc.assert(
    fc.property(arbitrary, state, (text, program) => {
      all++;
      const results = both(text, program);
      if (results === undefined) return;
      lowered++;
      expect(`${text} is ${results[1]}`).toBe(`${text} is ${results[0]}`);
    }),
    { numRuns },
  );
  expect(lowered / all).toBeGreaterThan(share);
}

test(
  'integers and pointers are the same in the plan and in the evaluator',
  () => {
    agree(expressions(programLeaves), 0.8, 1000);
  },
  timeoutMs,
);

test(
  'comparisons of floats are',
  () => {
    agree(floatComparisons, 0.8, 800);
  },
  timeoutMs,
);

test(
  'comparisons of strings are',
  () => {
    agree(textComparisons, 0.9, 500);
  },
  timeoutMs,
);

test('unsigned division at its corners', () => {
  const corners = [
    '0xffffffffffffffff / 1',
    '0xffffffffffffffff / 0xffffffffffffffff',
    '0xfffffffffffffffe / 0xffffffffffffffff',
    '0x8000000000000000 / 0x8000000000000000',
    '0x7fffffffffffffff / 0x8000000000000000',
    '0x8000000000000000 / 3',
    '0xffffffffffffffff / 2',
    '0xffffffffffffffff / 0x7fffffffffffffff',
    '5 / 0',
  ];
  const [program] = fc.sample(state, 1);
  if (program === undefined) throw new Error('no state');
  for (const corner of corners) {
    // Through variables, so that nothing is calculated beforehand.
    const [a = '', b = ''] = corner.split(' / ');
    const text = `(ul ^ ul ^ ${a}ul) / (ul ^ ul ^ ${b}ul)`;
    const results = both(text, program);
    expect(results?.[1]).toBe(results?.[0]);
  }
});
