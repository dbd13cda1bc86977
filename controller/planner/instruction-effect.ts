/**
 * What an x86-64 instruction changes and where it reads, of those that do little: they calculate in registers, load, compare, or set up a frame. Intel SDM
 * volume 2. Pure; all others are undefined, never guessed.
 */
import { dwarfOfEncoded } from '../../format/registers/x86-64.js';

export interface InstructionEffect {
  /** DWARF numbers of registers that are written. */
  readonly writes: readonly number[];
  /** What is read of memory: nothing, data of the module itself, or by a register. A load that faults ends the program. */
  readonly reads: 'nothing' | 'static' | { readonly base: number };
  /** `push`: writes below the stack pointer. */
  readonly pushes: boolean;
  /** `mov` of a whole register: where its value is from. */
  readonly copies?: number;
}

const rax = 0;
const rdx = 1;
const rsp = 7;

const nothing: InstructionEffect = { writes: [], reads: 'nothing', pushes: false };

/** `bytes`: exactly those of the instruction. */
export function effectOf(bytes: Uint8Array): InstructionEffect | undefined {
  let at = bytes[0] === 0x66 ? 1 : 0;
  if (bytes[0] === 0xf3 && bytes[1] === 0x0f && bytes[2] === 0x1e && bytes[3] === 0xfa) return nothing;
  const prefix = bytes[at] ?? 0;
  const rex = (prefix & 0xf0) === 0x40 ? prefix : 0;
  if (rex !== 0) at++;
  const opcode = bytes[at];
  if (opcode === undefined) return undefined;
  if (opcode === 0x0f) return twoByteEffect(bytes, at + 1, rex);
  if (opcode >= 0x50 && opcode <= 0x57) return { writes: [rsp], reads: 'nothing', pushes: true };
  if (opcode === 0x90 && (rex & 1) === 0) return nothing;
  const operands = operandsOf(bytes, at + 1, rex);
  return fixedEffect(opcode, rex) ?? copyEffect(opcode, operands) ?? modrmEffect(opcode, operands);
}

function copyEffect(opcode: number, operands: Operands | undefined): InstructionEffect | undefined {
  if (operands?.other === undefined || (operands.rex & 8) === 0) return undefined;
  const { register, other } = operands;
  if (opcode === 0x89) return { ...writing([numberOf(other)]), copies: numberOf(register) };
  return opcode === 0x8b ? { ...writing([numberOf(register)]), copies: numberOf(other) } : undefined;
}

/** Without ModRM. */
function fixedEffect(opcode: number, rex: number): InstructionEffect | undefined {
  if (opcode < 0x40 && (opcode & 6) === 4) return writing((opcode & 0x38) === compare ? [] : [rax]);
  if (opcode >= 0xb8 && opcode <= 0xbf) return writing([numberOf((opcode & 7) | ((rex & 1) << 3))]);
  if (opcode >= 0xb0 && opcode <= 0xb7) return writing(byteRegisters((opcode & 7) | ((rex & 1) << 3), rex));
  if (opcode === 0x98) return writing([rax]);
  if (opcode === 0x99) return writing([rdx]);
  return opcode === 0xa8 || opcode === 0xa9 ? nothing : undefined;
}

/** Bits 3 to 5 of `cmp` among the eight operations. */
const compare = 0x38;

interface Operands {
  /** Encoded number of the register operand, or the operation where the opcode is of several. */
  readonly register: number;
  readonly operation: number;
  /** Encoded number; undefined where the other operand is in memory. */
  readonly other: number | undefined;
  readonly reads: InstructionEffect['reads'];
  readonly rex: number;
}

