import { getHeapSpaceStatistics } from 'node:v8';
import { expect, test } from 'vitest';
import { YoungGarbage } from '../../../../agent/engines/ptrace/young-garbage.js';

const youngBytes = (): number =>
  getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_used_size ?? 0;

test('is collected when there is much of it, and not before', () => {
  const garbage = new YoungGarbage();
  // Whatever there was before.
  garbage.collect();
  expect(garbage.collect()).toBe(false);
  let collections = 0;
  let most = 0;
  let sum = 0;
  for (let i = 0; i < 20_000; i++) {
    // Lives no longer than a hit.
    sum += Array.from({ length: 64 }, (_, j) => BigInt(i * j)).length;
    if (i % 16 !== 0) continue;
    const before = youngBytes();
    most = Math.max(most, before);
    if (!garbage.collect()) continue;
    collections++;
    expect(youngBytes()).toBeLessThan(before);
  }
  expect(sum).toBe(20_000 * 64);
  expect(collections).toBeGreaterThan(3);
  expect(most).toBeLessThan(16 * 1024 * 1024);
});
