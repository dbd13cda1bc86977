/** Random C expressions as text, and random states of the program of `order.ts`. */
import * as fc from 'fast-check';
import type { Program } from './program.js';
import {
  customerAddress,
  nameAddress,
  orderAddress,
  orderProgram,
  partsAddress,
  stackAddress,
} from './order.js';

const interesting = [
  0n,
  1n,
  2n,
  7n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_ffffn,
  0xffff_ffff_8000_0000n,
];

export const word: fc.Arbitrary<bigint> = fc.oneof(
  fc.constantFrom(...interesting),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.bigInt({ min: 0n, max: 40n }),
  fc.bigInt({ min: -20n, max: 0n }),
);

const float: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(
    0,
    -0,
    1.5,
    -1.5,
    0.1,
    Math.fround(0.1),
    NaN,
    Infinity,
    -Infinity,
    2 ** -149,
    -(2 ** -149),
    5e-324,
  ),
  fc.double(),
  fc.float(),
);

const text: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom('', 'a', 'ab', 'abc', 'abd', 'Ada', 'ABC-1234'),
  fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 9 }),
);

/** A state: what the variables hold, and which memory is there. */
export const state: fc.Arbitrary<Program> = fc
  .record({
    stack: fc.array(word, { minLength: 18, maxLength: 18 }),
    order: fc.array(word, { minLength: 11, maxLength: 11 }),
    registers: fc.array(word, { minLength: 17, maxLength: 17 }),
    floats: fc.array(float, { minLength: 4, maxLength: 4 }),
    name: text,
    code: text,
    tier: fc.integer({ min: 0, max: 3 }),
    broken: fc.constantFrom('', '', '', '', 'customer', 'name', 'order'),
  })
  .map(({ stack, order, registers, floats, name, code, tier, broken }) => {
    const program = orderProgram();
    for (const [k, value] of stack.entries()) program.integer(stackAddress + BigInt(8 * k), value, 8);
    for (const [k, value] of order.entries()) {
      // The pointer to the customer stays one.
      if (k !== 1) program.integer(orderAddress + BigInt(8 * k), value, 8);
    }
    for (const [k, value] of registers.entries()) program.registers[k] = BigInt.asUintN(64, value);
    program.registers[5] = broken === 'order' ? 0n : orderAddress;
    const [f = 0, d = 0, score = 0, balance = 0] = floats;
    writeFloat(program, stackAddress + 40n, f, 4);
    writeFloat(program, stackAddress + 48n, d, 8);
    writeFloat(program, customerAddress + 20n, score, 4);
    writeFloat(program, customerAddress + 24n, balance, 8);
    program.integer(customerAddress + 8n, tier, 4);
    const codeBytes = new Uint8Array(8);
    codeBytes.set(new TextEncoder().encode(code).subarray(0, 8));
    program.write(customerAddress + 12n, codeBytes);
    program.text(nameAddress, name);
    program.integer(partsAddress, 0, 8);
    if (broken === 'customer') program.integer(orderAddress + 8n, 0x66_0000n, 8);
    if (broken === 'name') program.integer(customerAddress, 0x66_0000n, 8);
    return program;
  });

