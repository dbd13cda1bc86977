/**
 * One DWARF expression of a plan to eBPF. The depth of the DWARF stack is known at every operation, so the stack lives in fixed slots of
 * the eBPF stack, its top in r7. A fault (unreadable memory, division by zero) jumps out at once.
 *
 * Registers: r6 is the context (`struct pt_regs`), r9 the record (only where an object address can be pushed), r7 the top, r0..r5 and
 * r8 are free; `fp-8` is where reads land.
 */
import { ByteCursor } from '../../format/bytes.js';
import { StillframeError, badData } from '../../format/error.js';
import { dwarfRegisterOffset } from '../../format/registers/x86-64.js';
import type { Assembler, JumpOp, Label, Width } from './assembler.js';
import { bpfHelpers } from './helpers.js';

/** `fp-8`: reads land here; the DWARF stack begins below it. */
const scratch = -8;
/** 63 slots and r7: as deep as `maxExpressionStack` allows. */
const maxDepth = 64;
const slot = (index: number): number => scratch - 8 * (index + 1);

/** Offset of rip in `struct pt_regs`. */
const ripOffset = dwarfRegisterOffset(16) ?? 0;

export interface ExpressionContext {
  readonly assembler: Assembler;
  /** What the expression is of, for messages: `condition`, `length of "order->name"`. */
  readonly name: string;
  /** The site's link address: the load bias is `rip - linkAddress`. */
  readonly linkAddress: bigint;
  /** Sleepable programs read pages that are not resident; others cannot. */
  readonly sleepable: boolean;
  /** Where to go when memory is unreadable; r7 is then its address. */
  readonly readFault: Label;
  /** Where to go when something is divided by zero. */
  readonly divisionFault: Label;
  /** Offset in the record (r9) of the parent's address; undefined where there is no parent. */
  readonly objectAddressOffset?: number;
}

/** Emits code that leaves the expression's value in r7. */
export function compileExpression(bytes: Uint8Array, context: ExpressionContext): void {
  new ExpressionCompiler(bytes, context).compile();
}

/** Emits `r0 = copy(fp-8 or r1 already set ...)`: r1 the destination, r2 the size, r3 the user address. r0 is 0 when all was read. */
export function emitUserRead(assembler: Assembler, sleepable: boolean): void {
  assembler.call(sleepable ? bpfHelpers.bpf_copy_from_user : bpfHelpers.bpf_probe_read_user);
}

interface Target {
  readonly label: Label;
  readonly depth: number;
}

class ExpressionCompiler {
  readonly #cursor: ByteCursor;
  readonly #context: ExpressionContext;
  readonly #asm: Assembler;
  readonly #targets = new Map<number, Target>();
  #depth = 0;
  /** False after a `DW_OP_skip` until a jump's target; the kernel refuses code that cannot be reached. */
  #reachable = true;

  constructor(bytes: Uint8Array, context: ExpressionContext) {
    this.#cursor = new ByteCursor(bytes, context.name);
    this.#context = context;
    this.#asm = context.assembler;
  }

  compile(): void {
    while (!this.#cursor.atEnd) {
      this.#arrive();
      this.#operation(this.#cursor.u8());
    }
    this.#arrive();
    if (!this.#reachable || this.#depth !== 1)
      throw this.#bad(`${this.#depth} values are left on the stack, not 1`);
  }

  #bad(reason: string): StillframeError {
    return badData(`cannot compile ${this.#context.name}: ${reason}`);
  }

