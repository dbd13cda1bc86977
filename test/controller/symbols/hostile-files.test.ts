import * as fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { PackageIndex } from '../../../controller/dwarf/package-index.js';
import { noDebugFiles } from '../../../controller/symbols/debug-file-opener.js';
import { openModuleSymbols, type ModuleDebugFiles } from '../../../controller/symbols/open.js';
import { linkAddress } from '../../../format/address.js';
import { absent } from '../../../format/absent.js';
import { ByteWriter } from '../../../format/bytes.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import type { ElfFile } from '../../../format/elf/file.js';
import { StillframeError } from '../../../format/error.js';
import { source } from './programs.js';

const root = mkdtempSync(join(tmpdir(), 'stillframe-hostile-'));
afterAll(() => rmSync(root, { recursive: true }));

function run(command: string, ...args: readonly string[]): void {
  execFileSync(command, args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
}

const bytesOf = (name: string): Uint8Array => readFileSync(join(root, name));
const open = (name: string, bytes: Uint8Array): ElfFile => openElf(bufferSource(name, bytes));

/** Every kind of question that leads into other files. */
function askEverything(elf: ElfFile, files: ModuleDebugFiles): void {
  const frames = { findRow: () => absent('unwind-failed', 'none') };
  const symbols = openModuleSymbols(elf, 'program', frames, undefined, files);
  const questions: (() => unknown)[] = [
    () => symbols.findFunctions('search').map((each) => [each.inlinedCopies, each.afterPrologue]),
    () => symbols.findGlobals('numbers').map((each) => [each.type(), each.locationAt(linkAddress(0n))]),
    () => symbols.findType('struct node'),
    () => symbols.findEnumerator('GREEN'),
    () => {
      const address = symbols.findSymbol('search')?.address ?? linkAddress(0n);
      for (const { scope } of symbols.sourceStack(address)) {
        for (const variable of scope?.variables ?? []) variable.locationAt(address);
      }
    },
  ];
  for (const question of questions) {
    try {
      question();
    } catch (error) {
      if (!(error instanceof StillframeError) || !['bad-data', 'limit'].includes(error.code)) throw error;
    }
  }
}

function mutations(original: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edits = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
  return fc.tuple(edits, fc.option(fc.nat(original.length), { freq: 4 })).map(([changes, cut]) => {
    const bytes = original.slice(0, cut ?? original.length);
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    return bytes;
  });
}

/** The file, unless it does not even open. */
function tryOpen(name: string, bytes: Uint8Array): ElfFile[] {
  try {
    return [open(name, bytes)];
  } catch (error) {
    if (error instanceof StillframeError && error.code === 'bad-data') return [];
    throw error;
  }
}

describe('changed bytes of other files give an answer or a bad-data error', { timeout: 120_000 }, () => {
  test.each(['-gdwarf-4', '-gdwarf-5'])('.dwo file and package: %s', (flag) => {
    writeFileSync(join(root, 'split.c'), source);
    run(
      'clang',
      '-O2',
      '-g',
      flag,
      '-gsplit-dwarf',
      '-fdebug-types-section',
      '-c',
      'split.c',
      '-o',
      'split.o',
    );
    run('clang', '-pthread', '-o', 'split', 'split.o');
    run('llvm-dwp', '-e', 'split', '-o', 'split.dwp');
    const elf = open('split', bytesOf('split'));
    const dwo = bytesOf('split.dwo');
    const dwp = bytesOf('split.dwp');
    askEverything(elf, { ...noDebugFiles, split: () => [open('split.dwo', dwo)] });
    fc.assert(
      fc.property(mutations(dwo), (bytes) => {
        askEverything(elf, { ...noDebugFiles, split: () => tryOpen('split.dwo', bytes) });
      }),
      { numRuns: 150 },
    );
    fc.assert(
      fc.property(mutations(dwp), (bytes) => {
        askEverything(elf, { ...noDebugFiles, package: () => tryOpen('split.dwp', bytes)[0] });
      }),
      { numRuns: 150 },
    );
  });

  test('supplementary file', () => {
    writeFileSync(join(root, 'one.c'), source);
    run('gcc', '-O2', '-g', '-pthread', '-o', 'one', 'one.c');
    run('gcc', '-O1', '-g', '-pthread', '-o', 'two', 'one.c');
    copyFileSync(join(root, 'one'), join(root, 'one.whole'));
    run('dwz', '-m', 'common', 'one', 'two');
    const elf = open('one', bytesOf('one'));
    const common = bytesOf('common');
    fc.assert(
      fc.property(mutations(common), (bytes) => {
        askEverything(elf, { ...noDebugFiles, supplementary: () => tryOpen('common', bytes) });
      }),
      { numRuns: 150 },
    );
  });
});

describe('a package index that is malformed is refused', () => {
  const header = (version: number, columns: number, rows: number, slots: number): ByteWriter =>
    new ByteWriter().u32(version).u32(columns).u32(rows).u32(slots);

  test.each<[string, ByteWriter, string]>([
    ['its version', header(3, 1, 1, 2), 'cannot parse x: index of version 3 at offset 0x0'],
    ['too many columns', header(5, 99, 1, 2), 'cannot parse x: index of 99 columns at offset 0x4'],
    [
      'slots that are no power of two',
      header(5, 1, 1, 3),
      'cannot parse x: hash table of 3 slots at offset 0xc',
    ],
    ['cut short', header(2, 1, 1, 2), 'cannot parse x: 24 bytes wanted, 0 left at offset 0x10'],
    [
      'a row that is not there',
      header(5, 1, 1, 1).u64(7n).u32(2).u32(1).u32(0).u32(0),
      'cannot parse x: row 2 of 1 at offset 0x1c',
    ],
  ])('%s', (_, bytes, message) => {
    expect(() => new PackageIndex(bytes.finish(), 'x').find(7n)).toThrow(
      expect.objectContaining({ code: 'bad-data', message }),
    );
  });

  test('a hash table without an empty slot ends', () => {
    const bytes = header(5, 1, 1, 2).u64(1n).u64(2n).u32(1).u32(1).u32(1).u32(0).u32(0).finish();
    expect(new PackageIndex(bytes, 'x').find(3n)).toBeUndefined();
  });
});
