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
import { readStatus, readThreadStat, readThreadStatus } from '../../linux/proc.js';
import {
  NT_PRSTATUS,
  PTRACE_EVENT_CLONE,
  PTRACE_EVENT_FORK,
  PTRACE_EVENT_STOP,
  PTRACE_EVENT_VFORK,
  PTRACE_EVENT_VFORK_DONE,
  PTRACE_O_TRACECLONE,
  PTRACE_O_TRACEEXEC,
  PTRACE_O_TRACEFORK,
  PTRACE_O_TRACEVFORK,
  PTRACE_O_TRACEVFORKDONE,
  getEventMessage,
  getSignalInfo,
  mayHaveShadowStack,
  setOptions,
  setRegisterSet,
  sharesMemory,
  singleStep,
  napBetween,
} from '../../linux/ptrace.js';
import { Urgency } from '../../linux/urgency.js';
import { WordWriter } from '../../linux/word-writer.js';
import { Journal } from './journal.js';
import type { RegisterSlots } from './registers.js';
import { SoftwareBreakpoints } from './software-breakpoints.js';
import type { GoOn, SeenStop } from './stop-wait.js';
import { type Stop, type Tracees, isTrap } from './tracees.js';

const SIGTRAP = 5;
/** si_code of the trap of an `int3`, and of a single step. */
const SI_KERNEL = 0x80;
const TRAP_TRACE = 2;
const trapBit = 1n << BigInt(SIGTRAP - 1);
const nsPerMs = 1_000_000n;
/** How long threads are waited for that may be before a trap: for want of a processor, and in uninterruptible calls, which come by no breakpoint. */
const certainNs = 10_000n * nsPerMs;
const uninterruptibleNs = 1000n * nsPerMs;
const wordBytes = 8n;
/**
 * How long others are waited for before a step. Once asked to stop, a thread runs no more code of the program than until an interrupt reaches
 * its processor; one that has not reported by then is inside of the kernel, and stops before it leaves.
 */