  /** Binds the label of a jump to here. */
  #arrive(): void {
    const target = this.#targets.get(this.#cursor.offset);
    if (target === undefined) return;
    if (this.#reachable && target.depth !== this.#depth)
      throw this.#bad(
        `the stack is ${target.depth} or ${this.#depth} deep at offset ${hexOf(this.#cursor.offset)}`,
      );
    this.#asm.bind(target.label);
    this.#depth = target.depth;
    this.#reachable = true;
  }

  #target(distance: number): Label {
    const at = this.#cursor.offset + distance;
    if (distance < 0) throw this.#bad(`a jump goes back to offset ${at}`);
    if (at > this.#cursor.end) throw this.#bad(`a jump goes past the end to offset ${hexOf(at)}`);
    const known = this.#targets.get(at);
    if (known !== undefined) {
      if (known.depth !== this.#depth)
        throw this.#bad(`the stack is ${known.depth} or ${this.#depth} deep at offset ${hexOf(at)}`);
      return known.label;
    }
    const label = this.#asm.label(hexOf(at));
    this.#targets.set(at, { label, depth: this.#depth });
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
    if (this.#depth > 0) this.#asm.storeMemory(8, 10, slot(this.#depth - 1), 7);
    this.#depth++;
  }

  /** Drops the top; the next value comes to r7. */
  #pop(): void {
    this.#depth--;
    if (this.#depth > 0) this.#asm.loadMemory(8, 7, 10, slot(this.#depth - 1));
  }

  #need(count: number): void {
    if (this.#depth < count)
      throw this.#bad(`an operation wants ${count} values at offset ${hexOf(this.#cursor.offset)}`);
  }

  #constant(value: bigint): void {
    this.#push();
    this.#asm.load(7, value);
  }

  #register(dwarfNumber: number, offset: bigint): void {
    const at = dwarfRegisterOffset(dwarfNumber);
    if (at === undefined) throw this.#bad(`register ${dwarfNumber} is not known at a probe`);
    this.#push();
    this.#asm.loadMemory(8, 7, 6, at);
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
    const width: Width = size === 1 || size === 2 || size === 4 ? size : 8;
    if (width !== size) asm.storeImm(8, 10, scratch, 0);
    asm.mov(1, 10).aluImm('add', 1, scratch).load(2, BigInt(size)).mov(3, 7);
    emitUserRead(asm, this.#context.sleepable);
    asm.jumpIfImm('ne', 0, 0, this.#context.readFault);
    asm.loadMemory(width, 7, 10, scratch);
  }

  /** r1 = the second value, r7 = the top, both popped and one pushed: the result must come to r7. */
  #binary(emit: (asm: Assembler) => void): void {
    this.#need(2);
    this.#asm.loadMemory(8, 1, 10, slot(this.#depth - 2));
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

  #pick(index: number): void {
    this.#need(index + 1);
    const from = this.#depth - 1 - index;
    this.#push();
    // The old top was stored by the push (and is still in r7 for index 0).
    if (index > 0) this.#asm.loadMemory(8, 7, 10, slot(from));
  }

  #rotate(): void {
    this.#need(3);
    const [third, second] = [slot(this.#depth - 3), slot(this.#depth - 2)];
    this.#asm
      .loadMemory(8, 1, 10, third)
      .loadMemory(8, 2, 10, second)
      .storeMemory(8, 10, third, 7)
      .storeMemory(8, 10, second, 1)
      .mov(7, 2);
  }

  #objectAddress(): void {
    const offset = this.#context.objectAddressOffset;
    if (offset === undefined) throw this.#bad('there is no parent object');
    this.#push();
    this.#asm.loadMemory(8, 7, 9, offset);
  }

  #operation(op: number): void {
    if (!this.#reachable) {
      throw this.#bad(`the operation at offset ${hexOf(this.#cursor.offset - 1)} can never be reached`);
    }
    const cursor = this.#cursor;
    const asm = this.#asm;
    if (op >= 0x30 && op <= 0x4f) return this.#constant(BigInt(op - 0x30));
    if (op >= 0x70 && op <= 0x8f) return this.#register(op - 0x70, cursor.sleb());
    const simple = (aluOp: Parameters<Assembler['alu']>[0]): void => {
      this.#binary((a) => a.alu(aluOp, 1, 7).mov(7, 1));
    };
    switch (op) {
      case 0x03: // DW_OP_addr
        this.#push();
        asm.loadMemory(8, 7, 6, ripOffset);
        return this.#addConstant(cursor.u64() - this.#context.linkAddress);
      case 0x06:
        return this.#dereference(8);
      case 0x94: // DW_OP_deref_size
        return this.#dereference(cursor.u8());
      case 0x08:
        return this.#constant(BigInt(cursor.u8()));
      case 0x09:
        return this.#constant(BigInt(cursor.i8()));
      case 0x0a:
        return this.#constant(BigInt(cursor.u16()));
      case 0x0b:
        return this.#constant(BigInt(cursor.i16()));
      case 0x0c:
        return this.#constant(BigInt(cursor.u32()));
      case 0x0d:
        return this.#constant(BigInt(cursor.i32()));
      case 0x0e:
        return this.#constant(cursor.u64());
      case 0x0f:
        return this.#constant(cursor.i64());
      case 0x10:
        return this.#constant(cursor.uleb());
      case 0x11:
        return this.#constant(cursor.sleb());
      case 0x12:
        return this.#pick(0);
      case 0x13:
        this.#need(1);
        return this.#pop();
      case 0x14:
        return this.#pick(1);
      case 0x15:
        return this.#pick(cursor.u8());
      case 0x16: // DW_OP_swap
        this.#need(2);
        asm
          .loadMemory(8, 1, 10, slot(this.#depth - 2))
          .storeMemory(8, 10, slot(this.#depth - 2), 7)
          .mov(7, 1);
        return;
      case 0x17:
        return this.#rotate();
      case 0x19: {
        // DW_OP_abs
        this.#need(1);
        const done = asm.label('abs');
        asm.jumpIfImm('sge', 7, 0, done).neg(7).bind(done);
        return;
      }
      case 0x1a:
        return simple('and');
      case 0x1b:
        return this.#divide();
      case 0x1c:
        return simple('sub');
      case 0x1d: // DW_OP_mod, unsigned
        return this.#binary((a) => {
          a.jumpIfImm('eq', 7, 0, this.#context.divisionFault).alu('mod', 1, 7).mov(7, 1);
        });
      case 0x1e:
        return simple('mul');
      case 0x1f:
        this.#need(1);
        asm.neg(7);
        return;
      case 0x20:
        this.#need(1);
        asm.aluImm('xor', 7, -1);
        return;
      case 0x21:
        return simple('or');
      case 0x22:
        return simple('add');
      case 0x23: // DW_OP_plus_uconst
        this.#need(1);
        return this.#addConstant(cursor.uleb());
      case 0x24:
        return this.#shift('lsh');
      case 0x25:
        return this.#shift('rsh');
      case 0x26:
        return this.#shift('arsh');
      case 0x27:
        return simple('xor');
      case 0x28: {
        // DW_OP_bra
        this.#need(1);
        const distance = cursor.i16();
        asm.mov(1, 7);
        this.#pop();
        asm.jumpIfImm('ne', 1, 0, this.#target(distance));
        return;
      }
      case 0x29:
        return this.#compare('eq');
      case 0x2a:
        return this.#compare('sge');
      case 0x2b:
        return this.#compare('sgt');
      case 0x2c:
        return this.#compare('sle');
      case 0x2d:
        return this.#compare('slt');
      case 0x2e:
        return this.#compare('ne');
      case 0x2f: {
        // DW_OP_skip
        asm.jump(this.#target(cursor.i16()));
        this.#reachable = false;
        return;
      }
      case 0x92:
        return this.#register(cursor.ulebNumber(), cursor.sleb());
      case 0x96:
        return;
      case 0x97:
        return this.#objectAddress();
      default:
        throw this.#bad(`operation 0x${op.toString(16)} has no meaning in a plan`);
    }
  }
}

function hexOf(value: number): string {
  return `0x${value.toString(16)}`;
}
