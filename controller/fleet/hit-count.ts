/** Hits at one agent, over all its lives. Pure: what an agent says to what is kept of it. */
import type { HitCount, HitCounters } from '../store/store.js';

export const noHits: HitCounters = { hits: 0n, conditionFalse: 0n, faults: 0n, dropped: 0n, delivered: 0n };

export const noCount: HitCount = { life: '', total: noHits, last: noHits };

/**
 * With what an agent says now. Its counters begin at zero with each of its lives, and where it arms anew; the total never goes back.
 * `life`: which of its lives says so.
 */
export function countHits(count: HitCount, life: string, now: HitCounters): HitCount {
  const goesOn = count.life === life && names.every((name) => now[name] >= count.last[name]);
  const before = goesOn ? count.last : noHits;
  return { life, total: combine(count.total, now, before), last: now };
}

export function addHits(a: HitCounters, b: HitCounters): HitCounters {
  return combine(a, b, noHits);
}

export function isSameCount(a: HitCounters, b: HitCounters): boolean {
  return names.every((name) => a[name] === b[name]);
}

const names = ['hits', 'conditionFalse', 'faults', 'dropped', 'delivered'] as const;

/** NB: what comes from the wire is below 2^64, and a sum of it is not; the store takes twenty digits. */
const most = 10n ** 20n - 1n;

function combine(a: HitCounters, b: HitCounters, less: HitCounters): HitCounters {
  const of = (name: (typeof names)[number]): bigint => {
    const sum = a[name] + b[name] - less[name];
    return sum > most ? most : sum;
  };
  return {
    hits: of('hits'),
    conditionFalse: of('conditionFalse'),
    faults: of('faults'),
    dropped: of('dropped'),
    delivered: of('delivered'),
  };
}
