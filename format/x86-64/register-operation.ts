/**
 * Instructions that only compute with registers and constants: moves, `lea`, sums, differences, logic, comparisons, of 32 and 64 bits. What touches memory is not among them: a copy of
 * it need not be made at once, as the processor's load is. Intel SDM volume 2. Pure.
 */
import {
  dwarfOfEncoded,
  dwarfRegisterNames,
  readUserRegister,
  type UserRegisterName,
} from '../registers/x86-64.js';

/** A register or none, another one times a scale, and a constant. */
export interface Operand {
  readonly base?: UserRegisterName;
  readonly index?: { readonly register: UserRegisterName; readonly scale: bigint };
  readonly constant: bigint;
}

type Arithmetic = 'add' | 'or' | 'and' | 'sub' | 'xor';

export interface RegisterOperation {
  readonly bits: 32 | 64;
  /** Of comparisons there is none. */
  readonly to?: UserRegisterName;
  readonly value: Operand;
  /** What the register of `value` is combined with, which sets flags. */
  readonly with?: { readonly operation: Arithmetic; readonly operand: Operand };
}

export interface RegisterResult {
  readonly set?: { readonly register: UserRegisterName; readonly value: bigint };
  readonly eflags?: bigint;
}

type Flag = 'carry' | 'parity' | 'adjust' | 'zero' | 'sign' | 'trap' | 'overflow';

/** Bits of `eflags`. */
export const flag: Readonly<Record<Flag, bigint>> = {
  carry: 0x1n,
  parity: 0x4n,
  adjust: 0x10n,
  zero: 0x40n,
  sign: 0x80n,
  trap: 0x100n,
  overflow: 0x800n,
};
const arithmeticFlags = flag.carry | flag.parity | flag.adjust | flag.zero | flag.sign | flag.overflow;

/** By the middle digit of ModRM, and by the first five bits of opcodes; those that add a carry are left out. */
const arithmetics: readonly (Arithmetic | 'cmp' | undefined)[] = [
  'add',
  'or',
  undefined,
  undefined,
  'and',
  'sub',
  'xor',
  'cmp',
];
const rexW = 8;
const rexR = 4;
const rexX = 2;
const rexB = 1;

export function registerNamed(encoded: number): UserRegisterName {
  const name = dwarfRegisterNames[dwarfOfEncoded[encoded & 15] ?? 0];
  return name ?? 'rax';
}

/** Of an instruction of so many bytes; undefined for all that it is not known to be. */
export function decodeRegisterOperation(bytes: Uint8Array, length: number): RegisterOperation | undefined {
  const [first = 0] = bytes;
  // No prefix but REX: others change widths and segments.
  const rex = (first & 0xf0) === 0x40 ? first : 0;
  const at = rex === 0 ? 0 : 1;
  return new Decoder(bytes.subarray(0, length), at, rex).decode();
}

