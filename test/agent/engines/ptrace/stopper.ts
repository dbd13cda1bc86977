/**
 * Stops a process (its first argument) again and again, for tests that kill it: `now` takes all threads, `points` has a hardware breakpoint set and unset in
 * the function whose address is given, and takes what hits meanwhile. Without the threads and messages of an engine, so that
 * nearly all of its time is spent where a kill matters. Says first how much of it that is, in percent.
 */
import { tmpdir } from 'node:os';
import { releaseLate } from '../../../../agent/engines/ptrace/late-threads.js';
import { TracedProcess } from '../../../../agent/engines/ptrace/traced-process.js';
import { captureNow } from '../../../../agent/engines/ptrace/now.js';
import { counterSlots, type PointSpec } from '../../../../agent/engines/ptrace/messages.js';
import { Tracees, pendingSignal, type Stop } from '../../../../agent/engines/ptrace/tracees.js';
import { WALL, WNOHANG, WNOTHREAD, detach, napBetween, wait } from '../../../../agent/linux/ptrace.js';
import { toStillframeError } from '../../../../format/error.js';
import { goOnUntilKilled } from '../../../support/go-on-until-killed.js';
import { planFor } from './target.js';

const [mode = 'now', target = '', address = '0'] = process.argv.slice(2);
const pid = Number(target);
const request = { pid, tids: [], stackBytes: 16_384, maxBytes: 1 << 20 };
const rehearsals = 10;
const status = Buffer.alloc(4);

/** Nanoseconds that threads stood still. */
function takeAll(): number {
  const tracees = new Tracees(pid);
  const letGo = (stop: Stop): void => {
    detach(stop.tid, pendingSignal(stop));
    tracees.forget(stop.tid);
  };
  const { cost } = captureNow(request, { tracees, goOn: 'detach', letGo });
  // On a machine that is busier than an engine would bear with, some take long to stop.
  for (let i = 0; i < 30 && tracees.tids.size > 0; i++) releaseLate(tracees);
  return cost.stoppedNs;
}

const traced = new TracedProcess(pid, {
  journal: tmpdir(),
  reports: { hit: () => undefined, ended: () => undefined },
});
const counters = new SharedArrayBuffer(8 * counterSlots.length);
const never = Uint8Array.of(0x30);
const spec: PointSpec | undefined =
  mode === 'points'
    ? {
        pointId: 'p',
        plan: planFor(['work'], never),
        addresses: [BigInt(address)],
        countOnly: false,
        maxHits: 1000,
        minIntervalNs: 0n,
        allowSoftware: false,
        counters,
      }
    : undefined;
const armedNs = 3_000_000n;

/** Nanoseconds from arming to the end of it. */
function passPoints(armed: PointSpec): number {
  const beganNs = process.hrtime.bigint();
  try {
    traced.arm(armed);
  } catch (error) {
    // A thread that is just being made blocks all signals, and none is left to announce a breakpoint by.
    if (toStillframeError(error).code !== 'unsupported') throw error;
    return 0;
  }
  while (process.hrtime.bigint() - beganNs < armedNs) {
    const result = wait(-1, WALL | WNOTHREAD | WNOHANG, status);
    if (result.kind === 'none') napBetween(8);
    else traced.handle(result);
  }
  traced.disarm('p');
  return Number(process.hrtime.bigint() - beganNs);
}

const next = (): number => (spec === undefined ? takeAll() : passPoints(spec));

goOnUntilKilled(rehearsals, next);
