/**
 * One DWARF expression of a plan to eBPF. The depth of the DWARF stack is known at every operation, so the stack lives in fixed slots (of
 * the eBPF stack, and of what {@link ./frame.ts} is about), its top in r7. A fault (unreadable memory, division by zero) jumps out at once.
 *
 * Registers: r6 is the context (`struct pt_regs`), r9 the record (only where an object address can be pushed), r7 the top, r0..r5 and
 * r8 are free; `fp-8` is where reads land.
 */
import { hex } from '../../format/address.js';
import { decodeExpression, type Operation } from '../../format/dwarf-op/decode.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { StillframeError, badData } from '../../format/error.js';
import { durationRegister } from '../../format/plan/timing.js';
import { dwarfRegisterOffset } from '../../format/registers/x86-64.js';
import type { AluOp, Assembler, JumpOp, Label, Register, Width } from './assembler.js';
import { frameScratch as scratch, frameSlots, maxDepth } from './frame.js';
import { cookieSiteBits, loadCookie, type SiteAddress } from './site-cookie.js';
import { findLeadingRead, type LeadingRead } from './leading-read.js';
import { emitUserRead } from './user-read.js';

/** Offset of rip in `struct pt_regs`. */
const ripOffset = dwarfRegisterOffset(16) ?? 0;

export interface ExpressionContext {
  readonly assembler: Assembler;
  /** What the expression is of, for messages: `condition`, `length of "order->name"`. */
  readonly name: string;
  /** The site's link address: the load bias is `rip - linkAddress`. */
  readonly linkAddress: SiteAddress;
  /** The load bias where it is known: of a watch, whose hits can come from other modules. */
  readonly bias?: bigint | undefined;
  /** Sleepable programs read pages that are not resident; others cannot. */
  readonly sleepable: boolean;
  /** Where to go when memory is unreadable; r7 is then its address. */
  readonly readFault: Label;
  /** Where to go when something is divided by zero, or asks for a time that is not known. */
  readonly divisionFault: Label;
  /** Offset in the record (r9) of the parent's address; undefined where there is no parent. */
  readonly objectAddressOffset?: number;
  /** Offset from r9 of {@link spillBytes}; may be left out where there are none. */
  readonly spillOffset?: number;
  /** Where the time since the function was entered is, negative where it is not known: a register that stays, or an offset from r9. */
  readonly duration?: { readonly register: Register } | { readonly offset: number };
  /** What the first operations give, where it is known: they are not compiled. */
  readonly known?: KnownBeginning;
  /** What the expression reads first, where the record may hold it already. */
  readonly held?: (read: LeadingRead) => HeldRead | undefined;
}

export interface KnownBeginning {
  /** An expression by itself, with which this one begins. */
  readonly bytes: Uint8Array;
  /** Offset from r9 of its value. */
  readonly valueOffset: number;
}

/** Emits the loading of a held value into r7, or a jump to `missing` with r7 as it was. May use r1. */
export type HeldRead = (missing: Label) => void;

/** Emits code that leaves the expression's value in r7. */
export function compileExpression(bytes: Uint8Array, context: ExpressionContext): void {
  new ExpressionCompiler(bytes, context).compile();
}

interface Target {
  readonly label: Label;
  readonly depth: number;
}

const comparisons: ReadonlyMap<number, JumpOp> = new Map([
  [DW_OP.DW_OP_eq, 'eq'],
  [DW_OP.DW_OP_ne, 'ne'],
  [DW_OP.DW_OP_ge, 'sge'],
  [DW_OP.DW_OP_gt, 'sgt'],
  [DW_OP.DW_OP_le, 'sle'],
  [DW_OP.DW_OP_lt, 'slt'],
]);
const arithmetic: ReadonlyMap<number, AluOp> = new Map([
  [DW_OP.DW_OP_and, 'and'],
  [DW_OP.DW_OP_or, 'or'],
  [DW_OP.DW_OP_xor, 'xor'],
  [DW_OP.DW_OP_plus, 'add'],
  [DW_OP.DW_OP_minus, 'sub'],
  [DW_OP.DW_OP_mul, 'mul'],
]);
const shifts: ReadonlyMap<number, 'lsh' | 'rsh' | 'arsh'> = new Map([
  [DW_OP.DW_OP_shl, 'lsh'],
  [DW_OP.DW_OP_shr, 'rsh'],
  [DW_OP.DW_OP_shra, 'arsh'],
]);

