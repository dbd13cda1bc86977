/**
 * Go's maps as they were until Go 1.23 (runtime/map.go `hmap`, `bmap`): 2^B buckets of eight slots with chains of overflow buckets, and while a map grows those of
 * the old table that are not yet moved. A slot counts where its tophash says so, in whichever table: what was moved is marked there. Nothing is hashed.
 * Maps of later versions are in {@link ./go-swiss-map.ts}.
 */
import { absent, type Absent, isAbsent } from '../absent.js';
import type { MemoryReader } from '../memory.js';
import type { RecipeObject } from '../recipe/object.js';
import type { Recipe } from '../recipe/recipe.js';
import { corrupt, type Found, type FoundEntry, type WalkContext } from './found.js';
import { countedEntries, type GoSlotPart, readMap, slotPlace } from './go-slot.js';
import type { WordPlace } from './read.js';

export interface GoMapWalk {
  readonly kind: 'go-map';
  readonly map: Recipe;
  readonly words: Readonly<Record<'count' | 'flags' | 'B' | 'buckets' | 'oldbuckets', WordPlace>>;
  readonly bucket: GoBucket;
}

export interface GoBucket {
  readonly bytes: number;
  readonly slots: number;
  /** A byte a slot. */
  readonly tophash: number;
  /** Keys stand side by side, and so do values. */
  readonly key: GoSlotPart & { readonly stride: number };
  readonly value: GoSlotPart & { readonly stride: number };
  /** Eight bytes. */
  readonly overflow: number;
}

const flagWriting = 4;
const flagSameSizeGrow = 8;
/** Smaller ones mark slots that are empty or moved. */
export const minTopHash = 5;
/** Buckets that one walk looks at: eight million slots. */
const maxBuckets = 1 << 20;
/** Buckets that are missing one after another; after so many the rest is taken for missing too. */
const maxMissing = 16;
/** Beyond all memory that a process has. */
const maxBytes = 1n << 47n;

export function* walkGoMap(
  walk: GoMapWalk,
  object: RecipeObject,
  { memory }: WalkContext,
): Generator<Found | Absent> {
  const map = readMap(walk, object, memory);
  if (map === undefined) return;
  if (isAbsent(map)) return yield map;
  const { address } = map;
  const { count, flags, B, buckets, oldbuckets } = map.words;
  if (count === 0n) return;
  if (B > 48n || count > maxBytes || BigInt(walk.bucket.bytes) << B > maxBytes)
    return yield corrupt(`${count} entries in 2^${B} buckets`, address);
  if (buckets === 0n) return yield corrupt(`${count} entries and no buckets`, address);
  const tables = [{ first: buckets, size: 1n << B }];
  const half = (Number(flags) & flagSameSizeGrow) !== 0 || B === 0n ? B : B - 1n;
  if (oldbuckets !== 0n) tables.push({ first: oldbuckets, size: 1n << half });
  const isBeingChanged = (Number(flags) & flagWriting) !== 0;
  yield* countedEntries(slotsOf(walk.bucket, tables, memory), count, { address, isBeingChanged });
}

interface Table {
  readonly first: bigint;
  readonly size: bigint;
}

function* slotsOf(
  layout: GoBucket,
  tables: readonly Table[],
  memory: MemoryReader,
): Generator<FoundEntry | Absent> {
  const stride = BigInt(layout.bytes);
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
        const read = memory.read(BigInt.asUintN(64, bucket), layout.bytes);
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
  { slots, tophash, key, value }: GoBucket,
  address: bigint,
  bytes: Uint8Array,
  memory: MemoryReader,
): Generator<FoundEntry> {
  for (let i = 0; i < slots; i++) {
    if ((bytes[tophash + i] ?? 0) < minTopHash) continue;
    yield {
      key: slotPlace(key, { address, bytes }, i * key.stride, memory),
      value: slotPlace(value, { address, bytes }, i * value.stride, memory),
    };
  }
}

function nextOf({ overflow }: GoBucket, bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(overflow, true);
}
