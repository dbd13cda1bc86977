/**
 * Types of the model made from DIEs (DWARF5 chapter 5), each once: identity is that of the DIE. Whatever leads to another type
 * resolves late, because types are cyclic. A declaration is replaced by its definition where one exists in the module.
 */
import { ByteWriter } from '../../format/bytes.js';
import type { Machine } from '../../format/registers/machine.js';
import { DW_AT, DW_ATE, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { expressionAt, locationOf } from '../dwarf/location-list.js';
import type {
  BaseEncoding,
  CompositeType,
  DynamicCount,
  Enumerator,
  EnumType,
  FunctionType,
  PointerType,
  QualifiedType,
  TemplateArgument,
  Type,
  TypeOrigin,
} from '../types/type.js';
import { constantOf, constantsOf, membersOf } from './members.js';
import { memberPointer } from './member-pointer.js';
import { once } from './once.js';
import { isCPlusPlus, isGo, qualifiedNameOf, viewLanguage } from './origin.js';
import { variantPartOf } from './variant-part.js';

const voidType: Type = { kind: 'void' };

/** Finds the definition of a type that a DIE only declares: same tag, same whole name, any unit. */
export type DefinitionFinder = (declaration: Die) => Die | undefined;

export interface TypeFinders {
  readonly definition: DefinitionFinder;
  /** By the whole name, any unit. */
  readonly named: (name: string) => Type | undefined;
}

export class TypeReader {
  readonly #types = new Map<number, Type>();
  readonly #findDefinition: DefinitionFinder;
  readonly #findType: (name: string) => Type | undefined;
  readonly #machine: Machine | undefined;

  /** `machine`: undefined where it is none that we know. */
  constructor(find: TypeFinders, machine: Machine | undefined) {
    this.#findDefinition = find.definition;
    this.#findType = find.named;
    this.#machine = machine;
  }

  /** The DW_AT_type of a variable, member or function; `void` where there is none. */
  typeOf(die: Die): Type {
    const type = die.reference(DW_AT.type);
    if (type !== undefined) return this.typeAt(type);
    return die.has(DW_AT.type) ? { kind: 'unknown', detail: 'its type is in another file' } : voidType;
  }

  #typeBehind(die: Die, attribute: number): Type {
    const type = die.reference(attribute);
    return type === undefined ? voidType : this.typeAt(type);
  }

  /** The type that a DIE is. */
  typeAt(die: Die): Type {
    const known = this.#types.get(die.key);
    if (known !== undefined) return known;
    const type = this.#make(die);
    this.#types.set(die.key, type);
    return type;
  }

  #make(die: Die): Type {
    // A stand-in for a type that has a unit of its own.
    const whole = die.has(DW_AT.signature) ? die.reference(DW_AT.signature) : undefined;
    if (whole !== undefined && whole.key !== die.key && !whole.has(DW_AT.signature))
      return this.typeAt(whole);
    switch (die.tag) {
      case DW_TAG.base_type:
        return this.#emptyOfRust(die) ?? baseType(die, this.#machine);
      case DW_TAG.pointer_type:
        return this.#pointer(die, 'pointer');
      case DW_TAG.reference_type:
        return this.#pointer(die, 'reference');
      case DW_TAG.rvalue_reference_type:
        return this.#pointer(die, 'rvalue-reference');
      case DW_TAG.ptr_to_member_type:
        return memberPointer(die, (from, attribute) => this.#typeBehind(from, attribute));
      case DW_TAG.structure_type:
        return this.#composite(die, 'struct');
      case DW_TAG.union_type:
        return this.#composite(die, 'union');
      case DW_TAG.class_type:
        return this.#composite(die, 'class');
      case DW_TAG.array_type:
        return this.#array(die);
      case DW_TAG.enumeration_type:
        return this.#enum(die);
      case DW_TAG.subroutine_type:
        return isGo(die) ? this.#goFunction(die) : this.#function(die);
      case DW_TAG.subprogram:
        return this.#function(die);
      case DW_TAG.typedef:
      case DW_TAG.template_alias: {
        // A type parameter, whose name is of the compiler's making; what it stands for here is known no better than as its shape.
        if (isGo(die) && die.has(DW_AT.go_dict_index)) return this.typeOf(die);
        const target = once(() => this.typeOf(die));
        return { kind: 'typedef', name: shownName(die).name ?? '', target, ...this.#originOf(die) };
      }
      case DW_TAG.const_type:
      case DW_TAG.immutable_type:
        return this.#qualified(die, 'const');
      case DW_TAG.volatile_type:
        return this.#qualified(die, 'volatile');
      case DW_TAG.restrict_type:
        return this.#qualified(die, 'restrict');
      case DW_TAG.atomic_type:
        return this.#qualified(die, 'atomic');
      case DW_TAG.unspecified_type:
        return voidType;
      default:
        return { kind: 'unknown', detail: `types of tag 0x${die.tag.toString(16)} are not read` };
    }
  }

  #qualified(die: Die, qualifier: QualifiedType['qualifier']): Type {
    return { kind: 'qualified', qualifier, target: once(() => this.typeOf(die)) };
  }

  #pointer(die: Die, flavor: 'pointer' | 'reference' | 'rvalue-reference'): Type {
    const byteSize = die.size(DW_AT.byte_size) ?? die.unit.addressSize;
    return {
      kind: 'pointer',
      flavor,
      byteSize,
      target: once(() => this.typeOf(die)),
      ...this.#pointerName(die),
    };
  }

  #pointerName(die: Die): { name?: string; origin?: TypeOrigin } {
    if (!isRust(die)) return this.#goName(die);
    return die.name === undefined ? {} : { name: die.name };
  }

  #goName(die: Die): { name?: string; origin?: TypeOrigin } {
    if (!isGo(die)) return {};
    return { ...(die.name === undefined ? {} : { name: die.name }), ...this.#originOf(die) };
  }

  /** A func value of Go is a pointer to its closure, whose first word is the address of the code; what was captured follows. */
  #goFunction(die: Die): PointerType {
    const { addressSize } = die.unit;
    const code = once(() => this.#function(die));
    const fn = (): Type => ({ kind: 'pointer', flavor: 'pointer', byteSize: addressSize, target: code });
    const closure: CompositeType = {
      kind: 'struct',
      name: 'runtime.funcval',
      tagless: true,
      byteSize: addressSize,
      incomplete: false,
      members: once(() => [{ name: 'fn', type: once(fn), byteOffset: 0, base: false }]),
    };
    const names = this.#goName(die);
    return { kind: 'pointer', flavor: 'pointer', byteSize: addressSize, target: () => closure, ...names };
  }

  #composite(die: Die, kind: CompositeType['kind']): Type {
    const { name } = die;
    if (die.flag(DW_AT.declaration)) {
      const definition = this.#findDefinition(die);
      if (definition !== undefined && definition.key !== die.key && !definition.flag(DW_AT.declaration)) {
        return this.typeAt(definition);
      }
      const origin = this.#originOf(die);
      return { kind, ...shownName(die), byteSize: 0, incomplete: true, members: () => [], ...origin };
    }
    const byteSize = die.size(DW_AT.byte_size);
    if (byteSize === undefined) {
      return { kind: 'unknown', detail: `the size of ${kind} ${name ?? '{...}'} is not a constant` };
    }
    return {
      kind,
      ...shownName(die),
      byteSize,
      incomplete: false,
      members: once(() => membersOf(die, (child) => this.typeOf(child))),
      ...(isRust(die) ? { variants: once(() => variantPartOf(die, (child) => this.typeOf(child))) } : {}),
      ...(viewLanguage(die.unit.language) === 'c++'
        ? { constants: once(() => constantsOf(die, (child) => this.typeOf(child))) }
        : {}),
      ...passedBy(die),
      ...this.#originOf(die),
    };
  }

  /** rustc writes `()` and `!` as base types without a size: the first is a struct of nothing, the second an enum of nothing. */
  #emptyOfRust(die: Die): CompositeType | undefined {
    const { name } = die;
    if (!isRust(die) || (name !== '()' && name !== '!')) return undefined;
    const variants = name === '!' ? { variants: () => ({ variants: [] }) } : {};
    const empty = { byteSize: 0, incomplete: false, members: () => [], ...variants };
    return { kind: 'struct', name, tagless: true, ...empty, ...this.#originOf(die) };
  }

  #originOf(die: Die): { origin?: TypeOrigin } {
    const language = viewLanguage(die.unit.language);
    if (language === undefined) return {};
    const templateArguments = once(() => templateArgumentsOf(die, (child) => this.typeOf(child)));
    const producer = (): string | undefined => die.unit.root.string(DW_AT.producer);
    const origin = { language, templateArguments, findType: this.#findType, producer };
    const kind = language === 'go' ? die.size(DW_AT.go_kind) : undefined;
    if (kind === undefined) return { origin };
    const [key, element] = [DW_AT.go_key, DW_AT.go_elem].map((attribute) => {
      const type = die.reference(attribute);
      return type === undefined ? undefined : once(() => this.typeAt(type));
    });
    const go = {
      kind,
      ...(key === undefined ? {} : { key }),
      ...(element === undefined ? {} : { element }),
    };
    return { origin: { ...origin, go } };
  }

  /** One ArrayType for each DW_TAG_subrange_type, the last one innermost: `int a[2][3]` is two arrays. */
  #array(die: Die): Type {
    if (die.has(DW_AT.byte_stride) || die.has(DW_AT.bit_stride)) {
      return { kind: 'unknown', detail: 'arrays with a stride are not read' };
    }
    const ranges = [...die.children()].filter((child) => child.tag === DW_TAG.subrange_type);
    const { name } = die;
    const form = {
      ...(die.flag(DW_AT.GNU_vector) ? { vector: true as const } : {}),
      ...(isRust(die) ? { spelling: 'rust' as const } : {}),
    };
    const named = isGo(die) && name !== undefined && ranges.length === 1 ? { name } : {};
    let element = once(() => this.typeOf(die));
    for (const range of ranges.toReversed()) {
      const of = element;
      const type: Type = { kind: 'array', element: of, ...named, ...form, ...this.#count(range) };
      element = () => type;
    }
    return ranges.length === 0 ? { kind: 'array', element } : element();
  }

  #count(range: Die): { count?: number; dynamicCount?: DynamicCount } {
    const lower = range.signed(DW_AT.lower_bound) ?? 0n;
    for (const [attribute, kind] of bounds) {
      const value = range.value(attribute);
      if (value === undefined) continue;
      if (value.kind === 'constant') {
        const count = kind === 'count' ? value.value : upperBound(value) - lower + 1n;
        // Whatever is negative or beyond all memory is not a count: the array's length stays unknown.
        return count < 0n || count > BigInt(Number.MAX_SAFE_INTEGER) ? {} : { count: Number(count) };
      }
      if (lower !== 0n) return {};
      const dynamicCount = this.#dynamicCount(range, attribute, kind);
      return dynamicCount === undefined ? {} : { dynamicCount };
    }
    return {};
  }

  #dynamicCount(range: Die, attribute: number, kind: DynamicCount['kind']): DynamicCount | undefined {
    const variable = range.reference(attribute);
    if (variable === undefined) {
      if (locationOf(range, attribute) === undefined) return undefined;
      const at = (pc: bigint): Uint8Array | undefined => expressionAt(range, attribute, Number(pc));
      return { kind, expressionAt: at, isLocation: false, byteSize: 8 };
    }
    const size = variable.reference(DW_AT.type)?.size(DW_AT.byte_size) ?? 8;
    const constant = variable.signed(DW_AT.const_value);
    const at = (pc: bigint): Uint8Array | undefined =>
      constant === undefined
        ? expressionAt(variable, DW_AT.location, Number(pc))
        : constantLocation(constant);
    return { kind, expressionAt: at, isLocation: true, byteSize: size };
  }

  #enum(die: Die): EnumType {
    const enumerators = once(() => enumeratorsOf(die));
    const underlying = die.reference(DW_AT.type);
    const encoding = underlying?.size(DW_AT.encoding);
    const signed =
      encoding === undefined
        ? enumerators().some((enumerator) => enumerator.value < 0n)
        : encoding === DW_ATE.signed || encoding === DW_ATE.signed_char;
    const byteSize = die.size(DW_AT.byte_size) ?? underlying?.size(DW_AT.byte_size) ?? 4;
    const exact = isRust(die) ? { isExact: true as const } : {};
    return { kind: 'enum', ...shownName(die), byteSize, signed, enumerators, ...exact };
  }

  #function(die: Die): FunctionType {
    const parameters = once(() =>
      [...die.children()]
        .filter((child) => child.tag === DW_TAG.formal_parameter)
        .map((child) => this.typeOf(child)),
    );
    const variadic = [...die.children()].some((child) => child.tag === DW_TAG.unspecified_parameters);
    const prototyped = die.flag(DW_AT.prototyped);
    const { name } = die;
    const named = isGo(die) && die.tag === DW_TAG.subroutine_type && name !== undefined ? { name } : {};
    const result = once(() => this.typeOf(die));
    return { kind: 'function', ...named, result, parameters, prototyped, variadic };
  }
}

