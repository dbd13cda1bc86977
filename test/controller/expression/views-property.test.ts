/** Conditions through views, on objects that are whole, corrupt or in part missing: the plan decides as the evaluator does. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkCondition } from '../../../controller/expression/check.js';
import { evaluateCondition } from '../../../controller/expression/evaluate.js';
import { isUnlowered, lowerCondition } from '../../../controller/expression/lower.js';
import { isAbsent } from '../../../format/absent.js';
import { verifyPlanExpression } from '../../../format/dwarf-op/verify.js';
import { changedViews, viewConditions } from './random-views.js';

test('what the kernel decides is what the evaluator does', () => {
  let lowered = 0;
  let decided = 0;
  const numRuns = 3000;
  fc.assert(
    fc.property(viewConditions, changedViews, (expression, program) => {
      const node = checkCondition(expression, program);
      const plan = lowerCondition(node, program.lowering());
      if (isUnlowered(plan)) return;
      lowered++;
      verifyPlanExpression(plan, { hasObject: false });
      const holds = evaluateCondition(node, program.frame());
      const got = program.run(plan);
      if (!isAbsent(holds)) decided++;
      const spell = (result: unknown): string => (isAbsent(result) ? 'fault' : String(result));
      expect(`${expression} is ${spell(got)}`).toBe(
        `${expression} is ${spell(isAbsent(holds) ? holds : holds ? 1n : 0n)}`,
      );
    }),
    { numRuns },
  );
  expect(lowered).toBe(numRuns);
  expect(decided).toBeGreaterThan(numRuns / 2);
}, 300_000);
