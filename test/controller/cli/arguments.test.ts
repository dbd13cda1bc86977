import { expect, test } from 'vitest';
import {
  parseCount,
  parseDuration,
  parseEngine,
  parseSince,
  parseSize,
} from '../../../controller/cli/arguments.js';

test.each([
  ['0s', 0],
  ['250ms', 250],
  ['1.5s', 1500],
  ['2m', 120_000],
  ['24h', 86_400_000],
  ['30d', 2_592_000_000],
])('duration %s is %d ms', (text, ms) => {
  expect(parseDuration('--wait', text)).toBe(ms);
});

test.each(['', '5', '5 s', '-1s', '1w', 's', '1e3s', '1s2'])('%j is no duration', (text) => {
  expect(() => parseDuration('--wait', text)).toThrow(
    expect.objectContaining({ code: 'usage', message: `--wait: "${text}" is no duration` }) as Error,
  );
});

test.each([
  ['0', 0],
  ['4096', 4096],
  ['16k', 16_384],
  ['16KiB', 16_384],
  ['1M', 1_048_576],
  ['2GB', 2_147_483_648],
])('size %s is %d bytes', (text, bytes) => {
  expect(parseSize('--stack', text)).toBe(bytes);
});

test.each(['', 'k', '1.5k', '-1', '0x10', '1T'])('%j is no size', (text) => {
  expect(() => parseSize('--stack', text)).toThrow(`--stack: "${text}" is no size`);
});

test.each(['', '-1', '1.5', 'x', '99999999999999999999'])('%j is no count', (text) => {
  expect(() => parseCount('--frame', text)).toThrow(`--frame: "${text}" is no number from 0`);
});

test('engines, and times', () => {
  expect(parseEngine('mem')).toBe('mem');
  expect(parseEngine(undefined)).toBe('');
  expect(() => parseEngine('magic')).toThrow('--engine: there is no engine "magic"');
  expect(parseSince('2h', 7_200_000 + 5)).toBe(5_000_000n);
  expect(parseSince('1970-01-01T00:00:01Z', 0)).toBe(1_000_000_000n);
  expect(() => parseSince('1970-13-01', 0)).toThrow('--since: "1970-13-01" is no time');
  expect(() => parseSince('soon', 0)).toThrow('--since: "soon" is no duration');
});
