/**
 * The tracing thread's part of the `fork` engine: every thread stopped, its registers read, the twin made by one of them, all let go. What can
 * be found out before is found out before the first thread stops, so that a process that cannot be copied is not touched.
 */
import { writeFileSync } from 'node:fs';
import type { Capture, Mapping } from '../../../format/capture.js';
import { StillframeError, toStillframeError } from '../../../format/error.js';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import { ProcessMemory } from '../../linux/memory.js';
import { procError, readMaps, readThreadStatus } from '../../linux/proc.js';
import {
  PTRACE_EVENT_STOP,
  detach,
  dispatchesSyscalls,
  getRseqAddress,
  getSignalMask,
} from '../../linux/ptrace.js';
import { releaseLate } from '../ptrace/late-threads.js';
import { captureNow, type AfterStop, type StoppedThread } from '../ptrace/now.js';
import type { RegisterSlots } from '../ptrace/registers.js';
import { pendingSignal, type Tracees } from '../ptrace/tracees.js';
import { SECCOMP_MODE_FILTER, readFilters } from '../seccomp/thread-filters.js';
import { whyRefused } from '../seccomp/verdict.js';
import { chainBytes, makeChain, type Chain } from './chain.js';
import { findCode, type FoundCode } from './code-found.js';
import { Injection } from './inject.js';
import { noCalls } from './refusal.js';
import { findRoom } from './room.js';

export interface CopyRequest {
  readonly pid: number;
  /** How long threads may take to stop. */
  readonly maxStopMs: number;
}

export interface Copied {
  /** All threads; no memory. */
  readonly capture: Capture;
  /** Stands still, and ends with the thread that traces it. */
  readonly twin: number;
  /** What making the twin took, of the time that the threads stood still. */
  readonly copyNs: number;
}

export function copyProcess(request: CopyRequest, tracees: Tracees): Copied {
  const { pid } = request;
  using memory = new ProcessMemory(pid);
  const mappings = readMaps(pid);
  const code = findCode(memory, mappings);
  if (code === undefined) {
    throw unsupported(pid, 'its code has no system call followed by a return, or no return from signals');
  }
  const copier = new Copier({ pid, code, memory, mappings });
  try {
    const capture = captureNow(
      { pid, tids: [], stackBytes: 0, maxBytes: 0 },
      {
        tracees,
        goOn: undefined,
        letGo: (stop) => {
          detach(stop.tid, pendingSignal(stop));
          tracees.forget(stop.tid);
        },
        atStop: (stopped, slots) => copier.copy(stopped, slots),
        maxStopMs: request.maxStopMs,
      },
    );
    return { capture: { ...capture, engine: 'fork' }, twin: copier.twin, copyNs: copier.copyNs };
  } catch (error) {
    releaseLate(tracees);
    throw error;
  } finally {
    copier[Symbol.dispose]();
  }
}

const mostKillable = '1000';

/** Threads whose filters are read, while all stand still, until one may make the calls. */
const maxAskedThreads = 8;

interface Prepared {
  readonly tid: number;
  readonly chain: Chain;
  readonly registers: Uint8Array;
  readonly blockedSignals: bigint;
}

class Copier implements Disposable {
  readonly #pid: number;
  readonly #code: FoundCode;
  readonly #memory: ProcessMemory;
  readonly #mappings: readonly Mapping[];
  #injection: Injection | undefined;
  twin = 0;
  copyNs = 0;

  constructor(options: {
    readonly pid: number;
    readonly code: FoundCode;
    readonly memory: ProcessMemory;
    readonly mappings: readonly Mapping[];
  }) {
    this.#pid = options.pid;
    this.#code = options.code;
    this.#memory = options.memory;
    this.#mappings = options.mappings;
  }

  copy(stopped: readonly StoppedThread[], slots: RegisterSlots): AfterStop {
    const pid = this.#pid;
    const running = stopped.find(({ slot, state }) => slot < 0 && state !== 'D');
    if (running !== undefined) {
      throw new StillframeError(
        'limit',
        `cannot copy process ${pid}: thread ${running.tid} did not stop in time, and would change what is copied`,
        { detail: { pid } },
      );
    }
    const { tid, chain, registers, blockedSignals } = this.#prepare(stopped, slots);
    const before = new Uint8Array(chain.bytes.length);
    if (this.#memory.readInto(chain.address, before) < before.length) {
      throw unsupported(pid, 'the stack of its main thread cannot be read');
    }
    const injection = new Injection({ pid, tid, chain, registers, blockedSignals, before });
    this.#injection = injection;
    const beganNs = process.hrtime.bigint();
    const injected = injection.run();
    this.copyNs = Number(process.hrtime.bigint() - beganNs);
    this.twin = injected.twin;
    offerToOomKiller(this.twin);
    return { holds: tid, finish: () => injected.finish() };
  }

