/**
 * The list of calls of a wait (stop-wait.ts): a thread is let go, a stop of any is waited for, what a hit is known by is read; hits whose condition is false are decided by the
 * list itself (decided-sites.ts), which lets the thread go and waits again. How many, and for how long, is bounded: then what comes is left to TypeScript as any other stop.
 */
import { type CallBatch, Label } from '../../linux/call-batch.js';
import { NT_PRSTATUS, type RegisterBuffer, WNOHANG, siginfoBytes } from '../../linux/ptrace.js';
import {
  addCallOf,
  clockCall,
  goOnCall,
  readCall,
  registersCall,
  setRegistersCall,
  signalInfoCall,
  waitCall,
  writeCall,
} from '../../linux/stop-calls.js';
import type { WaitLimit } from '../../linux/wait-limit.js';
import type { ReadAhead } from './ahead.js';
import { type DecidedSite, DecidedSites } from './decided-sites.js';

const wordBytes = 8n;
const anyThread = -1n;
/** How soon is told of hits that were decided when no more come. */
const tellingNs = 50_000_000n;

/** Of the list, without sites. */
export const waitRecords = 60;
export const waitWords = 63;
/** Of a look for a stop. */
export const lookRecords = 4;

/** Addresses of words of the batch. */
export interface WaitWords {
  /** The thread that stopped, and the status that wait4 gave of it. */
  readonly tid: bigint;
  readonly status: bigint;
  /** Statuses of the stops that more is read of. */
  readonly signal: bigint;
  readonly trap: bigint;
  /** How often it has been looked for a stop, and how often that is done before it sleeps. */
  readonly looked: bigint;
  readonly looks: bigint;
  /** The same after a hit that the list decided. */
  readonly looksAgain: bigint;
  /** Whether hits may be decided; how many may then still be, and until when. */
  readonly decides: bigint;
  readonly left: bigint;
  readonly deadline: bigint;
  /** Not 0 while a timer will end the wait. */
  readonly isTimed: bigint;
  /** When the thread that was let go first ran again, and when the last one stopped: `struct timespec`. */
  readonly released: bigint;
  readonly stopped: bigint;
  /** `siginfo_t`. */
  readonly info: bigint;
}

export function reserveWaitWords(batch: CallBatch): WaitWords {
  return {
    tid: batch.reserve(1),
    status: batch.reserve(1),
    signal: batch.reserve(1),
    trap: batch.reserve(1),
    looked: batch.reserve(1),
    looks: batch.reserve(1),
    looksAgain: batch.reserve(1),
    decides: batch.reserve(1),
    left: batch.reserve(1),
    deadline: batch.reserve(2),
    isTimed: batch.reserve(1),
    released: batch.reserve(2),
    stopped: batch.reserve(2),
    info: batch.reserve(siginfoBytes / 8),
  };
}

export interface GoOnRecords {
  /** Where the list begins: with a word that is pushed, with registers that are set, or with the thread that goes on. */
  readonly push: number;
  readonly setRegisters: number;
  readonly goOn: number;
  /** Where it ends when the thread still stands. */
  readonly stuck: number;
  /** The word, and where it goes. */
  readonly pushed: bigint;
  readonly pushedTo: bigint;
}

/** Lets a thread go on; the next record is gone on with when it runs. */
export function addGoOn(batch: CallBatch, words: WaitWords, general: RegisterBuffer): GoOnRecords {
  const pushed = batch.reserve(1);
  const [from, pushedTo] = [batch.reserve(2, pushed, wordBytes), batch.reserve(2, 0n, wordBytes)];
  const [go, jam] = [new Label(), new Label()];
  const push = batch.call(writeCall(0n, from, pushedTo));
  batch.compare({ at: batch.resultAddress(push), value: wordBytes }, { negative: jam, positive: jam });
  const set = setRegistersCall(0n, NT_PRSTATUS, general.iovecAddress);
  const setRegisters = batch.call(set, { zero: go });
  batch.place(jam);
  const stuck = batch.end();
  batch.place(go);
  const goOn = batch.call(goOnCall('continue', 0n));
  batch.call(clockCall(words.released));
  return { push, setRegisters, goOn, stuck, pushed, pushedTo };
}

export interface SeenRecords {
  /** Where the list begins when nobody is let go. */
  readonly wait: number;
  readonly info: number;
  readonly registers: number;
  /** What the condition reads first: from where, and the call. */
  readonly aheadFrom: number;
  readonly ahead: number;
  readonly aheadBytes: Uint8Array;
  /** Where it ends with a stop of which more has been read, and with any other. */
  readonly seen: number;
  readonly other: number;
  /** Where it ends with nobody stopped: enough has been decided, or a hit was captured. */
  readonly over: number;
  readonly captured: number;
  readonly sites: DecidedSites;
}

