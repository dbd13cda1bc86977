/**
 * Signal frames as rt_sigreturn(2) takes them: a set of registers that a thread gives itself, without anybody's help. A chain of them
 * makes an injected system call harmless: whoever drives the thread may die at any instant, and the thread returns by itself to
 * what it was doing. Ruled by arch/x86/include/asm/sigframe.h and arch/x86/kernel/signal_64.c restore_sigcontext(), fpu/signal.c.
 */
import { ByteWriter } from '../../../format/bytes.js';
import { readUserRegister, type UserRegisterName } from '../../../format/registers/x86-64.js';

/** `pretcode`, `struct ucontext` without the signal's information, which the kernel does not read back. */
export const signalFrameBytes = 320;

const UC_FP_XSTATE = 1n;
const UC_SIGCONTEXT_SS = 2n;
const UC_STRICT_RESTORE_SS = 4n;
const userCs = 0x33;
const userSs = 0x2b;
/** No such flags: the kernel leaves the alternate stack as it is, and says nothing. */
const noAlternateStack = 0x5;

/** In the order of `struct sigcontext_64`. */
const contextOrder: readonly UserRegisterName[] = [
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
  'rdi',
  'rsi',
  'rbp',
  'rbx',
  'rdx',
  'rax',
  'rcx',
  'rsp',
  'rip',
  'eflags',
];

export interface SignalFrame {
  /** Of the code that calls rt_sigreturn: a `ret` to the frame runs it. */
  readonly restorer: bigint;
  /** Those that are not named are 0. */
  readonly registers: ReadonlyMap<UserRegisterName, bigint>;
  readonly blockedSignals: bigint;
  /** Of {@link encodeExtendedState}'s bytes in the thread's memory; 0n: vector registers become their initial state. */
  readonly extendedState: bigint;
}

export function encodeSignalFrame(frame: SignalFrame): Uint8Array {
  const writer = new ByteWriter();
  const flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (frame.extendedState === 0n ? 0n : UC_FP_XSTATE);
  writer.u64(frame.restorer).u64(flags).u64(0n);
  writer.u64(0n).u32(noAlternateStack).u32(0).u64(0n);
  for (const name of contextOrder) writer.u64(BigInt.asUintN(64, frame.registers.get(name) ?? 0n));
  writer.u16(userCs).u16(0).u16(0).u16(userSs);
  writer.u64(0n).u64(0n).u64(0n).u64(0n).u64(frame.extendedState).zeros(64);
  writer.u64(frame.blockedSignals);
  return writer.zeros(signalFrameBytes - writer.length).finish();
}

/** Where the register lies in an encoded frame. */
export function frameRegisterOffset(name: UserRegisterName): number {
  return 48 + 8 * contextOrder.indexOf(name);
}

const ERESTARTSYS = -512n;
const ERESTARTNOINTR = -513n;
const ERESTARTNOHAND = -514n;
const ERESTART_RESTARTBLOCK = -516n;
const syscallBytes = 2n;

/**
 * What a thread has to have to go on as it was. A system call that a stop interrupted is made again with its arguments, as the kernel
 * would have it. NB: a timeout begins anew then, for what is left of it the kernel forgets in rt_sigreturn.
 */
export function resumableRegisters(registers: Uint8Array): ReadonlyMap<UserRegisterName, bigint> {
  const result = new Map(contextOrder.map((name) => [name, readUserRegister(registers, name)]));
  const call = BigInt.asIntN(64, readUserRegister(registers, 'orig_rax'));
  const value = BigInt.asIntN(64, readUserRegister(registers, 'rax'));
  const restarts = [ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK].includes(value);
  if (call >= 0n && restarts) {
    result.set('rax', call);
    result.set('rip', readUserRegister(registers, 'rip') - syscallBytes);
  }
  return result;
}

const FP_XSTATE_MAGIC1 = 0x46505853;
const FP_XSTATE_MAGIC2 = 0x46505845;
const softwareReservedAt = 464;
/** The legacy region and the header. */
const leastXstateBytes = 576;

/** An NT_X86_XSTATE set as a signal frame refers to it; to be placed at a multiple of 64. Undefined when it is none. */
export function encodeExtendedState(xstate: Uint8Array): Uint8Array | undefined {
  if (xstate.length < leastXstateBytes) return undefined;
  const bytes = new Uint8Array(xstate.length + 4);
  bytes.set(xstate);
  const view = new DataView(bytes.buffer);
  // The regset has the features that the kernel saves where a frame has its own description.
  const features = view.getBigUint64(softwareReservedAt, true);
  bytes.fill(0, softwareReservedAt, softwareReservedAt + 48);
  view.setUint32(softwareReservedAt, FP_XSTATE_MAGIC1, true);
  view.setUint32(softwareReservedAt + 4, xstate.length + 4, true);
  view.setBigUint64(softwareReservedAt + 8, features, true);
  view.setUint32(softwareReservedAt + 16, xstate.length, true);
  view.setUint32(xstate.length, FP_XSTATE_MAGIC2, true);
  return bytes;
}
