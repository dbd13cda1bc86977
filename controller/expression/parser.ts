/**
 * Text to syntax tree. The grammar is that of CLI.md: C's operators and precedences, `@` between shifts and sums (as in gdb),
 * `as` just below the unary operators (as in Rust). Nothing that writes or calls is part of it.
 */
import type { BinaryOperator, Expression, Span, UnaryOperator } from './ast.js';
import { badExpression } from './syntax-error.js';
import { TokenStream } from './token-stream.js';
import { parsePrefixType, parseType, startsType } from './type-syntax.js';

export interface ParseOptions {
  /** Whether a name is a type where the expression is evaluated: C cannot be parsed without knowing. */
  readonly isType?: (name: string) => boolean;
}

/** Throws `bad-expression` with the position of the first wrong token. */
export function parseExpression(text: string, options: ParseOptions = {}): Expression {
  const parser = new Parser(text, options.isType ?? (() => false));
  return parser.parse();
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

  constructor(text: string, isType: (name: string) => boolean) {
    this.#tokens = new TokenStream(text);
    this.#isType = isType;
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
      operand = { kind: 'cast', type, operand, ...this.#tokens.spanFrom(start) };
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
        return { kind: 'cast', type, operand, ...this.#tokens.spanFrom(start) };
      }
      return this.#postfix();
    });
  }

  /** Whether a type begins `ahead` tokens from here and fills the parentheses that were opened before it. */
  #typeFollows(ahead: number): boolean {
    if (startsType(this.#tokens, ahead)) return true;
    let at = ahead;
    let name = '';
    if (this.#tokens.is('::', at)) at++;
    for (;;) {
      const token = this.#tokens.peek(at);
      if (token.kind !== 'name') return false;
      name += token.text;
      at++;
      if (!this.#tokens.is('::', at)) break;
      name += '::';
      at++;
    }
    // `(name *)` can be nothing but a type; the checker says so when there is none of that name.
    if (this.#tokens.is('*', at)) {
      while (this.#tokens.is('*', at) || this.#tokens.isWord('const', at)) at++;
      if (this.#tokens.is(')', at)) return true;
      return this.#tokens.is('(', at) && this.#isType(name);
    }
    return (this.#tokens.is(')', at) || this.#tokens.is('(', at)) && this.#isType(name);
  }

  #sizeof(): Expression {
    const { start } = this.#tokens.next();
    if (this.#tokens.is('(') && this.#typeFollows(1)) {
      this.#tokens.next();
      const type = parseType(this.#tokens);
      this.#tokens.expect(')', 'after the type');
      return { kind: 'sizeof', operand: { kind: 'type', type }, ...this.#tokens.spanFrom(start) };
    }
    const expression = this.#unary();
    return { kind: 'sizeof', operand: { kind: 'expression', expression }, ...this.#tokens.spanFrom(start) };
  }

  #postfix(): Expression {
    const { start } = this.#tokens.peek();
    let object = this.#primary();
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
    const isPrefix = this.#tokens.is('*') || this.#tokens.is('[');
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
    const file = first.kind === 'file' ? first.text : undefined;
    if (file !== undefined) this.#tokens.next();
    const global = this.#tokens.accept('::');
    let name = '';
    for (;;) {
      const token = this.#tokens.peek();
      if (token.kind !== 'name') throw this.#tokens.unexpected('expected a name after "::"');
      name += token.text;
      this.#tokens.next();
      if (!this.#tokens.accept('::')) break;
      name += '::';
    }
    const span = this.#tokens.spanFrom(first.start);
    return { kind: 'name', name, global, ...(file === undefined ? {} : { file }), ...span };
  }
}

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
