import type { ElfFile } from '../../format/elf/file.js';
import { defaultLimits } from '../../format/limits.js';
import { openCallFrames } from '../dwarf/call-frame-table.js';
import { findDebugFiles } from '../symbols/find-debug-files.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import { openModuleSymbols } from '../symbols/open.js';

/** Where distributions put separate debug files. */
export const debugDirectories: readonly string[] = ['/usr/lib/debug'];

/** The debug information of a file: what is in it, and what is in separate files around it and in `directories`. */
export function openSymbols(
  elf: ElfFile,
  file: string = elf.source.name,
  directories: readonly string[] = debugDirectories,
): ModuleSymbols {
  const files = findDebugFiles(elf, file, { directories });
  return openModuleSymbols(elf, elf.source.name, openCallFrames(elf), defaultLimits, files);
}
