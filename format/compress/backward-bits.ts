import type { ByteCursor } from '../bytes.js';

/** A bit stream that is read from its end (RFC 8878 4.1): the highest set bit of the last byte marks where it begins. */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  /** Bits that were not read; negative when more were read than there are. Those read as zeros. */
  left: number;

  /** Takes all that is left of the cursor. */
  constructor(cursor: ByteCursor) {
    const at = cursor.offset;
    const length = cursor.remaining;
    cursor.skip(length);
    const last = length === 0 ? 0 : (cursor.bytes[at + length - 1] ?? 0);
    if (last === 0) throw cursor.error('a bit stream without its end mark', at + length);
    this.#bytes = cursor.bytes;
    this.#start = at;
    this.left = length * 8 - 1 - Math.clz32(last) + 24;
  }

  /** The next `count` bits, at most 31. */
  read(count: number): number {
    if (count === 0) return 0;
    this.left -= count;
    return this.#bitsAt(this.left, count);
  }

  /** The next `count` bits, at most 24, without going on. */
  peek(count: number): number {
    return this.#bitsAt(this.left - count, count);
  }

  #bitsAt(position: number, count: number): number {
    if (position < 0) {
      const missing = Math.min(-position, count);
      return missing === count ? 0 : this.#bitsAt(0, count - missing) * 2 ** missing;
    }
    const bytes = this.#bytes;
    const at = this.#start + (position >> 3);
    const shift = position & 7;
    // NB: bytes beyond the stream may be read here, and are masked off.
    const low =
      ((bytes[at] ?? 0) |
        ((bytes[at + 1] ?? 0) << 8) |
        ((bytes[at + 2] ?? 0) << 16) |
        ((bytes[at + 3] ?? 0) << 24)) >>>
      shift;
    const value = shift + count > 32 ? low + (bytes[at + 4] ?? 0) * 2 ** (32 - shift) : low;
    return count >= 31 ? value % 2 ** count : value & ((1 << count) - 1);
  }
}
