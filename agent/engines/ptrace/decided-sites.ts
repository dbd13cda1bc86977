/**
 * Hits that a list of calls decides by itself, while the thread stands still: those whose condition is false (condition-records.ts), or that are only counted. It counts them, lets the
 * thread go, and waits for the next stop. Whatever else a stop may be is left to TypeScript, as if nothing had been looked at.
 */
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
import { addCondition, recordsOfStep, wordsOfStep } from './condition-records.js';
import type { ConditionSteps } from './condition-steps.js';

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
  /** Undefined: every passing is counted, and no more. */
  readonly condition: ConditionSteps | undefined;
  /** By which signal threads stop here, and the descriptors that it comes from. */
  readonly by: Signalling | Passing;
  /** Told of what has been decided. */
  readonly count: (hits: bigint, stoppedNs: bigint) => void;
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
  /** Where it goes on when a thread has been let go. */
  readonly again: Label;
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
const recordsOfSite = 30 + maxDescriptors;
const wordsOfSite = 24 + maxDescriptors;
const nsPerSecond = 1_000_000_000n;

/** Room that sites take in a batch. */
export function roomOf(sites: readonly DecidedSite[]): { records: number; words: number } {
  let [records, words] = [4, 0];
  for (const { condition } of sites) {
    const steps = condition?.steps.length ?? 0;
    records += recordsOfSite + steps * recordsOfStep;
    words += wordsOfSite + steps * wordsOfStep + (condition?.slots ?? 0);
  }
  return { records, words };
}

interface Counted {
  readonly site: DecidedSite;
  readonly hits: bigint;
  /** Seconds and nanoseconds, added up each for itself. */
  readonly stopped: bigint;
}

export class DecidedSites {
  readonly #batch: CallBatch;
  readonly #place: DecidingPlace;
  readonly #counted: readonly Counted[];
  /** Words with the descriptors of each signalling. */
  readonly #descriptors: { readonly of: Signalling; readonly words: bigint }[] = [];

  /** Adds records that are gone through when registers and signal of a thread have been read; who goes through them all is undecided. */
  constructor(batch: CallBatch, sites: readonly DecidedSite[], place: DecidingPlace) {
    this.#batch = batch;
    this.#place = place;
    const failed = new Label();
    this.#counted = sites.map((site) => {
      const counted = { site, hits: batch.reserve(1), stopped: batch.reserve(2) };
      this.#add(counted, failed);
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

  /** Tells of what has been decided since it was asked last. */
  tell(): void {
    for (const { site, hits, stopped } of this.#counted) {
      const count = this.#batch.read(hits);
      if (count === 0n) continue;
      const ns = this.#batch.read(stopped) * nsPerSecond + this.#batch.read(stopped + wordBytes);
      for (const word of [hits, stopped, stopped + wordBytes]) this.#batch.write(word, 0n);
      site.count(count, ns);
    }
  }

  /** A call whose argument is the thread that stopped. */
  #call(call: BatchCall, where?: Parameters<typeof addCallOf>[3]): number {
    return addCallOf(this.#batch, this.#place.tid, call, where);
  }

  #register(name: UserRegisterName): bigint {
    return this.#place.general.address + BigInt(userRegisterOffset(name));
  }

  #add(counted: Counted, failed: Label): void {
    const batch = this.#batch;
    const { tid, undecided, stopped, again } = this.#place;
    const { address, bias, by, condition } = counted.site;
    const next = new Label();
    const isTrap = 'advance' in by;
    const rip = BigInt.asIntN(64, isTrap ? address + 1n : address);
    batch.compare({ at: this.#register('rip'), value: rip }, { negative: next, positive: next });
    if (isTrap) this.#requireTrap();
    else this.#requireDescriptor(by);
    if (condition !== undefined) {
      const slots = batch.reserve(condition.slots);
      const registers = this.#place.general.address;
      addCondition(batch, condition, { tid, registers, bias, slots, holds: undecided, unknown: undecided });
    }
    if (isTrap) this.#pass(by, failed);
    this.#call(goOnCall('continue', 0n));
    const released = batch.reserve(2);
    batch.call(clockCall(released));
    batch.copy({ to: counted.hits, from: counted.hits, add: 1n });
    for (const part of [0n, wordBytes]) {
      const sum = counted.stopped + part;
      const negated = batch.compare({ at: stopped + part, with: released + part });
      const added = batch.compare({ at: sum, with: batch.resultAddress(negated) });
      batch.copy({ to: sum, from: batch.resultAddress(added) });
    }
    batch.compare({ at: tid, value: 0n }, { negative: again, zero: again, positive: again });
    batch.place(next);
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
}
