/** `.debug_abbrev` (DWARF5 7.5.3): what attributes a DIE has and in which forms, with a plan of how to step over them fast. */
import type { ByteCursor } from '../../format/bytes.js';
import { DW_AT, DW_FORM } from './constants.js';
import { type DebugSections, type Encoding } from './sections.js';

export interface Abbreviation {
  readonly code: number;
  readonly tag: number;
  readonly hasChildren: boolean;
  readonly attributes: readonly number[];
  readonly forms: readonly number[];
  /** Values of DW_FORM_implicit_const, by index; shared and empty where there are none. */
  readonly implicit: ReadonlyMap<number, bigint>;
  /** Steps over all attributes: a positive number of bytes, or one of {@link SKIP}. */
  readonly skip: readonly number[];
  /** Where an attribute begins, counted from the first one; -1 when that depends on contents. */
  readonly fixedOffsets: readonly number[];
  /** Index of DW_AT_sibling, or -1. */
  readonly sibling: number;
}

/** Steps whose length depends on contents. */
export const SKIP = {
  leb: -1,
  block1: -2,
  block2: -3,
  block4: -4,
  block: -5,
  string: -6,
  indirect: -7,
} as const;

/** An abbreviation with more attributes than this is hostile: compilers write about twenty. */
const maxAttributes = 1024;
const noImplicit: ReadonlyMap<number, bigint> = new Map();

/** The step over one value of a form: bytes, 0 for none, a {@link SKIP}; undefined for an unknown form. */
export function formStep(form: number, encoding: Encoding): number | undefined {
  switch (form) {
    case DW_FORM.flag_present:
    case DW_FORM.implicit_const:
      return 0;
    case DW_FORM.data1:
    case DW_FORM.ref1:
    case DW_FORM.flag:
    case DW_FORM.strx1:
    case DW_FORM.addrx1:
      return 1;
    case DW_FORM.data2:
    case DW_FORM.ref2:
    case DW_FORM.strx2:
    case DW_FORM.addrx2:
      return 2;
    case DW_FORM.strx3:
    case DW_FORM.addrx3:
      return 3;
    case DW_FORM.data4:
    case DW_FORM.ref4:
    case DW_FORM.strx4:
    case DW_FORM.addrx4:
    case DW_FORM.ref_sup4:
      return 4;
    case DW_FORM.data8:
    case DW_FORM.ref8:
    case DW_FORM.ref_sig8:
    case DW_FORM.ref_sup8:
      return 8;
    case DW_FORM.data16:
      return 16;
    case DW_FORM.addr:
      return encoding.addressSize;
    case DW_FORM.ref_addr:
      // DWARF 2 wrote it as an address (DWARF3 7.5.4 says so of its predecessor).
      return encoding.version <= 2 ? encoding.addressSize : encoding.offsetSize;
    case DW_FORM.strp:
    case DW_FORM.sec_offset:
    case DW_FORM.strp_sup:
    case DW_FORM.line_strp:
    case DW_FORM.GNU_ref_alt:
    case DW_FORM.GNU_strp_alt:
      return encoding.offsetSize;
    case DW_FORM.sdata:
    case DW_FORM.udata:
    case DW_FORM.ref_udata:
    case DW_FORM.strx:
    case DW_FORM.addrx:
    case DW_FORM.loclistx:
    case DW_FORM.rnglistx:
    case DW_FORM.GNU_addr_index:
    case DW_FORM.GNU_str_index:
      return SKIP.leb;
    case DW_FORM.block1:
      return SKIP.block1;
    case DW_FORM.block2:
      return SKIP.block2;
    case DW_FORM.block4:
      return SKIP.block4;
    case DW_FORM.block:
    case DW_FORM.exprloc:
      return SKIP.block;
    case DW_FORM.string:
      return SKIP.string;
    case DW_FORM.indirect:
      return SKIP.indirect;
    default:
      return undefined;
  }
}

/** Forms of references that may leave their unit. */
export const crossingForms: readonly number[] = [
  DW_FORM.ref_addr,
  DW_FORM.indirect,
  DW_FORM.GNU_ref_alt,
  DW_FORM.ref_sup4,
  DW_FORM.ref_sup8,
];
const crossing: ReadonlySet<number> = new Set(crossingForms);

/** The abbreviations of one unit: all are looked over at once, and each is read when a DIE has it. Codes are nearly always 1, 2, 3, ... */
export class AbbreviationTable {
  readonly #cursor: () => ByteCursor;
  readonly #encoding: Encoding;
  /** Where the declaration of a code goes on behind the code; [0] is that of code 1. */
  readonly #dense: number[] = [];
  readonly #sparse = new Map<number, number>();
  readonly #made: (Abbreviation | undefined)[] = [];
  readonly #madeSparse = new Map<number, Abbreviation>();
  readonly #crossingTags = new Set<number>();

  constructor(cursor: () => ByteCursor, encoding: Encoding) {
    this.#cursor = cursor;
    this.#encoding = encoding;
  }

  get(code: number): Abbreviation | undefined {
    return this.#made[code - 1] ?? this.#madeSparse.get(code) ?? this.#make(code);
  }

