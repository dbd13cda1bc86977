/** C's arithmetic types (C11 6.2.5, 6.3.1) as the x86-64 psABI lays them out, and the conversions between them. */
import { isCharacter, sizeOf, stripType } from '../types/layout.js';
import type { BaseEncoding, BaseType, PointerType, Type } from '../types/type.js';

function base(name: string, byteSize: number, encoding: BaseEncoding): BaseType {
  return { kind: 'base', name, byteSize, encoding };
}

export const charType: BaseType = base('char', 1, 'signed-char');
export const intType: BaseType = base('int', 4, 'signed');
export const unsignedIntType: BaseType = base('unsigned int', 4, 'unsigned');
export const longType: BaseType = base('long', 8, 'signed');
export const unsignedLongType: BaseType = base('unsigned long', 8, 'unsigned');
export const floatType: BaseType = base('float', 4, 'float');
export const doubleType: BaseType = base('double', 8, 'float');
export const longDoubleType: BaseType = base('long double', 16, 'float');

/** Types that the language has without anybody declaring them, by their one spelling. */
const builtinTypes: ReadonlyMap<string, Type> = new Map<string, Type>([
  ['void', { kind: 'void' }],
  ...[
    base('_Bool', 1, 'boolean'),
    charType,
    base('signed char', 1, 'signed-char'),
    base('unsigned char', 1, 'unsigned-char'),
    base('short', 2, 'signed'),
    base('unsigned short', 2, 'unsigned'),
    intType,
    unsignedIntType,
    longType,
    unsignedLongType,
    base('long long', 8, 'signed'),
    base('unsigned long long', 8, 'unsigned'),
    base('__int128', 16, 'signed'),
    base('unsigned __int128', 16, 'unsigned'),
    floatType,
    doubleType,
    longDoubleType,
  ].map((type): [string, Type] => [type.name, type]),
]);

/** A base type by the spelling that `baseName` makes. */
export function builtinType(name: string): Type | undefined {
  return builtinTypes.get(name);
}

export function pointerTo(target: Type): PointerType {
  return { kind: 'pointer', flavor: 'pointer', byteSize: 8, target: () => target };
}

/** How a scalar's bits are to be read. Pointers and enumerations are integers here. */
export type Numeric =
  | { readonly kind: 'integer'; readonly size: number; readonly signed: boolean; readonly boolean: boolean }
  | { readonly kind: 'float'; readonly format: FloatFormat };
export type FloatFormat = 'float32' | 'float64' | 'x87' | 'binary128';

/** Undefined for what is not a scalar, and for scalars that we cannot read (complex, decimal). */
export function numericOf(type: Type): Numeric | undefined {
  const plain = stripType(type);
  if (plain.kind === 'pointer') {
    return { kind: 'integer', size: plain.byteSize, signed: false, boolean: false };
  }
  if (plain.kind === 'enum') {
    return { kind: 'integer', size: plain.byteSize, signed: plain.signed, boolean: false };
  }
  if (plain.kind !== 'base') return undefined;
  const { byteSize, encoding, name } = plain;
  switch (encoding) {
    case 'signed':
    case 'signed-char':
    case 'unsigned':
    case 'unsigned-char':
    case 'utf':
    case 'boolean': {
      if (byteSize < 1 || byteSize > 16) return undefined;
      const signed = encoding === 'signed' || encoding === 'signed-char';
      return { kind: 'integer', size: byteSize, signed, boolean: encoding === 'boolean' };
    }
    case 'float':
      if (byteSize === 4) return { kind: 'float', format: 'float32' };
      if (byteSize === 8) return { kind: 'float', format: 'float64' };
      if (byteSize !== 16) return undefined;
      return {
        kind: 'float',
        format: plain.isBinary128 === true || name.includes('128') ? 'binary128' : 'x87',
      };
    case 'complex-float':
    case 'other':
      return undefined;
  }
}

/** Integer, enumeration or floating type: what `*` and `/` take. */
export function isArithmetic(type: Type): boolean {
  return stripType(type).kind !== 'pointer' && numericOf(type) !== undefined;
}

export function isIntegral(type: Type): boolean {
  return stripType(type).kind !== 'pointer' && numericOf(type)?.kind === 'integer';
}

/** The integer promotions (C11 6.3.1.1p2). `bitSize` for a bit field. */
export function promote(type: Type, bitSize?: number): Type {
  const plain = stripType(type);
  const numeric = numericOf(plain);
  if (numeric?.kind !== 'integer') return plain;
  const { size, signed } = numeric;
  // NB: gcc gives wider bit fields a type of exactly their width; clang and we use the declared type.
  if (bitSize !== undefined && bitSize <= 32) return bitSize < 32 || signed ? intType : unsignedIntType;
  if (size < 4) return intType;
  if (plain.kind === 'enum' || (plain.kind === 'base' && plain.encoding === 'utf')) {
    if (size === 4) return signed ? intType : unsignedIntType;
    return signed ? longType : unsignedLongType;
  }
  return plain;
}

function isBinary128(type: Type): boolean {
  const numeric = numericOf(type);
  return numeric?.kind === 'float' && numeric.format === 'binary128';
}

function rank(type: Type): number {
  const plain = stripType(type);
  if (plain.kind !== 'base') return 0;
  // Of two that take 16 bytes, binary128 has more digits.
  if (plain.encoding === 'float') return 100 + plain.byteSize * 2 + (isBinary128(plain) ? 1 : 0);
  return plain.byteSize * 2 + (plain.name.includes('long long') ? 1 : 0);
}

/** The usual arithmetic conversions (C11 6.3.1.8) of two promoted types. */
export function commonType(left: Type, right: Type): Type {
  const a = numericOf(left);
  const b = numericOf(right);
  if (a?.kind === 'float' || b?.kind === 'float') return rank(left) >= rank(right) ? left : right;
  if (a === undefined || b === undefined) return left;
  if (a.signed === b.signed) return rank(left) >= rank(right) ? left : right;
  const [unsigned, signed] = a.signed ? [right, left] : [left, right];
  if (rank(unsigned) >= rank(signed)) return unsigned;
  const [unsignedSize = 0, signedSize = 0] = [sizeOf(unsigned), sizeOf(signed)];
  return signedSize > unsignedSize ? signed : unsignedOf(signed);
}

function unsignedOf(type: Type): Type {
  const plain = stripType(type);
  if (plain.kind === 'base' && plain.name.includes('long long')) {
    return builtinType('unsigned long long') ?? plain;
  }
  return unsignedLongType;
}

/** A pointer to characters, or an array of them: what strings are compared with. */
export function isText(type: Type): boolean {
  const plain = stripType(type);
  if (plain.kind === 'pointer') return plain.flavor === 'pointer' && isCharacter(plain.target());
  return plain.kind === 'array' && isCharacter(plain.element());
}
