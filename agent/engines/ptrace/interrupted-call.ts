/**
 * Some system calls end with EINTR of a stop, or because a traced thread wakes also for signals that are ignored (signal(7), "Interruption of
 * system calls by stop signals"), which a program that never handles signals may take for an error. While the thread
 * stands in the stop, the result is changed to ERESTARTNOHAND: the kernel then makes the call again with its own
 * arguments, or returns EINTR after all when a handler is to run. A timeout counts from the start again.
 *
 * Waits with a timeout the kernel takes up by a call of its own, `restart_syscall`, which passes the seccomp filters of the thread. One that
 * forbids it kills the process for no more than a stop. There, or where filters cannot be read, the call is made anew, too.
 *
 * NB: in a traced process with several threads, a thread can be woken by an ignored signal of the process which another thread then takes; it
 * does not stop, and its call returns EINTR. So while a point is armed, SIGCHLD to a process without a handler can interrupt epoll_wait.
 */
import {
  readUserRegister,
  userRegisterOffset,
  userRegistersBytes,
} from '../../../format/registers/x86-64.js';
import { NT_PRSTATUS, setRegisterSet } from '../../linux/ptrace.js';
import { mayTakeUp } from '../seccomp/thread-filters.js';
import type { RegisterSlots } from './registers.js';

/** Only those that are safe to make again: they did nothing before they were interrupted. */
export const restartable: ReadonlySet<bigint> = new Set([
  43n, // accept, with SO_RCVTIMEO, as the next two
  45n, // recvfrom
  47n, // recvmsg
  65n, // semop
  128n, // rt_sigtimedwait
  208n, // io_getevents
  220n, // semtimedop
  232n, // epoll_wait
  281n, // epoll_pwait
  288n, // accept4
  333n, // io_pgetevents
  441n, // epoll_pwait2
]);

export const EINTR = 4n;
export const ERESTARTNOHAND = 514n;
export const ERESTART_RESTARTBLOCK = 516n;

/** Of a thread whose registers are in the slot and that has not run since. */
export function restartInterrupted(tid: number, slots: RegisterSlots, slot: number): void {
  const registers = slots.registers(slot);
  const buffer = slots.general(slot);
  if (registers === undefined || buffer === undefined) return;
  if (!isToBeMadeAnew(tid, registers)) return;
  const offset = userRegisterOffset('rax');
  registers.writeBigInt64LE(-ERESTARTNOHAND, offset);
  setRegisterSet(tid, NT_PRSTATUS, buffer, userRegistersBytes);
}

function isToBeMadeAnew(tid: number, registers: Uint8Array): boolean {
  const result = -BigInt.asIntN(64, readUserRegister(registers, 'rax'));
  const call = readUserRegister(registers, 'orig_rax');
  if (result === EINTR) return restartable.has(call);
  if (result !== ERESTART_RESTARTBLOCK || BigInt.asIntN(64, call) < 0n) return false;
  return !mayTakeUp(tid, readUserRegister(registers, 'rip'));
}
