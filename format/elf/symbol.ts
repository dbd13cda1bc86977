import type { ByteSource } from '../byte-source.js';
import { SHN, SHT, symBytes } from './constants.js';
import type { ElfSection, ElfSymbol } from './file.js';
import { elfError } from './header.js';
import { StringTable } from './string-table.js';

/** The symbols of one SHT_SYMTAB or SHT_DYNSYM section, without the null symbol. `read` gives a section's bytes. */
export function parseSymbols(
  source: ByteSource,
  sections: readonly ElfSection[],
  table: ElfSection,
  read: (section: ElfSection) => Uint8Array | undefined,
): ElfSymbol[] {
  const bytes = read(table);
  if (bytes === undefined) return [];
  const name = `${table.name} of "${source.name}"`;
  if (bytes.length % symBytes !== 0) {
    throw elfError(source, `${table.name} of ${bytes.length} bytes is not a whole number of symbols`);
  }
  const stringSection = sections[table.link];
  if (stringSection === undefined || stringSection.type !== SHT.SHT_STRTAB) {
    throw elfError(
      source,
      `the strings of ${table.name} are in section ${table.link}, which is no string table`,
    );
  }
  const strings = new StringTable(read(stringSection) ?? new Uint8Array(0), `strings of ${name}`);
  const extended = sections.find(
    (section) => section.type === SHT.SHT_SYMTAB_SHNDX && section.link === table.index,
  );
  const extendedBytes = extended === undefined ? undefined : read(extended);
  const extendedView = extendedBytes === undefined ? undefined : viewOf(extendedBytes);

  const view = viewOf(bytes);
  const symbols: ElfSymbol[] = [];
  for (let at = symBytes; at < bytes.length; at += symBytes) {
    const info = view.getUint8(at + 4);
    let sectionIndex = view.getUint16(at + 6, true);
    if (sectionIndex === SHN.SHN_XINDEX) {
      const slot = (at / symBytes) * 4;
      if (extendedView === undefined || slot + 4 > extendedView.byteLength) {
        throw elfError(source, `symbol ${at / symBytes} of ${table.name} has no extended section index`);
      }
      sectionIndex = extendedView.getUint32(slot, true);
    }
    const size = view.getBigUint64(at + 16, true);
    symbols.push({
      name: strings.at(view.getUint32(at, true)),
      value: view.getBigUint64(at + 8, true),
      // A size beyond 2^53 is not a size; such a symbol covers nothing.
      size: size > BigInt(Number.MAX_SAFE_INTEGER) ? 0 : Number(size),
      type: info & 0xf,
      binding: info >> 4,
      sectionIndex,
    });
  }
  return symbols;
}

/** `first` followed by those of `second` that `first` has not by name and value. */
export function mergeSymbols(first: readonly ElfSymbol[], second: readonly ElfSymbol[]): ElfSymbol[] {
  const valuesByName = new Map<string, Set<bigint>>();
  for (const symbol of second) valuesByName.set(symbol.name, new Set());
  for (const symbol of first) valuesByName.get(symbol.name)?.add(symbol.value);
  return [...first, ...second.filter((symbol) => valuesByName.get(symbol.name)?.has(symbol.value) !== true)];
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
