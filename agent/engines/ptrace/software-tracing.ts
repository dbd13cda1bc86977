/** What stops mean where software breakpoints are set: traps, stepping over a breakpoint, children that inherit patched memory. */
import { StillframeError } from '../../../format/error.js';
import { defaultLimits } from '../../../format/limits.js';
import {
  readUserRegister,
  type UserRegisterName,
  userRegisterOffset,
  userRegistersBytes,
} from '../../../format/registers/x86-64.js';
import { runEmulation } from '../../../format/x86-64/emulate.js';
import { flag } from '../../../format/x86-64/register-operation.js';
import { readStatus } from '../../linux/proc.js';
import {
  NT_PRSTATUS,
  PTRACE_EVENT_CLONE,
  PTRACE_EVENT_FORK,
  PTRACE_EVENT_VFORK,
  PTRACE_EVENT_VFORK_DONE,
  PTRACE_O_TRACECLONE,
  PTRACE_O_TRACEEXEC,
  PTRACE_O_TRACEFORK,
  PTRACE_O_TRACEVFORK,
  PTRACE_O_TRACEVFORKDONE,
  getEventMessage,
  getSignalInfo,
  setOptions,
  setRegisterSet,
  sharesMemory,
  singleStep,
  napBetween,
} from '../../linux/ptrace.js';
import { WordWriter } from '../../linux/word-writer.js';
import { Journal } from './journal.js';
import type { RegisterSlots } from './registers.js';
import { SoftwareBreakpoints } from './software-breakpoints.js';
import type { GoOn, SeenStop } from './stop-wait.js';
import type { Stop, Tracees } from './tracees.js';

const SIGTRAP = 5;
/** si_code of the trap of an `int3`, and of a single step. */
const SI_KERNEL = 0x80;
const TRAP_TRACE = 2;
const nsPerMs = 1_000_000n;
const wordBytes = 8n;
/**
 * How long others are waited for before a step. Once asked to stop, a thread runs no more code of the program than until an interrupt reaches
 * its processor; one that has not reported by then is inside of the kernel, and stops before it leaves.
 */
const stepStopNs = 500_000n;
/** The slot of registers of the thread that is handled. */
const ownSlot = 0;

/** Children must be seen: memory that they inherit is patched. */
export const softwareOptions: number =
  PTRACE_O_TRACECLONE |
  PTRACE_O_TRACEEXEC |
  PTRACE_O_TRACEFORK |
  PTRACE_O_TRACEVFORK |
  PTRACE_O_TRACEVFORKDONE;

export interface SoftwareHit {
  readonly tid: number;
  readonly address: bigint;
  readonly seen: SeenStop | undefined;
  /** How the thread goes on behind the instruction at the address without running it: what slot 0 has is changed to that. */
  readonly goOn: () => GoOn | undefined;
}

export interface SoftwareMeans {
  readonly tracees: Tracees;
  readonly slots: RegisterSlots;
  /** Takes any stop, and lets the thread run on. */
  readonly handle: (stop: Stop) => void;
  /** What the wait has read of a thread, into slot 0 as well. */
  readonly seen: (tid: number) => SeenStop | undefined;
  /** A thread stands at an address, its registers in slot 0; breakpoints may be taken away meanwhile. True when it is let go later, as `goOn` said. */
  readonly hit: (hit: SoftwareHit) => boolean;
  /** The breakpoints cannot stay. */
  readonly fail: (detail: string) => void;
}

export class SoftwareTracing implements Disposable {
  readonly breakpoints: SoftwareBreakpoints;
  readonly #means: SoftwareMeans;
  readonly #tracees: Tracees;
  readonly #stack = new WordWriter();
  /** Threads whose step has not ended in time. */
  readonly #late = new Set<number>();
  /** Threads whose vfork child shares the memory now. */
  readonly #vforking = new Set<number>();
  /** Threads that took a signal at a breakpoint and will come back to it: not another hit. */
  readonly #returning = new Map<number, { readonly address: bigint; readonly sp: bigint }>();

  constructor(pid: number, journal: string, means: SoftwareMeans) {
    this.#means = means;
    this.#tracees = means.tracees;
    this.breakpoints = new SoftwareBreakpoints(pid, new Journal(journal));
  }

