/** Hits at one agent, over all its lives. Pure: what an agent says to what is kept of it. */
import type { HitCount, HitCounters } from '../store/store.js';

export const noHits: HitCounters = { hits: 0n, conditionFalse: 0n, faults: 0n, dropped: 0n, delivered: 0n };

export const noCount: HitCount = { life: '', total: noHits, last: noHits };

/**
 * With what an agent says now. Its counters begin at zero with each of its lives, and where it arms anew; the total never goes back.
 * `life`: which of its lives says so.
 */
export function countHits(count: HitCount, life: string, now: HitCounters): HitCount {
  const goesOn = count.life === life && names.every((name) => (now[name] ?? 0n) >= (count.last[name] ?? 0n));
  const before = goesOn ? count.last : noHits;
  return { life, total: combine(count.total, now, before), last: now };
}

export function addHits(a: HitCounters, b: HitCounters): HitCounters {
  return combine(a, b, noHits);
}

export function isSameCount(a: HitCounters, b: HitCounters): boolean {
  return names.every((name) => (a[name] ?? 0n) === (b[name] ?? 0n));
}

const names = ['hits', 'conditionFalse', 'faults', 'dropped', 'delivered', 'undecided'] as const;

/** NB: what comes from the wire is below 2^64, and a sum of it is not; the store takes twenty digits. */
const most = 10n ** 20n - 1n;

function combine(a: HitCounters, b: HitCounters, less: HitCounters): HitCounters {
  const of = (name: (typeof names)[number]): bigint => {
    const sum = (a[name] ?? 0n) + (b[name] ?? 0n) - (less[name] ?? 0n);
    return sum > most ? most : sum;
  };
  const undecided = of('undecided');
  return {
    ...(undecided === 0n ? {} : { undecided }),
    hits: of('hits'),
    conditionFalse: of('conditionFalse'),
    faults: of('faults'),
    dropped: of('dropped'),
    delivered: of('delivered'),
  };
}
