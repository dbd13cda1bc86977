/**
 * An expression whose names are resolved and whose conversions are all written out: what the evaluator and the lowering walk.
 * Operands of an operation already have the type that the operation works in, so both need no rules of the language.
 */
import type { LinkAddress } from '../../format/address.js';
import type { TextOperator } from '../../format/decision/text.js';
import type { RegularExpression } from '../../format/regular-expression.js';
import type { VariableSymbol } from '../symbols/module-symbols.js';
import type { ArrayType, Type } from '../types/type.js';
import type { DynamicView, SequenceView, StringView, WalkedMapView, WalkedView } from '../types/view.js';
import type { ArithmeticOperator, ComparisonOperator, LogicalOperator, ShiftOperator, Span } from './ast.js';
import type { Scalar } from './scalar.js';

interface Node {
  readonly type: Type;
  readonly span: Span;
  /** The text of it: what a person would write to see this value. */
  readonly path: string;
}

export type Typed =
  | ConstantNode
  | StringNode
  | VariableNode
  | FunctionNode
  | RegisterNode
  | FactNode
  | DereferenceNode
  | MemberNode
  | ElementNode
  | SliceNode
  | AddressNode
  | ConvertNode
  | UnaryNode
  | NotNode
  | ArithmeticNode
  | ShiftNode
  | CompareNode
  | LogicalNode
  | ConditionalNode
  | OffsetNode
  | DifferenceNode
  | PartsNode
  | TextNode
  | TextsNode
  | GuardedNode
  | LetNode
  | BoundNode
  | ViewElementNode
  | ViewLookupNode
  | ViewPageNode
  | ViewCountNode
  | DynamicNode;

export interface ConstantNode extends Node {
  readonly kind: 'constant';
  readonly value: Scalar;
  /** It is the name of an enumerator: such a name has type `int` in arithmetic (C11 6.4.4.3). */
  readonly enumerator: boolean;
}

/** A string literal: an array of characters that is nowhere in the target. */
export interface StringNode extends Node {
  readonly kind: 'string';
  /** With the final NUL. */
  readonly bytes: Uint8Array;
}

export interface VariableNode extends Node {
  readonly kind: 'variable';
  readonly variable: VariableSymbol;
}

export interface FunctionNode extends Node {
  readonly kind: 'function';
  readonly address: LinkAddress;
}

export interface RegisterNode extends Node {
  readonly kind: 'register';
  readonly register: number;
  /** `$ah`: how far the register is shifted down; the type says how much of it counts. */
  readonly shift: number;
}

export interface FactNode extends Node {
  readonly kind: 'fact';
  /** `duration`: nanoseconds since the function was entered. */
  readonly fact: 'tid' | 'pid' | 'comm' | 'duration';
}

export interface DereferenceNode extends Node {
  readonly kind: 'dereference';
  readonly pointer: Typed;
}

export interface MemberNode extends Node {
  readonly kind: 'member';
  /** A struct or union; what was behind a pointer is a dereference. */
  readonly object: Typed;
  readonly byteOffset: number;
  readonly bits?: { readonly offset: number; readonly size: number };
}

/** An element of an array that need not be in memory. */
export interface ElementNode extends Node {
  readonly kind: 'element';
  readonly array: Typed;
  /** A `long`. */
  readonly index: Typed;
  readonly size: number;
}

export interface SliceNode extends Node {
  readonly kind: 'slice';
  readonly type: ArrayType;
  /** Where it begins. */
  readonly pointer: Typed;
  /** A `long`: how many elements. */
  readonly count: Typed;
  /** Of an object with a view: from which element to which, where both are constant. */
  readonly page?: SlicePage;
  readonly size: number;
}

export interface SlicePage {
  readonly object: Typed;
  readonly view: StringView | SequenceView;
  readonly from: number;
  readonly to: number;
}

/** `&x`, and what an array or a function becomes in an expression. */
export interface AddressNode extends Node {
  readonly kind: 'address';
  readonly operand: Typed;
}

/** Between scalars. */
export interface ConvertNode extends Node {
  readonly kind: 'convert';
  readonly operand: Typed;
}

export interface UnaryNode extends Node {
  readonly kind: 'unary';
  readonly operator: '-' | '~';
  readonly operand: Typed;
}

export interface NotNode extends Node {
  readonly kind: 'not';
  readonly operand: Typed;
}

export interface ArithmeticNode extends Node {
  readonly kind: 'arithmetic';
  readonly operator: ArithmeticOperator;
  readonly left: Typed;
  readonly right: Typed;
}

/** The left side has the type of the result; the right its own, promoted. */
export interface ShiftNode extends Node {
  readonly kind: 'shift';
  readonly operator: ShiftOperator;
  readonly left: Typed;
  readonly right: Typed;
}

export interface CompareNode extends Node {
  readonly kind: 'compare';
  readonly operator: ComparisonOperator;
  readonly left: Typed;
  readonly right: Typed;
}

export interface LogicalNode extends Node {
  readonly kind: 'logical';
  readonly operator: LogicalOperator;
  readonly left: Typed;
  readonly right: Typed;
}

export interface ConditionalNode extends Node {
  readonly kind: 'conditional';
  readonly condition: Typed;
  readonly whenTrue: Typed;
  readonly whenFalse: Typed;
}

/** Pointer plus or minus a `long` times the size of what it points to. */
export interface OffsetNode extends Node {
  readonly kind: 'offset';
  readonly pointer: Typed;
  readonly index: Typed;
  readonly subtract: boolean;
  readonly size: number;
}

export interface DifferenceNode extends Node {
  readonly kind: 'difference';
  readonly left: Typed;
  readonly right: Typed;
  readonly size: number;
}

