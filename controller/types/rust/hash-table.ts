/**
 * `HashMap` and `HashSet`: hashbrown's table. `ctrl` points to a byte for each bucket, whose top bit is clear where the bucket is in use; the buckets themselves
 * lie before it, the first one next to it, downwards.
 */
import { binary, choose, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { Holds } from '../../../format/walk/found.js';
import type { HashTableWalk } from '../../../format/walk/hash-table.js';
import { least } from '../blocks.js';
import { sizeOf, stripType } from '../layout.js';
import type { CompositeType, Type } from '../type.js';
import type { Block, WalkedMapView, WalkedView } from '../view.js';
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
    walk: walkOf(table, { key: table.key.offset, value: table.value.offset }),
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
    walk: walkOf(table, { element: table.key.offset }),
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

function walkOf(
  { ctrl, bucketMask, items, growthLeft, pair, groupWidths: widths }: Table,
  holds: Holds,
): HashTableWalk {
  const stride = sizeOf(pair) ?? 0;
  return { kind: 'hash-table', ctrl, bucketMask, items, growthLeft, stride, holds, groupWidths: widths };
}
