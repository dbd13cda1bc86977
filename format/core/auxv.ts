/** NT_AUXV: what the kernel told the program at its start (getauxval(3)). */
import { ByteCursor } from '../bytes.js';

export const AT = {
  AT_NULL: 0,
  AT_PHDR: 3,
  AT_PHENT: 4,
  AT_PHNUM: 5,
  AT_BASE: 7,
  AT_ENTRY: 9,
  AT_EXECFN: 31,
  AT_SYSINFO_EHDR: 33,
} as const;

/** Key to value; the first of each key counts. */
export function parseAuxv(bytes: Uint8Array, name: string): ReadonlyMap<number, bigint> {
  const cursor = new ByteCursor(bytes, `NT_AUXV of "${name}"`);
  const values = new Map<number, bigint>();
  while (cursor.remaining >= 16) {
    const key = cursor.size64();
    const value = cursor.u64();
    if (key === AT.AT_NULL) break;
    if (!values.has(key)) values.set(key, value);
  }
  return values;
}
