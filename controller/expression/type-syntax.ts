/** Type names as casts and `sizeof` write them: `const struct order *`, `unsigned long[4]`, `int (*)(void)`. */
import { canonicalName } from '../symbols/template-name.js';
import type { Span, TypeSyntax } from './ast.js';
import { badExpression } from './syntax-error.js';
import type { TokenStream } from './token-stream.js';

const qualifiers = new Set(['const', 'volatile', 'restrict', '_Atomic', 'mut']);
const tags = new Set(['struct', 'union', 'enum', 'class']);
const baseWords = new Set([
  'void',
  'char',
  'short',
  'int',
  'long',
  'float',
  'double',
  'signed',
  'unsigned',
  '_Bool',
  'bool',
  '__int128',
  '_Complex',
]);

const arithmeticWords = new Set(['void', 'float', 'double', '_Bool', 'bool']);

/** The current token can only begin a type, whatever names are in scope. */
export function startsType(tokens: TokenStream, ahead = 0): boolean {
  const token = tokens.peek(ahead);
  return (
    token.kind === 'name' &&
    (tags.has(token.text) ||
      baseWords.has(token.text) ||
      (qualifiers.has(token.text) && token.text !== 'mut'))
  );
}

/**
 * `ns::name`, `ns::T<int, 4>::Inner`, Go's `main.Order` and `"path/of/package".Order` to one string, in the one spelling that names have; undefined and nothing
 * consumed when no name is next.
 */
function qualifiedName(tokens: TokenStream): string | undefined {
  const found = nameAhead(tokens, 0);
  if (found === undefined) return undefined;
  tokens.take(found.end);
  return found.name;
}

export interface NameAhead {
  readonly name: string;
  /** How far the token behind it is. */
  readonly end: number;
  readonly hasArguments: boolean;
}

/** The name of a type that begins `ahead` tokens from here. */
export function nameAhead(tokens: TokenStream, ahead: number): NameAhead | undefined {
  let at = ahead;
  let name = '';
  let hasArguments = false;
  const path = tokens.peek(at);
  if (path.kind === 'string' && tokens.is('.', at + 1)) {
    name = new TextDecoder().decode(path.bytes);
    at++;
  } else {
    if (tokens.is('::', at)) at++;
    for (;;) {
      const token = tokens.peek(at);
      if (token.kind !== 'name') return undefined;
      name += token.text;
      at++;
      // Rust's `Vec::<i32>`, too.
      const open = tokens.is('::', at) && tokens.is('<', at + 1) ? at + 1 : at;
      const end = tokens.is('<', open) ? tokens.afterArguments(open) : undefined;
      if (end !== undefined) {
        name += textBetween(tokens, open, end);
        hasArguments = true;
        at = end;
      }
      if (!tokens.is('::', at) || tokens.peek(at + 1).kind !== 'name') break;
      name += '::';
      at++;
    }
    if (hasArguments) name = canonicalName(name);
  }
  while (tokens.is('.', at) && tokens.peek(at + 1).kind === 'name') {
    name += `.${tokens.peek(at + 1).text}`;
    at += 2;
  }
  return { name, end: at, hasArguments };
}

function textBetween(tokens: TokenStream, from: number, to: number): string {
  return tokens.text.slice(tokens.peek(from).start, tokens.peek(to - 1).end);
}

function skipQualifiers(tokens: TokenStream): void {
  while (tokens.peek().kind === 'name' && qualifiers.has(tokens.peek().text)) tokens.next();
}

function parseSpecifier(tokens: TokenStream): TypeSyntax {
  skipQualifiers(tokens);
  const { start } = tokens.peek();
  let name: string | undefined;
  const tag = tokens.peek();
  if (tag.kind === 'name' && tags.has(tag.text)) {
    tokens.next();
    const tagName = qualifiedName(tokens);
    if (tagName === undefined) throw tokens.unexpected(`expected a name after "${tag.text}"`);
    name = `${tag.text} ${tagName}`;
  } else if (startsType(tokens)) {
    const words: string[] = [];
    while (tokens.peek().kind === 'name') {
      const { text } = tokens.peek();
      if (!qualifiers.has(text) && !baseWords.has(text)) break;
      if (!qualifiers.has(text)) words.push(text);
      tokens.next();
    }
    name = baseName(words);
    if (name === undefined) {
      throw badExpression(`"${words.join(' ')}" is not a type`, tokens.spanFrom(start));
    }
  } else {
    name = qualifiedName(tokens);
    if (name === undefined) throw tokens.unexpected('expected a type');
  }
  const type: TypeSyntax = { kind: 'named', name, ...tokens.spanFrom(start) };
  skipQualifiers(tokens);
  return type;
}

/** The one spelling of a base type, whatever the order of its words (C11 6.7.2); undefined when there is no such type. */
export function baseName(words: readonly string[]): string | undefined {
  const count = (word: string): number => words.filter((candidate) => candidate === word).length;
  const longs = count('long');
  const rest = words.filter((word) => word !== 'long');
  if (new Set(rest).size !== rest.length || longs > 2) return undefined;
  const has = (word: string): boolean => rest.includes(word);
  if (has('signed') && has('unsigned')) return undefined;
  const sign = has('unsigned') ? 'unsigned ' : '';
  const core = rest.filter((word) => word !== 'signed' && word !== 'unsigned').toSorted();
  const key = core.join(' ');
  const signed = has('signed') || has('unsigned');
  if (longs > 0) {
    if (key === '' || key === 'int') return `${sign}${'long '.repeat(longs).trim()}`;
    return key === 'double' && longs === 1 && !signed ? 'long double' : undefined;
  }
  if (arithmeticWords.has(key)) return signed ? undefined : key === 'bool' ? '_Bool' : key;
  if (key === 'char') return has('signed') ? 'signed char' : `${sign}char`;
  if (key === '__int128') return sign === '' ? '__int128' : 'unsigned __int128';
  if (key === 'short' || key === 'int short') return `${sign}short`;
  if (key === 'int' || (key === '' && signed)) return `${sign}int`;
  return undefined;
}

