/**
 * Keeps a copy from costing the process its life. Each page that the process writes to while the copy is there is one more; when its control group
 * has no more, the kernel kills. It kills the copy first (its oom_score_adj is 1000), but as long as somebody reads the copy its memory
 * stays, and the kernel, which sees nobody else left, goes on to the process. So a copy is made only with memory to spare,
 * and given up before there is too little.
 */
import { StillframeError } from '../../../format/error.js';
import { MemoryBounds, readOwnBytes, type MemoryLeft } from '../../linux/memory-left.js';

const mebibyte = 1024 ** 2;
/** What may be written while a copy that was given up goes. A process that has less cannot write more than it has. */
const leastSpareBytes = 64 * mebibyte;
const spareShare = 4;

export class MemoryGuard {
  readonly #pid: number;
  readonly #bounds: MemoryBounds;

  constructor(pid: number) {
    this.#pid = pid;
    this.#bounds = new MemoryBounds(pid);
  }

  /** Throws `unsupported` when there is no room for a copy. To be asked before it is made. */
  checkBefore(): void {
    const left = this.#bounds.left();
    const spare = this.#spareBytes();
    if (left.bytes < spare) throw this.#error(`cannot copy process ${this.#pid}`, left, spare);
  }

  /** The same while the copy is there: of what was to spare, half may be used up. Gives the error that it is to be given up with. */
  whyGiveUp(): StillframeError | undefined {
    const left = this.#bounds.left();
    const spare = this.#spareBytes() / 2;
    return left.bytes >= spare
      ? undefined
      : this.#error(`gave up the copy of process ${this.#pid}`, left, spare);
  }

  /** As large as the process is now: it may grow meanwhile. */
  #spareBytes(): number {
    const own = readOwnBytes(this.#pid);
    return Math.min(own, Math.max(leastSpareBytes, Math.ceil(own / spareShare)));
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
