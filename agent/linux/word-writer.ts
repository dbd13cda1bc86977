/** A word of another process's memory, written as the process itself could: never where it may not write. Rules: process_vm_writev(2). */
import { syscall } from './ffi.js';
import { Arena } from './mmap.js';

const SYS_process_vm_writev = 311;
const wordBytes = 8;

export class WordWriter implements Disposable {
  readonly #arena = new Arena(5 * wordBytes);

  /** False when it could not be written as a whole. */
  write(pid: number, address: bigint, value: bigint): boolean {
    const { bytes, address: base } = this.#arena;
    const [local, remote, data] = [0, 2 * wordBytes, 4 * wordBytes];
    bytes.writeBigUInt64LE(base + BigInt(data), local);
    bytes.writeBigUInt64LE(BigInt(wordBytes), local + wordBytes);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, address), remote);
    bytes.writeBigUInt64LE(BigInt(wordBytes), remote + wordBytes);
    bytes.writeBigUInt64LE(value, data);
    const { value: written } = syscall(
      SYS_process_vm_writev,
      { i64: BigInt(pid) },
      { i64: base + BigInt(local) },
      { i64: 1n },
      { i64: base + BigInt(remote) },
      { i64: 1n },
      { i64: 0n },
    );
    return written === BigInt(wordBytes);
  }

  [Symbol.dispose](): void {
    this.#arena[Symbol.dispose]();
  }
}
