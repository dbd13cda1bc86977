/**
 * The engine for hosts that permit nothing else: `/proc/PID/mem` and `/proc/PID/task/TID/syscall`. Nothing stops and nothing is
 * touched; so all is labelled racy. Threads that run on a CPU, or are on their way to one, have no registers to be
 * read and are absent. Of blocked threads the kernel tells the stack pointer, the program counter and the arguments of the system call.
 */
import type { CapturedRange, CapturedThread, Capture, MissingRange } from '../../format/capture.js';
import { StillframeError } from '../../format/error.js';
import { defaultLimits } from '../../format/limits.js';
import {
  type UserRegisterName,
  userRegisterNames,
  userRegisterOffset,
  userRegistersBytes,
} from '../../format/registers/x86-64.js';
import { ownProcessesOnly } from '../linux/capabilities.js';
import { realtimeNs } from '../linux/clock.js';
import { ProcessMemory } from '../linux/memory.js';
import { type ThreadSyscall, readMaps, readThreadStat, readThreadSyscall, readTids } from '../linux/proc.js';
import type { Engine, EngineSupport, NowRequest } from './engine.js';
import { stackWindow } from './stack-window.js';

const argumentRegisters: readonly UserRegisterName[] = ['rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9'];
/** How often a thread is tried again that moved while its stack was read. */
const maxAttempts = 3;

export function memEngine(): Engine {
  return {
    name: 'mem',
    probe: () => Promise.resolve(probe()),
    refusal: () => 'mem has no points: it cannot see a line being passed',
    now: (request) => Promise.resolve(captureNow(request)),
  };
}

function probe(): EngineSupport {
  try {
    readThreadSyscall(process.pid, process.pid);
    using memory = new ProcessMemory(process.pid);
    const mapping = readMaps(process.pid).find((candidate) => candidate.permissions.startsWith('r'));
    if (mapping === undefined || !('bytes' in memory.read(mapping.start, 1))) {
      return { supported: 'unknown', detail: 'could not read its own memory through /proc/self/mem' };
    }
    return {
      supported: 'yes',
      detail: `/proc/PID/mem and /proc/PID/task/TID/syscall can be read${ownProcessesOnly('CAP_DAC_READ_SEARCH')}`,
    };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return {
      supported: 'no',
      detail,
      remedy: 'mount /proc without hidepid, with CONFIG_HAVE_ARCH_TRACEHOOK',
    };
  }
}

type Blocked = Extract<ThreadSyscall, { running: false }>;

function captureNow(request: NowRequest): Capture {
  const { pid } = request;
  const threads: CapturedThread[] = [];
  const ranges: CapturedRange[] = [];
  const missing: MissingRange[] = [];
  let left = Math.min(request.maxBytes, defaultLimits.maxHitBytes * 16);
  using memory = new ProcessMemory(pid);
  const mappings = readMaps(pid);
  const timeNs = realtimeNs();
  const tids = readTids(pid).filter((tid) => request.tids.length === 0 || request.tids.includes(tid));

  const stackOf = (tid: number, blocked: Blocked): CapturedRange | undefined => {
    const path = `stack of ${tid}`;
    const window = stackWindow(mappings, blocked.sp, request.stackBytes);
    if (window === undefined) {
      missing.push({
        path,
        address: blocked.sp,
        reason: 'unreadable',
        detail: 'the stack pointer is in no readable mapping',
      });
      return undefined;
    }
    const bytes = new Uint8Array(Math.min(window.length, left));
    const got = memory.readInto(window.address, bytes);
    if (got < window.length) {
      missing.push({
        path,
        address: window.address + BigInt(got),
        length: window.length - got,
        reason: got === left ? 'limit' : 'unreadable',
        detail: got === left ? `${request.maxBytes} bytes are taken` : 'no readable memory there',
      });
    }
    if (got === 0) return undefined;
    return { address: window.address, bytes: bytes.subarray(0, got), provenance: 'racy', path };
  };

  for (const tid of tids) {
    const missingBefore = missing.length;
    try {
      const { comm, state } = readThreadStat(pid, tid);
      let held: { blocked: Blocked; stack: CapturedRange | undefined } | undefined;
      let running = false;
      for (let attempt = 0; attempt < maxAttempts && held === undefined; attempt++) {
        const before = readThreadSyscall(pid, tid);
        running = before.running;
        if (before.running) continue;
        missing.length = missingBefore;
        const stack = stackOf(tid, before);
        const after = readThreadSyscall(pid, tid);
        if (sameState(before, after)) held = { blocked: before, stack };
      }
      if (held === undefined) {
        missing.length = missingBefore;
        const detail = running
          ? 'it was running, and the registers of a running thread cannot be read without stopping it'
          : 'it did not hold still while its stack was read';
        threads.push({
          tid,
          comm,
          state,
          unknownRegisters: [],
          provenance: 'racy',
          absent: { reason: 'unreadable', detail },
        });
        continue;
      }
      if (held.stack !== undefined) {
        ranges.push(held.stack);
        left -= held.stack.bytes.length;
      }
      threads.push({ tid, comm, state, provenance: 'racy', ...registersOf(held.blocked) });
    } catch (error) {
      missing.length = missingBefore;
      const gone = error instanceof StillframeError && error.code === 'target-gone';
      if (!gone || tid === pid) throw error;
    }
  }
  if (threads.length === 0) {
    throw new StillframeError('not-found', `process ${pid} has no such thread`, {
      detail: { pid },
      candidates: readTids(pid).map(String),
    });
  }
  const bytes = ranges.reduce((sum, range) => sum + range.bytes.length, 0);
  return {
    engine: 'mem',
    pid,
    tid: threads.some((thread) => thread.tid === pid) ? pid : (threads[0]?.tid ?? pid),
    timeNs,
    threads,
    ranges,
    missing,
    cost: { hits: 0, conditionFalse: 0, dropped: 0, faults: 0, bytes, stoppedNs: 0 },
  };
}

function sameState(before: Blocked, after: ThreadSyscall): boolean {
  return !after.running && after.number === before.number && after.sp === before.sp && after.pc === before.pc;
}

function registersOf(blocked: Blocked): {
  registers: Uint8Array;
  unknownRegisters: readonly UserRegisterName[];
} {
  const registers = new Uint8Array(userRegistersBytes);
  const view = new DataView(registers.buffer);
  const known = new Set<UserRegisterName>();
  const set = (name: UserRegisterName, value: bigint): void => {
    view.setBigUint64(userRegisterOffset(name), BigInt.asUintN(64, value), true);
    known.add(name);
  };
  set('rsp', blocked.sp);
  set('rip', blocked.pc);
  if (blocked.number >= 0) {
    set('orig_rax', BigInt(blocked.number));
    for (const [i, name] of argumentRegisters.entries()) {
      const value = blocked.args[i];
      if (value !== undefined) set(name, value);
    }
  }
  return { registers, unknownRegisters: userRegisterNames.filter((name) => !known.has(name)) };
}