class ExpressionCompiler {
  readonly #operations: readonly Operation[];
  readonly #context: ExpressionContext;
  readonly #asm: Assembler;
  readonly #leading: LeadingRead | undefined;
  /** By index of the operation that is jumped to. */
  readonly #targets = new Map<number, Target>();
  /** Index of the operation at hand. */
  #at = 0;
  #depth = 0;
  /** False after a `DW_OP_skip` until a jump's target; the kernel refuses code that cannot be reached, so none is made. */
  #reachable = true;

  constructor(bytes: Uint8Array, context: ExpressionContext) {
    this.#operations = decodeExpression(bytes, { addressSize: 8, name: context.name });
    this.#context = context;
    this.#asm = context.assembler;
    this.#leading = context.held === undefined ? undefined : findLeadingRead(this.#operations);
  }

  compile(): void {
    const { known } = this.#context;
    if (known !== undefined) {
      this.#push();
      this.#asm.loadMemory(8, 7, 9, known.valueOffset);
    }
    for (const [index, operation] of this.#operations.entries()) {
      if (known !== undefined && operation.offset < known.bytes.length) continue;
      this.#at = index;
      this.#arrive();
      if (this.#reachable) this.#operation(operation);
    }
    this.#at = this.#operations.length;
    this.#arrive();
    if (!this.#reachable || this.#depth !== 1)
      throw this.#bad(`${this.#depth} values are left on the stack, not 1`);
  }

  #bad(reason: string): StillframeError {
    const offset = this.#operations[this.#at]?.offset;
    const where = offset === undefined ? '' : ` at offset ${hex(offset)}`;
    return badData(`cannot compile ${this.#context.name}: ${reason}${where}`);
  }

  /** Binds the label of a jump to here. */
  #arrive(): void {
    const target = this.#targets.get(this.#at);
    if (target === undefined) return;
    if (this.#reachable) this.#sameDepth(target);
    this.#asm.bind(target.label);
    this.#depth = target.depth;
    this.#reachable = true;
  }

  #sameDepth(target: Target): void {
    if (target.depth !== this.#depth) throw this.#bad(`the stack is ${target.depth} or ${this.#depth} deep`);
  }

  #target(index: number): Label {
    if (index <= this.#at) throw this.#bad('a jump goes back');
    const known = this.#targets.get(index);
    if (known !== undefined) {
      this.#sameDepth(known);
      return known.label;
    }
    const label = this.#asm.label(`operation ${index}`);
    this.#targets.set(index, { label, depth: this.#depth });
    return label;
  }

  /** Makes room in r7. */
  #push(): void {
    if (this.#depth >= maxDepth) {
      throw new StillframeError(
        'limit',
        `cannot compile ${this.#context.name}: it keeps more than ${maxDepth} values on the stack`,
      );
    }
    if (this.#depth > 0) this.#storeSlot(this.#depth - 1, 7);
    this.#depth++;
  }

  #slot(index: number): { readonly base: 9 | 10; readonly offset: number } {
    if (index < frameSlots) return { base: 10, offset: scratch - 8 * (index + 1) };
    const { spillOffset, name } = this.#context;
    if (spillOffset === undefined)
      throw new StillframeError('internal', `${name} was given no room to spill to`);
    return { base: 9, offset: spillOffset + 8 * (index - frameSlots) };
  }

