/** "Why have you not fired?": one line from the counters and the state of a point. Always true, never a guess. */
import type { CaptureCost } from '../../format/capture.js';
import { addTotals } from '../../format/plan/aggregate.js';
import { defaultLimits } from '../../format/limits.js';
import type { PointCounters } from '../tracer/client.js';

export interface WhyFacts {
  readonly phase: 'pending' | 'armed' | 'suspended' | 'ended' | 'failed';
  /** It is to be what `detail` says as soon as the kernel has let go of its probes. */
  readonly leaving?: boolean;
  /** Addresses in all processes, and the processes. */
  readonly addresses: number;
  readonly pids: readonly number[];
  readonly engine: string;
  /** Why nobody can pass in some of them, where their library is not loaded. */
  readonly awaited?: string;
  readonly counters: PointCounters;
  /** 0: no end of them. */
  readonly maxHits: number;
  readonly hasCondition: boolean;
  /** What a pending, suspended, ended or failed point says of itself. */
  readonly detail: string;
  /** What is said of the process that it is tried in first. */
  readonly canary?: string;
}

export function whyLine(facts: WhyFacts): string {
  const { counters } = facts;
  if (facts.leaving === true || facts.phase === 'ended' || facts.phase === 'failed') {
    const detail = facts.leaving === true ? `being disarmed: ${facts.detail}` : facts.detail;
    return counters.hits === 0n ? detail : `${detail} (${hitsOf(facts)})`;
  }
  if (facts.phase !== 'armed') return facts.detail;
  if (facts.addresses === 0) return whyInFile(facts);
  const where = `armed at ${count(facts.addresses, 'address', 'addresses')} in ${processes(facts.pids)} by ${facts.engine}`;
  const never = facts.engine === 'watch' ? 'nobody has written there yet' : 'no thread has passed there yet';
  const passed = counters.hits === 0n ? `0 hits, ${never}` : hitsOf(facts);
  return `${where}: ${passed}${more(facts.awaited)}${more(facts.canary)}`;
}

const more = (text: string | undefined): string => (text === undefined || text === '' ? '' : `; ${text}`);

/** It is armed in a file, wherever that is loaded. */
function whyInFile(facts: WhyFacts): string {
  const where = `armed in the library for ${processes(facts.pids)} by ${facts.engine}`;
  const passed = facts.counters.hits === 0n ? '0 hits' : hitsOf(facts);
  const { awaited = '', canary } = facts;
  if (awaited !== '') return `${where}: ${passed}, ${awaited}${more(canary)}`;
  const never = facts.counters.hits === 0n ? ', no thread has passed there yet' : '';
  return `${where}: ${passed}${never}${more(canary)}`;
}

function hitsOf({ counters, hasCondition, maxHits, phase }: WhyFacts): string {
  const parts = [count(counters.hits, 'hit', 'hits')];
  if (hasCondition) parts.push(`condition false ${count(counters.conditionFalse, 'time', 'times')}`);
  if (counters.faults > 0n) parts.push(`memory not readable ${count(counters.faults, 'time', 'times')}`);
  const { undecided = 0n, undecidedWhy } = counters;
  if (undecided > 0n) {
    const why = undecidedWhy === undefined ? '' : ` (last: ${undecidedWhy})`;
    parts.push(`condition not decided ${count(undecided, 'time', 'times')}${why}`);
  }
  if (counters.dropped > 0n) parts.push(`${counters.dropped} lost for want of room`);
  if (counters.delivered > 0n && phase === 'armed')
    parts.push(
      maxHits === 0 ? `${counters.delivered} told` : `${counters.delivered} of ${maxHits} delivered`,
    );
  return parts.join(', ');
}

function processes(pids: readonly number[]): string {
  const [first] = pids;
  if (pids.length === 1 && first !== undefined) return `process ${first}`;
  return `${pids.length} processes`;
}

function count(number: number | bigint, one: string, many: string): string {
  return `${number} ${BigInt(number) === 1n ? one : many}`;
}

export const noCounters: PointCounters = {
  hits: 0n,
  conditionFalse: 0n,
  faults: 0n,
  dropped: 0n,
  delivered: 0n,
};

/** `maxGroups`: of the plan, where it has an aggregate. */
export function addCounters(
  a: PointCounters,
  b: PointCounters,
  maxGroups: number = defaultLimits.maxGroups,
): PointCounters {
  const aggregate =
    a.aggregate === undefined || b.aggregate === undefined
      ? (a.aggregate ?? b.aggregate)
      : addTotals(a.aggregate, b.aggregate, maxGroups);
  const spentNs = (a.spentNs ?? 0n) + (b.spentNs ?? 0n);
  const limited = (a.limited ?? 0n) + (b.limited ?? 0n);
  const undecided = (a.undecided ?? 0n) + (b.undecided ?? 0n);
  const undecidedWhy = b.undecidedWhy ?? a.undecidedWhy;
  return {
    ...(spentNs === 0n ? {} : { spentNs }),
    ...(limited === 0n ? {} : { limited }),
    ...(undecided === 0n ? {} : { undecided }),
    ...(undecidedWhy === undefined ? {} : { undecidedWhy }),
    ...(aggregate === undefined ? {} : { aggregate }),
    hits: a.hits + b.hits,
    conditionFalse: a.conditionFalse + b.conditionFalse,
    faults: a.faults + b.faults,
    dropped: a.dropped + b.dropped,
    delivered: a.delivered + b.delivered,
  };
}

/** The engine's counters at a hit; a point that ends with it can no longer be asked. */
export function countersAtHit(cost: CaptureCost): PointCounters {
  return {
    hits: BigInt(cost.hits),
    conditionFalse: BigInt(cost.conditionFalse),
    faults: BigInt(cost.faults),
    dropped: BigInt(cost.dropped),
    delivered: 0n,
    // Who passed there had loaded it.
    awaited: '',
  };
}