class Decoder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #at: number;
  readonly #rex: number;
  readonly #bits: 32 | 64;

  constructor(bytes: Uint8Array, at: number, rex: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
    this.#rex = rex;
    this.#bits = (rex & rexW) === 0 ? 32 : 64;
  }

  decode(): RegisterOperation | undefined {
    const opcode = this.#bytes[this.#at] ?? 0;
    const bits = this.#bits;
    if (opcode >= 0xb8 && opcode <= 0xbf) {
      const to = registerNamed((opcode & 7) | ((this.#rex & rexB) << 3));
      return { bits, to, value: { constant: this.#constant(bits === 64 ? 8 : 4) } };
    }
    if (opcode === 0x8d) {
      const value = this.#address();
      return value === undefined ? undefined : { bits, to: this.#reg, value };
    }
    const form = opcode & 7;
    if (opcode < 0x40 && form === 5) {
      return this.#combined(arithmetics[opcode >> 3], 'rax', { constant: this.#constant(4) });
    }
    if (opcode === 0xa9) return this.#tested('rax', { constant: this.#constant(4) });
    if (this.#modrm >> 6 !== 3) return undefined;
    if (opcode === 0x89) return { bits, to: this.#rm, value: register(this.#reg) };
    if (opcode === 0x8b) return { bits, to: this.#reg, value: register(this.#rm) };
    if (opcode === 0xc7 && this.#digit === 0) {
      return { bits, to: this.#rm, value: { constant: this.#constant(4) } };
    }
    if (opcode === 0x85) return this.#tested(this.#rm, register(this.#reg));
    if (opcode === 0xf7 && this.#digit === 0) return this.#tested(this.#rm, { constant: this.#constant(4) });
    if (opcode < 0x40 && form === 1) {
      return this.#combined(arithmetics[opcode >> 3], this.#rm, register(this.#reg));
    }
    if (opcode < 0x40 && form === 3) {
      return this.#combined(arithmetics[opcode >> 3], this.#reg, register(this.#rm));
    }
    if (opcode !== 0x83 && opcode !== 0x81) return undefined;
    const operand = { constant: this.#constant(opcode === 0x83 ? 1 : 4) };
    return this.#combined(arithmetics[this.#digit], this.#rm, operand);
  }

  get #modrm(): number {
    return this.#bytes[this.#at + 1] ?? 0;
  }

  get #digit(): number {
    return (this.#modrm >> 3) & 7;
  }

  get #reg(): UserRegisterName {
    return registerNamed(this.#digit | ((this.#rex & rexR) << 1));
  }

  get #rm(): UserRegisterName {
    return registerNamed((this.#modrm & 7) | ((this.#rex & rexB) << 3));
  }

  /** The last bytes, with their sign. */
  #constant(size: 1 | 4 | 8): bigint {
    const at = this.#bytes.length - size;
    if (size === 1) return BigInt(this.#view.getInt8(at));
    return size === 4 ? BigInt(this.#view.getInt32(at, true)) : this.#view.getBigInt64(at, true);
  }

  #combined(
    operation: Arithmetic | 'cmp' | undefined,
    name: UserRegisterName,
    operand: Operand,
  ): RegisterOperation | undefined {
    if (operation === undefined) return undefined;
    const [bits, value] = [this.#bits, register(name)];
    if (operation === 'cmp') return { bits, value, with: { operation: 'sub', operand } };
    return { bits, to: name, value, with: { operation, operand } };
  }

  #tested(name: UserRegisterName, operand: Operand): RegisterOperation {
    return { bits: this.#bits, value: register(name), with: { operation: 'and', operand } };
  }

  /** SDM volume 2, tables 2-2 and 2-3. */
  #address(): Operand | undefined {
    const mode = this.#modrm >> 6;
    const rm = this.#modrm & 7;
    if (mode === 3) return undefined;
    const size = mode === 1 ? 1 : 4;
    if (mode === 0 && rm === 5) {
      return { base: 'rip', constant: this.#constant(4) + BigInt(this.#bytes.length) };
    }
    if (rm !== 4) {
      return { base: this.#rm, constant: mode === 0 ? 0n : this.#constant(size) };
    }
    const sib = this.#bytes[this.#at + 2] ?? 0;
    const index = ((sib >> 3) & 7) | ((this.#rex & rexX) << 2);
    const scaled =
      index === 4 ? {} : { index: { register: registerNamed(index), scale: 1n << BigInt(sib >> 6) } };
    if (mode === 0 && (sib & 7) === 5) return { ...scaled, constant: this.#constant(4) };
    const base = registerNamed((sib & 7) | ((this.#rex & rexB) << 3));
    return { base, ...scaled, constant: mode === 0 ? 0n : this.#constant(size) };
  }
}

const register = (base: UserRegisterName): Operand => ({ base, constant: 0n });

export function runRegisterOperation(operation: RegisterOperation, registers: Uint8Array): RegisterResult {
  const { bits, to, value } = operation;
  const one = valueOf(value, bits, registers);
  if (operation.with === undefined) return to === undefined ? {} : { set: { register: to, value: one } };
  const other = valueOf(operation.with.operand, bits, registers);
  const { result, flags } = combine(operation.with.operation, one, other, BigInt(bits));
  const eflags = (readUserRegister(registers, 'eflags') & ~arithmeticFlags) | flags;
  return to === undefined ? { eflags } : { set: { register: to, value: result }, eflags };
}

function valueOf({ base, index, constant }: Operand, bits: number, registers: Uint8Array): bigint {
  const from = base === undefined ? 0n : readUserRegister(registers, base);
  const more = index === undefined ? 0n : readUserRegister(registers, index.register) * index.scale;
  return BigInt.asUintN(bits, from + more + constant);
}

/** SDM volume 1, 3.4.3.1. After logic the adjust flag is undefined; processors clear it. */
function combine(
  operation: Arithmetic,
  one: bigint,
  other: bigint,
  bits: bigint,
): { result: bigint; flags: bigint } {
  const wide = { add: one + other, sub: one - other, and: one & other, or: one | other, xor: one ^ other }[
    operation
  ];
  const result = BigInt.asUintN(Number(bits), wide);
  const isSet = (value: bigint, bit: bigint): boolean => ((value >> bit) & 1n) !== 0n;
  const top = bits - 1n;
  let flags = 0n;
  const set = (which: bigint, holds: boolean): void => {
    if (holds) flags |= which;
  };
  set(flag.zero, result === 0n);
  set(flag.sign, isSet(result, top));
  set(flag.parity, isEven(Number(result & 0xffn)));
  if (operation === 'add' || operation === 'sub') {
    set(flag.carry, operation === 'add' ? result < one : one < other);
    set(flag.adjust, isSet(one ^ other ^ result, 4n));
    const overflow = operation === 'add' ? (one ^ result) & (other ^ result) : (one ^ other) & (one ^ result);
    set(flag.overflow, isSet(overflow, top));
  }
  return { result, flags };
}

/** Whether as many bits of a byte are set as make pairs. */
function isEven(byte: number): boolean {
  let folded = byte ^ (byte >> 4);
  folded ^= folded >> 2;
  return ((folded ^ (folded >> 1)) & 1) === 0;
}
