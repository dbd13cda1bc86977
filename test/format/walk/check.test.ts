import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StillframeError } from '../../../format/error.js';
import { toJson } from '../../../format/json-shape.js';
import { parseRecipe } from '../../../format/recipe/check.js';
import { binary, choose, constant, pointerAt, type Recipe } from '../../../format/recipe/recipe.js';
import { decodeWalk, encodeWalk, parseWalk } from '../../../format/walk/check.js';
import type { Walk } from '../../../format/walk/walk.js';
import { thrown } from '../../support/thrown.js';
import { recipes, walks } from '../../support/walks.js';

const table: Walk = {
  kind: 'hash-table',
  ctrl: pointerAt(0),
  bucketMask: pointerAt(8),
  items: pointerAt(24),
  growthLeft: pointerAt(16),
  stride: 24,
  holds: { key: 0, value: 16 },
  groupWidths: [16],
};
const word = { offset: 0, size: 8 };
const goMap = {
  kind: 'go-map',
  map: toJson(pointerAt(0)),
  words: { count: word, flags: word, B: word, buckets: word, oldbuckets: word },
  bucket: {
    bytes: 144,
    slots: 8,
    tophash: 0,
    key: { offset: 8, stride: 8, isIndirect: false },
    value: { offset: 72, stride: 8, isIndirect: false },
    overflow: 136,
  },
};
const swissMap = {
  kind: 'go-swiss-map',
  map: toJson(pointerAt(0)),
  words: { used: word, dirPtr: word, dirLen: word, writing: word },
  table: { used: word, capacity: word, index: word, data: word, lengthMask: word },
  group: {
    bytes: 136,
    control: 0,
    slots: 8,
    slotBytes: 16,
    key: { offset: 8, isIndirect: false },
    value: { offset: 16, isIndirect: true },
  },
};

const deep = (depth: number): Recipe =>
  depth === 0 ? pointerAt(0) : { op: 'load', address: deep(depth - 1), size: 8 };
const wide = (depth: number): Recipe =>
  depth === 0 ? constant(1) : binary(wide(depth - 1), '+', wide(depth - 1));
const page = (depth: number): Walk =>
  depth === 0 ? table : { kind: 'page', of: page(depth - 1), from: 1, to: 2 };

/** A list with one thing of it another. */
const given = (changes: object): unknown => ({ ...(toJson(table) as object), ...changes });
const inBucket = (changes: object): unknown => ({ ...goMap, bucket: { ...goMap.bucket, ...changes } });
const inGroup = (changes: object): unknown => ({ ...swissMap, group: { ...swissMap.group, ...changes } });

