import { readFileSync } from 'node:fs';
import { openCallFrames } from '../../controller/dwarf/call-frame-table.js';
import { DebugSections } from '../../controller/dwarf/sections.js';
import { DebugInfo } from '../../controller/dwarf/unit.js';
import type { ModuleSymbols } from '../../controller/symbols/module-symbols.js';
import { openModuleSymbols } from '../../controller/symbols/open.js';
import { bufferSource, openElf } from '../../format/elf/open.js';

/** The symbols of a program on disk. */
export function symbolsOf(path: string): ModuleSymbols {
  const elf = openElf(bufferSource(path, readFileSync(path)));
  return openModuleSymbols(elf, path, openCallFrames(elf));
}

/** The debug information of a program on disk. */
export function debugInfoOf(path: string): DebugInfo {
  const elf = openElf(bufferSource(path, readFileSync(path)));
  return new DebugInfo(new DebugSections(path, (name) => elf.sectionBytes(`.${name}`)));
}

/** Addresses of all statements of all lines, without duplicates, ascending. */
export function allStatements(symbols: ModuleSymbols): bigint[] {
  const addresses = new Set<bigint>();
  for (const file of symbols.sourceFiles()) {
    for (const line of symbols.linesWithCode(file)) {
      for (const { address } of symbols.findLine(file, line)) addresses.add(address);
    }
  }
  return [...addresses].toSorted((a, b) => (a < b ? -1 : 1));
}
