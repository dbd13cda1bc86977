/**
 * The type model: what debug information says of types, freed of DWARF. Types can be cyclic, so whatever leads to another
 * type is a function that resolves late. Declarations are resolved to their definition by the maker of the type.
 */
import type { Recipe } from '../../format/recipe/recipe.js';
import type { View } from './view.js';

export type Type =
  | VoidType
  | BaseType
  | PointerType
  | CompositeType
  | ArrayType
  | EnumType
  | FunctionType
  | TypedefType
  | QualifiedType
  | UnknownType;

/** `void`, or a DIE without DW_AT_type. */
export interface VoidType {
  readonly kind: 'void';
}

export type BaseEncoding =
  | 'signed'
  | 'unsigned'
  | 'boolean'
  | 'signed-char'
  | 'unsigned-char'
  | 'float'
  | 'complex-float'
  | 'utf'
  /** DW_ATE_* that we do not read: values are absent `unsupported`. */
  | 'other';

export interface BaseType {
  readonly kind: 'base';
  readonly name: string;
  readonly byteSize: number;
  readonly encoding: BaseEncoding;
  /** A float of 16 bytes is IEEE's binary128, whatever it is called: so on AArch64, where `long double` is one. */
  readonly isBinary128?: boolean;
}

export interface PointerType {
  readonly kind: 'pointer';
  /** `reference` and `rvalue-reference` show the object they refer to. */
  readonly flavor: 'pointer' | 'reference' | 'rvalue-reference';
  readonly byteSize: number;
  readonly target: () => Type;
  /** Of a language whose pointers have names: `&mut Point` and `fn(i32) -> u8` of Rust, `*main.Order` and `func(int) error` of Go (which points to its closure). */
  readonly name?: string;
  /** Of Go. */
  readonly origin?: TypeOrigin;
}

export interface CompositeType {
  readonly kind: 'struct' | 'union' | 'class';
  /** Undefined when anonymous. */
  readonly name?: string;
  /** The name stands alone, as in C++: `order`, not `struct order`. */
  readonly tagless?: true;
  readonly byteSize: number;
  /** True when only a declaration exists anywhere: there are no members to show. */
  readonly incomplete: boolean;
  readonly members: () => readonly Member[];
  /** What an object is one of, beside its members: Rust's enums. */
  readonly variants?: () => VariantPart | undefined;
  /** Static members whose values are constants of the program. */
  readonly constants?: () => ReadonlyMap<string, { readonly type: Type; readonly value: bigint }>;
  /** Of a language whose types have views; undefined in C. */
  readonly origin?: TypeOrigin;
  /** DW_AT_calling_convention: in C++ what has a copy constructor or a destructor of its own is passed and returned in memory. */
  readonly passedBy?: 'value' | 'reference';
}

/** What views need to know of a type besides its members. */
export interface TypeOrigin {
  readonly language: 'c++' | 'rust' | 'go';
  /** Template or generic arguments in order. */
  readonly templateArguments: () => readonly TemplateArgument[];
  /** A type of the same module by its whole name, with the namespaces that it stands in: `std::_List_node<int>`. */
  readonly findType: (name: string) => Type | undefined;
  /** What compiled it: `clang LLVM (rustc version 1.95.0 (...))`. */
  readonly producer?: () => string | undefined;
  /** Of a type that is made by a view and stands in no debug information (what an `Rc<str>` points to): how it is shown. */
  readonly view?: View;
  readonly go?: GoFacts;
}

/** What debug information of Go says of a type beyond DWARF (cmd/internal/dwarf). */
export interface GoFacts {
  /** DW_AT_go_kind: what it is to the runtime (reflect.Kind). */
  readonly kind: number;
  /** DW_AT_go_key, of a map. */
  readonly key?: () => Type;
  /** DW_AT_go_elem, of a map, a slice or a channel. */
  readonly element?: () => Type;
}

export interface TemplateArgument {
  readonly name?: string;
  readonly type: () => Type;
  /** Of an argument that is a value. */
  readonly value?: bigint;
}

