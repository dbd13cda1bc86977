/**
 * A condition as steps that a list of calls can go through while the thread stands still (condition-records.ts): loads, sums, masks, comparisons, jumps forward: comparisons
 * of numbers and pointers, and what joins them; products with small constants. What is not (other products, shifts, floats) is undefined, and decided by the evaluator, as is every hit where
 * something cannot be read. Pure.
 */
import type { Operation } from '../../../format/dwarf-op/decode.js';
import { DW_OP, constantOperations } from '../../../format/dwarf-op/opcodes.js';
import { dwarfRegisterOffset, dwarfRip } from '../../../format/registers/x86-64.js';

/** Slots are entries of the expression's stack, the lowest 0. */
export type ConditionStep = {
  /** Of the operation, for jumps. */
  readonly index: number;
} & (
  | { readonly kind: 'constant'; readonly to: number; readonly value: bigint; readonly isLinked: boolean }
  | { readonly kind: 'register'; readonly to: number; readonly offset: number; readonly add: bigint }
  | { readonly kind: 'object'; readonly to: number }
  | { readonly kind: 'copy'; readonly to: number; readonly from: number }
  | { readonly kind: 'swap'; readonly one: number; readonly other: number }
  | { readonly kind: 'add'; readonly at: number; readonly value: bigint }
  | { readonly kind: 'mask'; readonly at: number; readonly value: bigint }
  | { readonly kind: 'extend'; readonly at: number; readonly bits: number }
  /** Of a 1 the value; a 0 stays one. */
  | { readonly kind: 'choose'; readonly at: number; readonly value: bigint }
  | { readonly kind: 'plus' | 'minus'; readonly at: number; readonly by: number }
  | { readonly kind: 'read'; readonly at: number; readonly width: number }
  | { readonly kind: 'compare'; readonly at: number; readonly with: number; readonly holds: Holds }
  | { readonly kind: 'branch'; readonly on: number; readonly target: number }
  | { readonly kind: 'jump'; readonly target: number }
);

/** Of signed numbers of 64 bits. */
export interface Holds {
  readonly less: boolean;
  readonly equal: boolean;
  readonly greater: boolean;
}

export interface ConditionSteps {
  readonly steps: readonly ConditionStep[];
  /** The slot of the result, true when not 0. */
  readonly result: number;
  readonly slots: number;
}

const maxOperations = 64;
const maxSlots = 16;
/** Products take a step for each bit. */
const maxFactor = 1n << 16n;
const signBit = 1n << 63n;

const comparisons: ReadonlyMap<number, Holds> = new Map([
  [DW_OP.DW_OP_eq, { less: false, equal: true, greater: false }],
  [DW_OP.DW_OP_ne, { less: true, equal: false, greater: true }],
  [DW_OP.DW_OP_lt, { less: true, equal: false, greater: false }],
  [DW_OP.DW_OP_le, { less: true, equal: true, greater: false }],
  [DW_OP.DW_OP_gt, { less: false, equal: false, greater: true }],
  [DW_OP.DW_OP_ge, { less: false, equal: true, greater: true }],
]);

/** `hasObject`: of an expression that may ask for the address of the parent range. */
export function planCondition(
  operations: readonly Operation[],
  hasObject = false,
): ConditionSteps | undefined {
  if (operations.length > maxOperations) return undefined;
  return new Planner(operations, hasObject).plan();
}

class Planner {
  readonly #operations: readonly Operation[];
  readonly #hasObject: boolean;
  readonly #targets: ReadonlySet<number>;
  readonly #steps: ConditionStep[] = [];
  /** Entries on the stack where jumps lead to. */
  readonly #depths = new Map<number, number>();
  #depth = 0;
  #most = 0;

  constructor(operations: readonly Operation[], hasObject: boolean) {
    this.#operations = operations;
    this.#hasObject = hasObject;
    const jumps = operations.filter(({ code }) => code === DW_OP.DW_OP_bra || code === DW_OP.DW_OP_skip);
    this.#targets = new Set(jumps.map(({ target }) => target));
  }