  /** Whether DIEs of a tag may have DW_AT_abstract_origin or DW_AT_specification in another unit. */
  crosses(tag: number): boolean {
    return this.#crossingTags.has(tag);
  }

  /** For whoever looks over the section. Where a code is declared twice the first declaration counts. */
  add(code: number, offset: number): void {
    if (code === this.#dense.length + 1 && !this.#sparse.has(code)) this.#dense.push(offset);
    else if (code > this.#dense.length && !this.#sparse.has(code)) this.#sparse.set(code, offset);
  }

  addCrossing(tag: number): void {
    this.#crossingTags.add(tag);
  }

  #make(code: number): Abbreviation | undefined {
    const offset = this.#dense[code - 1] ?? this.#sparse.get(code);
    if (offset === undefined) return undefined;
    const cursor = this.#cursor();
    cursor.offset = offset;
    const abbreviation = readAbbreviation(cursor, code, this.#encoding);
    if (code <= this.#dense.length) this.#made[code - 1] = abbreviation;
    else this.#madeSparse.set(code, abbreviation);
    return abbreviation;
  }

  *[Symbol.iterator](): Iterator<Abbreviation> {
    for (const code of [...this.#dense.keys()].map((index) => index + 1).concat([...this.#sparse.keys()])) {
      const abbreviation = this.get(code);
      if (abbreviation !== undefined) yield abbreviation;
    }
  }
}

/** Which forms below 0x80 anybody knows; the others are asked for. */
const knownForms: readonly boolean[] = Array.from(
  { length: 0x80 },
  (_, form) => formStep(form, { version: 5, offsetSize: 4, addressSize: 8 }) !== undefined,
);

/** Looks over the table at an offset; throws `bad-data` on a form that nobody knows how long it is. */
export function parseAbbreviations(
  sections: DebugSections,
  offset: number,
  encoding: Encoding,
): AbbreviationTable {
  const table = new AbbreviationTable(() => sections.at('debug_abbrev', offset), encoding);
  const cursor = sections.at('debug_abbrev', offset);
  const { bytes } = cursor;
  // Nearly all numbers here are one byte long.
  const number = (): number => {
    const byte = bytes[cursor.offset] ?? 0xff;
    if (byte >= 0x80) return cursor.ulebNumber();
    cursor.offset++;
    return byte;
  };
  for (;;) {
    const code = number();
    if (code === 0) return table;
    table.add(code, cursor.offset);
    const tag = number();
    cursor.skip(1);
    for (let count = 0; ; count++) {
      const at = cursor.offset;
      const attribute = number();
      const form = number();
      if (attribute === 0 && form === 0) break;
      if (count >= maxAttributes) {
        throw cursor.error(`abbreviation ${code} has more than ${maxAttributes} attributes`, at);
      }
      if (!(knownForms[form] ?? formStep(form, encoding) !== undefined)) {
        throw cursor.error(`unknown form 0x${form.toString(16)}`, at);
      }
      if (form === DW_FORM.implicit_const) cursor.sleb();
      if ((attribute === DW_AT.abstract_origin || attribute === DW_AT.specification) && crossing.has(form)) {
        table.addCrossing(tag);
      }
    }
  }
}

/** One declaration from behind its code on, which was looked over before. */
function readAbbreviation(cursor: ByteCursor, code: number, encoding: Encoding): Abbreviation {
  const tag = cursor.ulebNumber();
  const hasChildren = cursor.u8() !== 0;
  const attributes: number[] = [];
  const forms: number[] = [];
  let implicit: Map<number, bigint> | undefined;
  for (;;) {
    const attribute = cursor.ulebNumber();
    const form = cursor.ulebNumber();
    if (attribute === 0 && form === 0) break;
    if (form === DW_FORM.implicit_const) {
      implicit ??= new Map();
      implicit.set(attributes.length, cursor.sleb());
    }
    attributes.push(attribute);
    forms.push(form);
  }
  return {
    code,
    tag,
    hasChildren,
    attributes,
    forms,
    implicit: implicit ?? noImplicit,
    ...planSkip(forms, encoding),
    sibling: attributes.indexOf(DW_AT.sibling),
  };
}

function planSkip(
  forms: readonly number[],
  encoding: Encoding,
): { skip: readonly number[]; fixedOffsets: readonly number[] } {
  const skip: number[] = [];
  const fixedOffsets: number[] = [];
  let fixed = 0;
  let pending = 0;
  for (let i = 0; i < forms.length; i++) {
    fixedOffsets.push(fixed);
    const step = formStep(forms[i] ?? 0, encoding) ?? 0;
    if (step >= 0) {
      pending += step;
      if (fixed >= 0) fixed += step;
    } else {
      if (pending > 0) skip.push(pending);
      skip.push(step);
      pending = 0;
      fixed = -1;
    }
  }
  if (pending > 0) skip.push(pending);
  return { skip, fixedOffsets };
}

/** Whether DIEs of these tags may have DW_AT_abstract_origin or DW_AT_specification in another unit. */
export function refersToOthers(table: AbbreviationTable, tags: readonly number[]): boolean {
  return tags.some((tag) => table.crosses(tag));
}
