import { expect, test } from 'vitest';
import { commandStorm } from '../soak/command-storm.js';

test(
  'commands killed at random instants, with an agent of their own, with one that stays, with a controller: nothing is left',
  { timeout: 900_000 },
  async () => {
    const kills = { command: 2, agent: 14, controller: 6 };
    const storm = await commandStorm({ kills, lanes: 2 });
    expect(storm.remains).toEqual([]);
    expect(storm.kills).toBe(22);
  },
);