  plan(): ConditionSteps | undefined {
    const end = this.#operations.length;
    let isReached = true;
    for (let index = 0; index < end;) {
      const known = this.#depths.get(index);
      if (isReached ? known !== undefined && known !== this.#depth : known === undefined) {
        if (isReached) return undefined;
        index++;
        continue;
      }
      this.#depth = known ?? this.#depth;
      const taken = this.#take(index);
      if (taken === 0 || this.#depth > maxSlots) return undefined;
      this.#most = Math.max(this.#most, this.#depth);
      isReached = this.#operations[index]?.code !== DW_OP.DW_OP_skip;
      index += taken;
    }
    const known = this.#depths.get(end);
    const depth = known ?? this.#depth;
    if ((isReached && depth !== this.#depth) || (!isReached && known === undefined) || depth === 0) {
      return undefined;
    }
    // One more, for sums.
    return { steps: this.#steps, result: depth - 1, slots: this.#most + 1 };
  }

  /** Plans what begins at an operation; gives how many there are, 0 for what cannot be planned. */
  #take(index: number): number {
    const operation = this.#operations[index];
    if (operation === undefined || !operation.known) return 0;
    const { code, a, target } = operation;
    const constant = constantOf(operation);
    if (constant !== undefined) {
      const fused = this.#fuse(index, constant);
      if (fused > 0) return fused;
      this.#push({ index, kind: 'constant', value: constant, isLinked: code === DW_OP.DW_OP_addr });
      return 1;
    }
    const register = registerOf(operation);
    if (register !== undefined) {
      const offset = register.number === dwarfRip ? undefined : dwarfRegisterOffset(register.number);
      if (offset === undefined) return 0;
      this.#push({ index, kind: 'register', offset, add: register.add });
      return 1;
    }
    if (code === DW_OP.DW_OP_push_object_address && this.#hasObject) {
      this.#push({ index, kind: 'object' });
      return 1;
    }
    if (code === DW_OP.DW_OP_bra || code === DW_OP.DW_OP_skip) return this.#jump(index, code, target);
    const holds = comparisons.get(code);
    if (holds !== undefined) {
      return this.#pair((at, by) => ({ index, kind: 'compare', at, with: by, holds }));
    }
    return this.#onStack(index, code, a);
  }

  #onStack(index: number, code: number, a: bigint): number {
    const top = this.#depth - 1;
    switch (code) {
      case DW_OP.DW_OP_nop:
        return 1;
      case DW_OP.DW_OP_stack_value:
        return index === this.#operations.length - 1 ? 1 : 0;
      case DW_OP.DW_OP_plus_uconst:
        return this.#change({ index, kind: 'add', at: top, value: a });
      case DW_OP.DW_OP_plus:
        return this.#pair((at, by) => ({ index, kind: 'plus', at, by }));
      case DW_OP.DW_OP_minus:
        return this.#pair((at, by) => ({ index, kind: 'minus', at, by }));
      case DW_OP.DW_OP_deref:
        return this.#change({ index, kind: 'read', at: top, width: 8 });
      case DW_OP.DW_OP_deref_size:
        return [1n, 2n, 4n, 8n].includes(a)
          ? this.#change({ index, kind: 'read', at: top, width: Number(a) })
          : 0;
      case DW_OP.DW_OP_drop:
        this.#depth--;
        return top < 0 ? 0 : 1;
      case DW_OP.DW_OP_dup:
        return this.#copy(index, top);
      case DW_OP.DW_OP_over:
        return this.#copy(index, top - 1);
      case DW_OP.DW_OP_swap:
        return top < 1 ? 0 : this.#change({ index, kind: 'swap', one: top, other: top - 1 });
      default:
        return 0;
    }
  }

  #copy(index: number, from: number): number {
    if (from < 0) return 0;
    this.#push({ index, kind: 'copy', from });
    return 1;
  }

  #change(step: ConditionStep): number {
    if (this.#depth < 1) return 0;
    this.#steps.push(step);
    return 1;
  }

