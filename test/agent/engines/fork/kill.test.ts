import { expect, test } from 'vitest';
import { killAgain } from '../../../soak/engine-kills.js';

const kills = Number(process.env['STILLFRAME_FORK_KILLS'] ?? '200');

test(
  `a tracer killed ${kills} times at any instant of making copies leaves nothing of itself in the process`,
  async () => {
    const result = await killAgain({ work: 'copies', victim: 'tracer' }, kills);
    expect(result).toMatchObject({ kills, wrong: [] });
    // Else the kills would have come where nothing can happen.
    expect(result.medianShare).toBeGreaterThan(10);
  },
  60_000 + kills * 2000,
);
