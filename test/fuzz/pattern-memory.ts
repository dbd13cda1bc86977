import { absent } from '../../format/absent.js';
import type { MemoryReader } from '../../format/memory.js';

/** Memory that is everywhere below 2^40 and holds small numbers that depend on the address: pointers in it lead somewhere. */
export const patternMemory: MemoryReader = {
  read(address, length) {
    if (address + BigInt(length) > 1n << 40n || length > 1 << 20)
      return absent('not-captured', 'it is nowhere', { address, length });
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = Number((address + BigInt(i)) & 7n) < 3 ? (i * 7) & 0xff : 0;
    return { bytes, provenance: 'stopped' };
  },
};
