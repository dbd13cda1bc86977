/**
 * Names of one file's top-level DIEs (and of those in namespaces and classes), in columns of numbers: one pass over
 * each unit, on the first question about it, that steps over everything else. Names stay offsets of strings: a question turns its text into
 * the set of offsets where that text stands, and compares integers.
 */
import { type Abbreviation, type AbbreviationTable } from '../dwarf/abbrev.js';
import { DW_AT, DW_FORM, DW_TAG } from '../dwarf/constants.js';
import { Die, skipAttributes, skipChildren } from '../dwarf/die.js';
import { offsetsOfString, stringAt, textOf } from '../dwarf/string.js';
import type { DebugInfo, Unit } from '../dwarf/unit.js';
import { isC } from './origin.js';

export const KIND = { function: 1, variable: 2, type: 3, enumeration: 4 } as const;
/** Of an index: an enumerator, by the DIE of its enumeration. */
export const ENUMERATOR = 5;
export type NameKind = (typeof KIND)[keyof typeof KIND];

/** Where a name's characters are; `none` for an enumeration without a name. */
const PLACE = { none: 0, debug_str: 1, debug_info: 2, debug_line_str: 3, supplementary: 4 } as const;

const places = Object.keys(PLACE) as (keyof typeof PLACE)[];

/** A type of another tag than {@link KIND.enumeration}: structures, unions, classes, typedefs, base types. */
const kinds: ReadonlyMap<number, NameKind> = new Map<number, NameKind>([
  [DW_TAG.subprogram, KIND.function],
  [DW_TAG.variable, KIND.variable],
  [DW_TAG.structure_type, KIND.type],
  [DW_TAG.union_type, KIND.type],
  [DW_TAG.class_type, KIND.type],
  [DW_TAG.interface_type, KIND.type],
  [DW_TAG.typedef, KIND.type],
  [DW_TAG.base_type, KIND.type],
  [DW_TAG.unspecified_type, KIND.type],
  [DW_TAG.enumeration_type, KIND.enumeration],
]);

/** Undefined for what has no place among names. */
export function kindOf(tag: number): NameKind | undefined {
  return kinds.get(tag);
}

/** What the pass does with DIEs of one abbreviation. */
interface Visit {
  readonly kind: NameKind | 0;
  /** Indices of attributes, or -1. */
  readonly name: number;
  readonly linkageName: number;
  /** DW_AT_specification or DW_AT_abstract_origin. */
  readonly origin: number;
  /** Its children are looked at too. */
  readonly isOpened: boolean;
}

const nowhere: ReadonlySet<number> = new Set();

interface StringOffsets {
  readonly name: string;
  readonly used: number;
  readonly inStr: ReadonlySet<number>;
  readonly inLineStr: ReadonlySet<number>;
  readonly elsewhere: ReadonlySet<number>;
}

export class FileNames {
  readonly #info: DebugInfo;
  #count = 0;
  #kinds = new Uint8Array(1024);
  #places = new Uint8Array(1024);
  #names = new Uint32Array(1024);
  #dies = new Uint32Array(1024);
  /** Pairs: a DIE, and the key of the DIE that DW_AT_specification or DW_AT_abstract_origin names. */
  readonly #linkFrom: number[] = [];
  readonly #linkTo: number[] = [];
  #linksIndexed = 0;
  readonly #linksByTarget = new Map<number, number[]>();
  readonly #walked = new Set<Unit>();
  readonly #visits = new Map<AbbreviationTable, (Visit | undefined)[]>();
  readonly #visitsWithMembers = new Map<AbbreviationTable, (Visit | undefined)[]>();
  /** Places that any name is at. */
  #used = 0;
  #lastOffsets: StringOffsets | undefined;

  constructor(info: DebugInfo) {
    this.#info = info;
  }

