/**
 * The consumer's half of a BPF ring buffer (kernel/bpf/ringbuf.c): records lie in order in a ring that is mapped twice in a row, so that a
 * record that wraps reads straight on. The kernel moves the producer position, we the consumer's.
 */
import { type BpfMap, createMap } from '../linux/bpf.js';
import { bufferAt } from '../linux/ffi.js';
import { Arena } from '../linux/mmap.js';
import { pageBytes } from './record-layout.js';

const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;
const headBytes = 8;

/** Where the pages of a ring are mapped in this process: enough for another thread to read it. */
export interface RingPlace {
  readonly consumerAddress: bigint;
  readonly producerAddress: bigint;
  /** Bytes of the ring itself: a power of two. */
  readonly ringBytes: number;
}

/** Reads records out of a mapped ring. One reader at a time. */
export class RingReader {
  readonly #consumer: BigUint64Array;
  readonly #producer: BigUint64Array;
  readonly #heads: Int32Array;
  readonly #data: Buffer;
  readonly #mask: bigint;
  #isHeldUp = false;

  constructor(place: RingPlace) {
    const consumer = bufferAt(place.consumerAddress, pageBytes);
    const producer = bufferAt(place.producerAddress, pageBytes + 2 * place.ringBytes);
    this.#consumer = new BigUint64Array(consumer.buffer, consumer.byteOffset, 1);
    this.#producer = new BigUint64Array(producer.buffer, producer.byteOffset, 1);
    this.#data = producer.subarray(pageBytes);
    this.#heads = new Int32Array(this.#data.buffer, this.#data.byteOffset, (2 * place.ringBytes) / 4);
    this.#mask = BigInt(place.ringBytes - 1);
  }

  /**
   * Whether the last `drain` ended at a record that is not complete: its thread may sleep in a read. `poll` says that such a ring
   * is ready, so it is of no use until the record is complete.
   */
  get isHeldUp(): boolean {
    return this.#isHeldUp;
  }

  /** Gives all records that are complete, in order, and frees their room. A record is a view, good only within the call. */
  drain(take: (record: Buffer) => void): number {
    let count = 0;
    let position = Atomics.load(this.#consumer, 0);
    this.#isHeldUp = false;
    while (position < Atomics.load(this.#producer, 0)) {
      const at = Number(position & this.#mask);
      const head = Atomics.load(this.#heads, at / 4) >>> 0;
      if ((head & BUSY) !== 0) {
        this.#isHeldUp = true;
        break;
      }
      const length = head & ~(BUSY | DISCARDED);
      if ((head & DISCARDED) === 0) {
        take(this.#data.subarray(at + headBytes, at + headBytes + length));
        count++;
      }
      position += BigInt(Math.ceil((length + headBytes) / 8) * 8);
      Atomics.store(this.#consumer, 0, position);
    }
    return count;
  }
}

/** A ring buffer map, mapped. */
export class RingBuffer implements Disposable {
  readonly map: BpfMap;
  readonly place: RingPlace;
  readonly #consumer: Arena;
  readonly #producer: Arena;

  /** `ringBytes`: a power of two, at least a page. */
  constructor(ringBytes: number) {
    this.map = createMap({
      type: 'BPF_MAP_TYPE_RINGBUF',
      name: 'records',
      keySize: 0,
      valueSize: 0,
      maxEntries: ringBytes,
    });
    let consumer: Arena | undefined;
    try {
      consumer = new Arena(pageBytes, { fd: this.map.fd });
      this.#producer = new Arena(pageBytes + 2 * ringBytes, {
        fd: this.map.fd,
        offset: BigInt(pageBytes),
        writable: false,
      });
      this.#consumer = consumer;
    } catch (error) {
      consumer?.[Symbol.dispose]();
      this.map[Symbol.dispose]();
      throw error;
    }
    this.place = {
      consumerAddress: this.#consumer.address,
      producerAddress: this.#producer.address,
      ringBytes,
    };
  }

  [Symbol.dispose](): void {
    this.#consumer[Symbol.dispose]();
    this.#producer[Symbol.dispose]();
    this.map[Symbol.dispose]();
  }
}

/** The size of a ring that holds `records` of `recordBytes`, within reason; always at least two. */
export function ringBytesFor(recordBytes: number, records: number): number {
  const least = 2 * (recordBytes + headBytes);
  const wanted = Math.max(least, Math.min(records * (recordBytes + headBytes), 16 * 1024 * 1024), 64 * 1024);
  return 2 ** Math.ceil(Math.log2(wanted));
}
