/**
 * What an instruction does, of those few that can be done for a thread instead of by it: a push of a register, `nop`, `endbr64`, relative jumps. They are the
 * ones that the kernel emulates under a uprobe, and so the ones that points are put on, but for calls, which may have a shadow stack. Intel SDM
 * volume 2. Pure; all others are undefined, never guessed.
 */
import {
  dwarfOfEncoded,
  dwarfRegisterNames,
  readUserRegister,
  type UserRegisterName,
} from '../registers/x86-64.js';
import { decodeInstruction } from './instruction.js';

export interface Emulated {
  /** Where the thread goes on. */
  readonly rip: bigint;
  /** Eight bytes that come to lie below the stack pointer, which then points to them. */
  readonly pushed?: bigint;
}

const flag = { carry: 1n, parity: 1n << 2n, zero: 1n << 6n, sign: 1n << 7n, overflow: 1n << 11n } as const;

/** `bytes`: the instruction and what may follow it; `registers`: as ptrace gives them, `rip` at the instruction. */
export function emulate(bytes: Uint8Array, registers: Uint8Array): Emulated | undefined {
  const instruction = decodeInstruction(bytes);
  if (instruction === undefined) return undefined;
  const { length, group } = instruction;
  const next = readUserRegister(registers, 'rip') + BigInt(length);
  if (group === 'nop' || group === 'endbr64') return { rip: next };
  const [first = 0, second = 0] = bytes;
  if (group === 'push register') {
    const code = pushed(bytes, length);
    return code === undefined ? undefined : { rip: next, pushed: readUserRegister(registers, code) };
  }
  if (group !== 'jump' && group !== 'conditional jump') return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  // Prefixes of jumps are hints, or change their width: those are left to the processor.
  if (length === 2 && (first === 0xeb || (first & 0xf0) === 0x70)) {
    const isTaken = first === 0xeb || holds(first & 15, readUserRegister(registers, 'eflags'));
    return { rip: isTaken ? wrapped(next + BigInt(view.getInt8(1))) : next };
  }
  if (length === 5 && first === 0xe9) return { rip: wrapped(next + BigInt(view.getInt32(1, true))) };
  if (length === 6 && first === 0x0f && (second & 0xf0) === 0x80) {
    const isTaken = holds(second & 15, readUserRegister(registers, 'eflags'));
    return { rip: isTaken ? wrapped(next + BigInt(view.getInt32(2, true))) : next };
  }
  return undefined;
}

const wrapped = (address: bigint): bigint => BigInt.asUintN(64, address);

const named = (encoded: number): UserRegisterName | undefined =>
  dwarfRegisterNames[dwarfOfEncoded[encoded] ?? -1];

/** Without a prefix, or with REX.B alone. */
function pushed(bytes: Uint8Array, length: number): UserRegisterName | undefined {
  const [first = 0, second = 0] = bytes;
  if (length === 1) return named(first & 7);
  return length === 2 && first === 0x41 ? named(8 + (second & 7)) : undefined;
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
