/**
 * Memory of a thread that runs again: what a list of calls read of it while it stood still, in the order in which that was read. Who does the same reads again gets the same bytes.
 * What was not read is not there, whatever the process's memory has by now.
 */
import { absent, type Absent } from '../../../format/absent.js';
import { hex } from '../../../format/address.js';
import type { MemoryBytes, MemoryReader } from '../../../format/memory.js';
import type { CallBatch } from '../../linux/call-batch.js';
import type { KeptRead, KeptReads } from './condition-records.js';

interface TakenRead {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  readonly isString: boolean;
}

export class TakenMemory implements MemoryReader {
  readonly #reads: readonly TakenRead[];
  /** Reads before it have been done again. */
  #next = 0;
  /** How much of the string that is next has been looked at. */
  #done = 0;

  constructor(reads: readonly TakenRead[]) {
    this.#reads = reads;
  }

  read(address: bigint, length: number): MemoryBytes | Absent {
    for (let at = this.#next; at < this.#reads.length; at++) {
      const read = this.#reads[at];
      const done = at === this.#next ? this.#done : 0;
      if (read === undefined || address !== read.address + BigInt(done)) continue;
      if (length > read.bytes.length - done) continue;
      this.#next = read.isString ? at : at + 1;
      this.#done = read.isString ? done + length : 0;
      return { bytes: read.bytes.subarray(done, done + length), provenance: 'at-hit' };
    }
    const detail = `memory at ${hex(address)} was not read while the thread stood still`;
    return absent('not-captured', detail, { address, length });
  }
}

/** Copies what was read in the last stop. */
export function takeReads(batch: CallBatch, { stop, list }: KeptReads): TakenRead[] {
  const number = batch.read(stop);
  return list.flatMap((read): TakenRead[] => {
    if (batch.read(read.made) !== number) return [];
    const length = Number(batch.read(read.remote + 8n));
    const address = BigInt.asUintN(64, batch.read(read.remote));
    return [{ address, bytes: Uint8Array.from(bytesOf(batch, read, length)), isString: read.isString }];
  });
}

function bytesOf(batch: CallBatch, { at }: KeptRead, length: number): Uint8Array {
  if ('bytes' in at) return at.bytes.subarray(0, length);
  const { buffer, byteOffset } = batch.ints(at.word, 1);
  return new Uint8Array(buffer, byteOffset, length);
}