  #loadSlot(to: Register, index: number): void {
    const { base, offset } = this.#slot(index);
    this.#asm.loadMemory(8, to, base, offset);
  }

  #storeSlot(index: number, from: Register): void {
    const { base, offset } = this.#slot(index);
    this.#asm.storeMemory(8, base, offset, from);
  }

  /** Drops the top; the next value comes to r7. */
  #pop(): void {
    this.#depth--;
    if (this.#depth > 0) this.#loadSlot(7, this.#depth - 1);
  }

  #need(count: number): void {
    if (this.#depth < count) throw this.#bad(`${count} values are wanted on the stack`);
  }

  #constant(value: bigint): void {
    this.#push();
    this.#asm.load(7, value);
  }

  #register(dwarfNumber: number, offset: bigint): void {
    if (dwarfNumber === durationRegister) return this.#duration(offset);
    const at = dwarfRegisterOffset(dwarfNumber);
    if (at === undefined) throw this.#bad(`register ${dwarfNumber} is not known at a probe`);
    this.#push();
    this.#asm.loadMemory(8, 7, 6, at);
    this.#addConstant(offset);
  }

  #duration(offset: bigint): void {
    const { duration, divisionFault } = this.#context;
    if (duration === undefined) throw this.#bad('the plan has no timing');
    this.#push();
    if ('register' in duration) this.#asm.mov(7, duration.register);
    else this.#asm.loadMemory(8, 7, 9, duration.offset);
    this.#asm.jumpIfImm('slt', 7, 0, divisionFault);
    this.#addConstant(offset);
  }

  #addConstant(value: bigint): void {
    const signed = BigInt.asIntN(64, value);
    if (signed === 0n) return;
    if (signed >= -0x8000_0000n && signed <= 0x7fff_ffffn) {
      this.#asm.aluImm('add', 7, Number(signed));
      return;
    }
    this.#asm.load(1, signed);
    this.#asm.alu('add', 7, 1);
  }

  /** r7 = memory at r7, zero-extended. */
  #dereference(size: number): void {
    this.#need(1);
    if (size < 1 || size > 8) throw this.#bad(`a read of ${size} bytes`);
    const asm = this.#asm;
    const done = asm.label('value read');
    this.#loadHeld(done);
    const width: Width = size === 1 || size === 2 || size === 4 ? size : 8;
    if (width !== size) asm.storeImm(8, 10, scratch, 0);
    asm.mov(1, 10).aluImm('add', 1, scratch).load(2, BigInt(size)).mov(3, 7);
    emitUserRead(asm, this.#context.sleepable);
    asm.jumpIfImm('ne', 0, 0, this.#context.readFault);
    asm.loadMemory(width, 7, 10, scratch).bind(done);
  }

  /** Goes to `done` with the value, where it is the first that is read and the record holds it. */
  #loadHeld(done: Label): void {
    if (this.#leading?.at !== this.#at) return;
    const load = this.#context.held?.(this.#leading);
    if (load === undefined) return;
    const missing = this.#asm.label('value not held');
    load(missing);
    this.#asm.jump(done).bind(missing);
  }

  /** r1 = the second value, r7 = the top, both popped and one pushed: the result must come to r7. */
  #binary(emit: (asm: Assembler) => void): void {
    this.#need(2);
    this.#loadSlot(1, this.#depth - 2);
    emit(this.#asm);
    this.#depth--;
  }

  #compare(op: JumpOp): void {
    this.#binary((asm) => {
      const done = asm.label('compared');
      asm.mov(2, 7).load(7, 1n).jumpIf(op, 1, 2, done).load(7, 0n).bind(done);
    });
  }

  #shift(op: 'lsh' | 'rsh' | 'arsh'): void {
    this.#binary((asm) => {
      const inRange = asm.label('shift');
      asm.jumpIfImm('le', 7, 63, inRange);
      // The kernel masks the count; DWARF's generic type gives 0, or all sign bits.
      if (op === 'arsh') asm.load(7, 63n);
      else asm.load(7, 0n).load(1, 0n);
      asm.bind(inRange).alu(op, 1, 7).mov(7, 1);
    });
  }

  /** Signed division by hand: eBPF's own is newer than what we want to run on. -2^63 / -1 wraps. */
  #divide(): void {
    this.#binary((asm) => {
      const positive1 = asm.label('dividend');
      const positive2 = asm.label('divisor');
      const done = asm.label('quotient');
      asm.jumpIfImm('eq', 7, 0, this.#context.divisionFault);
      asm.mov(2, 1).alu('xor', 2, 7);
      asm.jumpIfImm('sge', 1, 0, positive1).neg(1).bind(positive1);
      asm.jumpIfImm('sge', 7, 0, positive2).neg(7).bind(positive2);
      asm.alu('div', 1, 7).mov(7, 1);
      asm.jumpIfImm('sge', 2, 0, done).neg(7).bind(done);
    });
  }

  /** Unsigned (DWARF5 2.5.1.4 leaves it open; plan.ts does not). */
  #modulo(): void {
    this.#binary((asm) => {
      asm.jumpIfImm('eq', 7, 0, this.#context.divisionFault).alu('mod', 1, 7).mov(7, 1);
    });
  }

  #absolute(): void {
    const done = this.#asm.label('absolute');
    this.#asm.jumpIfImm('sge', 7, 0, done).neg(7).bind(done);
  }

  #pick(index: number): void {
    this.#need(index + 1);
    const from = this.#depth - 1 - index;
    this.#push();
    // The old top was stored by the push (and is still in r7 for index 0).
    if (index > 0) this.#loadSlot(7, from);
  }

  #swap(): void {
    this.#loadSlot(1, this.#depth - 2);
    this.#storeSlot(this.#depth - 2, 7);
    this.#asm.mov(7, 1);
  }

  #rotate(): void {
    const [third, second] = [this.#depth - 3, this.#depth - 2];
    this.#loadSlot(1, third);
    this.#loadSlot(2, second);
    this.#storeSlot(third, 7);
    this.#storeSlot(second, 1);
    this.#asm.mov(7, 2);
  }

  #objectAddress(): void {
    const offset = this.#context.objectAddressOffset;
    if (offset === undefined) throw this.#bad('there is no parent object');
    this.#push();
    this.#asm.loadMemory(8, 7, 9, offset);
  }

  #linkAddress(address: bigint): void {
    const { linkAddress, bias } = this.#context;
    this.#push();
    if (bias === undefined && linkAddress === 'cookie') {
      loadCookie(this.#asm);
      // The upper bits are the site's number.
      this.#asm.aluImm('lsh', 0, cookieSiteBits).aluImm('rsh', 0, cookieSiteBits);
      this.#asm.loadMemory(8, 7, 6, ripOffset).alu('sub', 7, 0);
      this.#addConstant(address);
    } else if (bias === undefined && linkAddress !== 'cookie') {
      this.#asm.loadMemory(8, 7, 6, ripOffset);
      this.#addConstant(address - linkAddress);
    } else {
      this.#asm.load(7, BigInt.asUintN(64, address + (bias ?? 0n)));
    }
  }

  #branch(target: number): void {
    this.#need(1);
    this.#asm.mov(1, 7);
    this.#pop();
    this.#asm.jumpIfImm('ne', 1, 0, this.#target(target));
  }

  #operation(operation: Operation): void {
    const { code, a, b } = operation;
    const comparison = comparisons.get(code);
    if (comparison !== undefined) return this.#compare(comparison);
    const shift = shifts.get(code);
    if (shift !== undefined) return this.#shift(shift);
    const op = arithmetic.get(code);
    if (op !== undefined) return this.#binary((asm) => asm.alu(op, 1, 7).mov(7, 1));
    if (code >= DW_OP.DW_OP_lit0 && code <= DW_OP.DW_OP_lit31)
      return this.#constant(BigInt(code - DW_OP.DW_OP_lit0));
    if (code >= DW_OP.DW_OP_breg0 && code <= DW_OP.DW_OP_breg31)
      return this.#register(code - DW_OP.DW_OP_breg0, a);
    if (code >= DW_OP.DW_OP_const1u && code <= DW_OP.DW_OP_consts) return this.#constant(a);
    return this.#other(operation, a, b);
  }

  #other(operation: Operation, a: bigint, b: bigint): void {
    switch (operation.code) {
      case DW_OP.DW_OP_addr:
        return this.#linkAddress(a);
      case DW_OP.DW_OP_bregx:
        return this.#register(Number(a), b);
      case DW_OP.DW_OP_push_object_address:
        return this.#objectAddress();
      case DW_OP.DW_OP_deref:
        return this.#dereference(8);
      case DW_OP.DW_OP_deref_size:
        return this.#dereference(Number(a));
      case DW_OP.DW_OP_dup:
        return this.#pick(0);
      case DW_OP.DW_OP_over:
        return this.#pick(1);
      case DW_OP.DW_OP_pick:
        return this.#pick(Number(a));
      case DW_OP.DW_OP_drop:
        this.#need(1);
        return this.#pop();
      case DW_OP.DW_OP_swap:
        this.#need(2);
        return this.#swap();
      case DW_OP.DW_OP_rot:
        this.#need(3);
        return this.#rotate();
      case DW_OP.DW_OP_abs:
        this.#need(1);
        return this.#absolute();
      case DW_OP.DW_OP_neg:
        this.#need(1);
        this.#asm.neg(7);
        return;
      case DW_OP.DW_OP_not:
        this.#need(1);
        this.#asm.aluImm('xor', 7, -1);
        return;
      case DW_OP.DW_OP_plus_uconst:
        this.#need(1);
        return this.#addConstant(a);
      case DW_OP.DW_OP_div:
        return this.#divide();
      case DW_OP.DW_OP_mod:
        return this.#modulo();
      case DW_OP.DW_OP_bra:
        return this.#branch(operation.target);
      case DW_OP.DW_OP_skip:
        this.#asm.jump(this.#target(operation.target));
        this.#reachable = false;
        return;
      case DW_OP.DW_OP_nop:
        return;
      default:
        throw this.#bad(`operation ${hex(operation.code)} has no meaning in a plan`);
    }
  }
}
