/**
 * The syntax of an expression, before names and types are known. Every node says which part of the text it came from.
 */

/** Offsets into the text: first character, and the one after the last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export type Expression =
  | IntegerLiteral
  | FloatLiteral
  | CharacterLiteral
  | StringLiteral
  | NameExpression
  | RegisterExpression
  | MemberExpression
  | UnaryExpression
  | IndexExpression
  | SliceExpression
  | RepeatExpression
  | CastExpression
  | AssertionExpression
  | BinaryExpression
  | ConditionalExpression
  | SizeofExpression
  | CallExpression;

export interface IntegerLiteral extends Span {
  readonly kind: 'integer';
  readonly value: bigint;
  readonly decimal: boolean;
  readonly unsigned: boolean;
  /** Number of `l` in the suffix. */
  readonly longs: 0 | 1 | 2;
}

export interface FloatLiteral extends Span {
  readonly kind: 'float';
  /** Rounded to a double. */
  readonly value: number;
  readonly decimal?: string;
  readonly suffix: '' | 'f' | 'l';
}

export interface CharacterLiteral extends Span {
  readonly kind: 'character';
  readonly value: bigint;
}

export interface StringLiteral extends Span {
  readonly kind: 'string';
  /** Without the final NUL. */
  readonly bytes: Uint8Array;
}

/** `name`, `ns::name`, `::name`, `'file.c'::name`, `T<int>::name`, `<T as Trait>::name`, `"path/of/package".name`. */
export interface NameExpression extends Span {
  readonly kind: 'name';
  /** Joined by `::`. */
  readonly name: string;
  /** Written with a leading `::`: locals are passed over. */
  readonly global: boolean;
  readonly file?: string;
}

/** `$rip`, `$tid`: the name without the `$`. */
export interface RegisterExpression extends Span {
  readonly kind: 'register';
  readonly name: string;
}

export interface MemberExpression extends Span {
  readonly kind: 'member';
  readonly object: Expression;
  readonly arrow: boolean;
  readonly name: string;
  readonly nameSpan: Span;
}

export type UnaryOperator = '*' | '&' | '-' | '+' | '!' | '~';

export interface UnaryExpression extends Span {
  readonly kind: 'unary';
  readonly operator: UnaryOperator;
  readonly operand: Expression;
}

export interface IndexExpression extends Span {
  readonly kind: 'index';
  readonly object: Expression;
  readonly index: Expression;
}

/** `p[from:to]`, the end not included. */
export interface SliceExpression extends Span {
  readonly kind: 'slice';
  readonly object: Expression;
  readonly from?: Expression;
  readonly to?: Expression;
}

/** `p @ count`. */
export interface RepeatExpression extends Span {
  readonly kind: 'repeat';
  readonly object: Expression;
  readonly count: Expression;
}

/** `(T)x`; C++'s four by their names; Rust's `x as T`; `T(x)` of C++ and Go, also `(*T)(x)`. */
export type CastStyle = 'plain' | 'static' | 'reinterpret' | 'const' | 'dynamic' | 'as' | 'conversion';

export interface CastExpression extends Span {
  readonly kind: 'cast';
  readonly style: CastStyle;
  readonly type: TypeSyntax;
  readonly operand: Expression;
}

/** `x.(T)`, as in Go. */
export interface AssertionExpression extends Span {
  readonly kind: 'assertion';
  readonly object: Expression;
  readonly type: TypeSyntax;
  readonly typeSpan: Span;
}

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^';
export type ShiftOperator = '<<' | '>>';
export type ComparisonOperator = '==' | '!=' | '<' | '<=' | '>' | '>=';
export type LogicalOperator = '&&' | '||';
export type BinaryOperator = ArithmeticOperator | ShiftOperator | ComparisonOperator | LogicalOperator;

export interface BinaryExpression extends Span {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly operatorSpan: Span;
  readonly left: Expression;
  readonly right: Expression;
}

export interface ConditionalExpression extends Span {
  readonly kind: 'conditional';
  readonly condition: Expression;
  readonly whenTrue: Expression;
  readonly whenFalse: Expression;
}

export interface SizeofExpression extends Span {
  readonly kind: 'sizeof';
  readonly operand:
    | { readonly kind: 'type'; readonly type: TypeSyntax }
    | { readonly kind: 'expression'; readonly expression: Expression };
}

/** `startsWith(s, "x")`; `s.startsWith("x")` has `s` as the first argument. */
export interface CallExpression extends Span {
  readonly kind: 'call';
  readonly callee: string;
  readonly calleeSpan: Span;
  readonly method: boolean;
  readonly arguments: readonly Expression[];
}

export type TypeSyntax =
  | (Span & { readonly kind: 'named'; readonly name: string })
  | (Span & { readonly kind: 'pointer'; readonly target: TypeSyntax })
  | (Span & { readonly kind: 'reference'; readonly target: TypeSyntax })
  | (Span & { readonly kind: 'array'; readonly element: TypeSyntax; readonly count?: number })
  /** Go's `[]T`, `chan T`, `map[K]V`. */
  | (Span & { readonly kind: 'slice' | 'channel'; readonly element: TypeSyntax })
  | (Span & { readonly kind: 'map'; readonly key: TypeSyntax; readonly value: TypeSyntax })
  | (Span & {
      readonly kind: 'function';
      readonly result: TypeSyntax;
      readonly parameters: readonly TypeSyntax[];
      readonly variadic: boolean;
    });