const DW_CC_pass_by_reference = 4;
const DW_CC_pass_by_value = 5;

function passedBy(die: Die): Pick<CompositeType, 'passedBy'> {
  const convention = die.size(DW_AT.calling_convention);
  if (convention === DW_CC_pass_by_reference) return { passedBy: 'reference' };
  return convention === DW_CC_pass_by_value ? { passedBy: 'value' } : {};
}

const bounds = [
  [DW_AT.count, 'count'],
  [DW_AT.upper_bound, 'upper-bound'],
] as const;

/** NB: gcc writes the bound of `int a[0]` as -1 in whatever form fits, so all ones in four or eight bytes is -1. */
function upperBound(value: { readonly value: bigint; readonly size: number }): bigint {
  const allOnes = value.size >= 4 && value.value === (1n << BigInt(value.size * 8)) - 1n;
  return allOnes ? -1n : value.value;
}

const DW_OP_consts = 0x11;
const DW_OP_stack_value = 0x9f;

function constantLocation(value: bigint): Uint8Array {
  return new ByteWriter().u8(DW_OP_consts).sleb(value).u8(DW_OP_stack_value).finish();
}

function baseType(die: Die, machine: Machine | undefined): Type {
  const byteSize = die.size(DW_AT.byte_size);
  const name = die.name ?? '';
  if (byteSize === undefined || byteSize === 0 || byteSize > 64) {
    return { kind: 'unknown', detail: `base type "${name}" without a sound size` };
  }
  const partial = die.has(DW_AT.bit_size) && die.size(DW_AT.bit_size) !== byteSize * 8;
  const encoding = partial ? 'other' : (encodings.get(die.size(DW_AT.encoding) ?? -1) ?? 'other');
  const isFloat = encoding === 'float' || encoding === 'complex-float';
  if (!isFloat || (machine?.wideFloat !== 'binary128' && name !== 'f128'))
    return { kind: 'base', name, byteSize, encoding };
  return { kind: 'base', name, byteSize, encoding, isBinary128: true };
}

