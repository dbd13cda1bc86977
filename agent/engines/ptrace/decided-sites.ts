/**
 * Hits that a list of calls takes by itself, while the thread stands still: those whose condition is false (condition-records.ts), that are only counted, or that come too soon after the last. It counts them, lets the
 * thread go, and waits for the next stop. Of one that brings something it reads all of that (capture-records.ts), lets the thread go, and ends. Whatever else a stop may be is left to TypeScript, as if nothing had been looked at.
 */
import type { CapturedThread } from '../../../format/capture.js';
import { type UserRegisterName, userRegisterOffset } from '../../../format/registers/x86-64.js';
import { flag } from '../../../format/x86-64/register-operation.js';
import { type BatchCall, type CallBatch, Label } from '../../linux/call-batch.js';
import { NT_PRSTATUS, type RegisterBuffer, encodeStop, siginfoOffsets } from '../../linux/ptrace.js';
import {
  addCallOf,
  clockCall,
  goOnCall,
  registersCall,
  setRegistersCall,
  writeCall,
} from '../../linux/stop-calls.js';
import {
  type CapturePlace,
  type CaptureRecords,
  CaptureRoom,
  addCapture,
  roomOfCapture,
} from './capture-records.js';
import type { CaptureSteps } from './capture-steps.js';
import { type KeptReads, addCondition, always, recordsOfStep, wordsOfStep } from './condition-records.js';
import type { ConditionSteps } from './condition-steps.js';
import { TakenMemory, takeReads } from './taken-memory.js';

/** How a thread at a software breakpoint goes on without running the instruction. */
export interface Passing {
  readonly advance: bigint;
  readonly pushes?: UserRegisterName;
  /** A register becomes the sum of another and a constant, of so many bits. */
  readonly sets?: {
    readonly to: UserRegisterName;
    readonly bits: 32 | 64;
    readonly base: UserRegisterName | undefined;
    readonly constant: bigint;
  };
}

export interface Signalling {
  readonly signal: number;
  readonly descriptors: () => readonly number[];
}

export interface DecidedSite {
  readonly address: bigint;
  /** Of runtime addresses over link addresses. */
  readonly bias: bigint;
  /** Undefined: every passing is a hit. */
  readonly condition: ConditionSteps | undefined;
  /** What hits bring; undefined where they are only counted. */
  readonly brings: BroughtHits | undefined;
  /** By which signal threads stop here, and the descriptors that it comes from. */
  readonly by: Signalling | Passing;
  /** Told of what has been decided, and of hits that were captured. */
  readonly count: (counted: DecidedCounts) => void;
}

export interface BroughtHits {
  /** Undefined: they are left to TypeScript but for those that come too soon. */
  readonly capture: CaptureSteps | undefined;
  /** When the next may come, by CLOCK_MONOTONIC. */
  readonly notBeforeNs: () => bigint;
  /** Takes what was read of a hit, which is counted already. The thread runs again. */
  readonly take: (hit: ListedHit) => void;
}

export interface DecidedCounts {
  readonly hits: bigint;
  readonly conditionFalse: bigint;
  readonly limited: bigint;
  readonly stoppedNs: bigint;
}

/** A hit as it was read while the thread stood still. All are copies. */
export interface ListedHit {
  readonly tid: number;
  /** CLOCK_MONOTONIC. */
  readonly stoppedAtNs: bigint;
  readonly stoppedNs: bigint;
  readonly registers: Pick<CapturedThread, 'registers' | 'fpRegisters' | 'xstate'>;
  readonly memory: TakenMemory;
  /** As much of the stack window as there is. */
  readonly stack: { readonly address: bigint; readonly bytes: Uint8Array };
}

/** Words and labels of the list that sites are a part of. */
export interface DecidingPlace {
  readonly tid: bigint;
  readonly status: bigint;
  /** `siginfo_t`. */
  readonly info: bigint;
  readonly general: RegisterBuffer;
  /** When it stopped, a `struct timespec`. */
  readonly stopped: bigint;
  /** Where it goes on when a thread has been let go, and when what it brought has been read besides. */
  readonly again: Label;
  readonly captured: Label;
  /** Not decided; the registers are those of the stop. */
  readonly undecided: Label;
}

