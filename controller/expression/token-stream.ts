import type { Span } from './ast.js';
import { tokenize, type Token } from './lexer.js';
import { badExpression } from './syntax-error.js';

/** How deep expressions and types may nest. */
export const maxExpressionNesting = 100;

const endToken: Token = { kind: 'end', text: '', start: 0, end: 0 };

/** What the two halves of the parser (expressions and type names) walk over together. */
export class TokenStream {
  readonly text: string;
  readonly #tokens: Token[];
  #at = 0;
  #nesting = 0;

  constructor(text: string) {
    this.text = text;
    this.#tokens = [...tokenize(text)];
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

  /**
   * Where the template arguments end that may begin with the `<` that is `ahead` tokens from here: how far the token behind their `>` is. Undefined where
   * what follows can be no arguments. A `>>` that closes two brackets becomes two tokens.
   */
  afterArguments(ahead = 0): number | undefined {
    const splits: number[] = [];
    let depth = 0;
    let brackets = 0;
    let at = this.#at + ahead;
    for (; ; at++) {
      const token = this.#tokens[at];
      if (token === undefined || !isOfArguments(token, this.#tokens[at - 1], this.#tokens[at + 1]))
        return undefined;
      if (token.kind !== 'punctuator') continue;
      if (token.text === '<') depth++;
      else if (token.text === '>') depth--;
      else if (token.text === '>>') {
        // Within parentheses or below an open bracket it shifts.
        if (brackets > 0) return undefined;
        splits.push(at);
        depth -= 2;
      } else if (token.text === '(' || token.text === '[') brackets++;
      else if ((token.text === ')' || token.text === ']') && --brackets < 0) return undefined;
      if (depth <= 0) break;
    }
    if (brackets !== 0 || depth < 0) return undefined;
    for (const [i, where] of splits.entries()) this.#split(where + i);
    return at + splits.length + 1 - this.#at;
  }

  /** `>>` as two tokens. */
  #split(where: number): void {
    const token = this.#tokens[where];
    if (token === undefined) return;
    const middle = token.start + 1;
    this.#tokens.splice(
      where,
      1,
      { kind: 'punctuator', text: '>', start: token.start, end: middle },
      { kind: 'punctuator', text: '>', start: middle, end: token.end },
    );
  }

  /** Takes the tokens before the one that is `ahead`, and gives their text. */
  take(ahead: number): string {
    const { start } = this.peek();
    this.#at += ahead;
    return this.text.slice(start, this.lastEnd);
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

const ofArguments = new Set(['<', '>', '>>', '(', ')', '[', ']', '::', ',', '*', '&', '...', ';', '->', '+']);

function isOfArguments(token: Token, before: Token | undefined, after: Token | undefined): boolean {
  switch (token.kind) {
    case 'name':
    case 'integer':
    case 'character':
      return true;
    case 'punctuator':
      // `T &&` ends an argument; `a < b && c > d` is none.
      if (token.text === '&&')
        return after?.kind === 'punctuator' && ['>', '>>', ',', ')'].includes(after.text);
      if (token.text === '-')
        return after?.kind === 'integer' && (before?.text === '<' || before?.text === ',');
      return ofArguments.has(token.text);
    case 'end':
    case 'file':
    case 'float':
    case 'register':
    case 'string':
      return false;
  }
}

const writing = new Set(['++', '--', '+=', '-=', '*=', '/=', '%=', '&=', '|=', '^=', '<<=', '>>=']);

function hintFor(token: Token): string | undefined {
  if (token.kind !== 'punctuator') return undefined;
  if (token.text === '=') return 'compare with "=="; expressions never write to the target';
  if (writing.has(token.text)) return 'expressions never write to the target';
  return undefined;
}
