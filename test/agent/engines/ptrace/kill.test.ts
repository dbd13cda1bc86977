import { expect, test } from 'vitest';
import { killAgain } from '../../../soak/engine-kills.js';

const kills = Number(process.env['STILLFRAME_PTRACE_KILLS'] ?? '200');

/** In percent. A stop is short beside all that is read and laid out before it. */
const leastShares = { stops: 3, points: 10 } as const;

test.each(['stops', 'points'] as const)(
  `a tracer killed ${kills / 2} times among %s leaves nothing of itself in the process`,
  async (work) => {
    const result = await killAgain({ work, victim: 'tracer' }, kills / 2);
    expect(result).toMatchObject({ kills: kills / 2, wrong: [] });
    // Else the kills would have come where nothing can happen.
    expect(result.medianShare).toBeGreaterThan(leastShares[work]);
  },
  60_000 + kills * 2000,
);