describe('walks of others', () => {
  test('what is well formed passes', () => {
    expect(parseWalk(toJson(table))).toEqual(table);
    expect(parseWalk(goMap)).toEqual(goMap);
    expect(parseWalk(swissMap)).toEqual(swissMap);
    expect(parseWalk(toJson(page(20)))).toEqual(page(20));
    expect(parseRecipe(toJson(deep(30)))).toEqual(deep(30));
    expect(parseRecipe(toJson(wide(8)))).toEqual(wide(8));
    const signed: Recipe = { op: 'field', offset: -8, size: 2, signed: true };
    expect(parseRecipe(toJson(choose(signed, constant(-1n), constant((1n << 64n) - 1n))))).toEqual(
      choose(signed, constant(-1n), constant((1n << 64n) - 1n)),
    );
  });

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'cannot read walk: it is no object'],
    ['a list', [], 'cannot read walk: it is no object'],
    ['no kind', {}, 'cannot read walk.kind: it is none that is known'],
    ['a kind of every object', { kind: 'constructor' }, 'cannot read walk.kind: it is none that is known'],
    ['a field too many', given({ extra: 1 }), 'cannot read walk: it has an unknown field "extra"'],
    [
      'a prototype',
      JSON.parse('{"kind":"node-chain","__proto__":{}}'),
      'cannot read walk: it has an unknown field "__proto__"',
    ],
    ['a field too few', given({ ctrl: undefined }), 'cannot read walk.ctrl: it is no object'],
    ['half a byte', given({ stride: 0.5 }), 'cannot read walk.stride: it is no integer from 0 to 2147483647'],
    [
      'text for a number',
      given({ stride: '8' }),
      'cannot read walk.stride: it is no integer from 0 to 2147483647',
    ],
    [
      'below zero',
      given({ holds: { element: -1 } }),
      'cannot read walk.holds.element: it is no integer from 0 to 2147483647',
    ],
    [
      'no key',
      given({ holds: { value: 1 } }),
      'cannot read walk.holds.key: it is no integer from 0 to 2147483647',
    ],
    [
      'no widths',
      given({ groupWidths: [] }),
      'cannot read walk.groupWidths: it is no list of 1 to 2 entries',
    ],
    ['a width of nothing', given({ groupWidths: [0] }), 'cannot read walk.groupWidths[0]: it is not 8 or 16'],
    [
      'an operator',
      given({ ctrl: { op: 'binary', operator: '%', left: 1, right: 1 } }),
      'cannot read walk.ctrl.operator: it is not + or - or * or / or & or >> or << or == or <',
    ],
    [
      'a number for a constant',
      given({ ctrl: { op: 'constant', value: 1 } }),
      'cannot read walk.ctrl.value: it is no 64-bit integer in decimal',
    ],
    [
      'a large constant',
      given({ ctrl: { op: 'constant', value: `${1n << 64n}` } }),
      'cannot read walk.ctrl.value: it is no 64-bit integer in decimal',
    ],
    [
      'a small constant',
      given({ ctrl: { op: 'constant', value: `${-(1n << 63n) - 1n}` } }),
      'cannot read walk.ctrl.value: it is no 64-bit integer in decimal',
    ],
    [
      'a size',
      given({ ctrl: { op: 'field', offset: 0, size: 3 } }),
      'cannot read walk.ctrl.size: it is not 1 or 2 or 4 or 8',
    ],
    [
      'a sign',
      given({ ctrl: { op: 'field', offset: 0, size: 8, signed: false } }),
      'cannot read walk.ctrl.signed: it is not true',
    ],
    [
      'too deep a recipe',
      given({ ctrl: toJson(deep(40)) }),
      `cannot read walk.ctrl${'.address'.repeat(32)}: it is nested deeper than 32`,
    ],
    [
      'too much of a recipe',
      given({ ctrl: toJson(wide(10)) }),
      `cannot read walk.ctrl.left.right.right.right.right.right.right.right.right.right: it has more than 1024 parts around it`,
    ],
    ['pages of pages', toJson(page(40)), `cannot read walk${'.of'.repeat(33)}: it is nested deeper than 32`],
    [
      'a page from before',
      { kind: 'page', of: toJson(table), from: -1 },
      'cannot read walk.from: it is no integer from 0 to 9007199254740991',
    ],
    [
      'elements without a size',
      { kind: 'block-index', stride: 0 },
      'cannot read walk.mapBegin: it is no object',
    ],
    [
      'marks beyond a bucket',
      inBucket({ tophash: 137 }),
      'cannot read walk.bucket: it has parts beyond its 144 bytes',
    ],
    [
      'a chain beyond a bucket',
      inBucket({ overflow: 137 }),
      'cannot read walk.bucket: it has parts beyond its 144 bytes',
    ],
    [
      'keys beyond a bucket',
      inBucket({ key: { offset: 8, stride: 20, isIndirect: false } }),
      'cannot read walk.bucket: it has parts beyond its 144 bytes',
    ],
    [
      'pointers beyond a bucket',
      inBucket({ value: { offset: 88, stride: 8, isIndirect: true } }),
      'cannot read walk.bucket: it has parts beyond its 144 bytes',
    ],
    [
      'a large bucket',
      inBucket({ bytes: 1 << 20 }),
      'cannot read walk.bucket.bytes: it is no integer from 1 to 65536',
    ],
    [
      'marks beyond a group',
      inGroup({ control: 129 }),
      'cannot read walk.group: it has parts beyond its 136 bytes',
    ],
    [
      'pointers beyond a group',
      inGroup({ value: { offset: 17, isIndirect: true } }),
      'cannot read walk.group: it has parts beyond its 136 bytes',
    ],
    [
      'a word far off',
      { ...goMap, words: { ...goMap.words, B: { offset: 5000, size: 8 } } },
      'cannot read walk.words.B.offset: it is no integer from 0 to 4096',
    ],
  ])('%s', (_, json, message) => {
    expect(thrown(() => parseWalk(json))).toBe(`bad-data: ${message}`);
  });

  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'cannot read walk: it is no JSON'],
    ['half of it', encodeWalk(table).subarray(0, 40), 'cannot read walk: it is no JSON'],
    ['other text', Uint8Array.of(0x22, 0xff, 0x22), 'cannot read walk: it is no JSON'],
    ['much', new Uint8Array(70_000).fill(0x5b), 'cannot read walk: it has 70000 bytes, and may have 65536'],
    ['nested lists', new Uint8Array(60_000).fill(0x5b), 'cannot read walk: it is no JSON'],
    ['no walk', Buffer.from('{"kind":"list"}'), 'cannot read walk.kind: it is none that is known'],
  ])('bytes: %s', (_, bytes, message) => {
    expect(thrown(() => decodeWalk(bytes))).toBe(`bad-data: ${message}`);
  });

  test('every walk comes through as it is', () => {
    fc.assert(
      fc.property(walks, (walk) => {
        expect(decodeWalk(encodeWalk(walk))).toEqual(walk);
      }),
      { numRuns: 400 },
    );
  });

  test('every recipe comes through as it is', () => {
    fc.assert(
      fc.property(recipes, (recipe) => {
        expect(parseRecipe(toJson(recipe))).toEqual(recipe);
      }),
    );
  });

  /** Some value somewhere in it is another one, or is not there. */
  function changed(json: unknown, at: number, to: unknown): unknown {
    let left = at;
    const change = (value: unknown): unknown => {
      if (left-- === 0) return to;
      if (Array.isArray(value)) return value.map(change);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, change(each)]));
    };
    return change(json);
  }

  test('anything else gives a walk that is what it says, or bad data', () => {
    let passed = 0;
    const check = (json: unknown): void => {
      try {
        const walk = parseWalk(json);
        passed++;
        expect(toJson(walk)).toEqual(JSON.parse(JSON.stringify(json)));
      } catch (error) {
        if (!(error instanceof StillframeError)) throw error;
        expect(error.code).toBe('bad-data');
      }
    };
    const json = fc.oneof(
      fc.jsonValue(),
      fc
        .record({
          walk: walks,
          at: fc.nat(60),
          to: fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.integer(), fc.constant(-0)),
        })
        .map(({ walk, at, to }) => changed(toJson(walk), at, to)),
    );
    fc.assert(fc.property(json, check), { numRuns: 2000 });
    expect(passed).toBeGreaterThan(50);
  });
});
