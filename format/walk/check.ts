/**
 * Walks that come from somebody else. What passes ends whatever the memory says, in as many steps as its own bounds and the reader of memory allow
 * ({@link ./limited-memory.ts}), and reads nothing of a bucket that is not in it.
 */
import {
  decodeJson,
  encodeJson,
  type Fields,
  flag,
  integer,
  list,
  literal,
  object,
  oneOf,
  parseShape,
  type Shape,
  wrong,
} from '../json-shape.js';
import { integerSize, recipeShape as recipe } from '../recipe/check.js';
import type { Holds } from './found.js';
import type { GoBucket } from './go-map.js';
import type { GoSlotPart } from './go-slot.js';
import type { GoGroup } from './go-swiss-map.js';
import type { WordPlace } from './read.js';
import type { Walk } from './walk.js';

type Of<Kind extends Walk['kind']> = Extract<Walk, { kind: Kind }>;

/** In a node, a bucket, an element. */
const offset = integer({ from: 0, to: 2 ** 31 - 1 });
const stride = offset;
/** Of what divides by it. */
const realStride = integer({ from: 1, to: 2 ** 31 - 1 });
const perBlock = integer({ from: 1, to: 1 << 20 });
/** Structs of a library, and its buckets: they are read whole. */
const smallOffset = integer({ from: 0, to: 4096 });
const bucketBytes = integer({ from: 1, to: 1 << 16 });
const slots = integer({ from: 1, to: 64 });
const index = integer({ from: 0, to: Number.MAX_SAFE_INTEGER });

const word = object<WordPlace>({ offset: smallOffset, size: integerSize });
const column = object<Of<'b-tree'>['key']>({ offset, stride });
const slotPart = object<GoSlotPart>({ offset: bucketOffset(), isIndirect: flag });
const slotColumn = object<GoBucket['key']>({
  offset: bucketOffset(),
  stride: bucketOffset(),
  isIndirect: flag,
});

function bucketOffset(): Shape<number> {
  return integer({ from: 0, to: 1 << 16 });
}

const holds: Shape<Holds> = (from, at) => {
  const isElement = typeof from === 'object' && from !== null && Object.hasOwn(from, 'element');
  return isElement
    ? object<{ element: number }>({ element: offset })(from, at)
    : object<{ key: number; value: number }>({ key: offset, value: offset })(from, at);
};

const goBucket: Shape<GoBucket> = (from, at) => {
  const bucket = object<GoBucket>({
    bytes: bucketBytes,
    slots,
    tophash: bucketOffset(),
    key: slotColumn,
    value: slotColumn,
    overflow: bucketOffset(),
  })(from, at);
  const last = bucket.slots - 1;
  const ends = [
    bucket.tophash + bucket.slots,
    bucket.overflow + 8,
    ...[bucket.key, bucket.value].map((part) => part.offset + last * part.stride + (part.isIndirect ? 8 : 0)),
  ];
  if (ends.some((end) => end > bucket.bytes)) throw wrong(at, `has parts beyond its ${bucket.bytes} bytes`);
  return bucket;
};

const goGroup: Shape<GoGroup> = (from, at) => {
  const group = object<GoGroup>({
    bytes: bucketBytes,
    control: bucketOffset(),
    slots,
    slotBytes: bucketOffset(),
    key: slotPart,
    value: slotPart,
  })(from, at);
  const last = (group.slots - 1) * group.slotBytes;
  const ends = [group.key, group.value].map((part) => part.offset + last + (part.isIndirect ? 8 : 0));
  if ([group.control + group.slots, ...ends].some((end) => end > group.bytes))
    throw wrong(at, `has parts beyond its ${group.bytes} bytes`);
  return group;
};

const bTreeNode: Fields<Of<'b-tree'>['node']> = {
  parent: offset,
  parentIndex: offset,
  length: offset,
  edges: { optional: offset },
  capacity: integer({ from: 1, to: 1024 }),
};

/** NB: as of recipes. */
export const walkShape: Shape<Walk> = (from, at) => walks(from, at);

