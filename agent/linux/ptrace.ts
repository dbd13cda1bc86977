/**
 * ptrace(2), the modern half of it: SEIZE, INTERRUPT, LISTEN. Every call must come from the one thread that seized; when that thread
 * dies the kernel detaches, and a tracee goes on. PTRACE_O_EXITKILL is never set on a target.
 * Only raw system calls, since this runs on a worker thread ({@link resolveForWorkers} of ffi.ts). Buffers are the caller's, so that nothing is allocated while a thread stands still.
 */
import { errnoName } from './errno.js';
import { syscall, systemError } from './ffi.js';

const SYS_wait4 = 61;
const SYS_ptrace = 101;

export const PTRACE_CONT = 7n;
export const PTRACE_SINGLESTEP = 9n;
export const PTRACE_DETACH = 17n;
export const PTRACE_SETOPTIONS = 0x4200n;
export const PTRACE_GETEVENTMSG = 0x4201n;
export const PTRACE_GETSIGINFO = 0x4202n;
export const PTRACE_GETREGSET = 0x4204n;
export const PTRACE_SETREGSET = 0x4205n;
export const PTRACE_SEIZE = 0x4206n;
export const PTRACE_INTERRUPT = 0x4207n;
export const PTRACE_LISTEN = 0x4208n;
export const PTRACE_SYSCALL = 24n;
export const PTRACE_GETSIGMASK = 0x420an;
export const PTRACE_SETSIGMASK = 0x420bn;
export const PTRACE_SECCOMP_GET_FILTER = 0x420cn;
export const PTRACE_GET_RSEQ_CONFIGURATION = 0x420fn;
export const PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG = 0x4211n;

export const PTRACE_O_TRACESYSGOOD = 0x1;
export const PTRACE_O_TRACEFORK = 0x2;
export const PTRACE_O_TRACEVFORK = 0x4;
export const PTRACE_O_TRACECLONE = 0x8;
export const PTRACE_O_TRACEEXEC = 0x10;
export const PTRACE_O_TRACEVFORKDONE = 0x20;
export const PTRACE_O_EXITKILL = 0x10_0000;

export const PTRACE_EVENT_FORK = 1;
export const PTRACE_EVENT_VFORK = 2;
export const PTRACE_EVENT_CLONE = 3;
export const PTRACE_EVENT_EXEC = 4;
export const PTRACE_EVENT_VFORK_DONE = 5;
export const PTRACE_EVENT_STOP = 128;

export const NT_PRSTATUS = 1;
export const NT_PRFPREG = 2;
export const NT_X86_XSTATE = 0x202;
const NT_X86_SHSTK = 0x204;

export const WNOHANG = 1;
/** Children of every kind. */
export const WALL = 0x4000_0000;
/** Only what this very thread traces or has started: keeps out of the way of Node's own children. */
export const WNOTHREAD = 0x2000_0000;

/** A ptrace request; undefined when it was done, else the symbolic errno. */
function request(what: bigint, tid: number, address: bigint, data: bigint): string | undefined {
  const { value, errno } = syscall(
    SYS_ptrace,
    { i64: what },
    { i64: BigInt(tid) },
    { i64: address },
    { i64: data },
  );
  return value === -1n ? errnoName(errno) : undefined;
}

/** Attaches without stopping. Throws `target-gone` or `denied`. */
export function seize(tid: number, options: number): void {
  const { value, errno } = syscall(
    SYS_ptrace,
    { i64: PTRACE_SEIZE },
    { i64: BigInt(tid) },
    { i64: 0n },
    { i64: BigInt(options) },
  );
  if (value !== -1n) return;
  throw systemError(`cannot attach to thread ${tid}`, 'ptrace(PTRACE_SEIZE)', errno, {
    pid: tid,
    hint: 'another debugger may hold it (TracerPid in /proc/PID/status); else run as the user of the process or with CAP_SYS_PTRACE, and see kernel.yama.ptrace_scope',
  });
}

/** The same, with the errno as the result where it fails. */
export const trySeize = (tid: number, options: number): string | undefined =>
  request(PTRACE_SEIZE, tid, 0n, BigInt(options));
export const interrupt = (tid: number): string | undefined => request(PTRACE_INTERRUPT, tid, 0n, 0n);
/** Resumes; `signal` is delivered when not 0. */
export const resume = (tid: number, signal: number): string | undefined =>
  request(PTRACE_CONT, tid, 0n, BigInt(signal));
export const singleStep = (tid: number, signal: number): string | undefined =>
  request(PTRACE_SINGLESTEP, tid, 0n, BigInt(signal));
/** Of a stopped thread. */
export const setOptions = (tid: number, options: number): string | undefined =>
  request(PTRACE_SETOPTIONS, tid, 0n, BigInt(options));
