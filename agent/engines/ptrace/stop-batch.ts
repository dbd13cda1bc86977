/**
 * The usual stop of all threads as one batch of calls, laid out before the first of them stops: interrupt, wait, registers, stacks, let go. What is
 * out of the ordinary (a thread that takes long, new threads, signals, group-stops, seccomp) ends it or is left alone: the caller sees by
 * {@link StopBatch.taken} how far it came with each thread, and does the rest.
 */
import { userRegisterOffset } from '../../../format/registers/x86-64.js';
import { CallBatch, Label, notMade } from '../../linux/call-batch.js';
import { Arena } from '../../linux/mmap.js';
import {
  NT_PRSTATUS,
  NT_X86_XSTATE,
  PTRACE_EVENT_STOP,
  type RegisterBuffer,
  encodeStop,
} from '../../linux/ptrace.js';
import {
  type GoOn,
  clockCall,
  filterLengthCall,
  goOnCall,
  interruptCall,
  linksWord,
  interrupted,
  notValid,
  readCall,
  registersCall,
  setRegistersCall,
  sleepCall,
  statCall,
  statWords,
  waitCall,
} from '../../linux/stop-calls.js';
import type { WaitLimit } from '../../linux/wait-limit.js';
import { redZoneBytes } from '../stack-window.js';
import { EINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK, restartable } from './interrupted-call.js';
import type { RegisterSlots } from './registers.js';
import type { Stop } from './tracees.js';

const SIGTRAP = 5;
/** Of a thread that stopped because it was told to, and for nothing else. */
const plainStop = BigInt(encodeStop({ signal: SIGTRAP, event: PTRACE_EVENT_STOP }));
/** How often a wait is ended to look at the clock. */
const limitNs = 200_000n;
/** Who has just slept is not sent from the processor for others that wait for it: nobody stands still yet. */
const restNs = 50_000n;
/** In place of a status: a thread that is not waited for any more. */
const givenUp = -1n;
const nsPerSecond = 1_000_000_000n;
const pageMask = ~0xfffn;
const wordBytes = 8n;
/** Room for the records and the words of data of each thread, and for those of all. */
const recordsEach = 50;
const recordsOfAll = 12;
const wordsEach = 9;
const wordsOfAll = statWords + 22;
/** Records of waiting: far more than there is time for. */
const stepsOfWaiting = 10_000;

export interface StopOptions {
  /** Of the threads that are stopped; threads that appear meanwhile go into the slots behind theirs. */
  readonly tids: readonly number[];
  readonly slots: RegisterSlots;
  /** Of the thread that makes the calls. */
  readonly limit: WaitLimit;
  /** Stack bytes of each thread. */
  readonly share: number;
  /** How plain stops end; they are left to the caller when undefined. */
  readonly goOn: GoOn | undefined;
  /** `/proc/PID/task` and how many threads are in it, to be sure of having all; undefined when not all are wanted. */
  readonly all: { readonly fd: number; readonly count: number } | undefined;
}

/** Where the data of a thread lies, and the records that are about it. */
interface Part {
  readonly status: bigint;
  readonly began: bigint;
  readonly ended: bigint;
  readonly local: bigint;
  readonly remote: bigint;
  readonly general: RegisterBuffer;
  readonly xstate: RegisterBuffer;
  /** Those that name the thread, and as which argument. */
  readonly naming: { readonly record: number; readonly argument: number }[];
  interruptRecord: number;
  generalRecord: number;
  xstateRecord: number;
  stackRecords: readonly number[];
  goOnRecord: number;
}

/** How far the batch came with a thread. */
export interface Taken {
  /** What wait4 said; undefined while it has not. */
  readonly status: number | undefined;
  /** It ended before it could be stopped. */
  readonly gone: boolean;
  readonly registers: boolean;
  /** Its stack, where one was asked for and there was time. */
  readonly stack: { readonly address: bigint; readonly length: number } | undefined;
  /** All that was asked for was read. */
  readonly whole: boolean;
  readonly letGo: boolean;
  /** CLOCK_MONOTONIC in nanoseconds; 0 where it was not this batch that began or ended the stop. */
  readonly beganNs: bigint;
  readonly endedNs: bigint;
}