const shapes: { readonly [Kind in Walk['kind']]: Shape<Of<Kind>> } = {
  array: object<Of<'array'>>({
    kind: literal('array'),
    data: recipe,
    length: recipe,
    capacity: { optional: recipe },
    valid: { optional: recipe },
    stride,
    holds,
  }),
  'b-tree': object<Of<'b-tree'>>({
    kind: literal('b-tree'),
    length: recipe,
    root: recipe,
    height: recipe,
    node: object(bTreeNode),
    key: column,
    value: { optional: column },
  }),
  'bit-count': object<Of<'bit-count'>>({
    kind: literal('bit-count'),
    data: recipe,
    length: recipe,
    words: recipe,
  }),
  'bit-fields': object<Of<'bit-fields'>>({ kind: literal('bit-fields'), offset, count: index }),
  'bit-range': object<Of<'bit-range'>>({
    kind: literal('bit-range'),
    start: recipe,
    finish: recipe,
    startBit: recipe,
    finishBit: recipe,
  }),
  'block-index': object<Of<'block-index'>>({
    kind: literal('block-index'),
    mapBegin: recipe,
    mapEnd: recipe,
    start: recipe,
    length: recipe,
    stride: realStride,
    perBlock,
  }),
  'block-range': object<Of<'block-range'>>({
    kind: literal('block-range'),
    start: object<Of<'block-range'>['start']>({ entry: recipe, at: recipe, first: recipe, last: recipe }),
    finish: object<Of<'block-range'>['finish']>({ entry: recipe, at: recipe, first: recipe }),
    stride: realStride,
    perBlock,
  }),
  channel: object<Of<'channel'>>({
    kind: literal('channel'),
    channel: recipe,
    words: object<Of<'channel'>['words']>({
      qcount: word,
      dataqsiz: word,
      buf: word,
      elemsize: word,
      recvx: word,
    }),
    stride: { optional: stride },
  }),
  'go-map': object<Of<'go-map'>>({
    kind: literal('go-map'),
    map: recipe,
    words: object<Of<'go-map'>['words']>({
      count: word,
      flags: word,
      B: word,
      buckets: word,
      oldbuckets: word,
    }),
    bucket: goBucket,
  }),
  'go-swiss-map': object<Of<'go-swiss-map'>>({
    kind: literal('go-swiss-map'),
    map: recipe,
    words: object<Of<'go-swiss-map'>['words']>({ used: word, dirPtr: word, dirLen: word, writing: word }),
    table: object<Of<'go-swiss-map'>['table']>({
      used: word,
      capacity: word,
      index: word,
      data: word,
      lengthMask: word,
    }),
    group: goGroup,
  }),
  'hash-table': object<Of<'hash-table'>>({
    kind: literal('hash-table'),
    ctrl: recipe,
    bucketMask: recipe,
    items: recipe,
    growthLeft: recipe,
    stride,
    holds,
    groupWidths: list<number>(literal(8, 16), { from: 1, to: 2 }),
  }),
  'linked-list': object<Of<'linked-list'>>({
    kind: literal('linked-list'),
    head: recipe,
    length: recipe,
    next: offset,
    previous: offset,
    element: offset,
  }),
  'node-chain': object<Of<'node-chain'>>({
    kind: literal('node-chain'),
    first: recipe,
    next: offset,
    element: offset,
  }),
  'node-hash': object<Of<'node-hash'>>({
    kind: literal('node-hash'),
    before: recipe,
    first: recipe,
    count: recipe,
    buckets: recipe,
    bucketCount: recipe,
    next: offset,
    code: { optional: offset },
    holds,
  }),
  'node-ring': object<Of<'node-ring'>>({
    kind: literal('node-ring'),
    end: recipe,
    first: recipe,
    next: offset,
    previous: offset,
    element: offset,
  }),
  page: object<Of<'page'>>({ kind: literal('page'), of: walkShape, from: index, to: { optional: index } }),
  'ring-buffer': object<Of<'ring-buffer'>>({
    kind: literal('ring-buffer'),
    data: recipe,
    head: recipe,
    length: recipe,
    capacity: { optional: recipe },
    stride,
  }),
  tree: object<Of<'tree'>>({
    kind: literal('tree'),
    header: recipe,
    root: recipe,
    first: recipe,
    count: recipe,
    parent: offset,
    left: offset,
    right: offset,
    holds,
  }),
};

const walks: Shape<Walk> = oneOf<Walk>('kind', shapes);

/** `json`: what `toJson` makes of a walk. Throws bad data where it is none. */
export function parseWalk(json: unknown): Walk {
  return parseShape('walk', walkShape, json);
}

const maxWalkBytes = 64 * 1024;

export function encodeWalk(walk: Walk): Uint8Array {
  return encodeJson(walk);
}

/** What {@link encodeWalk} made. Throws bad data where it is no walk. */
export function decodeWalk(bytes: Uint8Array): Walk {
  return parseWalk(decodeJson('walk', bytes, maxWalkBytes));
}
