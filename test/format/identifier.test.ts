import { expect, test } from 'vitest';
import {
  isIdentifier,
  isPointIdentifier,
  makeArmingIdentifier,
  makeIdentifier,
  pointOfArming,
} from '../../format/identifier.js';

const random = Uint8Array.of(0, 31, 255, 18);

test('an id is twelve characters of time and chance', () => {
  expect(makeIdentifier(Date.UTC(2025, 0, 1), random)).toBe('000000000zzj');
  expect(makeIdentifier(Date.UTC(2025, 0, 1) + 33, random)).toBe('000000110zzj');
});

test('ids sort by time for thirty years', () => {
  const times = [0, 1, 31, 32, 1e6, 1e9, 30 * 365 * 86_400_000].map((ms) => Date.UTC(2025, 0, 1) + ms);
  const ids = times.map((time) => makeIdentifier(time, random));
  expect(ids.toSorted()).toEqual(ids);
  expect(ids.every(isIdentifier)).toBe(true);
});

test('too little chance is refused', () => {
  expect(() => makeIdentifier(0, Uint8Array.of(1))).toThrow('4 random bytes wanted');
});

test.each(['', 'last', '../../etc/passwd', '000000000zz', '000000000zzi', '000000000ZZJ'])(
  '%j is no id',
  (text) => {
    expect(isIdentifier(text)).toBe(false);
  },
);

test('an arming names its point and the build', () => {
  const point = makeIdentifier(Date.UTC(2026, 0, 1), random);
  const arming = makeArmingIdentifier(point, 'deadbeef00112233');
  expect(arming).toBe(`${point}-deadbeef`);
  expect(makeArmingIdentifier(point, '')).toBe(`${point}-00000000`);
  expect(makeArmingIdentifier(point, 'deadbeef00112233', 10)).toBe(`${point}-deadbe0a`);
  expect(pointOfArming(makeArmingIdentifier(point, 'deadbeef00112233', 10))).toBe(point);
  expect(() => makeArmingIdentifier(point, 'deadbeef00112233', 256)).toThrow('generation 256 does not fit');
  expect([point, arming].every(isPointIdentifier)).toBe(true);
  expect([arming, point, '', 'x-deadbeef'].map(pointOfArming)).toEqual([point, point, '', 'x-deadbeef']);
  expect(isPointIdentifier(`${point}-../../..`)).toBe(false);
});
