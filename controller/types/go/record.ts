/** Structs of Go's runtime as its debug information lays them out: integers and pointers by the names that the runtime gives them. */
import { absent, type Absent, isAbsent } from '../../../format/absent.js';
import type { MemoryReader } from '../../../format/memory.js';
import { findMember, isInteger, isPointer, sizeOf } from '../layout.js';
import { decodeInteger } from '../../../format/integer.js';
import type { Type } from '../type.js';

export interface WordPlace {
  readonly offset: number;
  readonly size: 1 | 2 | 4 | 8;
}

/** Where an integer or a pointer of a struct lies; undefined where it has none of that name. */
export function wordOf(type: Type, name: string): WordPlace | undefined {
  const found = findMember(type, name);
  if (found === undefined || found.bits !== undefined) return undefined;
  if (!isInteger(found.type) && !isPointer(found.type)) return undefined;
  const size = sizeOf(found.type);
  if (size !== 1 && size !== 2 && size !== 4 && size !== 8) return undefined;
  return { offset: found.byteOffset, size };
}

/** All of them by name; undefined where one is missing: then the layout is not the one that is known. */
export function wordsOf<N extends string>(
  type: Type,
  ...names: readonly N[]
): Readonly<Record<N, WordPlace>> | undefined {
  const places: Partial<Record<N, WordPlace>> = {};
  for (const name of names) {
    const place = wordOf(type, name);
    if (place === undefined) return undefined;
    places[name] = place;
  }
  return places as Record<N, WordPlace>;
}

/** The values of those words of a struct at an address, without signs. */
export function readWords<N extends string>(
  places: Readonly<Record<N, WordPlace>>,
  address: bigint,
  memory: MemoryReader,
): Readonly<Record<N, bigint>> | Absent {
  const entries = Object.entries(places) as [N, WordPlace][];
  const end = Math.max(...entries.map(([, { offset, size }]) => offset + size));
  const whole = memory.read(address, end);
  if (isAbsent(whole)) return whole;
  const values = entries.map(([name, { offset, size }]) => [
    name,
    decodeInteger(whole.bytes.subarray(offset, offset + size), false),
  ]);
  return Object.fromEntries(values) as Record<N, bigint>;
}

/** Beyond all memory that a process has. */
export const maxBytes: bigint = 1n << 47n;

export function corrupt(detail: string, address: bigint): Absent {
  return absent('unreadable', `corrupt: ${detail}`, { address });
}
