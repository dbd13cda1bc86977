/**
 * Go's maps since Go 1.24 (internal/runtime/maps): groups of eight slots with a byte of control for each. A small map is one group; a larger one has a directory of
 * tables, in which a table that was not split as often as others stands several times. Nothing is hashed.
 */
import { absent, type Absent, isAbsent } from '../absent.js';
import type { MemoryReader } from '../memory.js';
import type { RecipeObject } from '../recipe/object.js';
import type { Recipe } from '../recipe/recipe.js';
import { corrupt, type Found, type FoundEntry, type WalkContext } from './found.js';
import { countedEntries, type GoSlotPart, readMap, slotPlace } from './go-slot.js';
import { readWord, readWords, type WordPlace } from './read.js';

export interface GoSwissMapWalk {
  readonly kind: 'go-swiss-map';
  readonly map: Recipe;
  readonly words: Readonly<Record<'used' | 'dirPtr' | 'dirLen' | 'writing', WordPlace>>;
  /** Of a table: what it says of itself, where its groups are (`data`), and how many less one. */
  readonly table: Readonly<Record<'used' | 'capacity' | 'index' | 'data' | 'lengthMask', WordPlace>>;
  readonly group: GoGroup;
}

export interface GoGroup {
  readonly bytes: number;
  /** A byte a slot. */
  readonly control: number;
  readonly slots: number;
  readonly slotBytes: number;
  readonly key: GoSlotPart;
  readonly value: GoSlotPart;
}

/** A table has at most 1,024 slots: when it is full it is split in two. */
const maxTableSlots = 1n << 16n;
const maxTables = 1n << 24n;
/** Groups that one walk looks at: eight million slots. */
const maxGroups = 1 << 20;
/** Tables or groups that are missing one after another; after so many the rest is taken for missing too. */
const maxMissing = 16;

export function* walkGoSwissMap(
  walk: GoSwissMapWalk,
  object: RecipeObject,
  { memory }: WalkContext,
): Generator<Found | Absent> {
  const map = readMap(walk, object, memory);
  if (map === undefined) return;
  if (isAbsent(map)) return yield map;
  const { address } = map;
  const { used, dirPtr, dirLen, writing } = map.words;
  if (used === 0n) return;
  if (dirPtr === 0n || dirLen > maxTables || (dirLen & (dirLen - 1n)) !== 0n)
    return yield corrupt(`${used} entries in ${dirLen} tables at ${dirPtr}`, address);
  const entries =
    dirLen === 0n
      ? groupsAt(walk.group, { first: dirPtr, count: 1n }, { left: maxGroups, missing: 0 }, memory)
      : tablesAt(walk, dirPtr, dirLen, memory);
  yield* countedEntries(entries, used, { address, isBeingChanged: writing !== 0n });
}

interface Budget {
  left: number;
  missing: number;
}

function* tablesAt(
  walk: GoSwissMapWalk,
  directory: bigint,
  count: bigint,
  memory: MemoryReader,
): Generator<FoundEntry | Absent> {
  const budget: Budget = { left: maxGroups, missing: 0 };
  const seen = new Set<bigint>();
  let before = 0n;
  for (let i = 0n; i < count; i++) {
    const address = readWord(memory, directory + i * 8n);
    if (isAbsent(address)) {
      yield address;
      if (++budget.missing >= maxMissing) return;
      continue;
    }
    // A table that was split less often than others stands several times, side by side.
    if (address === before) continue;
    before = address;
    if (seen.has(address)) return yield corrupt('a table stands in two places', address);
    seen.add(address);
    yield* tableAt(walk, address, i, budget, memory);
    if (budget.left <= 0 || budget.missing >= maxMissing) return;
  }
}

function* tableAt(
  walk: GoSwissMapWalk,
  address: bigint,
  place: bigint,
  budget: Budget,
  memory: MemoryReader,
): Generator<FoundEntry | Absent> {
  const table = readWords(walk.table, address, memory);
  if (isAbsent(table)) {
    budget.missing++;
    return yield table;
  }
  const { capacity, used, index, data, lengthMask } = table;
  const slots = (lengthMask + 1n) * BigInt(walk.group.slots);
  if (slots > maxTableSlots || slots !== capacity || used > capacity || data === 0n)
    return yield corrupt(`a table with ${used} entries in ${capacity} of ${slots} slots`, address);
  if (index !== place) return yield corrupt(`table ${index} stands in the place of ${place}`, address);
  yield* groupsAt(walk.group, { first: data, count: lengthMask + 1n }, budget, memory);
}

/** The top bit of a slot's byte of control: it is empty, or its entry was deleted. */
export const notInUse = 0x80;

function* groupsAt(
  group: GoGroup,
  { first, count }: { readonly first: bigint; readonly count: bigint },
  budget: Budget,
  memory: MemoryReader,
): Generator<FoundEntry | Absent> {
  for (let i = 0n; i < count; i++) {
    const address = BigInt.asUintN(64, first + i * BigInt(group.bytes));
    if (--budget.left < 0) return yield absent('limit', `the map has more than ${maxGroups} groups`);
    const read = memory.read(address, group.bytes);
    if (isAbsent(read)) {
      yield read;
      if (++budget.missing >= maxMissing) return;
      continue;
    }
    budget.missing = 0;
    for (let slot = 0; slot < group.slots; slot++) {
      if (((read.bytes[group.control + slot] ?? notInUse) & notInUse) !== 0) continue;
      const skip = slot * group.slotBytes;
      yield {
        key: slotPlace(group.key, { address, bytes: read.bytes }, skip, memory),
        value: slotPlace(group.value, { address, bytes: read.bytes }, skip, memory),
      };
    }
  }
}
