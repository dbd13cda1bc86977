/**
 * What an instruction does, of those few that can be done for a thread instead of by it: a push of a register, `nop`, `endbr64`, relative jumps and calls, and those that only compute with
 * registers (register-operation.ts). Points are put on the first of these, for the kernel emulates them under a uprobe, too. Intel SDM volume 2. Pure; all others are undefined, never guessed.
 */
import { readUserRegister, type UserRegisterName } from '../registers/x86-64.js';
import { decodeInstruction } from './instruction.js';
import {
  decodeRegisterOperation,
  flag,
  registerNamed,
  type RegisterOperation,
  type RegisterResult,
  runRegisterOperation,
} from './register-operation.js';

export interface Emulated extends RegisterResult {
  /** Where the thread goes on. */
  readonly rip: bigint;
  /** Eight bytes that come to lie below the stack pointer, which then points to them. */
  readonly pushed?: bigint;
}

/** What an instruction does wherever it stands and whatever the registers hold, or which flags decide between two ways. */
export interface Emulation {
  /** How far behind the beginning of the instruction the thread goes on. */
  readonly advance: bigint;
  /** The same where a condition (SDM volume 1, appendix B) holds. */
  readonly branch?: { readonly condition: number; readonly advance: bigint };
  readonly pushes?: UserRegisterName;
  /** A call pushes how far behind its beginning the thread comes back. Not for threads with a shadow stack. */
  readonly returns?: bigint;
  readonly computes?: RegisterOperation;
}

/** `bytes`: the instruction and what may follow it; `registers`: as ptrace gives them, `rip` at the instruction. */
export function emulate(bytes: Uint8Array, registers: Uint8Array): Emulated | undefined {
  const emulation = decodeEmulation(bytes);
  return emulation === undefined ? undefined : runEmulation(emulation, registers);
}

export function runEmulation(emulation: Emulation, registers: Uint8Array): Emulated {
  const { advance, branch, pushes, returns, computes } = emulation;
  const isTaken = branch !== undefined && holds(branch.condition, readUserRegister(registers, 'eflags'));
  const rip = wrapped(readUserRegister(registers, 'rip') + (isTaken ? branch.advance : advance));
  if (computes !== undefined) return { rip, ...runRegisterOperation(computes, registers) };
  if (returns !== undefined) return { rip, pushed: wrapped(readUserRegister(registers, 'rip') + returns) };
  return pushes === undefined ? { rip } : { rip, pushed: readUserRegister(registers, pushes) };
}

export function decodeEmulation(bytes: Uint8Array): Emulation | undefined {
  const instruction = decodeInstruction(bytes);
  if (instruction === undefined) return undefined;
  const { length, group } = instruction;
  const advance = BigInt(length);
  if (group === 'nop' || group === 'endbr64') return { advance };
  if (group === 'push register') {
    const pushes = pushed(bytes, length);
    return pushes === undefined ? undefined : { advance, pushes };
  }
  if (group === 'jump' || group === 'conditional jump') return decodeJump(bytes, length);
  if (group === 'call') return decodeCall(bytes, length);
  const computes = group === 'other' ? decodeRegisterOperation(bytes, length) : undefined;
  return computes === undefined ? undefined : { advance, computes };
}

/** Prefixes of jumps are hints, or change their width: those are left to the processor. */
function decodeJump(bytes: Uint8Array, length: number): Emulation | undefined {
  const [first = 0, second = 0] = bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const next = BigInt(length);
  if (length === 2 && first === 0xeb) return { advance: next + BigInt(view.getInt8(1)) };
  if (length === 5 && first === 0xe9) return { advance: next + BigInt(view.getInt32(1, true)) };
  if (length === 2 && (first & 0xf0) === 0x70) {
    const advance = next + BigInt(view.getInt8(1));
    return { advance: next, branch: { condition: first & 15, advance } };
  }
  if (length === 6 && first === 0x0f && (second & 0xf0) === 0x80) {
    const advance = next + BigInt(view.getInt32(2, true));
    return { advance: next, branch: { condition: second & 15, advance } };
  }
  return undefined;
}

/** A prefix would have been ignored, or not. */
function decodeCall(bytes: Uint8Array, length: number): Emulation | undefined {
  if (length !== 5 || bytes[0] !== 0xe8) return undefined;
  const returns = BigInt(length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  return { advance: returns + BigInt(view.getInt32(1, true)), returns };
}

const wrapped = (address: bigint): bigint => BigInt.asUintN(64, address);

/** Without a prefix, or with REX.B alone. */
function pushed(bytes: Uint8Array, length: number): UserRegisterName | undefined {
  const [first = 0, second = 0] = bytes;
  if (length === 1) return registerNamed(first & 7);
  return length === 2 && first === 0x41 ? registerNamed(8 + (second & 7)) : undefined;
}

/** Whether the condition of that number holds: SDM volume 1, appendix B. */
function holds(condition: number, flags: bigint): boolean {
  const is = (bit: bigint): boolean => (flags & bit) !== 0n;
  const less = is(flag.sign) !== is(flag.overflow);
  const held = [
    is(flag.overflow),
    is(flag.carry),
    is(flag.zero),
    is(flag.carry) || is(flag.zero),
    is(flag.sign),
    is(flag.parity),
    less,
    less || is(flag.zero),
  ][condition >> 1];
  return held === ((condition & 1) === 0);
}
