/**
 * Maps since Go 1.24 (internal/runtime/maps): groups of eight slots with a byte of control for each. A small map is one group; a larger one has a directory of
 * tables, in which a table that was not split as often as others stands several times. Nothing is hashed.
 */
import { absent, type Absent, isAbsent } from '../../../format/absent.js';
import type { MemoryReader } from '../../../format/memory.js';
import { asArray, findMember, sizeOf, stripType } from '../layout.js';
import type { ObjectView } from '../object-view.js';
import {
  binary,
  choose,
  computeRecipe,
  constant,
  pointerAt,
  type Recipe,
} from '../../../format/recipe/recipe.js';
import { decodeInteger } from '../../../format/integer.js';
import type { Type } from '../type.js';
import type { Block, Entry, ViewContext, WalkedMapView } from '../view.js';
import { orZero } from './channel.js';
import { slotObject, type SlotPart, slotPart, valueIn } from './map-slot.js';
import { corrupt, readWords, type WordPlace, wordsOf } from './record.js';

const pointer = pointerAt(0);

interface Layout {
  readonly words: Readonly<Record<'used' | 'dirPtr' | 'dirLen' | 'writing', WordPlace>>;
  readonly table: Readonly<Record<'used' | 'capacity' | 'index', WordPlace>>;
  /** Of the table: where its groups are, and how many less one. */
  readonly groups: Readonly<Record<'data' | 'lengthMask', WordPlace>>;
  readonly group: GroupLayout;
}

interface GroupLayout {
  readonly groupBytes: number;
  readonly control: number;
  readonly slots: number;
  readonly slotBytes: number;
  readonly key: SlotPart;
  readonly value: SlotPart;
}

export function swissMapView(map: Type, key: () => Type, element: () => Type): WalkedMapView | undefined {
  const layout = layoutOf(map, key(), element());
  if (layout === undefined) return undefined;
  const { offset, size } = layout.words.used;
  return {
    kind: 'map',
    length: orZero({ op: 'load', address: binary(pointer, '+', constant(offset)), size }),
    key,
    value: element,
    blocks: () => groupBlocks(layout, sizeOf(map) ?? 0),
    walk: (object, context) => walk(layout, object, context),
    isNil: binary(pointer, '==', constant(0)),
  };
}

const maxGroupBytes = 4096;

/** For a plan: a small map's one group, or a larger one's first table with its groups. What lies in the first group is followed. */
function groupBlocks({ words, groups, group }: Layout, headBytes: number): Block[] {
  const { groupBytes, control, slots, slotBytes } = group;
  const at = (base: Recipe, { offset, size }: WordPlace): Recipe => ({
    op: 'load',
    address: binary(base, '+', constant(offset)),
    size,
  });
  const [used, length, directory] = [words.used, words.dirLen, words.dirPtr].map((place) =>
    at(pointer, place),
  );
  if (used === undefined || length === undefined || directory === undefined) return [];
  const isSmall = binary(length, '==', constant(0));
  const some = (recipe: Recipe): Recipe => orZero(choose(used, recipe, constant(0)));
  const table: Recipe = { op: 'load', address: directory, size: 8 };
  const first = choose(isSmall, directory, at(table, groups.data));
  const count = choose(isSmall, constant(1), binary(at(table, groups.lengthMask), '+', constant(1)));
  const objects = Array.from({ length: slots }, (_, i) => {
    const state: Recipe = { op: 'load', address: binary(first, '+', constant(control + i)), size: 1 };
    const exists = some(binary(state, '<', constant(notInUse)));
    return [group.key, group.value].flatMap((part) => slotObject(part, first, exists, i * slotBytes));
  }).flat();
  const large = (recipe: Recipe): Recipe => some(choose(isSmall, constant(0), recipe));
  const bytes = binary(count, '*', constant(groupBytes));
  const tableBytes = Math.max(groups.data.offset, groups.lengthMask.offset) + 8;
  return [
    { address: pointer, bytes: constant(headBytes), maxBytes: headBytes },
    { address: some(first), bytes, maxBytes: Math.max(maxGroupBytes, groupBytes), objects },
    { address: large(directory), bytes: binary(length, '*', constant(8)), maxBytes: 256 },
    { address: large(table), bytes: constant(tableBytes), maxBytes: tableBytes },
  ];
}

function layoutOf(map: Type, key: Type, element: Type): Layout | undefined {
  const words = wordsOf(map, 'used', 'dirPtr', 'dirLen', 'writing');
  const directory = findMember(map, 'dirPtr');
  const tableType = directory === undefined ? undefined : pointee(pointee(directory.type));
  if (words === undefined || tableType === undefined) return undefined;
  const table = wordsOf(tableType, 'used', 'capacity', 'index');
  const groups = findMember(tableType, 'groups');
  const data = groups === undefined ? undefined : findMember(groups.type, 'data');
  const groupType = data === undefined ? undefined : pointee(data.type);
  const inGroups = groups === undefined ? undefined : wordsOf(groups.type, 'data', 'lengthMask');
  if (table === undefined || groups === undefined || inGroups === undefined) return undefined;
  const group = groupType === undefined ? undefined : groupLayout(groupType, key, element);
  if (group === undefined) return undefined;
  const within = (place: WordPlace): WordPlace => ({ ...place, offset: place.offset + groups.byteOffset });
  return {
    words,
    table,
    groups: { data: within(inGroups.data), lengthMask: within(inGroups.lengthMask) },
    group,
  };
}

