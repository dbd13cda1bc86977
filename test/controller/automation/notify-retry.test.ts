import { describe, expect, test } from 'vitest';
import {
  defaultRetryPolicy,
  parseRetryAfter,
  retryDelayMs,
  whyGivenUp,
} from '../../../controller/automation/notify-retry.js';

const policy = defaultRetryPolicy;

describe('how long to wait', () => {
  test.each([
    [1, 0, 1000],
    [2, 0, 2000],
    [5, 0, 16_000],
    [5, 1, 8000],
    [5, 0.5, 12_000],
    [11, 0, 900_000],
    [1000, 0, 900_000],
  ])('after try %i with chance %d: %i ms', (tries, chance, expected) => {
    expect(retryDelayMs(policy, { tries, chance })).toBe(expected);
  });

  test.each([
    ['longer than ours', 30_000, 30_000],
    ['shorter than ours', 10, 1000],
    ['for ever', Infinity, 900_000],
  ])('as long as the other side asks, within the bound: %s', (_, askedMs, expected) => {
    expect(retryDelayMs(policy, { tries: 1, chance: 0, askedMs })).toBe(expected);
  });

  test('all tries fit in about an hour', () => {
    let least = 0;
    let most = 0;
    for (let tries = 1; tries < policy.maxTries; tries++) {
      least += retryDelayMs(policy, { tries, chance: 1 });
      most += retryDelayMs(policy, { tries, chance: 0 });
    }
    expect(most).toBeLessThan(3600_000);
    expect(least).toBeGreaterThan(900_000);
  });
});

test.each([
  [1, 0, undefined],
  [11, 3599_999, undefined],
  [12, 0, 'after 12 tries'],
  [1, 3600_000, 'after 60 minutes'],
])('given up after %i tries and %i ms: %s', (tries, ageMs, expected) => {
  expect(whyGivenUp(policy, { tries, ageMs })).toBe(expected);
});

test.each([
  [undefined, undefined],
  ['7', 7000],
  ['soon', undefined],
  ['-7', undefined],
  ['Fri, 02 Jan 2026 00:00:10 GMT', 10_000],
  ['Fri, 02 Jan 2020 00:00:10 GMT', 0],
  ['9'.repeat(65), undefined],
])('Retry-After: %s', (header, expected) => {
  expect(parseRetryAfter(header, Date.UTC(2026, 0, 2))).toBe(expected);
});
