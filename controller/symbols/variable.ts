/** One variable or parameter of debug information, as VariableSymbol asks for it. */
import { type Absent, absent } from '../../format/absent.js';
import { type LinkAddress, hex, linkAddress } from '../../format/address.js';
import { ByteWriter } from '../../format/bytes.js';
import { StillframeError } from '../../format/error.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { type LocationAttribute, type LocationEntry, locationOf } from '../dwarf/location-list.js';
import { toPc } from '../dwarf/sections.js';
import { sizeOf, stripType } from '../types/layout.js';
import { wholeName } from './called.js';
import type { Type } from '../types/type.js';
import type { AddressRange, ExpressionUnit, VariableLocation, VariableSymbol } from './module-symbols.js';
import { once } from './once.js';
import { nameOf, owner } from './origin.js';

/** What a variable needs of its module. */
export interface VariableContext {
  typeOf(die: Die): Type;
  path(die: Die, fileIndex: number): string | undefined;
  expressionUnit(die: Die): ExpressionUnit;
  /** The definition of a global that a DIE only declares, by name. */
  findDefinition(name: string, die: Die): VariableSymbol | undefined;
  /** An address range as lines, for "available at lines 10-12". */
  describeRange(start: number, end: number): string | undefined;
}

export interface VariableOptions {
  readonly shadowed?: boolean;
  /** Declared in a block: a parameter of an inlined copy that has no frame of its own is a local to gdb. */
  readonly isLocal?: boolean;
  /** First address of the concrete function: some entries of location lists hold at it alone. */
  readonly functionEntry?: number | undefined;
}

export function makeVariable(
  context: VariableContext,
  die: Die,
  options: VariableOptions = {},
): VariableSymbol {
  return new DieVariable(context, die, options);
}

/** Named in details; a longer list would not be read. */
const maxNamedRanges = 8;

class DieVariable implements VariableSymbol {
  readonly name: string;
  readonly parameter: boolean;
  readonly shadowed: boolean;
  readonly declaredFile?: string;
  readonly declaredLine?: number;
  readonly type: () => Type;
  readonly #context: VariableContext;
  readonly #die: Die;
  readonly #functionEntry: number | undefined;
  readonly #location: () => LocationAttribute | undefined;
  readonly #definition: () => VariableSymbol | undefined;