export type Outcome = 'complete' | 'threads are missing' | 'threads appeared';

export class StopBatch implements Disposable {
  readonly #options: StopOptions;
  readonly #batch: CallBatch;
  readonly #limit: WaitLimit;
  readonly #stacks: Arena;
  readonly #parts: readonly Part[];
  readonly #patience: bigint;
  readonly #deadline: bigint;
  readonly #now: bigint;
  readonly #steps: number;
  readonly #waitFrom: number;
  readonly #readFrom: number;
  readonly #outcomes = new Map<number, Outcome>();

  constructor(options: StopOptions) {
    const { slots, tids, share } = options;
    this.#options = options;
    this.#limit = options.limit;
    const room = slots.count;
    this.#steps = recordsOfAll + room * recordsEach + stepsOfWaiting;
    this.#stacks = new Arena(Math.max(1, room * share), { populate: true });
    const batch = new CallBatch(recordsOfAll + room * recordsEach, wordsOfAll + room * wordsEach);
    this.#batch = batch;
    this.#patience = batch.reserve(2);
    this.#deadline = batch.reserve(2);
    this.#now = batch.reserve(2);
    this.#parts = Array.from({ length: room }, (_, i) => this.#reserve(i));
    this.#waitFrom = this.#addStops(this.#parts.slice(0, tids.length));
    this.#readFrom = this.#addReads();
    // Threads that appear are let go by the caller.
    const known = this.#parts.slice(0, tids.length);
    if (options.goOn !== undefined) this.#addReleases(known, options.goOn);
    this.#outcomes.set(batch.end(), 'complete');
    batch.seal();
    for (const [i, tid] of tids.entries()) this.setThread(i, tid);
  }

  setThread(index: number, tid: number): void {
    for (const { record, argument } of this.#parts[index]?.naming ?? []) {
      this.#batch.setArgument(record, argument, BigInt(tid));
    }
  }

  /** For {@link read}: a thread that the caller has found to stand still. */
  setStop(index: number, stop: Stop): void {
    const part = this.#parts[index];
    if (part !== undefined) this.#batch.write(part.status, BigInt(encodeStop(stop)));
  }

  /** Stops all, reads what is to be read, lets go. Times are those of CLOCK_MONOTONIC: until when threads are waited for, and when nothing more is read. */
  stop(patienceNs: bigint, deadlineNs: bigint): Outcome {
    this.#setTime(this.#deadline, deadlineNs);
    return this.#run(0, patienceNs);
  }

  /** Goes on after threads were missing. */
  goOn(patienceNs: bigint): Outcome {
    return this.#run(this.#waitFrom, patienceNs);
  }

