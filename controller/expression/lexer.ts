/** Text of an expression to tokens. Positions count UTF-16 units, as JavaScript strings do. */
import type { Span } from './ast.js';
import { badExpression } from './syntax-error.js';

export type Token =
  | (Span & { readonly kind: 'name' | 'register' | 'punctuator' | 'end'; readonly text: string })
  /** `'file.c'` before `::`. */
  | (Span & { readonly kind: 'file'; readonly text: string })
  | (Span & {
      readonly kind: 'integer';
      readonly text: string;
      readonly value: bigint;
      readonly decimal: boolean;
      readonly unsigned: boolean;
      readonly longs: 0 | 1 | 2;
    })
  | (Span & {
      readonly kind: 'float';
      readonly text: string;
      readonly value: number;
      /** As it is written, without the suffix; undefined of a hexadecimal one, whose value is exact. */
      readonly decimal?: string;
      readonly suffix: '' | 'f' | 'l';
    })
  | (Span & { readonly kind: 'character'; readonly text: string; readonly value: bigint })
  | (Span & { readonly kind: 'string'; readonly text: string; readonly bytes: Uint8Array });

/** Longer texts are refused: no person writes them, and all later work is bounded by this. */
export const maxExpressionLength = 4096;
/** This also bounds the depth of a tree that grows to the left: `a + a + a + …`. */
export const maxExpressionTokens = 1000;

// Longest first. Those that write (`=`, `++`, …) are recognised so that the parser can refuse them by name.
const punctuators = [
  '<<=',
  '>>=',
  '...',
  '..',
  '->',
  '++',
  '--',
  '<<',
  '>>',
  '<=',
  '>=',
  '==',
  '!=',
  '&&',
  '||',
  '::',
  '+=',
  '-=',
  '*=',
  '/=',
  '%=',
  '&=',
  '|=',
  '^=',
  ...Array.from('()[]{}.,?:;@+-*/%&|^~!<>='),
];

const space = /\s+/y;
const name = /[\p{ID_Start}_][\p{ID_Continue}]*/uy;
const register = /\$[A-Za-z_][A-Za-z0-9_]*/y;
const hexFloat = /0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?\d+)/y;
const decimalFloat = /(?:\d+\.(?!\.)\d*|(?<!\.)\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+/y;
const integer = /0[xX][0-9a-fA-F]+|0[bB][01]+|\d+/y;
const suffix = /(?:(?!\.\.)[\p{ID_Continue}.])*/uy;

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** All tokens, the last one `end`; throws `bad-expression`. */
export function tokenize(text: string): readonly Token[] {
  if (text.length > maxExpressionLength) {
    throw badExpression(
      `expression of ${text.length} characters is longer than the limit of ${maxExpressionLength}`,
      { start: maxExpressionLength, end: text.length },
    );
  }
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    at += match(space, text, at)?.[0].length ?? 0;
    if (at >= text.length) break;
    const token = fieldNumberAt(text, at, tokens.at(-1)) ?? tokenAt(text, at);
    if (tokens.length >= maxExpressionTokens) {
      throw badExpression(`expression has more than ${maxExpressionTokens} parts`, token);
    }
    tokens.push(token);
    at = token.end;
  }
  tokens.push({ kind: 'end', text: '', start: text.length, end: text.length });
  return tokens;
}

/** The fields of tuples are numbers: `pair.0`, `pair.1.0`, where C would see a float. */
function fieldNumberAt(text: string, start: number, before: Token | undefined): Token | undefined {
  if (before?.end !== start) return undefined;
  const isAfterValue =
    before.kind === 'name' || (before.kind === 'punctuator' && (before.text === ')' || before.text === ']'));
  if (text[start] === '.' && isAfterValue) {
    return /[0-9]/.test(text[start + 1] ?? '')
      ? { kind: 'punctuator', text: '.', start, end: start + 1 }
      : undefined;
  }
  const isDot = before.kind === 'punctuator' && before.text === '.';
  const digits = isDot ? match(/\d+/y, text, start)?.[0] : undefined;
  return digits === undefined ? undefined : { kind: 'name', text: digits, start, end: start + digits.length };
}

function tokenAt(text: string, start: number): Token {
  const word = match(name, text, start)?.[0];
  if (word !== undefined) {
    const quote = text[start + word.length];
    if ((quote === '"' || quote === "'") && /^(u8|[uUL])$/.test(word)) {
      throw badExpression(`wide ${quote === '"' ? 'strings' : 'characters'} are not supported`, {
        start,
        end: start + word.length + 1,
      });
    }
    return { kind: 'name', text: word, start, end: start + word.length };
  }
  const first = text[start] ?? '';
  if (
    /[0-9]/.test(first) ||
    (first === '.' && text[start - 1] !== '.' && /[0-9]/.test(text[start + 1] ?? ''))
  ) {
    return numberAt(text, start);
  }
  if (first === '$') {
    const found = match(register, text, start)?.[0];
    if (found === undefined) {
      throw badExpression('expected a register name after "$"', { start, end: start + 1 });
    }
    return { kind: 'register', text: found.slice(1), start, end: start + found.length };
  }
  if (first === '"') {
    const { bytes, end } = quotedAt(text, start);
    return { kind: 'string', text: text.slice(start, end), bytes, start, end };
  }
  if (first === "'") return characterAt(text, start);
  const found = punctuators.find((candidate) => text.startsWith(candidate, start));
  if (found === undefined) {
    const character = String.fromCodePoint(text.codePointAt(start) ?? 0);
    throw badExpression(`unexpected character "${character}"`, {
      start,
      end: start + character.length,
    });
  }
  return { kind: 'punctuator', text: found, start, end: start + found.length };
}

