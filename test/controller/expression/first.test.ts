import { expect, test } from 'vitest';
import { checkCondition } from '../../../controller/expression/check.js';
import { evaluateCondition } from '../../../controller/expression/evaluate.js';
import { isUnlowered, lowerCondition } from '../../../controller/expression/lower.js';
import { listExpression } from '../../../format/dwarf-op/list.js';
import { customerAddress, orderAddress, orderProgram } from './order.js';

const text = 'order->customer->tier == GOLD && order->total > 10000';

test('the condition of the demonstration is the same in the frame and in the plan', () => {
  const program = orderProgram();
  const condition = checkCondition(text, program);
  const plan = lowerCondition(condition, program.lowering());
  if (isUnlowered(plan)) throw new Error(plan.unsupported);
  expect(listExpression(plan)).toBe(
    [
      'DW_OP_breg5 0; DW_OP_plus_uconst 8; DW_OP_deref; DW_OP_plus_uconst 8; DW_OP_deref_size 4',
      'DW_OP_lit2; DW_OP_eq; DW_OP_bra to 18; DW_OP_lit0; DW_OP_skip to 27',
      'DW_OP_breg5 0; DW_OP_plus_uconst 16; DW_OP_deref; DW_OP_const2u 10000; DW_OP_gt',
    ].join('; '),
  );
  const truth = (): readonly unknown[] => [evaluateCondition(condition, program.frame()), program.run(plan)];
  expect(truth()).toEqual([true, 1n]);
  program.integer(orderAddress + 16n, 10_000, 8);
  expect(truth()).toEqual([false, 0n]);
  program.integer(orderAddress + 16n, 10_001, 8).integer(customerAddress + 8n, 1, 4);
  expect(truth()).toEqual([false, 0n]);
});
