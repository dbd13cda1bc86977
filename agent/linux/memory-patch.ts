import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { StillframeError } from '../../format/error.js';
import { hex } from '../../format/address.js';
import { procError } from './proc.js';

/**
 * Writes another process's memory through `/proc/PID/mem`, which makes a private copy of a page that is mapped read-only from a
 * file. Besides word-writer.ts the only writer of target memory: single bytes of code, which whoever uses it journals first, and stack that is not in use.
 */
export class CodePatcher implements Disposable {
  readonly pid: number;
  readonly #byte: Buffer = Buffer.alloc(1);
  #fd: number;

  constructor(pid: number) {
    this.pid = pid;
    try {
      this.#fd = openSync(`/proc/${pid}/mem`, 'r+');
    } catch (error) {
      throw procError(`cannot open the memory of process ${pid} for writing`, pid, error);
    }
  }

  read(address: bigint): number {
    try {
      if (readSync(this.#fd, this.#byte, 0, 1, address) === 1) return this.#byte.readUInt8(0);
    } catch (error) {
      throw procError(`cannot read ${hex(address)} of process ${this.pid}`, this.pid, error);
    }
    throw gone(this.pid);
  }

  write(address: bigint, value: number): void {
    this.#byte.writeUInt8(value, 0);
    try {
      if (writeSync(this.#fd, this.#byte, 0, 1, positionOf(address)) === 1) return;
    } catch (error) {
      throw procError(`cannot write ${hex(address)} of process ${this.pid}`, this.pid, error);
    }
    throw gone(this.pid);
  }

  readAll(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    try {
      for (let done = 0; done < length;) {
        const count = readSync(this.#fd, bytes, done, length - done, address + BigInt(done));
        if (count === 0) throw gone(this.pid);
        done += count;
      }
    } catch (error) {
      throw procError(`cannot read ${hex(address)} of process ${this.pid}`, this.pid, error);
    }
    return bytes;
  }

  /** Overwrites bytes that the process does not use. */
  writeAll(address: bigint, bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length;) {
        const position = positionOf(address + BigInt(done));
        const count = writeSync(this.#fd, bytes, done, bytes.length - done, position);
        if (count === 0) throw gone(this.pid);
        done += count;
      }
    } catch (error) {
      throw procError(`cannot write ${hex(address)} of process ${this.pid}`, this.pid, error);
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** node:fs takes positions of writes as numbers; user space on x86-64 ends at 2^47, far below where they are exact. */
function positionOf(address: bigint): number {
  if (address < 0n || address > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new StillframeError('internal', `cannot write at ${hex(address)}: not an address of user space`);
  }
  return Number(address);
}

const gone = (pid: number): StillframeError =>
  new StillframeError('target-gone', `process ${pid} is gone, or executed another program`, {
    detail: { pid },
  });
