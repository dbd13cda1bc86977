/**
 * The memory of a snapshot: what the core holds; else, with provenance `file`, bytes of a module that cannot have changed since they
 * were mapped; else absent, with what the snapshot's note says of why it was not captured.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { hex } from '../../format/address.js';
import type { NoteMissing } from '../../format/core/stillframe-note.js';
import { type MemoryBytes, type MemoryReader, type Provenance, weaker } from '../../format/memory.js';
import type { ModuleTable } from './module-table.js';

const pageBytes = 4096n;
/** No object is larger; whoever asks for more was misled by its bytes. */
const maxReadBytes = 64 * 1024 * 1024;
const addressSpace = 1n << 64n;

export interface CoreMemory {
  readonly memory: MemoryReader;
  readonly starts: readonly bigint[];
}

export class SnapshotMemory implements MemoryReader {
  readonly #core: MemoryReader;
  /** Where the core's stretches begin, ascending: a file must not be read over them. */
  readonly #starts: readonly bigint[];
  readonly #modules: ModuleTable;
  readonly #missing: readonly NoteMissing[];
  /** Bytes that were masked before they left the host: what the core has there is not what the process had. */
  readonly #redacted: readonly NoteMissing[];

  constructor(core: CoreMemory, modules: ModuleTable, missing: readonly NoteMissing[]) {
    this.#core = core.memory;
    this.#starts = core.starts.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    this.#modules = modules;
    this.#missing = missing;
    this.#redacted = missing.filter((each) => each.reason === 'redacted' && each.address !== undefined);
  }

  read(address: bigint, length: number): MemoryBytes | Absent {
    if (length > maxReadBytes)
      return absent('limit', `${length} bytes at ${hex(address)} are more than is read at once`, {
        address,
        length,
      });
    if (address < 0n || address + BigInt(length) > addressSpace)
      return absent('unreadable', `${length} bytes at ${hex(address)} are not in the address space`, {
        address,
        length,
      });
    const redacted = this.#redacted.find((each) => overlaps(each, address, length));
    if (redacted !== undefined) return reasonOf(redacted, redacted.address ?? address, length);
    const whole = this.#core.read(address, length);
    return isAbsent(whole) ? this.#assemble(address, length, whole) : whole;
  }

  /** From the core and files, stretch by stretch. */
  #assemble(address: bigint, length: number, first: Absent): MemoryBytes | Absent {
    const bytes = new Uint8Array(length);
    const end = address + BigInt(length);
    let provenance: Provenance | undefined;
    let at = address;
    let gap: Absent | undefined = first;
    while (at < end) {
      const stop = gap === undefined ? end : (gap.address ?? at);
      const part = stop > at ? this.#core.read(at, Number(stop - at)) : this.#readFile(at, end);
      if (part === undefined || isAbsent(part)) return this.#explain(at, end);
      bytes.set(part.bytes, Number(at - address));
      provenance = provenance === undefined ? part.provenance : weaker(provenance, part.provenance);
      at += BigInt(part.bytes.length);
      if (at >= end) break;
      const rest = this.#core.read(at, Number(end - at));
      gap = isAbsent(rest) ? rest : undefined;
    }
    return { bytes, provenance: provenance ?? 'stopped' };
  }

  #startAfter(at: bigint): bigint | undefined {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] ?? 0n) <= at) low = middle + 1;
      else high = middle;
    }
    return this.#starts[low];
  }

  /** All that is wanted, or as much as stands on one page: the core may have the next one. */
  #readFile(at: bigint, end: bigint): MemoryBytes | undefined {
    const pageEnd = (at / pageBytes + 1n) * pageBytes;
    const next = this.#startAfter(at);
    const stop = [pageEnd, next ?? end].reduce((least, each) => (each < least ? each : least), end);
    for (const last of [stop, at + 1n]) {
      const bytes = this.#modules.readFile(at, Number(last - at));
      if (bytes !== undefined) return { bytes, provenance: 'file' };
    }
    return undefined;
  }

  #explain(at: bigint, end: bigint): Absent {
    const length = Number(end - at);
    const note = this.#missing.find((each) => overlaps(each, at, 1));
    if (note !== undefined) return reasonOf(note, at, length);
    const what = length === 1 ? `1 byte at ${hex(at)} was` : `${length} bytes at ${hex(at)} were`;
    return absent('not-captured', `${what} not captured`, { address: at, length });
  }
}

function overlaps(missing: NoteMissing, address: bigint, length: number): boolean {
  const start = missing.address;
  if (start === undefined) return false;
  return address < start + BigInt(missing.length ?? 1) && address + BigInt(length) > start;
}

function reasonOf(missing: NoteMissing, address: bigint, length: number): Absent {
  const detail = missing.path === '' ? missing.detail : `${missing.path}: ${missing.detail}`;
  return absent(missing.reason, detail, { address, length });
}
