/**
 * Hardware breakpoints on every thread of a process, by perf events that send a signal instead of a trap.
 *
 * A thread that passes the address gets a signal whose default action is to be ignored (SIGURG, SIGWINCH or SIGCHLD, whichever the process
 * has no handler for). A traced thread reports even ignored signals, so it stops before the instruction at the address runs. If the
 * tracer dies at any instant, the events vanish with its descriptors, and the kernel drops a signal that is on its
 * way: nothing can kill the process, as a SIGTRAP would. The kernel sets the resume flag, so that the instruction runs when the thread goes on.
 * Rules: perf_event_open(2) PERF_TYPE_BREAKPOINT, fcntl(2) F_SETSIG, ptrace(2) "Signal-delivery-stop", kernel/signal.c sig_ignored().
 */
import { StillframeError } from '../../../format/error.js';
import {
  HW_BREAKPOINT_X,
  PERF_TYPE_BREAKPOINT,
  PerfEvent,
  encodePerfEventAttribute,
  signalOnEvent,
} from '../../linux/perf-event.js';
import { readStatus, readThreadStat, readThreadStatus, readThreadTurns, readTids } from '../../linux/proc.js';

/** Address registers of the processor (DR0 to DR3). */
export const maxBreakpoints = 4;

/** Ignored by default, in order of preference: seldom sent, seldom handled. */
const harmlessSignals = [
  { number: 23, name: 'SIGURG' },
  { number: 28, name: 'SIGWINCH' },
  { number: 17, name: 'SIGCHLD' },
] as const;

const bit = (signal: number): bigint => 1n << BigInt(signal - 1);

/**
 * Threads block signals for moments, glibc in the maker and in the new thread while it makes one, and while it waits for a program to start: only what
 * lasts counts. Such a moment lasts for as long as the thread has no processor, so what is seen of one that has not run since says nothing.
 */
const lastingSamples = 5;
const sampleDelayMs = 3;
/** How long threads are waited for that have not shown which signals they block. */
const maxSampleMs = 3000;

/**
 * A signal that the process neither handles nor, in any thread, blocks for long. Throws `unsupported` when there is none.
 * To be called before anything is seized: threads that stand still stay as they are.
 */
export function chooseSignal(pid: number): number {
  const { signalsCaught } = readStatus(pid);
  const samples = new Map<number, BlockedSamples>();
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  const deadlineMs = performance.now() + maxSampleMs;
  for (;;) {
    const blocked = sampleBlocked(pid, samples);
    const free = harmlessSignals.find(({ number }) => ((signalsCaught | blocked.any) & bit(number)) === 0n);
    if (free !== undefined) return free.number;
    if (blocked.isUncertain && performance.now() < deadlineMs) {
      Atomics.wait(sleeper, 0, 0, sampleDelayMs);
      continue;
    }
    const lasting = harmlessSignals.find(
      ({ number }) => ((signalsCaught | blocked.always) & bit(number)) === 0n,
    );
    if (lasting !== undefined) return lasting.number;
    const reasons = harmlessSignals.map(({ number, name }) =>
      (signalsCaught & bit(number)) === 0n ? `${name} is blocked in a thread` : `${name} has a handler`,
    );
    throw new StillframeError(
      'unsupported',
      `cannot set breakpoints in process ${pid}: no signal is free to announce them: ${reasons.join(', ')}`,
      { detail: { pid }, hint: 'use the uprobe engine, which needs no signal' },
    );
  }
}

/** What a thread has blocked in all samples that say something. */
interface BlockedSamples {
  mask: bigint;
  count: number;
  /** How often it has been given a processor. */
  turns: string;
}

interface Blocked {
  /** Of any thread, now. */
  readonly any: bigint;
  /** Of any thread, in all samples. */
  readonly always: bigint;
  /** A thread that blocks some has not yet shown that it lasts. */
  readonly isUncertain: boolean;
}

function sampleBlocked(pid: number, samples: Map<number, BlockedSamples>): Blocked {
  let [any, always, isUncertain] = [0n, 0n, false];
  for (const tid of readTids(pid)) {
    try {
      const { signalsBlocked } = readThreadStatus(pid, tid);
      const { state } = readThreadStat(pid, tid);
      const turns = readThreadTurns(pid, tid);
      any |= signalsBlocked;
      const sample = samples.get(tid) ?? { mask: signalsBlocked, count: 0, turns };
      samples.set(tid, sample);
      sample.mask &= signalsBlocked;
      // Who sleeps of its own accord has it so; D is also who waits for a new program to start.
      if (state === 'S' || sample.turns !== turns) sample.count += 1;
      sample.turns = turns;
      always |= sample.mask;
      if (sample.mask !== 0n && sample.count < lastingSamples) isUncertain = true;
    } catch {
      // It ended.
    }
  }
  return { any, always, isUncertain };
}

