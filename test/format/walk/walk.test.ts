/** Walks over literal memory, and over memory that says anything: each ends, in as many steps as it may take, with nothing but addresses and reasons. */
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Absent, absent, isAbsent } from '../../../format/absent.js';
import type { MemoryReader } from '../../../format/memory.js';
import { addressAt, constant, pointerAt } from '../../../format/recipe/recipe.js';
import { toJson } from '../../../format/json-shape.js';
import { parseWalk } from '../../../format/walk/check.js';
import { withWord } from '../../support/changed-memory.js';
import type { Found } from '../../../format/walk/found.js';
import { limitedMemory } from '../../../format/walk/limited-memory.js';
import { maxWalkedElements, walk, type Walk } from '../../../format/walk/walk.js';
import { at, bytesOf, memoryOf, u16, u64 } from '../../support/literal-memory.js';
import { literalContainers } from '../../support/literal-walks.js';
import { walks } from '../../support/walks.js';

const nothing = memoryOf();
const found = (
  of: Walk,
  bytes: Uint8Array,
  memory: MemoryReader = nothing,
  maxElements = 100,
): (Found | Absent)[] => [...walk(of, { bytes }, { memory, maxElements })];
const elements = (...addresses: readonly bigint[]): Found[] => addresses.map((element) => ({ element }));

describe('what lies side by side', () => {
  const array: Walk = {
    kind: 'array',
    data: pointerAt(0),
    length: pointerAt(8),
    capacity: pointerAt(16),
    stride: 4,
    holds: { element: 0 },
  };

  test('is found without reading it', () => {
    expect(found(array, bytesOf(u64(0x1000), u64(3), u64(4)))).toEqual(elements(0x1000n, 0x1004n, 0x1008n));
    expect(found(array, bytesOf(u64(0x1000), u64(0), u64(0)))).toEqual([]);
  });

  test('ends where as many are found as are wanted', () => {
    expect(found(array, bytesOf(u64(0x1000), u64(3), u64(4)), nothing, 2)).toEqual(
      elements(0x1000n, 0x1004n),
    );
    expect(found(array, bytesOf(u64(0x1000), u64(3), u64(4)), nothing, 0)).toEqual([]);
  });

  test('has keys and values', () => {
    const map: Walk = { ...array, stride: 16, holds: { key: 0, value: 8 } };
    expect(found(map, bytesOf(u64(0x1000), u64(2), u64(2)))).toEqual([
      { key: 0x1000n, value: 0x1008n },
      { key: 0x1010n, value: 0x1018n },
    ]);
  });

  test('of which none has a size is counted all the same', () => {
    const units: Walk = { ...array, stride: 0 };
    expect(found(units, bytesOf(u64(0x1000), u64((1n << 64n) - 1n), u64(0)), nothing, 2)).toEqual(
      elements(0x1000n, 0x1000n),
    );
  });

  test.each<[string, Uint8Array, Walk, string]>([
    [
      'more than there is room for',
      bytesOf(u64(0x1000), u64(5), u64(4)),
      array,
      'the object is corrupt: a length of 5 in a capacity of 4',
    ],
    [
      'more than can be',
      bytesOf(u64(0x1000), u64(-1), u64(-1)),
      array,
      'the object is corrupt: a length of -1',
    ],
    [
      'a contradiction',
      bytesOf(u64(0x1000), u64(1), u64(4)),
      { ...array, valid: constant(0) },
      'the object is corrupt: what it says of itself cannot all be',
    ],
    ['bytes that are not there', u64(0x1000), array, 'only a part of the object is known'],
    [
      'no address',
      bytesOf(u64(0), u64(1), u64(1)),
      { ...array, data: addressAt(0) },
      'the object is not in memory: its parts have no address',
    ],
  ])('%s', (_, bytes, of, detail) => {
    expect(found(of, bytes)).toMatchObject([{ absent: expect.any(String), detail }]);
  });
});

