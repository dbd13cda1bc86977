/**
 * An assembler for eBPF: instructions, labels, and a source map that says which part of a plan each instruction serves. Pure: bytes out,
 * nothing loaded. Jumps are checked to fit their 16 bits. The instruction set is that of RFC 9669; maps are
 * referred to by file descriptor (`BPF_PSEUDO_MAP_FD`, `BPF_PSEUDO_MAP_VALUE`), kernel functions by BTF id.
 */
import { StillframeError } from '../../format/error.js';

/** r0 is the result, r1..r5 arguments (lost in a call), r6..r9 kept, r10 the frame pointer (read only). */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** Access sizes in bytes. */
export type Width = 1 | 2 | 4 | 8;

export const aluOps = {
  add: 0x00,
  sub: 0x10,
  mul: 0x20,
  /** Unsigned; division by zero gives 0. */
  div: 0x30,
  or: 0x40,
  and: 0x50,
  lsh: 0x60,
  rsh: 0x70,
  neg: 0x80,
  mod: 0x90,
  xor: 0xa0,
  mov: 0xb0,
  arsh: 0xc0,
} as const;
export type AluOp = keyof typeof aluOps;

export const jumpOps = {
  eq: 0x10,
  gt: 0x20,
  ge: 0x30,
  set: 0x40,
  ne: 0x50,
  sgt: 0x60,
  sge: 0x70,
  lt: 0xa0,
  le: 0xb0,
  slt: 0xc0,
  sle: 0xd0,
} as const;
export type JumpOp = keyof typeof jumpOps;

/** The `imm` of an atomic instruction. */
export const atomicOps = {
  add: 0x00,
  or: 0x40,
  and: 0x50,
  xor: 0xa0,
  fetchAdd: 0x01,
  xchg: 0xe1,
  /** Compares with r0, leaves the old value in r0. */
  cmpxchg: 0xf1,
} as const;
export type AtomicOp = keyof typeof atomicOps;

const BPF_LD = 0x00;
const BPF_LDX = 0x01;
const BPF_ST = 0x02;
const BPF_STX = 0x03;
const BPF_ALU = 0x04;
const BPF_JMP = 0x05;
const BPF_ALU64 = 0x07;
const BPF_K = 0x00;
const BPF_X = 0x08;
const BPF_IMM = 0x00;
const BPF_MEM = 0x60;
const BPF_ATOMIC = 0xc0;
const BPF_DW = 0x18;
const BPF_JA = 0x00;
const BPF_CALL = 0x80;
const BPF_EXIT = 0x90;
const widthBits: Readonly<Record<Width, number>> = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 };

/** `src_reg` of a 64-bit immediate load, and of a call. */
export const pseudo = { mapFd: 1, mapValue: 2, kernelFunctionCall: 2, function: 4 } as const;

/** A place to jump to; bound once by {@link Assembler.bind}. */
export interface Label {
  readonly name: string;
  /** Index of the instruction it stands before; undefined until bound. */
  at: number | undefined;
  /** How many jumps lead to it: the kernel refuses code that nothing leads to. */
  jumps: number;
}

export interface AssembledProgram {
  /** Eight bytes an instruction (sixteen for a 64-bit immediate). */
  readonly bytes: Uint8Array;
  readonly instructions: number;
  /** For each instruction, what it serves: `condition`, `order->customer`; never empty of entries. */
  readonly sourceMap: readonly string[];
  /** Indices of the first instructions of functions that helpers call, see {@link Assembler.function}. */
  readonly functions: readonly number[];
}

interface Jump {
  readonly at: number;
  readonly label: Label;
}

const maxInstructions = 1_000_000;

export class Assembler {
  #view = new DataView(new ArrayBuffer(4096));
  #count = 0;
  readonly #jumps: Jump[] = [];
  /** Loads of the addresses of functions. */
  readonly #references: Jump[] = [];
  readonly #functions: number[] = [];
  readonly #sourceMap: string[] = [];
  #section = '';

  /** Instructions so far. */
  get length(): number {
    return this.#count;
  }

