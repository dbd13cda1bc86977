/** The cache of symbol indexes: what is damaged, foreign or dangerous is never used, and what is used answers as the file itself does. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DebugInfo } from '../../../controller/dwarf/unit.js';
import { sectionsOf } from '../../../controller/dwarf/sections.js';
import { buildIndex } from '../../../controller/symbols/build-index.js';
import { IndexBuilder } from '../../../controller/symbols/index-builder.js';
import { identityOf, IndexCache, indexCacheFrom } from '../../../controller/symbols/index-cache.js';
import {
  hashOf,
  tableNames,
  type IndexIdentity,
  type IndexTable,
} from '../../../controller/symbols/symbol-index.js';
import { openFileSource } from '../../../controller/snapshot/file-source.js';
import { openElf } from '../../../format/elf/open.js';
import { StillframeError } from '../../../format/error.js';
import { compileFixture } from '../../support/compile.js';

let folder: string;
let program: string;
let tables: Record<IndexTable, Uint32Array>;
let identity: IndexIdentity;
let logged: string[];
const maxBytes = 1 << 24;

const cacheOf = (bytes = maxBytes): IndexCache =>
  new IndexCache({ folder, maxBytes: bytes }, (message) => void logged.push(message));

beforeAll(() => {
  program = compileFixture('frames/stack.c', {
    cc: 'gcc',
    flags: ['-g', '-w', '-pthread', '-Wl,--build-id'],
  });
  using source = openFileSource(program);
  const elf = openElf(source);
  tables = buildIndex(new DebugInfo(sectionsOf(elf, program)));
  identity = identityOf(elf) ?? expect.unreachable('no identity');
});

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'stillframe-index-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
beforeEach(() => {
  folder = join(scratch, 'symbols');
  logged = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const files = (): string[] => readdirSync(folder).toSorted();
const only = (): string => join(folder, files()[0] ?? '');
const other = (size: number): IndexIdentity => ({
  ...identity,
  buildId: size.toString(16).padStart(4, '0'),
  size,
});

function rowsOf(cache: IndexCache): Record<string, number> | undefined {
  const opened = cache.open(identity);
  if (opened === undefined) return undefined;
  return Object.fromEntries(tableNames.map((name) => [name, [...opened.index.all(name)].length]));
}

test('what was written is found, in a folder of its owner alone', () => {
  cacheOf().write(identity, tables);
  expect(files()).toEqual([`${identity.buildId}-${identity.size}.index`]);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(statSync(only()).mode & 0o777).toBe(0o600);
  expect(rowsOf(cacheOf())?.['names']).toBe(tables.names.length / 3);
  const { index } = cacheOf().open(identity) ?? expect.unreachable('no index');
  expect(index.find('names', hashOf('main')).length).toBeGreaterThan(0);
  expect(index.find('names', hashOf('nobody has this name'))).toEqual([]);
  expect(logged).toEqual([]);
});

describe('a file that is not sound is told, removed and not used', () => {
  const edit = (change: (bytes: Buffer) => Buffer | void) => (): void => {
    const bytes = readFileSync(only());
    writeFileSync(only(), change(bytes) ?? bytes);
  };
  test.each([
    ['empty', edit(() => Buffer.alloc(0)), 'it has 0 bytes'],
    ['another kind of file', edit((bytes) => void bytes.write('SQLite')), 'it is no index'],
    [
      'of an older version',
      edit((bytes) => void bytes.writeUInt32LE(0, 8)),
      'it has version 0, and 1 is meant',
    ],
    [
      'of a newer version',
      edit((bytes) => void bytes.writeUInt32LE(9, 8)),
      'it has version 9, and 1 is meant',
    ],
    [
      'an absurd description',
      edit((bytes) => void bytes.writeUInt32LE(0xffff_fff0, 12)),
      /and its description 4294967280/,
    ],
    [
      'a changed description',
      edit((bytes) => void bytes.writeUInt8(0x20, 30)),
      'the checksum of its description is wrong',
    ],
    ['cut short', edit((bytes) => bytes.subarray(0, -4)), /it has \d+ bytes instead of \d+/],
    ['longer', edit((bytes) => Buffer.concat([bytes, Buffer.alloc(4)])), /it has \d+ bytes instead of \d+/],
  ])('%s', (_, damage, reason) => {
    cacheOf().write(identity, tables);
    damage();
    const path = only();
    expect(cacheOf().open(identity)).toBeUndefined();
    expect(logged).toHaveLength(1);
    const [line = ''] = logged;
    expect(line).toContain(`cannot use the symbol index "${path}": `);
    expect(line).toMatch(reason);
    expect(line).toMatch(/: it is made anew$/);
    expect(files()).toEqual([]);
  });

  test('a changed byte of any block', () => {
    cacheOf().write(identity, tables);
    const path = only();
    const bytes = readFileSync(path);
    bytes.writeUInt8((bytes.at(-1) ?? 0) ^ 1, bytes.length - 1);
    writeFileSync(path, bytes);
    const opened = cacheOf().open(identity);
    expect(() => [...(opened?.index.all('files') ?? [])]).toThrow(/the checksum of block \d+ is wrong/);
    opened?.damaged('cannot use it');
    expect(files()).toEqual([]);
    expect(logged).toEqual(['cannot use it: it is made anew']);
  });

  test('of another file', () => {
    cacheOf().write({ ...identity, sections: [1, 2, 3, 4, 5] }, tables);
    expect(cacheOf().open(identity)).toBeUndefined();
    expect(logged[0]).toMatch(/it is of another file: it is made anew$/);
  });

  test('of another build in its place', () => {
    cacheOf().write(other(7), tables);
    copyFileSync(only(), join(folder, `${identity.buildId}-${identity.size}.index`));
    expect(cacheOf().open(identity)).toBeUndefined();
    expect(logged[0]).toMatch(/it is of another file: it is made anew$/);
  });

  test.each([
    ['that others may read or write', (path: string): void => chmodSync(path, 0o644)],
    [
      'that is a link',
      (path: string): void => {
        copyFileSync(path, join(scratch, 'elsewhere'));
        rmSync(path);
        symlinkSync(join(scratch, 'elsewhere'), path);
      },
    ],
    [
      'that is a folder',
      (path: string): void => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
  ])('one %s', (_, change) => {
    cacheOf().write(identity, tables);
    change(only());
    expect(cacheOf().open(identity)).toBeUndefined();
    expect(logged).toEqual([expect.stringMatching(/it is not a file of ours alone: it is made anew$/)]);
    expect(files()).toEqual([]);
  });
});

describe('a folder that others could write to is not used', () => {
  test.each([
    ['its mode', (): void => chmodSync(folder, 0o777), /is not used: others may use it \(mode 777\)$/],
    ['its owner', (): void => chown(folder), /is not used: it belongs to user 65534$/],
    [
      'a folder above it',
      (): void => chmodSync(scratch, 0o777),
      /is not used: others may write to ".*" above it$/,
    ],
  ])('%s', (_, change, reason) => {
    cacheOf().write(identity, tables);
    change();
    const cache = cacheOf();
    expect(cache.open(identity)).toBeUndefined();
    cache.write(identity, tables);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatch(reason);
    chmodSync(scratch, 0o700);
  });
});

test('what was used least recently goes first; what does not fit is not kept', () => {
  const size = (): number => statSync(only()).size;
  cacheOf().write(other(1), tables);
  const bytes = size();
  const roomForThree = bytes * 3 + bytes / 2;
  const cache = cacheOf(roomForThree);
  cache.write(other(2), tables);
  cache.write(other(3), tables);
  for (const [i, name] of files().entries()) utimesSync(join(folder, name), 1000 + i, 1000);
  expect(cache.open(other(1))).toBeDefined();
  cache.write(other(4), tables);
  expect(files()).toEqual(['0001-1.index', '0003-3.index', '0004-4.index']);
  cacheOf(bytes - 1).write(other(5), tables);
  expect(files()).toEqual(['0001-1.index', '0003-3.index', '0004-4.index']);
  expect(logged).toEqual([
    expect.stringMatching(/^a symbol index of \d+ bytes is not kept: the cache holds \d+$/),
  ]);
});

test('what a killed writer left is removed when it is old', () => {
  mkdirSync(folder, { mode: 0o700 });
  for (const name of ['old.partial', 'new.partial']) writeFileSync(join(folder, name), 'half');
  utimesSync(join(folder, 'old.partial'), 1000, 1000);
  cacheOf().write(identity, tables);
  expect(files()).toEqual([`${identity.buildId}-${identity.size}.index`, 'new.partial']);
});

async function killed(child: ReturnType<typeof spawn>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

test('several processes write and read at once, and are killed: every file is whole, or not there', async () => {
  const child = fileURLToPath(new URL('./index-cache-child.js', import.meta.url));
  const roundMs = 1500;
  const patienceMs = 60_000;
  const start = (): ReturnType<typeof spawn> =>
    spawn(process.execPath, [child, folder, program], { stdio: ['ignore', 'ignore', 'inherit'] });
  /** Replaced between two reads of one question is as good as not there. */
  const isReplaced = (reason: string): boolean =>
    reason.includes('it was replaced or changed since it was opened');
  const canRead = (): boolean => {
    try {
      return rowsOf(cacheOf()) !== undefined;
    } catch (error) {
      if (error instanceof StillframeError && isReplaced(error.message)) return false;
      throw error;
    }
  };
  let read = 0;
  for (let round = 0; round < 3; round++) {
    const children = [start(), start()];
    const began = Date.now();
    try {
      // The first of them have a file to write, for which a busy machine may need longer.
      while (
        children.every(({ exitCode }) => exitCode === null) &&
        Date.now() - began < (read === 0 ? patienceMs : roundMs)
      ) {
        if (canRead()) read += 1;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect(children.map(({ exitCode }) => exitCode)).toEqual([null, null]);
    } finally {
      await Promise.all(children.map((each) => killed(each)));
    }
  }
  expect(read).toBeGreaterThan(0);
  expect(rowsOf(cacheOf())?.['names']).toBe(tables.names.length / 3);
  expect(logged.filter((line) => !isReplaced(line))).toEqual([]);
});

