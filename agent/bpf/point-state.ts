/**
 * The counters and the budget of a point, in the one value of an array map that all programs of the point share. Counters are spread over
 * slots by CPU, so that threads that hit at once do not fight for a cache line; each is added to atomically, for a
 * sleepable program may be moved between reading and writing.
 */
import { cpus } from 'node:os';
import { StillframeError } from '../../format/error.js';
import { type BpfMap, createMap } from '../linux/bpf.js';
import { Arena } from '../linux/mmap.js';
import { pageBytes } from './record-layout.js';
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

/** Mapped, so that looking at it takes no system call: an agent at rest looks each second at every point. */
export class PointState implements Disposable {
  readonly fd: number;
  readonly #map: BpfMap;
  readonly #memory: Arena;
  readonly #words: BigUint64Array;
  readonly #slots: number;
  #isOpen = true;

  /** `slots`: see {@link counterSlots}. */
  constructor(slots: number) {
    // At least what a thread's scratch entry is made from.
    const valueSize = Math.max(stateOffsets.slots + slots * slotBytes, scratchBytes);
    this.#slots = slots;
    this.#map = createMap({
      type: 'BPF_MAP_TYPE_ARRAY',
      name: 'point_state',
      keySize: 4,
      valueSize,
      maxEntries: 1,
      isMappable: true,
    });
    try {
      const length = Math.ceil(valueSize / pageBytes) * pageBytes;
      this.#memory = new Arena(length, { fd: this.#map.fd, writable: false });
    } catch (error) {
      this.#map[Symbol.dispose]();
      throw error;
    }
    const { buffer, byteOffset } = this.#memory.bytes;
    this.#words = new BigUint64Array(buffer, byteOffset, Math.floor(valueSize / 8));
    this.fd = this.#map.fd;
  }

  /** The u64 at an offset of {@link stateOffsets}. */
  word(offset: number): bigint {
    // The memory of one that is disposed of is gone, and reading it would end the process.
    if (!this.#isOpen) throw new StillframeError('internal', 'the state of a point is read after its end');
    return Atomics.load(this.#words, offset / 8);
  }

  counters(): Readonly<Record<CounterName, bigint>> {
    const sum = (name: CounterName): bigint => {
      const first = stateOffsets.slots + 8 * counterNames.indexOf(name);
      let total = 0n;
      for (let slot = 0; slot < this.#slots; slot++) total += this.word(first + slot * slotBytes);
      return total;
    };
    return {
      conditionFalse: sum('conditionFalse'),
      conditionFault: sum('conditionFault'),
      wanted: sum('wanted'),
      dropped: sum('dropped'),
      rateLimited: sum('rateLimited'),
      unreadable: sum('unreadable'),
    };
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#memory[Symbol.dispose]();
    this.#map[Symbol.dispose]();
  }
}
