import * as fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { crc32 as zlibCrc32, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { crc32, crc64 } from '../../../format/compress/checksum.js';
import { decompressXz } from '../../../format/compress/xz.js';
import { decompressZstd } from '../../../format/compress/zstd.js';
import { StillframeError } from '../../../format/error.js';
import { thrown } from '../../support/thrown.js';

const text = (words: number): Buffer =>
  Buffer.from(Array.from({ length: words }, (_, i) => `word${(i * i) % 977} `).join(''));

/** Contents that lead a compressor to each of its ways: raw, run-length and compressed blocks, long matches, far ones. */
const contents: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ['nothing', new Uint8Array()],
  ['one byte', Uint8Array.of(7)],
  ['zeros', new Uint8Array(700_000)],
  ['noise', randomBytes(300_000)],
  ['text', text(60_000)],
  ['few symbols', Uint8Array.from(randomBytes(200_000), (byte) => byte & 3)],
  ['a far match', Buffer.concat([randomBytes(400_000), text(100), randomBytes(1000), text(100)])],
  ['a program', readFileSync(process.execPath).subarray(4_000_000, 4_500_000)],
];

const compress = (command: string, args: readonly string[], input: Uint8Array): Uint8Array =>
  execFileSync(command, [...args, '-c'], { input, maxBuffer: 1 << 28 });

describe('zstd', () => {
  const levels = ['-1', '-3', '-9', '-19', '--fast=5', '--check'];
  test.each(levels.flatMap((level) => contents.map(([name, bytes]) => [level, name, bytes] as const)))(
    'zstd %s of %s',
    (level, _, bytes) => {
      const packed = compress('zstd', ['-q', level], bytes);
      expect(Buffer.compare(decompressZstd(packed, bytes.length, 'x'), bytes)).toBe(0);
    },
  );

  test('several frames, some to be skipped', () => {
    const skipped = Uint8Array.of(0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
    const packed = Buffer.concat([
      compress('zstd', ['-q'], text(100)),
      skipped,
      compress('zstd', ['-q'], text(50)),
    ]);
    const expected = Buffer.concat([text(100), text(50)]);
    expect(decompressZstd(packed, expected.length, 'x')).toEqual(new Uint8Array(expected));
  });

  const packed = compress('zstd', ['-q'], text(1000));
  const { length } = text(1000);
  test.each<[string, () => unknown, string]>([
    [
      'no magic',
      () => decompressZstd(text(10), 5, 'x'),
      'bad-data: cannot parse x: no zstd magic at offset 0x0',
    ],
    [
      'longer than it says',
      () => decompressZstd(packed, length - 1, 'x'),
      expect.stringMatching(
        `^bad-data: cannot parse x: more than ${length - 1} bytes after decompression at`,
      ),
    ],
    [
      'shorter than it says',
      () => decompressZstd(packed, length + 1, 'x'),
      expect.stringMatching(
        `^bad-data: cannot parse x: ${length} bytes after decompression instead of ${length + 1} at`,
      ),
    ],
    [
      'a bomb',
      () => decompressZstd(packed, 2 ** 40, 'x'),
      `bad-data: cannot parse x: ${packed.length} compressed bytes cannot give ${2 ** 40} at offset 0x0`,
    ],
  ])('error: %s', (_, action, message) => {
    expect(thrown(action)).toEqual(message);
  });

  test('mutated frames give bytes or a bad-data error', () => {
    mutate(packed, (bytes) => decompressZstd(bytes, length, 'x').length);
  });
});

describe('xz', () => {
  const options = [
    ['-0'],
    ['-6'],
    ['-9e'],
    ['--check=none'],
    ['--check=crc32'],
    ['--block-size=65536'],
    ['--lzma2=preset=6,lc=0,lp=4,pb=0'],
    ['--lzma2=preset=6,lc=4,lp=0,pb=4'],
  ];
  test.each(options.flatMap((args) => contents.map(([name, bytes]) => [args, name, bytes] as const)))(
    'xz %j of %s',
    (args, _, bytes) => {
      const packed = compress('xz', ['-q', ...args], bytes);
      expect(Buffer.compare(decompressXz(packed, 1 << 24, 'x'), bytes)).toBe(0);
    },
  );

  test('several streams, with padding', () => {
    const packed = Buffer.concat([
      compress('xz', [], text(100)),
      Buffer.alloc(8),
      compress('xz', [], text(50)),
    ]);
    expect(decompressXz(packed, 1 << 20, 'x')).toEqual(new Uint8Array(Buffer.concat([text(100), text(50)])));
  });

  const packed = compress('xz', [], text(1000));
  const changed = Buffer.from(packed);
  changed[changed.length - 40] = (changed[changed.length - 40] ?? 0) ^ 1;
  test.each<[string, () => unknown, unknown]>([
    [
      'no magic',
      () => decompressXz(text(10), 100, 'x'),
      'bad-data: cannot parse x: no xz magic at offset 0x0',
    ],
    [
      'more than is wanted',
      () => decompressXz(packed, 1000, 'x'),
      'limit: cannot read x: it has more than 1000 bytes',
    ],
    [
      'a byte changed',
      () => decompressXz(changed, 1 << 20, 'x'),
      expect.stringMatching(/^bad-data: cannot parse x: /),
    ],
    [
      'SHA-256',
      () => decompressXz(compress('xz', ['--check=sha256'], text(10)), 1000, 'x'),
      'unsupported: cannot read x: xz with check 10 is not supported',
    ],
    [
      'another filter',
      () => decompressXz(compress('xz', ['--x86', '--lzma2'], text(10)), 1000, 'x'),
      'unsupported: cannot read x: xz with filter 0x4 is not supported',
    ],
  ])('error: %s', (_, action, message) => {
    expect(thrown(action)).toEqual(message);
  });

  test('mutated streams give bytes or a bad-data error', () => {
    mutate(packed, (bytes) => decompressXz(bytes, 1 << 20, 'x').length);
  });
});

/** Runs `read` on changed and shortened copies. */
function mutate(packed: Uint8Array, read: (bytes: Uint8Array) => number): void {
  const edits = fc.array(fc.tuple(fc.nat(packed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(edits, fc.option(fc.nat(packed.length), { freq: 3 }), (changes, cut) => {
      const bytes = packed.slice();
      for (const [at, value] of changes) bytes[at] = value;
      try {
        expect(read(bytes.subarray(0, cut ?? bytes.length))).toBeLessThanOrEqual(1 << 20);
      } catch (error) {
        if (!(error instanceof StillframeError)) throw error;
        expect(['bad-data', 'limit', 'unsupported']).toContain(error.code);
      }
    }),
    { numRuns: 2000 },
  );
}

describe('checksums', () => {
  test('CRC-32 is that of gzip, in one piece or in two', () => {
    const bytes = text(500);
    const expected = gzipSync(bytes).readUInt32LE(gzipSync(bytes).length - 8);
    expect(crc32(bytes)).toBe(expected);
    expect(crc32(bytes.subarray(100), crc32(bytes.subarray(0, 100)))).toBe(expected);
    if (typeof zlibCrc32 === 'function') expect(zlibCrc32(bytes)).toBe(expected);
  });

  test('CRC-64 has the check value of its catalogue', () => {
    expect(crc64(Buffer.from('123456789'))).toBe(0x995d_c9bb_df19_39fan);
  });
});
