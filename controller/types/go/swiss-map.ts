/** Maps since Go 1.24 (internal/runtime/maps), as `format/walk/go-swiss-map.ts` walks them. */
import { binary, choose, constant, pointerAt, type Recipe } from '../../../format/recipe/recipe.js';
import { type GoSwissMapWalk, notInUse } from '../../../format/walk/go-swiss-map.js';
import type { WordPlace } from '../../../format/walk/read.js';
import { asArray, findMember, sizeOf, stripType } from '../layout.js';
import type { Type } from '../type.js';
import type { Block, WalkedMapView } from '../view.js';
import { orZero } from './channel.js';
import { placeOf, slotObject, type SlotPart, slotPart } from './map-slot.js';
import { wordsOf } from './record.js';

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
    walk: walkOf(layout),
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

function walkOf({ words, table, groups, group }: Layout): GoSwissMapWalk {
  const { groupBytes: bytes, control, slots, slotBytes } = group;
  const [key, value] = [placeOf(group.key), placeOf(group.value)];
  return {
    kind: 'go-swiss-map',
    map: pointer,
    words,
    table: { ...table, ...groups },
    group: { bytes, control, slots, slotBytes, key, value },
  };
}
