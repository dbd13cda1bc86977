/**
 * `--format`: a scalar as text in another way, as gdb 13 prints it with the same letter. Letters of bits (`x o t z u d`) show the bytes of
 * whatever they are, floating numbers too; a bit field counts as wide as its type. `value` of a document stays what it is.
 */
import type { Value } from './value.js';
import { escapeCharacter, floatText } from './scalar.js';
import { decodeInteger } from '../../format/integer.js';
import { decodeBits } from './read.js';
import { isSigned } from './layout.js';
import type { BaseType, EnumType, PointerType } from './type.js';

/** Letters, and what each is for. */
export const formats = {
  d: 'decimal, signed',
  u: 'decimal, unsigned',
  x: 'hexadecimal',
  z: 'hexadecimal, as wide as the type',
  o: 'octal',
  t: 'binary',
  c: 'a character and its code',
  a: 'an address, and what is there',
  f: 'a floating number',
  s: 'as without a format',
} as const;

export type Format = keyof typeof formats;

export function isFormat(letter: string): letter is Format {
  return Object.hasOwn(formats, letter);
}

export interface FormattedScalar {
  readonly bytes: Uint8Array;
  readonly type: BaseType | EnumType | PointerType;
  readonly bits?: Value['bits'];
  readonly symbolize?: ((address: bigint) => string | undefined) | undefined;
}

/** Undefined where the letter changes nothing. */
export function formatScalar(letter: Format, scalar: FormattedScalar): string | undefined {
  const { type } = scalar;
  if (letter === 's' || (type.kind === 'base' && type.encoding === 'complex-float')) return undefined;
  const width = type.byteSize * 8;
  const value = integerOf(scalar);
  const pattern = BigInt.asUintN(width, value);
  switch (letter) {
    case 'd':
      return BigInt.asIntN(width, value).toString();
    case 'u':
      return pattern.toString();
    case 'x':
      return `0x${pattern.toString(16)}`;
    case 'z':
      return `0x${pattern.toString(16).padStart(width / 4, '0')}`;
    case 'o':
      return pattern === 0n ? '0' : `0${pattern.toString(8)}`;
    case 't':
      return pattern.toString(2);
    case 'c':
      return characterText(wholeNumber(scalar) ?? value, type);
    case 'a': {
      const address = BigInt.asUintN(64, wholeNumber(scalar) ?? value);
      const name = scalar.symbolize?.(address);
      return `0x${address.toString(16)}${name === undefined ? '' : ` <${name}>`}`;
    }
    case 'f':
      return asFloat(scalar, value);
  }
}

/** Of a floating number, the integer that its bytes are. */
function integerOf({ bytes, type, bits }: FormattedScalar): bigint {
  const signed = isSigned(type);
  return bits === undefined ? decodeInteger(bytes, signed) : decodeBits(bytes, bits, signed);
}

/** What a floating number is without its fraction. */
function wholeNumber({ bytes, type }: FormattedScalar): bigint | undefined {
  if (type.kind !== 'base' || type.encoding !== 'float') return undefined;
  const number = Number(decimal(bytes, type));
  return Number.isFinite(number) ? BigInt(Math.trunc(number)) : undefined;
}

/** Cut to the width of a character. */
function characterText(value: bigint, type: FormattedScalar['type']): string {
  const byte = Number(BigInt.asUintN(8, value));
  const isFloat = type.kind === 'base' && type.encoding === 'float';
  const code = isSigned(type) || isFloat ? BigInt.asIntN(8, value) : BigInt(byte);
  return `${code} '${escapeCharacter(byte)}'`;
}

/** Integers as wide as a floating type are read as one. */
function asFloat({ bytes, type, bits }: FormattedScalar, value: bigint): string {
  if (type.kind === 'base' && type.encoding === 'float') return decimal(bytes, type) ?? value.toString();
  const name = bits === undefined ? { 4: 'float', 8: 'double', 16: 'long double' }[type.byteSize] : undefined;
  if (name === undefined) return value.toString();
  const float: BaseType = { kind: 'base', name, byteSize: type.byteSize, encoding: 'float' };
  return decimal(bytes, float) ?? value.toString();
}

function decimal(bytes: Uint8Array, type: BaseType): string | undefined {
  const text = floatText(bytes, type);
  return 'absent' in text ? undefined : text.value;
}
