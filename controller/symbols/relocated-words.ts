/**
 * Words of a module's data as they are once it is loaded: what its file has, or what a relocation puts there. For what does not change
 * after that, such as vtables, which a snapshot therefore need not have.
 */
import { type LinkAddress } from '../../format/address.js';
import { ByteCursor } from '../../format/bytes.js';
import { EM, SHT } from '../../format/elf/constants.js';
import { StillframeError } from '../../format/error.js';
import type { ElfFile, ElfSection, ElfSymbol } from '../../format/elf/file.js';
import { parseSymbols } from '../../format/elf/symbol.js';

/** `address`: of this module, as linked. `symbol`: of some module. */
export type RelocatedWord =
  | { readonly kind: 'number' | 'address'; readonly value: bigint }
  | { readonly kind: 'symbol'; readonly name: string };

interface Kinds {
  readonly relative: number;
  readonly absolute: number;
}

const kindsOf: ReadonlyMap<number, Kinds> = new Map([
  [EM.EM_X86_64, { relative: 8, absolute: 1 }],
  [EM.EM_AARCH64, { relative: 1027, absolute: 257 }],
]);

const relaBytes = 24;
const maxRelocations = 4_000_000;

export class RelocatedWords {
  readonly #elf: ElfFile;
  /** Undefined within: not all relocations are known, and so no word is. */
  #relocations: { readonly words: ReadonlyMap<bigint, RelocatedWord> | undefined } | undefined;

  constructor(elf: ElfFile) {
    this.#elf = elf;
  }

  /** Undefined where the file has no such bytes, or a relocation of another kind changes them. */
  at(address: LinkAddress): RelocatedWord | undefined {
    this.#relocations ??= { words: this.#guardedRead() };
    const { words } = this.#relocations;
    if (words === undefined) return undefined;
    const known = words.get(address);
    if (known !== undefined) return known;
    // What DT_RELR relocates has the address in place.
    const bytes = this.#elf.bytesAt(address, 8);
    return bytes === undefined ? undefined : { kind: 'number', value: new ByteCursor(bytes, 'data').u64() };
  }

  /** Of a malformed file nothing is known. */
  #guardedRead(): ReadonlyMap<bigint, RelocatedWord> | undefined {
    try {
      return this.#read();
    } catch (error) {
      if (error instanceof StillframeError) return undefined;
      throw error;
    }
  }

  #read(): ReadonlyMap<bigint, RelocatedWord> | undefined {
    const words = new Map<bigint, RelocatedWord>();
    const kinds = kindsOf.get(this.#elf.machine);
    if (kinds === undefined) return undefined;
    const symbols = this.#symbols();
    for (const section of this.#elf.sections) {
      if (section.type !== SHT.SHT_RELA || section.address === 0n) continue;
      const bytes = this.#elf.bytesAt(section.address, section.size);
      if (bytes === undefined) return undefined;
      this.#readSection(bytes, kinds, symbols, words);
    }
    return words.size < maxRelocations ? words : undefined;
  }

  #readSection(
    bytes: Uint8Array,
    kinds: Kinds,
    symbols: readonly ElfSymbol[],
    words: Map<bigint, RelocatedWord>,
  ): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + relaBytes <= bytes.length && words.size < maxRelocations; at += relaBytes) {
      const place = view.getBigUint64(at, true);
      const type = view.getUint32(at + 8, true);
      const addend = view.getBigUint64(at + 16, true);
      if (type === kinds.relative) words.set(place, { kind: 'address', value: addend });
      else if (type === kinds.absolute && addend === 0n) {
        const name = symbols[view.getUint32(at + 12, true) - 1]?.name;
        if (name !== undefined) words.set(place, { kind: 'symbol', name });
      }
    }
  }

  #symbols(): readonly ElfSymbol[] {
    const { source, sections } = this.#elf;
    const dynamic = sections.find((section) => section.type === SHT.SHT_DYNSYM);
    const read = ({ address, size }: ElfSection): Uint8Array | undefined => this.#elf.bytesAt(address, size);
    return dynamic === undefined ? [] : parseSymbols(source, sections, dynamic, read);
  }
}
