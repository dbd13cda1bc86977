import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parseAddressRanges } from '../../../controller/dwarf/aranges.js';
import { DW_AT, tagName } from '../../../controller/dwarf/constants.js';
import { Die } from '../../../controller/dwarf/die.js';
import { lineFile, lineFilePath, normalizePath, parseLineHeader } from '../../../controller/dwarf/line.js';
import { ROW, runLineProgram } from '../../../controller/dwarf/line-program.js';
import { locationOf } from '../../../controller/dwarf/location-list.js';
import { rangesOf } from '../../../controller/dwarf/range-list.js';
import type { DebugInfo } from '../../../controller/dwarf/unit.js';
import { buildFixture } from '../../support/fixtures.js';
import {
  type DumpedDie,
  type DumpedRow,
  dumpAddressRanges,
  dumpDies,
  dumpLines,
  dumpedRanges,
} from '../../support/llvm-dwarfdump.js';
import { debugInfoOf } from '../../support/symbols.js';
import { compileC } from '../../support/compile-c.js';
import { cplusplusProgram, goProgram, rustProgram } from '../symbols/other-languages.js';
import { nameOfVariant, program, source, variants } from '../symbols/programs.js';

/** All DIEs with their subtrees, in the order of the file. */
function* walk(die: Die): Generator<Die> {
  yield die;
  for (const child of die.children()) yield* walk(child);
}

function allDies(info: DebugInfo): Die[] {
  return info.units.flatMap((unit) => [...walk(unit.root)]);
}

/** What can be compared without knowing how a value is printed. */
function facts(die: Die, infoBytes: number): Record<string, unknown> {
  const reference = (attribute: number): number | string | undefined => {
    const value = die.value(attribute);
    if (value?.kind === 'signature') return `0x${value.signature.toString(16).padStart(16, '0')}`;
    // Counted from the section that the unit is in.
    const base = die.unit.version < 5 && die.unit.isTypeUnit ? infoBytes : 0;
    return value?.kind === 'reference' ? value.offset - base : undefined;
  };
  const file = die.size(DW_AT.decl_file);
  return {
    offset: die.offset,
    tag: tagName(die.tag),
    name: die.name,
    producer: die.string(DW_AT.producer),
    size: die.size(DW_AT.byte_size),
    line: die.size(DW_AT.decl_line),
    file: file === undefined ? undefined : pathOf(die, file),
    low: die.address(DW_AT.low_pc),
    type: reference(DW_AT.type),
    origin: reference(DW_AT.abstract_origin),
    external: die.flag(DW_AT.external),
    bits: die.size(DW_AT.data_bit_offset),
    ranges: die.has(DW_AT.ranges) ? rangesOf(die).map(({ start, end }) => [start, end]) : undefined,
    locations: listOf(die, DW_AT.location),
  };
}

function pathOf(die: Die, index: number): string | undefined {
  const { unit } = die;
  const offset = unit.root.sectionOffset(DW_AT.stmt_list) ?? 0;
  const header = parseLineHeader(unit.sections, offset, unit.addressSize);
  const file = lineFile(header, index);
  return file === undefined ? undefined : lineFilePath(header, file, unit.compilationDirectory);
}

/** Ranges and entries of no length say nothing of themselves; gcc writes them for a function's entry. */
function nonEmpty(text: string): (readonly [start: number, end: number])[] {
  return dumpedRanges(text).filter(([start, end]) => start < end);
}

function listOf(die: Die, attribute: number): number[][] | undefined {
  const location = locationOf(die, attribute);
  return location?.kind === 'list'
    ? location.entries.filter(({ start, end }) => start < end).map(({ start, end }) => [start, end])
    : undefined;
}

/** NB: in type units llvm-dwarfdump leaves paths relative, which version 5 says are relative to the first directory. */
function normalized(path: string | undefined): string | undefined {
  if (path === undefined || path.includes('<')) return path === undefined ? path : normalizePath(path);
  return normalizePath(resolve(path));
}

function dumpedFacts({ offset, tag, attributes }: DumpedDie): Record<string, unknown> {
  const text = (name: string): string | undefined =>
    /^"(.*)"\)$/.exec(attributes.get(name) ?? '')?.[1]?.replaceAll(/\\(["\\])/g, '$1');
  const number = (name: string): number | undefined => {
    const found = /^(0x[0-9a-f]+|\d+)\)/.exec(attributes.get(name) ?? '')?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const reference = (name: string): number | string | undefined => {
    const found = /^(0x[0-9a-f]+)([ )])/.exec(attributes.get(name) ?? '');
    // A signature stands alone; an offset is followed by the name of what is there, or has eight digits.
    const isSignature = found?.[2] === ')' && found[1]?.length === 18 && name === 'DW_AT_type';
    return isSignature || found === null ? found?.[1] : Number(found[1]);
  };
  const low = number('DW_AT_low_pc');
  const ranges = attributes.get('DW_AT_ranges');
  const location = attributes.get('DW_AT_location');
  return {
    offset,
    tag,
    name: text('DW_AT_name'),
    producer: text('DW_AT_producer'),
    size: number('DW_AT_byte_size'),
    line: number('DW_AT_decl_line'),
    file: normalized(text('DW_AT_decl_file')),
    low: low === undefined ? undefined : BigInt(low),
    type: reference('DW_AT_type'),
    origin: reference('DW_AT_abstract_origin'),
    external: /^(true|0x0*1)\)$/.test(attributes.get('DW_AT_external') ?? ''),
    bits: number('DW_AT_data_bit_offset'),
    ranges: ranges === undefined ? undefined : nonEmpty(ranges),
    locations: location === undefined || !location.includes('\n') ? undefined : nonEmpty(location),
  };
}