  get wholeName(): string {
    return wholeName(this.#die);
  }

  constructor(context: VariableContext, die: Die, options: VariableOptions) {
    this.#context = context;
    this.#die = die;
    this.#functionEntry = options.functionEntry;
    this.name = nameOf(die) ?? '';
    this.parameter = die.tag === DW_TAG.formal_parameter && options.isLocal !== true;
    this.shadowed = options.shadowed ?? false;
    const declared = owner(die, DW_AT.decl_file);
    const fileIndex = declared?.size(DW_AT.decl_file);
    const file =
      declared === undefined || fileIndex === undefined ? undefined : context.path(declared, fileIndex);
    if (file !== undefined) this.declaredFile = file;
    const line = owner(die, DW_AT.decl_line)?.size(DW_AT.decl_line);
    if (line !== undefined) this.declaredLine = line;
    this.type = once(() => {
      const typed = owner(die, DW_AT.type) ?? die;
      const type = context.typeOf(typed);
      // `extern int table[];` in a block knows less than the definition does.
      return this.#isDeclaration ? (this.#definition()?.type() ?? type) : type;
    });
    this.#location = once(() => {
      const located = owner(die, DW_AT.location);
      return located === undefined ? undefined : locationOf(located, DW_AT.location);
    });
    this.#definition = once(() => context.findDefinition(this.name, die));
  }

  get #isDeclaration(): boolean {
    return (
      owner(this.#die, DW_AT.location) === undefined &&
      owner(this.#die, DW_AT.const_value) === undefined &&
      (this.#die.flag(DW_AT.declaration) || owner(this.#die, DW_AT.external) !== undefined)
    );
  }

  get unit(): ExpressionUnit {
    if (this.#isDeclaration) {
      const unit = this.#definition()?.unit;
      if (unit !== undefined) return unit;
    }
    return this.#context.expressionUnit(owner(this.#die, DW_AT.location) ?? this.#die);
  }

  /** Malformed debug information of one variable is that variable's matter alone. */
  locationAt(address: LinkAddress): VariableLocation | Absent {
    try {
      return this.#locate(address);
    } catch (error) {
      if (error instanceof StillframeError) return absent('no-debug-info', error.message);
      throw error;
    }
  }

  #locate(address: LinkAddress): VariableLocation | Absent {
    const location = this.#location();
    if (location === undefined) return this.#withoutLocation(address);
    if (location.kind === 'expression') return described(location.expression) ?? this.#gone(address, []);
    const pc = toPc(address);
    const covering = location.entries.find((entry) => this.#covers(entry, pc));
    const found = covering ?? location.entries.find((entry) => entry.isDefault);
    const result = found === undefined ? undefined : described(found.expression);
    return result ?? this.#gone(address, location.entries);
  }

  #covers(entry: LocationEntry, pc: number): boolean {
    if (entry.isDefault) return false;
    // Of length 0: the object's place on entry, before the first instruction.
    if (entry.start === entry.end) return pc === entry.start && pc === this.#functionEntry;
    return pc >= entry.start && pc < entry.end;
  }

  #withoutLocation(address: LinkAddress): VariableLocation | Absent {
    const constant = owner(this.#die, DW_AT.const_value);
    if (constant !== undefined) return constantBytes(constant, this.type());
    if (this.#isDeclaration) {
      const definition = this.#definition();
      return (
        definition?.locationAt(address) ??
        absent('no-debug-info', `"${this.name}" is only declared in this module, and no symbol has its name`)
      );
    }
    return this.#gone(address, []);
  }

  #gone(address: LinkAddress, entries: readonly LocationEntry[]): Absent {
    const live = entries.filter((entry) => entry.expression.length > 0 && entry.end > entry.start);
    if (live.length === 0) return absent('optimized-out', 'optimized out: it exists at no address');
    const named = live
      .slice(0, maxNamedRanges)
      .map(({ start, end }) => this.#context.describeRange(start, end) ?? `${hex(start)} to ${hex(end - 1)}`);
    const places = [...new Set(named)].join(', ') + (live.length > maxNamedRanges ? ', ...' : '');
    return absent('optimized-out', `optimized out at ${hex(address)}; available at ${places}`);
  }

  readonly availableRanges = (): readonly AddressRange[] | undefined => {
    const location = this.#location();
    if (location === undefined) {
      if (owner(this.#die, DW_AT.const_value) !== undefined) return undefined;
      return this.#isDeclaration ? (this.#definition()?.availableRanges() ?? undefined) : [];
    }
    if (location.kind === 'expression') return location.expression.length > 0 ? undefined : [];
    if (location.entries.some((entry) => entry.isDefault && entry.expression.length > 0)) return undefined;
    return location.entries
      .filter((entry) => entry.expression.length > 0 && entry.end > entry.start && entry.end !== Infinity)
      .map((entry) => ({
        start: linkAddress(BigInt(entry.start)),
        end: linkAddress(BigInt(entry.end)),
      }));
  };
}

function described(expression: Uint8Array): VariableLocation | undefined {
  return expression.length === 0 ? undefined : { kind: 'expression', expression };
}

function isFloat(type: Type): boolean {
  const stripped = stripType(type);
  return stripped.kind === 'base' && stripped.encoding === 'float';
}

/** DW_AT_const_value as the bytes of the object. Constants without a sign of their own are extended with zeros. */
function constantBytes(die: Die, type: Type): VariableLocation | Absent {
  const size = sizeOf(type);
  const value = die.value(DW_AT.const_value);
  if (value?.kind === 'block') {
    const { length } = value.bytes;
    // The value of an x87 long double is ten bytes; the others are padding, and may be left out.
    if (size === 16 && length === 10 && isFloat(type)) {
      const bytes = new Uint8Array(16);
      bytes.set(value.bytes);
      return { kind: 'constant', bytes };
    }
    return size === undefined || length === size
      ? { kind: 'constant', bytes: value.bytes }
      : absent('unsupported', `constant of ${length} bytes for a type of ${size}`);
  }
  if (value?.kind === 'constant') {
    const bytes = new Uint8Array(size ?? 8);
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = Number((value.value >> BigInt(i * 8)) & 0xffn);
    }
    return { kind: 'constant', bytes };
  }
  if (value !== undefined) {
    const address = die.unit.resolveAddress(value);
    if (address !== undefined) {
      return { kind: 'expression', expression: new ByteWriter().u8(0x03).u64(address).u8(0x9f).finish() };
    }
    const text = die.unit.text(value);
    if (text !== undefined) return { kind: 'constant', bytes: new ByteWriter().cstring(text).finish() };
  }
  return absent('unsupported', 'constant of an unknown form');
}
