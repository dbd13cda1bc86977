/** Which pages of a process are there: `/proc/PID/pagemap` (Documentation/admin-guide/mm/pagemap.rst). */
import { closeSync, openSync, readSync } from 'node:fs';
import { Arena } from './mmap.js';
import { procError } from './proc.js';

const pageBytes = 4096n;
const entryBytes = 8;
const chunkPages = 64 * 1024;
const present = 1 << 31;
const swapped = 1 << 30;
/** A page of a file, or shared. */
const ofFile = 1 << 29;

/** Bits 32 to 54 of the frame number, in the upper half of an entry. */
const upperFrame = 0x7f_ffff;

/** A run of pages, in bytes. */
export interface PageRun {
  readonly address: bigint;
  readonly length: number;
}

/** `all`: whatever is there; `own`: only what is the process's alone, as a page of a private file mapping is once it was written. */
export type PageKind = 'all' | 'own';

export interface FrameNumber {
  readonly upper: number;
  readonly lower: number;
}

/** What anonymous memory shows that was read and never written. */
function findZeroFrame(): FrameNumber | undefined {
  using memory = new Arena(Number(pageBytes));
  // Reading it is what maps the page.
  if (memory.bytes[0] !== 0) return undefined;
  using own = new PageMap(process.pid);
  return own.frame(memory.address);
}

export class PageMap implements Disposable {
  readonly #buffer: Buffer = Buffer.alloc(chunkPages * entryBytes);
  readonly #pid: number;
  /** Of the page of zeros that stands for all that were only ever read; undefined where the kernel hides frame numbers (CAP_SYS_ADMIN). */
  readonly #zeroFrame: FrameNumber | undefined;
  #fd: number;

  constructor(pid: number) {
    this.#pid = pid;
    this.#zeroFrame = pid === process.pid ? undefined : findZeroFrame();
    try {
      this.#fd = openSync(`/proc/${pid}/pagemap`, 'r');
    } catch (error) {
      throw procError(`cannot open the page map of process ${pid}`, pid, error);
    }
  }

  /** Runs of pages that are there between two addresses, ascending; those at most `joined` bytes apart are one. */
  runs(start: bigint, end: bigint, kind: PageKind, joined = 0): PageRun[] {
    const runs: { address: bigint; length: number }[] = [];
    for (let at = start; at < end;) {
      const pages = Math.min(chunkPages, Number((end - at) / pageBytes));
      const count = this.#read(at, pages);
      if (count === 0) break;
      for (let i = 0; i < count; i++) {
        const flags = this.#buffer.readInt32LE(i * entryBytes + 4);
        const isThere = (flags & (present | swapped)) !== 0;
        if (!isThere || this.#isZero(flags, i) || (kind === 'own' && (flags & ofFile) !== 0)) continue;
        const address = at + BigInt(i) * pageBytes;
        const last = runs.at(-1);
        const gap = last === undefined ? 0 : Number(address - last.address) - last.length;
        if (last !== undefined && gap <= joined) last.length += gap + Number(pageBytes);
        else runs.push({ address, length: Number(pageBytes) });
      }
      at += BigInt(count) * pageBytes;
    }
    return runs;
  }

  #isZero(flags: number, entry: number): boolean {
    const zero = this.#zeroFrame;
    return (
      zero !== undefined &&
      (flags & present) !== 0 &&
      (flags & upperFrame) === zero.upper &&
      this.#buffer.readUInt32LE(entry * entryBytes) === zero.lower
    );
  }

  /** The frame of the page at an address. */
  frame(address: bigint): FrameNumber | undefined {
    if (this.#read(address, 1) === 0) return undefined;
    const upper = this.#buffer.readInt32LE(4) & upperFrame;
    const lower = this.#buffer.readUInt32LE(0);
    return upper === 0 && lower === 0 ? undefined : { upper, lower };
  }

  #read(address: bigint, pages: number): number {
    const position = (address / pageBytes) * BigInt(entryBytes);
    try {
      return Math.floor(readSync(this.#fd, this.#buffer, 0, pages * entryBytes, position) / entryBytes);
    } catch (error) {
      throw procError(`cannot read the page map of process ${this.#pid}`, this.#pid, error);
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}
