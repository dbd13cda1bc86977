/** Conditions through views, on objects that are whole, corrupt or in part missing: the plan decides as the evaluator does. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkCondition } from '../../../controller/expression/check.js';
import { evaluateCondition } from '../../../controller/expression/evaluate.js';
import { isUnlowered, lowerCondition } from '../../../controller/expression/lower.js';
import { isAbsent } from '../../../format/absent.js';
import { verifyPlanExpression } from '../../../format/dwarf-op/verify.js';
import type { Program } from './program.js';
import { places, viewProgram } from './views.js';

const text = fc.constantFrom(
  'name',
  'long_name',
  'empty',
  'items[0].name',
  'items[1].name',
  'shared->name',
  'outcome.value()',
);
const literal = fc.constantFrom(
  '"abc"',
  '""',
  '"first"',
  '"fine"',
  '"a string that is not here"',
  String.raw`"sec\0nd"`,
  '"ab"',
);
const length = fc.constantFrom(
  'numbers.size()',
  'name.size()',
  'items.size()',
  'len(long_name)',
  'cap(numbers)',
  'list.size()',
  'ages.size()',
);
const number = fc.constantFrom('0', '1', '2', '3', '16', '-1', 'i', '0x7fffffffffffffff');
const scalar = fc.oneof(
  length,
  number,
  number.map((index) => `numbers[${index}]`),
  fc.constantFrom(
    'numbers.front()',
    'numbers.back()',
    'shared->id',
    'shared.use_count()',
    'maybe.value()',
    'none->id',
    'failed.error()',
    'outcome.index()',
    'counter',
    'counter.borrow()',
    'items.back().id',
    'circle.Named::id',
    'tuple.1.0',
    'vector->size()',
  ),
);
const truth = fc.constantFrom(
  'shared',
  'shared != nullptr',
  'maybe',
  'maybe.has_value()',
  'none == None',
  'outcome.is_ok()',
  'failed.is_err()',
  'any != nil',
  'nobody == nil',
  'name.empty()',
  'numbers.empty()',
);
const comparison = fc
  .tuple(scalar, fc.constantFrom('==', '!=', '<', '<=', '>', '>='), scalar)
  .map(([a, operator, b]) => `${a} ${operator} ${b}`);
const textual = fc.oneof(
  fc.tuple(text, fc.constantFrom('==', '!='), literal).map(([a, operator, b]) => `${a} ${operator} ${b}`),
  fc.tuple(text, literal).map(([a, b]) => `${a}.startsWith(${b})`),
);
const simple = fc.oneof(comparison, textual, truth);
const condition = fc.oneof(
  simple,
  fc
    .tuple(simple, fc.constantFrom('&&', '||'), simple)
    .map(([a, operator, b]) => `(${a}) ${operator} !(${b})`),
);

/** Objects with a word changed: a length, a pointer, a discriminant. */
const change = fc.record({
  at: fc.constantFrom(...Object.values(places)),
  word: fc.integer({ min: 0, max: 5 }),
  value: fc.oneof(
    fc.constantFrom(0n, 1n, 2n, 3n, 7n, 15n, 16n, 1n << 47n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n),
    fc.constantFrom(...Object.values(places)),
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  ),
});

function changed(
  changes: readonly { readonly at: bigint; readonly word: number; readonly value: bigint }[],
): Program {
  const program = viewProgram();
  for (const { at, word, value } of changes) program.integer(at + BigInt(8 * word), value, 8);
  return program;
}

test('what the kernel decides is what the evaluator does', () => {
  let lowered = 0;
  let decided = 0;
  const numRuns = 3000;
  fc.assert(
    fc.property(condition, fc.array(change, { maxLength: 4 }), (expression, changes) => {
      const program = changed(changes);
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
