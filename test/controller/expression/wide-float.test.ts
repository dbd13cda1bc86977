/** Arithmetic of wide floats against the machine's own, bit by bit. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  binary128,
  compareWide,
  wideArithmetic,
  WideFloat,
  type WideOperator,
  x87,
} from '../../../controller/expression/wide-float.js';
import type { FloatFormat } from '../../../controller/types/float.js';
import { compileC } from '../../support/compile-c.js';
import { repositoryRoot } from '../../support/paths.js';

const formats: Readonly<Record<string, FloatFormat>> = { x87, binary128 };
const operators: readonly WideOperator[] = ['+', '-', '*', '/'];

function build(): string {
  const source = readFileSync(join(repositoryRoot, 'native-fixtures', 'wide-float', 'arithmetic.c'), 'utf8');
  return compileC(source, { name: 'wide-float', compiler: 'gcc', flags: ['-O1'] });
}

const bytesOf = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('sums, differences, products, quotients, roundings, comparisons', () => {
  const lines = execFileSync(build(), { encoding: 'utf8', maxBuffer: 1 << 24 })
    .trimEnd()
    .split('\n');
  expect(lines).toHaveLength(6000);
  for (const line of lines) {
    const [name = '', a = '', b = '', ...rest] = line.split(' ');
    const format = formats[name] ?? x87;
    const [left, right] = [a, b].map((hex) => WideFloat.decode(bytesOf(hex), format) ?? WideFloat.nan);
    if (left === undefined || right === undefined) throw new Error(line);
    const size = a.length / 2;
    const shown = (value: WideFloat): string =>
      value.kind === 'nan' ? 'nan' : hexOf(value.encode(format, size));
    const asShown = (hex: string): string => shown(WideFloat.decode(bytesOf(hex), format) ?? WideFloat.nan);
    expect(shown(left)).toBe(asShown(a));
    for (const [i, operator] of operators.entries()) {
      const result = wideArithmetic(operator, left, right, format);
      expect(`${line} ${operator} ${shown(result)}`).toBe(`${line} ${operator} ${asShown(rest[i] ?? '')}`);
    }
    const [double, float] = [Buffer.alloc(8), Buffer.alloc(4)];
    double.writeDoubleLE(left.toNumber());
    float.writeFloatLE(left.toNumber('binary32'));
    expect([line, hexOf(double), hexOf(float)]).toEqual([line, rest[4], rest[5]]);
    const order = compareWide(left, right);
    const flags =
      order === undefined ? '000' : `${Number(order < 0)}${Number(order === 0)}${Number(order > 0)}`;
    expect(`${line} ${flags}`).toBe(`${line} ${rest[6]}`);
  }
});

test('decimals are rounded once', () => {
  const texts = [
    '0.1',
    '1e-10',
    '3.14159265358979323846264338327950288',
    '1e4932',
    '1.18973149535723176508e4932',
    '1e4933',
    '3.6e-4951',
    '1e-4951',
    '1e-4960',
    '123456789012345678901234567890',
    '9007199254740993',
    '18446744073709551615',
    '18446744073709551617',
    '.5',
    '5.',
    '0',
  ];
  const wanted = execFileSync(build(), texts, { encoding: 'utf8' }).trimEnd().split('\n');
  const ours = texts.map((text) => hexOf(WideFloat.parse(text, x87)?.encode(x87, 10) ?? new Uint8Array()));
  expect(ours).toEqual(wanted.map((line) => line.trim()));
  expect(WideFloat.parse('1e99999', x87)).toBeUndefined();
});

test('what is no number is refused, and what is beyond all integers', () => {
  const pseudo = bytesOf('00000000000000000040');
  expect(WideFloat.decode(pseudo, x87)).toBeUndefined();
  expect(WideFloat.infinity(false).toInteger()).toBeUndefined();
  expect(WideFloat.from(-2.75).toInteger()).toBe(-2n);
});
