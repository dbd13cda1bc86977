import type { ElfFile } from '../../format/elf/file.js';
import { openCallFrames } from '../dwarf/call-frame-table.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import { openModuleSymbols } from '../symbols/open.js';

/** The debug information of a file, with what is in the file itself. */
export function openSymbols(elf: ElfFile): ModuleSymbols {
  return openModuleSymbols(elf, elf.source.name, openCallFrames(elf));
}
