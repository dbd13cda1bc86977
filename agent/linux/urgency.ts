/**
 * The processor for this thread before others, while threads of somebody else stand still and wait for it. Where that is not permitted
 * (CAP_SYS_NICE, RLIMIT_NICE) nothing changes. Rules: setpriority(2), which is by thread on Linux.
 */
import { syscall } from './ffi.js';

const SYS_getpriority = 140;
const SYS_setpriority = 141;
const PRIO_PROCESS = 0n;
const ownThread = 0n;
const highest = -20n;
/** getpriority gives 40 for -20 and 1 for 19. */
const zeroNice = 20n;

export class Urgency implements Disposable {
  readonly #before: bigint;

  constructor() {
    const { value } = syscall(SYS_getpriority, { i64: PRIO_PROCESS }, { i64: ownThread });
    this.#before = value > 0n ? zeroNice - value : 0n;
    setNice(highest);
  }

  [Symbol.dispose](): void {
    setNice(this.#before);
  }
}

function setNice(nice: bigint): void {
  syscall(SYS_setpriority, { i64: PRIO_PROCESS }, { i64: ownThread }, { i64: nice });
}
