/**
 * Text to syntax tree. The grammar is that of CLI.md: C's operators and precedences, `@` between shifts and sums (as in gdb),
 * `as` just below the unary operators (as in Rust). Nothing that writes or calls is part of it.
 */
import { canonicalName } from '../symbols/template-name.js';
import type { BinaryOperator, CastStyle, Expression, Span, UnaryOperator } from './ast.js';
import { badExpression } from './syntax-error.js';
import { TokenStream } from './token-stream.js';
import { nameAhead, parsePrefixType, parseType, startsType } from './type-syntax.js';

export interface ParseOptions {
  /** Whether a name is a type where the expression is evaluated: C cannot be parsed without knowing. */
  readonly isType?: (name: string) => boolean;
  /** Whether a name is a variable or an enumerator there: then a `<` behind it compares. */
  readonly isValue?: (name: string) => boolean;
}

/** Throws `bad-expression` with the position of the first wrong token. */
export function parseExpression(text: string, options: ParseOptions = {}): Expression {
  const { isType = () => false, isValue = () => true } = options;
  return new Parser(text, isType, isValue).parse();
}

/** Loosest first. `@` stands at its own level between shifts and sums. */
const levels: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['|'],
  ['^'],
  ['&'],
  ['==', '!='],
  ['<', '<=', '>', '>='],
  ['<<', '>>'],
  ['@'],
  ['+', '-'],
  ['*', '/', '%'],
];

const unaryOperators: ReadonlySet<string> = new Set(['*', '&', '-', '+', '!', '~']);

class Parser {
  readonly #tokens: TokenStream;
  readonly #isType: (name: string) => boolean;

  readonly #isValue: (name: string) => boolean;

  constructor(text: string, isType: (name: string) => boolean, isValue: (name: string) => boolean) {
    this.#tokens = new TokenStream(text);
    this.#isType = isType;
    this.#isValue = isValue;
  }

  parse(): Expression {
    if (this.#tokens.peek().kind === 'end') {
      throw badExpression('expression is empty', this.#tokens.peek());
    }
    const expression = this.#expression();
    if (this.#tokens.peek().kind !== 'end') throw this.#tokens.unexpected('expected an operator');
    return expression;
  }

  #expression(): Expression {
    return this.#tokens.nested(() => {
      const condition = this.#binary(0);
      if (!this.#tokens.accept('?')) return condition;
      const whenTrue = this.#expression();
      this.#tokens.expect(':', 'of "?"');
      const whenFalse = this.#expression();
      const span = this.#tokens.spanFrom(this.#startOf(condition));
      return { kind: 'conditional', condition, whenTrue, whenFalse, ...span };
    });
  }

  #binary(level: number): Expression {
    const operators = levels[level];
    if (operators === undefined) return this.#as();
    let left = this.#binary(level + 1);
    let { start } = left;
    for (;;) {
      const operator = this.#tokens.peek();
      if (operator.kind !== 'punctuator' || !operators.includes(operator.text)) return left;
      // The outermost parentheses of the left side belong to the text of the whole.
      start = Math.min(start, this.#startOf(left));
      this.#tokens.next();
      const right = this.#binary(level + 1);
      const end = this.#tokens.lastEnd;
      left =
        operator.text === '@'
          ? { kind: 'repeat', object: left, count: right, start, end }
          : {
              kind: 'binary',
              operator: binaryOperator(operator.text),
              operatorSpan: { start: operator.start, end: operator.end },
              left,
              right,
              start,
              end,
            };
    }
  }

  /** Where a node began in the text, parentheses included. */
  readonly #outerStarts = new WeakMap<Expression, number>();

