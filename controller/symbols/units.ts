/** Which unit's code an address belongs to: a unit of the linked file, be it a skeleton. */
import { StillframeError } from '../../format/error.js';
import { type UnitRange, parseAddressRanges } from '../dwarf/aranges.js';
import { rangesOf } from '../dwarf/range-list.js';
import type { PcRange } from '../dwarf/sections.js';
import type { DebugInfo, Unit } from '../dwarf/unit.js';

interface Owned extends PcRange {
  readonly unit: Unit;
}

export class UnitRanges {
  readonly #info: DebugInfo;
  #hints: RangeTable<UnitRange> | undefined;
  #sorted: RangeTable<Owned> | undefined;

  constructor(info: DebugInfo) {
    this.#info = info;
  }

  find(pc: number): Unit | undefined {
    const hinted = this.#hinted(pc);
    if (this.#sorted === undefined && hinted !== undefined && owns(hinted, pc)) return hinted;
    this.#sorted ??= new RangeTable(this.#collect());
    // Units of DWARF 2 say one range only, and some say nothing: for the rest of their code the index is all there is.
    return this.#sorted.find(pc)?.unit ?? hinted;
  }

  /** The unit that `.debug_aranges` names; where it says itself that the address is its, no other unit need be read. */
  #hinted(pc: number): Unit | undefined {
    this.#hints ??= new RangeTable(this.#readHints());
    const offset = this.#hints.find(pc)?.unit;
    const unit = offset === undefined ? undefined : this.#info.unitAt(offset);
    return unit === undefined || unit.isTypeUnit ? undefined : unit;
  }

  #readHints(): readonly UnitRange[] {
    if (!this.#info.sections.has('debug_aranges')) return [];
    try {
      return parseAddressRanges(this.#info.sections);
    } catch (error) {
      // Units say where their code is themselves.
      if (error instanceof StillframeError) return [];
      throw error;
    }
  }

  /** What the units' own DIEs say. */
  #collect(): Owned[] {
    return this.#info.units
      .filter((unit) => !unit.isTypeUnit)
      .flatMap((unit) => rangesOf(unit.root).map((range) => ({ ...range, unit })));
  }
}

function owns(unit: Unit, pc: number): boolean {
  return rangesOf(unit.root).some(({ start, end }) => pc >= start && pc < end);
}

/** Ranges by address. Where two overlap, the one that begins later is found, else the one that was given first. */
export class RangeTable<T extends PcRange> {
  readonly #ranges: readonly T[];
  /** The highest end of all ranges up to an index: where to stop looking back. */
  readonly #reach: readonly number[];

  constructor(ranges: readonly T[]) {
    // Code that the linker threw away is left at address 0, or at 1 where 0 would end a list; nothing real starts there.
    this.#ranges = ranges.filter((range) => range.start > 1).toSorted((a, b) => a.start - b.start);
    let reach = 0;
    this.#reach = this.#ranges.map((range) => (reach = Math.max(reach, range.end)));
  }

  find(pc: number): T | undefined {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.start ?? 0) <= pc) low = middle + 1;
      else high = middle;
    }
    for (let i = low - 1; i >= 0 && (this.#reach[i] ?? 0) > pc; i--) {
      const range = this.#ranges[i];
      if (range !== undefined && pc < range.end) return range;
    }
    return undefined;
  }

  get size(): number {
    return this.#ranges.length;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#ranges[Symbol.iterator]();
  }
}
