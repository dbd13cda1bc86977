/** Walks of each kind and any shape, for properties. */
import * as fc from 'fast-check';
import type { IntegerSize, Recipe } from '../../format/recipe/recipe.js';
import type { Holds } from '../../format/walk/found.js';
import type { WordPlace } from '../../format/walk/read.js';
import type { Walk } from '../../format/walk/walk.js';

const integerSize = fc.constantFrom<IntegerSize>(1, 2, 4, 8);
const recipeOffset = fc.integer({ min: -64, max: 256 });

export const recipes: fc.Arbitrary<Recipe> = fc.letrec<{ recipe: Recipe }>((tie) => ({
  recipe: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.record({ op: fc.constant('field' as const), offset: recipeOffset, size: integerSize }),
    fc.record({ op: fc.constant('address' as const), offset: recipeOffset }),
    fc.record({
      op: fc.constant('constant' as const),
      value: fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }),
    }),
    fc.record({ op: fc.constant('constant' as const), value: fc.bigInt({ min: 0n, max: 300n }) }),
    fc.record({
      op: fc.constant('load' as const),
      address: tie('recipe'),
      size: integerSize,
      signed: fc.constant(true as const),
    }),
    fc.record({
      op: fc.constant('binary' as const),
      operator: fc.constantFrom('+', '-', '*', '/', '&', '>>', '<<', '==', '<'),
      left: tie('recipe'),
      right: tie('recipe'),
    }),
    fc.record({
      op: fc.constant('if' as const),
      condition: tie('recipe'),
      // eslint-disable-next-line unicorn/no-thenable
      then: tie('recipe'),
      otherwise: tie('recipe'),
    }),
  ),
})).recipe;

/** A recipe that mostly is what an object would say. */
const recipe = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.integer({ min: 0, max: 24 }).map((i): Recipe => ({ op: 'field', offset: i * 8, size: 8 })),
  },
  { weight: 1, arbitrary: recipes },
);
const offset = fc.constantFrom(0, 8, 16, 24, 32, 40);
const stride = fc.constantFrom(1, 4, 8, 24, 1000);
const holds: fc.Arbitrary<Holds> = fc.oneof(
  fc.record({ element: offset }),
  fc.record({ key: offset, value: offset }),
);
const word: fc.Arbitrary<WordPlace> = fc.record({ offset, size: integerSize });
const column = fc.record({ offset, stride });
const slot = fc.record({ offset: fc.integer({ min: 8, max: 64 }), isIndirect: fc.boolean() });

/** The fields of one kind; those that may be left out are named. */
function kind<K extends Walk['kind']>(
  name: K,
  fields: { readonly [F in keyof Omit<Extract<Walk, { kind: K }>, 'kind'>]-?: fc.Arbitrary<unknown> },
  ...optionalNames: readonly string[]
): fc.Arbitrary<Walk> {
  const all = { kind: fc.constant(name), ...fields } as Record<string, fc.Arbitrary<unknown>>;
  const requiredKeys = Object.keys(all).filter((field) => !optionalNames.includes(field));
  return fc.record(all, { requiredKeys }) as unknown as fc.Arbitrary<Walk>;
}

const words = (...names: readonly string[]): fc.Arbitrary<Readonly<Record<string, WordPlace>>> =>
  fc.record(Object.fromEntries(names.map((name) => [name, word])));

