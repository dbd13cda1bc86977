import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { duration, percent, rate, shortNumber, size, span } from '../../../controller/automation/quantity.js';

test.each([
  [duration, '500ms', 500],
  [duration, '1.5h', 5_400_000],
  [duration, '30d', 2_592_000_000],
  [duration, '0s', 0],
  [duration, '5', undefined],
  [duration, '-5s', undefined],
  [duration, '5 s', undefined],
  [duration, '1e3s', undefined],
  [duration, '5s5s', undefined],
  [size, '4096', 4096],
  [size, '64k', 65_536],
  [size, '64KiB', 65_536],
  [size, '2 G', 2_147_483_648],
  [size, '1.5G', undefined],
  [size, '2X', undefined],
  [rate, '3/s', 3],
  [rate, '3 / m', 0.05],
  [rate, '0.5/h', 0.5 / 3600],
  [rate, '3', undefined],
  [rate, '3/d', undefined],
  [percent, '150%', 150],
  [percent, '0.5 %', 0.5],
  [percent, '150', undefined],
])('%o of "%s" is %s', (kind, text, value) => {
  expect(kind.parse(text)).toBe(value);
});

test.each([
  [0, '0s'],
  [1, '1s'],
  [582_000, '9m 42s'],
  [600_000, '10m'],
  [3_601_000, '1h 1s'],
  [90_061_000, '1d 1h'],
])('%s ms are %s', (ms, text) => {
  expect(span(ms)).toBe(text);
});

test.each([
  [0.30000000000000004, '0.3'],
  [1234.5678, '1230'],
  [1234, '1234'],
  [NaN, 'NaN'],
  [-Infinity, '-Infinity'],
])('%s for people is %s', (value, text) => {
  expect(shortNumber(value)).toBe(text);
});

test('what is rendered is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 45 }), (value) => {
      expect(duration.parse(duration.render(value))).toBe(value);
      expect(size.parse(size.render(value))).toBe(value);
    }),
  );
});
