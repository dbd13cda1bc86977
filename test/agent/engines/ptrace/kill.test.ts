import { expect, test } from 'vitest';
import { killAgain } from '../../../soak/engine-kills.js';

const kills = Number(process.env['STILLFRAME_PTRACE_KILLS'] ?? '200');

test.each(['stops', 'points'] as const)(
  `a tracer killed ${kills / 2} times among %s leaves nothing of itself in the process`,
  async (work) => {
    const result = await killAgain({ work, victim: 'tracer' }, kills / 2);
    expect(result).toMatchObject({ kills: kills / 2, wrong: [] });
    // Else the kills would have come where nothing can happen.
    expect(result.medianShare).toBeGreaterThan(10);
  },
  60_000 + kills * 2000,
);
