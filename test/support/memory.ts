import { absent } from '../../format/absent.js';
import type { MemoryReader, Provenance } from '../../format/memory.js';

/** Memory that consists of a few ranges. */
export function memoryOf(
  ranges: readonly { readonly address: bigint; readonly bytes: Uint8Array }[],
  provenance: Provenance = 'stopped',
): MemoryReader {
  return {
    read(address, length) {
      for (const range of ranges) {
        const end = range.address + BigInt(range.bytes.length);
        if (address < range.address || address >= end) continue;
        const start = Number(address - range.address);
        if (start + length <= range.bytes.length) {
          return { bytes: range.bytes.subarray(start, start + length), provenance };
        }
        return missing(end, length - (range.bytes.length - start));
      }
      return missing(address, length);
    },
  };
}

function missing(address: bigint, length: number): ReturnType<typeof absent> {
  return absent('not-captured', `no memory at 0x${address.toString(16)}`, { address, length });
}
