/** Structs of Go's runtime as its debug information lays them out: integers and pointers by the names that the runtime gives them. */
import type { WordPlace } from '../../../format/walk/read.js';
import { findMember, isInteger, isPointer, sizeOf } from '../layout.js';
import type { Type } from '../type.js';

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
