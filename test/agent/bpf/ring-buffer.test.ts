/** The reader against a ring that is written by hand, as kernel/bpf/ringbuf.c lays it out. */
import { expect, test } from 'vitest';
import { RingReader } from '../../../agent/bpf/ring-buffer.js';
import { Arena } from '../../../agent/linux/mmap.js';

const page = 4096;
const busy = 0x8000_0000;
const discarded = 0x4000_0000;

function drained(reader: RingReader): string[] {
  const records: string[] = [];
  reader.drain((record) => records.push(record.toString('latin1')));
  return records;
}

test('records come in order, and one that is not complete holds up those behind it', () => {
  using consumer = new Arena(page);
  using producer = new Arena(page + 2 * page);
  const place = { consumerAddress: consumer.address, producerAddress: producer.address, ringBytes: page };
  const reader = new RingReader(place);
  let end = 0;
  /** Gives where its head is. */
  const write = (text: string, flags: number): number => {
    const head = page + end;
    producer.bytes.writeUInt32LE((text.length | flags) >>> 0, head);
    producer.bytes.write(text, head + 8, 'latin1');
    end += Math.ceil((text.length + 8) / 8) * 8;
    producer.bytes.writeBigUInt64LE(BigInt(end), 0);
    return head;
  };

  expect(drained(reader)).toEqual([]);
  expect(reader.isHeldUp).toBe(false);
  write('one', 0);
  write('nobody', discarded);
  const head = write('two', busy);
  write('three', 0);
  expect(drained(reader)).toEqual(['one']);
  expect(reader.isHeldUp).toBe(true);
  expect(drained(reader)).toEqual([]);
  expect(reader.isHeldUp).toBe(true);
  producer.bytes.writeUInt32LE(3, head);
  expect(drained(reader)).toEqual(['two', 'three']);
  expect(reader.isHeldUp).toBe(false);
  expect(consumer.bytes.readBigUInt64LE(0)).toBe(BigInt(end));
});