export interface Member {
  /** Undefined for an anonymous struct or union, whose members are found as if they were the parent's. */
  readonly name?: string;
  readonly type: () => Type;
  /** Byte offset of the member; for a bit field, of the storage that `bitOffset` counts from. */
  readonly byteOffset: number;
  /** Bit fields: width, and offset of the least significant bit from the byte offset's first bit (little-endian). */
  readonly bitSize?: number;
  readonly bitOffset?: number;
  /** A base class. */
  readonly base: boolean;
  /** Of Go: its members are found as if they were the parent's. */
  readonly embedded?: true;
  /** A virtual base: where it lies the object's vtable says, so that `type` is unknown to whoever does not ask that. */
  readonly virtualBase?: VirtualBase;
}

export interface VirtualBase {
  readonly type: () => Type;
  /** From the beginning of the object that has it. */
  readonly offset: Recipe;
}

/** Of its variants, an object has the members of one. */
export interface VariantPart {
  /** What tells which; undefined where nothing does, for no more than one of them can exist. */
  readonly discriminant?: { readonly byteOffset: number; readonly byteSize: number };
  readonly variants: readonly Variant[];
}

export interface Variant {
  /** The discriminants that mean it; undefined: all that no other names. */
  readonly discriminants?: readonly DiscriminantRange[];
  readonly members: readonly Member[];
}

/** Both ends included, as unsigned integers of the discriminant's size. */
export interface DiscriminantRange {
  readonly from: bigint;
  readonly to: bigint;
}

export interface ArrayType {
  readonly kind: 'array';
  /** As Go spells it: `[3]int`. */
  readonly name?: string;
  readonly element: () => Type;
  /** Undefined when unknown: a flexible array member, `extern int a[]`, a VLA whose bound cannot be evaluated. */
  readonly count?: number;
  /** A vector of the machine (`vector_size`): laid out as an array, but a value of its own, which never becomes a pointer. */
  readonly vector?: true;
  /** Written as Rust writes it: `[i32; 4]`. */
  readonly spelling?: 'rust';
  /** A VLA's count, as a DWARF expression or a reference to a variable; evaluated where a frame is known. */
  readonly dynamicCount?: DynamicCount;
}

/** The bound of a variable-length array: a DWARF expression that yields count or upper bound, or a location that holds it. */
export interface DynamicCount {
  readonly kind: 'upper-bound' | 'count';
  /** The expression at a link address; undefined when it cannot be known there. */
  readonly expressionAt: (pc: bigint) => Uint8Array | undefined;
  /** True: the expression gives the location of an integer of `byteSize` bytes; false: the value itself. */
  readonly isLocation: boolean;
  readonly byteSize: number;
}

export interface EnumType {
  readonly kind: 'enum';
  readonly name?: string;
  readonly tagless?: true;
  readonly byteSize: number;
  readonly signed: boolean;
  readonly enumerators: () => readonly Enumerator[];
  /** A value is one of them, never some of their bits: Rust's. */
  readonly isExact?: true;
}

export interface Enumerator {
  readonly name: string;
  readonly value: bigint;
}

export interface FunctionType {
  readonly kind: 'function';
  /** As Go spells it. */
  readonly name?: string;
  readonly result: () => Type;
  readonly parameters: () => readonly Type[];
  readonly prototyped: boolean;
  readonly variadic: boolean;
}

export interface TypedefType {
  readonly kind: 'typedef';
  readonly name: string;
  /** Of Go, whose maps and channels are typedefs. */
  readonly origin?: TypeOrigin;
  readonly target: () => Type;
}

export interface QualifiedType {
  readonly kind: 'qualified';
  readonly qualifier: 'const' | 'volatile' | 'restrict' | 'atomic';
  readonly target: () => Type;
}

/** A DIE that we cannot read as a type: its values are absent `unsupported`. */
export interface UnknownType {
  readonly kind: 'unknown';
  readonly detail: string;
}