function operandsOf(bytes: Uint8Array, at: number, rex: number): Operands | undefined {
  const modrm = bytes[at];
  if (modrm === undefined) return undefined;
  const mode = modrm >> 6;
  const rm = modrm & 7;
  const operation = (modrm >> 3) & 7;
  const common = { register: operation | ((rex & 4) << 1), operation, rex };
  const high = (rex & 1) << 3;
  if (mode === 3) return { ...common, other: rm | high, reads: 'nothing' };
  if (rm === 4) {
    const sib = bytes[at + 1] ?? 0;
    const hasIndex = ((sib >> 3) & 7) !== 4 || (rex & 2) !== 0;
    const base = (sib & 7) | high;
    // What is reached by an index could be anywhere.
    const isKnown = !hasIndex && !(mode === 0 && (sib & 7) === 5);
    return { ...common, other: undefined, reads: { base: isKnown ? numberOf(base) : -1 } };
  }
  if (mode === 0 && rm === 5) return { ...common, other: undefined, reads: 'static' };
  return { ...common, other: undefined, reads: { base: numberOf(rm | high) } };
}

function modrmEffect(opcode: number, operands: Operands | undefined): InstructionEffect | undefined {
  if (operands === undefined) return undefined;
  const { operation } = operands;
  const isByte = (opcode & 1) === 0;
  if (opcode < 0x40 && (opcode & 7) < 4) {
    if ((opcode & 0x38) === compare) return comparing(operands);
    return (opcode & 2) === 0 ? toOther(operands, isByte) : toRegister(operands, isByte);
  }
  switch (opcode) {
    case 0x63:
    case 0x69:
    case 0x6b:
    case 0x8b:
      return toRegister(operands, false);
    case 0x8a:
      return toRegister(operands, true);
    case 0x8d:
      return { ...writing([numberOf(operands.register)]) };
    case 0x80:
    case 0x81:
    case 0x83:
      return operation === 7 ? comparing(operands) : toOther(operands, isByte);
    case 0x84:
    case 0x85:
      return comparing(operands);
    case 0x88:
    case 0x89:
      return toOther(operands, isByte);
    case 0xc0:
    case 0xc1:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      return toOther(operands, isByte);
    case 0xc6:
    case 0xc7:
      return operation === 0 ? toOther(operands, isByte) : undefined;
    case 0xf6:
    case 0xf7:
      if (operation < 2) return comparing(operands);
      return operation < 4 ? toOther(operands, isByte) : undefined;
    case 0xfe:
    case 0xff:
      return operation < 2 ? toOther(operands, isByte) : undefined;
    default:
      return undefined;
  }
}

function twoByteEffect(bytes: Uint8Array, at: number, rex: number): InstructionEffect | undefined {
  const second = bytes[at] ?? 0;
  if (second === 0x1f) return nothing;
  const operands = operandsOf(bytes, at + 1, rex);
  if (operands === undefined) return undefined;
  // cmov, imul, movzx, movsx.
  const loads = (second >= 0x40 && second <= 0x4f) || [0xaf, 0xb6, 0xb7, 0xbe, 0xbf].includes(second);
  if (loads) return toRegister(operands, false);
  if (second >= 0x90 && second <= 0x9f) return toOther(operands, true);
  return undefined;
}

function comparing({ reads }: Operands): InstructionEffect {
  return { writes: [], reads, pushes: false };
}

function toRegister({ register, reads, rex }: Operands, isByte: boolean): InstructionEffect {
  return { writes: isByte ? byteRegisters(register, rex) : [numberOf(register)], reads, pushes: false };
}

/** Undefined where it writes memory. */
function toOther({ other, rex }: Operands, isByte: boolean): InstructionEffect | undefined {
  if (other === undefined) return undefined;
  return writing(isByte ? byteRegisters(other, rex) : [numberOf(other)]);
}

function writing(writes: readonly number[]): InstructionEffect {
  return { writes, reads: 'nothing', pushes: false };
}

/** Without REX, numbers 4 to 7 are the second bytes of rax to rbx. */
function byteRegisters(encoded: number, rex: number): readonly number[] {
  return [numberOf(rex === 0 && encoded >= 4 && encoded < 8 ? encoded - 4 : encoded)];
}

function numberOf(encoded: number): number {
  return dwarfOfEncoded[encoded & 15] ?? 0;
}
