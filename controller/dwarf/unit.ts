/** Units of `.debug_info` and `.debug_types` (DWARF5 7.5.1): their headers, and the bases that indexed forms count from. */
import { StillframeError } from '../../format/error.js';
import { type AbbreviationTable, parseAbbreviations } from './abbrev.js';
import { indexedAddress } from './address-table.js';
import { DW_AT, DW_UT } from './constants.js';
import { Die } from './die.js';
import type { FormValue, StringSection } from './form.js';
import { type LazyBytes, searchIn } from './lazy-bytes.js';
import { DebugSections, type Encoding, readInitialLength, readOffset } from './sections.js';
import { stringAt, stringOffsetAt, textOf } from './string.js';

export interface UnitHeader extends Encoding {
  /** Of the header's first byte. In the space of {@link DebugInfo.bytes}, as all offsets of DIEs. */
  readonly offset: number;
  /** First byte after the unit. */
  readonly end: number;
  /** DW_UT_*; type units of `.debug_types` have DW_UT_type. */
  readonly unitType: number;
  readonly abbreviationsOffset: number;
  readonly firstDie: number;
  /** Type units: the signature that DW_FORM_ref_sig8 names, and the DIE of the type. */
  readonly typeSignature?: bigint;
  readonly typeDie?: number;
  /** Skeleton and split units: what pairs them. */
  readonly dwoId?: bigint;
}

/** Parses the unit header at an offset. */
export function parseUnitHeader(info: DebugInfo, offset: number, ofTypesSection: boolean): UnitHeader {
  const cursor = info.at(offset);
  const { length, offsetSize } = readInitialLength(cursor);
  const end = cursor.offset + length;
  const version = cursor.u16();
  if (version < 2 || version > 5) throw cursor.error(`DWARF version ${version} is not one of 2 to 5`, offset);
  let unitType: number = ofTypesSection ? DW_UT.type : DW_UT.compile;
  let addressSize: number;
  let abbreviationsOffset: number;
  if (version >= 5) {
    unitType = cursor.u8();
    addressSize = cursor.u8();
    abbreviationsOffset = readOffset(cursor, offsetSize);
  } else {
    abbreviationsOffset = readOffset(cursor, offsetSize);
    addressSize = cursor.u8();
  }
  if (addressSize !== 4 && addressSize !== 8) {
    throw cursor.error(`addresses of ${addressSize} bytes`, offset);
  }
  let extra: Partial<Pick<UnitHeader, 'typeSignature' | 'typeDie' | 'dwoId'>> = {};
  if (unitType === DW_UT.type || unitType === DW_UT.split_type) {
    extra = { typeSignature: cursor.u64(), typeDie: offset + readOffset(cursor, offsetSize) };
  } else if (unitType === DW_UT.skeleton || unitType === DW_UT.split_compile) {
    extra = { dwoId: cursor.u64() };
  } else if (unitType !== DW_UT.compile && unitType !== DW_UT.partial) {
    throw cursor.error(`unknown unit type 0x${unitType.toString(16)}`, offset);
  }
  if (cursor.offset > end) throw cursor.error(`unit header is longer than its unit`, offset);
  return {
    offset,
    end,
    version,
    offsetSize,
    addressSize,
    unitType,
    abbreviationsOffset,
    firstDie: cursor.offset,
    ...extra,
  };
}

export class Unit implements Encoding {
  readonly info: DebugInfo;
  readonly header: UnitHeader;
  readonly index: number;
  readonly offset: number;
  readonly end: number;
  readonly version: number;
  readonly offsetSize: 4 | 8;
  readonly addressSize: number;
  #abbreviations: AbbreviationTable | undefined;
  #root: Die | undefined;
  #skeleton: Unit | undefined;
  readonly #bases = new Map<number, number | undefined>();
  #isLoaded = false;

  constructor(info: DebugInfo, header: UnitHeader, index: number) {
    this.info = info;
    this.header = header;
    this.index = index;
    this.offset = header.offset;
    this.end = header.end;
    this.version = header.version;
    this.offsetSize = header.offsetSize;
    this.addressSize = header.addressSize;
  }