  /** Gives threads that were seized for less the options that children need. They stop for it. */
  widenOptions(): void {
    if (this.#tracees.options === softwareOptions) return;
    const narrow = this.#tracees.options;
    const before = [...this.#tracees.tids];
    this.#tracees.options = softwareOptions;
    this.#tracees.stopAll(before, deadline());
    const widened = before.filter(
      (tid) => this.#tracees.stops.has(tid) && setOptions(tid, softwareOptions) === undefined,
    );
    const all = before.filter((tid) => this.#tracees.tids.has(tid)).length;
    this.releaseOthers();
    if (widened.length >= all) return;
    // A child of a thread without the options would keep patched memory, and die of it.
    this.#tracees.options = narrow;
    throw new StillframeError(
      'unsupported',
      `cannot set software breakpoints in process ${this.#tracees.pid}: ${all - widened.length} of its threads did not stop in time`,
      { detail: { pid: this.#tracees.pid } },
    );
  }

  /** Where a thread really is: the program counter of a trap of ours lies behind the breakpoint. */
  correct(stop: Stop, registers: Buffer): void {
    if (stop.event !== 0 || stop.signal !== SIGTRAP) return;
    const address = readUserRegister(registers, 'rip') - 1n;
    if (!this.breakpoints.owns(address) || getSignalInfo(stop.tid)?.code !== SI_KERNEL) return;
    registers.writeBigUInt64LE(address, userRegisterOffset('rip'));
  }

  /** Whether threads will come back to a breakpoint that they have hit already. */
  get isReturning(): boolean {
    return this.#returning.size > 0;
  }

  /** Takes the stop if it is a matter of software breakpoints. */
  take(stop: Stop): boolean {
    if (stop.event === 0 && stop.signal === SIGTRAP) return this.#trapped(stop);
    // The child's memory is there by now, and the child has not run yet.
    if (stop.event === PTRACE_EVENT_FORK) this.restoreIn(Number(getEventMessage(stop.tid) ?? 0n));
    else if (stop.event === PTRACE_EVENT_VFORK) this.#vforked(stop.tid);
    else if (stop.event === PTRACE_EVENT_VFORK_DONE) this.#vforkDone(stop.tid);
    else if (stop.event === PTRACE_EVENT_CLONE) this.#cloned(stop);
    return false;
  }

  #vforked(tid: number): void {
    this.#vforking.add(tid);
    this.breakpoints.suspend();
  }

  #vforkDone(tid: number): void {
    this.#vforking.delete(tid);
    if (this.#vforking.size === 0) this.breakpoints.resume();
  }

  /** A child that inherited patched memory gets it back as it was, before it is let go. */
  restoreIn(child: number): void {
    try {
      if (child > 0) this.breakpoints.restoreIn(child);
    } catch {
      // It is gone, and its memory with it.
    }
  }

  /** A process that shares the memory for good cannot be let go while there are breakpoints in it. */
  #cloned(stop: Stop): void {
    const child = Number(getEventMessage(stop.tid) ?? 0n);
    try {
      if (child === 0 || readStatus(child).tgid === this.#tracees.pid) return;
    } catch {
      return;
    }
    if (sharesMemory(this.#tracees.pid, child) === false) {
      this.restoreIn(child);
      return;
    }
    this.#means.fail(`process ${child} may share the memory of process ${this.#tracees.pid}`);
  }

  #trapped(stop: Stop): boolean {
    const { tid } = stop;
    const { slots } = this.#means;
    const seen = this.#means.seen(tid);
    const code = (seen === undefined ? getSignalInfo(tid) : seen.info)?.code;
    if (code === TRAP_TRACE && this.#late.delete(tid)) {
      this.#tracees.release({ ...stop, signal: 0 });
      return true;
    }
    if (code !== SI_KERNEL || !(seen?.registers ?? slots.readGeneral(ownSlot, tid))) return false;
    const registers = slots.registers(ownSlot);
    if (registers === undefined) return false;
    const address = readUserRegister(registers, 'rip') - 1n;
    if (!this.breakpoints.owns(address)) return false;
    registers.writeBigUInt64LE(address, userRegisterOffset('rip'));
    const returning = this.#returning.get(tid);
    this.#returning.delete(tid);
    const again = returning?.address === address && returning.sp === readUserRegister(registers, 'rsp');
    const goOn = (): GoOn | undefined => this.#emulate(tid, address);
    const isHeld = !again && this.breakpoints.has(address) && this.#means.hit({ tid, address, seen, goOn });
    if (!isHeld) this.#pass(tid, address);
    return true;
  }

  /** Lets a thread go on from an address whose registers are in slot 0. */
  #pass(tid: number, address: bigint): void {
    const isThere = this.breakpoints.has(address);
    const goOn = isThere ? this.#emulate(tid, address) : undefined;
    if (goOn !== undefined && !this.#goOn(goOn)) {
      this.goOnItself(goOn);
      return;
    }
    if (goOn === undefined) this.#writeRegisters(tid);
    if (isThere && goOn === undefined) this.#stepOver(tid, address);
    else this.#tracees.release({ tid, kind: 'stopped', signal: 0, event: 0 });
  }

  #writeRegisters(tid: number): boolean {
    const buffer = this.#means.slots.general(ownSlot);
    return buffer !== undefined && setRegisterSet(tid, NT_PRSTATUS, buffer, userRegistersBytes) === undefined;
  }

  /**
   * Does what the instruction at the breakpoint would do, where it is one of those that points are put on: then the breakpoint stays, and nobody else
   * stands still. Changes what slot 0 has, and nothing else; gives undefined, and changes nothing, where the thread has to run it.
   */
  #emulate(tid: number, address: bigint): GoOn | undefined {
    const registers = this.#means.slots.registers(ownSlot);
    const emulation = this.breakpoints.emulationAt(address);
    if (registers === undefined || emulation === undefined) return undefined;
    if (readUserRegister(registers, 'rip') !== address) return undefined;
    // Who steps itself expects a trap behind each instruction.
    if ((readUserRegister(registers, 'eflags') & flag.trap) !== 0n) return undefined;
    const done = runEmulation(emulation, registers);
    const before: [UserRegisterName, bigint][] = [];
    const set = (name: UserRegisterName, value: bigint): void => {
      before.push([name, readUserRegister(registers, name)]);
      registers.writeBigUInt64LE(BigInt.asUintN(64, value), userRegisterOffset(name));
    };
    set('rip', done.rip);
    if (done.eflags !== undefined) set('eflags', done.eflags);
    if (done.set !== undefined) set(done.set.register, done.set.value);
    if (done.pushed === undefined) return { tid, registers: true, before };
    set('rsp', readUserRegister(registers, 'rsp') - wordBytes);
    const pushed = { address: readUserRegister(registers, 'rsp'), value: done.pushed };
    return { tid, registers: true, before, pushed };
  }

  /** The same as a wait does with the thread. Killed between both, this has changed what is below the stack pointer and no more: the thread will push there itself. */
  #goOn({ tid, pushed }: GoOn): boolean {
    if (pushed !== undefined && !this.#stack.write(this.#tracees.pid, pushed.address, pushed.value)) {
      return false;
    }
    return this.#writeRegisters(tid);
  }

