/** Memory of another process: by `/proc/PID/mem` through node:fs (no FFI), or where that may not be opened by process_vm_readv. Never writes. Rules: proc(5). */
import { closeSync, openSync, readSync } from 'node:fs';
import { absent, type Absent } from '../../format/absent.js';
import { hex } from '../../format/address.js';
import type { MemoryBytes, MemoryReader, Provenance } from '../../format/memory.js';
import { type PeekedMemory, tryToPeek } from './peeked-memory.js';
import { procError } from './proc.js';

/** User space ends below; above it a file position would be negative. */
const maxAddress = 1n << 63n;
const pageBytes = 4096n;

/**
 * Memory through an open `/proc/PID/mem`. It is bound to the address space that the process had when it was opened: after
 * exit or exec every read is absent, so a reused pid is never read by mistake.
 */
export class ProcessMemory implements MemoryReader, Disposable {
  readonly pid: number;
  readonly #provenance: Provenance;
  /** Where the file may not be opened. */
  readonly #peeked: PeekedMemory | undefined;
  #fd = -1;

  constructor(pid: number, provenance: Provenance = 'racy') {
    this.pid = pid;
    this.#provenance = provenance;
    try {
      this.#fd = openSync(`/proc/${pid}/mem`, 'r');
    } catch (error) {
      const failure = procError(`cannot open the memory of process ${pid}`, pid, error);
      const isDenied = failure.detail.errnoName === 'EACCES';
      this.#peeked = isDenied ? tryToPeek(pid) : undefined;
      if (this.#peeked === undefined) throw failure;
    }
  }

  /** How many bytes could be read into `target`, from `address` upwards, up to the first missing page. */
  readInto(address: bigint, target: Uint8Array): number {
    if (this.#peeked !== undefined) return this.#peeked.readInto(address, target);
    let done = 0;
    while (done < target.length) {
      const position = address + BigInt(done);
      if (position < 0n || position >= maxAddress) break;
      let count = 0;
      try {
        count = readSync(this.#fd, target, done, target.length - done, position);
      } catch {
        break;
      }
      if (count <= 0) break;
      done += count;
    }
    return done;
  }

  read(address: bigint, length: number): MemoryBytes | Absent {
    const bytes = new Uint8Array(length);
    const got = this.readInto(address, bytes);
    if (got < length) {
      const missing = address + BigInt(got);
      return absent('unreadable', `memory at ${hex(missing)} cannot be read`, {
        address: missing,
        length: length - got,
      });
    }
    return { bytes, provenance: this.#provenance };
  }

  [Symbol.dispose](): void {
    this.#peeked?.[Symbol.dispose]();
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** The start of the page after the one that holds an address. */
export const nextPage = (address: bigint): bigint => (address / pageBytes + 1n) * pageBytes;
