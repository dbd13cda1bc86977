/** When a process has come to rest. What it says of itself comes too early: a thread that was started may wait for a processor yet. */
import { setTimeout as sleep } from 'node:timers/promises';
import { readThreadSyscall, readTids } from '../../agent/linux/proc.js';

/** System calls that threads wait in. */
export const SYS_read = 0;
export const SYS_pause = 34;

/** Where each thread called the kernel; what does not change does not run. */
export function placesOf(pid: number): string {
  return readTids(pid)
    .map((tid) => {
      const call = readThreadSyscall(pid, tid);
      return call.running ? `${tid} runs` : `${tid} ${call.pc} ${call.sp} ${call.args.join(' ')}`;
    })
    .join('\n');
}

/** Until all threads wait, and go on waiting. */
export async function untilAtRest(pid: number): Promise<void> {
  for (let before = ''; ;) {
    const places = placesOf(pid);
    if (places === before && !places.includes('runs')) return;
    before = places;
    await sleep(100);
  }
}

/** Until a thread waits in each of these system calls: as many threads as a call is named. */
export async function untilCalling(pid: number, ...wanted: readonly number[]): Promise<void> {
  for (;;) {
    const left = [...wanted];
    for (const tid of readTids(pid)) {
      const call = readThreadSyscall(pid, tid);
      const at = call.running ? -1 : left.indexOf(call.number);
      if (at >= 0) left.splice(at, 1);
    }
    if (left.length === 0) return;
    await sleep(10);
  }
}