  /** What {@link SoftwareHit.goOn} said could not be done, and slot 0 has it still: the thread runs the instruction after all. */
  goOnItself({ tid, before }: GoOn): void {
    const registers = this.#means.slots.registers(ownSlot);
    if (registers === undefined || before === undefined) return;
    for (const [name, value] of before) registers.writeBigUInt64LE(value, userRegisterOffset(name));
    this.#writeRegisters(tid);
    this.#stepOver(tid, readUserRegister(registers, 'rip'));
  }

  /**
   * Runs the one instruction at the breakpoint in this thread, while all others stand still; they stay so until {@link releaseOthers}.
   * Bounded by `maxStopMs`.
   */
  #stepOver(tid: number, address: bigint): void {
    const deadlineNs = deadline();
    const tracees = this.#tracees;
    const others = [...tracees.tids].filter((other) => other !== tid);
    tracees.stopAll(others, process.hrtime.bigint() + stepStopNs);
    this.breakpoints.lift(address);
    singleStep(tid, 0);
    for (let turn = 0; !tracees.poll(tid) && process.hrtime.bigint() < deadlineNs; turn++) napBetween(turn);
    this.breakpoints.lower(address);
    const stop = tracees.stops.get(tid);
    if (stop === undefined) {
      // Its step is still to come: it may run into the breakpoint once more, and that is not another hit.
      if (tracees.tids.has(tid)) this.#late.add(tid);
      const registers = this.#means.slots.registers(ownSlot);
      if (registers !== undefined) {
        this.#returning.set(tid, { address, sp: readUserRegister(registers, 'rsp') });
      }
    } else if (stop.event === 0 && stop.signal === SIGTRAP && getSignalInfo(tid)?.code === TRAP_TRACE) {
      tracees.release({ ...stop, signal: 0 });
    } else {
      // A signal came first. It stays where it is, and will pass the breakpoint when the signal has been taken.
      this.#willReturn(tid, address);
    }
  }

  #willReturn(tid: number, address: bigint): void {
    const { slots } = this.#means;
    const registers = slots.readGeneral(ownSlot, tid) ? slots.registers(ownSlot) : undefined;
    if (registers === undefined || readUserRegister(registers, 'rip') !== address) return;
    this.#returning.set(tid, { address, sp: readUserRegister(registers, 'rsp') });
  }

  /** Lets all threads run that were stopped for a step. Those that stand at a breakpoint themselves are stepped first. */
  releaseOthers(): void {
    const { stops } = this.#tracees;
    if (stops.size === 0) return;
    const traps = [...stops.values()].filter((stop) => stop.event === 0 && stop.signal === SIGTRAP);
    for (const stop of traps) {
      stops.delete(stop.tid);
      this.#means.handle(stop);
    }
    const held = [...stops.values()];
    for (const stop of held) {
      stops.delete(stop.tid);
      this.#means.handle(stop);
    }
  }

  /** Takes all breakpoints away, and every thread from the trap that it may have run into just before. */
  [Symbol.dispose](): void {
    this.breakpoints[Symbol.dispose]();
    this.#tracees.stopAll([...this.#tracees.tids], deadline());
    this.releaseOthers();
    this.#stack[Symbol.dispose]();
  }
}

function deadline(): bigint {
  return process.hrtime.bigint() + BigInt(defaultLimits.maxStopMs) * nsPerMs;
}