function rowsOf(info: DebugInfo): DumpedRow[] {
  // Type units share the table of the unit that they were made with.
  const seen = new Set<number>();
  return info.units.flatMap((unit) => {
    const offset = unit.root.sectionOffset(DW_AT.stmt_list);
    if (offset === undefined || seen.has(offset)) return [];
    seen.add(offset);
    const rows = runLineProgram(unit.sections, parseLineHeader(unit.sections, offset, unit.addressSize));
    return rows.addresses.map((address, i) => ({
      address,
      line: rows.lines[i] ?? -1,
      column: rows.columns[i] ?? -1,
      file: rows.files[i] ?? -1,
      discriminator: rows.discriminators[i] ?? -1,
      flags: flagNames(rows.flags[i] ?? 0),
    }));
  });
}

function flagNames(flags: number): string {
  const names = [
    [ROW.isStatement, 'is_stmt'],
    [ROW.basicBlock, 'basic_block'],
    [ROW.prologueEnd, 'prologue_end'],
    [ROW.epilogueBegin, 'epilogue_begin'],
    [ROW.endSequence, 'end_sequence'],
  ] as const;
  return names.flatMap(([bit, name]) => ((flags & bit) === 0 ? [] : [name])).join(' ');
}

const programs: readonly (readonly [name: string, build: () => string])[] = [
  ...variants.map((variant) => [nameOfVariant(variant), (): string => program(variant)] as const),
  ['several units, gcc', (): string => buildFixture('order-service', { opt: 'O2', dwarf: 5 })],
  ['several units, clang', (): string => buildFixture('order-service', { cc: 'clang', opt: 'O2', dwarf: 5 })],
  [
    'several units, clang DWARF 4',
    (): string => buildFixture('order-service', { cc: 'clang', opt: 'O2', dwarf: 4 }),
  ],
  ...(
    [
      ['gcc', '-gdwarf-2', '-gstrict-dwarf'],
      ['gcc', '-gdwarf-3', '-gstrict-dwarf'],
      ['gcc', '-gdwarf-4', '-gdwarf64'],
      ['gcc', '-gdwarf-5', '-gdwarf64'],
      ['gcc', '-gdwarf-4', '-fdebug-types-section'],
      ['gcc', '-gdwarf-5', '-fdebug-types-section'],
      ['clang', '-gdwarf-2'],
      ['clang', '-gdwarf-3'],
      ['clang', '-gdwarf-4', '-gdwarf64'],
      ['clang', '-gdwarf-5', '-gdwarf64'],
      ['clang', '-gdwarf-4', '-fdebug-types-section'],
      ['clang', '-gdwarf-5', '-fdebug-types-section'],
    ] as const
  ).map(
    ([compiler, ...flags]) =>
      [
        `${compiler} ${flags.join(' ')}`,
        (): string => compileC(source, { name: 'everything', compiler, flags: ['-O2', ...flags] }),
      ] as const,
  ),
  ['C++, g++', (): string => cplusplusProgram('g++', '-O2', '-fdebug-types-section')],
  ['C++, clang', (): string => cplusplusProgram('clang++', '-O1', '-fdebug-types-section')],
  ['Rust', (): string => rustProgram('-O')],
  ['Go', (): string => goProgram()],
];

describe('sections read as llvm-dwarfdump reads them', () => {
  test.each(programs)('every DIE: %s', (_, build) => {
    const path = build();
    const info = debugInfoOf(path);
    const infoBytes = info.sections.bytes('debug_info').length;
    const mine = allDies(info).map((die) => facts(die, infoBytes));
    expect(mine.length).toBeGreaterThan(150);
    const dumped = dumpDies(path, infoBytes).map((die) => dumpedFacts(die));
    const different = mine.findIndex((die, i) => !isDeepStrictEqual(die, dumped[i]));
    expect(mine[different]).toEqual(dumped[different]);
    expect(mine.length).toBe(dumped.length);
  });

  test.each(programs)('every row of the line tables: %s', (_, build) => {
    const path = build();
    const mine = rowsOf(debugInfoOf(path));
    expect(mine.length).toBeGreaterThan(90);
    expect(mine).toEqual(dumpLines(path));
  });

  test.each(programs)('address ranges of units: %s', (_, build) => {
    const path = build();
    const mine = parseAddressRanges(debugInfoOf(path).sections).map(({ start, end }) => [start, end]);
    expect(mine).toEqual(dumpAddressRanges(path));
  });

  test('stepping over subtrees meets the same siblings as walking into them', () => {
    const info = debugInfoOf(buildFixture('order-service', { cc: 'clang', opt: 'O2', dwarf: 5 }));
    for (const die of allDies(info)) {
      const inside = [...walk(die)].at(-1);
      const next = die.next();
      expect(next).toBeGreaterThan(inside?.offset ?? 0);
      const after = next < die.unit.end ? Die.at(die.unit, next) : undefined;
      if (after !== undefined) expect(after.offset).toBe(next);
    }
  });
});
