/**
 * The processor for this thread before all others, while threads of somebody else stand still and wait for it: in real time, since nice values count only
 * among the threads of a session or a control group (sched(7), "The autogroup feature"). Where that is not permitted (CAP_SYS_NICE, RLIMIT_RTPRIO, a
 * control group without real time) by the highest nice value that is; else nothing changes.
 * Rules: sched_setscheduler(2), setpriority(2), which are by thread on Linux.
 */
import { syscall } from './ffi.js';

const SYS_getpriority = 140;
const SYS_setpriority = 141;
const SYS_sched_setscheduler = 144;
const SYS_sched_getscheduler = 145;
const PRIO_PROCESS = 0n;
const ownThread = 0n;
const highest = -20n;
/** getpriority gives 40 for -20 and 1 for 19. */
const zeroNice = 20n;
const SCHED_OTHER = 0n;
const SCHED_RR = 2n;
const SCHED_RESET_ON_FORK = 0x4000_0000n;
/** The lowest of those in real time is above all that are not. */
const lowest = priority(1);
const none = priority(0);

type Means = 'real time' | 'nice' | 'nothing';

export class Urgency implements Disposable {
  readonly #means: Means;
  readonly #niceBefore: bigint = 0n;

  constructor() {
    // Whoever started this thread in real time knows better.
    if (syscall(SYS_sched_getscheduler, { i64: ownThread }).value !== SCHED_OTHER) {
      this.#means = 'nothing';
    } else if (setScheduler(SCHED_RR | SCHED_RESET_ON_FORK, lowest)) {
      this.#means = 'real time';
    } else {
      this.#means = 'nice';
      const { value } = syscall(SYS_getpriority, { i64: PRIO_PROCESS }, { i64: ownThread });
      this.#niceBefore = value > 0n ? zeroNice - value : 0n;
      setNice(highest);
    }
  }

  [Symbol.dispose](): void {
    if (this.#means === 'real time') setScheduler(SCHED_OTHER, none);
    else if (this.#means === 'nice') setNice(this.#niceBefore);
  }
}

/** A `struct sched_param`. */
function priority(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

const setScheduler = (policy: bigint, param: Buffer): boolean =>
  syscall(SYS_sched_setscheduler, { i64: ownThread }, { i64: policy }, { buffer: param }).value === 0n;

function setNice(nice: bigint): void {
  syscall(SYS_setpriority, { i64: PRIO_PROCESS }, { i64: ownThread }, { i64: nice });
}
