/**
 * Where the hits of a metric are added up: for what is not grouped (and what is beyond the bound on groups) a slot a CPU in the value of an array,
 * which a program reaches without a look-up; for groups a hash map with a value a CPU. Nothing is ever removed from it, so nothing is lost.
 *
 * A cell is words of 64 bits, as {@link cellWords} has them; each is added to atomically, for a sleepable program can be preempted by another
 * thread that hits. A sum is kept in two words, of the lower and the upper halves of the values, so that neither overflows for 2^32 hits.
 */
import { readFileSync } from 'node:fs';
import { StillframeError } from '../../format/error.js';
import {
  type AggregateCell,
  type AggregateGroup,
  type AggregateTotals,
  type GroupKey,
  type PlanAggregate,
  addCells,
  bucketCount,
  emptyCell,
} from '../../format/plan/aggregate.js';
import { type BpfMap, createMap } from '../linux/bpf.js';
import { Holder } from '../linux/holder.js';
import { slotBytes } from './point-state.js';

/** Index of each word of a cell; undefined where it has none. */
export interface CellWords {
  /** A histogram's count is the sum of its buckets. */
  readonly count: number | undefined;
  readonly low: number | undefined;
  readonly high: number | undefined;
  readonly buckets: number | undefined;
  readonly bytes: number;
}

export function cellWords({ kind, buckets }: PlanAggregate): CellWords {
  if (kind === 'count') return { count: 0, low: undefined, high: undefined, buckets: undefined, bytes: 8 };
  if (buckets === undefined) return { count: 0, low: 1, high: 2, buckets: undefined, bytes: 24 };
  return { count: undefined, low: 0, high: 1, buckets: 2, bytes: (2 + bucketCount(buckets)) * 8 };
}

/** Of a string: u64 with its length (or one more than `maxBytes`), then its bytes, zeros after. */
export const keyTextOffset = 8;

/** Bytes of a key. A string is read with its NUL and one more, which tells whether it goes on. */
export function keyBytes({ group }: PlanAggregate): number {
  return group?.kind === 'text' ? keyTextOffset + Math.ceil((group.maxBytes + 2) / 8) * 8 : 8;
}

/** Of kernel memory that the groups of a metric in one process may take. */
const maxMapBytes = 64 * 1024 * 1024;
/** The kernel's per-CPU allocations are no larger. */
const maxCellBytes = 32 * 1024;

export class AggregateMaps implements Disposable {
  readonly aggregate: PlanAggregate;
  readonly words: CellWords;
  /** Bytes of a slot of {@link rest}. */
  readonly restStride: number;
  readonly rest: BpfMap;
  readonly groups: BpfMap | undefined;
  /** A cell of zeros, which new groups begin with. */
  readonly zeros: BpfMap | undefined;
  readonly #cpus = possibleCpus();
  readonly #slots: number;
  readonly #held: Holder;

  constructor(aggregate: PlanAggregate, slots: number) {
    this.aggregate = aggregate;
    this.words = cellWords(aggregate);
    this.#slots = slots;
    const { bytes } = this.words;
    this.restStride = Math.ceil(bytes / slotBytes) * slotBytes;
    const { group, maxGroups } = aggregate;
    const groupBytes = group === undefined ? 0 : maxGroups * (bytes * this.#cpus + keyBytes(aggregate));
    if (groupBytes > maxMapBytes || (group !== undefined && bytes > maxCellBytes)) {
      throw new StillframeError(
        'limit',
        `cannot add up: ${maxGroups} groups of ${bytes} bytes on ${this.#cpus} CPUs are ${groupBytes} bytes of kernel memory, ${maxMapBytes} are the most`,
        { hint: 'ask for fewer groups, or for fewer buckets' },
      );
    }
    using held = new Holder();
    const array = (name: string, valueSize: number): BpfMap =>
      held.use(createMap({ type: 'BPF_MAP_TYPE_ARRAY', name, keySize: 4, valueSize, maxEntries: 1 }));
    this.rest = array('rest', this.restStride * slots);
    if (group !== undefined) {
      this.zeros = array('zeros', bytes);
      this.groups = held.use(
        createMap({
          type: 'BPF_MAP_TYPE_PERCPU_HASH',
          name: 'groups',
          keySize: keyBytes(aggregate),
          valueSize: bytes,
          maxEntries: maxGroups,
        }),
      );
    }
    this.#held = held.move();
  }

  /** As it is now; while hits come, what is read first may be older than what is read last. */
  read(unreadable: bigint): AggregateTotals {
    const rest = this.rest.lookup(Buffer.alloc(4)) ?? Buffer.alloc(0);
    const groups = (this.groups?.entries(this.#cpus) ?? []).map(({ key, value }) => ({
      key: this.#key(key),
      ...this.#sum(value, this.#cpus, this.words.bytes),
    }));
    return {
      rest: this.#sum(rest, this.#slots, this.restStride),
      groups: groups.filter(({ count }) => count > 0n).toSorted(byKey),
      unreadable,
    };
  }

  [Symbol.dispose](): void {
    this.#held[Symbol.dispose]();
  }

  #key(bytes: Buffer): GroupKey {
    const { group } = this.aggregate;
    const first = bytes.readBigUInt64LE(0);
    if (group?.kind !== 'text') return { number: first };
    const length = Number(first);
    const cut = length > group.maxBytes;
    return { text: bytes.subarray(keyTextOffset, keyTextOffset + (cut ? group.maxBytes : length)), cut };
  }

  #sum(bytes: Buffer, parts: number, stride: number): AggregateCell {
    let sum = emptyCell;
    for (let part = 0; part < parts; part++) {
      const cell = this.#cell(bytes.subarray(part * stride, (part + 1) * stride));
      if (cell.count > 0n) sum = addCells(sum, cell);
    }
    return sum;
  }

  #cell(bytes: Buffer): AggregateCell {
    const { count, low, high, buckets } = this.words;
    const word = (index: number): bigint => bytes.readBigUInt64LE(index * 8);
    const found: [number, bigint][] = [];
    if (buckets !== undefined && this.aggregate.buckets !== undefined) {
      for (let i = 0; i < bucketCount(this.aggregate.buckets); i++) {
        const hits = word(buckets + i);
        if (hits > 0n) found.push([i, hits]);
      }
    }
    const all = count === undefined ? found.reduce((sum, [, hits]) => sum + hits, 0n) : word(count);
    return { count: all, sum: this.#total(all, low, high, word), buckets: found };
  }

  #total(
    count: bigint,
    low: number | undefined,
    high: number | undefined,
    word: (index: number) => bigint,
  ): bigint | undefined {
    if (low === undefined || high === undefined) return 0n;
    if (count > 1n << 32n) return undefined;
    const upper = this.aggregate.signed ? BigInt.asIntN(64, word(high)) : word(high);
    return (upper << 32n) + word(low);
  }
}

function byKey(a: AggregateGroup, b: AggregateGroup): number {
  if (a.count !== b.count) return a.count > b.count ? -1 : 1;
  return 0;
}

/** CPUs that the kernel keeps a value for: those that may be plugged in later, too. */
function possibleCpus(): number {
  const text = readFileSync('/sys/devices/system/cpu/possible', 'utf8').trim();
  const last = Math.max(...text.split(/[,-]/).map(Number));
  if (!Number.isInteger(last) || last < 0 || last >= 8192) {
    throw new StillframeError('system', `cannot tell the number of CPUs from "${text.slice(0, 80)}"`);
  }
  return last + 1;
}
