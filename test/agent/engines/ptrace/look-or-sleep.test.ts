import { expect, test } from 'vitest';
import { LookOrSleep, type Manner } from '../../../../agent/engines/ptrace/look-or-sleep.js';

/** How often each manner was chosen, when they take so long. */
function shares(
  choice: LookOrSleep,
  took: Readonly<Record<Manner, number>>,
  waits = 320,
): Record<Manner, number> {
  const counts = { look: 0, sleep: 0 };
  for (let i = 0; i < waits; i++) {
    const manner = choice.next();
    counts[manner]++;
    choice.learn(manner, took[manner]);
  }
  return counts;
}

test.each([
  ['look', { look: 20_000, sleep: 90_000 }],
  ['sleep', { look: 200_000, sleep: 60_000 }],
] as const)('mostly %s, where that is quicker', (better, took) => {
  const counts = shares(new LookOrSleep(), took);
  expect(counts[better]).toBeGreaterThan(290);
  expect(Math.min(counts.look, counts.sleep)).toBeGreaterThan(0);
});

test('a machine that becomes busy is noticed', () => {
  const choice = new LookOrSleep();
  shares(choice, { look: 20_000, sleep: 90_000 });
  shares(choice, { look: 300_000, sleep: 60_000 }, 64);
  expect(shares(choice, { look: 300_000, sleep: 60_000 }).sleep).toBeGreaterThan(290);
});
