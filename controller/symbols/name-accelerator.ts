/**
 * Which units may have a name, by an index that the linker or gdb wrote into the file. It is a hint: what it says of a unit is looked up
 * there, units that it does not speak of are walked, and one that turns out wrong, or does not fit the units, is not used.
 */
import { StillframeError } from '../../format/error.js';
import type { ElfFile } from '../../format/elf/file.js';
import { parseGdbIndex } from '../dwarf/gdb-index.js';
import { parseNamesTables } from '../dwarf/names-table.js';
import { offsetsOfString } from '../dwarf/string.js';
import type { DebugInfo, Unit } from '../dwarf/unit.js';
import { isC } from './origin.js';

export interface NameAccelerator {
  /** Units whose names it has, all of them. */
  readonly covered: ReadonlySet<Unit>;
  /** Those of the covered units that have a DIE of a name. Throws `bad-data`. */
  unitsOf(name: string): readonly Unit[];
}

/** Undefined where there is no index, or none that fits. */
export function openNameAccelerator(elf: ElfFile, info: DebugInfo): NameAccelerator | undefined {
  for (const open of [openNamesTables, openGdbIndex]) {
    try {
      const accelerator = open(elf, info);
      if (accelerator !== undefined && accelerator.covered.size > 0) return accelerator;
    } catch (error) {
      // A broken index costs time, for the units are there to be read.
      if (!(error instanceof StillframeError)) throw error;
    }
  }
  return undefined;
}

function openNamesTables(_: ElfFile, info: DebugInfo): NameAccelerator | undefined {
  if (!info.sections.has('debug_names')) return undefined;
  const tables = parseNamesTables(info.sections);
  const byOffset = unitsByOffset(info);
  const covered = new Set<Unit>();
  for (const table of tables) {
    for (const offset of table.units) {
      const unit = byOffset.get(offset);
      if (unit === undefined) return undefined;
      covered.add(unit);
    }
  }
  return {
    covered,
    unitsOf(name) {
      const text = offsetsOfString(info.sections, 'debug_str', name);
      if (text.size === 0) return [];
      return tables.flatMap((table) =>
        [...table.unitsOf(text)].flatMap((offset) => byOffset.get(offset) ?? []),
      );
    },
  };
}

/** NB: of C alone: names of C++ are qualified in it, with their parameters. */
function openGdbIndex(elf: ElfFile, info: DebugInfo): NameAccelerator | undefined {
  const bytes = elf.sectionBytes('.gdb_index');
  if (bytes === undefined) return undefined;
  const index = parseGdbIndex(bytes, `.gdb_index of "${info.sections.file}"`);
  const byOffset = unitsByOffset(info);
  const units: Unit[] = [];
  for (const { offset, length } of index.units) {
    const unit = byOffset.get(offset);
    if (unit === undefined || unit.end - unit.offset !== length) return undefined;
    units.push(unit);
  }
  return {
    covered: new Set(units.filter((unit) => isC(unit.language))),
    unitsOf: (name) => [...index.unitsOf(name)].flatMap((i) => units[i] ?? []),
  };
}

function unitsByOffset(info: DebugInfo): ReadonlyMap<number, Unit> {
  return new Map(info.units.filter((unit) => !unit.isTypeUnit).map((unit) => [unit.offset, unit]));
}