  /** All instructions from here on serve `section`. */
  section(section: string): this {
    this.#section = section;
    return this;
  }

  label(name: string): Label {
    return { name, at: undefined, jumps: 0 };
  }

  bind(label: Label): this {
    if (label.at !== undefined) throw new StillframeError('internal', `label "${label.name}" is bound twice`);
    label.at = this.#count;
    return this;
  }

  #emit(opcode: number, dst: number, src: number, offset: number, imm: number): this {
    if (offset < -0x8000 || offset > 0x7fff || !Number.isInteger(offset)) {
      throw new StillframeError('internal', `offset ${offset} of an eBPF instruction does not fit 16 bits`);
    }
    if (imm < -0x8000_0000 || imm > 0xffff_ffff || !Number.isInteger(imm)) {
      throw new StillframeError('internal', `immediate ${imm} of an eBPF instruction does not fit 32 bits`);
    }
    if (this.#count >= maxInstructions) {
      throw new StillframeError('limit', `the program has more than ${maxInstructions} eBPF instructions`, {
        hint: 'ask for fewer captures',
      });
    }
    const at = this.#count * 8;
    if (at + 8 > this.#view.byteLength) {
      const grown = new Uint8Array(this.#view.byteLength * 2);
      grown.set(new Uint8Array(this.#view.buffer));
      this.#view = new DataView(grown.buffer);
    }
    this.#view.setUint8(at, opcode);
    this.#view.setUint8(at + 1, (src << 4) | dst);
    this.#view.setInt16(at + 2, offset, true);
    this.#view.setInt32(at + 4, imm | 0, true);
    this.#sourceMap.push(this.#section);
    this.#count++;
    return this;
  }

  /** 64-bit arithmetic with a register. */
  alu(op: AluOp, dst: Register, src: Register): this {
    return this.#emit(BPF_ALU64 | aluOps[op] | BPF_X, dst, src, 0, 0);
  }

  /** 64-bit arithmetic with a sign-extended 32-bit immediate. */
  aluImm(op: AluOp, dst: Register, imm: number): this {
    checkSigned(imm);
    return this.#emit(BPF_ALU64 | aluOps[op] | BPF_K, dst, 0, 0, imm);
  }

  /** 32-bit arithmetic; the upper half of `dst` becomes zero. */
  alu32(op: AluOp, dst: Register, src: Register): this {
    return this.#emit(BPF_ALU | aluOps[op] | BPF_X, dst, src, 0, 0);
  }

  neg(dst: Register): this {
    return this.#emit(BPF_ALU64 | aluOps.neg, dst, 0, 0, 0);
  }

  mov(dst: Register, src: Register): this {
    return this.alu('mov', dst, src);
  }

  /** Any 64-bit constant, in one instruction where it fits. */
  load(dst: Register, value: bigint): this {
    const signed = BigInt.asIntN(64, value);
    if (signed >= -0x8000_0000n && signed <= 0x7fff_ffffn) return this.aluImm('mov', dst, Number(signed));
    return this.#wide(dst, 0, Number(signed & 0xffff_ffffn), Number((signed >> 32n) & 0xffff_ffffn));
  }

  /** The address of a map. */
  loadMap(dst: Register, fd: number): this {
    return this.#wide(dst, pseudo.mapFd, fd, 0);
  }

  /** The address of a byte in the only value of an array map: no lookup at run time. */
  loadMapValue(dst: Register, fd: number, offset: number): this {
    return this.#wide(dst, pseudo.mapValue, fd, offset);
  }

  /** The address of a function of this program, for helpers that call it. */
  loadFunction(dst: Register, label: Label): this {
    label.jumps++;
    this.#references.push({ at: this.#count, label });
    return this.#wide(dst, pseudo.function, 0, 0);
  }

  /** Begins a function: what stands before must not run into it. It ends with an exit. */
  function(label: Label): this {
    this.#functions.push(this.#count);
    return this.bind(label);
  }

  #wide(dst: Register, src: number, low: number, high: number): this {
    this.#emit(BPF_LD | BPF_DW | BPF_IMM, dst, src, 0, low);
    return this.#emit(0, 0, 0, 0, high);
  }

  /** dst = *(width *)(src + offset), zero-extended. */
  loadMemory(width: Width, dst: Register, src: Register, offset: number): this {
    return this.#emit(BPF_LDX | BPF_MEM | widthBits[width], dst, src, offset, 0);
  }

  /** *(width *)(dst + offset) = src. */
  storeMemory(width: Width, dst: Register, offset: number, src: Register): this {
    return this.#emit(BPF_STX | BPF_MEM | widthBits[width], dst, src, offset, 0);
  }

  /** *(width *)(dst + offset) = imm, sign-extended. */
  storeImm(width: Width, dst: Register, offset: number, imm: number): this {
    checkSigned(imm);
    return this.#emit(BPF_ST | BPF_MEM | widthBits[width], dst, 0, offset, imm);
  }

  /** An atomic operation on *(width *)(dst + offset). */
  atomic(op: AtomicOp, width: 4 | 8, dst: Register, offset: number, src: Register): this {
    return this.#emit(BPF_STX | BPF_ATOMIC | widthBits[width], dst, src, offset, atomicOps[op]);
  }

  #leadTo(label: Label): void {
    label.jumps++;
    this.#jumps.push({ at: this.#count, label });
  }

