/**
 * Keeps a copy from costing the process its life. Each page that the process writes to while the copy is there is one more; when its control group
 * has no more, the kernel kills. It kills the copy first (its oom_score_adj is 1000), but as long as somebody reads the copy its memory
 * stays, and the kernel, which sees nobody else left, goes on to the process. So a copy is made only with memory to spare,
 * and given up before there is too little.
 */
import { StillframeError } from '../../../format/error.js';
import { MemoryBounds, readOwnBytes, type MemoryLeft } from '../../linux/memory-left.js';

const mebibyte = 1024 ** 2;
/** Beside what the process itself may write to: for others of its group, and for the time that a copy takes to go. */
const mostReserveBytes = 64 * mebibyte;

export class MemoryGuard {
  readonly #pid: number;
  readonly #bounds: MemoryBounds;

  constructor(pid: number) {
    this.#pid = pid;
    this.#bounds = new MemoryBounds(pid);
  }

  /** Throws `unsupported` when there is no room for a copy: for all that the process has, since it may write to all of it. */
  checkBefore(): void {
    const left = this.#bounds.left();
    const own = readOwnBytes(this.#pid);
    const spare = own + reserveOf(own);
    if (left.bytes < spare) throw this.#error(`cannot copy process ${this.#pid}`, left, spare);
  }

  /** While the copy is there: gives the error that it is to be given up with, when others of the group have used up half of the reserve. */
  whyGiveUp(): StillframeError | undefined {
    const left = this.#bounds.left();
    const spare = reserveOf(readOwnBytes(this.#pid)) / 2;
    return left.bytes >= spare
      ? undefined
      : this.#error(`gave up the copy of process ${this.#pid}`, left, spare);
  }

  #error(action: string, left: MemoryLeft, spareBytes: number): StillframeError {
    const inMebibytes = (bytes: number): string => `${Math.max(0, bytes / mebibyte).toFixed(0)} MiB`;
    return new StillframeError(
      'unsupported',
      `${action}: ${left.of} has ${inMebibytes(left.bytes)} of memory left, and ${inMebibytes(spareBytes)} are to be spared: each page that it writes to while the copy is there is one more`,
      {
        detail: { pid: this.#pid },
        hint: 'raise the limit of the control group (memory.max) meanwhile, or take --stacks',
      },
    );
  }
}

const reserveOf = (ownBytes: number): number => Math.min(ownBytes, mostReserveBytes);
