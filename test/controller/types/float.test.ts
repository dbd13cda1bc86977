import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FloatFormat, floatFormat, floatToDecimal } from '../../../controller/types/float.js';

function format(name: string, byteSize: number): FloatFormat {
  const found = floatFormat(name, byteSize);
  if (found === undefined) throw new Error(`no format of ${byteSize} bytes`);
  return found;
}
const half = format('_Float16', 2);
const single = format('float', 4);
const double = format('double', 8);
const extended = format('long double', 16);
const quadruple = format('_Float128', 16);

const hexBytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

/** Bytes as they lie in memory. */
const rows: readonly (readonly [string, FloatFormat, string, string | undefined])[] = [
  ['float 0.1', single, 'cdcccc3d', '0.1'],
  ['float 16777216', single, '0000804b', '16777216'],
  ['float max', single, 'ffff7f7f', '3.4028235e+38'],
  ['float least denormal', single, '01000000', '1e-45'],
  ['float -0', single, '00000080', '-0'],
  ['float inf', single, '0000807f', 'inf'],
  ['float -inf', single, '000080ff', '-inf'],
  ['float nan', single, '0000c07f', 'nan'],
  ['float signalling nan', single, '0100807f', 'nan'],
  ['double 0.1', double, '9a9999999999b93f', '0.1'],
  ['double 2^-44', double, '000000000000303d', '5.684341886080802e-14'],
  ['double 1e21', double, '50efe2d6e41a4b44', '1e+21'],
  ['double -1234.5', double, '00000000004a93c0', '-1234.5'],
  ['half 65504', half, 'ff7b', '65500'],
  ['half 1/3', half, '5535', '0.3333'],
  ['bfloat16 1', format('__bf16', 2), '803f', '1'],
  ['long double 1', extended, '0000000000000080ff3f000000000000', '1'],
  ['long double 0.1', extended, 'cdcccccccccccccc fb3f 000000000000', '0.1'],
  ['long double -0', extended, '00000000000000000080 000000000000', '-0'],
  ['long double inf', extended, '0000000000000080ff7f 000000000000', 'inf'],
  ['long double nan', extended, '00000000000000c0ff7f 000000000000', 'nan'],
  ['long double unnormal', extended, '0000000000000010ff3f 000000000000', undefined],
  ['long double pseudo-infinity', extended, '0000000000000000ff7f 000000000000', undefined],
  ['long double least denormal', extended, '01000000000000000000 000000000000', '4e-4951'],
  ['long double max', extended, 'fffffffffffffffffe7f 000000000000', '1.189731495357231765e+4932'],
  ['_Float128 0.1', quadruple, '9a999999999999999999999999 99 fb3f', '0.1'],
];

test.each(rows)('%s', (_, layout, bytes, expected) => {
  expect(floatToDecimal(hexBytes(bytes), layout)).toBe(expected);
});

describe('properties', () => {
  test('doubles are written as ECMAScript writes them', () => {
    const view = new DataView(new ArrayBuffer(8));
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (bits) => {
        view.setBigUint64(0, bits, true);
        const number = view.getFloat64(0, true);
        if (!Number.isFinite(number)) return;
        const expected = Object.is(number, -0) ? '-0' : String(number);
        expect(floatToDecimal(new Uint8Array(view.buffer), double)).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  test('floats read back the same, and no shorter decimal does', () => {
    const view = new DataView(new ArrayBuffer(4));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (bits) => {
        view.setUint32(0, bits, true);
        const number = view.getFloat32(0, true);
        if (!Number.isFinite(number)) return;
        const text = floatToDecimal(new Uint8Array(view.buffer), single) ?? '';
        expect(Math.fround(Number(text))).toBe(number);
        const digits = text
          .replace(/e.*/, '')
          .replace(/\D/g, '')
          .replace(/^0+|0+$/g, '').length;
        for (let precision = 1; precision < digits; precision++) {
          expect(Math.fround(Number(number.toPrecision(precision)))).not.toBe(number);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('long doubles read back the same in C, and one digit less does not', () => {
    const folder = mkdtempSync(join(tmpdir(), 'stillframe-float-'));
    try {
      const random = fc.sample(
        fc.tuple(fc.bigInt(0n, 2n ** 63n - 1n), fc.integer({ min: 1, max: 0x7ffe }), fc.boolean()),
        500,
      );
      const patterns = random.map(([fraction, exponent, negative]) => {
        const bytes = Buffer.alloc(16);
        bytes.writeBigUInt64LE(fraction | (1n << 63n), 0);
        bytes.writeUInt16LE(exponent | (negative ? 0x8000 : 0), 8);
        return bytes;
      });
      const source = join(folder, 'back.c');
      writeFileSync(
        source,
        `#include <stdio.h>
         #include <stdlib.h>
         #include <string.h>
         int main(void) {
           char line[8192];
           while (fgets(line, sizeof line, stdin)) {
             long double value = strtold(line, 0);
             unsigned char bytes[16];
             memset(bytes, 0, 16);
             memcpy(bytes, &value, 10);
             for (int i = 0; i < 10; i++) printf("%02x", bytes[i]);
             putchar('\\n');
           }
         }`,
      );
      const program = join(folder, 'back');
      execFileSync('gcc', ['-o', program, source]);
      const texts = patterns.map((bytes) => floatToDecimal(bytes, extended) ?? '');
      const input = `${texts.join('\n')}\n`;
      const answer = execFileSync(program, { input, encoding: 'utf8' }).trimEnd().split('\n');
      expect(answer).toEqual(patterns.map((bytes) => bytes.subarray(0, 10).toString('hex')));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
