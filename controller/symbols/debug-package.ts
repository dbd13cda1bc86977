/** DWARF packages (`.dwp`, DWARF5 7.3.5): the split units of a program in one file. */
import type { ElfFile } from '../../format/elf/file.js';
import { PackageIndex, type PackageRow } from '../dwarf/package-index.js';
import { type DebugSectionName, DebugSections } from '../dwarf/sections.js';
import type { DebugInfo, InfoLinks, Unit } from '../dwarf/unit.js';

/** The sections of a `.dwo` file or package. */
export function dwoSections(elf: ElfFile): DebugSections {
  return new DebugSections(elf.source.name, (name) => elf.allSectionBytes(`.${name}.dwo`), '.dwo');
}

/** Units of a `.dwp` file, each with its own contributions to the sections. */
export class DebugPackage {
  readonly #elf: ElfFile;
  readonly #add: (sections: DebugSections, links: InfoLinks) => DebugInfo;
  readonly #units: PackageIndex | undefined;
  readonly #types: PackageIndex | undefined;
  readonly #infos = new Map<string, DebugInfo | undefined>();

  constructor(elf: ElfFile, add: (sections: DebugSections, links: InfoLinks) => DebugInfo) {
    this.#elf = elf;
    this.#add = add;
    this.#units = openIndex(elf, '.debug_cu_index');
    this.#types = openIndex(elf, '.debug_tu_index');
  }

  unit(id: bigint): DebugInfo | undefined {
    return this.#row('unit', this.#units, id);
  }

  /** The types of all units. */
  *typeUnits(): Generator<Unit> {
    for (const signature of this.#types?.ids() ?? []) {
      for (const unit of this.#row('type', this.#types, signature)?.units ?? [])
        if (unit.isTypeUnit) yield unit;
    }
  }

  #row(kind: 'unit' | 'type', index: PackageIndex | undefined, id: bigint): DebugInfo | undefined {
    const key = `${kind} ${id}`;
    if (this.#infos.has(key)) return this.#infos.get(key);
    const row = index?.find(id);
    const info =
      row === undefined
        ? undefined
        : this.#add(rowSections(this.#elf, row), {
            isSplit: true,
            dieOfSignature: (signature) =>
              kind === 'type' && signature === id
                ? undefined
                : this.#row('type', this.#types, signature)?.dieOfSignature(signature),
          });
    this.#infos.set(key, info);
    return info;
  }
}

function openIndex(elf: ElfFile, section: string): PackageIndex | undefined {
  const bytes = elf.sectionBytes(section);
  return bytes === undefined || bytes.length === 0
    ? undefined
    : new PackageIndex(bytes, `${section} of "${elf.source.name}"`);
}

function rowSections(elf: ElfFile, row: PackageRow): DebugSections {
  const whole = dwoSections(elf);
  const read = (name: DebugSectionName): Uint8Array | undefined => {
    const contribution = row.get(name);
    // A row of types has no units in `.debug_info`, and the other way round.
    if (contribution === undefined) {
      return name === 'debug_info' || name === 'debug_types' ? undefined : whole.bytes(name);
    }
    const bytes = whole.bytes(name);
    const { offset, size } = contribution;
    if (offset + size > bytes.length) {
      throw whole.error(name, `a contribution of ${size} bytes is past its ${bytes.length} bytes`, offset);
    }
    return bytes.subarray(offset, offset + size);
  };
  return new DebugSections(elf.source.name, read, '.dwo');
}
