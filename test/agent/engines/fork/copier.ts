/**
 * Copies a process (its first argument) again and again, for tests that kill it: without the threads and messages of an engine, so that nearly
 * all of its time is spent where a kill matters. Says first how much of it that is, in percent.
 */
import { copyProcess } from '../../../../agent/engines/fork/copy.js';
import { WALL, wait } from '../../../../agent/linux/ptrace.js';
import { toStillframeError } from '../../../../format/error.js';
import { Tracees } from '../../../../agent/engines/ptrace/tracees.js';
import { goOnUntilKilled } from '../../../support/go-on-until-killed.js';

const pid = Number(process.argv[2]);
const status = Buffer.alloc(4);
const rehearsals = 5;

/** Nanoseconds from the first stop to the last release. */
function copyOnce(): number {
  const { capture, twin } = copyProcess({ pid, maxStopMs: 100 }, new Tracees(pid));
  const longest = Math.max(...capture.threads.map((thread) => thread.stoppedNs ?? 0));
  process.kill(twin, 'SIGKILL');
  wait(twin, WALL, status);
  return longest;
}

/** On a machine with other work a thread may not stop in time, and nothing is copied then. */
function copyNext(): number {
  try {
    return copyOnce();
  } catch (error) {
    if (toStillframeError(error).code !== 'limit') throw error;
    return 0;
  }
}

goOnUntilKilled(rehearsals, copyNext);