test('a thread makes what is wanted, once; a file that has changed since is not indexed', async () => {
  const builder = new IndexBuilder({ folder, maxBytes }, (message) => void logged.push(message));
  builder.want(program, { ...identity, size: identity.size + 1 });
  builder.want('/nowhere', other(1));
  builder.want(program, identity);
  builder.want(program, identity);
  await builder.idle();
  expect(files()).toEqual([`${identity.buildId}-${identity.size}.index`]);
  expect(rowsOf(cacheOf())?.['names']).toBe(tables.names.length / 3);
  expect(logged).toEqual([]);
});

test.each([
  [{ XDG_CACHE_HOME: '/x' }, { folder: '/x/stillframe/symbols', maxBytes: 1024 ** 3 }],
  [{ HOME: '/h' }, { folder: '/h/.cache/stillframe/symbols', maxBytes: 1024 ** 3 }],
  [
    { STILLFRAME_SYMBOL_CACHE: '/c', STILLFRAME_SYMBOL_CACHE_SIZE: '20M' },
    { folder: '/c', maxBytes: 20 * 1024 ** 2 },
  ],
  [{ HOME: '/h', STILLFRAME_SYMBOL_CACHE: 'off' }, undefined],
])('the environment says where it is: %o', (environment, expected) => {
  expect(indexCacheFrom(environment)).toEqual(expected);
});

function chown(path: string): void {
  chownSync(path, 65534, 65534);
}