const stepStopNs = 500_000n;
/** The slot of registers of the thread that is handled, and the one for a glance at any. */
const ownSlot = 0;
const otherSlot = 1;

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
  readonly letGo: (stop: Stop) => void;
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
  /** Threads whose step has not been told of yet: the trap of it may be on its way behind another stop, and nobody else may get it. */
  readonly #stepping = new Set<number>();
  /** Threads whose vfork child shares the memory now. */
  readonly #vforking = new Set<number>();
  /** Threads that will come back to the breakpoint that they stand at: not another hit. */
  readonly #returning = new Map<number, { readonly address: bigint; readonly sp: bigint }>();

  constructor(pid: number, journal: string, means: SoftwareMeans) {
    this.#means = means;
    this.#tracees = means.tracees;
    this.breakpoints = new SoftwareBreakpoints(pid, new Journal(journal));
  }

  /** Gives threads that were seized for less the options that children need. Each stops for it, none waits for others. */
  widenOptions(): void {
    const { options: narrow, tids } = this.#tracees;
    if (narrow === softwareOptions) return;
    const missing = new Set(tids);
    this.#tracees.options = softwareOptions;
    this.#tracees.stopEach([...tids], deadline(), (stop) => {
      if (setOptions(stop.tid, softwareOptions) === undefined) missing.delete(stop.tid);
      this.#means.letGo(stop);
    });
    const left = [...missing].filter((tid) => tids.has(tid)).length;
    if (left === 0) return;
    // A child of a thread without the options would keep patched memory, and die of it.
    this.#tracees.options = narrow;
    throw new StillframeError(
      'unsupported',
      `cannot set software breakpoints in process ${this.#tracees.pid}: ${left} of its threads did not stop in time`,
      { detail: { pid: this.#tracees.pid } },
    );
  }

  /** Where a thread really is: the program counter of a trap of ours lies behind the breakpoint, and that of a copied instruction elsewhere. */
  correct(stop: Stop | undefined, registers: Buffer): void {
    const origin = this.breakpoints.displaced.originOf(readUserRegister(registers, 'rip'));
    if (origin !== undefined) registers.writeBigUInt64LE(origin.pc, userRegisterOffset('rip'));
    // A thread that stands at a trap is let go by nobody else.
    if (origin !== undefined || stop === undefined) return;
    const address = readUserRegister(registers, 'rip') - 1n;
    if (!this.breakpoints.owns(address)) return;
    const isOurs = isTrap(stop)
      ? getSignalInfo(stop.tid)?.code === SI_KERNEL
      : hasTrapPending(this.#tracees.pid, stop.tid);
    if (isOurs) registers.writeBigUInt64LE(address, userRegisterOffset('rip'));
  }

  /** Whether threads will come back to a breakpoint that they have hit already. */
  get isReturning(): boolean {
    return this.#returning.size > 0;
  }

  /** Takes the stop if it is a matter of software breakpoints. */
  take(stop: Stop): boolean {
    if (isTrap(stop) && this.#trapped(stop)) return true;
    this.#takeBack(stop.tid);
    if (stop.event === PTRACE_EVENT_VFORK) this.#vforked(stop.tid);
    else if (stop.event === PTRACE_EVENT_VFORK_DONE) this.#vforkDone(stop.tid);
    else if (stop.event === PTRACE_EVENT_FORK || stop.event === PTRACE_EVENT_CLONE) this.#cloned(stop);
    return false;
  }

  /** A thread that stands still in a copy of an instruction, maybe to get a signal: handlers, and whoever else looks, find it where it would be. */
  #takeBack(tid: number): void {
    const { displaced } = this.breakpoints;
    const { slots } = this.#means;
    if (displaced.isEmpty || !slots.readGeneral(otherSlot, tid)) return;
    const [registers, buffer] = [slots.registers(otherSlot), slots.general(otherSlot)];
    if (registers === undefined || buffer === undefined) return;
    const origin = displaced.originOf(readUserRegister(registers, 'rip'));
    if (origin === undefined) return;
    registers.writeBigUInt64LE(origin.pc, userRegisterOffset('rip'));
    setRegisterSet(tid, NT_PRSTATUS, buffer, userRegistersBytes);
    if (!origin.isBefore || !this.breakpoints.has(origin.pc)) return;
    this.#returning.set(tid, { address: origin.pc, sp: readUserRegister(registers, 'rsp') });
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

  /** The child's memory is there by now, and the child has not run yet. One that shares it for good cannot be let go while there are breakpoints in it. */
  #cloned(stop: Stop): void {
    const child = Number(getEventMessage(stop.tid) ?? 0n);
    try {
      if (child === 0 || readStatus(child).tgid === this.#tracees.pid) return;
    } catch {
      return;
    }
    // fork(2) has memory of its own; so may clone(2) with its signal.
    const isShared = sharesMemory(this.#tracees.pid, child) ?? stop.event === PTRACE_EVENT_CLONE;
    if (isShared) this.#means.fail(`process ${child} may share the memory of process ${this.#tracees.pid}`);
    else this.restoreIn(child);
  }

  #trapped(stop: Stop): boolean {
    const { tid } = stop;
    const { slots } = this.#means;
    const seen = this.#means.seen(tid);
    const code = (seen === undefined ? getSignalInfo(tid) : seen.info)?.code;
    if (code === TRAP_TRACE && this.#stepping.has(tid)) {
      this.#stepped(stop);
      return true;
    }
    if (code !== SI_KERNEL || !(seen?.registers ?? slots.readGeneral(ownSlot, tid))) return false;
    const registers = slots.registers(ownSlot);
    if (registers === undefined) return false;
    const address = readUserRegister(registers, 'rip') - 1n;
    if (!this.breakpoints.owns(address)) return false;
    registers.writeBigUInt64LE(address, userRegisterOffset('rip'));
    const again = this.#comesBack(tid, address, readUserRegister(registers, 'rsp'));
    const goOn = (): GoOn | undefined => this.#emulate(tid, address);
    const isHeld = !again && this.breakpoints.has(address) && this.#means.hit({ tid, address, seen, goOn });
    if (!isHeld) this.#pass(tid, address);
    return true;
  }

  /** Lets a thread go on from an address whose registers are in slot 0. */
  #pass(tid: number, address: bigint): void {
    const isThere = this.breakpoints.has(address);
    const goOn = isThere ? this.#emulate(tid, address) : undefined;
    if (goOn !== undefined) {
      this.goOn(goOn);
      return;
    }
    this.#writeRegisters(tid);
    if (isThere) this.#stepOver(tid, address);
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
    const glance = this.#means.slots.general(otherSlot);
    if (emulation.returns !== undefined && (glance === undefined || mayHaveShadowStack(tid, glance))) {
      return undefined;
    }
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

  /** Lets the thread go on as {@link SoftwareHit.goOn} said, whose registers slot 0 has still. */
  goOn(goOn: GoOn): void {
    if (this.#carryOut(goOn)) this.#tracees.release({ tid: goOn.tid, kind: 'stopped', signal: 0, event: 0 });
    else this.goOnItself(goOn);
  }

  /** The same as a wait does with the thread. Killed between both, this has changed what is below the stack pointer and no more: the thread will push there itself. */
  #carryOut({ tid, pushed }: GoOn): boolean {
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

  /** Whether the thread has been at the breakpoint before, and took a signal instead of passing it. */
  #comesBack(tid: number, address: bigint, sp: bigint): boolean {
    const returning = this.#returning.get(tid);
    if (returning === undefined) return false;
    const again = returning.address === address && returning.sp === sp;
    // Further down the stack a handler runs, and the thread will still come back.
    if (again || sp >= returning.sp) this.#returning.delete(tid);
    return again;
  }

  /**
   * Runs the one instruction at the breakpoint in this thread, while all others stand still, for `maxStopMs` at most. They, and this one where something
   * else came first, are in the tracees' stops afterwards.
   */
  #stepOver(tid: number, address: bigint): void {
    using _urgency = new Urgency();
    const tracees = this.#tracees;
    const deadlineNs = deadline();
    const registers = this.#means.slots.registers(ownSlot);
    // Until it is known to have passed.
    if (registers !== undefined) {
      this.#returning.set(tid, { address, sp: readUserRegister(registers, 'rsp') });
    }
    const others = [...tracees.tids].filter((other) => other !== tid);
    tracees.stopAll(others, process.hrtime.bigint() + stepStopNs);
    this.breakpoints.lift(address);
    const stop = this.#step(tid, address, deadlineNs);
    this.breakpoints.lower(address);
    if (stop === undefined || !isStep(stop)) return;
    tracees.stops.delete(tid);
    this.#stepped(stop);
  }

  /** The stop that it ended with; undefined when there was none in time. What repeats itself (`rep movsb`) is a step each time. */
  #step(tid: number, address: bigint, deadlineNs: bigint): Stop | undefined {
    const { stops } = this.#tracees;
    this.#stepping.add(tid);
    for (;;) {
      singleStep(tid, 0);
      for (let turn = 0; !this.#tracees.poll(tid) && process.hrtime.bigint() < deadlineNs; turn++) {
        napBetween(turn);
      }
      const stop = stops.get(tid);
      // It was told to stop for the step of another when it stood here already.
      const isPlain = stop?.event === PTRACE_EVENT_STOP && stop.signal === SIGTRAP;
      const goesOn = isPlain || (stop !== undefined && isStep(stop) && this.#isAt(tid, address));
      if (!goesOn || process.hrtime.bigint() >= deadlineNs) return stop;
      stops.delete(tid);
    }
  }

  #isAt(tid: number, address: bigint | undefined): boolean {
    const { slots } = this.#means;
    const registers = slots.readGeneral(ownSlot, tid) ? slots.registers(ownSlot) : undefined;
    return registers !== undefined && readUserRegister(registers, 'rip') === address;
  }

  /** A step has ended. What repeats itself may still be at the breakpoint. */
  #stepped(stop: Stop): void {
    const { tid } = stop;
    this.#stepping.delete(tid);
    if (!this.#isAt(tid, this.#returning.get(tid)?.address)) this.#returning.delete(tid);
    this.#tracees.release({ ...stop, signal: 0 });
  }

  /** What is known of a thread that ended, or of all when there is another program. */
  forget(tid: number): void {
    this.#stepping.delete(tid);
    this.#returning.delete(tid);
    if (this.#vforking.has(tid)) this.#vforkDone(tid);
  }

  /**
   * Takes all breakpoints away, and every thread from the trap that it may have run into just before. A trap that is on its way when nobody traces the
   * thread any more would kill the process, so each is waited for until it is certain; only a thread that stands at a trap stands still meanwhile.
   */
  [Symbol.dispose](): void {
    const { breakpoints } = this;
    breakpoints.remove(breakpoints.addresses);
    const isCertain = this.#awaitTraps();
    // None of them is in a copy any more: it was taken back when it was looked at.
    if (isCertain) breakpoints.displaced.erase();
    breakpoints[Symbol.dispose]();
    this.#stack[Symbol.dispose]();
  }

  /** True when each thread has been seen to stand still with no trap on its way. */
  #awaitTraps(): boolean {
    const { tids } = this.#tracees;
    const beganNs = process.hrtime.bigint();
    let uncertain = [...tids];
    let passedOver = 0;
    while (uncertain.length > 0 && process.hrtime.bigint() - beganNs < certainNs) {
      const isLong = process.hrtime.bigint() - beganNs > uninterruptibleNs;
      const there = uncertain.filter((tid) => tids.has(tid));
      uncertain = there.filter((tid) => !(isLong && this.#isUninterruptible(tid)));
      passedOver += there.length - uncertain.length;
      const certain = new Set<number>();
      this.#tracees.stopEach(uncertain, deadline(), (stop) => {
        if (isTrap(stop) || !hasTrapPending(this.#tracees.pid, stop.tid)) certain.add(stop.tid);
        this.#means.letGo(stop);
      });
      uncertain = uncertain.filter((tid) => !certain.has(tid));
    }
    return uncertain.length + passedOver === 0;
  }

  #isUninterruptible(tid: number): boolean {
    try {
      return readThreadStat(this.#tracees.pid, tid).state === 'D';
    } catch {
      return true;
    }
  }
}

function isStep(stop: Stop): boolean {
  return isTrap(stop) && getSignalInfo(stop.tid)?.code === TRAP_TRACE;
}

/** Whether SIGTRAP is on its way behind the stop of the thread. */
function hasTrapPending(pid: number, tid: number): boolean {
  try {
    return (readThreadStatus(pid, tid).signalsPending & trapBit) !== 0n;
  } catch {
    // It is gone.
    return false;
  }
}

function deadline(): bigint {
  return process.hrtime.bigint() + BigInt(defaultLimits.maxStopMs) * nsPerMs;
}
