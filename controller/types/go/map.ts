/** Maps as they were until Go 1.23, as `format/walk/go-map.ts` walks them. Maps of later versions are in {@link ./swiss-map.ts}. */
import { binary, choose, constant, pointerAt, type Recipe } from '../../../format/recipe/recipe.js';
import { type GoMapWalk, minTopHash } from '../../../format/walk/go-map.js';
import type { WordPlace } from '../../../format/walk/read.js';
import { asArray, findMember, sizeOf, stripType } from '../layout.js';
import type { GoFacts, Type } from '../type.js';
import type { Block, WalkedMapView } from '../view.js';
import { orZero } from './channel.js';
import { placeOf, slotObject, type SlotPart, slotPart } from './map-slot.js';
import { wordsOf } from './record.js';
import { swissMapView } from './swiss-map.js';

const pointer = pointerAt(0);

export function mapView(type: Type, { key, element }: GoFacts): WalkedMapView | undefined {
  const plain = stripType(type);
  if (plain.kind !== 'pointer' || key === undefined || element === undefined) return undefined;
  const table = plain.target();
  return classicMapView(table, key, element) ?? swissMapView(table, key, element);
}

interface Layout {
  readonly words: Readonly<Record<'count' | 'flags' | 'B' | 'buckets' | 'oldbuckets', WordPlace>>;
  readonly bucketBytes: number;
  readonly slots: number;
  readonly tophash: number;
  readonly keys: SlotPart;
  readonly values: SlotPart;
  readonly overflow: number;
}

function classicMapView(table: Type, key: () => Type, element: () => Type): WalkedMapView | undefined {
  const words = wordsOf(table, 'count', 'flags', 'B', 'buckets', 'oldbuckets');
  const buckets = findMember(table, 'buckets');
  const target = buckets === undefined ? undefined : stripType(buckets.type);
  if (words === undefined || target?.kind !== 'pointer') return undefined;
  const bucket = bucketLayout(target.target(), key(), element());
  if (bucket === undefined) return undefined;
  const layout: Layout = { words, ...bucket };
  const { offset, size } = words.count;
  const count = binary(pointer, '+', constant(offset));
  return {
    kind: 'map',
    length: orZero({ op: 'load', address: count, size }),
    key,
    value: element,
    blocks: () => bucketBlocks(layout, sizeOf(table) ?? 0),
    walk: walkOf(layout),
    isNil: binary(pointer, '==', constant(0)),
  };
}

function bucketLayout(bucket: Type, key: Type, element: Type): Omit<Layout, 'words'> | undefined {
  const bucketBytes = sizeOf(bucket);
  const [tophash, keys, values] = ['tophash', 'keys', 'values'].map((name) => findMember(bucket, name));
  const overflow = wordsOf(bucket, 'overflow')?.overflow;
  const slots = tophash === undefined ? undefined : asArray(tophash.type);
  if (bucketBytes === undefined || keys === undefined || values === undefined) return undefined;
  if (tophash === undefined || overflow === undefined || slots?.count !== 8) return undefined;
  if (sizeOf(slots.element()) !== 1) return undefined;
  const [keyArray, valueArray] = [asArray(keys.type), asArray(values.type)];
  if (keyArray?.count !== slots.count || valueArray?.count !== slots.count) return undefined;
  const keyPart = slotPart(keyArray.element(), keys.byteOffset, key);
  const valuePart = slotPart(valueArray.element(), values.byteOffset, element);
  if (keyPart === undefined || valuePart === undefined) return undefined;
  return {
    bucketBytes,
    slots: slots.count,
    tophash: tophash.byteOffset,
    keys: keyPart,
    values: valuePart,
    overflow: overflow.offset,
  };
}

const maxTableBytes = 4096;

/** For a plan: the table's head and its buckets; keys and values of the first bucket are followed. */
function bucketBlocks(
  { words, bucketBytes, slots, tophash, keys, values }: Layout,
  headBytes: number,
): Block[] {
  const word = ({ offset, size }: WordPlace): Recipe => ({
    op: 'load',
    address: binary(pointer, '+', constant(offset)),
    size,
  });
  const first = word(words.buckets);
  const some = (recipe: Recipe): Recipe => orZero(choose(word(words.count), recipe, constant(0)));
  const objects = Array.from({ length: slots }, (_, i) => {
    const mark: Recipe = { op: 'load', address: binary(first, '+', constant(tophash + i)), size: 1 };
    const exists = some(binary(constant(minTopHash - 1), '<', mark));
    return [keys, values].flatMap((part) => slotObject(part, first, exists, i * part.stride));
  }).flat();
  const bytes = binary(constant(bucketBytes), '<<', word(words.B));
  return [
    { address: pointer, bytes: constant(headBytes), maxBytes: headBytes },
    { address: some(first), bytes, maxBytes: Math.max(maxTableBytes, bucketBytes), objects },
  ];
}

function walkOf({ words, bucketBytes: bytes, slots, tophash, keys, values, overflow }: Layout): GoMapWalk {
  const key = { ...placeOf(keys), stride: keys.stride };
  const value = { ...placeOf(values), stride: values.stride };
  const bucket = { bytes, slots, tophash, overflow, key, value };
  return { kind: 'go-map', map: pointer, words, bucket };
}
