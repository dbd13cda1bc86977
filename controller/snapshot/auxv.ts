/** The auxiliary vector that the kernel gave the process (NT_AUXV; getauxval(3)). */
import { ByteCursor } from '../../format/bytes.js';

export const AT_PHDR = 3n;
export const AT_ENTRY = 9n;
export const AT_SYSINFO_EHDR = 33n;

export function parseAuxv(bytes: Uint8Array): ReadonlyMap<bigint, bigint> {
  const values = new Map<bigint, bigint>();
  const cursor = new ByteCursor(bytes, 'NT_AUXV');
  while (cursor.remaining >= 16) {
    const type = cursor.u64();
    const value = cursor.u64();
    if (type === 0n) break;
    values.set(type, value);
  }
  return values;
}
