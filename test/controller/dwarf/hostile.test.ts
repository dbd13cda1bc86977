import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseAbbreviations } from '../../../controller/dwarf/abbrev.js';
import { parseAddressRanges } from '../../../controller/dwarf/aranges.js';
import {
  DebugSections,
  type DebugSectionName,
  debugSectionNames,
} from '../../../controller/dwarf/sections.js';
import { parseLineHeader } from '../../../controller/dwarf/line.js';
import { runLineProgram } from '../../../controller/dwarf/line-program.js';
import { DebugInfo } from '../../../controller/dwarf/unit.js';
import { openModuleSymbols } from '../../../controller/symbols/open.js';
import { linkAddress } from '../../../format/address.js';
import { ByteWriter } from '../../../format/bytes.js';
import { bufferSource, openElf } from '../../../format/elf/open.js';
import type { ElfFile } from '../../../format/elf/file.js';
import { StillframeError } from '../../../format/error.js';
import { program } from '../symbols/programs.js';

function sectionsOf(contents: Partial<Record<DebugSectionName, Uint8Array>>): DebugSections {
  return new DebugSections('/bin/app', (name) => contents[name]);
}

const encoding = { version: 5, offsetSize: 4, addressSize: 8 } as const;

/** A unit header of version 5 with an abbreviation table at 0. */
function unit(body: ByteWriter, version = 5): Uint8Array {
  const header = new ByteWriter().u16(version).u8(1).u8(8).u32(0);
  const bytes = body.finish();
  return new ByteWriter()
    .u32(header.length + bytes.length)
    .raw(header.finish())
    .raw(bytes)
    .finish();
}

describe('malformed sections are refused, saying where and why', () => {
  test.each<[string, () => unknown, string]>([
    [
      'a form that nobody knows',
      () =>
        parseAbbreviations(
          sectionsOf({ debug_abbrev: new ByteWriter().u8(1).u8(0x11).u8(0).u8(3).u8(0x2f).finish() }),
          0,
          encoding,
        ),
      'cannot parse .debug_abbrev of "/bin/app": unknown form 0x2f at offset 0x3',
    ],
    [
      'abbreviations that do not end',
      () => parseAbbreviations(sectionsOf({ debug_abbrev: Uint8Array.of(1, 0x11) }), 0, encoding),
      'cannot parse .debug_abbrev of "/bin/app": 1 bytes wanted, 0 left at offset 0x2',
    ],
    [
      'a unit longer than the section',
      () => new DebugInfo(sectionsOf({ debug_info: new ByteWriter().u32(100).u16(5).finish() })).units,
      'cannot parse .debug_info of "/bin/app": unit of 100 bytes, 2 left at offset 0x0',
    ],
    [
      'a version of the future',
      () => new DebugInfo(sectionsOf({ debug_info: unit(new ByteWriter(), 6) })).units,
      'cannot parse .debug_info of "/bin/app": DWARF version 6 is not one of 2 to 5 at offset 0x0',
    ],
    [
      'a reserved length',
      () => new DebugInfo(sectionsOf({ debug_info: new ByteWriter().u32(0xffff_fff3).finish() })).units,
      'cannot parse .debug_info of "/bin/app": reserved unit length 0xfffffff3 at offset 0x0',
    ],
    [
      'an abbreviation that is not there',
      () =>
        new DebugInfo(
          sectionsOf({ debug_info: unit(new ByteWriter().u8(7)), debug_abbrev: Uint8Array.of(0) }),
        ).units[0]?.root,
      'cannot parse .debug_info of "/bin/app": unknown abbreviation 7 at offset 0xc',
    ],
    [
      'file entries of no bytes',
      () => {
        const tables = new ByteWriter().u8(0).uleb(1n << 40n);
        const rest = new ByteWriter().u8(1).u8(1).u8(1).u8(0xfb).u8(14).u8(1).raw(tables.finish()).finish();
        const body = new ByteWriter().u16(5).u8(8).u8(0).u32(rest.length).raw(rest).finish();
        return parseLineHeader(
          sectionsOf({ debug_line: new ByteWriter().u32(body.length).raw(body).finish() }),
          0,
          8,
        );
      },
      'cannot parse .debug_line of "/bin/app": 1099511627776 entries of no bytes at offset 0x13',
    ],
    [
      'address ranges of another version',
      () =>
        parseAddressRanges(sectionsOf({ debug_aranges: new ByteWriter().u32(8).u16(9).zeros(6).finish() })),
      'cannot parse .debug_aranges of "/bin/app": address range table of version 9 at offset 0x0',
    ],
  ])('%s', (_, run, message) => {
    expect(run).toThrow(expect.objectContaining({ code: 'bad-data', message }));
  });
});

