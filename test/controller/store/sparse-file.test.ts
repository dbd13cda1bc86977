import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copySparse, endSparse, writeSparse } from '../../../controller/store/sparse-file.js';

const page = 4096;
const blockBytes = 512;
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-sparse-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Pages, `x` with something in them. */
function pages(pattern: string, rest = 0): Buffer {
  const bytes = Buffer.alloc(pattern.length * page + rest);
  for (let i = 0; i < pattern.length; i++) if (pattern[i] === 'x') bytes[i * page + 77] = 1 + (i % 200);
  return bytes;
}

const storedPages = (path: string): number => (statSync(path).blocks * blockBytes) / page;

test.each([
  { pattern: 'x', stored: 1 },
  { pattern: '.', stored: 0 },
  { pattern: 'x..x', stored: 2 },
  { pattern: '...xx....', stored: 2 },
  { pattern: `${'.'.repeat(600)}x${'.'.repeat(600)}`, stored: 1 },
])('$pattern takes $stored pages, and reads as it was', ({ pattern, stored }) => {
  const bytes = pages(pattern);
  const from = join(folder, 'from');
  writeFileSync(from, bytes);
  const to = join(folder, 'to');
  copySparse(from, to, { isPlain: true });
  expect(readFileSync(to).equals(bytes)).toBe(true);
  expect(storedPages(to)).toBe(stored);
});

test('pieces of any length are joined', () => {
  const bytes = pages('x..x.....x....', 100);
  const path = join(folder, 'pieces');
  const fd = openSync(path, 'w');
  const lengths = [1, 5000, 4095, 4096, 13, 9999, 1];
  let position = 0;
  for (let i = 0; position < bytes.length; i++) {
    const piece = bytes.subarray(position, position + (lengths[i % lengths.length] ?? 1));
    writeSparse(fd, piece, position);
    position += piece.length;
  }
  endSparse(fd, position);
  closeSync(fd);
  expect(readFileSync(path).equals(bytes)).toBe(true);
  expect(storedPages(path)).toBeLessThanOrEqual(4);
});

test('what was there before is gone', () => {
  const from = join(folder, 'from');
  const to = join(folder, 'to');
  writeFileSync(from, pages('.'));
  writeFileSync(to, pages('xxxx'));
  copySparse(from, to, { isPlain: true });
  expect(readFileSync(to).equals(pages('.'))).toBe(true);
});

test('a device gets all of it', () => {
  const from = join(folder, 'from');
  writeFileSync(from, pages('x.'));
  copySparse(from, '/dev/null', { isPlain: false });
});