function writeFloat(program: Program, address: bigint, value: number, size: 4 | 8): void {
  const view = new DataView(new ArrayBuffer(size));
  if (size === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  program.write(address, new Uint8Array(view.buffer));
}

const integerTypes = [
  'char',
  'signed char',
  'unsigned char',
  'short',
  'unsigned short',
  'int',
  'unsigned int',
  'long',
  'unsigned long',
  '_Bool',
];

const literal: fc.Arbitrary<string> = fc
  .tuple(word, fc.constantFrom('', 'u', 'l', 'ul'))
  .map(([value, suffix]) => {
    const bits = BigInt.asUintN(64, value);
    // gcc takes a decimal number that fits no signed 64 bits for an __int128; gdb and we take it as unsigned.
    return `${bits}${bits >> 63n === 1n ? 'ul' : suffix}`;
  });

const literalText: fc.Arbitrary<string> = text.map((value) => JSON.stringify(value));

/** Integer expressions over the leaves; `withObjects`: also pointers to objects of `order.ts`. */
export function expressions(leaves: readonly string[], withObjects = true): fc.Arbitrary<string> {
  const { truth } = fc.letrec<{ number: string; truth: string; leaf: string; pointer: string }>((tie) => ({
    leaf: fc.oneof(fc.constantFrom(...leaves), literal),
    number: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'all' },
      tie('leaf'),
      tie('leaf'),
      fc
        .tuple(
          tie('number'),
          fc.constantFrom('+', '-', '*', '/', '%', '&', '|', '^', '<<', '>>'),
          tie('number'),
        )
        .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
      fc
        .tuple(tie('number'), fc.constantFrom('<<', '>>'), fc.integer({ min: 0, max: 40 }))
        .map(([a, o, b]) => `(${a} ${o} ${b})`),
      fc.tuple(fc.constantFrom('-', '~', '!', '+'), tie('number')).map(([operator, a]) => `${operator} ${a}`),
      fc.tuple(fc.constantFrom(...integerTypes), tie('number')).map(([type, a]) => `(${type})${a}`),
      fc.tuple(tie('truth'), tie('number'), tie('number')).map(([c, a, b]) => `(${c} ? ${a} : ${b})`),
      tie('truth'),
    ),
    pointer: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'all' },
      fc.constantFrom(
        'order',
        'nothing',
        'order->customer',
        '&order->items[1]',
        'order->data',
        'grid[1]',
        'NULL',
        '&i',
      ),
      tie('number').map((a) => `&order->items[${a}]`),
      tie('number').map((a) => `(order + ${a})`),
    ),
    truth: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'all' },
      tie('number'),
      fc
        .tuple(tie('number'), fc.constantFrom('==', '!=', '<', '<=', '>', '>='), tie('number'))
        .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
      fc
        .tuple(tie('truth'), fc.constantFrom('&&', '||'), tie('truth'))
        .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
      tie('truth').map((a) => `!${a}`),
      ...(withObjects
        ? [
            fc
              .tuple(tie('pointer'), fc.constantFrom('==', '!=', '<', '<=', '>', '>='), tie('pointer'))
              .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
            fc.constantFrom(
              '(&grid[1][2] - grid[0] == 5)',
              '(&order->items[i] - order->items)',
              '(order->items[l & 3])',
            ),
          ]
        : []),
    ),
  }));
  return truth;
}

export const programLeaves: readonly string[] = [
  'i',
  'u',
  'l',
  'ul',
  'c',
  'flag',
  'order->id',
  'order->total',
  'order->items[1]',
  'order->items[ul % 4]',
  'order->open',
  'order->level',
  'order->flags',
  'order->wide',
  'order->count',
  'order->small',
  'order->tiny',
  'order->raw',
  'order->customer->tier',
  'order.customer.tier',
  'GOLD',
  'grid[1][u % 3]',
  'pair.a',
  'pair.b',
  'nothing->id',
  'total_orders',
  '$rax',
  '$eax',
  '$al',
  '$ah',
  'sizeof(int)',
  "'a'",
  '(long)order->data',
];

const floats = ['f', 'd', 'order->customer->score', 'order->customer->balance', 'order->ratio'];
const floatConstants = [
  '0',
  '0.1',
  '0.1f',
  '-1.5',
  '1e300',
  '1e-310',
  '1',
  '-0.0',
  '1e40',
  '-1e40',
  '3.4028235677973366e38',
];
const comparison = fc.constantFrom('==', '!=', '<', '<=', '>', '>=');

export const floatComparisons: fc.Arbitrary<string> = fc.oneof(
  fc
    .tuple(fc.constantFrom(...floats), comparison, fc.constantFrom(...floatConstants))
    .map((parts) => parts.join(' ')),
  fc
    .tuple(fc.constantFrom(...floatConstants), comparison, fc.constantFrom(...floats))
    .map((parts) => parts.join(' ')),
  fc
    .tuple(fc.constantFrom(...floats), comparison, float)
    .filter(([, , value]) => Number.isFinite(value))
    .map(
      ([a, operator, value]) => `${a} ${operator} ${Object.is(value, -0) ? '-0.0' : value.toExponential()}`,
    ),
  fc
    .tuple(
      fc.constantFrom('f', 'order->customer->score'),
      comparison,
      fc.constantFrom('f', 'order->customer->score'),
    )
    .map((parts) => parts.join(' ')),
  fc
    .tuple(
      fc.constantFrom('d', 'order->ratio', 'order->customer->balance'),
      comparison,
      fc.constantFrom('d', 'order->ratio', 'order->customer->balance'),
    )
    .map((parts) => parts.join(' ')),
  fc.constantFrom(...floats).map((a) => `!${a}`),
  fc.constantFrom(...floats).map((a) => `${a} && 1`),
);

const strings = [
  'order->customer->name',
  'order->customer->code',
  '(char *)order->customer',
  'order->customer->name[0:3]',
];

export const textComparisons: fc.Arbitrary<string> = fc.oneof(
  fc
    .tuple(fc.constantFrom(...strings), fc.constantFrom('==', '!='), literalText)
    .map((parts) => parts.join(' ')),
  fc
    .tuple(fc.constantFrom(...strings), literalText)
    .map(([a, b]) => `${a.startsWith('(') ? `(${a})` : a}.startsWith(${b})`),
);