function pointee(type: Type | undefined): Type | undefined {
  const plain = type === undefined ? undefined : stripType(type);
  return plain?.kind === 'pointer' ? plain.target() : undefined;
}

function groupLayout(group: Type, key: Type, element: Type): GroupLayout | undefined {
  const groupBytes = sizeOf(group);
  const [control, slots] = [findMember(group, 'ctrl'), findMember(group, 'slots')];
  const array = slots === undefined ? undefined : asArray(slots.type);
  if (groupBytes === undefined || control === undefined || slots === undefined) return undefined;
  if (array?.count !== 8 || sizeOf(control.type) !== 8) return undefined;
  const slot = array.element();
  const [slotKey, slotValue] = [findMember(slot, 'key'), findMember(slot, 'elem')];
  const slotBytes = sizeOf(slot);
  if (slotKey === undefined || slotValue === undefined || slotBytes === undefined) return undefined;
  const first = slots.byteOffset;
  const keyPart = slotPart(slotKey.type, first + slotKey.byteOffset, key);
  const valuePart = slotPart(slotValue.type, first + slotValue.byteOffset, element);
  if (keyPart === undefined || valuePart === undefined) return undefined;
  const { byteOffset } = control;
  return {
    groupBytes,
    control: byteOffset,
    slots: array.count,
    slotBytes,
    key: keyPart,
    value: valuePart,
  };
}

/** A table has at most 1,024 slots: when it is full it is split in two. */
const maxTableSlots = 1n << 16n;
const maxTables = 1n << 24n;
/** Groups that one walk looks at: eight million slots. */
const maxGroups = 1 << 20;
/** Tables or groups that are missing one after another; after so many the rest is taken for missing too. */
const maxMissing = 16;

function* walk(layout: Layout, object: ObjectView, context: ViewContext): Generator<Entry | Absent> {
  const { memory } = context;
  const address = computeRecipe(pointer, object, memory);
  if (isAbsent(address)) return yield address;
  if (address === 0n) return;
  const map = readWords(layout.words, address, memory);
  if (isAbsent(map)) return yield map;
  const { used, dirPtr, dirLen, writing } = map;
  if (used === 0n) return;
  if (dirPtr === 0n || dirLen > maxTables || (dirLen & (dirLen - 1n)) !== 0n)
    return yield corrupt(`${used} entries in ${dirLen} tables at ${dirPtr}`, address);
  const entries =
    dirLen === 0n
      ? groupsAt(layout, { first: dirPtr, count: 1n }, { left: maxGroups, missing: 0 }, memory)
      : tablesAt(layout, dirPtr, dirLen, memory);
  let found = 0n;
  let isWhole = true;
  for (const entry of entries) {
    if (isAbsent(entry)) {
      yield entry;
      isWhole = false;
      continue;
    }
    if (found++ >= used) break;
    yield entry;
  }
  if (found === used || (found < used && !isWhole)) return;
  const how = found > used ? `more than ${used} entries` : `${found} entries where ${used} are said to be`;
  yield corrupt(`${how}${writing === 0n ? '' : ': it was being changed'}`, address);
}

interface Budget {
  left: number;
  missing: number;
}

function* tablesAt(
  layout: Layout,
  directory: bigint,
  count: bigint,
  memory: MemoryReader,
): Generator<Entry | Absent> {
  const budget: Budget = { left: maxGroups, missing: 0 };
  const seen = new Set<bigint>();
  let before = 0n;
  for (let i = 0n; i < count; i++) {
    const read = memory.read(BigInt.asUintN(64, directory + i * 8n), 8);
    const address = isAbsent(read) ? read : decodeInteger(read.bytes, false);
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
    yield* tableAt(layout, address, i, budget, memory);
    if (budget.left <= 0 || budget.missing >= maxMissing) return;
  }
}

function* tableAt(
  layout: Layout,
  address: bigint,
  place: bigint,
  budget: Budget,
  memory: MemoryReader,
): Generator<Entry | Absent> {
  const table = readWords({ ...layout.table, ...layout.groups }, address, memory);
  if (isAbsent(table)) {
    budget.missing++;
    return yield table;
  }
  const { capacity, used, index, data, lengthMask } = table;
  const slots = (lengthMask + 1n) * BigInt(layout.group.slots);
  if (slots > maxTableSlots || slots !== capacity || used > capacity || data === 0n)
    return yield corrupt(`a table with ${used} entries in ${capacity} of ${slots} slots`, address);
  if (index !== place) return yield corrupt(`table ${index} stands in the place of ${place}`, address);
  yield* groupsAt(layout, { first: data, count: lengthMask + 1n }, budget, memory);
}

/** The top bit of a slot's byte of control: it is empty, or its entry was deleted. */
const notInUse = 0x80;

function* groupsAt(
  { group }: Layout,
  { first, count }: { readonly first: bigint; readonly count: bigint },
  budget: Budget,
  memory: MemoryReader,
): Generator<Entry | Absent> {
  for (let i = 0n; i < count; i++) {
    const address = BigInt.asUintN(64, first + i * BigInt(group.groupBytes));
    if (--budget.left < 0) return yield absent('limit', `the map has more than ${maxGroups} groups`);
    const read = memory.read(address, group.groupBytes);
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
        key: valueIn(group.key, address, read.bytes, skip, memory),
        value: valueIn(group.value, address, read.bytes, skip, memory),
      };
    }
  }
}
