/**
 * Names of the entries of a procedure linkage table of x86-64, as `strcmp@plt`: no symbol table has them, but each entry jumps through a word
 * that a relocation fills with a function's address. Whether bound at once or late, with or without IBT, makes no difference to that.
 */
import type { ElfFile, ElfSection, ElfSymbol } from '../../format/elf/file.js';
import { EM, SHT } from '../../format/elf/constants.js';
import { parseSymbols } from '../../format/elf/symbol.js';
import { StillframeError } from '../../format/error.js';

const R_X86_64_GLOB_DAT = 6;
const R_X86_64_JUMP_SLOT = 7;
const R_X86_64_IRELATIVE = 37;

const STT_FUNC = 2;
const relaBytes = 24;
/** Entries of 16 bytes, or of 8 where nothing is bound late. */
const entryBytes: Readonly<Record<string, number>> = {
  '.plt': 16,
  '.plt.sec': 16,
  '.plt.bnd': 16,
  '.plt.got': 8,
};
const maxEntries = 1_000_000;

/** None where the tables are malformed. */
export function pltSymbols(elf: ElfFile): ElfSymbol[] {
  if (elf.machine !== EM.EM_X86_64) return [];
  try {
    const names = namesOfSlots(elf);
    if (names.size === 0) return [];
    return elf.sections.flatMap((section) => namedEntries(elf, section, names));
  } catch (error) {
    if (error instanceof StillframeError) return [];
    throw error;
  }
}

/** What fills the words of the GOT, by their address. */
function namesOfSlots(elf: ElfFile): Map<bigint, string> {
  const names = new Map<bigint, string>();
  const dynamic = elf.sections.find((section) => section.type === SHT.SHT_DYNSYM);
  const read = ({ address, size }: ElfSection): Uint8Array | undefined => elf.bytesAt(address, size);
  // Of static programs gdb names none.
  if (dynamic === undefined) return names;
  const symbols = parseSymbols(elf.source, elf.sections, dynamic, read);
  for (const section of elf.sections) {
    if (section.type !== SHT.SHT_RELA || section.address === 0n) continue;
    const bytes = elf.bytesAt(section.address, section.size);
    if (bytes === undefined) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + relaBytes <= bytes.length && names.size < maxEntries; at += relaBytes) {
      const type = view.getUint32(at + 8, true);
      const symbol = symbols[view.getUint32(at + 12, true) - 1];
      const slot = view.getBigUint64(at, true);
      if (type === R_X86_64_IRELATIVE)
        names.set(slot, `*ABS*+0x${view.getBigUint64(at + 16, true).toString(16)}`);
      else if ((type === R_X86_64_JUMP_SLOT || type === R_X86_64_GLOB_DAT) && symbol !== undefined)
        names.set(slot, symbol.name);
    }
  }
  return names;
}

function namedEntries(elf: ElfFile, section: ElfSection, names: ReadonlyMap<bigint, string>): ElfSymbol[] {
  const size = entryBytes[section.name];
  if (size === undefined || section.address === 0n) return [];
  const code = elf.bytesAt(section.address, section.size);
  if (code === undefined) return [];
  const symbols: ElfSymbol[] = [];
  // With IBT entries of `.plt.got` are longer too; no half of such a one looks like an entry.
  for (let at = 0; at + size <= code.length && symbols.length < maxEntries; at += size) {
    const slot = slotOf(code, at, section.address);
    const name = slot === undefined ? undefined : names.get(slot);
    if (name === undefined) continue;
    const value = section.address + BigInt(at);
    symbols.push({
      name: `${name}@plt`,
      value,
      size,
      type: STT_FUNC,
      binding: 0,
      sectionIndex: section.index,
    });
  }
  return symbols;
}

/** `[endbr64] [bnd] jmp *slot(%rip)`. */
function slotOf(code: Uint8Array, entry: number, address: bigint): bigint | undefined {
  let at = entry;
  if (code[at] === 0xf3 && code[at + 1] === 0x0f && code[at + 2] === 0x1e && code[at + 3] === 0xfa) at += 4;
  if (code[at] === 0xf2) at++;
  if (code[at] !== 0xff || code[at + 1] !== 0x25 || at + 6 > code.length) return undefined;
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  return address + BigInt(at + 6 + view.getInt32(at + 2, true));
}
