/** What a metric says at an instant, as JSON: counts, sums, histograms and groups, by the types of the expressions. */
import { hex } from '../../format/address.js';
import {
  type AggregateBuckets,
  type AggregateCell,
  type AggregateGroup,
  type AggregateTotals,
  addCells,
  emptyCell,
  log2Negative,
  nameOfKey,
} from '../../format/plan/aggregate.js';
import type { GroupShape, MetricShape } from '../planner/metric.js';
import { decodeText, escapeCharacter } from '../types/scalar.js';

export interface MetricBucket {
  /** The least value, and the first that is beyond; absent where there is no end. Decimal. */
  readonly from?: string;
  readonly to?: string;
  readonly count: number;
}

export interface MetricCell {
  readonly count: number;
  /** Exact, decimal; absent where it may have overflowed. */
  readonly sum?: string;
  readonly mean?: number;
  readonly buckets?: readonly MetricBucket[];
}

export interface MetricGroup extends MetricCell {
  /** As a person reads it: a number, an enumerator, a string. */
  readonly group: string;
  /** An integer, enumeration or character in decimal, a pointer in hex; a string has none. */
  readonly value?: string;
  /** The string goes on; other strings may begin like it. */
  readonly cut?: true;
}

export interface MetricDocument {
  /** `sum(order->total) by order->kind`. */
  readonly metric: string;
  readonly kind: 'count' | 'sum' | 'histogram';
  readonly target: string;
  readonly location: string;
  readonly condition?: string;
  readonly valueType?: string;
  readonly groupType?: string;
  /** The last one: read after the probes were gone. */
  readonly final: boolean;
  readonly time: string;
  readonly elapsedMs: number;
  readonly engine: string;
  readonly processes: readonly { readonly host?: string; readonly pid: number }[];
  readonly hits: number;
  readonly conditionFalse: number;
  /** Hits that are in nothing below: their condition, their value or their group could not be read. */
  readonly conditionUnreadable: number;
  readonly unreadable: number;
  readonly total: MetricCell;
  /** The largest first. */
  readonly groups?: readonly MetricGroup[];
  /** Hits of groups beyond the bound. */
  readonly other?: MetricCell;
  readonly maxGroups?: number;
  /** What one should know of the numbers. */
  readonly notes: readonly string[];
}

export type MetricNumbers = Pick<MetricDocument, 'total' | 'groups' | 'other' | 'maxGroups'>;

export function metricNumbers(totals: AggregateTotals, shape: MetricShape): MetricNumbers {
  const { aggregate, group } = shape;
  const cell = (of: AggregateCell): MetricCell => cellDocument(of, shape);
  if (group === undefined) return { total: cell(totals.rest) };
  const groups = group.whole === true ? joinEqual(totals.groups) : totals.groups;
  const all = groups.reduce<AggregateCell>(addCells, totals.rest);
  const weight = aggregate.kind === 'sum' ? 'sum' : 'count';
  const sorted = groups.toSorted((a, b) => compare(b[weight] ?? 0n, a[weight] ?? 0n) || compareNames(a, b));
  return {
    total: cell(all),
    groups: sorted.map((each) => ({ ...groupNames(each, group), ...cell(each) })),
    ...(totals.rest.count === 0n ? {} : { other: cell(totals.rest) }),
    maxGroups: aggregate.maxGroups,
  };
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareNames(a: AggregateGroup, b: AggregateGroup): number {
  if ('number' in a.key && 'number' in b.key) return compare(a.key.number, b.key.number);
  return nameOfKey(a.key) < nameOfKey(b.key) ? -1 : 1;
}

/** A string that fills its array has no NUL: what lies behind the array says nothing of it. */
function joinEqual(groups: readonly AggregateGroup[]): readonly AggregateGroup[] {
  const joined = new Map<string, AggregateGroup>();
  for (const group of groups) {
    const key = 'text' in group.key ? { text: group.key.text, cut: false } : group.key;
    const known = joined.get(nameOfKey(key));
    joined.set(nameOfKey(key), { key, ...addCells(known ?? emptyCell, group) });
  }
  return [...joined.values()];
}

function groupNames({ key }: AggregateGroup, shape: GroupShape): Omit<MetricGroup, keyof MetricCell> {
  if ('text' in key) return { group: decodeText(key.text), ...(key.cut ? { cut: true } : {}) };
  const unsigned = BigInt.asUintN(64, key.number);
  const number = shape.signed ? BigInt.asIntN(64, key.number) : unsigned;
  const value = shape.kind === 'pointer' ? hex(unsigned) : String(number);
  switch (shape.kind) {
    case 'enum':
      return { group: shape.names?.[String(unsigned)] ?? value, value };
    case 'bool':
      return { group: unsigned === 0n ? 'false' : 'true', value };
    case 'char':
      return { group: `'${escapeCharacter(Number(unsigned & 0xffn))}'`, value };
    case 'integer':
    case 'pointer':
    case 'text':
      return { group: value, value };
  }
}

function cellDocument({ count, sum, buckets }: AggregateCell, { aggregate }: MetricShape): MetricCell {
  if (aggregate.kind === 'count') return { count: Number(count) };
  const sums =
    sum === undefined
      ? {}
      : { sum: String(sum), ...(count === 0n ? {} : { mean: Number(sum) / Number(count) }) };
  if (aggregate.buckets === undefined) return { count: Number(count), ...sums };
  const { buckets: cuts } = aggregate;
  const bounds = buckets.map(([bucket, hits]) => ({ ...boundsOf(bucket, cuts), count: Number(hits) }));
  const first = ({ from, to }: MetricBucket): bigint =>
    from === undefined ? BigInt(to ?? 0) - (1n << 65n) : BigInt(from);
  return { count: Number(count), ...sums, buckets: bounds.toSorted((a, b) => compare(first(a), first(b))) };
}

function boundsOf(bucket: number, buckets: AggregateBuckets): Omit<MetricBucket, 'count'> {
  if (buckets.kind === 'log2') {
    if (bucket === log2Negative) return { to: '0' };
    if (bucket === 0) return { from: '0', to: '1' };
    return { from: String(1n << BigInt(bucket - 1)), to: String(1n << BigInt(bucket)) };
  }
  const { base, width, count } = buckets;
  const end = base + width * BigInt(count);
  if (bucket === count) return { to: String(base) };
  if (bucket > count) return { from: String(end) };
  const from = base + width * BigInt(bucket);
  return { from: String(from), to: String(from + width) };
}
