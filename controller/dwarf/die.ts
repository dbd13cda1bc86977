/** One DIE (DWARF5 2.1): a view into `.debug_info` that decodes attributes when they are asked for, and steps over the rest. */
import type { ByteCursor } from '../../format/bytes.js';
import { type Abbreviation, SKIP, formStep } from './abbrev.js';
import { DW_AT, DW_FORM } from './constants.js';
import { type FormValue, readForm } from './form.js';
import type { Unit } from './unit.js';

/** Those of units are about 50 bytes, or a few hundred where their strings stand in them. */
const rootBytes = 1024;

export class Die {
  readonly unit: Unit;
  readonly offset: number;
  readonly abbreviation: Abbreviation;
  readonly #attributes: number;
  #end = -1;

  private constructor(unit: Unit, offset: number, abbreviation: Abbreviation, attributes: number) {
    this.unit = unit;
    this.offset = offset;
    this.abbreviation = abbreviation;
    this.#attributes = attributes;
  }

  /** The DIE at an offset of its unit; undefined for the null entry that ends a list of children. */
  static at(unit: Unit, offset: number): Die | undefined {
    unit.load();
    return Die.#read(unit, offset);
  }

  /** The unit's own DIE, for which the rest of the unit need not be loaded. */
  static rootOf(unit: Unit): Die | undefined {
    const { firstDie } = unit.header;
    const end = Math.min(unit.end, firstDie + rootBytes);
    unit.info.load(firstDie, end);
    const root = Die.#read(unit, firstDie);
    if (root === undefined || root.attributesEnd < end) return root;
    return Die.at(unit, firstDie);
  }

  static #read(unit: Unit, offset: number): Die | undefined {
    const cursor = unit.info.at(offset);
    const code = cursor.ulebNumber();
    const attributes = cursor.offset;
    if (attributes > unit.end) throw unit.info.error('DIE reaches past its unit', offset);
    if (code === 0) return undefined;
    const abbreviation = unit.abbreviations.get(code);
    if (abbreviation === undefined) throw unit.info.error(`unknown abbreviation ${code}`, offset);
    return new Die(unit, offset, abbreviation, attributes);
  }

  /** Names the DIE among all files of a module, where the offset names it in its own. */
  get key(): number {
    return this.unit.info.firstKey + this.offset;
  }

  get tag(): number {
    return this.abbreviation.tag;
  }

  has(attribute: number): boolean {
    return this.abbreviation.attributes.includes(attribute);
  }

  value(attribute: number): FormValue | undefined {
    const i = this.abbreviation.attributes.indexOf(attribute);
    if (i < 0) return undefined;
    const { unit, abbreviation } = this;
    const cursor = unit.info.at(this.#attributes);
    const fixed = abbreviation.fixedOffsets[i] ?? -1;
    if (fixed >= 0) cursor.skip(fixed);
    else for (let j = 0; j < i; j++) skipForm(cursor, abbreviation.forms[j] ?? 0, unit);
    const value = readForm(cursor, abbreviation.forms[i] ?? 0, abbreviation.implicit.get(i), unit);
    if (cursor.offset > unit.end) throw unit.info.error('DIE reaches past its unit', this.offset);
    return value;
  }

  /** DW_AT_name. */
  get name(): string | undefined {
    return this.string(DW_AT.name);
  }

  string(attribute: number): string | undefined {
    const value = this.value(attribute);
    return value === undefined ? undefined : this.unit.text(value);
  }

  address(attribute: number): bigint | undefined {
    const value = this.value(attribute);
    return value === undefined ? undefined : this.unit.resolveAddress(value);
  }

  /** A constant that cannot be negative; undefined when it is not a constant (a bound may be an expression). */
  unsigned(attribute: number): bigint | undefined {
    const value = this.value(attribute);
    if (value?.kind !== 'constant') return undefined;
    return value.value < 0n ? BigInt.asUintN(64, value.value) : value.value;
  }

  /** An unsigned constant as a number; undefined when it is none or is beyond 2^53. */
  size(attribute: number): number | undefined {
    const value = this.unsigned(attribute);
    return value === undefined || value > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(value);
  }

  /** A constant whose sign the form may leave open (data1 to data8): then its top bit is the sign. */
  signed(attribute: number): bigint | undefined {
    const value = this.value(attribute);
    if (value?.kind !== 'constant') return undefined;
    return value.signed || value.size === 0 ? value.value : BigInt.asIntN(value.size * 8, value.value);
  }

  flag(attribute: number): boolean {
    const value = this.value(attribute);
    return value?.kind === 'flag' ? value.value : value?.kind === 'constant' && value.value !== 0n;
  }

  /** An offset into another section; DWARF 2 and 3 wrote it as data4 or data8. */
  sectionOffset(attribute: number): number | undefined {
    const value = this.value(attribute);
    if (value?.kind === 'section-offset') return value.offset;
    return value?.kind === 'constant' && (value.size === 4 || value.size === 8)
      ? Number(value.value)
      : undefined;
  }

  /** The {@link key} of the DIE that an attribute refers to by offset, which is not looked at. */
  referenceKey(attribute: number): number | undefined {
    const value = this.value(attribute);
    const { info } = this.unit;
    if (value?.kind === 'reference') return info.firstKey + value.offset;
    if (value?.kind !== 'supplementary-reference') return undefined;
    return info.supplementary === undefined ? undefined : info.supplementary.firstKey + value.offset;
  }

  /** The DIE that an attribute refers to; undefined when there is no such attribute or it leads into a file that is not there. */
  reference(attribute: number): Die | undefined {
    const value = this.value(attribute);
    if (value?.kind === 'reference') {
      const { unit } = this;
      if (value.offset >= unit.header.firstDie && value.offset < unit.end) {
        const die = Die.at(unit, value.offset);
        if (die === undefined) throw unit.info.error('reference to a null entry', value.offset);
        return die;
      }
      return unit.info.die(value.offset);
    }
    if (value?.kind === 'supplementary-reference') return this.unit.info.supplementary?.die(value.offset);
    return value?.kind === 'signature' ? this.unit.info.dieOfSignature(value.signature) : undefined;
  }

  /** The first byte after the attributes: the first child where there are any. */
  get attributesEnd(): number {
    if (this.#end < 0) {
      this.#end = skipAttributes(this.unit.info.bytes, this.#attributes, this.abbreviation, this.unit);
    }
    return this.#end;
  }

  /** Children in order. Bounded by the unit: each step moves forward. */
  *children(): Generator<Die> {
    if (!this.abbreviation.hasChildren) return;
    let offset = this.attributesEnd;
    for (;;) {
      if (offset >= this.unit.end) return;
      const child = Die.at(this.unit, offset);
      if (child === undefined) return;
      yield child;
      offset = child.next();
    }
  }

  /** The offset after this DIE and all that it contains. */
  next(): number {
    const { unit, abbreviation } = this;
    if (!abbreviation.hasChildren) return this.attributesEnd;
    const sibling = abbreviation.sibling < 0 ? undefined : this.value(DW_AT.sibling);
    if (sibling?.kind === 'reference') {
      if (sibling.offset <= this.offset || sibling.offset > unit.end) {
        throw unit.info.error('DW_AT_sibling leads backwards or out of the unit', this.offset);
      }
      return sibling.offset;
    }
    return skipChildren(unit, this.attributesEnd);
  }
}