  #run(from: number, patienceNs: bigint): Outcome {
    this.#setTime(this.#patience, patienceNs);
    // The batch may have ended anywhere, when it took too many steps.
    return this.#outcomes.get(this.#batch.run(from, this.#steps)) ?? 'threads are missing';
  }

  /** A thread that is not to be waited for any more. */
  giveUp(index: number): void {
    const part = this.#parts[index];
    if (part !== undefined) this.#batch.write(part.status, givenUp);
  }

  /** The same of threads that stand still already. */
  read(deadlineNs: bigint): void {
    this.#setTime(this.#deadline, deadlineNs);
    this.#batch.run(this.#readFrom, this.#steps);
  }

  taken(index: number): Taken | undefined {
    const part = this.#parts[index];
    if (part === undefined) return undefined;
    const batch = this.#batch;
    const lengths = part.stackRecords.map((record) => batch.result(record));
    const length = lengths.find((result) => result >= 0n) ?? 0n;
    const status = batch.read(part.status);
    const isMade = lengths.length > 0 && lengths[0] !== notMade;
    return {
      status: status > 0n ? Number(status) : undefined,
      gone: part.interruptRecord >= 0 && batch.result(part.interruptRecord) < 0n,
      registers: batch.result(part.generalRecord) === 0n,
      stack: isMade ? { address: batch.read(part.remote), length: Number(length) } : undefined,
      whole: batch.result(part.xstateRecord) !== notMade,
      letGo: part.goOnRecord >= 0 && batch.result(part.goOnRecord) !== notMade,
      beganNs: this.#time(part.began),
      endedNs: this.#time(part.ended),
    };
  }

  /** What was read of a thread's stack. A view: copy it. */
  stack(index: number, length: number): Buffer {
    const from = index * this.#options.share;
    return this.#stacks.bytes.subarray(from, from + length);
  }

  #reserve(index: number): Part {
    const batch = this.#batch;
    const { share, slots } = this.#options;
    const to = this.#stacks.address + BigInt(index * share);
    return {
      status: batch.reserve(1),
      began: batch.reserve(2),
      ended: batch.reserve(2),
      local: batch.reserve(2, to, BigInt(share)),
      remote: batch.reserve(2, 0n, BigInt(share)),
      ...slots.prepare(index),
      naming: [],
      interruptRecord: -1,
      generalRecord: -1,
      xstateRecord: -1,
      stackRecords: [],
      goOnRecord: -1,
    };
  }

  /** Where the thread is the first argument of wait4, and the second of ptrace. */
  #naming(part: Part, record: number, argument = 1): number {
    part.naming.push({ record, argument });
    return record;
  }

  /** Gives where waiting begins. */
  #addStops(parts: readonly Part[]): number {
    const batch = this.#batch;
    const [set, unset] = [batch.reserve(4, 0n, limitNs, 0n, limitNs), batch.reserve(4)];
    const missing = new Label();
    batch.call(sleepCall(batch.reserve(2, 0n, restNs)));
    batch.call(this.#limit.setCall(set));
    for (const part of parts) {
      batch.call(clockCall(part.began));
      part.interruptRecord = this.#naming(part, batch.call(interruptCall(0n)));
    }
    const waitFrom = batch.call(this.#limit.setCall(set));
    for (const part of parts) {
      const [again, next] = [new Label(), new Label()];
      // It ended.
      batch.compare({ at: batch.resultAddress(part.interruptRecord), value: 0n }, { negative: next });
      batch.compare({ at: part.status, value: 0n }, { negative: next, positive: next });
      batch.place(again);
      const wait = this.#naming(part, batch.call(waitCall(0n, part.status), { positive: next }), 0);
      batch.compare(
        { at: batch.resultAddress(wait), value: interrupted },
        { negative: next, positive: next },
      );
      this.#addClock(this.#patience, missing);
      batch.compare({ at: unset, value: 0n }, { zero: again });
      batch.place(next);
    }
    batch.call(this.#limit.setCall(unset));
    this.#addCount();
    const read = new Label();
    batch.compare({ at: unset, value: 0n }, { zero: read });
    batch.place(missing);
    batch.call(this.#limit.setCall(unset));
    this.#outcomes.set(batch.end(), 'threads are missing');
    batch.place(read);
    return waitFrom;
  }

  /** Goes to `late` when a time has come. */
  #addClock(time: bigint, late: Label): void {
    const batch = this.#batch;
    const early = new Label();
    batch.call(clockCall(this.#now));
    batch.compare({ at: this.#now, with: time }, { negative: early, positive: late });
    batch.compare({ at: this.#now + wordBytes, with: time + wordBytes }, { positive: late });
    batch.place(early);
  }

  /** All that were found stand still now, but somebody may have made another before. proc(5): the links of `task` are its threads, and two. */
  #addCount(): void {
    const { all } = this.#options;
    if (all === undefined) return;
    const batch = this.#batch;
    const stat = batch.reserve(statWords);
    const [changed, same] = [new Label(), new Label()];
    batch.call(statCall(all.fd, stat), { negative: changed });
    const links = stat + BigInt(linksWord) * wordBytes;
    batch.compare({ at: links, value: BigInt(all.count + 2) }, { zero: same });
    batch.place(changed);
    this.#outcomes.set(batch.end(), 'threads appeared');
    batch.place(same);
  }

  #addReads(): number {
    const batch = this.#batch;
    let first = -1;
    for (const part of this.#parts) {
      const next = new Label();
      const guard = this.#addStoppedOnly(part, next);
      if (first < 0) first = guard;
      this.#addClock(this.#deadline, next);
      const general = registersCall(0n, NT_PRSTATUS, part.general.iovecAddress);
      part.generalRecord = this.#naming(part, batch.call(general, { negative: next }));
      if (this.#options.share > 0) this.#addStack(part);
      const xstate = registersCall(0n, NT_X86_XSTATE, part.xstate.iovecAddress);
      part.xstateRecord = this.#naming(part, batch.call(xstate));
      batch.place(next);
    }
    return first;
  }

  #addStoppedOnly(part: Part, otherwise: Label): number {
    return this.#batch.compare(
      { at: part.status, mask: 0xffn, value: 0x7fn },
      { negative: otherwise, positive: otherwise },
    );
  }

  /** From the red zone on, or, where that lies outside of the stack, from the page of the stack pointer on. */
  #addStack(part: Part): void {
    const batch = this.#batch;
    const done = new Label();
    const sp = part.general.address + BigInt(userRegisterOffset('rsp'));
    const read = readCall(0n, part.local, part.remote);
    batch.copy({ to: part.remote, from: sp, add: -redZoneBytes });
    const whole = this.#naming(part, batch.call(read, { zero: done, positive: done }), 0);
    batch.copy({ to: part.remote, from: sp, mask: pageMask });
    part.stackRecords = [whole, this.#naming(part, batch.call(read), 0)];
    batch.place(done);
  }

  /** As `restartInterrupted` of interrupted-call.ts does. Threads for which it would have to look at seccomp filters are left alone. */
  #addReleases(parts: readonly Part[], how: GoOn): void {
    const batch = this.#batch;
    const restart = batch.reserve(1, -ERESTARTNOHAND);
    const saved = batch.reserve(1);
    for (const part of parts) {
      const [next, anew, block, go] = [new Label(), new Label(), new Label(), new Label()];
      const register = (name: 'rax' | 'orig_rax'): bigint =>
        part.general.address + BigInt(userRegisterOffset(name));
      batch.compare({ at: part.status, value: plainStop }, { negative: next, positive: next });
      batch.compare({ at: batch.resultAddress(part.generalRecord), value: 0n }, { negative: next });
      batch.compare({ at: register('rax'), value: -EINTR }, { negative: block, positive: block });
      for (const call of restartable) {
        batch.compare({ at: register('orig_rax'), value: call }, { zero: anew });
      }
      batch.compare({ at: register('rax'), value: -EINTR }, { zero: go });
      batch.place(block);
      batch.compare({ at: register('rax'), value: -ERESTART_RESTARTBLOCK }, { negative: go, positive: go });
      batch.compare({ at: register('orig_rax'), value: 0n }, { negative: go });
      const filter = this.#naming(part, batch.call(filterLengthCall(0n)));
      batch.compare(
        { at: batch.resultAddress(filter), value: notValid },
        { negative: next, zero: go, positive: next },
      );
      batch.place(anew);
      batch.copy({ to: saved, from: register('rax') });
      batch.copy({ to: register('rax'), from: restart });
      this.#naming(part, batch.call(setRegistersCall(0n, NT_PRSTATUS, part.general.iovecAddress)));
      batch.copy({ to: register('rax'), from: saved });
      batch.place(go);
      part.goOnRecord = this.#naming(part, batch.call(goOnCall(how, 0n)));
      batch.call(clockCall(part.ended));
      batch.place(next);
    }
  }

  #setTime(time: bigint, ns: bigint): void {
    this.#batch.write(time, ns / nsPerSecond);
    this.#batch.write(time + wordBytes, ns % nsPerSecond);
  }

  #time(time: bigint): bigint {
    return this.#batch.read(time) * nsPerSecond + this.#batch.read(time + wordBytes);
  }

  [Symbol.dispose](): void {
    this.#batch[Symbol.dispose]();
    this.#stacks[Symbol.dispose]();
  }
}
