/**
 * What a metric point adds up over its hits: how often, the sum or the distribution of an expression, all of it or grouped by another
 * expression. The kernel does it in maps; this is the meaning, and the reference that it is compared with.
 *
 * Counts are exact. A sum is exact while one part of it (a CPU, for one group) has had at most 2^32 hits, and is left out beyond.
 */

/** How a histogram cuts values into buckets. */
export type AggregateBuckets =
  /** Bucket 0 is zero, bucket n is 2^(n-1) up to 2^n, {@link log2Negative} is what is negative. */
  | { readonly kind: 'log2' }
  /** `count` buckets of `width` from `base`; bucket `count` is what is below, `count + 1` what is above. */
  | { readonly kind: 'linear'; readonly base: bigint; readonly width: bigint; readonly count: number };

export type AggregateGrouping =
  /** An integer, extended to 64 bits as its type is signed. */
  | { readonly kind: 'number' }
  /** A string, of which so many bytes tell groups apart. */
  | { readonly kind: 'text'; readonly maxBytes: number };

export interface PlanAggregate {
  readonly kind: 'count' | 'sum' | 'histogram';
  /** Whether the value is signed; false for `count`. */
  readonly signed: boolean;
  /** Of a histogram, and only there. */
  readonly buckets?: AggregateBuckets;
  readonly group?: AggregateGrouping;
  /** Groups that are told apart; hits of others count as `rest`. */
  readonly maxGroups: number;
}

/** The expressions of one site: as `plan.ts` says, but that a fault makes the hit `unreadable`, and nothing is added. */
export interface SiteAggregate {
  /** What is summed; absent for `count`. */
  readonly value?: Uint8Array;
  /** What is grouped by; of a string the address. */
  readonly group?: Uint8Array;
  /** Bytes of a string that says its length; absent: up to its NUL. Negative is empty. */
  readonly groupLength?: Uint8Array;
}

export interface AggregateCell {
  readonly count: bigint;
  /** Undefined where it may have overflowed. */
  readonly sum: bigint | undefined;
  /** Hits by bucket, those that have any, in order. */
  readonly buckets: readonly (readonly [bucket: number, hits: bigint])[];
}

export type GroupKey =
  | { readonly number: bigint }
  /** `cut`: the strings go on beyond `text`, and not all need be equal there. */
  | { readonly text: Uint8Array; readonly cut: boolean };

export interface AggregateGroup extends AggregateCell {
  readonly key: GroupKey;
}

export interface AggregateTotals {
  /** All hits where nothing is grouped; else those of groups beyond `maxGroups`. */
  readonly rest: AggregateCell;
  readonly groups: readonly AggregateGroup[];
  /** Hits whose value or group could not be read. */
  readonly unreadable: bigint;
}

export const log2Negative = 65;
const log2Buckets = 66;

export function bucketCount(buckets: AggregateBuckets): number {
  return buckets.kind === 'log2' ? log2Buckets : buckets.count + 2;
}

/** `value`: as its type is signed. */
export function bucketOf(value: bigint, buckets: AggregateBuckets): number {
  if (buckets.kind === 'log2') return value < 0n ? log2Negative : value === 0n ? 0 : value.toString(2).length;
  const { base, width, count } = buckets;
  if (value < base) return count;
  const index = (value - base) / width;
  return index >= BigInt(count) ? count + 1 : Number(index);
}

export const emptyCell: AggregateCell = { count: 0n, sum: 0n, buckets: [] };
export const noTotals: AggregateTotals = { rest: emptyCell, groups: [], unreadable: 0n };

export function addCells(a: AggregateCell, b: AggregateCell): AggregateCell {
  const buckets = new Map(a.buckets);
  for (const [bucket, hits] of b.buckets) buckets.set(bucket, (buckets.get(bucket) ?? 0n) + hits);
  return {
    count: a.count + b.count,
    sum: a.sum === undefined || b.sum === undefined ? undefined : a.sum + b.sum,
    buckets: [...buckets].toSorted(([x], [y]) => x - y),
  };
}

/** Names a group; equal keys have equal names. */
export function nameOfKey(key: GroupKey): string {
  if ('number' in key) return `#${key.number}`;
  return `${key.cut ? '>' : '='}${Buffer.from(key.text.buffer, key.text.byteOffset, key.text.length).toString('latin1')}`;
}

/** Of two processes, or two hosts. What would be more than `maxGroups` joins the rest: no hit is lost. */
export function addTotals(a: AggregateTotals, b: AggregateTotals, maxGroups: number): AggregateTotals {
  const groups = new Map(a.groups.map((group) => [nameOfKey(group.key), group]));
  let rest = addCells(a.rest, b.rest);
  for (const group of b.groups) {
    const name = nameOfKey(group.key);
    const known = groups.get(name);
    if (known !== undefined) groups.set(name, { key: known.key, ...addCells(known, group) });
    else if (groups.size < maxGroups) groups.set(name, group);
    else rest = addCells(rest, group);
  }
  return { rest, groups: [...groups.values()], unreadable: a.unreadable + b.unreadable };
}

/** Adds up as the kernel does, for engines without eBPF. */
export class Aggregator {
  readonly #aggregate: PlanAggregate;
  readonly #groups = new Map<string, AggregateGroup>();
  #rest = emptyCell;
  #unreadable = 0n;

  constructor(aggregate: PlanAggregate) {
    this.#aggregate = aggregate;
  }

  /** One hit: its value, as 64 bits, and its group; undefined where they could not be read. */
  add(sample: { readonly value: bigint; readonly key: GroupKey | undefined } | undefined): void {
    if (sample === undefined) {
      this.#unreadable += 1n;
      return;
    }
    const { kind, signed, buckets } = this.#aggregate;
    const value = kind === 'count' ? 0n : signed ? BigInt.asIntN(64, sample.value) : sample.value;
    const cell: AggregateCell = {
      count: 1n,
      sum: value,
      buckets: buckets === undefined ? [] : [[bucketOf(value, buckets), 1n]],
    };
    if (sample.key === undefined) this.#rest = addCells(this.#rest, cell);
    else this.#addTo(sample.key, cell);
  }

  #addTo(key: GroupKey, cell: AggregateCell): void {
    const name = nameOfKey(key);
    const known = this.#groups.get(name);
    if (known !== undefined) this.#groups.set(name, { key: known.key, ...addCells(known, cell) });
    else if (this.#groups.size < this.#aggregate.maxGroups) this.#groups.set(name, { key, ...cell });
    else this.#rest = addCells(this.#rest, cell);
  }

  totals(): AggregateTotals {
    return { rest: this.#rest, groups: [...this.#groups.values()], unreadable: this.#unreadable };
  }
}
