/**
 * Makes the twin: one thread of a process that stands still is led through the calls of chain.ts, and put back as it was. Runs on the
 * tracing thread. From the first changed register on, the thread comes back by itself if the tracer dies; the twin
 * is born with PTRACE_O_EXITKILL and never runs.
 */
import { StillframeError } from '../../../format/error.js';
import { readUserRegister, userRegistersBytes } from '../../../format/registers/x86-64.js';
import { systemError } from '../../linux/ffi.js';
import { CodePatcher } from '../../linux/memory-patch.js';
import {
  NT_PRSTATUS,
  PTRACE_EVENT_CLONE,
  PTRACE_EVENT_STOP,
  PTRACE_O_EXITKILL,
  PTRACE_O_TRACECLONE,
  PTRACE_O_TRACESYSGOOD,
  WALL,
  WNOHANG,
  WNOTHREAD,
  getEventMessage,
  interrupt,
  napBetween,
  resume,
  resumeToSyscall,
  setOptions,
  setRegisterSet,
  setSignalMask,
  wait,
} from '../../linux/ptrace.js';
import { RegisterSlots } from '../ptrace/registers.js';
import type { Stop } from '../ptrace/tracees.js';
import { allSignals, writeCall, type Chain, type Registers } from './chain.js';

const SIGTRAP = 5;
const systemCallStop = SIGTRAP | 0x80;
/** Copying page tables of a process of a terabyte takes minutes; nothing here waits for anything else. */
const maxWaitNs = 60_000_000_000n;
/** Most of what is waited for takes microseconds; what takes longer is work of the kernel's, which wants the processor for itself. */
const briefNs = 500_000n;
const napMs = 0.2;
const sleeper = new Int32Array(new SharedArrayBuffer(4));
/** Stops that are none of ours: of group-stops that come meanwhile. */
const maxStrayStops = 100;

export interface Injected {
  readonly twin: number;
  /** Leads the thread back; others may run before. The thread is in a stop afterwards, with its own registers. */
  finish(): Stop;
}

export class Injection implements Disposable {
  readonly #tid: number;
  readonly #chain: Chain;
  readonly #blocked: bigint;
  /** Of the thread as it was. */
  readonly #own: Uint8Array;
  readonly #slots = new RegisterSlots(1);
  readonly #memory: CodePatcher;
  readonly #status = Buffer.alloc(4);
  readonly #before: Uint8Array;
  /** The thread has left the stop that it was found in. */
  #underway = false;

  /** `before`: the bytes where the chain goes. */
  constructor(options: {
    readonly pid: number;
    readonly tid: number;
    readonly chain: Chain;
    readonly registers: Uint8Array;
    readonly blockedSignals: bigint;
    readonly before: Uint8Array;
  }) {
    this.#tid = options.tid;
    this.#chain = options.chain;
    this.#own = options.registers;
    this.#blocked = options.blockedSignals;
    this.#before = options.before;
    this.#memory = new CodePatcher(options.pid);
  }

