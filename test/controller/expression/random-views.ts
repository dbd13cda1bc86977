/** Random conditions through views, and random objects of the program of `views.ts`. */
import * as fc from 'fast-check';
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
export const viewConditions: fc.Arbitrary<string> = fc.oneof(
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

/** Objects that are whole, or have a few words changed. */
export const changedViews: fc.Arbitrary<Program> = fc.array(change, { maxLength: 4 }).map(changed);