describe('a page of a walk', () => {
  const all: Walk = {
    kind: 'array',
    data: pointerAt(0),
    length: pointerAt(8),
    stride: 8,
    holds: { element: 0 },
  };
  const page = (from: number, to?: number): Walk => ({
    kind: 'page',
    of: all,
    from,
    ...(to === undefined ? {} : { to }),
  });
  const ten = bytesOf(u64(0x1000), u64(10));

  test('is what lies between', () => {
    expect(found(page(2, 4), ten)).toEqual(elements(0x1010n, 0x1018n));
    expect(found(page(8), ten)).toEqual(elements(0x1040n, 0x1048n));
    expect(found(page(8, 20), ten)).toEqual(elements(0x1040n, 0x1048n));
    expect(found(page(4, 2), ten)).toEqual([]);
    expect(found(page(20), ten)).toEqual([]);
    expect(found(page(2), ten, nothing, 1)).toEqual(elements(0x1010n));
    expect(found({ kind: 'page', of: page(2, 8), from: 1, to: 3 }, ten)).toEqual(elements(0x1018n, 0x1020n));
  });

  test('passes over no more than one walk gives', () => {
    const many = bytesOf(u64(0x1000), u64(10 * maxWalkedElements));
    expect(found(page(maxWalkedElements - 1), many)).toHaveLength(1);
    expect(found(page(maxWalkedElements), many)).toEqual([]);
  });

  test('says why it is none', () => {
    expect(found(page(2, 4), u64(0x1000))).toMatchObject([{ detail: 'only a part of the object is known' }]);
  });
});

describe('a set whose elements have no size', () => {
  test('of a hash table has as many as the table', () => {
    const table: Walk = {
      kind: 'hash-table',
      ctrl: pointerAt(0),
      bucketMask: pointerAt(8),
      growthLeft: pointerAt(16),
      items: pointerAt(24),
      stride: 0,
      holds: { element: 0 },
      groupWidths: [16],
    };
    const control = at(
      0x1000n,
      0x25,
      0xff,
      0xff,
      0xff,
      ...Array.from({ length: 12 }, () => 0xff),
      0x25,
      0xff,
      0xff,
      0xff,
    );
    const object = bytesOf(u64(0x1000), u64(3), u64(2), u64(1));
    expect(found(table, object, memoryOf(control))).toEqual(elements(0x1000n));
  });

  test('of a tree too', () => {
    const tree: Walk = {
      kind: 'b-tree',
      root: pointerAt(0),
      height: pointerAt(8),
      length: pointerAt(16),
      node: { parent: 0, parentIndex: 8, length: 10, capacity: 11 },
      key: { offset: 12, stride: 0 },
    };
    const leaf = at(0x1000n, u64(0), u16(0), u16(1));
    expect(found(tree, bytesOf(u64(0x1000), u64(0), u64(1)), memoryOf(leaf))).toEqual(elements(0x100cn));
  });
});

test('a map of Go says of each key and value where it is, or why not', () => {
  const word = (offset: number): { offset: number; size: 8 } => ({ offset, size: 8 });
  const map: Walk = {
    kind: 'go-swiss-map',
    map: pointerAt(0),
    words: { used: word(0), dirPtr: word(8), dirLen: word(16), writing: word(24) },
    table: { used: word(0), capacity: word(8), index: word(16), data: word(24), lengthMask: word(32) },
    group: {
      bytes: 40,
      control: 0,
      slots: 2,
      slotBytes: 16,
      key: { offset: 8, isIndirect: false },
      value: { offset: 16, isIndirect: true },
    },
  };
  const head = at(0x1000n, u64(2), u64(0x2000), u64(0), u64(0));
  const group = at(
    0x2000n,
    1,
    2,
    ...Array.from({ length: 6 }, () => 0x80),
    u64(7),
    u64(0x3000),
    u64(8),
    u64(0x4000),
  );
  const value = at(0x3000n, 1);
  expect(found(map, u64(0x1000), memoryOf(head, group, value))).toEqual([
    { key: 0x2008n, value: 0x3000n },
    { key: 0x2018n, value: expect.objectContaining({ absent: 'not-captured', address: 0x4000n }) },
  ]);
});

