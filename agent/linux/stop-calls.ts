/** The system calls of a stop, as records of batches (call-batch.ts). */
import type { BatchCall, CallBatch, Flow } from './call-batch.js';
import {
  PTRACE_CONT,
  PTRACE_DETACH,
  PTRACE_GETREGSET,
  PTRACE_GETSIGINFO,
  PTRACE_INTERRUPT,
  PTRACE_SECCOMP_GET_FILTER,
  PTRACE_SETREGSET,
  WALL,
  WNOTHREAD,
} from './ptrace.js';

const SYS_fstat = 5;
const SYS_nanosleep = 35;
const SYS_wait4 = 61;
const SYS_ptrace = 101;
const SYS_clock_gettime = 228;
const SYS_process_vm_readv = 310;
const SYS_process_vm_writev = 311;
const CLOCK_MONOTONIC = 1n;

/** Words of a `struct stat`, and the one with st_nlink. */
export const statWords = 18;
export const linksWord = 2;
/** Results: -EINTR and -EINVAL. */
export const interrupted = -4n;
export const notValid = -22n;

export type GoOn = 'detach' | 'continue';

const ptrace = (what: bigint, tid: bigint, address: bigint, data: bigint): BatchCall => ({
  number: SYS_ptrace,
  args: [what, tid, address, data],
});

export const interruptCall = (tid: bigint): BatchCall => ptrace(PTRACE_INTERRUPT, tid, 0n, 0n);

/** Lets a stopped thread go, or go on; `signal` is delivered when not 0. */
export const goOnCall = (how: GoOn, tid: bigint, signal = 0n): BatchCall =>
  ptrace(how === 'detach' ? PTRACE_DETACH : PTRACE_CONT, tid, 0n, signal);

/** A register set into what the `struct iovec` says; it has the length afterwards. */
export const registersCall = (tid: bigint, set: number, iovec: bigint): BatchCall =>
  ptrace(PTRACE_GETREGSET, tid, BigInt(set), iovec);

export const setRegistersCall = (tid: bigint, set: number, iovec: bigint): BatchCall =>
  ptrace(PTRACE_SETREGSET, tid, BigInt(set), iovec);

export const signalInfoCall = (tid: bigint, info: bigint): BatchCall =>
  ptrace(PTRACE_GETSIGINFO, tid, 0n, info);

/** How long the oldest seccomp filter is; {@link notValid} of a thread that has none. */
export const filterLengthCall = (tid: bigint): BatchCall => ptrace(PTRACE_SECCOMP_GET_FILTER, tid, 0n, 0n);

/** wait4(2) for one of this thread's tracees, -1 for any. */
export const waitCall = (tid: bigint, status: bigint, flags = 0): BatchCall => ({
  number: SYS_wait4,
  args: [tid, status, BigInt(WALL | WNOTHREAD | flags), 0n],
});

/** CLOCK_MONOTONIC into a `struct timespec`. */
export const clockCall = (time: bigint): BatchCall => ({
  number: SYS_clock_gettime,
  args: [CLOCK_MONOTONIC, time],
});

export const sleepCall = (time: bigint): BatchCall => ({ number: SYS_nanosleep, args: [time, 0n] });

export const statCall = (fd: number, stat: bigint): BatchCall => ({
  number: SYS_fstat,
  args: [BigInt(fd), stat],
});

/** Memory of the process of a thread, by one `struct iovec` on each side. */
export const readCall = (tid: bigint, local: bigint, remote: bigint): BatchCall => ({
  number: SYS_process_vm_readv,
  args: [tid, local, 1n, remote, 1n, 0n],
});

/** The other way round: never where the process may not write itself. */
export const writeCall = (tid: bigint, local: bigint, remote: bigint): BatchCall => ({
  number: SYS_process_vm_writev,
  args: [tid, local, 1n, remote, 1n, 0n],
});

/** Adds a call of which an argument is what a word holds: a thread that is known by then. Gives its record. */
export function addCallOf(
  batch: CallBatch,
  word: bigint,
  call: BatchCall,
  where: { readonly flow?: Flow; readonly argument?: number } = {},
): number {
  const copy = batch.copy({ to: 0n, from: word });
  const record = batch.call(call, where.flow);
  batch.setArgument(copy, 0, batch.argumentAddress(record, where.argument ?? 1));
  return record;
}
