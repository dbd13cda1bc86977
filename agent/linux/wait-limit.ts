/**
 * A bound for calls that block, in batches (call-batch.ts): while it is set, a signal to this very thread ends them with EINTR, again and again, so that
 * it does not matter whether one comes before the call has begun. Nothing wakes a thread sooner than to be blocked in wait4: who looks again and again
 * keeps others from the processor, and who sleeps a little waits for it himself.
 * Rules: timer_create(2) SIGEV_THREAD_ID, rt_sigaction(2); signal(7): only a handler without SA_RESTART ends wait4.
 */
import { syscall, systemError } from './ffi.js';
import type { BatchCall } from './call-batch.js';
import { machineCode } from './machine-code.js';

const SYS_rt_sigaction = 13;
const SYS_rt_sigprocmask = 14;
const SYS_gettid = 186;
const SYS_timer_create = 222;
const SYS_timer_settime = 223;
const SYS_timer_delete = 226;
const CLOCK_MONOTONIC = 1n;
const SIGEV_THREAD_ID = 4;
const SA_RESTORER = 0x0400_0000n;
const SIG_UNBLOCK = 1n;
const sigsetBytes = 8n;
const sigeventBytes = 64;

/** A real-time signal: Node uses none, the C library the first two (32 and 33). */
export const limitSignal = 54;

export class WaitLimit implements Disposable {
  readonly #timer: bigint;
  #there = true;

  /** For calls of the thread that makes it. */
  constructor() {
    install();
    const event = Buffer.alloc(sigeventBytes);
    event.writeInt32LE(limitSignal, 8);
    event.writeInt32LE(SIGEV_THREAD_ID, 12);
    event.writeInt32LE(Number(syscall(SYS_gettid).value), 16);
    const timer = Buffer.alloc(8);
    demand(
      syscall(SYS_timer_create, { i64: CLOCK_MONOTONIC }, { buffer: event }, { buffer: timer }),
      'timer_create',
    );
    this.#timer = BigInt(timer.readInt32LE(0));
  }

  /** Sets it to a `struct itimerspec`; one of zeros takes it back. */
  setCall(times: bigint): BatchCall {
    return { number: SYS_timer_settime, args: [this.#timer, 0n, times, 0n] };
  }

  [Symbol.dispose](): void {
    if (!this.#there) return;
    this.#there = false;
    syscall(SYS_timer_delete, { i64: this.#timer });
  }
}

/** The handler is the process's, and always the same. */
function install(): void {
  const { handler, restorer } = machineCode();
  const action = Buffer.alloc(32);
  action.writeBigUInt64LE(handler, 0);
  action.writeBigUInt64LE(SA_RESTORER, 8);
  action.writeBigUInt64LE(restorer, 16);
  demand(
    syscall(
      SYS_rt_sigaction,
      { i64: BigInt(limitSignal) },
      { buffer: action },
      { i64: 0n },
      { i64: sigsetBytes },
    ),
    'rt_sigaction',
  );
  const set = Buffer.alloc(8);
  set.writeBigUInt64LE(1n << BigInt(limitSignal - 1));
  demand(
    syscall(SYS_rt_sigprocmask, { i64: SIG_UNBLOCK }, { buffer: set }, { i64: 0n }, { i64: sigsetBytes }),
    'rt_sigprocmask',
  );
}

function demand(result: { readonly value: bigint; readonly errno: number }, name: string): void {
  if (result.value === -1n) throw systemError('cannot bound a wait', name, result.errno);
}
