/** Values of Go with words of them changed: what contradicts itself is said to be corrupt, what leads nowhere to be unreadable, and nothing is made up. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { typeOfDescriptor } from '../../../../controller/snapshot/type-descriptors.js';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import { renderValue } from '../../../../controller/types/render.js';
import type { ValueDocument } from '../../../../controller/types/value-document.js';
import type { Value } from '../../../../controller/types/value.js';
import { defaultLimits } from '../../../../format/limits.js';
import type { MemoryReader } from '../../../../format/memory.js';
import { withWord, wordAt } from '../../../support/changed-memory.js';
import { compileNative, go } from '../../../support/compile-native.js';
import { type CoreFile, crashCore } from '../../../support/core.js';
import { localNamed } from '../../../support/locals.js';
import { repositoryRoot } from '../../../support/paths.js';

const source = readFileSync(join(repositoryRoot, 'native-fixtures/go-values/values.go'), 'utf8');

describe('corrupt values of Go', () => {
  let core: CoreFile;
  let snapshot: Snapshot;

  beforeAll(() => {
    core = crashCore('/usr/bin/env', [
      'GOTRACEBACK=crash',
      compileNative(source, 'values', go('-gcflags=-N -l')),
    ]);
    snapshot = openSnapshot(core.path);
  });

  afterAll(() => {
    snapshot[Symbol.dispose]();
    core[Symbol.dispose]();
  });

  function render(value: Value, memory: MemoryReader): ValueDocument {
    return renderValue(value, {
      memory,
      limits: defaultLimits,
      typeOfDescriptor: (address, kind) => typeOfDescriptor(snapshot, address, kind),
    });
  }

  /** The value, and its address. */
  function local(functionName: string, name: string): { value: Value; at: bigint } {
    const value = localNamed(snapshot, functionName, name);
    if (value.place.kind !== 'memory') throw new Error(`${name} is in no memory`);
    return { value, at: value.place.address };
  }

  const minusOne = (1n << 64n) - 1n;

  test.each([
    ['main.strs', 'short', 8n, minusOne],
    ['main.strs', 'short', 8n, 1n << 50n],
    ['main.strs', 'ints', 8n, 4n],
    ['main.strs', 'ints', 8n, minusOne],
    ['main.strs', 'hugeSlice', 8n, 100_001n],
    ['main.interfaces', 'anyPoint', 8n, 0n],
  ])('%s: %s, word at %s is %s', (functionName, name, offset, word) => {
    const { value, at } = local(functionName, name);
    const document = render(value, withWord(snapshot.memory, at + offset, word));
    expect(document.absent).toMatchObject({
      reason: 'unreadable',
      detail: expect.stringContaining('corrupt'),
    });
    expect(document.elements ?? []).toEqual([]);
    expect(document.text).toBeUndefined();
  });

  test.each([
    ['main.strs', 'short', 0n],
    ['main.interfaces', 'anyPoint', 0n],
    ['main.interfaces', 'problem', 0n],
    ['main.channels', 'full', 0n],
    ['main.maps', 'one', 0n],
    ['main.functions', 'closure', 0n],
  ])('%s: %s leads nowhere', (functionName, name, offset) => {
    const { value, at } = local(functionName, name);
    const document = render(value, withWord(snapshot.memory, at + offset, 0x1234_5678_9ab8n));
    expect(document.absent?.reason).toMatch(/unreadable|not-captured/);
    expect(document.text ?? '').not.toMatch(/hello|Point|Problem|func/);
  });

  test('an interface whose descriptor is that of no type, and of another one', () => {
    const { value, at } = local('main.interfaces', 'anyPoint');
    const descriptor = wordAt(snapshot.memory, at);
    const off = render(value, withWord(snapshot.memory, at, descriptor + 8n));
    expect(off.absent).toMatchObject({ reason: 'no-debug-info' });
    // The size that the descriptor says is not that of the type.
    const size = render(value, withWord(snapshot.memory, descriptor, 24n));
    expect(size.absent).toMatchObject({ detail: 'corrupt: the descriptor is not that of main.Point' });
  });

  test('a channel whose ring contradicts itself', () => {
    const { value, at } = local('main.channels', 'full');
    const channel = wordAt(snapshot.memory, at);
    // `qcount` at 0, `dataqsiz` at 8 and `recvx` at 48 of runtime.hchan.
    for (const [offset, word] of [
      [0n, 3n],
      [8n, 1n],
      [8n, 0n],
      [8n, 1n << 60n],
      [48n, 2n],
    ] as const) {
      const document = render(value, withWord(snapshot.memory, channel + offset, word));
      expect(document.absent, `${offset} is ${word}`).toMatchObject({ reason: 'unreadable' });
      expect(document.elements ?? []).toEqual([]);
    }
  });
});