/** Leaves a group-stopped thread stopped, while it stays ours. */
export const listen = (tid: number): string | undefined => request(PTRACE_LISTEN, tid, 0n, 0n);
/** Lets go of a thread that stands in a ptrace-stop. */
export const detach = (tid: number, signal: number): string | undefined =>
  request(PTRACE_DETACH, tid, 0n, BigInt(signal));

/** Resumes up to the next entry to, or return from, a system call. */
export const resumeToSyscall = (tid: number): string | undefined => request(PTRACE_SYSCALL, tid, 0n, 0n);

const sigsetBytes = 8n;

/** The signals that a stopped thread blocks: those that it will block when a call that changes them for its length has ended. */
export function getSignalMask(tid: number): bigint | undefined {
  return readWord(PTRACE_GETSIGMASK, tid, sigsetBytes, 8);
}

/** Gives the symbolic errno where it fails. */
export function setSignalMask(tid: number, mask: bigint): string | undefined {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(mask);
  const { value, errno } = syscall(
    SYS_ptrace,
    { i64: PTRACE_SETSIGMASK },
    { i64: BigInt(tid) },
    { i64: sigsetBytes },
    { buffer: bytes },
  );
  return value === -1n ? errnoName(errno) : undefined;
}

const rseqConfigurationBytes = 24;
const dispatchConfigurationBytes = 32;

/** The `struct rseq` of a stopped thread (rseq(2)); 0 without one, undefined where the kernel does not tell. */
export function getRseqAddress(tid: number): bigint | undefined {
  return readWord(PTRACE_GET_RSEQ_CONFIGURATION, tid, BigInt(rseqConfigurationBytes), rseqConfigurationBytes);
}

/** Whether system calls of a stopped thread go to a handler of its own (PR_SET_SYSCALL_USER_DISPATCH). */
export function dispatchesSyscalls(tid: number): boolean {
  const mode = readWord(
    PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG,
    tid,
    BigInt(dispatchConfigurationBytes),
    dispatchConfigurationBytes,
  );
  return mode !== undefined && mode !== 0n;
}

/**
 * Reads a seccomp filter of a stopped thread, 0 for the oldest, into `target`, which has room for the longest there can be. Gives how many
 * instructions it has, or the symbolic errno: ENOENT past the newest, EINVAL for a thread without any, EACCES where the caller may not.
 */
export function getSeccompFilter(tid: number, index: number, target: Buffer): number | string {
  const { value, errno } = syscall(
    SYS_ptrace,
    { i64: PTRACE_SECCOMP_GET_FILTER },
    { i64: BigInt(tid) },
    { i64: BigInt(index) },
    { buffer: target },
  );
  return value === -1n ? errnoName(errno) : Number(value);
}

function readWord(what: bigint, tid: number, address: bigint, length: number): bigint | undefined {
  const bytes = Buffer.alloc(length);
  const { value } = syscall(
    SYS_ptrace,
    { i64: what },
    { i64: BigInt(tid) },
    { i64: address },
    { buffer: bytes },
  );
  return value === -1n ? undefined : bytes.readBigUInt64LE(0);
}

/** A `struct iovec` and the memory that it points to, for the regsets of one thread. Held for the life of the tracer. */
export interface RegisterBuffer {
  readonly address: bigint;
  readonly bytes: Buffer;
  readonly iovecAddress: bigint;
  readonly iovec: Buffer;
}

/** Has the iovec say where the registers go, and how many there may be. */
export function prepareRegisterBuffer(target: RegisterBuffer): void {
  target.iovec.writeBigUInt64LE(target.address, 0);
  target.iovec.writeBigUInt64LE(BigInt(target.bytes.length), 8);
}

/** How many bytes were read. */
export const registerBufferLength = (target: RegisterBuffer): number =>
  Number(target.iovec.readBigUInt64LE(8));

/** Reads a register set into `target`; gives its length, or the symbolic errno. */
export function getRegisterSet(tid: number, set: number, target: RegisterBuffer): number | string {
  prepareRegisterBuffer(target);
  return request(PTRACE_GETREGSET, tid, BigInt(set), target.iovecAddress) ?? registerBufferLength(target);
}

/** Whether a stopped thread may have a second stack for return addresses (arch/x86/kernel/shstk.c). `buffer` is overwritten. */
export function mayHaveShadowStack(tid: number, buffer: RegisterBuffer): boolean {
  const answer = getRegisterSet(tid, NT_X86_SHSTK, buffer);
  // The thread has none, or the kernel knows of none.
  return answer !== 'ENODEV' && answer !== 'EINVAL';
}

