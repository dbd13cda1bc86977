/** The memory of one hit: what was copied while the thread stood at the point. What came after, or may be torn, decides nothing. */
import { absent, type Absent } from '../absent.js';
import { hex } from '../address.js';
import type { Capture, CapturedRange } from '../capture.js';
import { type MemoryBytes, type MemoryReader, provenanceRank, weaker } from '../memory.js';

/** No object that is decided on is larger. */
const maxReadBytes = 1 << 20;

export class CapturedMemory implements MemoryReader {
  readonly #capture: Pick<Capture, 'ranges' | 'missing'>;
  /** By address; they may overlap. */
  #ranges: readonly CapturedRange[] | undefined;

  constructor(capture: Pick<Capture, 'ranges' | 'missing'>) {
    this.#capture = capture;
  }

  read(address: bigint, length: number): MemoryBytes | Absent {
    if (length > maxReadBytes) {
      return absent('limit', `${length} bytes at ${hex(address)} are more than is looked at`, {
        address,
        length,
      });
    }
    const ranges = this.#sorted();
    const end = address + BigInt(length);
    const whole = ranges.find((range) => range.address <= address && endOf(range) >= end);
    if (whole !== undefined) {
      const from = Number(address - whole.address);
      return { bytes: whole.bytes.subarray(from, from + length), provenance: whole.provenance };
    }
    const bytes = new Uint8Array(length);
    let provenance: MemoryBytes['provenance'] = 'at-hit';
    let at = address;
    for (const range of ranges) {
      if (at >= end || range.address > at) break;
      if (endOf(range) <= at) continue;
      const stop = endOf(range) < end ? endOf(range) : end;
      const part = range.bytes.subarray(Number(at - range.address), Number(stop - range.address));
      bytes.set(part, Number(at - address));
      provenance = weaker(provenance, range.provenance);
      at = stop;
    }
    return at >= end ? { bytes, provenance } : this.#missing(at, Number(end - at));
  }

  #sorted(): readonly CapturedRange[] {
    this.#ranges ??= this.#capture.ranges
      .filter(({ provenance }) => provenanceRank[provenance] < provenanceRank['after-hit'])
      .toSorted((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
    return this.#ranges;
  }

  #missing(address: bigint, length: number): Absent {
    const why = this.#capture.missing.find(
      (each) =>
        each.address !== undefined &&
        each.address <= address &&
        address < each.address + BigInt(Math.max(1, each.length ?? 1)),
    );
    if (why !== undefined) return absent(why.reason, `${why.path}: ${why.detail}`, { address, length });
    return absent('not-captured', `${length} bytes at ${hex(address)} were not captured`, {
      address,
      length,
    });
  }
}

function endOf(range: CapturedRange): bigint {
  return range.address + BigInt(range.bytes.length);
}
