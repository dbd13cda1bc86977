/**
 * `HashMap` and `HashSet`: hashbrown's table. `ctrl` points to a byte for each bucket, whose top bit is clear where the bucket is in use; the buckets themselves
 * lie before it, the first one next to it, downwards.
 */
import { type Absent, absent, isAbsent } from '../../../format/absent.js';
import { sizeOf, stripType } from '../layout.js';
import type { MemoryReader } from '../../../format/memory.js';
import type { ObjectView } from '../object-view.js';
import { least } from '../blocks.js';
import { binary, choose, computeRecipe, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { CompositeType, Type } from '../type.js';
import type { Value } from '../value.js';
import type { Block, Entry, ViewContext, WalkedMapView, WalkedView } from '../view.js';
import { firstPart, partAt, type Part, wordOf } from './layout.js';
import { argument } from './vec.js';

interface Table {
  readonly ctrl: Recipe;
  readonly bucketMask: Recipe;
  readonly items: Recipe;
  readonly growthLeft: Recipe;
  /** `(K, V)`. */
  readonly pair: Type;
  readonly key: Part;
  readonly value: Part;
  /** Bytes of control that the library may look at in one step. */
  readonly groupWidths: readonly number[];
}

export function hashMapView(type: CompositeType): WalkedMapView | undefined {
  const found = tableIn(type, [['base', 'table'], ['table']]);
  if (found === undefined) return undefined;
  const table = found;
  return {
    kind: 'map',
    length: table.items,
    key: () => table.key.type,
    value: () => table.value.type,
    blocks: () => tableBlocks(table, [table.key, table.value]),
    walk: (object, context) => entries(object, table, context),
  };
}

export function hashSetView(type: CompositeType): WalkedView | undefined {
  const found = tableIn(type, [
    ['base', 'map', 'table'],
    ['map', 'base', 'table'],
    ['map', 'table'],
  ]);
  if (found === undefined) return undefined;
  const table = found;
  return {
    kind: 'walked',
    noun: 'set',
    length: table.items,
    element: () => table.key.type,
    blocks: () => tableBlocks(table, [table.key]),
    walk: function* keys(object, context): Generator<Value | Absent> {
      for (const entry of entries(object, table, context)) yield isAbsent(entry) ? entry : entry.key;
    },
  };
}

function tableIn(type: CompositeType, paths: readonly (readonly string[])[]): Table | undefined {
  const table = firstPart(type, ...paths);
  if (table === undefined) return undefined;
  const within = (name: string): Part | undefined => {
    const part = firstPart(table.type, ['table', name], [name]);
    return part === undefined ? undefined : { ...part, offset: part.offset + table.offset };
  };
  const ctrl = wordOf(within('ctrl'));
  const bucketMask = wordOf(within('bucket_mask'));
  const items = wordOf(within('items'));
  const growthLeft = wordOf(within('growth_left'));
  const pair = argument(stripType(table.type), 0);
  if (ctrl === undefined || bucketMask === undefined || items === undefined) return undefined;
  if (growthLeft === undefined || pair === undefined) return undefined;
  const key = partAt(pair, '__0');
  const value = partAt(pair, '__1');
  if (key === undefined || value === undefined || sizeOf(pair) === undefined) return undefined;
  return { ctrl, bucketMask, items, growthLeft, pair, key, value, groupWidths: groupWidths(type) };
}

const sse2Groups = ['hashbrown::control::group::sse2::Group', 'hashbrown::raw::sse2::Group'];

/** A step is of 16 bytes with SSE2, and of 8 elsewhere. */
function groupWidths(type: CompositeType): readonly number[] {
  return sse2Groups.some((name) => type.origin?.findType(name) !== undefined) ? [16] : [16, 8];
}

/** The copy of the first control bytes behind the last, by which a table is told from what a pointer astray leads to. */
const copyBytes = 16;
const maxControlBytes = 16 * 1024;
const maxBucketBytes = 32 * 1024;
/** Buckets whose own strings and elements a plan follows. */
const maxFollowed = 16;

/** For a plan: the bytes of control, and the buckets next to them. */
function tableBlocks({ ctrl, bucketMask, items, pair }: Table, parts: readonly Part[]): Block[] {
  const stride = sizeOf(pair) ?? 0;
  const buckets = binary(bucketMask, '+', constant(1));
  const some = (bytes: Recipe): Recipe => choose(binary(items, '==', constant(0)), constant(0), bytes);
  const control: Block = {
    address: ctrl,
    bytes: some(binary(buckets, '+', constant(copyBytes))),
    maxBytes: maxControlBytes,
  };
  if (stride === 0 || stride > maxBucketBytes) return [control];
  const room = Math.floor(maxBucketBytes / stride);
  const bytes = binary(least(buckets, constant(room)), '*', constant(stride));
  const objects = Array.from({ length: Math.min(room, maxFollowed) }, (_, i) => {
    const state: Recipe = { op: 'load', address: binary(ctrl, '+', constant(i)), size: 1 };
    const isUsed = choose(
      binary(bucketMask, '<', constant(i)),
      constant(0),
      binary(state, '<', constant(0x80)),
    );
    return parts.map((part) => ({
      type: () => part.type,
      address: binary(ctrl, '-', constant((i + 1) * stride - part.offset)),
      exists: some(isUsed),
    }));
  }).flat();
  return [
    control,
    { address: binary(ctrl, '-', bytes), bytes: some(bytes), maxBytes: room * stride, objects },
  ];
}

/** Control bytes that are looked at; a table of the library's with more has over eight million elements. */
const maxBuckets = 1n << 24n;
const chunkBytes = 64 * 1024;

function* entries(object: ObjectView, table: Table, { memory }: ViewContext): Generator<Entry | Absent> {
  const numbers: bigint[] = [];
  for (const recipe of [table.ctrl, table.bucketMask, table.items, table.growthLeft]) {
    const number = computeRecipe(recipe, object, memory);
    if (isAbsent(number)) return yield number;
    numbers.push(number);
  }
  const [ctrl = 0n, mask = 0n, items = 0n, growthLeft = 0n] = numbers;
  if (items === 0n) return;
  const buckets = mask + 1n;
  if ((buckets & mask) !== 0n || items > buckets)
    return yield corrupt(`${items} elements in ${buckets} buckets`);
  if (buckets > maxBuckets)
    return yield absent('limit', `a table of ${buckets} buckets: no more than ${maxBuckets} are looked at`);
  const control = readControl(ctrl, Number(buckets), memory, table.groupWidths);
  if (isAbsent(control)) return yield control;
  const { used, deleted } = control;
  if (BigInt(used.length) !== items)
    return yield corrupt(`it says ${items} elements, and ${used.length} of its buckets are in use`);
  // What is in use, was deleted or is left makes up the capacity, which leaves one of eight buckets empty.
  const capacity = mask < 8n ? mask : (buckets / 8n) * 7n;
  if (items + BigInt(deleted) + growthLeft !== capacity)
    return yield corrupt(`${items} elements with room for ${growthLeft} more in ${buckets} buckets`);
  const stride = BigInt(sizeOf(table.pair) ?? 0);
  for (const index of used) {
    const address = BigInt.asUintN(64, ctrl - BigInt(index + 1) * stride);
    yield { key: valueAt(table.key, address), value: valueAt(table.value, address) };
  }
}

const corrupt = (why: string): Absent => absent('unreadable', `the table is corrupt: ${why}`);

function valueAt(part: Part, base: bigint): Value {
  const address = BigInt.asUintN(64, base + BigInt(part.offset));
  return { type: part.type, place: { kind: 'memory', address } };
}

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
