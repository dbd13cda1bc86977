/** Many pieces of another process's memory at once. Rules: process_vm_readv(2). */
import { StillframeError } from '../../format/error.js';
import { errnoName } from './errno.js';
import { syscall, systemError } from './ffi.js';
import { Arena } from './mmap.js';

const SYS_process_vm_readv = 310;
const iovMax = 1024;
const iovecBytes = 16;

/** One piece of a batch, and after the read how much of it is there. */
export interface VectorPiece {
  readonly address: bigint;
  readonly length: number;
}

/**
 * Reads many pieces with few system calls into memory that was set aside before, so that nothing is allocated
 * between stop and resume. Results stay valid until the next `read`.
 */
export class VectorReader implements Disposable {
  readonly capacity: number;
  readonly #data: Arena;
  readonly #local: Arena;
  readonly #remote: Arena;

  constructor(capacity: number) {
    this.capacity = Math.max(capacity, 1);
    this.#data = new Arena(this.capacity);
    this.#local = new Arena(iovecBytes);
    this.#remote = new Arena(iovMax * iovecBytes);
  }

  /** Bytes of one piece of the last read, which lie one after the other from 0. A view: copy it. */
  view(offset: number, length: number): Buffer {
    return this.#data.bytes.subarray(offset, offset + length);
  }

  /**
   * Reads all pieces, laid out one after the other. Gives for each how many bytes are there, from its first byte
   * to its first missing page. Throws `internal` when they exceed the capacity, `denied` and `target-gone` as they are.
   */
  read(pid: number, pieces: readonly VectorPiece[], got: number[] = []): number[] {
    got.length = pieces.length;
    let index = 0;
    let offset = 0;
    while (index < pieces.length) {
      const last = Math.min(pieces.length, index + iovMax);
      let wanted = 0;
      for (let i = index; i < last; i++) {
        const piece = pieces[i];
        if (piece === undefined) break;
        this.#remote.bytes.writeBigUInt64LE(piece.address, (i - index) * iovecBytes);
        this.#remote.bytes.writeBigUInt64LE(BigInt(piece.length), (i - index) * iovecBytes + 8);
        wanted += piece.length;
      }
      if (offset + wanted > this.capacity) {
        throw new StillframeError(
          'internal',
          `cannot read ${offset + wanted} bytes of process ${pid} at once: room for ${this.capacity}`,
        );
      }
      let count = this.#call(pid, offset, wanted, last - index);
      // The kernel stops at the first piece with a missing page: what it gave of that piece is kept, and the rest begins after it.
      while (index < last) {
        const length = pieces[index]?.length ?? 0;
        const here = Math.min(length, count);
        got[index] = here;
        count -= here;
        offset += length;
        index++;
        if (here < length) break;
      }
    }
    return got;
  }

  #call(pid: number, offset: number, wanted: number, pieces: number): number {
    if (wanted === 0) return 0;
    this.#local.bytes.writeBigUInt64LE(this.#data.address + BigInt(offset), 0);
    this.#local.bytes.writeBigUInt64LE(BigInt(wanted), 8);
    const { value, errno } = syscall(
      SYS_process_vm_readv,
      { i64: BigInt(pid) },
      { i64: this.#local.address },
      { i64: 1n },
      { i64: this.#remote.address },
      { i64: BigInt(pieces) },
      { i64: 0n },
    );
    if (value >= 0n) return Number(value);
    const name = errnoName(errno);
    if (name === 'EFAULT') return 0;
    if (name === 'ESRCH') {
      throw new StillframeError('target-gone', `cannot read process ${pid}: it does not exist`, {
        detail: { pid },
      });
    }
    throw systemError(`cannot read process ${pid}`, 'process_vm_readv', errno, {
      pid,
      hint: 'run as the user of the process, or with CAP_SYS_PTRACE',
    });
  }

  [Symbol.dispose](): void {
    this.#data[Symbol.dispose]();
    this.#local[Symbol.dispose]();
    this.#remote[Symbol.dispose]();
  }
}
