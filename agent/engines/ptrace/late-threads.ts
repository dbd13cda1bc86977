/**
 * Threads that were asked to stop and had no time to do so. Each is let go when it does: one that stops when nobody looks any more is detached
 * by the kernel with the system call that the stop ended as it is (interrupted-call.ts says why that matters).
 */
import { detach, napBetween } from '../../linux/ptrace.js';
import { readThreadStat } from '../../linux/proc.js';
import { restartInterrupted } from './interrupted-call.js';
import { RegisterSlots } from './registers.js';
import { pendingSignal, type Tracees } from './tracees.js';

const nsPerMs = 1_000_000n;
const lateMs = 1000n;

/** Lets go of all threads that are still held, as they stop. Those in uninterruptible calls, and what stays, go with the tracing thread. */
export function releaseLate(tracees: Tracees): void {
  const waiting = new Set([...tracees.tids].filter((tid) => !isUninterruptible(tracees.pid, tid)));
  if (waiting.size === 0) return;
  using slots = new RegisterSlots(1);
  const deadlineNs = process.hrtime.bigint() + lateMs * nsPerMs;
  for (let turn = 0; waiting.size > 0 && process.hrtime.bigint() < deadlineNs; turn++) {
    for (const tid of waiting) {
      if (!tracees.stops.has(tid) && !tracees.poll(tid)) continue;
      waiting.delete(tid);
      const stop = tracees.stops.get(tid);
      if (stop !== undefined) {
        if (slots.readGeneral(0, tid)) restartInterrupted(tid, slots, 0);
        detach(tid, pendingSignal(stop));
      }
      tracees.forget(tid);
    }
    napBetween(turn);
  }
}

function isUninterruptible(pid: number, tid: number): boolean {
  try {
    return readThreadStat(pid, tid).state === 'D';
  } catch {
    // It ended, which is to be taken in.
    return false;
  }
}