function numberAt(text: string, start: number): Token {
  const hexa = match(hexFloat, text, start);
  const floating = hexa ?? match(decimalFloat, text, start);
  const whole = floating ?? match(integer, text, start);
  const digits = whole?.[0] ?? '';
  const tail = match(suffix, text, start + digits.length)?.[0] ?? '';
  const end = start + digits.length + tail.length;
  const span = { text: text.slice(start, end), start, end };
  const malformed = () => badExpression(`invalid number "${span.text}"`, { start, end });
  const small = tail.toLowerCase();
  if (floating !== null) {
    if (small !== '' && small !== 'f' && small !== 'l') throw malformed();
    const value = hexa === null ? Number(digits) : hexFloatValue(hexa);
    if (value === undefined) throw malformed();
    const decimal = hexa === null ? { decimal: digits } : {};
    return { kind: 'float', value, ...decimal, suffix: small, ...span };
  }
  if (!/^(u?(l|ll)?|(l|ll)u)$/.test(small) || /lL|Ll/.test(tail)) throw malformed();
  const octal = /^0[0-9]/.test(digits);
  if (octal && /[89]/.test(digits)) throw malformed();
  const value = BigInt(octal ? `0o${digits.slice(1)}` : digits);
  if (value >= 1n << 64n) {
    throw badExpression(`number "${span.text}" does not fit 64 bits`, { start, end });
  }
  const longs = small.includes('ll') ? 2 : small.includes('l') ? 1 : 0;
  const decimal = /^[1-9]/.test(digits);
  return { kind: 'integer', value, decimal, unsigned: small.includes('u'), longs, ...span };
}

/** Undefined where the value needs rounding: a hexadecimal float is written to be exact. */
function hexFloatValue(parts: RegExpExecArray): number | undefined {
  const [, whole = '', fraction = '', exponent = '0'] = parts;
  if (whole + fraction === '' || whole.length + fraction.length > 14) return undefined;
  const mantissa = Number(`0x${whole}${fraction}`);
  const value = mantissa * 2 ** (Number(exponent) - 4 * fraction.length);
  return mantissa > 2 ** 53 || !Number.isFinite(value) ? undefined : value;
}

const simpleEscapes: ReadonlyMap<string, number> = new Map([
  ['n', 10],
  ['t', 9],
  ['r', 13],
  ['0', 0],
  ['a', 7],
  ['b', 8],
  ['f', 12],
  ['v', 11],
  ['e', 27],
  ['\\', 92],
  ["'", 39],
  ['"', 34],
  ['?', 63],
]);

const escape = /\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))/suy;

/** The bytes between two quotes, in UTF-8, escapes resolved. */
function quotedAt(text: string, start: number): { readonly bytes: Uint8Array; readonly end: number } {
  const quote = text[start];
  const bytes: number[] = [];
  let at = start + 1;
  while (text[at] !== quote) {
    if (at >= text.length) {
      throw badExpression(`no closing ${quote} of the ${quote === '"' ? 'string' : 'character'}`, {
        start,
        end: text.length,
      });
    }
    if (text[at] === '\\') {
      const found = match(escape, text, at);
      const whole = found?.[0] ?? '\\';
      const value =
        found?.[1] !== undefined
          ? parseInt(found[1], 16)
          : found?.[2] !== undefined
            ? parseInt(found[2], 8)
            : simpleEscapes.get(found?.[3] ?? '');
      if (value === undefined || value > 255) {
        throw badExpression(`unknown escape "${whole}"`, { start: at, end: at + whole.length });
      }
      bytes.push(value);
      at += whole.length;
    } else {
      const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
      bytes.push(...new TextEncoder().encode(character));
      at += character.length;
    }
  }
  return { bytes: Uint8Array.from(bytes), end: at + 1 };
}

function characterAt(text: string, start: number): Token {
  const { bytes, end } = quotedAt(text, start);
  const span = { text: text.slice(start, end), start, end };
  if (/^\s*::/.test(text.slice(end))) {
    return { kind: 'file', ...span, text: text.slice(start + 1, end - 1) };
  }
  const [byte] = bytes;
  const [only, ...others] = new TextDecoder().decode(bytes);
  // Beyond ASCII a character is its code point, as in Rust and Go.
  if (bytes.length > 1 && only !== undefined && others.length === 0 && only !== '\ufffd') {
    return { kind: 'character', value: BigInt(only.codePointAt(0) ?? 0), ...span };
  }
  if (byte === undefined || bytes.length !== 1) {
    throw badExpression(
      bytes.length === 0 ? 'empty character' : `${span.text} is more than one character`,
      { start, end },
      bytes.length === 0 ? {} : { hint: 'strings stand in double quotes' },
    );
  }
  // A character constant has the value of a `char`, which is signed here (x86-64 psABI).
  return { kind: 'character', value: BigInt.asIntN(8, BigInt(byte)), ...span };
}
