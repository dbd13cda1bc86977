/** Arithmetic of vectors, complex numbers and wide floats: what `eval` says, and what gdb does. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openSnapshot } from '../../../controller/snapshot/open.js';
import { evaluateExpressions } from '../../../controller/snapshot/show.js';
import { StillframeError } from '../../../format/error.js';
import { compileC } from '../../support/compile-c.js';
import { differences, gdbValues } from '../../support/gdb-values.js';

const folder = mkdtempSync(join(tmpdir(), 'parts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const program = compileC(
  `#include <complex.h>
#include <stdlib.h>
typedef int v4 __attribute__((vector_size(16)));
typedef float f4 __attribute__((vector_size(16)));
typedef signed char c16 __attribute__((vector_size(16)));
v4 a = {1, -2, 3, 2000000000}, b = {5, 6, 7, 2000000000};
f4 f = {1.5f, 2.5f, -3.5f, 0.25f};
c16 c = {100, -100, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 127};
double complex z = 1.5 + 2.5 * I;
float complex w = 3.0f - 1.0f * I;
long double complex q = 0.1L + 1.0L * I;
long double l = 0.1L, m = 3;
__float128 s = 0.1Q;
double d = 2;
int i = 3;
int main(void) { abort(); }
`,
  { name: 'parts', compiler: 'gcc', flags: ['-g', '-O0'] },
);
const core = join(folder, 'core');
execFileSync('gdb', ['-q', '-nx', '-batch', '-ex', 'run', '-ex', `gcore ${core}`, program], {
  stdio: 'ignore',
});

const asked = [
  'a + 1',
  'a + b',
  'a * b',
  '-a',
  '~a',
  'a % b',
  'a & b',
  'a | 1',
  'a << 1',
  'a >> 1',
  '2 - a',
  '(a + b)[3]',
  'f * 2',
  'f / f',
  'f + 1.5',
  '-f',
  'c + c',
  'c * 2',
  'c - 1',
  '-c',
  'z + 1',
  'z * z',
  'z / w',
  '-z',
  '~z',
  'z + w',
  'w * 2',
  'z - d',
  'z * i',
  'i / z',
  'q * q',
  'z == z',
  'l + m',
  'l * m',
  'l / m',
  'l - m',
  '-l',
  'l < m',
  'l == 0.1L',
  'l + 1',
  '(double)l',
  '(float)l',
  '(int)(l * 100)',
  'l * 0.1',
  's + 1',
  's * s',
  's / 3',
  '(double)s',
  's > 0',
];

test('as gdb computes them', () => {
  using snapshot = openSnapshot(core);
  const ours = evaluateExpressions(snapshot, asked);
  const theirs = gdbValues({ program, core, commands: [], expressions: asked, depth: 0 });
  const found = asked.flatMap((text, i) => {
    const [our, their] = [ours[i], theirs[i]];
    if (our === undefined || their === undefined) throw new Error('no answer');
    return our instanceof StillframeError ? [our.message] : differences(our, their, text);
  });
  expect(found).toEqual([]);
  // gdb knows no "!=" of complex numbers.
  expect(evaluateExpressions(snapshot, ['z != w', 'z != z'])).toMatchObject([{ value: '1' }, { value: '0' }]);
});

test('what does not go together is refused, and so is what would never end', () => {
  using snapshot = openSnapshot(core);
  const messages = evaluateExpressions(snapshot, [
    'a + 1.5',
    'a + c',
    'z % z',
    Array(40).fill('z').join(' * '),
  ]);
  expect(
    messages.map((each) => (each instanceof StillframeError ? each.message.split(': ').at(-1) : each)),
  ).toEqual([
    'cannot apply "+" to "v4" and "double"',
    'cannot apply "+" to "v4" and "c16"',
    'cannot apply "%" to "complex double" and "complex double"',
    'too many products of complex numbers',
  ]);

  const nested = (begin: string, step: (inner: string) => string): string =>
    Array.from({ length: 12 }).reduce<string>((inner) => step(inner), begin);
  const chains = [
    nested('z', (inner) => `-(${inner} * z)`),
    nested('z', (inner) => `(${inner} * z == z)`),
    nested('i', (inner) => `(a + ${inner})[0]`),
  ];
  for (const answer of evaluateExpressions(snapshot, chains))
    expect(answer).toMatchObject({
      code: 'bad-expression',
      message: expect.stringContaining('too many') as string,
    });
});