  get sections(): DebugSections {
    return this.info.sections;
  }

  /** Before any byte of the unit is read behind its header. */
  load(): void {
    if (this.#isLoaded) return;
    this.info.load(this.offset, this.end);
    this.#isLoaded = true;
  }

  get abbreviations(): AbbreviationTable {
    this.#abbreviations ??= this.info.abbreviationsOf(this.header);
    return this.#abbreviations;
  }

  /** The unit's own DIE. */
  get root(): Die {
    if (this.#root === undefined) {
      const die = Die.rootOf(this);
      if (die === undefined) throw this.info.error('unit without a DIE', this.header.firstDie);
      this.#root = die;
    }
    return this.#root;
  }

  /** Type units hold one type each, and are reached by its signature. */
  get isTypeUnit(): boolean {
    const { unitType } = this.header;
    return unitType === DW_UT.type || unitType === DW_UT.split_type;
  }

  /** What pairs a skeleton with its split unit: in the header since version 5, DW_AT_GNU_dwo_id before. */
  get dwoId(): bigint | undefined {
    return this.header.dwoId ?? this.root.unsigned(DW_AT.GNU_dwo_id);
  }

  /** The file that has the DIEs of a skeleton; undefined for units that have their own. */
  get dwoName(): string | undefined {
    if (this.isTypeUnit || this.info.isSplit) return undefined;
    return this.root.string(DW_AT.dwo_name) ?? this.root.string(DW_AT.GNU_dwo_name);
  }

  /** Whether DIEs beyond the unit's own are here and not in a `.dwo` file. */
  get hasOwnDies(): boolean {
    return !this.isTypeUnit && this.dwoName === undefined;
  }

  /**
   * The unit of the linked file that stands for this split one: addresses, ranges, the line table and the compilation directory are its.
   * Whoever opened the `.dwo` file sets it, before anything is asked of the unit.
   */
  get skeleton(): Unit | undefined {
    return this.#skeleton;
  }
  set skeleton(unit: Unit) {
    this.#skeleton = unit;
  }

  /** The DIE that says which code is the unit's: its root, or that of its skeleton. */
  get codeRoot(): Die {
    return (this.#skeleton ?? this).root;
  }

  /** The unit whose DW_AT_stmt_list counts for this one; type units of a `.dwo` file have a table of files there. */
  get lineUnit(): Unit {
    return this.#skeleton === undefined || this.isTypeUnit ? this : this.#skeleton;
  }

  get name(): string {
    return this.root.name ?? this.dwoName ?? `unit at 0x${this.offset.toString(16)}`;
  }
  get compilationDirectory(): string {
    return this.root.string(DW_AT.comp_dir) ?? this.#skeleton?.compilationDirectory ?? '';
  }
  get producer(): string {
    return this.root.string(DW_AT.producer) ?? '';
  }
  get language(): number {
    return Number(this.root.unsigned(DW_AT.language) ?? 0n);
  }

  /** A DW_AT_*_base of the unit's DIE. Throws where an index was used and the unit does not say from where. */
  base(attribute: number, name: string): number {
    if (!this.#bases.has(attribute)) {
      this.#bases.set(attribute, this.root.sectionOffset(attribute) ?? this.#implicitBase(attribute));
    }
    const base = this.#bases.get(attribute);
    if (base === undefined) throw this.info.error(`unit uses an index but has no ${name}`, this.offset);
    return base;
  }

  /** Split units write no base: theirs is behind the header of the section (DWARF5 7.3.2.3); version 4 has none. */
  #implicitBase(attribute: number): number | undefined {
    if (!this.info.isSplit) return undefined;
    switch (attribute) {
      case DW_AT.str_offsets_base:
        return this.version < 5 ? 0 : this.offsetSize === 8 ? 16 : 8;
      case DW_AT.loclists_base:
      case DW_AT.rnglists_base:
        return this.offsetSize === 8 ? 20 : 12;
      default:
        return undefined;
    }
  }

  /** The address that ranges and location lists count from: DW_AT_low_pc of the unit, or 0. */
  get baseAddress(): bigint {
    return this.codeRoot.address(DW_AT.low_pc) ?? 0n;
  }

  resolveAddress(value: FormValue): bigint | undefined {
    if (value.kind === 'address') return value.address;
    return value.kind === 'address-index' ? this.addressOfIndex(value.index) : undefined;
  }

  addressOfIndex(index: number): bigint {
    if (this.#skeleton !== undefined) return this.#skeleton.addressOfIndex(index);
    const attribute = this.version >= 5 ? DW_AT.addr_base : DW_AT.GNU_addr_base;
    const base = this.base(attribute, 'DW_AT_addr_base');
    return indexedAddress(this.sections, base, index, this.addressSize);
  }

  /** Where the characters of a string are; undefined for what is not a string (or is in a file that we have not). */
  resolveString(value: FormValue): { section: StringSection | 'supplementary'; offset: number } | undefined {
    if (value.kind === 'string') return value;
    if (value.kind === 'supplementary-string') return { section: 'supplementary', offset: value.offset };
    if (value.kind !== 'string-index') return undefined;
    return { section: 'debug_str', offset: this.stringOffsetOfIndex(value.index) };
  }

  stringOffsetOfIndex(index: number): number {
    const base = this.base(DW_AT.str_offsets_base, 'DW_AT_str_offsets_base');
    return stringOffsetAt(this.sections, base, index, this.offsetSize);
  }

  text(value: FormValue): string | undefined {
    const place = this.resolveString(value);
    if (place === undefined) return undefined;
    if (place.section === 'supplementary') {
      const { supplementary } = this.info;
      return supplementary === undefined
        ? undefined
        : stringAt(supplementary.sections, 'debug_str', place.offset);
    }
    if (place.section !== 'debug_info') return stringAt(this.sections, place.section, place.offset);
    return textOf(this.info.bytes, place.offset, this.info.bytes.indexOf(0, place.offset));
  }
}

/** How the units of a file reach those of others. */
export interface InfoLinks {
  /** What is added to an offset to make a {@link Die.key}. */
  readonly firstKey?: number;
  /** The units are those of a `.dwo` file or package. */
  readonly isSplit?: boolean;
  /** The supplementary file that dwz moved common DIEs into; undefined where it was not found. Asked once. */
  readonly supplementary?: () => DebugInfo | undefined;
  /** Type units that are not in this file: those of other rows of a package. */
  readonly dieOfSignature?: (signature: bigint) => Die | undefined;
}

/**
 * All units of a file. `.debug_types` of DWARF 4 is laid behind `.debug_info`, so that one number names any DIE: references
 * are relative to their unit or go into `.debug_info`, so no offset changes its meaning.
 */
export class DebugInfo {
  readonly sections: DebugSections;
  readonly bytes: Uint8Array;
  readonly firstKey: number;
  readonly isSplit: boolean;
  readonly #links: InfoLinks;
  readonly #infoLength: number;
  readonly #own: DebugSections;
  readonly #lazy: LazyBytes | undefined;
  #units: readonly Unit[] | undefined;
  readonly #abbreviations = new Map<string, AbbreviationTable>();
  #signatures: Map<bigint, Unit> | undefined;
  #supplementary: DebugInfo | undefined;
  #supplementaryAsked = false;

  constructor(sections: DebugSections, links: InfoLinks = {}) {
    this.sections = sections;
    this.firstKey = links.firstKey ?? 0;
    this.isSplit = links.isSplit ?? false;
    this.#links = links;
    const types = sections.bytes('debug_types');
    this.#lazy = types.length === 0 ? sections.lazy('debug_info') : undefined;
    const info = this.#lazy?.bytes ?? sections.bytes('debug_info');
    this.#infoLength = info.length;
    if (types.length === 0) {
      this.bytes = info;
    } else {
      this.bytes = new Uint8Array(info.length + types.length);
      this.bytes.set(info);
      this.bytes.set(types, info.length);
    }
    const { bytes } = this;
    this.#own = new DebugSections(sections.file, () => bytes);
  }

  /** Makes a part of {@link bytes} true; all of a unit is, once a DIE of it was asked for. */
  load(start: number, end: number): void {
    this.#lazy?.load(start, end);
  }

  /** Where a piece of bytes stands in {@link bytes}, ascending. */
  search(needle: Uint8Array): Iterable<number> {
    return this.#lazy?.search(needle) ?? searchIn(this.bytes, needle);
  }

  /** The shared cursor over {@link bytes}. */
  at(offset: number): ReturnType<DebugSections['at']> {
    return this.#own.at('debug_info', offset);
  }

  error(reason: string, offset: number): StillframeError {
    return this.sections.error('debug_info', reason, offset);
  }

  get supplementary(): DebugInfo | undefined {
    if (!this.#supplementaryAsked) {
      this.#supplementaryAsked = true;
      this.#supplementary = this.#links.supplementary?.();
    }
    return this.#supplementary;
  }

  /** In order of offset. */
  get units(): readonly Unit[] {
    this.#units ??= this.#parseUnits();
    return this.#units;
  }

  #parseUnits(): readonly Unit[] {
    const units: Unit[] = [];
    for (let offset = 0; offset < this.bytes.length;) {
      this.load(offset, offset + maxHeaderBytes);
      if (isPadding(this.bytes, offset)) {
        offset += 4;
        continue;
      }
      const header = parseUnitHeader(this, offset, offset >= this.#infoLength);
      units.push(new Unit(this, header, units.length));
      offset = header.end;
    }
    return units;
  }

  /** The unit whose DIEs contain an offset. */
  unitContaining(offset: number): Unit | undefined {
    const unit = this.#unitAround(offset);
    return unit !== undefined && offset >= unit.header.firstDie ? unit : undefined;
  }

  /** The unit whose header is at an offset. */
  unitAt(offset: number): Unit | undefined {
    const unit = this.#unitAround(offset);
    return unit?.offset === offset ? unit : undefined;
  }

  #unitAround(offset: number): Unit | undefined {
    const { units } = this;
    let low = 0;
    let high = units.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const unit = units[middle];
      if (unit !== undefined && unit.end <= offset) low = middle + 1;
      else high = middle;
    }
    const unit = units[low];
    return unit !== undefined && offset >= unit.offset && offset < unit.end ? unit : undefined;
  }