  /** The twin, which stands still before its first instruction. Throws with the thread as it was. */
  run(): Injected {
    const tid = this.#tid;
    this.#memory.writeAll(this.#chain.address, this.#chain.bytes);
    let helper: number | undefined;
    try {
      this.#demand(setOptions(tid, PTRACE_O_TRACECLONE | PTRACE_O_TRACESYSGOOD));
      // NB: the chain gives the thread its signals back, so they are blocked after it is in the chain, and let through before it is out.
      this.#setCall(tid, this.#chain.makeHelper);
      this.#demand(setSignalMask(tid, allSignals));
      helper = this.#clone(tid, 'the helper');
      this.#await(helper, isOwnStop);
      // What it makes inherits the options: the twin cannot outlive this thread, not even unborn.
      this.#demand(setOptions(helper, PTRACE_O_TRACECLONE | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
      this.#setCall(helper, this.#chain.makeTwin);
      const twin = this.#clone(helper, 'the copy');
      this.#await(twin, isOwnStop);
      return { twin, finish: () => this.#finish(helper) };
    } catch (error) {
      this.#finish(helper);
      throw error;
    }
  }

  /** Lets a thread make its call of clone; gives the process that it made. The thread stands in that call then, or, when it failed, at its end. */
  #clone(tid: number, what: string): number {
    this.#demand(resumeToSyscall(tid));
    this.#underway ||= tid === this.#tid;
    this.#await(tid, isSystemCallStop, resumeToSyscall);
    this.#demand(resumeToSyscall(tid));
    const stop = this.#await(
      tid,
      (candidate) => candidate.event === PTRACE_EVENT_CLONE || isSystemCallStop(candidate),
      resumeToSyscall,
    );
    const made = stop.event === PTRACE_EVENT_CLONE ? getEventMessage(tid) : undefined;
    if (made !== undefined) return Number(made);
    const result = this.#slots.readGeneral(0, tid) ? this.#slots.registers(0) : undefined;
    const errno = result === undefined ? 0 : Number(-BigInt.asIntN(64, readUserRegister(result, 'rax')));
    throw systemError(`cannot copy the process: ${what} could not be made`, 'clone', errno, {
      pid: this.#tid,
      hint: 'ENOMEM: vm.overcommit_memory or the memory of its control group forbid it; EAGAIN: RLIMIT_NPROC or pids.max',
    });
  }

  /** Ends the helper, has the thread take it in, and gives the thread its own registers back. */
  #finish(helper: number | undefined): Stop {
    const tid = this.#tid;
    let stop: Stop = { kind: 'stopped', tid, signal: SIGTRAP, event: PTRACE_EVENT_STOP };
    if (helper !== undefined) {
      resume(helper, 0);
      this.#awaitEnd(helper);
      // It stands in its call of clone. It stops once more before it goes on in user space.
      this.#stopAtEnd();
      const seen = this.#slots.readGeneral(0, tid) ? this.#slots.registers(0) : undefined;
      this.#setCall(tid, this.#chain.reapHelper(seen === undefined ? 0n : readUserRegister(seen, 'rax')));
      resumeToSyscall(tid);
      this.#await(tid, isSystemCallStop, resumeToSyscall);
      resumeToSyscall(tid);
      this.#await(tid, isSystemCallStop, resumeToSyscall);
    }
    if (this.#underway) stop = this.#stopAtEnd();
    this.#restore();
    return stop;
  }

  /** From within a system call to where the kernel looks whether a call is to be made again: only there registers may be given back. */
  #stopAtEnd(): Stop {
    interrupt(this.#tid);
    resume(this.#tid, 0);
    return this.#await(this.#tid, isOwnStop);
  }

  #restore(): void {
    const general = this.#slots.general(0);
    if (general === undefined) return;
    general.bytes.set(this.#own);
    setSignalMask(this.#tid, this.#blocked);
    setRegisterSet(this.#tid, NT_PRSTATUS, general, userRegistersBytes);
    setOptions(this.#tid, 0);
    this.#memory.writeAll(this.#chain.address, this.#before);
  }

  #setCall(tid: number, registers: Registers): void {
    const general = this.#slots.readGeneral(0, tid) ? this.#slots.general(0) : undefined;
    if (general === undefined) throw lost(tid);
    writeCall(general.bytes, registers);
    this.#demand(setRegisterSet(tid, NT_PRSTATUS, general, userRegistersBytes));
  }

  #demand(failed: string | undefined): void {
    if (failed !== undefined) {
      throw new StillframeError('system', `cannot copy the process: ptrace: ${failed}`);
    }
  }

  /** Other stops (a group-stop that begins meanwhile) are passed over. */
  #await(
    tid: number,
    isWanted: (stop: Stop) => boolean,
    goOn: (tid: number) => unknown = (stopped) => resume(stopped, 0),
  ): Stop {
    const beganNs = process.hrtime.bigint();
    let turn = 0;
    for (let stray = 0; stray < maxStrayStops;) {
      const result = wait(tid, WALL | WNOTHREAD | WNOHANG, this.#status);
      if (result.kind === 'exited') throw ended(tid);
      if (result.kind === 'stopped') {
        if (isWanted(result)) return result;
        goOn(tid);
        stray++;
      } else {
        const waitedNs = process.hrtime.bigint() - beganNs;
        if (waitedNs > maxWaitNs) break;
        if (waitedNs < briefNs) napBetween(turn++);
        else Atomics.wait(sleeper, 0, 0, napMs);
      }
    }
    throw lost(tid);
  }

  #awaitEnd(tid: number): void {
    try {
      this.#await(tid, () => false);
    } catch {
      // It has ended.
    }
  }

  [Symbol.dispose](): void {
    this.#slots[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }
}

const isOwnStop = ({ event }: Stop): boolean => event === PTRACE_EVENT_STOP;
const isSystemCallStop = ({ event, signal }: Stop): boolean => event === 0 && signal === systemCallStop;

const lost = (tid: number): StillframeError =>
  new StillframeError('system', `cannot copy the process: thread ${tid} did not do what it was led to`);

const ended = (tid: number): StillframeError =>
  new StillframeError('target-gone', `cannot copy the process: thread ${tid} ended`, {
    detail: { pid: tid },
  });
