/** A core's memory with some bytes changed. */
import { isAbsent } from '../../format/absent.js';
import type { MemoryReader } from '../../format/memory.js';

/** Bytes at some addresses are others than the core's. */
export function withBytes(memory: MemoryReader, changed: ReadonlyMap<bigint, number>): MemoryReader {
  return {
    read(address, length) {
      const read = memory.read(address, length);
      if (isAbsent(read)) return read;
      const bytes = Uint8Array.from(read.bytes);
      for (let i = 0; i < length; i++) {
        const other = changed.get(address + BigInt(i));
        if (other !== undefined) bytes[i] = other;
      }
      return { ...read, bytes };
    },
  };
}

export function withWord(memory: MemoryReader, address: bigint, value: bigint): MemoryReader {
  const bytes = Array.from({ length: 8 }, (_, i): [bigint, number] => [
    address + BigInt(i),
    Number((value >> BigInt(i * 8)) & 0xffn),
  ]);
  return withBytes(memory, new Map(bytes));
}

export function wordAt(memory: MemoryReader, address: bigint): bigint {
  const read = memory.read(address, 8);
  if (isAbsent(read)) throw new Error(read.detail);
  return Buffer.from(read.bytes).readBigUInt64LE();
}