const walksByKind: { readonly [K in Exclude<Walk['kind'], 'page'>]: fc.Arbitrary<Walk> } = {
  array: kind(
    'array',
    { data: recipe, length: recipe, capacity: recipe, valid: recipe, stride, holds },
    'capacity',
    'valid',
  ),
  'b-tree': kind(
    'b-tree',
    {
      length: recipe,
      root: recipe,
      height: fc.oneof(
        recipe,
        fc.bigInt({ min: 0n, max: 3n }).map((value): Recipe => ({ op: 'constant', value })),
      ),
      node: fc.record(
        {
          parent: offset,
          parentIndex: offset,
          length: offset,
          edges: offset,
          capacity: fc.constantFrom(1, 11, 1024),
        },
        { requiredKeys: ['parent', 'parentIndex', 'length', 'capacity'] },
      ),
      key: column,
      value: column,
    },
    'value',
  ),
  'bit-count': kind('bit-count', { data: recipe, length: recipe, words: recipe }),
  'bit-fields': kind('bit-fields', { offset, count: fc.integer({ min: 0, max: 1 << 30 }) }),
  'bit-range': kind('bit-range', { start: recipe, finish: recipe, startBit: recipe, finishBit: recipe }),
  'block-index': kind('block-index', {
    mapBegin: recipe,
    mapEnd: recipe,
    start: recipe,
    length: recipe,
    stride,
    perBlock: stride,
  }),
  'block-range': kind('block-range', {
    start: fc.record({ entry: recipe, at: recipe, first: recipe, last: recipe }),
    finish: fc.record({ entry: recipe, at: recipe, first: recipe }),
    stride,
    perBlock: stride,
  }),
  channel: kind(
    'channel',
    { channel: recipe, words: words('qcount', 'dataqsiz', 'buf', 'elemsize', 'recvx'), stride },
    'stride',
  ),
  'go-map': kind('go-map', {
    map: recipe,
    words: words('count', 'flags', 'B', 'buckets', 'oldbuckets'),
    bucket: fc.record({
      bytes: fc.constantFrom(144, 208),
      slots: fc.constantFrom(1, 8),
      tophash: fc.constant(0),
      key: fc.record({ offset, stride: fc.constantFrom(0, 8), isIndirect: fc.boolean() }),
      value: fc.record({ offset, stride: fc.constantFrom(0, 8), isIndirect: fc.boolean() }),
      overflow: fc.constantFrom(0, 136),
    }),
  }),
  'go-swiss-map': kind('go-swiss-map', {
    map: recipe,
    words: words('used', 'dirPtr', 'dirLen', 'writing'),
    table: words('used', 'capacity', 'index', 'data', 'lengthMask'),
    group: fc.record({
      bytes: fc.constant(264),
      control: offset,
      slots: fc.constantFrom(1, 8),
      slotBytes: fc.constantFrom(0, 16, 24),
      key: slot,
      value: slot,
    }),
  }),
  'hash-table': kind('hash-table', {
    ctrl: recipe,
    bucketMask: recipe,
    items: recipe,
    growthLeft: recipe,
    stride: fc.oneof(stride, fc.constant(0)),
    holds,
    groupWidths: fc.constantFrom([16], [16, 8]),
  }),
  'linked-list': kind('linked-list', {
    head: recipe,
    length: recipe,
    next: offset,
    previous: offset,
    element: offset,
  }),
  'node-chain': kind('node-chain', { first: recipe, next: offset, element: offset }),
  'node-hash': kind(
    'node-hash',
    {
      before: recipe,
      first: recipe,
      count: recipe,
      buckets: recipe,
      bucketCount: recipe,
      next: offset,
      code: offset,
      holds,
    },
    'code',
  ),
  'node-ring': kind('node-ring', {
    end: recipe,
    first: recipe,
    next: offset,
    previous: offset,
    element: offset,
  }),
  'ring-buffer': kind(
    'ring-buffer',
    {
      data: recipe,
      head: recipe,
      length: recipe,
      capacity: recipe,
      stride: fc.oneof(stride, fc.constant(0)),
    },
    'capacity',
  ),
  tree: kind('tree', {
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

const plainWalks = fc.oneof(...Object.values(walksByKind));

export const walks: fc.Arbitrary<Walk> = fc.oneof(
  { weight: 6, arbitrary: plainWalks },
  {
    weight: 1,
    arbitrary: fc
      .record({ of: plainWalks, from: fc.nat(300_000), to: fc.nat(300_000), isOpen: fc.boolean() })
      .map(({ of, from, to, isOpen }): Walk => ({ kind: 'page', of, from, ...(isOpen ? {} : { to }) })),
  },
);
