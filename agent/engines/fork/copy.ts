/**
 * The tracing thread's part of the `fork` engine: every thread stopped, its registers read, the twin made by one of them, all let go. What can
 * be found out before is found out before the first thread stops, so that a process that cannot be copied is not touched.
 */
import type { Capture, Mapping } from '../../../format/capture.js';
import { StillframeError } from '../../../format/error.js';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import { ProcessMemory } from '../../linux/memory.js';
import { readMaps } from '../../linux/proc.js';
import {
  PTRACE_EVENT_STOP,
  detach,
  dispatchesSyscalls,
  getRseqAddress,
  getSignalMask,
  yieldProcessor,
} from '../../linux/ptrace.js';
import { captureNow, type AfterStop, type StoppedThread } from '../ptrace/now.js';
import type { RegisterSlots } from '../ptrace/registers.js';
import { pendingSignal, type Tracees } from '../ptrace/tracees.js';
import { chainBytes, makeChain } from './chain.js';
import { findCode, type FoundCode } from './code-found.js';
import { Injection } from './inject.js';
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

const nsPerMs = 1_000_000n;
const lateMs = 1000n;

/** Threads that were asked to stop and had no time to do so: each is let go when it does. What stays goes with the tracing thread. */
function releaseLate(tracees: Tracees): void {
  const deadlineNs = process.hrtime.bigint() + lateMs * nsPerMs;
  while (tracees.tids.size > 0 && process.hrtime.bigint() < deadlineNs) {
    for (const tid of tracees.tids) {
      if (!tracees.stops.has(tid) && !tracees.poll(tid)) continue;
      const stop = tracees.stops.get(tid);
      if (stop !== undefined) detach(tid, pendingSignal(stop));
      tracees.forget(tid);
    }
    yieldProcessor();
  }
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
    const { tid, slot } = this.#chooseThread(stopped, slots);
    const { registers, xstate } = slots.copy(slot);
    const blockedSignals = getSignalMask(tid);
    if (registers === undefined || blockedSignals === undefined) {
      throw unsupported(pid, 'the signals that its threads block cannot be read');
    }
    const main = stopped.find((thread) => thread.tid === pid && thread.slot >= 0);
    const mainRegisters = main === undefined ? undefined : slots.registers(main.slot);
    const sp = mainRegisters === undefined ? undefined : readUserRegister(mainRegisters, 'rsp');
    const length = chainBytes(xstate?.length ?? 0);
    const room = findRoom(this.#mappings, { sp, runsChain: tid === pid }, length);
    if (room === undefined) throw unsupported(pid, 'there is no room on the stack of its main thread');
    const chain = makeChain(room, { code: this.#code, registers, xstate, blockedSignals });
    const before = new Uint8Array(chain.bytes.length);
    if (this.#memory.readInto(room, before) < before.length) {
      throw unsupported(pid, 'the stack of its main thread cannot be read');
    }
    const injection = new Injection({ pid, tid, chain, registers, blockedSignals, before });
    this.#injection = injection;
    const beganNs = process.hrtime.bigint();
    const injected = injection.run();
    this.copyNs = Number(process.hrtime.bigint() - beganNs);
    this.twin = injected.twin;
    return { holds: tid, finish: () => injected.finish() };
  }

  /** One that is in a system call can be led away; of others only those that are in no restartable sequence (rseq(2)), which would not notice. */
  #chooseThread(stopped: readonly StoppedThread[], slots: RegisterSlots): StoppedThread {
    const pid = this.#pid;
    const fit = stopped.filter(
      ({ slot, stop, tid }) => slot >= 0 && stop?.event === PTRACE_EVENT_STOP && !dispatchesSyscalls(tid),
    );
    const inCall = (thread: StoppedThread): boolean => {
      const registers = slots.registers(thread.slot);
      return registers !== undefined && BigInt.asIntN(64, readUserRegister(registers, 'orig_rax')) >= 0n;
    };
    const mainFirst = fit.toSorted((a, b) => Number(b.tid === pid) - Number(a.tid === pid));
    const chosen = mainFirst.find(inCall) ?? mainFirst.find((thread) => !this.#isInSequence(thread.tid));
    if (chosen !== undefined) return chosen;
    throw unsupported(
      pid,
      'none of its threads stands where it could be led away: all get a signal, are in the middle of a restartable sequence, or have their system calls dispatched',
    );
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

function unsupported(pid: number, reason: string): StillframeError {
  return new StillframeError('unsupported', `cannot copy process ${pid}: ${reason}`, { detail: { pid } });
}
