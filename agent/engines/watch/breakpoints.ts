/**
 * Hardware breakpoints on writes of one object by all threads of a process, those that are yet to come included: a perf event for each thread, which threads
 * that it makes inherit. Events are descriptors: they go with the process that holds them. perf_event_open(2) PERF_TYPE_BREAKPOINT.
 */
import { StillframeError, toStillframeError } from '../../../format/error.js';
import { hex } from '../../../format/address.js';
import { type BpfMap, type BpfObject, linkPerfEvent } from '../../linux/bpf.js';
import { Holder } from '../../linux/holder.js';
import {
  encodePerfEventAttribute,
  HW_BREAKPOINT_W,
  PERF_TYPE_BREAKPOINT,
  PerfEvent,
} from '../../linux/perf-event.js';
import { readTids } from '../../linux/proc.js';

/** Each takes two descriptors. */
export const maxWatchedThreads = 4096;
/** A process that makes threads faster than we look at them. */
const maxLooks = 50;

export interface BreakpointRequest {
  readonly pid: number;
  readonly address: bigint;
  readonly bytes: number;
  readonly program: BpfObject;
  /** Threads that may have inherited an event before they got one of their own. */
  readonly own: BpfMap;
}

export class WriteBreakpoints implements Disposable {
  readonly #request: BreakpointRequest;
  readonly #held = new Holder();
  readonly #opened = new Map<number, PerfEvent>();
  /** Those of them that came while others were opened. */
  readonly #late = new Set<number>();

  /** Throws, and leaves nothing behind, when some thread cannot be watched. What is opened counts at once. */
  constructor(request: BreakpointRequest) {
    this.#request = request;
    try {
      this.#openAll();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  get threads(): number {
    return this.#opened.size;
  }

  #openAll(): void {
    const { pid } = this.#request;
    for (let look = 0; look < maxLooks; look++) {
      const fresh = readTids(pid).filter((tid) => !this.#opened.has(tid));
      if (fresh.length === 0) return;
      if (this.#opened.size + fresh.length > maxWatchedThreads) {
        const threads = this.#opened.size + fresh.length;
        throw new StillframeError(
          'limit',
          `cannot watch process ${pid}: it has ${threads} threads, ${maxWatchedThreads} are the most`,
        );
      }
      for (const tid of fresh) this.#open(tid, look > 0);
    }
    throw new StillframeError(
      'limit',
      `cannot watch process ${pid}: it makes threads faster than they can be watched`,
    );
  }

  #open(tid: number, isLate: boolean): void {
    const { address, bytes, program, own } = this.#request;
    if (isLate) {
      own.update(keyOf(tid), Buffer.from([1]));
      this.#late.add(tid);
    }
    const attribute = encodePerfEventAttribute({
      type: PERF_TYPE_BREAKPOINT,
      config: 0n,
      config1: address,
      config2: BigInt(bytes),
      samplePeriod: 1n,
      breakpointType: HW_BREAKPOINT_W,
      flags: { inherit: true, inheritThread: true, removeOnExec: true },
    });
    try {
      const action = `cannot watch ${bytes} bytes at ${hex(address)} for thread ${tid}`;
      const event = this.#held.use(new PerfEvent(attribute, { pid: tid, cpu: -1 }, action));
      this.#held.use(linkPerfEvent(program, event.fd, BigInt(tid)));
      this.#opened.set(tid, event);
    } catch (error) {
      const failure = toStillframeError(error);
      // A thread that ended meanwhile.
      if (failure.code === 'target-gone' || failure.detail.errnoName === 'ESRCH') {
        this.#opened.delete(tid);
        return;
      }
      throw failure.detail.errnoName === 'ENOSPC' ? noRegister(tid) : failure;
    }
  }

  /** A number that is another thread's by now has no event of its own. */
  prune(): void {
    if (this.#late.size === 0) return;
    const alive = new Set(readTids(this.#request.pid));
    for (const tid of this.#late) {
      if (alive.has(tid)) continue;
      this.#request.own.delete(keyOf(tid));
      this.#late.delete(tid);
    }
  }

  [Symbol.dispose](): void {
    this.#held[Symbol.dispose]();
    this.#opened.clear();
  }
}

function keyOf(tid: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(tid, 0);
  return key;
}

function noRegister(tid: number): StillframeError {
  return new StillframeError(
    'limit',
    `cannot watch thread ${tid}: the processor has four registers for addresses, and all of them are taken`,
    {
      hint: 'remove another watch of this process (`stillframe points`, `stillframe rm`), or a debugger that has hardware breakpoints',
    },
  );
}
