import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Type } from '../../../controller/types/type.js';
import { typeName } from '../../../controller/types/type-name.js';
import {
  array,
  base,
  char,
  constant,
  double,
  enumeration,
  field,
  functionType,
  int,
  pointer,
  restrict,
  struct,
  typedef,
  ulong,
  union,
  voidType,
  volatile,
} from '../../support/types.js';

const order = struct('order', 4, [field('id', int, 0)]);
const handler = functionType(int, [int, pointer(char)]);

/** C declaration of `vN`, our type, the spelling. gdb is asked for the same. */
const rows: readonly (readonly [string, Type, string])[] = [
  ['int $', int, 'int'],
  ['unsigned long $', ulong, 'unsigned long'],
  ['struct order $', order, 'struct order'],
  ['struct order *$', pointer(order), 'struct order *'],
  ['struct order **$', pointer(pointer(order)), 'struct order **'],
  ['const struct order *$', pointer(constant(order)), 'const struct order *'],
  ['char $[16]', array(char, 16), 'char [16]'],
  ['const char *$', pointer(constant(char)), 'const char *'],
  ['const char * const $ = 0', constant(pointer(constant(char))), 'const char * const'],
  ['const char * const *$', pointer(constant(pointer(constant(char)))), 'const char * const *'],
  ['const char * const **$', pointer(pointer(constant(pointer(constant(char))))), 'const char * const **'],
  ['char * volatile $', volatile(pointer(char)), 'char * volatile'],
  ['char * const volatile $ = 0', volatile(constant(pointer(char))), 'char * const volatile'],
  ['const volatile int $ = 0', constant(volatile(int)), 'const volatile int'],
  ['char * restrict $', restrict(pointer(char)), 'char * restrict'],
  ['int $[3][4]', array(array(int, 4), 3), 'int [3][4]'],
  ['const int $[2][3] = {0}', constant(array(array(int, 3), 2)), 'const int [2][3]'],
  ['char *$[4]', array(pointer(char), 4), 'char *[4]'],
  ['char * const $[4] = {0}', array(constant(pointer(char)), 4), 'char * const[4]'],
  ['int (*$)[4]', pointer(array(int, 4)), 'int (*)[4]'],
  ['int (*$[2])[4]', array(pointer(array(int, 4)), 2), 'int (*[2])[4]'],
  ['int (**$)[4]', pointer(pointer(array(int, 4))), 'int (**)[4]'],
  ['int (*$)(int, char *)', pointer(handler), 'int (*)(int, char *)'],
  ['int (* const $)(int, char *) = 0', constant(pointer(handler)), 'int (* const)(int, char *)'],
  ['void (*$[4])(void)', array(pointer(functionType(voidType, [])), 4), 'void (*[4])(void)'],
  ['char *(*$)(void)', pointer(functionType(pointer(char), [])), 'char *(*)(void)'],
  [
    'int (*$)(const char *, ...)',
    pointer(functionType(int, [pointer(constant(char))], true)),
    'int (*)(const char *, ...)',
  ],
  [
    'int (*(*$)(double))(int, char *)',
    pointer(functionType(pointer(handler), [double])),
    'int (*(*)(double))(int, char *)',
  ],
  [
    'void (*$)(int (*)(int, char *))',
    pointer(functionType(voidType, [pointer(handler)])),
    'void (*)(int (*)(int, char *))',
  ],
  ['int (*$)()', pointer({ ...functionType(int, []), prototyped: false }), 'int (*)()'],
  ['enum tier $', enumeration('tier', { GOLD: 2 }), 'enum tier'],
  ['enum { A1 } $', enumeration(undefined, { A1: 0 }), 'enum {...}'],
  ['struct { int x; } $', struct(undefined, 4, []), 'struct {...}'],
  ['const struct { int x; } *$', pointer(constant(struct(undefined, 4, []))), 'const struct {...} *'],
  ['union { int x; } $[2]', array(union(undefined, 4, []), 2), 'union {...} [2]'],
  ['union u $', union('u', 4, []), 'union u'],
  ['order_t *$', pointer(typedef('order_t', order)), 'order_t *'],
  ['const order_t $ = {0}', constant(typedef('order_t', order)), 'const order_t'],
  ['order_t $[2]', array(typedef('order_t', order), 2), 'order_t [2]'],
  ['void *$', pointer(voidType), 'void *'],
  ['const void *$', pointer(constant(voidType)), 'const void *'],
];

test.each(rows)('%s', (_, type, name) => {
  expect(typeName(type)).toBe(name);
});

test.each([
  ['short int', 'short'],
  ['short unsigned int', 'unsigned short'],
  ['long int', 'long'],
  ['long unsigned int', 'unsigned long'],
  ['long long int', 'long long'],
  ['long long unsigned int', 'unsigned long long'],
])('gcc writes "%s" for "%s"', (written, shown) => {
  expect(typeName(pointer(base(written, 8, 'signed')))).toBe(`${shown} *`);
});

test('gdb spells them the same', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-types-'));
  try {
    const declarations = rows.map(([text], i) => `${text.replace('$', `v${i}`)};`);
    const source = join(folder, 'types.c');
    writeFileSync(
      source,
      [
        'typedef struct order { int id; } order_t; enum tier { GOLD = 2 }; union u { int x; };',
        ...declarations,
        'int main(void) { return 0; }',
      ].join('\n'),
    );
    const program = join(folder, 'types');
    execFileSync('gcc', ['-g', '-O0', '-fno-eliminate-unused-debug-symbols', '-o', program, source]);
    const asked = rows.flatMap((_, i) => ['-ex', `whatis v${i}`]);
    const answer = execFileSync('gdb', ['-nx', '-batch', ...asked, program], { encoding: 'utf8' });
    expect(answer.trimEnd().split('\n')).toEqual(rows.map(([, , name]) => `type = ${name}`));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a type that leads to itself ends', () => {
  const loop: Type = pointer(() => loop);
  expect(typeName(loop)).toMatch(/^\.\.\. \*+$/);
});

test('parameters of parameters, which double with each level, end', () => {
  const loop: Type = {
    kind: 'function',
    result: () => int,
    parameters: () => [loop, loop, int],
    prototyped: true,
    variadic: false,
  };
  const name = typeName(loop);
  expect(name).toContain('...');
  expect(name.length).toBeLessThan(1_000_000);
});
