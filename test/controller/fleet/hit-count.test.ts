import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { addHits, countHits, noCount, noHits } from '../../../controller/fleet/hit-count.js';

const hits = (number: bigint) => ({ ...noHits, hits: number });

test('counts go on within a life, and begin anew with each', () => {
  let count = countHits(noCount, 'one', hits(5n));
  count = countHits(count, 'one', hits(8n));
  expect(count.total.hits).toBe(8n);
  count = countHits(count, 'two', hits(0n));
  count = countHits(count, 'two', hits(3n));
  expect(count.total.hits).toBe(11n);
  // Armed anew in the same life.
  count = countHits(count, 'two', hits(1n));
  expect(count.total.hits).toBe(12n);
});

test('the total never goes back, whatever an agent says, and is the sum of the lives of an honest one', () => {
  const counters = fc.record({
    hits: fc.bigInt(0n, 2n ** 64n - 1n),
    conditionFalse: fc.bigInt(0n, 100n),
    faults: fc.bigInt(0n, 100n),
    dropped: fc.bigInt(0n, 100n),
    delivered: fc.bigInt(0n, 100n),
    undecided: fc.bigInt(0n, 100n),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b'), counters)), (said) => {
      let count = noCount;
      for (const [life, now] of said) {
        const next = countHits(count, life, now);
        for (const name of ['hits', 'conditionFalse', 'faults', 'dropped', 'delivered'] as const) {
          expect(next.total[name] >= count.total[name]).toBe(true);
          expect(next.total[name] < 10n ** 20n).toBe(true);
        }
        count = next;
      }
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.array(fc.bigInt(0n, 1000n))), (lives) => {
      let count = noCount;
      let expected = 0n;
      lives.forEach((rises, life) => {
        let now = 0n;
        for (const rise of rises) {
          now += rise;
          count = countHits(count, `life ${life}`, hits(now));
        }
        expected += now;
      });
      expect(count.total.hits).toBe(expected);
      expect(addHits(count.total, hits(1n)).hits).toBe(expected + 1n);
    }),
  );
});