/** A vector or a complex number that is computed: each of its numbers, in order. */
export interface PartsNode extends Node {
  readonly kind: 'parts';
  readonly parts: readonly Typed[];
}

/** A comparison of a string in the target with a literal. */
export interface TextNode extends Node {
  readonly kind: 'text';
  readonly operator: TextOperator;
  /** A pointer to characters, or an array of them. */
  readonly subject: Typed;
  /** Of a string that knows it: how many characters (of `unitBytes`) there are, an `unsigned long`. Others end at their NUL. */
  readonly length?: Typed;
  readonly unitBytes: 1 | 2 | 4;
  /** Without a final NUL, in the units of the subject. */
  readonly literal: Uint8Array;
  readonly pattern?: RegularExpression;
}

/** Two strings of the target that both know their lengths, in units of the same size. */
export interface TextsNode extends Node {
  readonly kind: 'texts';
  readonly operator: '==' | '!=';
  readonly left: CountedText;
  readonly right: CountedText;
  readonly unitBytes: 1 | 2 | 4;
}

export interface CountedText {
  /** A pointer to the first unit. */
  readonly subject: Typed;
  /** An `unsigned long`. */
  readonly length: Typed;
}

/** What has a value only where a condition holds: an element within the length, the value of an optional. */
export interface GuardedNode extends Node {
  readonly kind: 'guarded';
  readonly condition: Typed;
  readonly operand: Typed;
  /** Why there is none; `{0}` stands for the first of `shows`. */
  readonly detail: string;
  readonly shows: readonly Typed[];
}

/** An object that is looked at several times: where it is is computed once, and `body` refers to it by `bound`. */
export interface LetNode extends Node {
  readonly kind: 'let';
  readonly bound: BoundNode;
  readonly body: Typed;
}

/** A pointer to the object. */
export interface BoundNode extends Node {
  readonly kind: 'bound';
  readonly object: Typed;
}

/** An element that is found by walking from node to node: never in the kernel. */
export interface ViewElementNode extends Node {
  readonly kind: 'view-element';
  readonly object: Typed;
  readonly view: WalkedView;
  /** A `long`; undefined for the last one. */
  readonly index?: Typed;
}

/** What an element is compared with. */
export type LookupKey =
  { readonly kind: 'text'; readonly bytes: Uint8Array } | { readonly kind: 'scalar'; readonly value: Typed };

/** The value of a key. */
export interface ViewLookupNode extends Node {
  readonly kind: 'view-lookup';
  readonly object: Typed;
  readonly view: WalkedMapView;
  readonly key: LookupKey;
}

/** Elements `from` up to `to` of what is walked. */
export interface ViewPageNode extends Node {
  readonly kind: 'view-page';
  readonly object: Typed;
  readonly view: WalkedView | WalkedMapView;
  /** Each a `long`; undefined for the beginning and the end. */
  readonly from?: Typed;
  readonly to?: Typed;
}

/** How many elements there are, of maps keys, that equal a key; without one, all. An `unsigned long`. */
export interface ViewCountNode extends Node {
  readonly kind: 'view-count';
  readonly object: Typed;
  readonly view: WalkedView | WalkedMapView | SequenceView;
  readonly key?: LookupKey;
}

/** The object that an interface or a trait object holds, as the type that it is said to be. */
export interface DynamicNode extends Node {
  readonly kind: 'dynamic';
  readonly object: Typed;
  readonly view: DynamicView;
}

/** What names an object, whose bytes are read when its value is wanted. */
export type ObjectNode = VariableNode | DereferenceNode | MemberNode | ElementNode;

const objectKinds: ReadonlySet<Typed['kind']> = new Set(['variable', 'dereference', 'member', 'element']);

export function isObject(node: Typed): node is ObjectNode {
  return objectKinds.has(node.kind);
}

/** What is somewhere, in the target or in our hands. */
export type PlacedNode =
  | ObjectNode
  | SliceNode
  | FunctionNode
  | StringNode
  | ConditionalNode
  | GuardedNode
  | PartsNode
  | LetNode
  | WalkedNode
  | (FactNode & { readonly fact: 'comm' });

/** What only a walk over memory finds, or the process knows. */
export type WalkedNode = ViewElementNode | ViewLookupNode | ViewPageNode | DynamicNode;

const walkedKinds: ReadonlySet<Typed['kind']> = new Set([
  'view-element',
  'view-lookup',
  'view-page',
  'dynamic',
]);

export function isWalked(node: Typed): node is WalkedNode {
  return walkedKinds.has(node.kind);
}

const placedKinds: ReadonlySet<Typed['kind']> = new Set([
  'slice',
  'function',
  'string',
  'conditional',
  'guarded',
  'parts',
  'let',
  ...walkedKinds,
]);

export function isPlaced(node: Typed): node is PlacedNode {
  if (node.kind === 'guarded') return isPlaced(node.operand);
  if (node.kind === 'let') return isPlaced(node.body);
  return isObject(node) || placedKinds.has(node.kind) || (node.kind === 'fact' && node.fact === 'comm');
}

/** Whether the node is an object that could have an address. */
export function isLvalue(node: Typed): boolean {
  if (node.kind === 'member') return isLvalue(node.object);
  if (node.kind === 'element') return isLvalue(node.array);
  if (node.kind === 'guarded') return isLvalue(node.operand);
  if (node.kind === 'let') return isLvalue(node.body);
  if (isWalked(node)) return node.kind !== 'view-page';
  return node.kind === 'variable' || node.kind === 'dereference' || node.kind === 'slice';
}

/** A variable as an expression of its name alone is checked. */
export function variableNode(variable: VariableSymbol): VariableNode {
  const { name } = variable;
  return {
    kind: 'variable',
    variable,
    type: variable.type(),
    path: name,
    span: { start: 0, end: name.length },
  };
}
