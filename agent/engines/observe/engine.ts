/**
 * The `observe` engine: all threads of a process, this instant, by an eBPF task iterator that reads each thread's saved registers and the top of
 * its stack. No thread stops. A thread that ran while it was read is read again; one that stays on a CPU is sampled in place by a
 * perf clock event; what is still not certain is said to be so.
 */
import type { Capture, CapturedRange, CapturedThread, MissingRange } from '../../../format/capture.js';
import { StillframeError, toStillframeError } from '../../../format/error.js';
import { readUserRegister } from '../../../format/registers/x86-64.js';
import { ownProcessesOnly } from '../../linux/capabilities.js';
import { monotonicToRealtime } from '../../linux/clock.js';
import { readMaps, readTids } from '../../linux/proc.js';
import type { Engine, EngineSupport, NowRequest } from '../engine.js';
import { bytesOfStack } from '../stack-window.js';
import { sampleRunning } from './sample-running.js';
import { TaskPass } from './task-pass.js';
import type { ObservedThread } from './thread-record.js';

export function observeEngine(): Engine {
  return { name: 'observe', probe: () => Promise.resolve(probe()), refusal, now };
}

function refusal(): string {
  return 'the observe engine takes all threads at once, it has no points';
}

function probe(): EngineSupport {
  try {
    using pass = new TaskPass({ stackBytes: 0, threads: 64 });
    const threads = pass.run(process.pid);
    if (threads.some(({ tid }) => tid === process.pid))
      return { supported: 'yes', detail: `task iterator with registers and stacks${ownProcessesOnly()}` };
    return { supported: 'unknown', detail: 'the task iterator does not find our own thread' };
  } catch (thrown) {
    const error = toStillframeError(thrown);
    const remedy = error.hint ?? 'needs CAP_BPF and CAP_PERFMON, and a kernel with BTF (Linux 5.18)';
    return { supported: 'no', detail: error.message, remedy };
  }
}

/** Passes over threads that ran meanwhile, before they are given up. */
const maxPasses = 4;
/** More than this are not passed over again: to name them takes longer than to read them. */
const maxAgain = 512;

async function now(request: NowRequest): Promise<Capture> {
  const { pid } = request;
  const all = readTids(pid);
  const tids = request.tids.length === 0 ? all : all.filter((tid) => request.tids.includes(tid));
  const unknown = request.tids.find((tid) => !all.includes(tid));
  if (unknown !== undefined)
    throw new StillframeError('not-found', `process ${pid} has no thread ${unknown}`, { detail: { pid } });
  const stackBytes = shareOf(request, tids.length);
  using pass = new TaskPass({ stackBytes, threads: tids.length + 8 });
  const found = new Map<number, ObservedThread>();
  const look = (which: readonly number[] | undefined): void => {
    for (const thread of pass.run(pid, which)) keepBetter(found, thread);
  };
  look(request.tids.length === 0 ? undefined : tids);
  collectRest(tids, found, look);
  await settle(tids, found, { look, stackBytes });
  return assemble(request, { tids, stackBytes, found });
}

/** Reads the threads that found no room in the ring, as many at a time as it holds, for as long as there are fewer each time. */
function collectRest(
  tids: readonly number[],
  found: ReadonlyMap<number, ObservedThread>,
  look: (tids: readonly number[]) => void,
): void {
  for (let before = tids.length; ;) {
    const rest = tids.filter((tid) => !found.has(tid));
    if (rest.length === 0 || rest.length >= before) return;
    before = rest.length;
    look(rest.slice(0, maxAgain));
  }
}

/** Threads that ran meanwhile are read again; those that stay on a CPU are sampled there. */
async function settle(
  tids: readonly number[],
  found: Map<number, ObservedThread>,
  means: { readonly look: (tids: readonly number[]) => void; readonly stackBytes: number },
): Promise<void> {
  for (let pass = 1; pass < maxPasses; pass++) {
    const again = tids.filter((tid) => isUnsettled(found.get(tid))).slice(0, maxAgain);
    if (again.length === 0) return;
    means.look(again);
    const running = again.flatMap((tid) => {
      const thread = found.get(tid);
      return thread !== undefined && isUnsettled(thread) ? [thread] : [];
    });
    for (const thread of await sampleRunning(running, means.stackBytes)) found.set(thread.tid, thread);
  }
}

