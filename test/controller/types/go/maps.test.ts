/** Go's maps of both kinds by their elements, while they grow, and with bytes of them changed: what is shown is right or said to be wrong, in bounded time. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import { type ObjectView, objectOf } from '../../../../controller/types/object-view.js';
import { readInteger } from '../../../../controller/types/read.js';
import { computeRecipe } from '../../../../format/recipe/recipe.js';
import type { Value } from '../../../../controller/types/value.js';
import { renderValue } from '../../../../controller/types/render.js';
import type { Entry, WalkedMapView } from '../../../../controller/types/view.js';
import { viewOf } from '../../../../controller/types/views.js';
import { walkEntries } from '../../../../controller/types/walked.js';
import { type Absent, isAbsent } from '../../../../format/absent.js';
import { defaultLimits } from '../../../../format/limits.js';
import type { MemoryReader } from '../../../../format/memory.js';
import { withBytes, withWord, wordAt } from '../../../support/changed-memory.js';
import { compileNative, go } from '../../../support/compile-native.js';
import { type CoreFile, crashCore } from '../../../support/core.js';
import { newerGo } from '../../../support/fixtures.js';
import { localNamed } from '../../../support/locals.js';
import { sentWalks } from '../../../support/view-walks.js';
import { repositoryRoot } from '../../../support/paths.js';

const source = readFileSync(join(repositoryRoot, 'native-fixtures/go-values/values.go'), 'utf8');

interface FoundMap {
  readonly view: WalkedMapView;
  readonly object: ObjectView;
}

function mapNamed(snapshot: Snapshot, name: string): FoundMap {
  const { type, place } = localNamed(snapshot, 'main.maps', name);
  const view = viewOf(type);
  if (view?.kind !== 'map') throw new Error(`${name} is shown as ${view?.kind}`);
  return { view, object: objectOf({ type, place }) };
}

function walkAll({ view, object }: FoundMap, memory: MemoryReader): { entries: Entry[]; problems: Absent[] } {
  const entries: Entry[] = [];
  const problems: Absent[] = [];
  for (const item of walkEntries(view, object, { memory, maxElements: 100_000 })) {
    if (isAbsent(item)) problems.push(item);
    else entries.push(item);
  }
  return { entries, problems };
}

function integer(value: Value, memory: MemoryReader): bigint {
  const read = readInteger(value, memory);
  if (isAbsent(read)) throw new Error(read.detail);
  return read;
}

function text(value: Value, memory: MemoryReader): string {
  return renderValue(value, { memory, limits: defaultLimits }).text ?? '';
}

function pointerOf({ object }: FoundMap, memory: MemoryReader): bigint {
  const pointer = computeRecipe({ op: 'field', offset: 0, size: 8 }, object, memory);
  if (isAbsent(pointer)) throw new Error(pointer.detail);
  return pointer;
}

const toolchains = [
  ['until Go 1.23', () => go('-gcflags=-N -l')],
  ['since Go 1.24', () => ({ ...go('-gcflags=-N -l'), command: newerGo().go })],
] as const;

describe.each(toolchains)('maps %s', (which, toolchain) => {
  const isClassic = which === 'until Go 1.23';
  let core: CoreFile;
  let snapshot: Snapshot;

  beforeAll(() => {
    const program = compileNative(source, 'values', toolchain());
    core = crashCore('/usr/bin/env', ['GOTRACEBACK=crash', program]);
    snapshot = openSnapshot(core.path);
  });

  afterAll(() => {
    snapshot[Symbol.dispose]();
    core[Symbol.dispose]();
  });

  test('has every element once: ten thousand, while growing, after deletions', () => {
    const { memory } = snapshot;
    const rows = [
      ['huge', 0, 10_000],
      ['hundred', 0, 100],
      ['deleted', 40, 50],
    ] as const;
    for (const [name, from, to] of rows) {
      const { entries, problems } = walkAll(mapNamed(snapshot, name), memory);
      expect(problems).toEqual([]);
      const found = entries.map(({ key, value }) => [integer(key, memory), text(value, memory)] as const);
      found.sort(([a], [b]) => Number(a - b));
      const wanted = Array.from({ length: to - from }, (_, i) => [BigInt(from + i), `v${from + i}`]);
      expect(found).toEqual(wanted);
    }
    const grow = mapNamed(snapshot, 'grow');
    // `oldbuckets` of runtime.hmap.
    if (isClassic) expect(wordAt(memory, pointerOf(grow, memory) + 24n)).not.toBe(0n);
    const squares = walkAll(grow, memory);
    expect(squares.problems).toEqual([]);
    const pairs = squares.entries.map(
      ({ key, value }) => [integer(key, memory), integer(value, memory)] as const,
    );
    expect(pairs.length).toBe(833);
    expect(new Set(pairs.map(([key]) => key)).size).toBe(833);
    expect(pairs.every(([key, value]) => value === key * key)).toBe(true);
  });

  test('walks can be sent, and find the same there', () => {
    const values = ['eight', 'grow', 'huge'].map((name) => localNamed(snapshot, 'main.maps', name));
    const channel = localNamed(snapshot, 'main.channels', 'full');
    const map = isClassic ? 'go-map' : 'go-swiss-map';
    expect(sentWalks([...values, channel], snapshot.memory)).toEqual(['channel', map]);
  });

  test('a length that is wrong is said', () => {
    const { memory } = snapshot;
    for (const name of ['huge', 'grow', 'eight', 'one']) {
      const map = mapNamed(snapshot, name);
      const at = pointerOf(map, memory);
      const count = wordAt(memory, at);
      for (const [wrong, message] of [
        [count + 1n, `${count} entries where ${count + 1n} are said to be`],
        [count - 1n, count === 1n ? undefined : `more than ${count - 1n} entries`],
      ] as const) {
        const { entries, problems } = walkAll(map, withWord(memory, at, wrong));
        expect(entries.length).toBe(Number(wrong > count ? count : wrong));
        expect(problems.map(({ detail }) => detail)).toEqual(
          message === undefined ? [] : [`corrupt: ${message}`],
        );
      }
    }
  });

  test('nonsense in the header ends at once', () => {
    const { memory } = snapshot;
    const map = mapNamed(snapshot, 'huge');
    const at = pointerOf(map, memory);
    // `buckets` of runtime.hmap; `dirPtr` and `dirLen` of maps.Map.
    const words = isClassic ? [16n] : [16n, 24n];
    for (const offset of words) {
      for (const value of [1n, 0x10n, at, 0xdead_beef_0000n, (1n << 64n) - 8n]) {
        if (value === wordAt(memory, at + offset)) continue;
        const started = performance.now();
        const { entries, problems } = walkAll(map, withWord(memory, at + offset, value));
        expect(problems.length).toBeGreaterThan(0);
        expect(entries.length).toBeLessThan(10_000);
        expect(performance.now() - started).toBeLessThan(20_000);
      }
    }
    if (!isClassic) return;
    for (const B of [60, 30, 0]) {
      const started = performance.now();
      const { problems } = walkAll(map, withBytes(memory, new Map([[at + 9n, B]])));
      expect(problems.length).toBeGreaterThan(0);
      expect(performance.now() - started).toBeLessThan(20_000);
    }
  });

  test('any bytes changed: no endless walk, no exception, never more than the length', () => {
    const { memory } = snapshot;
    let seed = 7;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    for (const name of ['grow', 'hundred', 'bigKeys', 'nestedMap', 'interfaceKeys']) {
      const map = mapNamed(snapshot, name);
      const at = pointerOf(map, memory);
      const first = wordAt(memory, at + 16n);
      for (let round = 0; round < 60; round++) {
        const changed = new Map<bigint, number>();
        for (let i = 0; i < 4; i++) {
          const [base, size] = random(2) === 0 ? [at, 48] : [first, 400];
          changed.set(base + BigInt(random(size)), random(256));
        }
        const broken = withBytes(memory, changed);
        const started = performance.now();
        const { entries } = walkAll(map, broken);
        const length =
          map.view.length === undefined ? 0n : computeRecipe(map.view.length, map.object, broken);
        if (isAbsent(length)) expect(entries).toEqual([]);
        else expect(BigInt(entries.length)).toBeLessThanOrEqual(length);
        expect(performance.now() - started).toBeLessThan(30_000);
      }
    }
  });

  test('a chain that comes back ends', () => {
    const { memory } = snapshot;
    if (!isClassic) return;
    const map = mapNamed(snapshot, 'eight');
    const bucket = wordAt(memory, pointerOf(map, memory) + 16n);
    // `overflow` of a bucket of map[int]int: after 8 marks, 8 keys and 8 values.
    const { entries, problems } = walkAll(map, withWord(memory, bucket + 136n, bucket));
    expect(entries.length).toBe(8);
    expect(problems.map(({ detail }) => detail)).toEqual(['corrupt: its buckets lead in a circle']);
  });

  test('memory that is not there is said, and the rest is shown', () => {
    const { memory } = snapshot;
    const map = mapNamed(snapshot, 'huge');
    const at = pointerOf(map, memory);
    let left = 40;
    const partial: MemoryReader = {
      read(address, length) {
        if (address === at || left-- > 0) return memory.read(address, length);
        return { absent: 'not-captured', detail: 'was not captured', address };
      },
    };
    const { entries, problems } = walkAll(map, partial);
    expect(entries.length).toBeGreaterThan(10);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThan(40);
    expect(problems.every((each) => each.absent === 'not-captured')).toBe(true);
  });
});
