/**
 * A checked expression to a DWARF expression of a plan (the subset and its semantics: `format/plan/plan.ts`). The result is exact or
 * there is none: every C operation on narrower or unsigned types is written out in signed 64-bit operations, and where C and the
 * evaluator have no value (division by zero, a bad shift, unreadable memory) the expression faults.
 *
 * On the stack an integer is always extended to 64 bits as its type is signed.
 */
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { firstCellRegister } from '../../format/dwarf-op/verify.js';
import { StillframeError } from '../../format/error.js';
import { durationRegister } from '../../format/plan/timing.js';
import type { VariableSymbol } from '../symbols/module-symbols.js';
import { stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { Absent } from '../../format/absent.js';
import { numericOf, type Numeric } from './c-types.js';
import { lowerFloatComparison } from './lower-float.js';
import { load, locate } from './lower-object.js';
import { emitComparison, emitRemainder, emitUnsignedDivision } from './lower-integer.js';
import type { PlanLocation } from './lower-location.js';
import type { VariablePart } from './lower-part.js';
import { emitCountedComparison, emitTextComparison } from './lower-text.js';
import { OpWriter } from './op-writer.js';
import {
  type BoundNode,
  type CompareNode,
  type ConvertNode,
  type GuardedNode,
  type LetNode,
  type ShiftNode,
  type TextNode,
  type Typed,
  type WalkedNode,
} from './typed.js';
import { wholeOf } from './scalar.js';

export interface LoweringContext {
  /** Where a variable is at the site, as `rewriteVariable` gives it. */
  variableLocation(variable: VariableSymbol): PlanLocation | Absent;
  /** A part of a variable that lies in several pieces, where one of them has all of it. */
  variablePart?(part: VariablePart): PlanLocation | undefined;
  /** Whether the plan knows the time since the function was entered. */
  readonly timed?: boolean;
}

/** A part of the expression that the kernel cannot compute. */
export interface Unlowered {
  /** Why, for a person. */
  readonly unsupported: string;
  readonly position: number;
  readonly length: number;
  /** Set when a variable has no location at the site. */
  readonly absent?: Absent;
  readonly hint?: string;
}

export function isUnlowered(result: unknown): result is Unlowered {
  return typeof result === 'object' && result !== null && 'unsupported' in result;
}

/** Leaves 0 or 1. */
export function lowerCondition(node: Typed, context: LoweringContext): Uint8Array | Unlowered {
  return lowered((lowerer) => lowerer.pushTruth(node), context);
}

/** Leaves the value of an integer, enumeration or pointer, extended to 64 bits. */
export function lowerValue(node: Typed, context: LoweringContext): Uint8Array | Unlowered {
  return lowered((lowerer) => lowerer.push(node), context);
}

/** Leaves the address of an object. */
export function lowerAddress(node: Typed, context: LoweringContext): Uint8Array | Unlowered {
  return lowered((lowerer) => lowerer.pushAddress(node), context);
}

function lowered(emit: (lowerer: Lowerer) => void, context: LoweringContext): Uint8Array | Unlowered {
  const lowerer = new Lowerer(context);
  return orUnlowered(() => {
    emit(lowerer);
    return lowerer.out.finish();
  });
}

/** What cannot be lowered as data. */
export function orUnlowered<T>(lower: () => T): T | Unlowered {
  try {
    return lower();
  } catch (error) {
    if (error instanceof Refusal) return error.why;
    if (error instanceof StillframeError && error.code === 'limit') {
      return { unsupported: error.message, position: 0, length: 1 };
    }
    throw error;
  }
}

/** Ends a lowering; inside of this folder only. */
class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly why: Unlowered;

  constructor(why: Unlowered) {
    super(why.unsupported);
    this.why = why;
  }
}

/** What the agent computes for a program that it runs itself: each is a cell of a decision, by its index. */
export interface Cells {
  /** The value of an integer; undefined where the program shall compute it. */
  integer(node: Typed): number | undefined;
  /** The address of an object that only a walk finds; undefined where the agent finds it neither. */
  address(node: WalkedNode): number | undefined;
  /** Where an object is that is looked at several times; undefined where it is in no memory. */
  bound(node: BoundNode): number | 'element' | undefined;
  /** 1, or nothing. */
  guard(node: GuardedNode): number;
}

export class Lowerer {
  readonly out: OpWriter = new OpWriter();
  readonly context: LoweringContext;
  readonly #cells: Cells | undefined;

  /** With `cells` the agent runs the program, without them the kernel. */
  constructor(
    context: LoweringContext,
    { bound = new Map(), cells }: { bound?: ReadonlyMap<BoundNode, number>; cells?: Cells | undefined } = {},
  ) {
    this.context = context;
    this.#cells = cells;
    for (const [node, slot] of bound) this.#bound.set(node, slot);
  }

