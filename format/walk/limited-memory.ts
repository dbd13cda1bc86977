/** Memory that answers only so often. A walk over it ends soon after, for it goes on only by what it reads. */
import { absent } from '../absent.js';
import type { MemoryReader } from '../memory.js';

export function limitedMemory(
  memory: MemoryReader,
  { maxReads, maxBytes }: { readonly maxReads: number; readonly maxBytes: number },
): MemoryReader {
  let [reads, bytes] = [0, 0];
  return {
    read(address, length) {
      reads++;
      bytes += length;
      if (reads > maxReads) return absent('limit', `that takes more than ${maxReads} reads of memory`);
      if (bytes > maxBytes) return absent('limit', `that takes more than ${maxBytes} bytes of memory`);
      return memory.read(address, length);
    },
  };
}
