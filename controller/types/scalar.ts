/** Integers, floats, characters and enumerators as CLI.md writes them: `value` exactly, `text` for people. */
import { type Absent, absent } from '../../format/absent.js';
import { decodeWideUnits } from '../../format/bytes.js';
import { floatFormat, floatToDecimal } from './float.js';
import { decodeInteger } from '../../format/integer.js';
import { integerOf } from './read.js';
import type { BaseType, EnumType } from './type.js';
import type { Value } from './value.js';

export interface ScalarText {
  readonly value: string;
  readonly text?: string;
}

export function baseText(bytes: Uint8Array, type: BaseType, bits: Value['bits']): ScalarText | Absent {
  switch (type.encoding) {
    case 'float':
      return floatText(bytes, type);
    case 'complex-float':
      return complexText(bytes, type);
    case 'boolean':
      return booleanText(integerOf(bytes, { type, bits }));
    case 'signed-char':
    case 'unsigned-char':
      return characterText(integerOf(bytes, { type, bits }), type);
    case 'utf': {
      const code = decodeInteger(bytes, false);
      return { value: code.toString(), text: `'${escapeCodePoint(Number(code))}'` };
    }
    case 'other':
      return absent('unsupported', `values of type ${type.name} cannot be read`);
    case 'signed':
    case 'unsigned':
      break;
  }
  return { value: integerOf(bytes, { type, bits }).toString() };
}

function characterText(code: bigint, type: BaseType): ScalarText {
  const value = code.toString();
  // Wider than a byte, it only borrows a character's encoding.
  return type.byteSize === 1 ? { value, text: `'${escapeCharacter(Number(code & 0xffn))}'` } : { value };
}

export function floatText(bytes: Uint8Array, { name, isBinary128 }: BaseType): ScalarText | Absent {
  const format = floatFormat(isBinary128 === true ? 'binary128' : name, bytes.length);
  if (format === undefined) {
    return absent('unsupported', `a float of ${bytes.length} bytes (${name}) cannot be read`);
  }
  const value = floatToDecimal(bytes, format);
  return value === undefined ? absent('unreadable', 'the bytes are not a valid x87 number') : { value };
}

function complexText(bytes: Uint8Array, type: BaseType): ScalarText | Absent {
  const middle = bytes.length / 2;
  const real = floatText(bytes.subarray(0, middle), type);
  const imaginary = floatText(bytes.subarray(middle), type);
  if ('absent' in real) return real;
  if ('absent' in imaginary) return imaginary;
  const plus = imaginary.value.startsWith('-') ? '' : '+';
  return {
    value: `${real.value}${plus}${imaginary.value}i`,
    text: `${real.value} + ${imaginary.value}i`,
  };
}

function booleanText(value: bigint): ScalarText {
  if (value === 0n) return { value: 'false' };
  if (value === 1n) return { value: 'true' };
  return { value: 'true', text: `true (stored as ${value})` };
}

export function enumText(value: bigint, type: EnumType): ScalarText {
  const text = enumeratorText(value, type);
  return { value: value.toString(), ...(text === undefined ? {} : { text }) };
}

/**
 * As gdb 13 prints it: `GOLD`; `(READ | WRITE)` and `(READ | unknown: 0x40)` where no enumerator has more than one bit; undefined where
 * nothing but the number can be said.
 */
function enumeratorText(value: bigint, type: EnumType): string | undefined {
  const enumerators = type.enumerators();
  const exact = enumerators.find((enumerator) => enumerator.value === value);
  if (exact !== undefined) return exact.name;
  if (value === 0n || enumerators.length === 0 || type.isExact === true) return undefined;
  if (enumerators.some(({ value: bit }) => bit < 0n || (bit & (bit - 1n)) !== 0n)) return undefined;
  let rest = BigInt.asUintN(type.byteSize * 8, value);
  const names: string[] = [];
  for (const { name, value: bit } of enumerators) {
    if ((rest & bit) === 0n) continue;
    names.push(name);
    rest &= ~bit;
  }
  if (rest !== 0n) names.push(`unknown: 0x${rest.toString(16)}`);
  return `(${names.join(' | ')})`;
}

const escapes: ReadonlyMap<number, string> = new Map([
  [0x07, '\\a'],
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0b, '\\v'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
  [0x27, "\\'"],
  [0x5c, '\\\\'],
]);

/** A byte as it stands between the quotes of a C character, as gdb writes it. */
export function escapeCharacter(code: number): string {
  const known = escapes.get(code);
  if (known !== undefined) return known;
  return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : `\\${code.toString(8).padStart(3, '0')}`;
}

function escapeCodePoint(code: number): string {
  if (code < 0x80) return escapeCharacter(code);
  const isScalarValue = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) && code >= 0xa0;
  return isScalarValue ? String.fromCodePoint(code) : `\\x${code.toString(16)}`;
}

/** Characters of a string: UTF-8, with each byte that is not part of any as `\xNN`. Nothing else is escaped. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return decodeLeniently(bytes);
  }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeLeniently(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length;) {
    const lead = bytes[i] ?? 0;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const sequence = bytes.subarray(i, i + length);
    let decoded: string;
    try {
      decoded = strict.decode(sequence);
      i += length;
    } catch {
      decoded = `\\x${lead.toString(16).padStart(2, '0')}`;
      i++;
    }
    text += decoded;
  }
  return text;
}

/** Text of an array of `char16_t` or `char32_t`, up to the first NUL. */
export function decodeWideText(bytes: Uint8Array, unitBytes: number): string {
  for (let i = 0; i + unitBytes <= bytes.length; i += unitBytes) {
    if (bytes.subarray(i, i + unitBytes).every((byte) => byte === 0)) {
      return decodeWideUnits(bytes.subarray(0, i), unitBytes);
    }
  }
  return decodeWideUnits(bytes, unitBytes);
}