export const maxDecidedSites = 16;
/** Threads beyond these are decided in TypeScript. */
const maxDescriptors = 64;
const wordBytes = 8n;
const trapStop = BigInt(encodeStop({ signal: 5, event: 0 }));
/** si_code of an `int3`, and of a perf event (POLL_IN). */
const SI_KERNEL = 0x80n;
const POLL_IN = 1n;
const allBits = -1n;
const noDescriptor = -1;
const lowHalf = 0xffff_ffffn;
const recordsOfSite = 44 + maxDescriptors;
const wordsOfSite = 30 + maxDescriptors;
const nsPerSecond = 1_000_000_000n;
/** What became of a hit. */
const outcomes = { counted: 0n, conditionFalse: 1n, limited: 2n, captured: 3n };

/** Room that sites take in a batch. */
export function roomOf(sites: readonly DecidedSite[]): { records: number; words: number } {
  let [records, words] = [4, 3];
  for (const { condition, brings } of sites) {
    if (brings?.capture !== undefined) {
      const room = roomOfCapture(brings.capture);
      records += room.records;
      words += room.words;
    }
    const steps = condition?.steps.length ?? 0;
    records += recordsOfSite + steps * recordsOfStep;
    words += wordsOfSite + steps * wordsOfStep + (condition?.slots ?? 0);
  }
  return { records, words };
}

interface Counted {
  readonly site: DecidedSite;
  readonly hits: bigint;
  readonly conditionFalse: bigint;
  readonly limited: bigint;
  /** Seconds and nanoseconds, added up each for itself. */
  readonly stopped: bigint;
  /** The same, when the next that brings something may come. */
  readonly notBefore: bigint;
  notBeforeNs: bigint;
  readonly released: bigint;
  /** What is read, in the order in which the interpreter of plans reads. */
  readonly reads: KeptReads;
  records: CaptureRecords | undefined;
}

export class DecidedSites implements Disposable {
  readonly #batch: CallBatch;
  readonly #place: DecidingPlace;
  readonly #counted: readonly Counted[];
  readonly #room: CaptureRoom;
  /** The site whose hit was captured. */
  readonly #captured: bigint;
  readonly #outcome: bigint;
  /** Words with the descriptors of each signalling. */
  readonly #descriptors: { readonly of: Signalling; readonly words: bigint }[] = [];

