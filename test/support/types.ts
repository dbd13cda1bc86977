/** Builders of literal types, so that a test shows the layout that it is about. */
import type {
  ArrayType,
  BaseEncoding,
  BaseType,
  CompositeType,
  EnumType,
  FunctionType,
  Member,
  PointerType,
  QualifiedType,
  Type,
  TypedefType,
  VoidType,
} from '../../controller/types/type.js';

export const voidType: VoidType = { kind: 'void' };

export function base(name: string, byteSize: number, encoding: BaseEncoding): BaseType {
  return { kind: 'base', name, byteSize, encoding };
}

export const bool: BaseType = base('_Bool', 1, 'boolean');
export const char: BaseType = base('char', 1, 'signed-char');
export const schar: BaseType = base('signed char', 1, 'signed-char');
export const uchar: BaseType = base('unsigned char', 1, 'unsigned-char');
export const short: BaseType = base('short', 2, 'signed');
export const ushort: BaseType = base('unsigned short', 2, 'unsigned');
export const int: BaseType = base('int', 4, 'signed');
export const uint: BaseType = base('unsigned int', 4, 'unsigned');
export const long: BaseType = base('long', 8, 'signed');
export const ulong: BaseType = base('unsigned long', 8, 'unsigned');
export const longLong: BaseType = base('long long', 8, 'signed');
export const int128: BaseType = base('__int128', 16, 'signed');
export const uint128: BaseType = base('__int128 unsigned', 16, 'unsigned');
export const float: BaseType = base('float', 4, 'float');
export const double: BaseType = base('double', 8, 'float');
export const longDouble: BaseType = base('long double', 16, 'float');
export const complexFloat: BaseType = base('complex float', 8, 'complex-float');
export const complexDouble: BaseType = base('complex double', 16, 'complex-float');
export const char16: BaseType = base('char16_t', 2, 'utf');
export const char32: BaseType = base('char32_t', 4, 'utf');

/** A pointer; `to` may be a function where the target is not made yet (cycles). */
export function pointer(to: Type | (() => Type)): PointerType {
  return { kind: 'pointer', flavor: 'pointer', byteSize: 8, target: late(to) };
}

export function reference(to: Type | (() => Type)): PointerType {
  return { kind: 'pointer', flavor: 'reference', byteSize: 8, target: late(to) };
}

export function typedef(name: string, target: Type | (() => Type)): TypedefType {
  return { kind: 'typedef', name, target: late(target) };
}

export function constant(target: Type): QualifiedType {
  return { kind: 'qualified', qualifier: 'const', target: () => target };
}

export function volatile(target: Type): QualifiedType {
  return { kind: 'qualified', qualifier: 'volatile', target: () => target };
}

export function restrict(target: Type): QualifiedType {
  return { kind: 'qualified', qualifier: 'restrict', target: () => target };
}

/** `array(int, 4)`; without a count, of unknown length. */
export function array(element: Type, count?: number): ArrayType {
  return { kind: 'array', element: () => element, ...(count === undefined ? {} : { count }) };
}

/** `field('total', long, 24)`; bit fields: `field('flag', uint, 0, { bitOffset: 3, bitSize: 1 })`. Undefined name: anonymous. */
export function field(
  name: string | undefined,
  type: Type | (() => Type),
  byteOffset: number,
  bits?: { readonly bitOffset: number; readonly bitSize: number },
): Member {
  return {
    ...(name === undefined ? {} : { name }),
    type: late(type),
    byteOffset,
    ...bits,
    base: false,
  };
}

/** `struct('order', 32, [field('id', int, 0), …])`; an undefined name makes it anonymous. */
export function struct(
  name: string | undefined,
  byteSize: number,
  members: readonly Member[] | (() => readonly Member[]),
): CompositeType {
  return composite('struct', name, byteSize, members);
}

export function union(
  name: string | undefined,
  byteSize: number,
  members: readonly Member[] | (() => readonly Member[]),
): CompositeType {
  return composite('union', name, byteSize, members);
}

/** A struct of which only the declaration exists. */
export function incompleteStruct(name: string): CompositeType {
  return { kind: 'struct', name, byteSize: 0, incomplete: true, members: () => [] };
}

function composite(
  kind: CompositeType['kind'],
  name: string | undefined,
  byteSize: number,
  members: readonly Member[] | (() => readonly Member[]),
): CompositeType {
  return {
    kind,
    ...(name === undefined ? {} : { name }),
    byteSize,
    incomplete: false,
    members: typeof members === 'function' ? members : () => members,
  };
}

/** `enumeration('tier', { BRONZE: 0, GOLD: 2 })`. */
export function enumeration(
  name: string | undefined,
  values: Readonly<Record<string, number | bigint>>,
  byteSize = 4,
  signed = false,
): EnumType {
  const enumerators = Object.entries(values).map(([key, value]) => ({ name: key, value: BigInt(value) }));
  return {
    kind: 'enum',
    ...(name === undefined ? {} : { name }),
    byteSize,
    signed,
    enumerators: () => enumerators,
  };
}

export function functionType(result: Type, parameters: readonly Type[], variadic = false): FunctionType {
  return { kind: 'function', result: () => result, parameters: () => parameters, prototyped: true, variadic };
}

function late(type: Type | (() => Type)): () => Type {
  return typeof type === 'function' ? type : () => type;
}
