/** What the agent decides on the bytes of a hit is what the evaluator says of them: true, false, or that it cannot be told. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkCondition } from '../../../controller/expression/check.js';
import { evaluateCondition } from '../../../controller/expression/evaluate.js';
import { lowerDecision } from '../../../controller/expression/lower-decision.js';
import { isUnlowered } from '../../../controller/expression/lower.js';
import { isAbsent } from '../../../format/absent.js';
import { decided } from './decided.js';
import type { Program } from './program.js';
import { expressions, floatComparisons, programLeaves, state, textComparisons } from './random.js';
import { changedViews, viewConditions } from './random-views.js';

function agree(
  condition: fc.Arbitrary<string>,
  programs: fc.Arbitrary<Program>,
  { numRuns, lowered: share, told }: { numRuns: number; lowered: number; told: number },
): void {
  let lowered = 0;
  let known = 0;
  fc.assert(
    fc.property(condition, programs, (text, program) => {
      const node = checkCondition(text, program);
      const decision = lowerDecision(node, program.lowering());
      if (isUnlowered(decision)) return;
      lowered++;
      const wanted = evaluateCondition(node, program.frame());
      const got = decided(decision, program);
      if (!isAbsent(wanted)) known++;
      const spell = (result: unknown): string => (isAbsent(result) ? 'undecided' : String(result));
      // Whether there is any is known when one was found, whatever comes after it.
      if (isAbsent(wanted) && got === true && /^\w+\.contains\([^")]*\)$/.test(text)) return;
      expect(`${text} is ${spell(got)}`).toBe(`${text} is ${spell(wanted)}`);
    }),
    { numRuns },
  );
  expect(lowered / numRuns).toBeGreaterThanOrEqual(share);
  expect(known / numRuns).toBeGreaterThan(told);
}

const timeoutMs = 300_000;
const comparison = fc.constantFrom('==', '!=', '<', '<=', '>', '>=');

test(
  'integers, pointers, registers',
  () => {
    agree(expressions([...programLeaves, '$tid', '$pid']), state, { numRuns: 200, lowered: 0.8, told: 0.3 });
  },
  timeoutMs,
);

const { number: floats } = fc.letrec<{ number: string; leaf: string }>((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom('f', 'd', 'order->customer->score', 'order->customer->balance', 'order->ratio'),
    fc.constantFrom('i', 'u', 'l', 'ul', 'c', 'flag', 'order->items[1]', 'order->tiny'),
    fc.constantFrom('1', '0.1', '0.1f', '-2', '1e300', '1e-310', '3', '0.0', '16777217', '9007199254740993'),
  ),
  number: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'float' },
    tie('leaf'),
    fc
      .tuple(tie('number'), fc.constantFrom('+', '-', '*', '/'), tie('number'))
      .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
    tie('number').map((a) => `- ${a}`),
    fc
      .tuple(
        fc.constantFrom('float', 'double', 'int', 'unsigned char', 'long', 'unsigned long', '_Bool'),
        tie('number'),
      )
      .map(([type, a]) => `(${type})${a}`),
    fc
      .tuple(tie('number'), comparison, tie('number'), tie('number'), tie('number'))
      .map(([a, operator, b, c, d]) => `(${a} ${operator} ${b} ? ${c} : ${d})`),
  ),
}));

test(
  'arithmetic of floats, mixed with integers',
  () => {
    const compared = fc.tuple(floats, comparison, floats).map(([a, operator, b]) => `${a} ${operator} ${b}`);
    agree(fc.oneof(compared, floats), state, { numRuns: 600, lowered: 0.9, told: 0.5 });
  },
  timeoutMs,
);

test(
  'comparisons of floats that the kernel decides as well',
  () => {
    agree(floatComparisons, state, { numRuns: 200, lowered: 0.8, told: 0.6 });
  },
  timeoutMs,
);

const strings = [
  'order->customer->name',
  'order->customer->code',
  '$comm',
  'order->customer->name[0:3]',
  '((char *)order->customer)',
];
const searches = fc.oneof(
  fc
    .tuple(fc.constantFrom(...strings), fc.constantFrom('a', 'b', 'ab', '', 'work', 'AB'))
    .map(([subject, literal]) => `${subject}.contains(${JSON.stringify(literal)})`),
  fc
    .tuple(
      fc.constantFrom(...strings),
      fc.constantFrom('^a', 'b+c?$', '^(a|b)*$', '[^a-c]', '', 'work.r', '^.{3}$'),
    )
    .map(([subject, pattern]) => `${subject}.matches(${JSON.stringify(pattern)})`),
);

test(
  'texts: compared, searched, matched',
  () => {
    agree(fc.oneof(textComparisons, searches, searches), state, { numRuns: 600, lowered: 0.95, told: 0.6 });
  },
  timeoutMs,
);

test(
  'views, on objects that are whole or corrupt',
  () => {
    agree(viewConditions, changedViews, { numRuns: 400, lowered: 1, told: 0.5 });
  },
  timeoutMs,
);

const walks = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('list[0]', 'list[2]', 'list[i]', 'list.back()', 'list.front()', 'list[-1]'),
      comparison,
      fc.constantFrom(1, 100, 200.5, 300),
    )
    .map((parts) => parts.join(' ')),
  fc
    .tuple(fc.constantFrom('squares', 'ages'), comparison, fc.constantFrom('0', '1', '9', '36', '2.5'))
    .chain(([map, operator, value]) =>
      (map === 'squares'
        ? fc.constantFrom('3', '0', '19', '20', 'i', '-1')
        : fc.constantFrom('"ada"', '"bob"', '"x"')
      ).map((key) => `${map}[${key}] ${operator} ${value}`),
    ),
  fc
    .tuple(
      fc.constantFrom(
        'list.count(200)',
        'list.count(i)',
        'squares.count(3)',
        'ages.count("ada")',
        'list.count(2.0)',
      ),
      comparison,
      fc.integer({ min: 0, max: 2 }),
    )
    .map((parts) => parts.join(' ')),
  fc.constantFrom(
    'list.contains(200)',
    'squares.contains(25)',
    'squares.contains(3)',
    'ages.contains("ada")',
  ),
  fc.constantFrom(
    'squares[2] + squares[3] > 10',
    'list[0] * 1.5 < list[1]',
    'squares[3] > 3 || list[2] == 300',
  ),
);

test(
  'what only a walk finds',
  () => {
    agree(walks, changedViews, { numRuns: 800, lowered: 1, told: 0.4 });
  },
  timeoutMs,
);

const viewTexts = ['name', 'long_name', 'empty', 'items[0].name', 'items[1].name', 'shared->name', 'wide'];
const beyondTheKernel = fc.oneof(
  fc
    .tuple(fc.constantFrom(...viewTexts), fc.constantFrom('a', 'abc', 'is', '', 'first', '\u20ac'))
    .map(([subject, literal]) => `${subject}.contains(${JSON.stringify(literal)})`),
  fc
    .tuple(fc.constantFrom(...viewTexts), fc.constantFrom('^a.c$', '[a-z ]+', '', '.\u20ac', '^$'))
    .map(([subject, pattern]) => `${subject}.matches(${JSON.stringify(pattern)})`),
  fc
    .tuple(
      fc.constantFrom(...viewTexts.slice(0, 6)),
      fc.constantFrom('==', '!='),
      fc.constantFrom(...viewTexts.slice(0, 6)),
    )
    .map((parts) => parts.join(' ')),
  fc
    .tuple(
      fc.constantFrom('1', '2', '-1', 'i', '2.5', '4294967295', '3.0'),
      comparison,
      fc.integer({ min: 0, max: 2 }),
    )
    .map(([wanted, operator, count]) => `numbers.count(${wanted}) ${operator} ${count}`),
  fc.constantFrom('1', '2', '-1', 'i', '1.5').map((wanted) => `numbers.contains(${wanted})`),
  fc
    .tuple(
      fc.constantFrom('numbers[0] * 1.5', 'numbers.back() / 2.0', 'circle.radius + 0.5'),
      comparison,
      fc.constantFrom('1', '3.0', '4.5'),
    )
    .map((parts) => parts.join(' ')),
);

test(
  'what the kernel cannot decide of views',
  () => {
    agree(beyondTheKernel, changedViews, { numRuns: 800, lowered: 1, told: 0.5 });
  },
  timeoutMs,
);