export interface WaitOptions {
  readonly words: WaitWords;
  readonly general: RegisterBuffer;
  readonly limit: WaitLimit;
  readonly sites: readonly DecidedSite[];
  readonly ahead: ReadAhead | undefined;
}

export function addWait(batch: CallBatch, options: WaitOptions): SeenRecords {
  const { words, general, limit, sites } = options;
  const { tid, status, signal, trap, info, stopped, decides } = words;
  const times = { set: batch.reserve(4, 0n, 0n, 0n, tellingNs), unset: batch.reserve(4) };
  const [again, found, seen, ended] = [new Label(), new Label(), new Label(), new Label()];
  const [undecided, unread, other] = [new Label(), new Label(), new Label()];
  const [over, captured] = [new Label(), new Label()];
  const wait = addSleep(batch, options, { again, found, ended, over, set: times.set });
  batch.place(found);
  batch.call(clockCall(stopped));
  batch.compare({ at: status, with: signal }, { zero: seen });
  batch.compare({ at: status, with: trap }, { negative: other, positive: other });
  batch.place(seen);
  const infoRecord = addCallOf(batch, tid, signalInfoCall(0n, info));
  const read = registersCall(0n, NT_PRSTATUS, general.iovecAddress);
  const registers = addCallOf(batch, tid, read, { flow: { negative: unread } });
  batch.compare({ at: decides, value: 0n }, { zero: undecided });
  const place = { tid, status, info, general, stopped, again, captured, undecided };
  const decided = new DecidedSites(batch, sites, place);
  batch.place(undecided);
  const ahead = addAhead(batch, options);
  const end = (label: Label): number => {
    const last = new Label();
    batch.place(label);
    batch.compare({ at: words.isTimed, value: 0n }, { zero: last });
    batch.call(limit.setCall(times.unset));
    batch.place(last);
    return batch.end();
  };
  const ends = { seen: end(unread), other: end(other), over: end(over), captured: end(captured) };
  end(ended);
  return { wait, info: infoRecord, registers, ...ahead, ...ends, sites: decided };
}

/** Waits; from `again` on for what comes after a hit that was decided. */
function addSleep(
  batch: CallBatch,
  { words, limit }: WaitOptions,
  to: Readonly<Record<'again' | 'found' | 'ended' | 'over', Label>> & { readonly set: bigint },
): number {
  const { tid, status, looked, looks, looksAgain, left, isTimed, stopped, deadline } = words;
  const [look, sleep, timed, early] = [new Label(), new Label(), new Label(), new Label()];
  const wait = batch.compare({ at: looks, value: 0n }, { zero: sleep });
  batch.place(look);
  const tried = batch.call(waitCall(anyThread, status, WNOHANG), { negative: to.ended });
  batch.copy({ to: tid, from: batch.resultAddress(tried) }, { positive: to.found });
  batch.copy({ to: looked, from: looked, add: 1n });
  batch.compare({ at: looked, with: looks }, { negative: look, zero: sleep, positive: sleep });
  batch.place(to.again);
  batch.copy({ to: left, from: left, add: -1n }, { negative: to.over, zero: to.over });
  batch.compare({ at: stopped, with: deadline }, { negative: early, positive: to.over });
  batch.compare({ at: stopped + wordBytes, with: deadline + wordBytes }, { positive: to.over });
  batch.place(early);
  batch.compare({ at: isTimed, value: 0n }, { positive: timed });
  batch.copy({ to: isTimed, from: batch.reserve(1, 1n) });
  batch.call(limit.setCall(to.set));
  batch.place(timed);
  batch.copy({ to: looked, from: looked, mask: 0n });
  batch.copy({ to: looks, from: looksAgain });
  batch.compare({ at: looks, value: 0n }, { positive: look });
  batch.place(sleep);
  const slept = batch.call(waitCall(anyThread, status), { negative: to.ended });
  batch.copy({ to: tid, from: batch.resultAddress(slept) });
  return wait;
}

function addAhead(
  batch: CallBatch,
  { words, general, ahead }: WaitOptions,
): Pick<SeenRecords, 'aheadFrom' | 'ahead' | 'aheadBytes'> {
  const length = BigInt(ahead?.length ?? 0);
  const bytes = batch.reserve(1);
  const [local, remote] = [batch.reserve(2, bytes, length), batch.reserve(2, 0n, length)];
  const from = general.address + BigInt(ahead?.registerOffset ?? 0);
  const aheadFrom = batch.copy({ to: remote, from, add: ahead?.offset ?? 0n });
  const read = addCallOf(batch, words.tid, readCall(0n, local, remote), { argument: 0 });
  const { buffer, byteOffset, byteLength } = batch.ints(bytes, 1);
  return { aheadFrom, ahead: read, aheadBytes: new Uint8Array(buffer, byteOffset, byteLength) };
}
