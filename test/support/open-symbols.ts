import { readFileSync } from 'node:fs';
import type { ByteSource } from '../../format/byte-source.js';
import { openElf } from '../../format/elf/open.js';
import { openCallFrames } from '../../controller/dwarf/call-frame-table.js';
import type { ModuleSymbols } from '../../controller/symbols/module-symbols.js';
import { openModuleSymbols } from '../../controller/symbols/open.js';

/** A whole file in memory. */
export function fileBytes(path: string): ByteSource {
  const bytes = readFileSync(path);
  return {
    name: path,
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  };
}

export function openSymbols(program: string): ModuleSymbols {
  const elf = openElf(fileBytes(program));
  return openModuleSymbols(elf, program, openCallFrames(elf));
}
