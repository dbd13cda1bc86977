import { describe, expect, test } from 'vitest';
import { RunTimes } from '../../../../agent/engines/uprobe/run-times.js';

/** Stretches, each as so many runs of so many nanoseconds in all, one after the other as the kernel adds them up. */
function meanOf(...stretches: readonly (readonly [count: number, timeNs: number])[]): number {
  const times = new RunTimes();
  let [count, timeNs] = [0n, 0n];
  for (const stretch of stretches) {
    count += BigInt(stretch[0]);
    timeNs += BigInt(stretch[1]);
    times.look({ count, timeNs });
  }
  return times.meanNs();
}

const usual = Array.from({ length: 9 }, () => [4, 4 * 5000] as const);

describe('what a run takes', () => {
  test.each([
    ['nothing is known', 0, []],
    ['nobody passed', 0, [[0, 0]]],
    ['the mean of all runs', (4 * 5000 + 2000) / 5, [[4, 4 * 5000], [1, 2000]]],
    ['hits that bring much count as what they are', (36 * 5000 + 4 * 100_000) / 40, [...usual, [4, 4 * 100_000]]],
    ['so do runs that are all long', 3_000_000, [[1, 3_000_000], [1, 3_000_000]]],
    ['a thread that lost its processor did not run', 5000, [...usual, [4, 4 * 5000 + 20_000_000]]],
    ['also where it is the first that is seen', 5000, [[3, 15_000_000], [4, 4 * 5000], [4, 4 * 5000]]],
  ] as const)('%s', (_, expected, stretches) => {
    expect(meanOf(...stretches)).toBe(expected);
  }); // prettier-ignore

  test('what was long ago is forgotten', () => {
    const long = Array.from({ length: 10 }, () => [10, 10 * 900] as const);
    const now = Array.from({ length: 128 }, () => [10, 10 * 300] as const);
    expect(meanOf(...long, ...now)).toBe(300);
  });
});
