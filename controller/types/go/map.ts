/**
 * Maps as they were until Go 1.23 (runtime/map.go `hmap`, `bmap`): 2^B buckets of eight slots with chains of overflow buckets, and while a map grows those of
 * the old table that are not yet moved. A slot counts where its tophash says so, in whichever table: what was moved is marked there. Nothing is hashed.
 * Maps of later versions are in {@link ./swiss-map.ts}.
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
import type { GoFacts, Type } from '../type.js';
import type { Block, Entry, ViewContext, WalkedMapView } from '../view.js';
import { orZero } from './channel.js';
import { slotObject, type SlotPart, slotPart, valueIn } from './map-slot.js';
import { corrupt, maxBytes, readWords, type WordPlace, wordsOf } from './record.js';
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
  readonly overflow: WordPlace;
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
    walk: (object, context) => walk(layout, object, context),
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
    overflow,
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

const flagWriting = 4;
const flagSameSizeGrow = 8;
/** Smaller ones mark slots that are empty or moved. */
const minTopHash = 5;
/** Buckets that one walk looks at: eight million slots. */
const maxBuckets = 1 << 20;
/** Buckets that are missing one after another; after so many the rest is taken for missing too. */
const maxMissing = 16;

function* walk(layout: Layout, object: ObjectView, context: ViewContext): Generator<Entry | Absent> {
  const { memory } = context;
  const address = computeRecipe(pointer, object, memory);
  if (isAbsent(address)) return yield address;
  if (address === 0n) return;
  const map = readWords(layout.words, address, memory);
  if (isAbsent(map)) return yield map;
  const { count, flags, B, buckets, oldbuckets } = map;
  if (count === 0n) return;
  if (B > 48n || count > maxBytes || BigInt(layout.bucketBytes) << B > maxBytes)
    return yield corrupt(`${count} entries in 2^${B} buckets`, address);
  if (buckets === 0n) return yield corrupt(`${count} entries and no buckets`, address);
  const tables = [{ first: buckets, size: 1n << B }];
  const half = (Number(flags) & flagSameSizeGrow) !== 0 || B === 0n ? B : B - 1n;
  if (oldbuckets !== 0n) tables.push({ first: oldbuckets, size: 1n << half });
  let found = 0n;
  let isWhole = true;
  for (const slot of slotsOf(layout, tables, memory)) {
    if (isAbsent(slot)) {
      yield slot;
      isWhole = false;
      continue;
    }
    if (found++ >= count) break;
    yield slot;
  }
  if (found === count || (found < count && !isWhole)) return;
  const how = found > count ? `more than ${count} entries` : `${found} entries where ${count} are said to be`;
  const why = (Number(flags) & flagWriting) !== 0 ? ': it was being changed' : '';
  yield corrupt(`${how}${why}`, address);
}

interface Table {
  readonly first: bigint;
  readonly size: bigint;
}

function* slotsOf(layout: Layout, tables: readonly Table[], memory: MemoryReader): Generator<Entry | Absent> {
  const stride = BigInt(layout.bucketBytes);
  const isBase = (address: bigint): boolean =>
    tables.some(({ first, size }) => address >= first && address < first + size * stride);
  const chained = new Set<bigint>();
  let looked = 0;
  let missing = 0;
  for (const { first, size } of tables) {
    for (let i = 0n; i < size; i++) {
      for (let bucket = first + i * stride; bucket !== 0n;) {
        if (++looked > maxBuckets)
          return yield absent('limit', `the map has more than ${maxBuckets} buckets`);
        const read = memory.read(BigInt.asUintN(64, bucket), layout.bucketBytes);
        if (isAbsent(read)) {
          yield read;
          if (++missing >= maxMissing) return;
          break;
        }
        missing = 0;
        yield* entriesIn(layout, bucket, read.bytes, memory);
        bucket = nextOf(layout, read.bytes);
        if (bucket === 0n) break;
        if (isBase(bucket) || chained.has(bucket))
          return yield corrupt('its buckets lead in a circle', bucket);
        chained.add(bucket);
      }
    }
  }
}

function* entriesIn(
  layout: Layout,
  bucket: bigint,
  bytes: Uint8Array,
  memory: MemoryReader,
): Generator<Entry> {
  for (let i = 0; i < layout.slots; i++) {
    if ((bytes[layout.tophash + i] ?? 0) < minTopHash) continue;
    yield {
      key: valueIn(layout.keys, bucket, bytes, i * layout.keys.stride, memory),
      value: valueIn(layout.values, bucket, bytes, i * layout.values.stride, memory),
    };
  }
}

function nextOf({ overflow }: Layout, bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(overflow.offset, true);
}