/** Writes `length` bytes of a register set. */
export function setRegisterSet(
  tid: number,
  set: number,
  source: RegisterBuffer,
  length: number,
): string | undefined {
  source.iovec.writeBigUInt64LE(source.address, 0);
  source.iovec.writeBigUInt64LE(BigInt(length), 8);
  return request(PTRACE_SETREGSET, tid, BigInt(set), source.iovecAddress);
}

export const siginfoBytes = 128;
export const siginfoOffsets = { signal: 0, code: 8, fd: 24 } as const;

/** What a thread in signal-delivery-stop is about to get. */
export interface SignalInfo {
  readonly signal: number;
  readonly code: number;
  /** `si_fd`, of signals that F_SETSIG sends. */
  readonly fd: number;
}

/** undefined in a group-stop (EINVAL), or when the thread is gone. */
export function getSignalInfo(tid: number): SignalInfo | undefined {
  const bytes = Buffer.alloc(siginfoBytes);
  const { value } = syscall(
    SYS_ptrace,
    { i64: PTRACE_GETSIGINFO },
    { i64: BigInt(tid) },
    { i64: 0n },
    { buffer: bytes },
  );
  if (value === -1n) return undefined;
  const { signal, code, fd } = siginfoOffsets;
  return {
    signal: bytes.readInt32LE(signal),
    code: bytes.readInt32LE(code),
    fd: bytes.readInt32LE(fd),
  };
}

/** PTRACE_GETEVENTMSG: the new thread of PTRACE_EVENT_CLONE. */
export function getEventMessage(tid: number): bigint | undefined {
  const bytes = Buffer.alloc(8);
  const { value } = syscall(
    SYS_ptrace,
    { i64: PTRACE_GETEVENTMSG },
    { i64: BigInt(tid) },
    { i64: 0n },
    { buffer: bytes },
  );
  return value === -1n ? undefined : bytes.readBigUInt64LE(0);
}

/** What waitpid said of one thread. */
export type WaitResult =
  | { readonly kind: 'none' }
  | { readonly kind: 'exited'; readonly tid: number }
  | { readonly kind: 'stopped'; readonly tid: number; readonly signal: number; readonly event: number };

const none: WaitResult = { kind: 'none' };

/** waitpid(2); `tid` -1 for any of this thread's tracees. Gives `none` when nothing is there, or nobody is left. */
export function wait(tid: number, options: number, status: Buffer): WaitResult {
  const { value } = syscall(
    SYS_wait4,
    { i64: BigInt(tid) },
    { buffer: status },
    { i64: BigInt(options) },
    { i64: 0n },
  );
  return value <= 0n ? none : decodeStatus(Number(value), status.readInt32LE(0));
}

/** wait(2), "WIFSTOPPED": of a status that wait4 gave. */
export function decodeStatus(tid: number, status: number): Exclude<WaitResult, { kind: 'none' }> {
  if ((status & 0xff) !== 0x7f) return { kind: 'exited', tid };
  return { kind: 'stopped', tid, signal: (status >> 8) & 0xff, event: status >> 16 };
}

/** The other way round. */
export const encodeStop = (stop: { readonly signal: number; readonly event: number }): number =>
  (stop.event << 16) | (stop.signal << 8) | 0x7f;

const SYS_kcmp = 312;
const KCMP_VM = 1n;

const SYS_prctl = 157;
const PR_SET_TIMERSLACK = 29n;
const slackNs = 1000n;
const sleeper = new Int32Array(new SharedArrayBuffer(4));
const spins = 8;
const napMs = 0.02;
/** What has not come after so many naps may take long. */
const briefTurns = 1000;
const longNapMs = 1;

/** Has the naps of this thread last as long as they are told to: by default the kernel adds 50 us. */
export function sharpenNaps(): void {
  syscall(SYS_prctl, { i64: PR_SET_TIMERSLACK }, { i64: slackNs }, { i64: 0n }, { i64: 0n }, { i64: 0n });
}

/**
 * Between two looks at what takes microseconds, `turn` counting from 0. NB: to yield would put this thread behind all others that want the
 * processor, for milliseconds on a busy machine, while threads of somebody else stand still; who sleeps is woken at once.
 */
export function napBetween(turn: number): void {
  if (turn >= spins) Atomics.wait(sleeper, 0, 0, turn < briefTurns ? napMs : longNapMs);
}

/** Whether two processes share their memory; undefined when that cannot be told. */
export function sharesMemory(one: number, other: number): boolean | undefined {
  const { value } = syscall(
    SYS_kcmp,
    { i64: BigInt(one) },
    { i64: BigInt(other) },
    { i64: KCMP_VM },
    { i64: 0n },
    { i64: 0n },
  );
  return value < 0n ? undefined : value === 0n;
}