/** Throws `denied` where the kernel would drop the signals of our events: fs/fcntl.c sigio_perm() looks at users, at no capability. */
export function checkMaySignal(pid: number): void {
  const mine = process.geteuid?.() ?? 0;
  if (mine === 0 || readStatus(pid).uid === mine) return;
  throw new StillframeError(
    'denied',
    `cannot set hardware breakpoints in process ${pid}: their signals come through only from root or from the user of the process`,
    { detail: { pid }, hint: 'use the uprobe engine, which needs no signal, or run the agent as root' },
  );
}

/** Whether the process has got a handler for the signal since it was chosen. */
export function isCaught(pid: number, signal: number): boolean {
  return (readStatus(pid).signalsCaught & bit(signal)) !== 0n;
}

export function tooMany(pid: number, addresses: number): StillframeError {
  return new StillframeError(
    'unsupported',
    `cannot set breakpoints at ${addresses} addresses of process ${pid}: the processor has ${maxBreakpoints}`,
    { detail: { pid } },
  );
}

/** One event for each thread and address. */
export class Breakpoints implements Disposable {
  readonly pid: number;
  readonly signal: number;
  readonly #attributes = new Map<bigint, Buffer>();
  /** By thread, then by address. */
  readonly #threads = new Map<number, Map<bigint, PerfEvent>>();
  readonly #addressOfFd = new Map<number, bigint>();

  constructor(pid: number, signal: number) {
    this.pid = pid;
    this.signal = signal;
  }

  get addresses(): readonly bigint[] {
    return [...this.#attributes.keys()];
  }

  /** The address of one of our descriptors: what a signal's `si_fd` is. */
  addressOf(fd: number): bigint | undefined {
    return this.#addressOfFd.get(fd);
  }

  /** The descriptors of an address, one for each thread. */
  descriptorsOf(address: bigint): number[] {
    return [...this.#addressOfFd].filter(([, other]) => other === address).map(([fd]) => fd);
  }

  /** Arms an address in all threads; leaves nothing behind when one of them refuses. */
  addAddress(address: bigint): void {
    if (this.#attributes.has(address)) return;
    if (this.#attributes.size >= maxBreakpoints) {
      throw tooMany(this.pid, this.#attributes.size + 1);
    }
    this.#attributes.set(
      address,
      encodePerfEventAttribute({
        type: PERF_TYPE_BREAKPOINT,
        config: 0n,
        config1: address,
        // sizeof(long) is what an execution breakpoint must say.
        config2: 8n,
        samplePeriod: 1n,
        wakeupEvents: 1,
        breakpointType: HW_BREAKPOINT_X,
        flags: { disabled: true, excludeKernel: true, excludeHypervisor: true },
      }),
    );
    try {
      for (const tid of this.#threads.keys()) this.#open(tid, address);
    } catch (error) {
      this.removeAddress(address);
      throw error;
    }
  }

  removeAddress(address: bigint): void {
    this.#attributes.delete(address);
    for (const events of this.#threads.values()) this.#close(events, address);
  }

  /** Arms all addresses in a thread. Throws when it refuses, and then it has none. */
  addThread(tid: number): void {
    if (this.#threads.has(tid)) return;
    this.#threads.set(tid, new Map());
    try {
      for (const address of this.#attributes.keys()) this.#open(tid, address);
    } catch (error) {
      this.removeThread(tid);
      throw error;
    }
  }

  removeThread(tid: number): void {
    const events = this.#threads.get(tid);
    if (events === undefined) return;
    for (const address of events.keys()) this.#close(events, address);
    this.#threads.delete(tid);
  }

  #open(tid: number, address: bigint): void {
    const attribute = this.#attributes.get(address);
    const events = this.#threads.get(tid);
    if (attribute === undefined || events === undefined) return;
    const event = openEvent(attribute, tid, address);
    if (event === undefined) return;
    try {
      signalOnEvent(event.fd, tid, this.signal);
      event.enable();
    } catch (error) {
      event[Symbol.dispose]();
      throw error;
    }
    events.set(address, event);
    this.#addressOfFd.set(event.fd, address);
  }

  #close(events: Map<bigint, PerfEvent>, address: bigint): void {
    const event = events.get(address);
    if (event === undefined) return;
    this.#addressOfFd.delete(event.fd);
    event[Symbol.dispose]();
    events.delete(address);
  }

  [Symbol.dispose](): void {
    for (const tid of this.#threads.keys()) this.removeThread(tid);
    this.#attributes.clear();
  }
}

/** undefined when the thread ended meanwhile. */
function openEvent(attribute: Buffer, tid: number, address: bigint): PerfEvent | undefined {
  try {
    return new PerfEvent(
      attribute,
      { pid: tid, cpu: -1 },
      `cannot set a breakpoint at 0x${address.toString(16)} in thread ${tid}`,
    );
  } catch (error) {
    const errno = error instanceof StillframeError ? error.detail.errnoName : undefined;
    if (errno === 'ESRCH') return undefined;
    if (errno === 'ENOSPC') {
      throw new StillframeError(
        'unsupported',
        `cannot set a breakpoint at 0x${address.toString(16)}: the breakpoints of the processor are taken`,
        { detail: { address, pid: tid }, cause: error },
      );
    }
    throw error;
  }
}