const encodings: ReadonlyMap<number, BaseEncoding> = new Map([
  [DW_ATE.address, 'unsigned'],
  [DW_ATE.boolean, 'boolean'],
  [DW_ATE.complex_float, 'complex-float'],
  [DW_ATE.float, 'float'],
  [DW_ATE.signed, 'signed'],
  [DW_ATE.signed_char, 'signed-char'],
  [DW_ATE.unsigned, 'unsigned'],
  [DW_ATE.unsigned_char, 'unsigned-char'],
  [DW_ATE.UTF, 'utf'],
]);

function enumeratorsOf(die: Die): Enumerator[] {
  const enumerators: Enumerator[] = [];
  const prefix = enumeratorPrefix(die);
  for (const child of die.children()) {
    if (child.tag !== DW_TAG.enumerator) continue;
    const value = child.value(DW_AT.const_value);
    if (value?.kind === 'constant')
      enumerators.push({ name: prefix + (child.name ?? ''), value: value.value });
  }
  return enumerators;
}

/** As gdb names it: in C++ and Rust with what it stands in, and without the word. Go writes whole names. */
function shownName(die: Die): { name?: string; tagless?: true } {
  if (isGo(die) && die.name !== undefined) return { tagless: true, name: die.name };
  if (!isCPlusPlus(die.unit.language) && !isRust(die))
    return die.name === undefined ? {} : { name: die.name };
  const name = qualifiedNameOf(die);
  return { tagless: true, ...(name === undefined ? {} : { name }) };
}

/** What stands before the names of enumerators: in C++ what the enumeration stands in, and its own name where that is needed. */
function enumeratorPrefix(die: Die): string {
  if (!isCPlusPlus(die.unit.language)) return '';
  const own = die.name ?? '';
  const whole = qualifiedNameOf(die) ?? '';
  return die.flag(DW_AT.enum_class) ? `${whole}::` : whole.slice(0, whole.length - own.length);
}

function isRust(die: Die): boolean {
  return viewLanguage(die.unit.language) === 'rust';
}

function templateArgumentsOf(die: Die, typeOf: (die: Die) => Type): TemplateArgument[] {
  const found: TemplateArgument[] = [];
  for (const child of die.children()) {
    const { tag, name } = child;
    if (tag === DW_TAG.GNU_template_parameter_pack) {
      found.push(...templateArgumentsOf(child, typeOf));
      continue;
    }
    if (tag !== DW_TAG.template_type_parameter && tag !== DW_TAG.template_value_parameter) continue;
    const type = typeOf(child);
    const value = constantOf(child, type);
    const named = name === undefined ? {} : { name };
    found.push({ ...named, type: () => type, ...(value === undefined ? {} : { value }) });
  }
  return found;
}