/** Gives each DIE below some other by its offset, in the order written; `depth` is 1 for children. */
export type VisitDie = (offset: number, abbreviation: Abbreviation, depth: number) => void;

/** Steps over a list of children, from its first byte to the one after its null entry. */
export function skipChildren(unit: Unit, start: number, visit?: VisitDie): number {
  const { bytes } = unit.info;
  const { abbreviations } = unit;
  let position = start;
  for (let depth = 1; depth > 0 && position < unit.end;) {
    const at = position;
    let code = bytes[position++] ?? 0;
    if (code >= 0x80) {
      const cursor = unit.info.at(at);
      code = cursor.ulebNumber();
      position = cursor.offset;
    }
    if (code === 0) {
      depth--;
      continue;
    }
    const abbreviation = abbreviations.get(code);
    if (abbreviation === undefined) throw unit.info.error(`unknown abbreviation ${code}`, at);
    visit?.(at, abbreviation, depth);
    position = skipAttributes(bytes, position, abbreviation, unit);
    if (abbreviation.hasChildren) depth++;
  }
  return position;
}

/** Steps over the attributes of a DIE: the inner loop of every walk, so it works on bytes and numbers alone. */
export function skipAttributes(
  bytes: Uint8Array,
  start: number,
  abbreviation: Abbreviation,
  unit: Unit,
): number {
  const { skip } = abbreviation;
  let position = start;
  for (let i = 0; i < skip.length; i++) {
    const step = skip[i] ?? 0;
    if (step > 0) {
      position += step;
    } else if (step === SKIP.leb) {
      while ((bytes[position++] ?? 0) >= 0x80);
    } else if (step === SKIP.string) {
      while ((bytes[position++] ?? 0) !== 0);
    } else if (step === SKIP.block1) {
      position += 1 + (bytes[position] ?? 0);
    } else {
      const cursor = unit.info.at(position);
      skipStep(cursor, step, unit);
      position = cursor.offset;
    }
  }
  if (position > unit.end) throw unit.info.error('DIE reaches past its unit', start);
  return position;
}

function skipForm(cursor: ByteCursor, form: number, unit: Unit): void {
  const step = formStep(form, unit);
  if (step === undefined) throw cursor.error(`unknown form 0x${form.toString(16)}`);
  if (step >= 0) cursor.skip(step);
  else skipStep(cursor, step, unit);
}

function skipStep(cursor: ByteCursor, step: number, unit: Unit): void {
  switch (step) {
    case SKIP.leb:
      while (cursor.u8() >= 0x80);
      return;
    case SKIP.block1:
      cursor.skip(cursor.u8());
      return;
    case SKIP.block2:
      cursor.skip(cursor.u16());
      return;
    case SKIP.block4:
      cursor.skip(cursor.u32());
      return;
    case SKIP.block:
      cursor.skip(cursor.ulebNumber());
      return;
    case SKIP.string:
      while (cursor.u8() !== 0);
      return;
    default:
      readForm(cursor, DW_FORM.indirect, undefined, unit);
  }
}
