import { describe, expect, test } from 'vitest';
import { checkExpression } from '../../../controller/expression/check.js';
import {
  isUnlowered,
  lowerAddress,
  lowerCondition,
  lowerValue,
} from '../../../controller/expression/lower.js';
import { isAbsent } from '../../../format/absent.js';
import { listExpression } from '../../../format/dwarf-op/list.js';
import { verifyPlanExpression } from '../../../format/dwarf-op/verify.js';
import * as t from '../../support/types.js';
import { orderProgram } from './order.js';

const program = orderProgram()
  .variable('quad', t.base('_Float128', 16, 'float'), { kind: 'memory', address: 0x1000n })
  .variable('x', t.float, {
    kind: 'absent',
    absent: { absent: 'unsupported', detail: 'it is in register xmm0, which a probe does not see' },
  })
  .variable('point', t.struct('point', 8, [t.field('x', t.array(t.short, 2), 0), t.field('y', t.float, 4)]), {
    kind: 'register',
    register: 0,
  });

/** The text, a line that points into it, and the reason. */
function refusal(text: string): string {
  const result = lowerCondition(checkExpression(text, program), program.lowering());
  if (!isUnlowered(result)) return `${text}\nlowered: ${listExpression(result)}`;
  return `${text}\n${' '.repeat(result.position)}${'^'.repeat(result.length)}\n${result.unsupported}`;
}

const cases = String.raw`
f + 1 > 2
^^^^^
floating arithmetic cannot run in the kernel; only comparisons can

order->id > 1 && -d > 2
                 ^^
floating arithmetic cannot run in the kernel; only comparisons can

(int)f == 1
     ^
floating arithmetic cannot run in the kernel; only comparisons can

f < d
^
numbers of different types, one of them floating, cannot be compared in the kernel

f < i
    ^
numbers of different types, one of them floating, cannot be compared in the kernel

ld > 1
^^
long double values cannot be compared in the kernel

big > 1
^^^
128-bit integers cannot be computed with in the kernel

quad
^^^^
long double values cannot be compared in the kernel

order->customer->name.contains("A")
^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"contains" cannot run in the kernel; it needs a loop over the whole string

order->customer->name.matches("^A")
^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"matches" cannot run in the kernel; it needs a loop over the whole string

order->customer->name == "0123456789012345678901234567890123456789012345678901234567890123456789"
^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
a string of 70 bytes is longer than the 64 that the kernel compares

order->customer->name[0:i] == "abc"
^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
a string of a length that is not constant cannot be compared in the kernel

$tid == 5
^^^^
$tid is not known in the kernel

$comm == "redis"
^^^^^
$comm has no place in the target

gone == 1
^^^^
gone: optimised out here

x > 1
^
x: it is in register xmm0, which a probe does not see

u << 32
^^^^^^^
a shift of a 32-bit value by 32 is undefined

point.x[i] == 1
^^^^^^^^^^
point.x[i] is in a register here and its index is not constant

&point == 0
 ^^^^^
point is not in memory here: it has no address
`;

test.each(
  cases
    .split(/\n\n+/)
    .map((each) => each.replace(/^\n+|\n+$/g, ''))
    .map((each) => [each.split('\n')[0] ?? '', each] as const),
)('%s', (text, wanted) => {
  expect(refusal(text)).toBe(wanted);
});

test('a variable that is absent comes with its reason', () => {
  expect(lowerCondition(checkExpression('gone', program), program.lowering())).toEqual({
    unsupported: 'gone: optimised out here',
    position: 0,
    length: 4,
    absent: { absent: 'optimized-out', detail: 'optimised out here' },
  });
});

describe('addresses', () => {
  test.each([
    ['order->customer->name', 'DW_OP_breg5 0; DW_OP_plus_uconst 8; DW_OP_deref'],
    ['order->items[2]', 'DW_OP_breg5 0; DW_OP_plus_uconst 24; DW_OP_plus_uconst 4'],
    [
      'order->items[9223372036854775807]',
      'DW_OP_breg5 0; DW_OP_plus_uconst 24; DW_OP_const1s -2; DW_OP_plus',
    ],
    ['total_orders', 'DW_OP_addr 0x4000'],
    ['*order', 'DW_OP_breg5 0'],
    ['main', 'DW_OP_addr 0x1136'],
    ['order[-1].id', 'DW_OP_breg5 0; DW_OP_const1s -88; DW_OP_plus'],
  ])('%s', (text, wanted) => {
    const result = lowerAddress(checkExpression(text, program), program.lowering());
    if (isUnlowered(result)) throw new Error(result.unsupported);
    verifyPlanExpression(result, { hasObject: false });
    expect(listExpression(result)).toBe(wanted);
  });

  test('of what has none', () => {
    const address = (text: string): unknown =>
      lowerAddress(checkExpression(text, program), program.lowering());
    expect(address('1 + 2')).toMatchObject({ unsupported: '1 + 2 has no place in the target' });
    expect(address('order')).toMatchObject({ unsupported: 'order is not in memory here: it has no address' });
  });
});

describe('values in registers', () => {
  test.each([
    ['pair.a', 0x5566_7788n],
    ['pair.b', 0x3344n],
    ['point.x[1]', 0x5566n],
    ['$ah', 0x77n],
    ['$al', BigInt.asUintN(64, -0x78n)],
  ])('%s', (text, wanted) => {
    const result = lowerValue(checkExpression(text, program), program.lowering());
    if (isUnlowered(result)) throw new Error(result.unsupported);
    expect(program.run(result)).toBe(wanted);
  });
});

test('a null check protects what stands behind it', () => {
  for (const [text, wanted] of [
    ['nothing && nothing->id == 1', 0n],
    ['!nothing || nothing->id == 1', 1n],
    ['nothing ? nothing->id : 5', 1n],
  ] as const) {
    const result = lowerCondition(checkExpression(text, program), program.lowering());
    if (isUnlowered(result)) throw new Error(result.unsupported);
    expect(program.run(result)).toBe(wanted);
  }
  const bare = lowerCondition(checkExpression('nothing->id == 1', program), program.lowering());
  expect(isUnlowered(bare) || isAbsent(program.run(bare))).toBe(true);
});
