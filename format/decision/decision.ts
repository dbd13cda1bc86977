/**
 * The part of a condition that the kernel cannot decide, as plain data: what the agent decides on the bytes of a hit. It is a list of cells, each of which
 * may use cells before it; the last one says whether the condition holds. What DWARF operations can compute is a program of them, as everywhere in a plan; the other
 * kinds are what they cannot: floats, texts, and looking through the elements of a container. Nothing here needs debug information.
 *
 * A cell is computed when it is asked for and not before, so that `p != 0 && ...` protects what follows it; what cannot be computed is absent, with its reason, and a
 * condition that needs it is undecided: neither true nor false.
 */
import type { Walk } from '../walk/walk.js';
import type { ComparisonOperator, FloatOperator } from './number.js';
import type { TextOperator } from './text.js';

export interface Decision {
  /** Each refers only to those before it. The last one is an integer: not zero means that the condition holds. */
  readonly cells: readonly Cell[];
}

/** The index of a cell. */
export type CellIndex = number;

export type Cell = IntegerCell | FloatCell;

/** Their values have 64 bits, as on the stack of a DWARF expression: a narrower integer is extended as its type is signed. */
export type IntegerCell =
  OpsCell | FactCell | GuardCell | ToIntegerCell | CompareCell | TextCell | TextsCell | CountCell | FindCell;

/** Their values are numbers of the language, which hold a `float` or a `double` exactly. */
export type FloatCell = ConstantCell | FloatBitsCell | ToFloatCell | ArithmeticCell | NegateCell | ChooseCell;

/** A program as `plan.ts` says, that may use integer cells before it (as registers from `firstCellRegister` on), and `DW_OP_push_object_address` for the element that is looked at. */
export interface OpsCell {
  readonly kind: 'ops';
  readonly ops: Uint8Array;
}

/** What is known of the thread that hit. */
export interface FactCell {
  readonly kind: 'fact';
  readonly fact: 'tid' | 'pid';
}

/** 1 where the condition holds, and absent otherwise. */
export interface GuardCell {
  readonly kind: 'guard';
  readonly condition: CellIndex;
  /** Why there is nothing then; `{0}` and so on stand for the values of `shows`. */
  readonly detail: string;
  readonly shows: readonly CellIndex[];
}

/** A float as an integer type: towards zero, absent outside of its range. */
export interface ToIntegerCell {
  readonly kind: 'to-integer';
  readonly operand: CellIndex;
  readonly size: 1 | 2 | 4 | 8;
  readonly signed: boolean;
}

/** Of two floats: 1 or 0. */
export interface CompareCell {
  readonly kind: 'compare';
  readonly operator: ComparisonOperator;
  readonly left: CellIndex;
  readonly right: CellIndex;
}

export type UnitBytes = 1 | 2 | 4;

/** A text with a literal: 1 or 0. */
export interface TextCell {
  readonly kind: 'text';
  readonly operator: TextOperator;
  readonly text: Text;
  readonly unitBytes: UnitBytes;
  /** In the units of the text; of `matches` a regular expression in UTF-8. */
  readonly literal: Uint8Array;
}

export type Text =
  | {
      readonly from: 'memory';
      readonly address: CellIndex;
      /** How many units there are; without it the text ends at its NUL. */
      readonly length?: CellIndex;
      /** Of one that ends at its NUL: bytes of the array that it is in, whose end ends it too. */
      readonly capacity?: CellIndex;
      /** What it is, for reasons. */
      readonly path: string;
    }
  /** The name of the thread. */
  | { readonly from: 'comm' };

/** Two texts that know their lengths: 1 or 0. */
export interface TextsCell {
  readonly kind: 'texts';
  readonly operator: '==' | '!=';
  readonly left: CountedText;
  readonly right: CountedText;
  readonly unitBytes: UnitBytes;
}

export interface CountedText {
  readonly address: CellIndex;
  readonly length: CellIndex;
  readonly path: string;
}

/** Elements one after another. */
export interface SequenceElements {
  readonly kind: 'sequence';
  readonly data: CellIndex;
  readonly length: CellIndex;
  readonly stride: number;
}

/** What a walk finds in an object; of a map its entries. */
export interface WalkElements {
  readonly kind: 'walk';
  readonly walk: Walk;
  /** Where the object is; with `bytes` its own bytes, so many of them. */
  readonly object: CellIndex;
  readonly bytes?: number;
}

export type Elements = SequenceElements | WalkElements;

/** How many elements there are for which a cell is not zero. */
export interface CountCell {
  readonly kind: 'count';
  readonly elements: Elements;
  /** Computed for each element, whose address is the object address then; of a map for each key. Undefined: all count. */
  readonly match?: CellIndex;
  /** One is enough: what is asked is whether there are any. */
  readonly any: boolean;
  readonly path: string;
}

/** The address of an element: the one with an index, or the first for which a cell is not zero (of a map its value); absent where there is none. */
export interface FindCell {
  readonly kind: 'find';
  readonly elements: Elements;
  readonly by:
    | { readonly match: CellIndex }
    | { readonly index: CellIndex }
    /** The last one. */
    | { readonly last: true };
  readonly path: string;
}

export interface ConstantCell {
  readonly kind: 'constant';
  readonly value: number;
}

/** The float whose bits an integer is. */
export interface FloatBitsCell {
  readonly kind: 'float';
  readonly bits: CellIndex;
  readonly size: 4 | 8;
}

/** An integer or a float as a float of a format, rounded once. */
export interface ToFloatCell {
  readonly kind: 'to-float';
  readonly operand: CellIndex;
  /** Of an integer. */
  readonly signed: boolean;
  readonly size: 4 | 8;
}

export interface ArithmeticCell {
  readonly kind: 'arithmetic';
  readonly operator: FloatOperator;
  readonly left: CellIndex;
  readonly right: CellIndex;
  readonly size: 4 | 8;
}

export interface NegateCell {
  readonly kind: 'negate';
  readonly operand: CellIndex;
}

/** Only the side that is chosen is computed. */
export interface ChooseCell {
  readonly kind: 'choose';
  readonly condition: CellIndex;
  readonly yes: CellIndex;
  readonly no: CellIndex;
}

const floatKinds: ReadonlySet<Cell['kind']> = new Set([
  'constant',
  'float',
  'to-float',
  'arithmetic',
  'negate',
  'choose',
]);

export function isFloatCell(cell: Cell): cell is FloatCell {
  return floatKinds.has(cell.kind);
}