  jump(label: Label): this {
    this.#leadTo(label);
    return this.#emit(BPF_JMP | BPF_JA, 0, 0, 0, 0);
  }

  /** Jumps when `dst op src`. */
  jumpIf(op: JumpOp, dst: Register, src: Register, label: Label): this {
    this.#leadTo(label);
    return this.#emit(BPF_JMP | jumpOps[op] | BPF_X, dst, src, 0, 0);
  }

  /** Jumps when `dst op imm`, the immediate sign-extended to 64 bits. */
  jumpIfImm(op: JumpOp, dst: Register, imm: number, label: Label): this {
    checkSigned(imm);
    this.#leadTo(label);
    return this.#emit(BPF_JMP | jumpOps[op] | BPF_K, dst, 0, 0, imm);
  }

  /** Calls a helper by number. */
  call(helper: number): this {
    return this.#emit(BPF_JMP | BPF_CALL, 0, 0, 0, helper);
  }

  /** Calls a function of the kernel by its BTF id in vmlinux. */
  callKernelFunction(btfId: number): this {
    return this.#emit(BPF_JMP | BPF_CALL, 0, pseudo.kernelFunctionCall, 0, btfId);
  }

  exit(): this {
    return this.#emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  }

  /** Resolves all jumps. Throws `limit` for a jump too far, naming the part that is too large. */
  assemble(): AssembledProgram {
    for (const { at, label } of this.#jumps) {
      if (label.at === undefined)
        throw new StillframeError('internal', `label "${label.name}" is never bound`);
      const distance = label.at - at - 1;
      if (distance < -0x8000 || distance > 0x7fff) {
        throw new StillframeError(
          'limit',
          `cannot compile "${this.#sourceMap[at] ?? ''}": a jump to "${label.name}" over ${distance} instructions does not fit 16 bits`,
          { hint: 'make the expression shorter, or capture fewer things' },
        );
      }
      this.#view.setInt16(at * 8 + 2, distance, true);
    }
    for (const { at, label } of this.#references) {
      if (label.at === undefined)
        throw new StillframeError('internal', `function "${label.name}" is never bound`);
      this.#view.setInt32(at * 8 + 4, label.at - at - 1, true);
    }
    return {
      functions: this.#functions,
      bytes: new Uint8Array(this.#view.buffer.slice(0, this.#count * 8)),
      instructions: this.#count,
      sourceMap: this.#sourceMap,
    };
  }
}

function checkSigned(imm: number): void {
  if (imm < -0x8000_0000 || imm > 0x7fff_ffff) {
    throw new StillframeError('internal', `immediate ${imm} is not a signed 32-bit number`);
  }
}