/** What each thread's stack window may be, so that all together stay within `maxBytes`; whole words. */
function shareOf(request: NowRequest, threads: number): number {
  const share = Math.floor(request.maxBytes / Math.max(1, threads));
  return Math.floor(Math.min(request.stackBytes, share) / 8) * 8;
}

const isUnsettled = (thread: ObservedThread | undefined): boolean =>
  thread?.verdict === 'ran' || thread?.verdict === 'running';

const ranks: Readonly<Record<ObservedThread['verdict'], number>> = { none: 3, still: 2, ran: 1, running: 0 };

function keepBetter(found: Map<number, ObservedThread>, thread: ObservedThread): void {
  const before = found.get(thread.tid);
  if (before === undefined || ranks[thread.verdict] >= ranks[before.verdict]) found.set(thread.tid, thread);
}

interface Findings {
  readonly tids: readonly number[];
  readonly stackBytes: number;
  readonly found: ReadonlyMap<number, ObservedThread>;
}

function assemble(request: NowRequest, { tids, stackBytes, found }: Findings): Capture {
  const threads: CapturedThread[] = [];
  const ranges: CapturedRange[] = [];
  const missing: MissingRange[] = [];
  const mappings = readMaps(request.pid);
  let timeNs = 0n;
  for (const tid of tids) {
    const thread = found.get(tid);
    // It exited meanwhile, or was there too late.
    if (thread === undefined) continue;
    if (thread.timeNs > timeNs) timeNs = thread.timeNs;
    threads.push(capturedThread(thread));
    if (thread.verdict === 'running' || thread.verdict === 'none') continue;
    const path = `stack of ${tid}`;
    const { stackAddress: address } = thread;
    // What lies behind a stack can be read as well, and is no part of it.
    const sp = readUserRegister(thread.registers, 'rsp');
    const bytes = thread.stack.subarray(
      0,
      bytesOfStack(mappings, sp, { address, length: thread.stack.length }),
    );
    if (bytes.length > 0) ranges.push({ address, bytes, provenance: provenanceOf(thread), path });
    if (stackBytes < request.stackBytes) {
      missing.push({
        path,
        address: address + BigInt(stackBytes),
        length: request.stackBytes - stackBytes,
        reason: 'limit',
        detail: `${stackBytes} of ${request.stackBytes} bytes: ${tids.length} threads share ${request.maxBytes} bytes`,
      });
    } else if (bytes.length === 0 && stackBytes > 0) {
      missing.push({
        path,
        address,
        length: stackBytes,
        reason: 'unreadable',
        detail: 'its stack cannot be read',
      });
    }
  }
  if (threads.length === 0)
    throw new StillframeError('target-gone', `process ${request.pid} is gone`, {
      detail: { pid: request.pid },
    });
  return {
    engine: 'observe',
    pid: request.pid,
    tid: threads.some(({ tid }) => tid === request.pid) ? request.pid : (threads[0]?.tid ?? request.pid),
    timeNs: monotonicToRealtime(timeNs),
    threads,
    ranges,
    missing,
    cost: {
      hits: 0,
      conditionFalse: 0,
      dropped: 0,
      faults: 0,
      bytes: ranges.reduce((sum, { bytes }) => sum + bytes.length, 0),
      stoppedNs: 0,
    },
  };
}

const provenanceOf = (thread: ObservedThread): 'at-hit' | 'racy' =>
  thread.verdict === 'still' ? 'at-hit' : 'racy';

function capturedThread(thread: ObservedThread): CapturedThread {
  const { tid, comm, state } = thread;
  const common = { tid, comm, state, provenance: provenanceOf(thread) };
  switch (thread.verdict) {
    case 'running':
      return {
        ...common,
        unknownRegisters: [],
        absent: { reason: 'unreadable', detail: 'running on a CPU while observed' },
      };
    case 'none':
      return {
        ...common,
        unknownRegisters: [],
        absent: {
          reason: 'unreadable',
          detail: 'it has no user state: it is exiting, or a worker of the kernel',
        },
      };
    case 'still':
    case 'ran':
      return { ...common, registers: thread.registers, unknownRegisters: thread.unknownRegisters };
  }
}
