import { absent } from '../../format/absent.js';
import type { MemoryReader } from '../../format/memory.js';

/** Memory that is everywhere below 2^40 and holds small numbers that depend on the address: pointers in it lead somewhere. */
export const patternMemory: MemoryReader = {
  read(address, length) {
    if (address + BigInt(length) > 1n << 40n || length > 1 << 20)
      return absent('not-captured', 'it is nowhere', { address, length });
    const start = Number(address & 0xffn);
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) if (((start + i) & 7) < 3) bytes[i] = ((start + i) * 7) & 0xff;
    return { bytes, provenance: 'stopped' };
  },
};
