/** What a process uses of the machine at one moment, as /proc says. Two readings give what it used in between. */
import { readdirSync, statSync } from 'node:fs';
import { StillframeError } from '../../format/error.js';
import { procError, readStat } from '../linux/proc.js';

export interface ProcessUsage {
  readonly pid: number;
  readonly startTicks: bigint;
  /** Of CLOCK_MONOTONIC, when it was read. */
  readonly timeMs: number;
  /** Of all its threads since it started, to ten milliseconds. */
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly threads: number;
  /** Open ones, or why they may not be counted; undefined where they were not asked for. */
  readonly descriptors?: number | { readonly refusal: string };
}

/** USER_HZ is 100 on every architecture that we know. */
const msPerTick = 10;
const pageBytes = 4096;

/** Undefined for one that is gone. */
export function readUsage(
  pid: number,
  { descriptors }: { readonly descriptors: boolean },
): ProcessUsage | undefined {
  try {
    const { startTicks, cpuTicks, rssPages, threads, state } = readStat(pid);
    if (state === 'Z' || state === 'X') return undefined;
    return {
      pid,
      startTicks,
      timeMs: Number(process.hrtime.bigint() / 1000n) / 1000,
      cpuMs: Number(cpuTicks) * msPerTick,
      rssBytes: rssPages * pageBytes,
      threads,
      ...(descriptors ? { descriptors: countDescriptors(pid) } : {}),
    };
  } catch (error) {
    if (error instanceof StillframeError && error.code === 'target-gone') return undefined;
    throw error;
  }
}

/** The size of the directory is their number since Linux 6.2, without listing a million of them; before it was 0. */
function countDescriptors(pid: number): number | { readonly refusal: string } {
  const folder = `/proc/${pid}/fd`;
  try {
    return statSync(folder).size || readdirSync(folder).length;
  } catch (error) {
    const known = procError(`cannot count the descriptors of process ${pid}`, pid, error);
    if (known.code === 'target-gone') throw known;
    return { refusal: known.message };
  }
}
