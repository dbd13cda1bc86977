/** Keys and values in the slots of Go's maps, in place or behind a pointer where they are large; and what both kinds of map check alike. */
import { type Absent, isAbsent } from '../absent.js';
import { decodeInteger } from '../integer.js';
import type { MemoryReader } from '../memory.js';
import type { RecipeObject } from '../recipe/object.js';
import { computeRecipe, type Recipe } from '../recipe/recipe.js';
import { corrupt, type Found, type FoundEntry, further } from './found.js';
import { readWords, type WordPlace } from './read.js';

export interface GoSlotPart {
  /** Within the bucket or group, of the first slot. */
  readonly offset: number;
  /** A pointer to it stands in the slot. */
  readonly isIndirect: boolean;
}

/** The struct of the runtime that a variable of a map points to; undefined of a nil map. */
export function readMap<N extends string>(
  walk: { readonly map: Recipe; readonly words: Readonly<Record<N, WordPlace>> },
  object: RecipeObject,
  memory: MemoryReader,
): { readonly address: bigint; readonly words: Readonly<Record<N, bigint>> } | Absent | undefined {
  const address = computeRecipe(walk.map, object, memory);
  if (isAbsent(address)) return address;
  if (address === 0n) return undefined;
  const words = readWords(walk.words, address, memory);
  return isAbsent(words) ? words : { address, words };
}

/** The bytes of a bucket or a group. */
export interface GoSlots {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** `skip`: how far the slot's own part is from that of the first. */
export function slotPlace(
  part: GoSlotPart,
  { address: base, bytes }: GoSlots,
  skip: number,
  memory: MemoryReader,
): bigint | Absent {
  const offset = part.offset + skip;
  const address = further(base, offset);
  return part.isIndirect ? behind(address, bytes.subarray(offset, offset + 8), memory) : address;
}

function behind(address: bigint, bytes: Uint8Array, memory: MemoryReader): bigint | Absent {
  const pointer = decodeInteger(bytes, false);
  if (pointer === 0n) return corrupt('a slot in use leads nowhere', address);
  const first = memory.read(pointer, 1);
  return isAbsent(first) ? first : pointer;
}

/** As many entries as a map says that it has; absent where there are others. Missing memory is passed over: what is not there was not counted. */
export function* countedEntries(
  entries: Iterable<FoundEntry | Absent>,
  count: bigint,
  map: { readonly address: bigint; readonly isBeingChanged: boolean },
): Generator<Found | Absent> {
  let found = 0n;
  let isWhole = true;
  for (const entry of entries) {
    if (isAbsent(entry)) {
      yield entry;
      isWhole = false;
      continue;
    }
    if (found++ >= count) break;
    yield entry;
  }
  if (found === count || (found < count && !isWhole)) return;
  const how = found > count ? `more than ${count} entries` : `${found} entries where ${count} are said to be`;
  yield corrupt(`${how}${map.isBeingChanged ? ': it was being changed' : ''}`, map.address);
}
