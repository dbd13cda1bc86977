/**
 * Threads that are on a CPU, sampled there: a perf clock event interrupts the thread for the moment that it takes to note its user registers
 * and stack, and is spent after one sample. For threads whose saved registers are old because they run.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { toStillframeError } from '../../../format/error.js';
import {
  type UserRegisterName,
  userRegisterNames,
  userRegisterOffset,
  userRegistersBytes,
} from '../../../format/registers/x86-64.js';
import { Holder } from '../../linux/holder.js';
import { Arena } from '../../linux/mmap.js';
import {
  encodePerfEventAttribute,
  PERF_COUNT_SW_CPU_CLOCK,
  PERF_TYPE_SOFTWARE,
  PerfEvent,
} from '../../linux/perf-event.js';
import type { ObservedThread } from './thread-record.js';

const PERF_SAMPLE_TID = 1n << 1n;
const PERF_SAMPLE_TIME = 1n << 2n;
const PERF_SAMPLE_REGS_USER = 1n << 12n;
const PERF_SAMPLE_STACK_USER = 1n << 13n;
const PERF_RECORD_SAMPLE = 9;
const PERF_SAMPLE_REGS_ABI_64 = 2n;
const useClockId = 1n << 25n;
const CLOCK_MONOTONIC = 1;

/** By bit of `sample_regs_user` (arch/x86/include/uapi/asm/perf_regs.h); segment registers cannot be had of 64-bit threads. */
const sampledRegisters: readonly (readonly [bit: number, UserRegisterName])[] = [
  [0, 'rax'],
  [1, 'rbx'],
  [2, 'rcx'],
  [3, 'rdx'],
  [4, 'rsi'],
  [5, 'rdi'],
  [6, 'rbp'],
  [7, 'rsp'],
  [8, 'rip'],
  [9, 'eflags'],
  [10, 'cs'],
  [11, 'ss'],
  [16, 'r8'],
  [17, 'r9'],
  [18, 'r10'],
  [19, 'r11'],
  [20, 'r12'],
  [21, 'r13'],
  [22, 'r14'],
  [23, 'r15'],
];
const registerMask = sampledRegisters.reduce((mask, [bit]) => mask | (1n << BigInt(bit)), 0n);
const sampledNames: ReadonlySet<string> = new Set(sampledRegisters.map(([, name]) => name));
const unknownRegisters: readonly string[] = userRegisterNames.filter((name) => !sampledNames.has(name));

const pageBytes = 4096;
/** A perf record is at most 64 KiB. */
const maxStackBytes = 48 * 1024;
const dataPages = 16;
const dataHeadOffset = 1024;
const periodNs = 20_000n;
/** A thread that does not run for so long is not on a CPU any more. */
const waitMs = 2;
const maxSampled = 64;

/** Those of `threads` that were met on a CPU, with what was found there. */
export async function sampleRunning(
  threads: readonly ObservedThread[],
  stackBytes: number,
): Promise<ObservedThread[]> {
  using held = new Holder();
  const stack = Math.min(stackBytes, maxStackBytes);
  const samplers: { readonly thread: ObservedThread; readonly ring: Arena }[] = [];
  for (const thread of threads.slice(0, maxSampled)) {
    const ring = open(thread.tid, stack, held);
    if (ring !== undefined) samplers.push({ thread, ring });
  }
  if (samplers.length === 0) return [];
  await sleep(waitMs);
  return samplers.flatMap(({ thread, ring }) => {
    const sampled = readSample(ring.bytes, thread);
    return sampled === undefined ? [] : [sampled];
  });
}

/** Undefined where the thread is gone, or perf events are not allowed: it is then shown as not read. */
function open(tid: number, stackBytes: number, held: Holder): Arena | undefined {
  const withStack = stackBytes === 0 ? 0n : PERF_SAMPLE_STACK_USER;
  const attribute = encodePerfEventAttribute({
    type: PERF_TYPE_SOFTWARE,
    config: BigInt(PERF_COUNT_SW_CPU_CLOCK),
    samplePeriod: periodNs,
    sampleType: PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_REGS_USER | withStack,
    wakeupEvents: 1,
    flags: { disabled: true, excludeHypervisor: true },
  });
  attribute.writeBigUInt64LE(attribute.readBigUInt64LE(40) | useClockId, 40);
  attribute.writeBigUInt64LE(registerMask, 80);
  attribute.writeUInt32LE(stackBytes, 88);
  attribute.writeInt32LE(CLOCK_MONOTONIC, 92);
  try {
    const event = held.use(new PerfEvent(attribute, { pid: tid, cpu: -1 }, `cannot sample thread ${tid}`));
    const ring = held.use(new Arena((1 + dataPages) * pageBytes, { fd: event.fd }));
    event.refresh(1);
    return ring;
  } catch (error) {
    const { code } = toStillframeError(error);
    if (code === 'system' || code === 'denied') return undefined;
    throw error;
  }
}

function readSample(ring: Buffer, thread: ObservedThread): ObservedThread | undefined {
  const head = ring.readBigUInt64LE(dataHeadOffset);
  if (head === 0n) return undefined;
  const data = ring.subarray(pageBytes);
  // One sample and no tail: it lies at the beginning, and does not wrap.
  const size = data.readUInt16LE(6);
  if (data.readUInt32LE(0) !== PERF_RECORD_SAMPLE || BigInt(size) > head) return undefined;
  if (data.readUInt32LE(12) !== thread.tid) return undefined;
  const timeNs = data.readBigUInt64LE(16);
  if (data.readBigUInt64LE(24) !== PERF_SAMPLE_REGS_ABI_64) return undefined;
  const registers = new Uint8Array(userRegistersBytes);
  const out = new DataView(registers.buffer);
  let at = 32;
  for (const [, name] of sampledRegisters) {
    out.setBigUint64(userRegisterOffset(name), data.readBigUInt64LE(at), true);
    at += 8;
  }
  const stack = at < size ? readStack(data, at, size) : new Uint8Array(0);
  const stackAddress = out.getBigUint64(userRegisterOffset('rsp'), true);
  return {
    ...thread,
    verdict: 'still',
    timeNs,
    registers,
    unknownRegisters,
    stackAddress,
    stack,
    state: 'R',
  };
}

/** Its room, the bytes, and how many of them are true. */
function readStack(data: Buffer, at: number, end: number): Uint8Array {
  const room = Number(data.readBigUInt64LE(at));
  if (room === 0 || at + 8 + room + 8 > end) return new Uint8Array(0);
  const used = Math.min(Number(data.readBigUInt64LE(at + 8 + room)), room);
  return new Uint8Array(data.subarray(at + 8, at + 8 + used));
}
