/**
 * What is laid into unused stack of a process so that a thread of it can make a copy of the process and come to no harm, whoever dies meanwhile.
 *
 * The thread calls clone and makes a helper: a process that shares its memory. It then waits for the helper's end, and takes its own registers
 * back; all that is in the chain, so that it happens also when nobody drives it any more. The helper, driven by the tracer, makes the
 * twin and ends; left to itself it just ends, as the twin would. So the twin is an orphan from the start: the process has no child that
 * could become a zombie of it, and hears of none.
 */
import { userRegisterNames, type UserRegisterName } from '../../../format/registers/x86-64.js';
import type { FilteredCall } from '../seccomp/verdict.js';
import type { FoundCode } from './code-found.js';
import {
  encodeExtendedState,
  encodeSignalFrame,
  frameRegisterOffset,
  resumableRegisters,
  signalFrameBytes,
} from './signal-frame.js';

const SYS_rt_sigreturn = 15n;
const SYS_clone = 56n;
const SYS_wait4 = 61n;
const SYS_exit_group = 231n;
const CLONE_VM = 0x100n;
const CLONE_FILES = 0x400n;
const CLONE_PARENT_SETTID = 0x10_0000n;
const waitForAnyKind = 0x4000_0000n;
/** No process has it: what the thread waits for when no helper could be made. */
const nobody = 0x3fff_ffffn;
/** SIGKILL and SIGSTOP cannot be. */
export const allSignals: bigint = 0xffff_ffff_ffff_ffffn;
const initialFlags = 0x202n;
const syscallBytes = 2n;

export type Registers = ReadonlyMap<UserRegisterName, bigint>;

export interface Chain {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** The call that makes the helper. */
  readonly makeHelper: Registers;
  /** The call, for the helper, that makes the twin. */
  readonly makeTwin: Registers;
  /** The call that takes in the helper, whose id is as the process sees it. */
  reapHelper(helper: bigint): Registers;
  /** All that thread and helper may come to call, whoever dies when: seccomp has to let each pass. */
  readonly calls: readonly FilteredCall[];
}

export interface ChainRequest {
  readonly code: FoundCode;
  readonly registers: Uint8Array;
  readonly xstate: Uint8Array | undefined;
  readonly blockedSignals: bigint;
}

const alignment = 64;
/** Frame of the wait, the last frame of the thread, and the end of helper and twin. */
const framesBytes = 3 * signalFrameBytes;

export function chainBytes(xstateBytes: number): number {
  return framesBytes + xstateBytes + 2 * alignment;
}

/** `address` is a multiple of 64. */
export function makeChain(address: bigint, request: ChainRequest): Chain {
  const { code } = request;
  const waitAt = address;
  const lastAt = waitAt + BigInt(signalFrameBytes);
  const endAt = lastAt + BigInt(signalFrameBytes);
  const stateAt = endAt + BigInt(signalFrameBytes);
  const state = request.xstate === undefined ? undefined : encodeExtendedState(request.xstate);
  const call = (next: bigint, registers: readonly (readonly [UserRegisterName, bigint])[]): Registers =>
    new Map([['rip', code.call], ['rsp', next], ['eflags', initialFlags], ...registers]);
  const reapHelper = (helper: bigint): Registers =>
    call(lastAt, [
      ['rax', SYS_wait4],
      ['rdi', helper],
      ['rdx', waitForAnyKind],
    ]);
  const frame = (registers: Registers, blockedSignals: bigint, extendedState: bigint): Uint8Array =>
    encodeSignalFrame({ restorer: code.restorer, registers, blockedSignals, extendedState });
  const bytes = new Uint8Array(Number(stateAt - address) + (state?.length ?? 0));
  bytes.set(frame(reapHelper(nobody), allSignals, 0n), 0);
  bytes.set(
    frame(resumableRegisters(request.registers), request.blockedSignals, state === undefined ? 0n : stateAt),
    Number(lastAt - address),
  );
  const end = call(0n, [['rax', SYS_exit_group]]);
  bytes.set(frame(end, allSignals, 0n), Number(endAt - address));
  if (state !== undefined) bytes.set(state, Number(stateAt - address));
  const makeHelper = call(waitAt, [
    ['rax', SYS_clone],
    ['rdi', CLONE_VM | CLONE_FILES | CLONE_PARENT_SETTID],
    ['rsi', endAt],
    // The kernel itself puts down whom the thread is to wait for.
    ['rdx', waitAt + BigInt(frameRegisterOffset('rdi'))],
  ]);
  const makeTwin = call(endAt, [
    ['rax', SYS_clone],
    ['rdi', CLONE_FILES],
    ['rsi', endAt],
  ]);
  return {
    address,
    bytes,
    makeHelper,
    makeTwin,
    reapHelper,
    calls: callsOf(code, { makeHelper, makeTwin, end }),
  };
}

/** `ret` behind each call leads to rt_sigreturn, which the filters see with the arguments of the call before. */
function callsOf(
  code: FoundCode,
  calls: { readonly makeHelper: Registers; readonly makeTwin: Registers; readonly end: Registers },
): FilteredCall[] {
  const argumentsOf = (registers: Registers): bigint[] =>
    (['rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9'] as const).map((name) => registers.get(name) ?? 0n);
  const waitArguments = [undefined, 0n, waitForAnyKind];
  const call = (name: string, number: bigint, args: FilteredCall['args']): FilteredCall => ({
    name,
    number: Number(number),
    programCounter: code.call + syscallBytes,
    args,
  });
  const comeBack = (args: FilteredCall['args']): FilteredCall => ({
    name: 'rt_sigreturn',
    number: Number(SYS_rt_sigreturn),
    programCounter: code.restorerEnd,
    args,
  });
  const helperArguments = argumentsOf(calls.makeHelper);
  const twinArguments = argumentsOf(calls.makeTwin);
  return [
    call('clone', SYS_clone, helperArguments),
    comeBack(helperArguments),
    call('wait4', SYS_wait4, waitArguments),
    comeBack(waitArguments),
    call('clone', SYS_clone, twinArguments),
    comeBack(twinArguments),
    call('exit_group', SYS_exit_group, argumentsOf(calls.end)),
  ];
}

/** Puts registers of a call in place of a thread's own; segments and bases stay. */
export function writeCall(target: Buffer, registers: Registers): void {
  for (const [i, name] of userRegisterNames.entries()) {
    if (keptRegisters.has(name)) continue;
    // Not in a system call: or the kernel would make that again.
    const value = name === 'orig_rax' ? -1n : (registers.get(name) ?? 0n);
    target.writeBigUInt64LE(BigInt.asUintN(64, value), i * 8);
  }
}

const keptRegisters: ReadonlySet<UserRegisterName> = new Set([
  'cs',
  'ss',
  'ds',
  'es',
  'fs',
  'gs',
  'fs_base',
  'gs_base',
]);
