/** What a stop of all threads brought, as a capture. Made when all run again. */
import type {
  Capture,
  CapturedRange,
  CapturedThread,
  Mapping,
  MissingRange,
} from '../../../format/capture.js';
import { defaultLimits } from '../../../format/limits.js';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import type { NowRequest } from '../engine.js';
import { stackWindow } from '../stack-window.js';
import type { RegisterSlots } from './registers.js';
import type { StopBatch } from './stop-batch.js';

export interface ThreadRecord {
  readonly tid: number;
  readonly comm: string;
  /** Before it was stopped by us. */
  readonly state: string;
  /** Where its registers are, and its part of the batch; -1 when it was not read. */
  slot: number;
  /** CLOCK_MONOTONIC; 0 while that has not been. */
  beganNs: bigint;
  endedNs: bigint;
}

export interface TakenNow {
  readonly request: NowRequest;
  readonly threads: readonly ThreadRecord[];
  /** As they were before the stop. */
  readonly mappings: readonly Mapping[];
  readonly slots: RegisterSlots;
  readonly batch: StopBatch;
  /** Stack bytes of each thread. */
  readonly share: number;
  readonly timeNs: bigint;
  readonly stoppedNs: bigint;
}

interface Ranges {
  readonly ranges: CapturedRange[];
  readonly missing: MissingRange[];
}

export function buildNow(taken: TakenNow): Capture {
  const { pid } = taken.request;
  const threads: CapturedThread[] = [];
  const found: Ranges = { ranges: [], missing: [] };
  let room = taken.request.maxBytes;
  for (const thread of taken.threads) {
    const { tid, comm, state, slot } = thread;
    const known = { tid, comm, state, unknownRegisters: [], provenance: 'stopped' as const };
    if (slot < 0) {
      threads.push({ ...known, absent: absence(state) });
      continue;
    }
    const copy = taken.slots.copy(slot);
    threads.push({ ...known, ...copy, stoppedNs: Number(thread.endedNs - thread.beganNs) });
    const sp = copy.registers === undefined ? 0n : readUserRegister(copy.registers, 'rsp');
    room -= addStack(taken, { thread, sp, room }, found);
  }
  return {
    engine: 'ptrace',
    pid,
    tid: threads.some((thread) => thread.tid === pid) ? pid : (threads[0]?.tid ?? pid),
    timeNs: taken.timeNs,
    threads,
    ...found,
    cost: {
      hits: 0,
      conditionFalse: 0,
      dropped: 0,
      faults: 0,
      bytes: found.ranges.reduce((sum, range) => sum + range.bytes.length, 0),
      stoppedNs: Number(taken.stoppedNs),
    },
  };
}

/** Adds what was read of a thread's stack, and what was not; gives how many bytes of `room` that takes. */
function addStack(
  taken: TakenNow,
  of: { readonly thread: ThreadRecord; readonly sp: bigint; readonly room: number },
  found: Ranges,
): number {
  const { request, mappings, batch, share } = taken;
  if (request.stackBytes === 0) return 0;
  const path = `stack of ${of.thread.tid}`;
  const window = stackWindow(mappings, of.sp, request.stackBytes);
  if (window === undefined) {
    const detail = 'the stack pointer is in no readable mapping';
    found.missing.push({ path, address: of.sp, reason: 'unreadable', detail });
    return 0;
  }
  const allowed = Math.min(window.length, share, of.room);
  const read = batch.taken(of.thread.slot)?.stack ?? { address: window.address, length: 0 };
  // It may begin before the mapping of the stack, or, where the page before cannot be read, behind the red zone.
  const skipped = Number(window.address - read.address);
  const isWhole = skipped >= 0;
  const length = isWhole ? Math.max(0, Math.min(read.length - skipped, allowed)) : 0;
  const unreadable = 'the memory could not be read while the thread was stopped';
  if (length > 0) {
    const bytes = Uint8Array.from(batch.stack(of.thread.slot, skipped + length).subarray(skipped));
    found.ranges.push({ address: window.address, bytes, provenance: 'stopped', path });
  }
  if (length < window.length) {
    const limited = isWhole && length === allowed;
    found.missing.push({
      path,
      address: window.address + BigInt(length),
      length: window.length - length,
      reason: limited ? 'limit' : 'unreadable',
      detail: limited ? `${request.maxBytes} bytes for all threads are ${share} for each` : unreadable,
    });
  }
  return length;
}

function absence(state: string): NonNullable<CapturedThread['absent']> {
  const within = `within ${defaultLimits.maxStopMs} ms, the longest that the process may stand still`;
  return {
    reason: 'limit',
    detail:
      state === 'D'
        ? `it is in an uninterruptible system call and did not stop ${within}`
        : `it was not read ${within}`,
  };
}
