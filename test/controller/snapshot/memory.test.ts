import { describe, expect, test } from 'vitest';
import { x86_64Machine } from '../../../format/registers/x86-64.js';
import { SnapshotMemory } from '../../../controller/snapshot/memory.js';
import { SnapshotModule } from '../../../controller/snapshot/module.js';
import { ModuleTable } from '../../../controller/snapshot/module-table.js';
import { loadBias } from '../../../format/address.js';
import type { NoteMissing } from '../../../format/core/stillframe-note.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import { writeElf, type SegmentSpec } from '../../support/elf-writer.js';
import { memoryOf } from '../../support/memory.js';

const bias = 0x10_0000n;
const fill = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

const readOnly: SegmentSpec = { flags: 4, virtualAddress: 0x1000n, bytes: fill(0x1000, 0x11) };
const code: SegmentSpec = { flags: 5, virtualAddress: 0x2000n, bytes: fill(0x1000, 0x22) };
const data: SegmentSpec = {
  flags: 6,
  virtualAddress: 0x3000n,
  bytes: fill(0x1000, 0x33),
  memorySize: 0x2000n,
};

function memory(missing: readonly NoteMissing[] = [], extra: readonly SegmentSpec[] = []): SnapshotMemory {
  const image = openElf(bufferSource('module', writeElf({ segments: [readOnly, code, data, ...extra] })));
  const facts = {
    path: '/bin/module',
    file: '/bin/module',
    start: bias + 0x1000n,
    end: bias + 0x5000n,
    bias: loadBias(bias),
    buildId: undefined,
    deleted: false,
    image,
  };
  const noSymbols = (): never => {
    throw new Error('not wanted');
  };
  const modules = new ModuleTable([new SnapshotModule(facts, noSymbols, x86_64Machine)], []);
  const core = memoryOf([{ address: bias + 0x1800n, bytes: fill(16, 0x99) }]);
  return new SnapshotMemory({ memory: core, starts: [bias + 0x1800n] }, modules, missing);
}

test('what the core has goes before what the file has', () => {
  expect(memory().read(bias + 0x1800n, 16)).toEqual({ bytes: fill(16, 0x99), provenance: 'stopped' });
});

test('segments that are not writable come from the file', () => {
  expect(memory().read(bias + 0x1000n, 8)).toEqual({ bytes: fill(8, 0x11), provenance: 'file' });
  expect(memory().read(bias + 0x2ff8n, 8)).toEqual({ bytes: fill(8, 0x22), provenance: 'file' });
});

test('core and file are put together, and are as trustworthy as the weaker', () => {
  const read = memory().read(bias + 0x17fen, 20);
  expect(read).toEqual({
    bytes: Uint8Array.from([0x11, 0x11, ...fill(16, 0x99), 0x11, 0x11]),
    provenance: 'file',
  });
  expect(memory().read(bias + 0x1ff8n, 16)).toEqual({
    bytes: Uint8Array.from([...fill(8, 0x11), ...fill(8, 0x22)]),
    provenance: 'file',
  });
});

test.each([
  ['data', 0x3000n, 8],
  ['zero-initialised data', 0x4000n, 8],
  ['no module', 0x9000n, 8],
])('%s that was not captured is absent', (_, link, length) => {
  expect(memory().read(bias + link, length)).toEqual({
    absent: 'not-captured',
    detail: `${length} bytes at 0x${(bias + link).toString(16)} were not captured`,
    address: bias + link,
    length,
  });
});

test('what begins in the file and goes on in data is absent from the data on', () => {
  expect(memory().read(bias + 0x2ffcn, 8)).toMatchObject({
    absent: 'not-captured',
    address: bias + 0x3000n,
    length: 4,
  });
});

test('the note says why a range is missing', () => {
  const missing = [
    { path: 'c->argv', address: 0x5_0000n, length: 64, reason: 'unreadable' as const, detail: 'EFAULT' },
  ];
  expect(memory(missing).read(0x5_0010n, 8)).toEqual({
    absent: 'unreadable',
    detail: 'c->argv: EFAULT',
    address: 0x5_0010n,
    length: 8,
  });
});

test('what was redacted is absent, though the core has masked bytes there', () => {
  const missing = [
    {
      path: 'password',
      address: bias + 0x1804n,
      length: 4,
      reason: 'redacted' as const,
      detail: 'by policy',
    },
  ];
  expect(memory(missing).read(bias + 0x1800n, 8)).toMatchObject({
    absent: 'redacted',
    detail: 'password: by policy',
  });
  expect(memory(missing).read(bias + 0x1808n, 8)).toMatchObject({ provenance: 'stopped' });
});

describe('a file with relocations in code is of no use', () => {
  test.each([
    ['DT_TEXTREL', 22, 0],
    ['DT_FLAGS with DF_TEXTREL', 30, 4],
  ])('%s', (_, tag, value) => {
    const dynamic = new Uint8Array(32);
    dynamic.set([tag], 0);
    dynamic.set([value], 8);
    const load: SegmentSpec = { flags: 6, virtualAddress: 0x6000n, bytes: dynamic };
    const reader = memory([], [load, { ...load, type: 2 }]);
    expect(reader.read(bias + 0x1000n, 8)).toMatchObject({ absent: 'not-captured' });
  });
});

test('absurd wishes are refused', () => {
  expect(memory().read(0x1000n, 2 ** 40)).toMatchObject({ absent: 'limit' });
  expect(memory().read(2n ** 64n - 4n, 8)).toMatchObject({ absent: 'unreadable' });
});
