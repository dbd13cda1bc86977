import type { Span } from './ast.js';
import { tokenize, type Token } from './lexer.js';
import { badExpression } from './syntax-error.js';

/** How deep expressions and types may nest. */
export const maxExpressionNesting = 100;

const endToken: Token = { kind: 'end', text: '', start: 0, end: 0 };

/** What the two halves of the parser (expressions and type names) walk over together. */
export class TokenStream {
  readonly text: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  #nesting = 0;

  constructor(text: string) {
    this.text = text;
    this.#tokens = tokenize(text);
  }

  peek(ahead = 0): Token {
    return this.#tokens[this.#at + ahead] ?? this.#tokens.at(-1) ?? endToken;
  }

  next(): Token {
    const token = this.peek();
    this.#at++;
    return token;
  }

  /** End of the token before the current one. */
  get lastEnd(): number {
    return this.#tokens[this.#at - 1]?.end ?? 0;
  }

  is(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'punctuator' && token.text === text;
  }

  isWord(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'name' && token.text === text;
  }

  accept(text: string): boolean {
    if (!this.is(text)) return false;
    this.#at++;
    return true;
  }

  expect(text: string, after: string): Token {
    if (!this.is(text)) throw this.unexpected(`expected "${text}" ${after}`);
    return this.next();
  }

  /** An error at the current token that says what was expected instead. */
  unexpected(expected: string): Error {
    const token = this.peek();
    const found = token.kind === 'end' ? 'the end' : `"${this.text.slice(token.start, token.end)}"`;
    return badExpression(`${expected}, found ${found}`, token, { hint: hintFor(token) });
  }

  /** Runs one level of a recursive rule. */
  nested<T>(rule: () => T): T {
    if (this.#nesting >= maxExpressionNesting) {
      throw badExpression(`expression is nested deeper than ${maxExpressionNesting}`, this.peek());
    }
    this.#nesting++;
    try {
      return rule();
    } finally {
      this.#nesting--;
    }
  }

  spanFrom(start: number): Span {
    return { start, end: this.lastEnd };
  }
}

const writing = new Set(['++', '--', '+=', '-=', '*=', '/=', '%=', '&=', '|=', '^=', '<<=', '>>=']);

function hintFor(token: Token): string | undefined {
  if (token.kind !== 'punctuator') return undefined;
  if (token.text === '=') return 'compare with "=="; expressions never write to the target';
  if (writing.has(token.text)) return 'expressions never write to the target';
  return undefined;
}
