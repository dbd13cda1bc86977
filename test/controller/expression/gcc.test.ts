/** The evaluator against gcc: the same random expressions over the same variables, compiled and run. Types are compared too. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { numericOf } from '../../../controller/expression/c-types.js';
import { checkExpression } from '../../../controller/expression/check.js';
import { evaluateScalar } from '../../../controller/expression/evaluate.js';
import { encodeScalar } from '../../../controller/expression/scalar.js';
import { sizeOf } from '../../../controller/types/layout.js';
import { typeName } from '../../../controller/types/type-name.js';
import type { Type } from '../../../controller/types/type.js';
import { isAbsent } from '../../../format/absent.js';
import * as t from '../../support/types.js';
import { Program } from './program.js';
import { expressions, word } from './random.js';

const flags = t.struct('flags', 16, [
  t.field('one', t.uint, 0, { bitOffset: 0, bitSize: 1 }),
  t.field('four', t.int, 0, { bitOffset: 1, bitSize: 4 }),
  t.field('twenty', t.uint, 0, { bitOffset: 5, bitSize: 20 }),
  t.field('all', t.uint, 4, { bitOffset: 0, bitSize: 32 }),
  t.field('long30', t.long, 8, { bitOffset: 0, bitSize: 30 }),
]);
const color = t.enumeration('color', { RED: 0, GREEN: 1, BLUE: 4_000_000_000 });
const sign = t.enumeration('sign', { MINUS: -1, PLUS: 1 }, 4, true);

interface Variable {
  readonly name: string;
  readonly declaration: string;
  readonly type: Type;
}

const variables: readonly Variable[] = [
  { name: 'c', declaration: 'char c', type: t.char },
  { name: 'sc', declaration: 'signed char sc', type: t.schar },
  { name: 'uc', declaration: 'unsigned char uc', type: t.uchar },
  { name: 's', declaration: 'short s', type: t.short },
  { name: 'us', declaration: 'unsigned short us', type: t.ushort },
  { name: 'i', declaration: 'int i', type: t.int },
  { name: 'u', declaration: 'unsigned u', type: t.uint },
  { name: 'l', declaration: 'long l', type: t.long },
  { name: 'ul', declaration: 'unsigned long ul', type: t.ulong },
  { name: 'll', declaration: 'long long ll', type: t.longLong },
  { name: 'b', declaration: '_Bool b', type: t.bool },
  { name: 'color', declaration: 'enum color color', type: color },
  { name: 'sign', declaration: 'enum sign sign', type: sign },
  { name: 'bits', declaration: 'struct flags bits', type: flags },
  { name: 'f', declaration: 'float f', type: t.float },
  { name: 'd', declaration: 'double d', type: t.double },
];

const integerLeaves: readonly string[] = (
  'c sc uc s us i u l ul ll b color sign bits.one bits.four bits.twenty bits.all bits.long30 ' +
  "RED GREEN BLUE MINUS sizeof(long) 'a' '\\xff' 0x80000000 4000000000 017"
).split(' ');

const { floating } = fc.letrec<{ floating: string }>((tie) => ({
  floating: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('f', 'd', 'i', 'u', 'l', 'ul', '0.1', '0.1f', '1.5f', '-2.0', '1e30f', '3'),
    fc
      .tuple(tie('floating'), fc.constantFrom('+', '-', '*', '/', '<', '==', '>='), tie('floating'))
      .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
    fc
      .tuple(fc.constantFrom('float', 'double', 'int', 'unsigned char', 'long'), tie('floating'))
      .map(([type, a]) => `(${type})${a}`),
    tie('floating').map((a) => `- ${a}`),
    fc.tuple(tie('floating'), tie('floating'), tie('floating')).map(([c, a, b]) => `(${c} ? ${a} : ${b})`),
  ),
}));

const header = String.raw`
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
enum color { RED, GREEN, BLUE = 4000000000u };
enum sign { MINUS = -1, PLUS = 1 };
struct flags { unsigned one : 1; int four : 4; unsigned twenty : 20; unsigned all : 32; long long30 : 30; };
static sigjmp_buf again;
static void fault(int number) { siglongjmp(again, number); }
#define NAME(v) _Generic((v), int: "int", unsigned: "unsigned int", long: "long", unsigned long: "unsigned long", \
  long long: "long long", unsigned long long: "unsigned long long", float: "float", double: "double", default: "?")
#define SHOW(e) do { if (sigsetjmp(again, 1)) puts("fault"); else { __auto_type v = +(e); unsigned long bits = 0; \
  memcpy(&bits, &v, sizeof v); printf("%s %lx\n", NAME(v), bits); } } while (0)
`;

/** One line for each expression: its type and its bytes, or `fault`. */
function runByGcc(texts: readonly string[], memory: ReadonlyMap<string, Uint8Array>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-gcc-'));
  try {
    const globals = variables.map(({ name, declaration }) => {
      const bytes = [...(memory.get(name) ?? [])].join(', ');
      return `static volatile ${declaration}; static const unsigned char init_${name}[] = {${bytes}};`;
    });
    const copies = variables.map(({ name }) => `memcpy((void *)&${name}, init_${name}, sizeof ${name});`);
    const functions = texts.map((text, i) => `static void e${i}(void) { SHOW(${text}); }`);
    const calls = texts.map((_, i) => `e${i}();`);
    const source = `${header}${globals.join('\n')}\n${functions.join('\n')}
int main(void) { signal(SIGFPE, fault); ${copies.join(' ')} ${calls.join(' ')} return 0; }`;
    writeFileSync(join(folder, 'e.c'), source);
    const program = join(folder, 'e');
    // NB: without -frounding-math gcc 12 takes 0.0f - (float)l for -(float)l, which differs when l is 0.
    const gcc = spawnSync(
      'gcc',
      ['-frounding-math', '-w', '-O0', '-fwrapv', '-o', program, join(folder, 'e.c')],
      {
        encoding: 'utf8',
      },
    );
    if (gcc.status !== 0) throw new Error(gcc.stderr);
    const run = spawnSync(program, { encoding: 'utf8' });
    return run.stdout.trim().split('\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function runByUs(text: string, program: Program): string {
  const node = checkExpression(`+(${text})`, program);
  const value = evaluateScalar(node, program.frame());
  if (isAbsent(value)) return 'absent';
  const numeric = numericOf(node.type);
  const size = sizeOf(node.type);
  if (numeric === undefined || size === undefined) return 'no number';
  const bytes = encodeScalar(value, numeric, size);
  return `${typeName(node.type)} ${BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex')}`).toString(16)}`;
}

/** The sign of a NaN and what else is in it are no value. */
function withoutNaN(line: string): string {
  const [name, bits = '0'] = line.split(' ');
  const isNaNOf = (infinity: bigint, mask: bigint): boolean => (BigInt(`0x${bits}`) & mask) > infinity;
  if (name === 'float' && isNaNOf(0x7f80_0000n, 0x7fff_ffffn)) return 'float NaN';
  if (name === 'double' && isNaNOf(0x7ff0n << 48n, (1n << 63n) - 1n)) return 'double NaN';
  return line;
}

function programOf(memory: ReadonlyMap<string, Uint8Array>): Program {
  const program = new Program().type('enum color', color).type('enum sign', sign).type('struct flags', flags);
  for (const [index, { name, type }] of variables.entries()) {
    const address = 0x1000n + BigInt(index * 32);
    program.variable(name, type, { kind: 'memory', address }).write(address, memory.get(name) ?? []);
  }
  return program;
}

const memoryOf: fc.Arbitrary<ReadonlyMap<string, Uint8Array>> = fc
  .tuple(fc.array(word, { minLength: 20, maxLength: 20 }), fc.float(), fc.double())
  .map(([words, f, d]) => {
    const bytesOf = (name: string, type: Type, index: number): Uint8Array => {
      const bytes = new Uint8Array(sizeOf(type) ?? 0);
      const view = new DataView(bytes.buffer);
      if (name === 'f') view.setFloat32(0, f, true);
      else if (name === 'd') view.setFloat64(0, d, true);
      else {
        for (let at = 0; at < bytes.length; at++) {
          bytes[at] = Number(
            (BigInt.asUintN(64, words[(index + (at >> 3)) % 20] ?? 0n) >> BigInt(8 * (at % 8))) & 0xffn,
          );
        }
      }
      // Only 0 and 1 are values of a _Bool; gcc relies on it.
      if (name === 'b') bytes[0] = (bytes[0] ?? 0) & 1;
      return bytes;
    };
    return new Map(variables.map(({ name, type }, index) => [name, bytesOf(name, type, index)]));
  });

test.each([
  ['integers', expressions(integerLeaves, false), 400],
  ['floats', floating, 200],
])(
  'random %s give what gcc gives',
  (_name, arbitrary, count) => {
    for (const memory of fc.sample(memoryOf, 2)) {
      const program = programOf(memory);
      const texts = fc.sample(arbitrary, count);
      const lines = runByGcc(texts, memory);
      expect(lines.length).toBe(count);
      let compared = 0;
      for (const [k, text] of texts.entries()) {
        const ours = runByUs(text, program);
        const theirs = lines[k] ?? '';
        // What C leaves undefined has no value here; and the smallest number divided by -1, which traps, wraps.
        if (ours === 'absent' || (theirs === 'fault' && /[/%]/.test(text))) continue;
        compared++;
        expect(`${text} = ${withoutNaN(ours)}`).toBe(`${text} = ${withoutNaN(theirs)}`);
      }
      expect(compared).toBeGreaterThan(count / 2);
    }
  },
  300_000,
);
