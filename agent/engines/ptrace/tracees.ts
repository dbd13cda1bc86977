/** The threads of one process that this thread has seized, and how they are stopped and let run. */
import { readlinkSync } from 'node:fs';
import { StillframeError } from '../../../format/error.js';
import { readThreadStat, readThreadStatus, readTids } from '../../linux/proc.js';
import {
  PTRACE_EVENT_STOP,
  WALL,
  WNOHANG,
  WNOTHREAD,
  type WaitResult,
  interrupt,
  listen,
  napBetween,
  resume,
  trySeize,
  wait,
} from '../../linux/ptrace.js';

export type Stop = Extract<WaitResult, { kind: 'stopped' }>;

const SIGTRAP = 5;
/** New threads can appear while others are being seized; a process that makes them faster than this is given up on. */
const maxRounds = 10;

export class Tracees {
  readonly pid: number;
  /** PTRACE_O_* of every thread that is seized. */
  options = 0;
  readonly tids: Set<number> = new Set();
  /** Threads that stand still, with what they stopped for. */
  readonly stops: Map<number, Stop> = new Map();
  /** Threads whose end was heard of while something else was waited for: whoever keeps something for each thread takes them from here. */
  readonly ended: number[] = [];
  readonly #status = Buffer.alloc(4);

  constructor(pid: number) {
    this.pid = pid;
  }

  /** Seizes every thread that is not held yet. Nobody stops. Gives how many threads there were then, dead ones too. Throws `denied`, `target-gone`. */
  seizeAll(): number {
    let count = 0;
    for (let round = 0; round < maxRounds; round++) {
      const listed = readTids(this.pid);
      count = listed.length;
      const found = listed.filter((tid) => !this.tids.has(tid) && !isDead(this.pid, tid));
      if (found.length === 0) break;
      for (const tid of found) this.#seize(tid);
    }
    if (this.tids.size === 0) {
      throw new StillframeError('target-gone', `cannot trace process ${this.pid}: it has no living thread`, {
        detail: { pid: this.pid },
      });
    }
    return count;
  }

  #seize(tid: number): void {
    const failed = trySeize(tid, this.options);
    if (failed === undefined) {
      this.tids.add(tid);
    } else if (failed !== 'ESRCH' && !isDead(this.pid, tid)) {
      const { tracerPid } = readThreadStatus(this.pid, tid);
      if (tracerPid === ownTid()) {
        // With PTRACE_O_TRACECLONE a new thread comes seized; it announces itself by its first stop. Else it is one that did not stop when it was told to before.
        if (this.options === 0) this.tids.add(tid);
        return;
      }
      throw seizeError(this.pid, failed, tracerPid);
    }
  }

  /** Asks a thread to stop; it does so when it next returns to user space or is woken. */
  interrupt(tid: number): void {
    if (interrupt(tid) !== undefined) this.tids.delete(tid);
  }

  /** Takes the stop of a thread, if it has stopped meanwhile. True when there is nothing more to wait for. */
  poll(tid: number): boolean {
    const result = wait(tid, WALL | WNOTHREAD | WNOHANG, this.#status);
    if (result.kind === 'none') return false;
    if (result.kind === 'exited') this.end(tid);
    else this.stops.set(tid, result);
    return true;
  }

  /** Interrupts all threads that run and waits until they stand still, or the time is over. */
  stopAll(tids: readonly number[], deadlineNs: bigint): void {
    let waiting = tids.filter((tid) => this.tids.has(tid) && !this.stops.has(tid));
    for (const tid of waiting) this.interrupt(tid);
    for (let turn = 0; waiting.length > 0; turn++) {
      waiting = waiting.filter((tid) => this.tids.has(tid) && !this.poll(tid));
      if (waiting.length === 0 || process.hrtime.bigint() > deadlineNs) break;
      napBetween(turn);
    }
  }

  /** Lets go on by itself each thread that can be stopped in time: none waits for the others. `take` has it run. */
  stopEach(tids: readonly number[], deadlineNs: bigint, take: (stop: Stop) => void): void {
    let waiting = tids.filter((tid) => this.tids.has(tid));
    for (const tid of waiting) if (!this.stops.has(tid)) this.interrupt(tid);
    for (let turn = 0; ; turn++) {
      waiting = waiting.filter((tid) => {
        if (!this.tids.has(tid) || (!this.stops.has(tid) && !this.poll(tid))) return this.tids.has(tid);
        const stop = this.stops.get(tid);
        this.stops.delete(tid);
        if (stop !== undefined) take(stop);
        return false;
      });
      if (waiting.length === 0 || process.hrtime.bigint() > deadlineNs) return;
      napBetween(turn);
    }
  }

  /** A thread that ended while something else was waited for. */
  end(tid: number): void {
    this.forget(tid);
    this.ended.push(tid);
  }

  forget(tid: number): void {
    this.tids.delete(tid);
    this.stops.delete(tid);
  }

  /** Lets a stopped thread run on as if nothing had been: its signal is delivered, a group-stop goes on. */
  release(stop: Stop): void {
    this.stops.delete(stop.tid);
    if (isGroupStop(stop)) listen(stop.tid);
    else resume(stop.tid, pendingSignal(stop));
  }
}

/** The signal that a thread in signal-delivery-stop is about to get; 0 in all other stops. */
export function pendingSignal(stop: Stop): number {
  return stop.event === 0 ? stop.signal : 0;
}

/** A thread that is about to get SIGTRAP: of a breakpoint, of a step, or of anybody. */
export function isTrap(stop: Stop): boolean {
  return stop.event === 0 && stop.signal === SIGTRAP;
}

/** ptrace(2), "Group-stop" under PTRACE_SEIZE. */
export function isGroupStop(stop: Stop): boolean {
  return stop.event === PTRACE_EVENT_STOP && stop.signal !== SIGTRAP;
}

/** Zombies stay in the list of threads, and cannot be seized: a main thread that ended before others. */
function isDead(pid: number, tid: number): boolean {
  try {
    const { state } = readThreadStat(pid, tid);
    return state === 'Z' || state === 'X';
  } catch {
    return true;
  }
}

/** The thread id of the calling thread: fs calls that wait run on it. */
function ownTid(): number {
  return Number(readlinkSync('/proc/thread-self').split('/').at(-1));
}

function seizeError(pid: number, errno: string, tracerPid: number): StillframeError {
  const action = `cannot trace process ${pid}: ptrace(PTRACE_SEIZE): ${errno}`;
  if (tracerPid !== 0) {
    return new StillframeError('denied', `${action}: process ${tracerPid} traces it already`, {
      detail: { pid, errnoName: errno, syscall: 'ptrace' },
      hint: 'end the other debugger, or use an engine that needs no ptrace',
    });
  }
  return new StillframeError('denied', action, {
    detail: { pid, errnoName: errno, syscall: 'ptrace' },
    hint: 'run as the user of the process or with CAP_SYS_PTRACE, and see kernel.yama.ptrace_scope',
  });
}