  /** The first thread that can be led, and whose seccomp filters let it. */
  #prepare(stopped: readonly StoppedThread[], slots: RegisterSlots): Prepared {
    const pid = this.#pid;
    const main = stopped.find((thread) => thread.tid === pid && thread.slot >= 0);
    const mainRegisters = main === undefined ? undefined : slots.registers(main.slot);
    const sp = mainRegisters === undefined ? undefined : readUserRegister(mainRegisters, 'rsp');
    let refusal: string | undefined;
    for (const { tid, slot } of this.#fitThreads(stopped, slots).slice(0, maxAskedThreads)) {
      const { registers, xstate } = slots.copy(slot);
      const blockedSignals = getSignalMask(tid);
      if (registers === undefined || blockedSignals === undefined) {
        throw unsupported(pid, 'the signals that its threads block cannot be read');
      }
      const length = chainBytes(xstate?.length ?? 0);
      const room = findRoom(this.#mappings, { sp, runsChain: tid === pid }, length);
      if (room === undefined) throw unsupported(pid, 'there is no room on the stack of its main thread');
      const chain = makeChain(room, { code: this.#code, registers, xstate, blockedSignals });
      const refused = whyFiltered(pid, tid, chain);
      if (refused === undefined) return { tid, chain, registers, blockedSignals };
      refusal ??= refused;
    }
    if (refusal !== undefined) throw unsupported(pid, refusal, noCalls);
    throw noneFit(pid, stopped);
  }

  /** One that is in a system call can be led away; of others only those that are in no restartable sequence (rseq(2)), which would not notice. */
  #fitThreads(stopped: readonly StoppedThread[], slots: RegisterSlots): StoppedThread[] {
    const pid = this.#pid;
    const fit = stopped.filter(
      ({ slot, stop, tid }) => slot >= 0 && stop?.event === PTRACE_EVENT_STOP && !dispatchesSyscalls(tid),
    );
    const inCall = (thread: StoppedThread): boolean => {
      const registers = slots.registers(thread.slot);
      return registers !== undefined && BigInt.asIntN(64, readUserRegister(registers, 'orig_rax')) >= 0n;
    };
    const mainFirst = fit.toSorted((a, b) => Number(b.tid === pid) - Number(a.tid === pid));
    const called = mainFirst.filter(inCall);
    return called.length > 0 ? called : mainFirst.filter((thread) => !this.#isInSequence(thread.tid));
  }

  #isInSequence(tid: number): boolean {
    const address = getRseqAddress(tid);
    // A kernel that does not tell has it nevertheless, it may be.
    if (address === undefined) return true;
    if (address === 0n) return false;
    const current = Buffer.alloc(8);
    return this.#memory.readInto(address + 8n, current) < 8 || current.readBigUInt64LE(0) !== 0n;
  }

  [Symbol.dispose](): void {
    this.#injection?.[Symbol.dispose]();
  }
}

/**
 * While the copy is there, each page that the process writes to is another one in its control group. Where that is too much, the copy is
 * to be killed, and nobody else.
 */
function offerToOomKiller(twin: number): void {
  try {
    writeFileSync(`/proc/${twin}/oom_score_adj`, mostKillable);
  } catch (error) {
    throw procError('cannot offer the copy to the OOM killer', twin, error);
  }
}

/** Why the thread's seccomp filters do not let it and the helper make the calls of the chain; undefined when they do. */
function whyFiltered(pid: number, tid: number, chain: Chain): string | undefined {
  const { seccompMode } = readThreadStatus(pid, tid);
  if (seccompMode === 0) return undefined;
  if (seccompMode !== SECCOMP_MODE_FILTER) return 'seccomp in strict mode kills it for clone';
  const found = readFilters(tid);
  if ('unreadable' in found) return `seccomp filters its system calls: ${found.unreadable}`;
  try {
    for (const call of chain.calls) {
      const refused = whyRefused(found.filters, call);
      if (refused !== undefined) return refused;
    }
    return undefined;
  } catch (error) {
    return toStillframeError(error).message;
  }
}

/** NB: what may be otherwise in a moment is a `limit`, which is tried again. */
function noneFit(pid: number, stopped: readonly StoppedThread[]): StillframeError {
  const isHeld = stopped.every(({ slot, state }) => slot < 0 && state === 'D');
  const why = isHeld
    ? 'all of its threads are in uninterruptible system calls, or frozen, and did not stop'
    : 'none of its threads stands where it could be led away: all get a signal, are in the middle of a restartable sequence, or have their system calls dispatched';
  return new StillframeError('limit', `cannot copy process ${pid}: ${why}`, { detail: { pid } });
}

function unsupported(pid: number, reason: string, hint?: string): StillframeError {
  return new StillframeError('unsupported', `cannot copy process ${pid}: ${reason}`, {
    detail: { pid },
    ...(hint === undefined ? {} : { hint }),
  });
}