/** Memory in which words are small, or lead to others, or are anything; some of it is missing. The same address always says the same. */
function anyMemory(seed: number, missing: number): MemoryReader {
  const mix = (a: number): number => {
    let x = Math.imul(a ^ seed, 0x9e3779b1);
    x = Math.imul(x ^ (x >>> 15), 0x85ebca6b);
    return (x ^ (x >>> 13)) >>> 0;
  };
  const wordAt = (index: number): bigint => {
    const random = mix(index);
    switch (random % 8) {
      case 0:
        return 0n;
      case 1:
      case 2:
        return BigInt((random >>> 3) % 40);
      case 3:
        return BigInt(seed) * 0x1_0000_0000n + BigInt(random);
      case 4:
        return BigInt(index * 8 - 8 * ((random >>> 3) % 8));
      default:
        return BigInt(0x1000 + 8 * ((random >>> 3) % 4096));
    }
  };
  const byteAt = (address: bigint): number => {
    const index = Number(BigInt.asUintN(30, address >> 3n));
    return Number((wordAt(index) >> (8n * (address & 7n))) & 0xffn);
  };
  return {
    read(address, length) {
      if (mix(Number(BigInt.asUintN(26, address >> 6n)) + 1) % 100 < missing)
        return absent('not-captured', 'it is missing', { address, length });
      const bytes = Uint8Array.from({ length }, (_, i) => byteAt(address + BigInt(i)));
      return { bytes, provenance: 'stopped' };
    },
  };
}

const maxReads = 2000;
const maxElements = 300;
/** Absents that may follow the last read that is answered. */
const maxAfter = 32;

/** What was found, after it was looked at whether that ended as it must. */
function ends(of: Walk, memory: MemoryReader): Found[] {
  let reads = 0;
  const counted: MemoryReader = {
    read(address, length) {
      reads++;
      return memory.read(address, length);
    },
  };
  const items: Found[] = [];
  let absents = 0;
  const limited = limitedMemory(counted, { maxReads, maxBytes: 1 << 20 });
  for (const item of walk(of, { address: 0x1000n }, { memory: limited, maxElements })) {
    if (isAbsent(item)) absents++;
    else items.push(item);
    const isTooMuch = items.length > maxElements || absents > maxReads + maxAfter || reads > maxReads;
    if (isTooMuch) throw new Error(`${items.length} found and ${absents} absent after ${reads} reads`);
  }
  const wrong = items.find((item) => !Object.values<unknown>({ ...item }).every(isPlace));
  if (wrong !== undefined) throw new Error(`found ${JSON.stringify(wrong, (_, each) => String(each))}`);
  return items;
}

function isPlace(place: unknown): boolean {
  if (typeof place === 'bigint') return place === BigInt.asUintN(64, place);
  return place === 0 || place === 1 || isAbsent(place);
}

describe.each(Object.entries(literalContainers))('%s', (_, container) => {
  test('finds what is there', () => {
    expect(ends(container.walk, memoryOf(...container.memory))).toEqual(container.found);
  });

  test('passes the check', () => {
    expect(parseWalk(toJson(container.walk))).toEqual(container.walk);
  });

  test('ends with words of it changed, and finds something else then', () => {
    const all = container.memory.flatMap(({ address, bytes }) =>
      Array.from({ length: Math.floor(bytes.length / 8) }, (_each, i) => address + BigInt(8 * i)),
    );
    const value = fc.oneof(
      fc.constantFrom(...all),
      fc.bigInt({ min: 0n, max: 64n }),
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    );
    const changes = fc.array(fc.tuple(fc.constantFrom(...all), value), { minLength: 1, maxLength: 3 });
    let changed = 0;
    fc.assert(
      fc.property(changes, (patches) => {
        const memory = patches.reduce(
          (inner, [address, to]) => withWord(inner, address, to),
          memoryOf(...container.memory),
        );
        if (!isDeepStrictEqual(ends(container.walk, memory), container.found)) changed++;
      }),
      { numRuns: 300 },
    );
    expect(changed).toBeGreaterThan(0);
  });
});

test('every walk ends over memory that says anything', () => {
  let some = 0;
  fc.assert(
    fc.property(walks, fc.nat(), fc.constantFrom(0, 3, 30), (of, seed, missing) => {
      if (ends(of, anyMemory(seed, missing)).length > 0) some++;
    }),
    { numRuns: 3000 },
  );
  expect(some).toBeGreaterThan(300);
});

test('memory answers only so often', () => {
  const limited = limitedMemory(memoryOf(at(0x1000n, u64(1), u64(2))), { maxReads: 2, maxBytes: 12 });
  expect(isAbsent(limited.read(0x1000n, 8))).toBe(false);
  expect(limited.read(0x1008n, 8)).toMatchObject({
    absent: 'limit',
    detail: 'that takes more than 12 bytes of memory',
  });
  expect(limited.read(0x1000n, 1)).toMatchObject({
    absent: 'limit',
    detail: 'that takes more than 2 reads of memory',
  });
});