  #push(
    step:
      | { index: number; kind: 'constant'; value: bigint; isLinked: boolean }
      | { index: number; kind: 'register'; offset: number; add: bigint }
      | { index: number; kind: 'object' }
      | { index: number; kind: 'copy'; from: number },
  ): void {
    this.#steps.push({ ...step, to: this.#depth });
    this.#depth++;
  }

  /** Two entries become one. */
  #pair(step: (at: number, by: number) => ConditionStep): number {
    if (this.#depth < 2) return 0;
    this.#depth--;
    this.#steps.push(step(this.#depth - 1, this.#depth));
    return 1;
  }

  #jump(index: number, code: number, target: number): number {
    if (target <= index) return 0;
    if (code === DW_OP.DW_OP_bra) this.#depth--;
    if (this.#depth < 0) return 0;
    const known = this.#depths.get(target);
    if (known !== undefined && known !== this.#depth) return 0;
    this.#depths.set(target, this.#depth);
    this.#steps.push(
      code === DW_OP.DW_OP_bra
        ? { index, kind: 'branch', on: this.#depth, target }
        : { index, kind: 'jump', target },
    );
    return 1;
  }

  /** A constant and the one operation that it is for, or four that extend a sign. */
  #fuse(index: number, value: bigint): number {
    const at = this.#depth - 1;
    const next = this.#operations[index + 1];
    if (next === undefined || at < 0 || this.#targets.has(index + 1)) return 0;
    if (this.#operations[index]?.code === DW_OP.DW_OP_addr) return 0;
    if (next.code === DW_OP.DW_OP_mul) return this.#scale(index, at, value) ? 2 : 0;
    if (next.code === DW_OP.DW_OP_and) return this.#change({ index, kind: 'mask', at, value }) * 2;
    // To flip the highest bit is to add it.
    if (next.code === DW_OP.DW_OP_xor && BigInt.asUintN(64, value) === signBit) {
      return this.#change({ index, kind: 'add', at, value }) * 2;
    }
    if (next.code !== DW_OP.DW_OP_shl || value < 1n || value > 63n) return 0;
    const [again, back] = this.#operations.slice(index + 2, index + 4);
    if (again === undefined || back?.code !== DW_OP.DW_OP_shra || constantOf(again) !== value) return 0;
    if (this.#targets.has(index + 2) || this.#targets.has(index + 3)) return 0;
    return this.#change({ index, kind: 'extend', at, bits: 64 - Number(value) }) * 4;
  }

  /** A product with a constant, by sums. */
  #scale(index: number, at: number, factor: bigint): boolean {
    const last = this.#steps.at(-1);
    // What comes right from a comparison is 0 or 1.
    const isFlag = last?.kind === 'compare' && last.index === index - 1 && !this.#targets.has(index);
    if (isFlag) return this.#change({ index, kind: 'choose', at, value: factor }) > 0;
    if (factor < 1n || factor > maxFactor) return false;
    const once = this.#depth;
    this.#steps.push({ index, kind: 'copy', to: once, from: at });
    for (const bit of factor.toString(2).slice(1)) {
      this.#steps.push({ index, kind: 'plus', at, by: at });
      if (bit === '1') this.#steps.push({ index, kind: 'plus', at, by: once });
    }
    return true;
  }
}

function constantOf({ code, a }: Operation): bigint | undefined {
  if (code >= DW_OP.DW_OP_lit0 && code <= DW_OP.DW_OP_lit31) return BigInt(code - DW_OP.DW_OP_lit0);
  return code === DW_OP.DW_OP_addr || constantOperations.has(code) ? a : undefined;
}

function registerOf({ code, a, b }: Operation): { number: number; add: bigint } | undefined {
  if (code >= DW_OP.DW_OP_breg0 && code <= DW_OP.DW_OP_breg31) {
    return { number: code - DW_OP.DW_OP_breg0, add: a };
  }
  return code === DW_OP.DW_OP_bregx ? { number: Number(a), add: b } : undefined;
}