  /** Adds records that are gone through when registers and signal of a thread have been read; who goes through them all is undecided. */
  constructor(batch: CallBatch, sites: readonly DecidedSite[], place: DecidingPlace) {
    this.#batch = batch;
    this.#place = place;
    const failed = new Label();
    this.#room = new CaptureRoom(sites.flatMap(({ brings }) => brings?.capture ?? []));
    this.#captured = batch.reserve(1);
    this.#outcome = batch.reserve(1);
    const stop = batch.reserve(1);
    this.#counted = sites.map((site, index) => {
      const counted: Counted = {
        site,
        hits: batch.reserve(1),
        conditionFalse: batch.reserve(1),
        limited: batch.reserve(1),
        stopped: batch.reserve(2),
        notBefore: batch.reserve(2),
        notBeforeNs: 0n,
        released: batch.reserve(2),
        reads: { stop, list: [] },
        records: undefined,
      };
      this.#add(counted, index, failed);
      return counted;
    });
    // The registers in the slot have been changed, and not the thread's.
    batch.compare({ at: place.tid, value: 0n }, { positive: place.undecided });
    batch.place(failed);
    this.refresh();
    this.#call(registersCall(0n, NT_PRSTATUS, place.general.iovecAddress));
  }

  /** To be called when threads have come or gone. */
  refresh(): void {
    for (const { of, words } of this.#descriptors) {
      const descriptors = of.descriptors();
      for (let i = 0; i < maxDescriptors; i++) {
        this.#batch.write(words + BigInt(i) * wordBytes, BigInt(descriptors[i] ?? noDescriptor));
      }
    }
  }

  /** To be called before a wait that may take hits. */
  prepare(): void {
    for (const counted of this.#counted) {
      const ns = counted.site.brings?.notBeforeNs() ?? 0n;
      if (ns === counted.notBeforeNs) continue;
      counted.notBeforeNs = ns;
      this.#batch.write(counted.notBefore, ns / nsPerSecond);
      this.#batch.write(counted.notBefore + wordBytes, ns % nsPerSecond);
    }
  }

  /** Tells of what has been decided since it was asked last. */
  tell(): void {
    for (const { site, hits, conditionFalse, limited, stopped } of this.#counted) {
      const count = this.#batch.read(hits);
      if (count === 0n) continue;
      site.count({
        hits: count,
        conditionFalse: this.#batch.read(conditionFalse),
        limited: this.#batch.read(limited),
        stoppedNs: this.#readTime(stopped),
      });
      for (const word of [hits, conditionFalse, limited, stopped, stopped + wordBytes]) {
        this.#batch.write(word, 0n);
      }
    }
  }

  /** Takes the hit that the list ended with, having read all that it brings. */
  take(): void {
    const batch = this.#batch;
    const counted = this.#counted[Number(batch.read(this.#captured))];
    if (counted?.site.brings === undefined || counted.records === undefined) return;
    const stoppedAtNs = this.#readTime(this.#place.stopped);
    counted.site.brings.take({
      tid: Number(batch.read(this.#place.tid)),
      stoppedAtNs,
      stoppedNs: this.#readTime(counted.released) - stoppedAtNs,
      registers: this.#room.registers(counted.site.address),
      memory: new TakenMemory(takeReads(batch, counted.reads)),
      stack: this.#stack(counted.records),
    });
  }

  #stack({ stack }: CaptureRecords): ListedHit['stack'] {
    if (stack === undefined) return { address: 0n, bytes: new Uint8Array() };
    const length = Number(this.#batch.result(stack.read));
    return {
      address: BigInt.asUintN(64, this.#batch.read(stack.remote)),
      bytes: Uint8Array.from(stack.bytes.subarray(0, length)),
    };
  }

  #readTime(at: bigint): bigint {
    return this.#batch.read(at) * nsPerSecond + this.#batch.read(at + wordBytes);
  }

  /** A call whose argument is the thread that stopped. */
  #call(call: BatchCall, where?: Parameters<typeof addCallOf>[3]): number {
    return addCallOf(this.#batch, this.#place.tid, call, where);
  }

  #register(name: UserRegisterName): bigint {
    return this.#place.general.address + BigInt(userRegisterOffset(name));
  }

  #add(counted: Counted, index: number, failed: Label): void {
    const batch = this.#batch;
    const { address, bias, by, condition } = counted.site;
    const [next, holds, go] = [new Label(), new Label(), new Label()];
    const isTrap = 'advance' in by;
    const rip = BigInt.asIntN(64, isTrap ? address + 1n : address);
    batch.compare({ at: this.#register('rip'), value: rip }, { negative: next, positive: next });
    if (isTrap) this.#requireTrap();
    else this.#requireDescriptor(by);
    const { reads } = counted;
    batch.copy({ to: reads.stop, from: reads.stop, add: 1n });
    if (condition !== undefined) {
      const slots = batch.reserve(condition.slots);
      addCondition(batch, condition, { ...this.#expression(bias), slots, holds, reads });
      this.#become('conditionFalse', go);
    }
    batch.place(holds);
    this.#addHit(counted, index, go);
    batch.place(go);
    if (isTrap) this.#pass(by, failed);
    this.#call(goOnCall('continue', 0n));
    batch.call(clockCall(counted.released));
    this.#addCounts(counted);
    batch.place(next);
  }

  #expression(bias: bigint): Pick<CapturePlace, 'tid' | 'registers' | 'bias' | 'unknown'> {
    const { tid, general, undecided } = this.#place;
    return { tid, registers: general.address, bias, unknown: undecided };
  }

  #become(outcome: keyof typeof outcomes, to: Label): void {
    const value = outcomes[outcome];
    this.#batch.copy({ to: this.#outcome, from: this.#batch.reserve(1, value) }, always(to));
  }

  #addHit(counted: Counted, index: number, go: Label): void {
    const batch = this.#batch;
    const { stopped, undecided } = this.#place;
    const { notBefore, reads, site } = counted;
    if (site.brings === undefined) {
      this.#become('counted', go);
      return;
    }
    const [early, due] = [new Label(), new Label()];
    batch.compare({ at: stopped, with: notBefore }, { negative: early, positive: due });
    batch.compare({ at: stopped + wordBytes, with: notBefore + wordBytes }, { zero: due, positive: due });
    batch.place(early);
    this.#become('limited', go);
    batch.place(due);
    const { capture } = site.brings;
    if (capture === undefined) {
      batch.compare({ at: stopped, value: 0n }, always(undecided));
      return;
    }
    const place = { ...this.#expression(site.bias), room: this.#room, reads };
    counted.records = addCapture(batch, capture, place);
    batch.copy({ to: this.#captured, from: batch.reserve(1, BigInt(index)) });
    this.#become('captured', go);
  }

  #addCounts({ hits, conditionFalse, limited, stopped: sums, released }: Counted): void {
    const batch = this.#batch;
    const { again, captured, stopped } = this.#place;
    batch.copy({ to: hits, from: hits, add: 1n });
    for (const part of [0n, wordBytes]) {
      const sum = sums + part;
      const negated = batch.compare({ at: stopped + part, with: released + part });
      const added = batch.compare({ at: sum, with: batch.resultAddress(negated) });
      batch.copy({ to: sum, from: batch.resultAddress(added) });
    }
    const isFalse = new Label();
    const isLimited = new Label();
    batch.compare({ at: this.#outcome, value: outcomes.captured }, { zero: captured });
    batch.compare({ at: this.#outcome, value: outcomes.limited }, { zero: isLimited });
    batch.compare({ at: this.#outcome, value: outcomes.conditionFalse }, { zero: isFalse, negative: again });
    batch.place(isFalse);
    batch.copy({ to: conditionFalse, from: conditionFalse, add: 1n }, always(again));
    batch.place(isLimited);
    batch.copy({ to: limited, from: limited, add: 1n }, always(again));
  }

  #require(stop: bigint, code: bigint): void {
    const batch = this.#batch;
    const { info, status, undecided } = this.#place;
    const otherwise = { negative: undecided, positive: undecided };
    batch.compare({ at: status, value: stop }, otherwise);
    batch.compare({ at: info + BigInt(siginfoOffsets.code), mask: lowHalf, value: code }, otherwise);
  }

  /** Of ours, in a thread that does not step itself. */
  #requireTrap(): void {
    const { undecided } = this.#place;
    this.#require(trapStop, SI_KERNEL);
    const otherwise = { negative: undecided, positive: undecided };
    this.#batch.compare({ at: this.#register('eflags'), mask: flag.trap, value: 0n }, otherwise);
  }

  /** Signals of the same number may come from elsewhere. */
  #requireDescriptor(by: Signalling): void {
    const batch = this.#batch;
    const { info, undecided } = this.#place;
    this.#require(BigInt(encodeStop({ signal: by.signal, event: 0 })), POLL_IN);
    const ours = new Label();
    const at = info + BigInt(siginfoOffsets.fd);
    const words = batch.reserve(maxDescriptors);
    this.#descriptors.push({ of: by, words });
    for (let i = 0n; i < maxDescriptors; i++) {
      batch.compare({ at, mask: lowHalf, with: words + i * wordBytes }, { zero: ours });
    }
    batch.compare({ at: this.#place.tid, value: 0n }, { positive: undecided });
    batch.place(ours);
  }

  /** As `SoftwareTracing` does. */
  #pass({ advance, pushes, sets }: Passing, failed: Label): void {
    const batch = this.#batch;
    const [rip, rsp] = [this.#register('rip'), this.#register('rsp')];
    if (pushes !== undefined) {
      const pushed = batch.reserve(1);
      const [from, to] = [batch.reserve(2, pushed, wordBytes), batch.reserve(2, 0n, wordBytes)];
      batch.copy({ to: pushed, from: this.#register(pushes) });
      batch.copy({ to, from: rsp, add: -wordBytes });
      const write = this.#call(writeCall(0n, from, to), { argument: 0 });
      const { undecided } = this.#place;
      batch.compare(
        { at: batch.resultAddress(write), value: wordBytes },
        { negative: undecided, positive: undecided },
      );
      batch.copy({ to: rsp, from: to });
    }
    // It is one byte further already.
    if (sets !== undefined) {
      const { to, bits, base, constant } = sets;
      const add = BigInt.asIntN(64, base === 'rip' ? constant - 1n : constant);
      const from = base === undefined ? batch.reserve(1) : this.#register(base);
      batch.copy({ to: this.#register(to), from, add, mask: bits === 32 ? lowHalf : allBits });
    }
    batch.copy({ to: rip, from: rip, add: advance - 1n });
    this.#call(setRegistersCall(0n, NT_PRSTATUS, this.#place.general.iovecAddress), {
      flow: { negative: failed },
    });
  }

  [Symbol.dispose](): void {
    this.#room[Symbol.dispose]();
  }
}
