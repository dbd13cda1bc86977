import { readFileSync } from 'node:fs';
import { callInt, systemError } from './ffi.js';

const CLOCK_REALTIME = 0;
const nsPerSecond = 1_000_000_000n;
/** USER_HZ: what /proc counts in, 100 on every architecture that we know. */
const ticksPerSecond = 100n;

/** Nanoseconds since the epoch, exact to the nanosecond (Date.now has milliseconds only). */
export function realtimeNs(): bigint {
  const time = Buffer.alloc(16);
  const { value, errno } = callInt('clock_gettime', { i32: CLOCK_REALTIME }, { buffer: time });
  if (value !== 0) throw systemError('cannot read the clock', 'clock_gettime', errno);
  return time.readBigInt64LE(0) * nsPerSecond + time.readBigInt64LE(8);
}

/** CLOCK_MONOTONIC, which is also what `bpf_ktime_get_ns` gives. */
export function monotonicNs(): bigint {
  return process.hrtime.bigint();
}

/** Two readings of a clock within so long of each other are as good as one. */
const closeNs = 50_000n;
const maxReadings = 8;

/** How long the clocks are believed to stay as far apart as they are: one may be set. */
const freshNs = 10_000_000n;
let last: { readonly atNs: bigint; readonly offset: bigint } | undefined;

/** Turns a CLOCK_MONOTONIC time, such as the kernel stamps records with, into nanoseconds since the epoch. */
export function monotonicToRealtime(monotonic: bigint): bigint {
  const now = monotonicNs();
  if (last === undefined || now - last.atNs > freshNs) last = { atNs: now, offset: clockOffset() };
  return monotonic + last.offset;
}

/** The clocks are read again where this process was interrupted between them; the closest readings count. */
function clockOffset(): bigint {
  let closest: { readonly apart: bigint; readonly offset: bigint } | undefined;
  for (let i = 0; i < maxReadings && (closest === undefined || closest.apart > closeNs); i++) {
    const before = monotonicNs();
    const realtime = realtimeNs();
    const apart = monotonicNs() - before;
    if (closest === undefined || apart < closest.apart)
      closest = { apart, offset: realtime - (before + apart / 2n) };
  }
  return closest?.offset ?? 0n;
}

/** Boot time in milliseconds since the epoch, from /proc/stat (one second exact). */
export function readBootTimeMs(): number {
  const match = /^btime ([0-9]+)$/m.exec(readFileSync('/proc/stat', 'utf8'));
  return match?.[1] === undefined ? 0 : Number(match[1]) * 1000;
}

/** When a process started, in milliseconds since the epoch, of `startTicks` in /proc/PID/stat. */
export function startTimeMs(startTicks: bigint, bootTimeMs: number): number {
  return bootTimeMs + Number((startTicks * 1000n) / ticksPerSecond);
}
