/**
 * The counters and the budget of a point, in the one value of an array map that all programs of the point share. Counters are spread over
 * slots by CPU, so that threads that hit at once do not fight for a cache line; each is added to atomically, for a
 * sleepable program may be moved between reading and writing.
 */
import { cpus } from 'node:os';
import { type BpfMap, createMap } from '../linux/bpf.js';
import { scratchBytes } from './thread-scratch.js';

export const counterNames = [
  'conditionFalse',
  'conditionFault',
  'wanted',
  'dropped',
  'rateLimited',
  'unreadable',
] as const;
export type CounterName = (typeof counterNames)[number];

/** Offsets within the value. */
export const stateOffsets = {
  /** u64: hits that took a share of `maxHits`; goes beyond it by those that come too late. */
  taken: 0,
  /** u64: time of the last hit that was let through. */
  lastTime: 8,
  /** u64: time of the last hit that sent a record. */
  lastRecord: 16,
  /** u64, of a watch: the value as it was last seen, and whether it was. */
  watched: 24,
  isWatched: 32,
  slots: 64,
} as const;
/**
 * To wake the consumer costs the hitting thread more than all else (an interrupt to itself, and in a virtual machine one to another CPU). So a hit
 * wakes it only when there was none for so long, or when the ring fills. The consumer looks again by itself for longer than this after each
 * record that it found, so that a stream of hits wakes it once.
 */
export const wakeWindowNs = 10_000_000;

/** One cache line a CPU. */
export const slotBytes = 64;

/** A power of two that is at least the number of CPUs; more CPUs than that share slots, which is only slower. */
export function counterSlots(): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, cpus().length)));
}

export function createPointState(slots: number): BpfMap {
  return createMap({
    type: 'BPF_MAP_TYPE_ARRAY',
    name: 'point_state',
    keySize: 4,
    // At least what a thread's scratch entry is made from.
    valueSize: Math.max(stateOffsets.slots + slots * slotBytes, scratchBytes),
    maxEntries: 1,
  });
}

export function readCounters(state: BpfMap, slots: number): Readonly<Record<CounterName, bigint>> {
  const sums = {
    conditionFalse: 0n,
    conditionFault: 0n,
    wanted: 0n,
    dropped: 0n,
    rateLimited: 0n,
    unreadable: 0n,
  };
  const value = state.lookup(Buffer.alloc(4));
  if (value === undefined) return sums;
  for (let slot = 0; slot < slots; slot++) {
    counterNames.forEach((name, i) => {
      sums[name] += value.readBigUInt64LE(stateOffsets.slots + slot * slotBytes + i * 8);
    });
  }
  return sums;
}