  #startOf(expression: Expression): number {
    return this.#outerStarts.get(expression) ?? expression.start;
  }

  #as(): Expression {
    let operand = this.#unary();
    while (this.#tokens.isWord('as')) {
      const start = this.#startOf(operand);
      this.#tokens.next();
      const type = parsePrefixType(this.#tokens);
      operand = { kind: 'cast', style: 'as', type, operand, ...this.#tokens.spanFrom(start) };
    }
    return operand;
  }

  #unary(): Expression {
    return this.#tokens.nested(() => {
      const token = this.#tokens.peek();
      const { start } = token;
      if (token.kind === 'punctuator' && unaryOperators.has(token.text)) {
        this.#tokens.next();
        const operand = this.#unary();
        const operator = unaryOperator(token.text);
        return { kind: 'unary', operator, operand, ...this.#tokens.spanFrom(start) };
      }
      if (this.#tokens.isWord('sizeof')) return this.#sizeof();
      if (this.#tokens.is('(') && this.#typeFollows(1)) {
        this.#tokens.next();
        const type = parseType(this.#tokens);
        this.#tokens.expect(')', 'after the type');
        const operand = this.#unary();
        return { kind: 'cast', style: 'plain', type, operand, ...this.#tokens.spanFrom(start) };
      }
      if (this.#tokens.is('(') && this.#pointerTypeFollows()) return this.#pointerCast();
      return this.#postfix();
    });
  }

  /** Whether a type begins `ahead` tokens from here and fills the parentheses that were opened before it. */
  #typeFollows(ahead: number): boolean {
    if (startsType(this.#tokens, ahead)) return true;
    const found = nameAhead(this.#tokens, ahead);
    if (found === undefined) return false;
    const { name, end, hasArguments } = found;
    let at = end;
    // `(name *)`, `(name &)` can be nothing but a type; the checker says so when there is none of that name.
    const isMark = (): boolean =>
      this.#tokens.is('*', at) ||
      this.#tokens.is('&', at) ||
      this.#tokens.is('&&', at) ||
      this.#tokens.isWord('const', at) ||
      this.#tokens.isWord('volatile', at);
    while (isMark()) at++;
    if (this.#tokens.is(')', at)) return at > end || hasArguments || this.#isType(name);
    return this.#tokens.is('(', at) && (at > end || !hasArguments) && this.#isType(name);
  }

  /** Go's `(*T)x` and `(*T)(x)`. */
  #pointerTypeFollows(): boolean {
    let at = 1;
    while (this.#tokens.is('*', at)) at++;
    const found = at === 1 ? undefined : nameAhead(this.#tokens, at);
    if (found === undefined || !this.#tokens.is(')', found.end)) return false;
    const { kind } = this.#tokens.peek(found.end + 1);
    const isOperand = this.#tokens.is('(', found.end + 1) || ['name', 'integer', 'register'].includes(kind);
    return isOperand && !this.#isValue(found.name) && this.#isType(found.name);
  }

  #pointerCast(): Expression {
    const { start } = this.#tokens.next();
    const type = parsePrefixType(this.#tokens);
    this.#tokens.expect(')', 'after the type');
    if (!this.#tokens.is('(')) {
      const operand = this.#unary();
      return { kind: 'cast', style: 'conversion', type, operand, ...this.#tokens.spanFrom(start) };
    }
    // `(*T)(p).m` is a member of what was converted.
    const operand = this.#primary();
    const cast: Expression = {
      kind: 'cast',
      style: 'conversion',
      type,
      operand,
      ...this.#tokens.spanFrom(start),
    };
    return this.#postfixOf(cast, start);
  }

  #sizeof(): Expression {
    const { start } = this.#tokens.next();
    const isPrefix = this.#tokens.is('(') && this.#prefixTypeFollows();
    if (isPrefix || (this.#tokens.is('(') && this.#typeFollows(1))) {
      this.#tokens.next();
      const type = isPrefix ? parsePrefixType(this.#tokens) : parseType(this.#tokens);
      this.#tokens.expect(')', 'after the type');
      return { kind: 'sizeof', operand: { kind: 'type', type }, ...this.#tokens.spanFrom(start) };
    }
    const expression = this.#unary();
    return { kind: 'sizeof', operand: { kind: 'expression', expression }, ...this.#tokens.spanFrom(start) };
  }

  /** `([]T)`, `(map[K]V)`, `(chan T)`, `((A, B))`: no expression begins so. */
  #prefixTypeFollows(): boolean {
    return (
      this.#tokens.is('[', 1) ||
      (this.#tokens.isWord('map', 1) && this.#tokens.is('[', 2) && !this.#isValue('map')) ||
      (this.#tokens.isWord('chan', 1) && this.#tokens.peek(2).kind === 'name') ||
      this.#tupleFollows()
    );
  }

  /** `((i32, u8))`: no expression has a comma there. */
  #tupleFollows(): boolean {
    if (!this.#tokens.is('(', 1)) return false;
    let depth = 1;
    for (let at = 2; depth > 0; at++) {
      if (this.#tokens.peek(at).kind === 'end') return false;
      if (this.#tokens.is('(', at)) depth++;
      else if (this.#tokens.is(')', at)) depth--;
      else if (depth === 1 && this.#tokens.is(',', at)) return true;
    }
    return false;
  }

  #postfix(): Expression {
    const { start } = this.#tokens.peek();
    return this.#postfixOf(this.#primary(), start);
  }

  #postfixOf(first: Expression, start: number): Expression {
    let object = first;
    for (;;) {
      if (this.#tokens.is('.') || this.#tokens.is('->')) object = this.#member(object, start);
      else if (this.#tokens.accept('[')) object = this.#index(object, start);
      else if (this.#tokens.is('(')) object = this.#call(object, start);
      else return object;
    }
  }

  #member(object: Expression, start: number): Expression {
    const dot = this.#tokens.next();
    if (dot.text === '.' && this.#tokens.is('(')) return this.#assertion(object, start);
    const first = this.#tokens.peek();
    // Go's packages by their whole path: `"path/of/package".name`.
    if (object.kind === 'string' && dot.text === '.' && first.kind === 'name') {
      this.#tokens.next();
      const name = `${new TextDecoder().decode(object.bytes)}.${first.text}`;
      return { kind: 'name', name, global: true, ...this.#tokens.spanFrom(start) };
    }
    let name = '';
    // `Base::member` names the base class that the member is taken of.
    do {
      const token = this.#tokens.peek();
      if (token.kind !== 'name') throw this.#tokens.unexpected(`expected a name after "${dot.text}"`);
      name += name === '' ? token.text : `::${token.text}`;
      this.#tokens.next();
    } while (this.#tokens.accept('::'));
    const nameSpan = { start: first.start, end: this.#tokens.lastEnd };
    const span = this.#tokens.spanFrom(start);
    return { kind: 'member', object, arrow: dot.text === '->', name, nameSpan, ...span };
  }

  #assertion(object: Expression, start: number): Expression {
    this.#tokens.next();
    const { start: typeStart } = this.#tokens.peek();
    const isPrefix =
      this.#tokens.is('*') ||
      this.#tokens.is('[') ||
      ['map', 'chan', 'interface'].some((word) => this.#tokens.isWord(word));
    const type = isPrefix ? parsePrefixType(this.#tokens) : parseType(this.#tokens);
    const typeSpan = this.#tokens.spanFrom(typeStart);
    this.#tokens.expect(')', 'after the type');
    return { kind: 'assertion', object, type, typeSpan, ...this.#tokens.spanFrom(start) };
  }

  #index(object: Expression, start: number): Expression {
    const isRange = (): boolean => this.#tokens.is(':') || this.#tokens.is('..');
    const from = isRange() ? undefined : this.#expression();
    // Rust's `[0..2]` is Go's and Python's `[0:2]`.
    if (isRange()) {
      this.#tokens.next();
      const to = this.#tokens.is(']') ? undefined : this.#expression();
      this.#tokens.expect(']', 'after the slice');
      return {
        kind: 'slice',
        object,
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
        ...this.#tokens.spanFrom(start),
      };
    }
    this.#tokens.expect(']', 'after the index');
    if (from === undefined) throw this.#tokens.unexpected('expected an index');
    return { kind: 'index', object, index: from, ...this.#tokens.spanFrom(start) };
  }

  #call(callee: Expression, start: number): Expression {
    const open = this.#tokens.next();
    const list: Expression[] = [];
    if (!this.#tokens.is(')')) {
      do list.push(this.#expression());
      while (this.#tokens.accept(','));
    }
    this.#tokens.expect(')', 'after the arguments');
    const span = this.#tokens.spanFrom(start);
    if (callee.kind === 'name') {
      return {
        kind: 'call',
        callee: callee.name,
        calleeSpan: spanOf(callee),
        method: false,
        arguments: list,
        ...span,
      };
    }
    if (callee.kind === 'member') {
      const args = [callee.object, ...list];
      return {
        kind: 'call',
        callee: callee.name,
        calleeSpan: callee.nameSpan,
        method: true,
        arguments: args,
        ...span,
      };
    }
    throw badExpression('cannot call this: expressions never call into the target', {
      start: open.start,
      end: span.end,
    });
  }

  #primary(): Expression {
    const token = this.#tokens.peek();
    const span = { start: token.start, end: token.end };
    switch (token.kind) {
      case 'integer': {
        this.#tokens.next();
        const { value, decimal, unsigned, longs } = token;
        return { kind: 'integer', value, decimal, unsigned, longs, ...span };
      }
      case 'float':
        this.#tokens.next();
        return { ...span, kind: 'float', value: token.value, suffix: token.suffix, ...decimalOf(token) };
      case 'character':
        this.#tokens.next();
        return { kind: 'character', value: token.value, ...span };
      case 'string':
        return this.#strings();
      case 'register':
        this.#tokens.next();
        return { kind: 'register', name: token.text, ...span };
      case 'name':
      case 'file':
        return this.#name();
      case 'punctuator':
        if (token.text === '::') return this.#name();
        if (token.text === '<') {
          const path = this.#traitPath();
          if (path !== undefined) return path;
        }
        if (token.text === '(') {
          this.#tokens.next();
          const inner = this.#expression();
          this.#tokens.expect(')', 'after the expression');
          // The same node may stand in several parentheses: the last, outermost, wins.
          this.#outerStarts.set(inner, token.start);
          return inner;
        }
        throw this.#tokens.unexpected('expected a value');
      case 'end':
        throw this.#tokens.unexpected('expected a value');
    }
  }

  /** Adjacent literals are one string (C11 6.4.5). */
  #strings(): Expression {
    const { start } = this.#tokens.peek();
    const bytes: number[] = [];
    for (let token = this.#tokens.peek(); token.kind === 'string'; token = this.#tokens.peek()) {
      bytes.push(...token.bytes);
      this.#tokens.next();
    }
    return { kind: 'string', bytes: Uint8Array.from(bytes), ...this.#tokens.spanFrom(start) };
  }

  #name(): Expression {
    const first = this.#tokens.peek();
    const style = castStyles.get(first.text);
    if (style !== undefined && first.kind === 'name' && this.#tokens.is('<', 1))
      return this.#namedCast(style);
    const file = first.kind === 'file' ? first.text : undefined;
    if (file !== undefined) this.#tokens.next();
    const global = this.#tokens.accept('::');
    const name = this.#path('');
    const span = this.#tokens.spanFrom(first.start);
    return { kind: 'name', name, global, ...(file === undefined ? {} : { file }), ...span };
  }

  /** `a::b`, `T<int, 4>::b`, `twice<int>`, `Vec::<i32>::new`. */
  #path(before: string): string {
    let name = before;
    let hasArguments = false;
    for (;;) {
      const token = this.#tokens.peek();
      if (token.kind !== 'name') throw this.#tokens.unexpected('expected a name after "::"');
      name += token.text;
      this.#tokens.next();
      const isRust = this.#tokens.is('::') && this.#tokens.is('<', 1);
      const end = isRust ? this.#tokens.afterArguments(1) : this.#argumentsFollow(name);
      if (end !== undefined) {
        if (isRust) this.#tokens.next();
        name += this.#tokens.take(isRust ? end - 1 : end);
        hasArguments = true;
      }
      if (!this.#tokens.accept('::')) break;
      name += '::';
    }
    return hasArguments ? canonicalName(name) : name;
  }

  /** Whether a `<` behind a name opens template arguments: where what follows could not be compared, or the name is no value. */
  #argumentsFollow(name: string): number | undefined {
    const end = this.#tokens.is('<') ? this.#tokens.afterArguments() : undefined;
    if (end === undefined) return undefined;
    const after = this.#tokens.peek(end);
    if (after.kind === 'end') return end;
    if (after.kind !== 'punctuator') return undefined;
    if (after.text === '(') return this.#isValue(name) ? undefined : end;
    return cannotBeCompared.has(after.text) ? end : undefined;
  }

  /** `static_cast<T>(x)` and its like. */
  #namedCast(style: CastStyle): Expression {
    const { start } = this.#tokens.next();
    if (this.#tokens.afterArguments() === undefined) throw this.#tokens.unexpected('expected a type in "<>"');
    this.#tokens.next();
    const type = parseType(this.#tokens);
    this.#tokens.expect('>', 'after the type');
    this.#tokens.expect('(', 'before what is cast');
    const operand = this.#expression();
    this.#tokens.expect(')', 'after what is cast');
    return { kind: 'cast', style, type, operand, ...this.#tokens.spanFrom(start) };
  }

  /** Rust's `<Circle as Shape>::area`. */
  #traitPath(): Expression | undefined {
    const { start } = this.#tokens.peek();
    const end = this.#tokens.afterArguments();
    if (end === undefined || !this.#tokens.is('::', end)) return undefined;
    const name = this.#path(`${this.#tokens.take(end)}${this.#tokens.next().text}`);
    return { kind: 'name', name, global: true, ...this.#tokens.spanFrom(start) };
  }
}

const castStyles: ReadonlyMap<string, CastStyle> = new Map<string, CastStyle>([
  ['static_cast', 'static'],
  ['reinterpret_cast', 'reinterpret'],
  ['const_cast', 'const'],
  ['dynamic_cast', 'dynamic'],
]);

/** No operand begins with these: a `>` before them ends arguments. */
const cannotBeCompared: ReadonlySet<string> = new Set([
  '::',
  ')',
  ']',
  ',',
  ':',
  '?',
  '==',
  '!=',
  '&&',
  '||',
]);

function spanOf(expression: Expression): Span {
  return { start: expression.start, end: expression.end };
}

const binaryOperators: readonly BinaryOperator[] = [
  ...(['||', '&&', '|', '^', '&', '==', '!=', '<', '<=', '>', '>='] as const),
  ...(['<<', '>>', '+', '-', '*', '/', '%'] as const),
];

function binaryOperator(text: string): BinaryOperator {
  const found = binaryOperators.find((operator) => operator === text);
  if (found === undefined) throw new RangeError(`no operator ${text}`);
  return found;
}

function unaryOperator(text: string): UnaryOperator {
  switch (text) {
    case '*':
    case '&':
    case '-':
    case '+':
    case '!':
    case '~':
      return text;
    default:
      throw new RangeError(`no operator ${text}`);
  }
}

function decimalOf({ decimal }: { readonly decimal?: string }): { decimal?: string } {
  return decimal === undefined ? {} : { decimal };
}