  /** Takes in the names of a unit; of one that it knows, nothing happens. */
  walk(unit: Unit): void {
    if (this.#walked.has(unit)) return;
    if (unit.root.abbreviation.hasChildren) this.#walk(unit);
    this.#walked.add(unit);
  }

  /** Offsets of the DIEs of that kind and name in units that were walked, ascending. Declarations and definitions alike. */
  find(kind: NameKind, name: string): ReadonlySet<number> {
    const { inStr, inLineStr, elsewhere } = this.#offsetsOf(name);
    const needle = Buffer.from(`${name}\0`, 'utf8');
    const found = new Set<number>();
    for (let i = 0; i < this.#count; i++) {
      if (this.#kinds[i] !== kind) continue;
      const at = this.#names[i] ?? 0;
      const place = this.#places[i] ?? 0;
      const same =
        place === PLACE.debug_str
          ? inStr.has(at)
          : place === PLACE.debug_info
            ? startsWith(this.#info.bytes, at, needle)
            : place === PLACE.debug_line_str
              ? inLineStr.has(at)
              : place === PLACE.supplementary && elsewhere.has(at);
      if (same) found.add(this.#dies[i] ?? 0);
    }
    // Units are walked as questions come; an answer must not depend on what was asked before.
    return new Set([...found].toSorted((a, b) => a - b));
  }

  /** Where in the string sections a name stands; that of the last name is kept, for it is asked for again. */
  #offsetsOf(name: string): StringOffsets {
    if (this.#lastOffsets?.name === name && this.#lastOffsets.used === this.#used) return this.#lastOffsets;
    const used = (place: number): boolean => (this.#used & (1 << place)) !== 0;
    const { sections } = this.#info;
    const supplementary = used(PLACE.supplementary) ? this.#info.supplementary?.sections : undefined;
    this.#lastOffsets = {
      name,
      used: this.#used,
      inStr: used(PLACE.debug_str) ? offsetsOfString(sections, 'debug_str', name) : nowhere,
      inLineStr: used(PLACE.debug_line_str) ? offsetsOfString(sections, 'debug_line_str', name) : nowhere,
      elsewhere: supplementary === undefined ? nowhere : offsetsOfString(supplementary, 'debug_str', name),
    };
    return this.#lastOffsets;
  }

  /** Whether anything has that name. An enumerator is in its enumeration, which was not looked into. */
  has(name: string): boolean {
    return Object.values(KIND).some((kind) => this.find(kind, name).size > 0);
  }

  /** Every name of a kind. */
  *names(kind: NameKind): Iterable<string> {
    for (let i = 0; i < this.#count; i++) {
      if (this.#kinds[i] !== kind || this.#places[i] === PLACE.none) continue;
      const text = this.#textAt(this.#places[i] ?? 0, this.#names[i] ?? 0);
      if (text !== undefined) yield text;
    }
  }

  /** Offsets of all DIEs of a kind, also of those without a name. */
  *dies(kind: NameKind): Iterable<number> {
    for (let i = 0; i < this.#count; i++) if (this.#kinds[i] === kind) yield this.#dies[i] ?? 0;
  }

  /** Offsets of top-level DIEs whose DW_AT_specification or DW_AT_abstract_origin is the DIE of the key `target`, directly. */
  linksTo(target: number): readonly number[] {
    for (; this.#linksIndexed < this.#linkTo.length; this.#linksIndexed++) {
      const to = this.#linkTo[this.#linksIndexed] ?? 0;
      const from = this.#linkFrom[this.#linksIndexed] ?? 0;
      const list = this.#linksByTarget.get(to);
      if (list === undefined) this.#linksByTarget.set(to, [from]);
      else list.push(from);
    }
    return this.#linksByTarget.get(target) ?? [];
  }

  /** Every name, in the order of the walks: its kind, the section that its characters are in, where, and the DIE. */
  each(visit: (kind: number, place: keyof typeof PLACE, name: number, die: number) => void): void {
    for (let i = 0; i < this.#count; i++) {
      const place = places[this.#places[i] ?? 0] ?? 'none';
      visit(this.#kinds[i] ?? 0, place, this.#names[i] ?? 0, this.#dies[i] ?? 0);
    }
  }

  eachLink(visit: (from: number, to: number) => void): void {
    for (const [i, from] of this.#linkFrom.entries()) visit(from, this.#linkTo[i] ?? 0);
  }

  #textAt(place: number, offset: number): string | undefined {
    const { bytes, sections, supplementary } = this.#info;
    if (place === PLACE.debug_info) return textOf(bytes, offset, bytes.indexOf(0, offset));
    if (place === PLACE.debug_line_str) return stringAt(sections, 'debug_line_str', offset);
    const file = place === PLACE.supplementary ? supplementary?.sections : sections;
    return file === undefined ? undefined : stringAt(file, 'debug_str', offset);
  }

  #walk(unit: Unit): void {
    const { bytes } = this.#info;
    const { abbreviations, end } = unit;
    // Types of C have no functions in them, nor other types.
    const opensTypes = !isC(unit.language);
    const known = opensTypes ? this.#visitsWithMembers : this.#visits;
    let visits = known.get(abbreviations);
    if (visits === undefined) known.set(abbreviations, (visits = []));
    unit.load();
    let position = unit.root.attributesEnd;
    // Depth counts what is opened: everything else that has children is stepped over as a whole.
    for (let depth = 1; depth > 0 && position < end;) {
      const at = position;
      let code = bytes[position++] ?? 0;
      if (code >= 0x80) {
        const cursor = this.#info.at(at);
        code = cursor.ulebNumber();
        position = cursor.offset;
      }
      if (code === 0) {
        depth--;
        continue;
      }
      const abbreviation = abbreviations.get(code);
      if (abbreviation === undefined) throw this.#info.error(`unknown abbreviation ${code}`, at);
      const visit = (visits[code] ??= visitOf(abbreviation, opensTypes));
      if (visit.kind !== 0) this.#record(unit, at, position, abbreviation, visit);
      if (!abbreviation.hasChildren) {
        position = skipAttributes(bytes, position, abbreviation, unit);
      } else if (visit.isOpened) {
        position = skipAttributes(bytes, position, abbreviation, unit);
        depth++;
      } else {
        position = afterSubtree(unit, at, position, abbreviation);
      }
    }
  }

  #record(unit: Unit, at: number, attributes: number, abbreviation: Abbreviation, visit: Visit): void {
    const { kind } = visit;
    if (kind === 0) return;
    if (visit.name >= 0) this.#addName(unit, kind, at, attributes, abbreviation, visit.name);
    else if (kind === KIND.enumeration) this.#add(kind, PLACE.none, 0, at);
    if (visit.linkageName >= 0) this.#addName(unit, kind, at, attributes, abbreviation, visit.linkageName);
    if (visit.origin >= 0) {
      const fixed = abbreviation.fixedOffsets[visit.origin] ?? -1;
      if (fixed >= 0 && abbreviation.forms[visit.origin] === DW_FORM.ref4) {
        this.#linkFrom.push(at);
        this.#linkTo.push(unit.info.firstKey + unit.offset + readU32(this.#info.bytes, attributes + fixed));
        return;
      }
      const target = Die.at(unit, at)?.referenceKey(abbreviation.attributes[visit.origin] ?? 0);
      if (target !== undefined) {
        this.#linkFrom.push(at);
        this.#linkTo.push(target);
      }
    }
  }

  #addName(
    unit: Unit,
    kind: NameKind,
    at: number,
    attributes: number,
    abbreviation: Abbreviation,
    index: number,
  ): void {
    const fixed = abbreviation.fixedOffsets[index] ?? -1;
    const form = abbreviation.forms[index];
    if (fixed >= 0 && form === DW_FORM.strp && unit.offsetSize === 4) {
      this.#add(kind, PLACE.debug_str, readU32(this.#info.bytes, attributes + fixed), at);
      return;
    }
    if (fixed >= 0 && form === DW_FORM.string) {
      this.#add(kind, PLACE.debug_info, attributes + fixed, at);
      return;
    }
    const value = Die.at(unit, at)?.value(abbreviation.attributes[index] ?? 0);
    const place = value === undefined ? undefined : unit.resolveString(value);
    if (place === undefined) return;
    this.#add(kind, PLACE[place.section], place.offset, at);
  }

  #add(kind: NameKind, place: number, name: number, die: number): void {
    const at = this.#count++;
    if (at === this.#kinds.length) {
      this.#kinds = grown(this.#kinds, new Uint8Array(at * 2));
      this.#places = grown(this.#places, new Uint8Array(at * 2));
      this.#names = grown(this.#names, new Uint32Array(at * 2));
      this.#dies = grown(this.#dies, new Uint32Array(at * 2));
    }
    this.#used |= 1 << place;
    this.#kinds[at] = kind;
    this.#places[at] = place;
    this.#names[at] = name;
    this.#dies[at] = die;
  }
}

function startsWith(bytes: Uint8Array, at: number, needle: Uint8Array): boolean {
  for (let i = 0; i < needle.length; i++) if (bytes[at + i] !== needle[i]) return false;
  return true;
}

function grown<T extends Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>(from: T, into: T): T {
  into.set(from);
  return into;
}

/** Types that may have functions, variables and types in them. */
const compositeTags: ReadonlySet<number> = new Set([
  DW_TAG.structure_type,
  DW_TAG.union_type,
  DW_TAG.class_type,
  DW_TAG.interface_type,
]);

const passedBy: Visit = { kind: 0, name: -1, linkageName: -1, origin: -1, isOpened: false };

function visitOf(abbreviation: Abbreviation, opensTypes: boolean): Visit {
  const { tag, attributes } = abbreviation;
  const kind = kinds.get(tag) ?? 0;
  const isOpened =
    tag === DW_TAG.namespace || tag === DW_TAG.module || (opensTypes && compositeTags.has(tag));
  if (kind === 0 && !isOpened) return passedBy;
  // Types that are only declared lead nowhere; functions and variables that are may have a definition that names them.
  const isDeclaration = attributes.includes(DW_AT.declaration);
  const skipped = isDeclaration && (kind === KIND.type || kind === KIND.enumeration);
  const linkage = attributes.indexOf(DW_AT.linkage_name);
  const specification = attributes.indexOf(DW_AT.specification);
  return {
    kind: skipped ? 0 : kind,
    name: attributes.indexOf(DW_AT.name),
    linkageName: linkage >= 0 ? linkage : attributes.indexOf(DW_AT.MIPS_linkage_name),
    origin: specification >= 0 ? specification : attributes.indexOf(DW_AT.abstract_origin),
    isOpened,
  };
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24)) >>>
    0
  );
}

/** The first byte after a DIE with children, by DW_AT_sibling where it stands at a known place. */
export function afterSubtree(unit: Unit, at: number, attributes: number, abbreviation: Abbreviation): number {
  const { sibling } = abbreviation;
  const fixed = sibling < 0 ? -1 : (abbreviation.fixedOffsets[sibling] ?? -1);
  if (fixed >= 0 && abbreviation.forms[sibling] === DW_FORM.ref4) {
    const next = unit.offset + readU32(unit.info.bytes, attributes + fixed);
    if (next <= attributes || next > unit.end) {
      throw unit.info.error('DW_AT_sibling leads backwards or out of the unit', at);
    }
    return next;
  }
  return skipChildren(unit, skipAttributes(unit.info.bytes, attributes, abbreviation, unit));
}