/** A type with its abstract declarator, up to where it ends. */
export function parseType(tokens: TokenStream): TypeSyntax {
  const base = parseSpecifier(tokens);
  return parseDeclarator(tokens, base.start)(base);
}

/** `*T`, `*const T`, `[]T`, `map[K]V`, `[T; 4]`, `(A, B)`, `T`: what stands after `as` and in assertions, where a following `*` multiplies. */
export function parsePrefixType(tokens: TokenStream): TypeSyntax {
  return tokens.nested(() => {
    const { start } = tokens.peek();
    if (tokens.accept('*') || tokens.accept('&')) {
      skipQualifiers(tokens);
      const target = parsePrefixType(tokens);
      return { kind: 'pointer', target, ...tokens.spanFrom(start) };
    }
    if (tokens.is('[')) return parseBracketed(tokens);
    if (tokens.is('(')) return parseTuple(tokens);
    if (tokens.isWord('map') && tokens.is('[', 1)) {
      tokens.take(2);
      const key = parsePrefixType(tokens);
      tokens.expect(']', 'after the type of the keys');
      const value = parsePrefixType(tokens);
      return { kind: 'map', key, value, ...tokens.spanFrom(start) };
    }
    if (tokens.isWord('chan') && tokens.peek(1).kind !== 'end' && !tokens.is(')', 1)) {
      tokens.next();
      return { kind: 'channel', element: parsePrefixType(tokens), ...tokens.spanFrom(start) };
    }
    if ((tokens.isWord('interface') || tokens.isWord('struct')) && tokens.is('{', 1) && tokens.is('}', 2)) {
      const { text } = tokens.peek();
      tokens.take(3);
      return { kind: 'named', name: `${text} {}`, ...tokens.spanFrom(start) };
    }
    return parseSpecifier(tokens);
  });
}

/** Go's `[]T` and `[4]T`, Rust's `[T; 4]`. */
function parseBracketed(tokens: TokenStream): TypeSyntax {
  const { start } = tokens.next();
  const span = (): Span => tokens.spanFrom(start);
  if (tokens.accept(']')) return { kind: 'slice', element: parsePrefixType(tokens), ...span() };
  const first = tokens.peek();
  if (first.kind === 'integer') {
    tokens.next();
    tokens.expect(']', 'after the array length');
    return { kind: 'array', element: parsePrefixType(tokens), count: Number(first.value), ...span() };
  }
  const element = parsePrefixType(tokens);
  tokens.expect(';', 'before the array length');
  const length = tokens.peek();
  if (length.kind !== 'integer') throw tokens.unexpected('expected the array length');
  tokens.next();
  tokens.expect(']', 'after the array length');
  return { kind: 'array', element, count: Number(length.value), ...span() };
}

/** Rust's `(i32, u8)`: a type by that name. */
function parseTuple(tokens: TokenStream): TypeSyntax {
  const { start } = tokens.peek();
  let depth = 0;
  let ahead = 0;
  do {
    const token = tokens.peek(ahead);
    if (token.kind === 'end') throw tokens.unexpected('expected a type');
    if (tokens.is('(', ahead)) depth++;
    else if (tokens.is(')', ahead)) depth--;
    ahead++;
  } while (depth > 0);
  const name = canonicalName(tokens.take(ahead));
  return { kind: 'named', name, ...tokens.spanFrom(start) };
}

type Wrap = (inner: TypeSyntax) => TypeSyntax;

function parseDeclarator(tokens: TokenStream, start: number): Wrap {
  return tokens.nested(() => {
    let pointers = 0;
    while (tokens.accept('*')) {
      pointers++;
      skipQualifiers(tokens);
    }
    const isReference = tokens.accept('&') || tokens.accept('&&');
    let outer: Wrap = (inner) => inner;
    if (tokens.is('(') && (tokens.is('*', 1) || tokens.is('(', 1))) {
      tokens.next();
      outer = parseDeclarator(tokens, start);
      tokens.expect(')', 'after the declarator');
    }
    const suffixes: Wrap[] = [];
    for (;;) {
      if (tokens.accept('[')) {
        const token = tokens.peek();
        if (token.kind === 'integer') tokens.next();
        tokens.expect(']', 'after the array length');
        const count = token.kind === 'integer' ? { count: Number(token.value) } : {};
        suffixes.push((element) => ({ kind: 'array', element, ...count, start, end: tokens.lastEnd }));
      } else if (tokens.accept('(')) {
        suffixes.push(parseParameters(tokens, start));
      } else break;
    }
    const end = tokens.lastEnd;
    return (inner) => {
      let type = inner;
      for (let i = 0; i < pointers; i++) type = { kind: 'pointer', target: type, start, end };
      if (isReference) type = { kind: 'reference', target: type, start, end };
      for (const suffix of suffixes.toReversed()) type = suffix(type);
      return outer(type);
    };
  });
}

function parseParameters(tokens: TokenStream, start: number): Wrap {
  const parameters: TypeSyntax[] = [];
  let variadic = false;
  if (tokens.isWord('void') && tokens.is(')', 1)) tokens.next();
  else if (!tokens.is(')')) {
    do {
      variadic = tokens.accept('...');
      if (!variadic) parameters.push(parseType(tokens));
    } while (!variadic && tokens.accept(','));
  }
  tokens.expect(')', 'after the parameters');
  const end = tokens.lastEnd;
  return (result) => ({ kind: 'function', result, parameters, variadic, start, end });
}
