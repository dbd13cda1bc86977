import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LazyBytes } from '../../../controller/dwarf/lazy-bytes.js';
import { openFileSource } from '../../../controller/snapshot/file-source.js';
import type { ByteSource } from '../../../format/byte-source.js';

const size = (5 << 20) / 2 + 123;
const contents = Uint8Array.from({ length: size }, (_, i) => (i % 251) + 1);
let reads: [number, number][];
const source: ByteSource = {
  name: 'section',
  size,
  read(offset, length) {
    reads.push([offset, length]);
    return contents.subarray(offset, offset + length);
  },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-lazy-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('what is loaded is true, once, and nothing else is read', () => {
  reads = [];
  const lazy = new LazyBytes(source);
  lazy.load(5000, 5001);
  lazy.load(4096, 9000);
  lazy.load(5000, 8000);
  expect(reads).toEqual([
    [4096, 4096],
    [8192, 4096],
  ]);
  expect(lazy.bytes.subarray(4096, 12288)).toEqual(contents.subarray(4096, 12288));
  expect(lazy.bytes.subarray(0, 4096).every((byte) => byte === 0)).toBe(true);
  lazy.load(-10, size + 10_000);
  expect(Buffer.from(lazy.bytes).equals(contents)).toBe(true);
});

test.each([0, (1 << 20) - 3, 1 << 20, (2 << 20) - 1, size - 8])(
  'bytes that stand at %d are found, once, also where two pieces meet',
  (at) => {
    reads = [];
    const needle = Uint8Array.from([255, 254, 253, 252, 255, 254, 253, 252]);
    const marked = contents.slice();
    marked.set(needle, at);
    const lazy = new LazyBytes({
      ...source,
      read: (offset, length) => marked.subarray(offset, offset + length),
    });
    expect([...lazy.search(needle)]).toEqual([at]);
    expect([...lazy.search(Uint8Array.from([0]))]).toEqual([]);
    expect(lazy.bytes.every((byte) => byte === 0)).toBe(true);
  },
);

test('a file that was changed meanwhile gives no more bytes', () => {
  const path = join(folder, 'section');
  writeFileSync(path, contents);
  using file = openFileSource(path);
  const lazy = new LazyBytes(file);
  lazy.load(0, 1);
  writeFileSync(
    path,
    contents.map((byte) => byte ^ 1),
  );
  utimesSync(path, 1000, 1000);
  expect(() => lazy.load(5000, 5001)).toThrow(`cannot read "${path}": it was changed since it was opened`);
  lazy.load(0, 1);
  expect(lazy.bytes[0]).toBe(1);
});
