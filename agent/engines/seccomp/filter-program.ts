/**
 * Programs of classic BPF as seccomp(2) takes them, evaluated on a system call that nobody has made yet. Pure. Words of the call that are not
 * known before are `undefined`; a program that decides by one gives `undefined`, never a guess. Ruled by kernel/seccomp.c
 * seccomp_check_filter() and net/core/filter.c bpf_convert_filter(). Jumps only lead forward, so every program ends.
 */
import { badData } from '../../../format/error.js';

/** `struct seccomp_data` in words of 32 bits, low word first: number, architecture, program counter, six arguments. */
export type CallWords = readonly (number | undefined)[];
export const callWords = 16;

const instructionBytes = 8;
export const maxInstructions = 4096;
const memoryWords = 16;

const BPF_CLASS = 0x07;
const BPF_LD = 0x00;
const BPF_LDX = 0x01;
const BPF_ST = 0x02;
const BPF_STX = 0x03;
const BPF_ALU = 0x04;
const BPF_JMP = 0x05;
const BPF_RET = 0x06;
const BPF_MODE = 0xe0;
const BPF_IMM = 0x00;
const BPF_ABS = 0x20;
const BPF_MEM = 0x60;
const BPF_LEN = 0x80;
const BPF_OPERATION = 0xf0;
const BPF_JA = 0x00;
const BPF_X = 0x08;
const BPF_A = 0x10;
const BPF_TXA = 0x80;

interface Instruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly k: number;
}

/** What the filter answers: SECCOMP_RET_* with its data; undefined when that depends on what is not known. Throws bad data. */
export function evaluateFilter(filter: Uint8Array, call: CallWords): number | undefined {
  const count = filter.length / instructionBytes;
  if (!Number.isInteger(count) || count > maxInstructions) {
    throw badData(`cannot evaluate a seccomp filter: ${filter.length} bytes are no program`);
  }
  const view = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  const machine = new Machine(call);
  for (let at = 0; at < count;) {
    const offset = at * instructionBytes;
    const instruction: Instruction = {
      code: view.getUint16(offset, true),
      jumpTrue: view.getUint8(offset + 2),
      jumpFalse: view.getUint8(offset + 3),
      k: view.getUint32(offset + 4, true),
    };
    const kind = instruction.code & BPF_CLASS;
    if (kind === BPF_RET) {
      return (instruction.code & 0x18) === BPF_A ? machine.a : instruction.k;
    }
    if (kind === BPF_JMP) {
      const distance = machine.jump(instruction);
      if (distance === undefined) return undefined;
      at += distance;
    } else {
      machine.run(instruction);
    }
    at++;
  }
  throw badData('cannot evaluate a seccomp filter: it has no end');
}

class Machine {
  readonly #call: CallWords;
  readonly #memory: (number | undefined)[] = Array.from({ length: memoryWords }, () => 0);
  a: number | undefined = 0;
  #x: number | undefined = 0;

  constructor(call: CallWords) {
    this.#call = call;
  }

  run({ code, k }: Instruction): void {
    switch (code & BPF_CLASS) {
      case BPF_LD:
        this.a = this.#load(code, k);
        return;
      case BPF_LDX:
        this.#x = this.#load(code, k);
        return;
      case BPF_ST:
        this.#memory[this.#slot(k)] = this.a;
        return;
      case BPF_STX:
        this.#memory[this.#slot(k)] = this.#x;
        return;
      case BPF_ALU:
        this.a = this.#calculate(code, (code & BPF_X) === 0 ? k : this.#x);
        return;
      default:
        // BPF_MISC.
        if ((code & BPF_TXA) === 0) this.#x = this.a;
        else this.a = this.#x;
    }
  }

  #load(code: number, k: number): number | undefined {
    switch (code & BPF_MODE) {
      case BPF_IMM:
        return k;
      case BPF_ABS:
        if (k % 4 !== 0 || k / 4 >= callWords) throw unknownInstruction(code);
        return this.#call[k / 4];
      case BPF_MEM:
        return this.#memory[this.#slot(k)];
      case BPF_LEN:
        return callWords * 4;
      default:
        throw unknownInstruction(code);
    }
  }

  #slot(k: number): number {
    if (k >= memoryWords) throw badData(`cannot evaluate a seccomp filter: it has no word ${k} of memory`);
    return k;
  }

  #calculate(code: number, operand: number | undefined): number | undefined {
    const { a } = this;
    if (a === undefined || operand === undefined) return undefined;
    switch (code & BPF_OPERATION) {
      case 0x00:
        return (a + operand) >>> 0;
      case 0x10:
        return (a - operand) >>> 0;
      case 0x20:
        return Math.imul(a, operand) >>> 0;
      case 0x30:
        // The kernel ends the program here, with 0; to go on with 0 might allow what that kills.
        if (operand === 0) throw badData('cannot evaluate a seccomp filter: it divides by 0');
        return Math.floor(a / operand);
      case 0x40:
        return (a | operand) >>> 0;
      case 0x50:
        return (a & operand) >>> 0;
      case 0x60:
        return (a << operand) >>> 0;
      case 0x70:
        return a >>> operand;
      case 0x80:
        return -a >>> 0;
      case 0xa0:
        return (a ^ operand) >>> 0;
      default:
        throw unknownInstruction(code);
    }
  }

  /** How many instructions to pass over. */
  jump({ code, jumpTrue, jumpFalse, k }: Instruction): number | undefined {
    const operation = code & BPF_OPERATION;
    if (operation === BPF_JA) return k;
    const { a } = this;
    const operand = (code & BPF_X) === 0 ? k : this.#x;
    // Both ways lead to the same place: nothing is decided here.
    if (jumpTrue === jumpFalse) return jumpTrue;
    if (a === undefined || operand === undefined) return undefined;
    return compare(code, a, operand) ? jumpTrue : jumpFalse;
  }
}

function compare(code: number, a: number, operand: number): boolean {
  switch (code & BPF_OPERATION) {
    case 0x10:
      return a === operand;
    case 0x20:
      return a > operand;
    case 0x30:
      return a >= operand;
    case 0x40:
      return (a & operand) !== 0;
    default:
      throw unknownInstruction(code);
  }
}

const unknownInstruction = (code: number): Error =>
  badData(`cannot evaluate a seccomp filter: instruction 0x${code.toString(16)} is none of seccomp`);