  /** The DIE at an offset; throws `bad-data` when no unit contains it or nothing is there. */
  die(offset: number): Die {
    const die = this.unitContaining(offset);
    const found = die === undefined ? undefined : Die.at(die, offset);
    if (found === undefined) throw this.error('no DIE is here', offset);
    return found;
  }

  /** The type DIE that DW_FORM_ref_sig8 names. */
  dieOfSignature(signature: bigint): Die | undefined {
    if (this.#signatures === undefined) {
      this.#signatures = new Map();
      for (const unit of this.units) {
        const { typeSignature } = unit.header;
        if (typeSignature !== undefined) this.#signatures.set(typeSignature, unit);
      }
    }
    const unit = this.#signatures.get(signature);
    const at = unit?.header.typeDie;
    if (unit === undefined || at === undefined) return this.#links.dieOfSignature?.(signature);
    return this.die(at);
  }

  /** Tables are shared by units of the same encoding. */
  abbreviationsOf(header: UnitHeader): AbbreviationTable {
    const key = `${header.abbreviationsOffset}/${header.offsetSize}/${header.addressSize}/${header.version <= 2}`;
    let table = this.#abbreviations.get(key);
    if (table === undefined) {
      table = parseAbbreviations(this.sections, header.abbreviationsOffset, header);
      this.#abbreviations.set(key, table);
    }
    return table;
  }
}

/** That of a type unit in 64-bit DWARF has 40. */
const maxHeaderBytes = 64;

/** A length of 0 is no unit: linkers align with it. */
function isPadding(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 4; i++) if (bytes[offset + i] !== 0) return false;
  return true;
}
