/**
 * Rust's `HashMap` and `HashSet`: hashbrown's table. `ctrl` points to a byte for each bucket, whose top bit is clear where the bucket is in use; the buckets
 * themselves lie before it, the first one next to it, downwards.
 */
import { type Absent, absent, isAbsent } from '../absent.js';
import type { MemoryReader } from '../memory.js';
import type { RecipeObject } from '../recipe/object.js';
import type { Recipe } from '../recipe/recipe.js';
import { type Found, foundIn, type Holds, type WalkContext } from './found.js';
import { computeAll } from './read.js';

export interface HashTableWalk {
  readonly kind: 'hash-table';
  readonly ctrl: Recipe;
  readonly bucketMask: Recipe;
  readonly items: Recipe;
  readonly growthLeft: Recipe;
  /** Bytes of a bucket; it may have none. */
  readonly stride: number;
  /** In a bucket. */
  readonly holds: Holds;
  /** Bytes of control that the library may look at in one step. */
  readonly groupWidths: readonly number[];
}

/** Control bytes that are looked at; a table of the library's with more has over eight million elements. */
const maxBuckets = 1n << 24n;
const chunkBytes = 64 * 1024;

export function* walkHashTable(
  walk: HashTableWalk,
  object: RecipeObject,
  { memory }: WalkContext,
): Generator<Found | Absent> {
  const numbers = computeAll([walk.ctrl, walk.bucketMask, walk.items, walk.growthLeft], object, memory);
  if (isAbsent(numbers)) return yield numbers;
  const [ctrl = 0n, mask = 0n, items = 0n, growthLeft = 0n] = numbers;
  if (items === 0n) return;
  const buckets = mask + 1n;
  if ((buckets & mask) !== 0n || items > buckets)
    return yield corrupt(`${items} elements in ${buckets} buckets`);
  if (buckets > maxBuckets)
    return yield absent('limit', `a table of ${buckets} buckets: no more than ${maxBuckets} are looked at`);
  const control = readControl(ctrl, Number(buckets), memory, walk.groupWidths);
  if (isAbsent(control)) return yield control;
  const { used, deleted } = control;
  if (BigInt(used.length) !== items)
    return yield corrupt(`it says ${items} elements, and ${used.length} of its buckets are in use`);
  // What is in use, was deleted or is left makes up the capacity, which leaves one of eight buckets empty.
  const capacity = mask < 8n ? mask : (buckets / 8n) * 7n;
  if (items + BigInt(deleted) + growthLeft !== capacity)
    return yield corrupt(`${items} elements with room for ${growthLeft} more in ${buckets} buckets`);
  for (const index of used) yield foundIn(walk.holds, ctrl - BigInt(index + 1) * BigInt(walk.stride));
}

const corrupt = (why: string): Absent => absent('unreadable', `the table is corrupt: ${why}`);

const EMPTY = 0xff;
const DELETED = 0x80;

interface Control {
  /** Indexes of the buckets in use. */
  readonly used: readonly number[];
  readonly deleted: number;
}

/** All control bytes: looked at before the first element is shown, so that none of a corrupt table is. */
function readControl(
  ctrl: bigint,
  buckets: number,
  memory: MemoryReader,
  widths: readonly number[],
): Control | Absent {
  if (!widths.some((width) => isLaidOut(ctrl, buckets, memory, width)))
    return corrupt(`no control bytes with their copy behind them are at 0x${ctrl.toString(16)}`);
  const used: number[] = [];
  let deleted = 0;
  for (let start = 0; start < buckets; start += chunkBytes) {
    const size = Math.min(chunkBytes, buckets - start);
    const read = memory.read(BigInt.asUintN(64, ctrl + BigInt(start)), size);
    if (isAbsent(read)) return read;
    for (const [i, byte] of read.bytes.entries()) {
      if (byte < DELETED) used.push(start + i);
      else if (byte === DELETED) deleted++;
      else if (byte !== EMPTY) return corrupt(`the control byte ${byte} of bucket ${start + i}`);
    }
  }
  return { used, deleted };
}

/**
 * Whether control bytes lie as for steps of this width: aligned to it, and the first of them once more behind the last, for a step across the end. A pointer that leads
 * astray seldom leads to that. Bytes that were not captured prove nothing.
 */
function isLaidOut(ctrl: bigint, buckets: number, memory: MemoryReader, width: number): boolean {
  if (ctrl % BigInt(width) !== 0n) return false;
  const first = memory.read(ctrl, Math.min(buckets, width));
  const behind = memory.read(BigInt.asUintN(64, ctrl + BigInt(buckets)), width);
  if (isAbsent(first) || isAbsent(behind)) return true;
  // Of fewer buckets than a step has, the copy comes a step behind the beginning, and the places between are empty.
  const copy = Math.max(0, width - buckets);
  return behind.bytes.every((byte, i) => {
    if (i < copy) return byte === EMPTY;
    return i - copy >= first.bytes.length || byte === first.bytes[i - copy];
  });
}
