import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCallFrames } from '../../../controller/dwarf/call-frame-table.js';
import { openGoFunctions } from '../../../controller/dwarf/go-functions.js';
import type { ModuleSymbols } from '../../../controller/symbols/module-symbols.js';
import { openModuleSymbols } from '../../../controller/symbols/open.js';
import { isAbsent } from '../../../format/absent.js';
import { linkAddress } from '../../../format/address.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import type { ElfFile } from '../../../format/elf/file.js';
import { StillframeError } from '../../../format/error.js';
import { goProgram } from '../symbols/other-languages.js';

const open = (path: string): ElfFile => openElf(bufferSource(path, readFileSync(path)));
const symbolsOf = (elf: ElfFile): ModuleSymbols =>
  openModuleSymbols(elf, elf.source.name, openCallFrames(elf));

/** The same program with and without its symbols and debug information. */
const pairs = [
  ['fixed addresses', (): [ElfFile, ElfFile] => [open(goProgram()), open(goProgram('-ldflags=-s -w'))]],
  [
    'position-independent',
    (): [ElfFile, ElfFile] => [
      open(goProgram('-buildmode=pie')),
      open(goProgram('-buildmode=pie', '-ldflags=-s -w')),
    ],
  ],
] as const;

describe('a stripped program of Go', () => {
  test.each(pairs)('has the names of its functions: %s', (_, build) => {
    const [whole, stripped] = build();
    expect(stripped.findSection('.symtab')).toBeUndefined();
    const known = symbolsOf(whole);
    const symbols = symbolsOf(stripped);
    expect(symbols.hasDebugInfo).toBe(false);
    const names = [...symbols.functionNames()];
    expect(names.length).toBeGreaterThan(1000);
    let compared = 0;
    for (const name of names) {
      const address = symbols.findSymbol(name)?.address ?? linkAddress(0n);
      expect(symbols.symbolAt(address)).toEqual({ name, offset: 0n });
      // A function of another calling convention is marked so in the symbol table alone.
      if (known.symbolAt(address)?.name.replace(/\.abi0$/, '') === name) compared++;
    }
    expect(compared / names.length).toBeGreaterThan(0.95);
  });

  test.each(pairs)('has lines where nothing was inlined: %s', (_, build) => {
    const [whole, stripped] = build();
    const known = symbolsOf(whole);
    const symbols = symbolsOf(stripped);
    const [main] = known.findFunctions('main.total');
    let compared = 0;
    for (const { start, end } of main?.ranges ?? []) {
      for (let pc = start; pc < end; pc++) {
        const at = linkAddress(pc);
        const [mine] = symbols.sourceStack(at);
        const theirs = known.sourceStack(at);
        expect(mine?.function).toBe('main.total');
        if (mine?.line === undefined) continue;
        compared++;
        expect([basename(mine.file ?? ''), mine.line]).toEqual([
          basename(theirs[0]?.file ?? ''),
          theirs[0]?.line,
        ]);
      }
    }
    expect(compared).toBeGreaterThan(50);
  });

  test.each(pairs)('unwinds as with its call frame information: %s', { timeout: 60_000 }, (_, build) => {
    const [whole, stripped] = build();
    const known = openCallFrames(whole);
    const frames = openCallFrames(stripped);
    const go = openGoFunctions(stripped);
    let compared = 0;
    for (let i = 0; i < (go?.count ?? 0); i += 7) {
      const found = go?.at(i);
      for (let pc = found?.start ?? 0; pc < (found?.end ?? 0); pc += 3) {
        const expected = known.findRow(linkAddress(BigInt(pc)));
        const mine = frames.findRow(linkAddress(BigInt(pc)));
        if (isAbsent(expected) || isAbsent(mine)) continue;
        compared++;
        expect([pc, mine.cfa]).toEqual([pc, expected.cfa]);
        expect(mine.rules.get(16)).toEqual(expected.rules.get(16));
      }
    }
    expect(compared).toBeGreaterThan(10_000);
  });

  test('changed tables give an answer or a bad-data error', () => {
    const stripped = open(goProgram('-ldflags=-s -w'));
    const original = stripped.sectionBytes('.gopclntab') ?? new Uint8Array();
    const place = fc.oneof(fc.nat(80), fc.nat(original.length - 1));
    const edits = fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(edits, fc.option(fc.nat(original.length), { freq: 3 }), (changes, cut) => {
        const bytes = original.slice(0, cut ?? original.length);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        const changed: ElfFile = Object.create(stripped, {
          sectionBytes: {
            value: (name: string) => (name === '.gopclntab' ? bytes : stripped.sectionBytes(name)),
          },
          findSection: { value: (name: string) => stripped.findSection(name) },
          source: { value: stripped.source },
        });
        try {
          const go = openGoFunctions(changed);
          for (const pc of [0x401000, 0x45a000, 0x47f000]) {
            const found = go?.find(pc);
            if (found === undefined) continue;
            go?.position(found, pc);
            go?.stackDepth(found, pc);
          }
        } catch (error) {
          if (!(error instanceof StillframeError)) throw error;
          expect(error.code).toBe('bad-data');
        }
      }),
      { numRuns: 500 },
    );
  });
});