/** An ELF file whose debug sections are other bytes. */
function mutated(elf: ElfFile, change: ReadonlyMap<string, Uint8Array>): ElfFile {
  return new Proxy(elf, {
    get(target, key) {
      if (key === 'sectionBytes') return (name: string) => change.get(name) ?? target.sectionBytes(name);
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Every kind of question once. */
function askEverything(elf: ElfFile): void {
  const symbols = openModuleSymbols(elf, '/bin/app', {
    findRow: () => ({ absent: 'unwind-failed', detail: 'none' }),
  });
  const questions: (() => unknown)[] = [
    () => symbols.sourceFiles().flatMap((file) => symbols.linesWithCode(file).slice(0, 5)),
    () => symbols.sourceFiles().flatMap((file) => symbols.findLine(file, 90)),
    () => [...symbols.globalNames()],
    () => symbols.findGlobals('numbers').map((each) => [each.type(), each.locationAt(linkAddress(0n))]),
    () => symbols.findType('struct node'),
    () => symbols.findEnumerator('GREEN'),
    () => symbols.findFunctions('square').map((each) => [each.inlinedCopies, each.afterPrologue]),
    () => {
      for (const { entry, parameters, afterPrologue } of symbols.findFunctions('search')) {
        for (const parameter of parameters()) parameter.type();
        for (const { scope } of symbols.sourceStack(afterPrologue ?? entry ?? linkAddress(0n))) {
          for (const variable of scope?.variables ?? []) variable.locationAt(entry ?? linkAddress(0n));
          scope?.callSite(linkAddress(0x1234n));
        }
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

describe('mutated debug sections give an answer or a bad-data error, never anything else', () => {
  test.each(['gcc', 'clang'] as const)('%s', { timeout: 300_000 }, (compiler) => {
    const path = program({ compiler, opt: '-O2', dwarf: 5 });
    const elf = openElf(bufferSource(path, readFileSync(path)));
    askEverything(elf);
    const names = debugSectionNames.map((name) => `.${name}`).filter((name) => elf.sectionBytes(name));
    const change = fc.record({
      section: fc.constantFrom(...names),
      edits: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      cut: fc.option(fc.nat(), { freq: 4 }),
    });
    fc.assert(
      fc.property(change, ({ section, edits, cut }) => {
        const original = elf.sectionBytes(section) ?? new Uint8Array();
        const length = cut === null ? original.length : cut % (original.length + 1);
        const bytes = original.slice(0, length);
        for (const [at, value] of edits) if (bytes.length > 0) bytes[at % bytes.length] = value;
        askEverything(mutated(elf, new Map([[section, bytes]])));
      }),
      { numRuns: 300 },
    );
  });

  test('random bytes as a line table', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(2, 3, 4, 5), (rest, version) => {
        const body = new ByteWriter().u16(version).raw(rest).finish();
        const bytes = new ByteWriter().u32(body.length).raw(body).finish();
        const sections = sectionsOf({ debug_line: bytes });
        try {
          const rows = runLineProgram(sections, parseLineHeader(sections, 0, 8));
          expect(rows.addresses.length).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(StillframeError);
        }
      }),
    );
  });
});