  #pushCell(index: number | 'element'): void {
    if (index === 'element') this.out.op(DW_OP.DW_OP_push_object_address);
    else this.out.register(firstCellRegister + index, 0n);
  }

  refuse(node: Typed, unsupported: string, cause?: Absent): never {
    const { start, end } = node.span;
    throw new Refusal({
      unsupported,
      position: start,
      length: end - start,
      ...(cause === undefined ? {} : { absent: cause }),
    });
  }

  /** The integer type of a node, of at most 64 bits. */
  integer(node: Typed): Numeric & { readonly kind: 'integer' } {
    const numeric = numericOf(node.type);
    if (numeric?.kind === 'float') {
      return this.refuse(node, 'floating arithmetic cannot run in the kernel; only comparisons can');
    }
    if (numeric === undefined) {
      return this.refuse(
        node,
        `values of type "${typeName(node.type)}" cannot be computed with in the kernel`,
      );
    }
    if (numeric.size > 8)
      return this.refuse(node, `${numeric.size * 8}-bit integers cannot be computed with in the kernel`);
    return numeric;
  }

  pushTruth(node: Typed): void {
    if (numericOf(node.type)?.kind === 'float') {
      const zero: Typed = {
        kind: 'constant',
        value: 0,
        enumerator: false,
        type: node.type,
        span: node.span,
        path: '0',
      };
      const { type, span, path } = node;
      this.push({ kind: 'compare', operator: '!=', left: node, right: zero, type, span, path });
      return;
    }
    this.push(node);
    if (!isTruth(node)) this.out.op(DW_OP.DW_OP_lit0, DW_OP.DW_OP_ne);
  }

  push(node: Typed): void {
    const { out } = this;
    const cell = this.#cells?.integer(node);
    if (cell !== undefined) {
      this.#pushCell(cell);
      return;
    }
    switch (node.kind) {
      case 'constant':
        this.integer(node);
        out.constant(wholeOf(node.value));
        return;
      case 'variable':
      case 'dereference':
      case 'member':
      case 'element':
        load(this, node, this.integer(node));
        return;
      case 'register': {
        out.register(node.register, 0n);
        if (node.shift > 0) out.constant(BigInt(node.shift)).op(DW_OP.DW_OP_shr);
        this.normalize(this.integer(node));
        return;
      }
      case 'fact':
        if (node.fact === 'duration' && this.context.timed === true) {
          out.register(durationRegister, 0n);
          return;
        }
        return this.refuse(node, `$${node.fact} is not known in the kernel`);
      case 'address':
        this.pushAddress(node.operand);
        return;
      case 'convert':
        this.#convert(node);
        return;
      case 'unary': {
        const numeric = this.integer(node);
        this.push(node.operand);
        out.op(node.operator === '-' ? DW_OP.DW_OP_neg : DW_OP.DW_OP_not);
        this.normalize(numeric);
        return;
      }
      case 'not':
        this.pushTruth(node.operand);
        out.op(DW_OP.DW_OP_lit0, DW_OP.DW_OP_eq);
        return;
      case 'arithmetic':
        this.#arithmetic(node);
        return;
      case 'shift':
        this.#shift(node);
        return;
      case 'compare':
        this.#compare(node);
        return;
      case 'logical': {
        const end = out.label();
        const decided = out.label();
        this.pushTruth(node.left);
        out.jump(DW_OP.DW_OP_bra, decided);
        if (node.operator === '&&') out.op(DW_OP.DW_OP_lit0);
        else this.pushTruth(node.right);
        out.jump(DW_OP.DW_OP_skip, end).bind(decided);
        if (node.operator === '&&') this.pushTruth(node.right);
        else out.op(DW_OP.DW_OP_lit1);
        out.bind(end);
        return;
      }
      case 'conditional': {
        this.integer(node);
        this.choose(
          node.condition,
          () => this.push(node.whenTrue),
          () => this.push(node.whenFalse),
        );
        return;
      }
      case 'offset': {
        this.push(node.pointer);
        const size = BigInt(node.size);
        if (node.index.kind === 'constant') {
          const distance = wholeOf(node.index.value) * size;
          out.plus(node.subtract ? -distance : distance);
          return;
        }
        this.push(node.index);
        if (size !== 1n) out.constant(size).op(DW_OP.DW_OP_mul);
        out.op(node.subtract ? DW_OP.DW_OP_minus : DW_OP.DW_OP_plus);
        return;
      }
      case 'difference':
        this.push(node.left);
        this.push(node.right);
        out.op(DW_OP.DW_OP_minus);
        if (node.size !== 1) out.constant(BigInt(node.size)).op(DW_OP.DW_OP_div);
        return;
      case 'text':
        this.#text(node);
        return;
      case 'texts':
        return this.refuse(
          node,
          'two strings of the target cannot be compared in the kernel; only one with a literal can',
        );
      case 'guarded':
        this.pushGuard(node);
        this.push(node.operand);
        return;
      case 'let':
        this.bind(node, () => this.push(node.body));
        return;
      case 'bound':
        this.pushBound(node);
        return;
      case 'view-element':
      case 'view-lookup':
      case 'dynamic':
        if (this.#cells === undefined) return this.refuseWalk(node);
        load(this, node, this.integer(node));
        return;
      case 'view-count':
        return this.refuseWalk(node);
      case 'string':
      case 'function':
      case 'parts':
      case 'slice':
      case 'view-page':
        this.integer(node);
    }
  }

  /** Where objects are on the stack whose addresses were pushed once. */
  readonly #bound = new Map<BoundNode, number>();

  /** Runs what leaves one value, with the address of the object below it. An object that is in no memory is read where it is. */
  bind<T>({ bound }: LetNode, body: () => T): T {
    const { out } = this;
    if (this.#cells !== undefined || !this.#isInMemory(bound.object)) return body();
    this.pushAddress(bound.object);
    this.#bound.set(bound, out.depth);
    const result = body();
    this.#bound.delete(bound);
    out.op(DW_OP.DW_OP_swap, DW_OP.DW_OP_drop);
    return result;
  }

  #isInMemory(object: Typed): boolean {
    const attempt = new Lowerer(this.context, { bound: this.#bound });
    attempt.out.depth = this.out.depth;
    return locate(attempt, object);
  }

  /** False where the object was not bound, for it is in no memory. */
  isBound(node: BoundNode): boolean {
    return this.#bound.has(node) || this.#cells?.bound(node) !== undefined;
  }

  pushBound(node: BoundNode): void {
    const slot = this.#bound.get(node);
    const cell = slot === undefined ? this.#cells?.bound(node) : undefined;
    if (cell !== undefined) this.#pushCell(cell);
    else if (slot === undefined) {
      this.pushAddress(node.object);
    } else this.out.op(DW_OP.DW_OP_pick, this.out.depth - slot);
  }

  /** Leaves nothing, and faults where the condition does not hold: 1 divided by 0. */
  pushGuard(node: GuardedNode): void {
    if (this.#cells !== undefined) {
      // It says why there is nothing.
      this.#pushCell(this.#cells.guard(node));
      this.out.op(DW_OP.DW_OP_drop);
      return;
    }
    this.out.op(DW_OP.DW_OP_lit1);
    this.pushTruth(node.condition);
    this.out.op(DW_OP.DW_OP_div, DW_OP.DW_OP_drop);
  }

  /** The address of what only a walk finds. */
  pushWalked(node: WalkedNode): void {
    const cell = this.#cells?.address(node);
    if (cell === undefined) this.refuseWalk(node);
    this.#pushCell(cell);
  }

  /** What only a walk finds, or only the process knows. */
  refuseWalk(node: Typed): never {
    const { start, end } = node.span;
    throw new Refusal({
      unsupported:
        node.kind === 'dynamic'
          ? `what type ${node.object.path} holds is not known in the kernel`
          : `${node.path} needs a walk from node to node, which cannot run in the kernel`,
      position: start,
      length: end - start,
      hint: 'decide on what objects say themselves, such as size() or whether there is one, and ask the snapshot the rest',
    });
  }

  pushAddress(node: Typed): void {
    if (!locate(this, node)) this.refuse(node, `${node.path} is not in memory here: it has no address`);
  }

  /** The bits of a float object as they lie in memory, zero-extended. */
  pushFloatBits(node: Typed, size: number): void {
    load(this, node, { kind: 'integer', size, signed: false, boolean: false });
  }

  /** Brings the top of the stack into the range of a type. */
  normalize(numeric: { readonly size: number; readonly signed: boolean }): void {
    const { out } = this;
    const excess = BigInt(64 - numeric.size * 8);
    if (excess === 0n) return;
    if (numeric.signed) {
      out.constant(excess).op(DW_OP.DW_OP_shl).constant(excess).op(DW_OP.DW_OP_shra);
    } else out.constant((1n << BigInt(numeric.size * 8)) - 1n).op(DW_OP.DW_OP_and);
  }

  /** One of two ways, each of which pushes one value. */
  choose(condition: Typed, then: () => void, otherwise: () => void): void {
    const { out } = this;
    const [yes, end] = [out.label(), out.label()];
    this.pushTruth(condition);
    out.jump(DW_OP.DW_OP_bra, yes);
    otherwise();
    out.jump(DW_OP.DW_OP_skip, end).bind(yes);
    then();
    out.bind(end);
  }

  #convert(node: ConvertNode): void {
    const to = this.integer(node);
    if (to.boolean) {
      this.pushTruth(node.operand);
      return;
    }
    const from = this.integer(node.operand);
    this.push(node.operand);
    const widens = from.size < to.size && (!from.signed || to.signed);
    const same = from.size === to.size && from.signed === to.signed;
    if (to.size < 8 && !widens && !same) this.normalize(to);
  }

  #arithmetic(node: Typed & { readonly kind: 'arithmetic' }): void {
    const { out } = this;
    const numeric = this.integer(node);
    this.push(node.left);
    this.push(node.right);
    switch (node.operator) {
      case '+':
        out.op(DW_OP.DW_OP_plus);
        break;
      case '-':
        out.op(DW_OP.DW_OP_minus);
        break;
      case '*':
        out.op(DW_OP.DW_OP_mul);
        break;
      case '&':
        out.op(DW_OP.DW_OP_and);
        return;
      case '|':
        out.op(DW_OP.DW_OP_or);
        return;
      case '^':
        out.op(DW_OP.DW_OP_xor);
        return;
      case '/':
        if (!numeric.signed && numeric.size === 8) {
          emitUnsignedDivision(out);
          return;
        }
        out.op(DW_OP.DW_OP_div);
        // The smallest number divided by -1 wraps.
        if (!numeric.signed) return;
        break;
      case '%':
        if (numeric.signed) emitRemainder(out);
        else out.op(DW_OP.DW_OP_mod);
        return;
    }
    this.normalize(numeric);
  }

  #shift(node: ShiftNode): void {
    const { out } = this;
    const numeric = this.integer(node);
    const width = BigInt(numeric.size * 8);
    const code =
      node.operator === '<<' ? DW_OP.DW_OP_shl : numeric.signed ? DW_OP.DW_OP_shra : DW_OP.DW_OP_shr;
    if (node.right.kind === 'constant') {
      const count = wholeOf(node.right.value);
      if (count < 0n || count >= width) {
        this.refuse(node, `a shift of a ${width}-bit value by ${count} is undefined`);
      }
      this.push(node.left);
      out.constant(count).op(code);
    } else {
      this.integer(node.right);
      this.push(node.left);
      this.push(node.right);
      this.#faultUnlessBelow(width);
      out.op(code);
    }
    if (node.operator === '<<') this.normalize(numeric);
  }

  /** Leaves the top of the stack as it is when it is in 0..limit-1, and divides by zero otherwise. */
  #faultUnlessBelow(limit: bigint): void {
    const { out } = this;
    // count / ((count & ~(limit-1)) == 0), as limit is a power of two: count / 1, or a fault.
    out
      .op(DW_OP.DW_OP_dup)
      .constant(-limit)
      .op(DW_OP.DW_OP_and, DW_OP.DW_OP_lit0, DW_OP.DW_OP_eq, DW_OP.DW_OP_div);
  }

  #compare(node: CompareNode): void {
    if (numericOf(node.left.type)?.kind === 'float') {
      lowerFloatComparison(this, node);
      return;
    }
    const numeric = this.integer(node.left);
    this.push(node.left);
    this.push(node.right);
    emitComparison(this.out, node.operator, !numeric.signed && numeric.size === 8);
  }

  #text(node: TextNode): void {
    const { subject, operator, literal, length } = node;
    if (operator === 'contains' || operator === 'matches') {
      return this.refuse(
        node,
        `"${operator}" cannot run in the kernel; it needs a loop over the whole string`,
      );
    }
    if (length !== undefined) {
      const { unitBytes } = node;
      this.push(length);
      const pushSubject = (): void => this.push(subject);
      const unlowered = emitCountedComparison(this.out, operator, { literal, unitBytes, pushSubject });
      if (unlowered !== undefined) this.refuse(node, unlowered);
      return;
    }
    const type = stripType(subject.type);
    let capacity: number | undefined;
    if (type.kind === 'array') {
      capacity = type.count;
      if (capacity === undefined && subject.kind === 'slice') {
        this.refuse(node, 'a string of a length that is not constant cannot be compared in the kernel');
      }
      this.pushAddress(subject);
    } else this.push(subject);
    const failure = emitTextComparison(this.out, operator, literal, capacity);
    if (failure !== undefined) this.refuse(node, failure);
  }
}

/** Whether a node's value is 0 or 1 by itself. */
function isTruth(node: Typed): boolean {
  const { kind } = node;
  return kind === 'compare' || kind === 'logical' || kind === 'not' || kind === 'text';
}
