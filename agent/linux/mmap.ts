import { StillframeError } from '../../format/error.js';
import { bufferAt, syscall, systemError } from './ffi.js';

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const MAP_POPULATE = 0x8000;
const SYS_mmap = 9;
const SYS_mprotect = 10;
const SYS_munmap = 11;

export interface MmapOptions {
  /** Of an fd (shared); anonymous private memory without it. */
  readonly fd?: number;
  readonly offset?: bigint;
  readonly writable?: boolean;
  /** Its pages are there from the start, up to {@link maxPopulated} bytes of them. */
  readonly populate?: boolean;
}

/** What costs a moment to have; larger arenas get their pages as they are used. */
const maxPopulated = 16 << 20;

/**
 * A mapping of our own whose address is known, for memory that the kernel keeps or fills. `bytes` must not be touched after
 * disposal: the pages are gone and the process would die.
 */
export class Arena implements Disposable {
  readonly address: bigint;
  readonly length: number;
  readonly bytes: Buffer;
  #mapped = true;

  constructor(length: number, options: MmapOptions = {}) {
    if (!Number.isSafeInteger(length) || length <= 0) {
      throw new StillframeError('internal', `cannot map ${length} bytes`);
    }
    const writable = options.writable ?? true;
    const kind = options.fd === undefined ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    const populate = options.populate === true && length <= maxPopulated ? MAP_POPULATE : 0;
    const { value, errno } = syscall(
      SYS_mmap,
      { i64: 0n },
      { i64: BigInt(length) },
      { i64: BigInt(PROT_READ | (writable ? PROT_WRITE : 0)) },
      { i64: BigInt(kind | populate) },
      { i64: BigInt(options.fd ?? -1) },
      { i64: options.offset ?? 0n },
    );
    if (value === -1n) throw systemError(`cannot map ${length} bytes`, 'mmap', errno);
    this.address = BigInt.asUintN(64, value);
    this.length = length;
    this.bytes = bufferAt(this.address, length);
  }

  [Symbol.dispose](): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    syscall(SYS_munmap, { i64: this.address }, { i64: BigInt(this.length) });
  }
}

/** Maps code, readable and executable, for as long as the process runs. Throws `denied` where no memory may become executable. */
export function mapCode(code: Uint8Array): bigint {
  const arena = new Arena(code.length);
  arena.bytes.set(code);
  const { value, errno } = syscall(
    SYS_mprotect,
    { i64: arena.address },
    { i64: BigInt(arena.length) },
    { i64: BigInt(PROT_READ | PROT_EXEC) },
  );
  if (value !== -1n) return arena.address;
  arena[Symbol.dispose]();
  throw systemError('cannot make memory executable', 'mprotect', errno, {
    hint: 'MemoryDenyWriteExecute of a systemd unit forbids it, and SELinux may (execmem)',
  });
}
