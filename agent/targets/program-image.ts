/**
 * Which program a process runs, so that it is seen when it executes another one: its number and its start stay the same, its addresses mean
 * something else. Told by the auxiliary vector, which names where program, dynamic linker, vdso and stack were put: where that is the
 * same after all, the same program lies at the same addresses.
 */
import { toStillframeError } from '../../format/error.js';
import { readAuxv } from '../linux/peeked-memory.js';

/** The auxiliary vectors of processes at one moment: of a process that has many points it is read once. */
export class ProgramImages {
  readonly #seen = new Map<number, Buffer>();

  /** Throws as {@link ProgramImage}. */
  auxv(pid: number): Buffer {
    const seen = this.#seen.get(pid);
    if (seen !== undefined) return seen;
    const auxv = readAuxv(pid);
    this.#seen.set(pid, auxv);
    return auxv;
  }
}

export class ProgramImage {
  readonly #pid: number;
  readonly #auxv: Buffer;

  /** Throws `target-gone`, `denied`. */
  constructor(pid: number) {
    this.#pid = pid;
    this.#auxv = readAuxv(pid);
  }

  /** Whether the process runs another program by now. One that is gone runs none. */
  isAnother(images: ProgramImages = new ProgramImages()): boolean {
    try {
      const auxv = images.auxv(this.#pid);
      // A process that ends has lost its memory, and the vector with it, before it is gone.
      return auxv.length > 0 && !auxv.equals(this.#auxv);
    } catch (error) {
      if (toStillframeError(error).code === 'target-gone') return false;
      throw error;
    }
  }
}
