/** `.debug_aranges` (DWARF5 6.1.2): which unit's code is at which addresses. clang does not write it unless asked. */
import {
  type DebugSections,
  type PcRange,
  readAddress,
  readInitialLength,
  readOffset,
  toPc,
} from './sections.js';

/** Reads addresses of eight bytes as numbers, for there are tens of thousands. */
class Addresses {
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  at(offset: number): number {
    const high = this.#view.getUint32(offset + 4, true);
    return high > 0x1f_ffff ? Infinity : high * 2 ** 32 + this.#view.getUint32(offset, true);
  }
}

export interface UnitRange extends PcRange {
  /** Offset of the unit's header in `.debug_info`. */
  readonly unit: number;
}

/** Every range of the section, in the order written. */
export function parseAddressRanges(sections: DebugSections): UnitRange[] {
  const ranges: UnitRange[] = [];
  const total = sections.bytes('debug_aranges').length;
  for (let offset = 0; offset < total;) {
    const cursor = sections.at('debug_aranges', offset);
    const { length, offsetSize } = readInitialLength(cursor);
    const end = cursor.offset + length;
    const version = cursor.u16();
    if (version !== 2) throw cursor.error(`address range table of version ${version}`, offset);
    const unit = readOffset(cursor, offsetSize);
    const addressSize = cursor.u8();
    const segmentSize = cursor.u8();
    if (addressSize !== 4 && addressSize !== 8) {
      throw cursor.error(`addresses of ${addressSize} bytes`, offset);
    }
    const tuple = 2 * addressSize + segmentSize;
    // Tuples are aligned to their size, counted from the beginning of this table.
    cursor.skip((tuple - ((cursor.offset - offset) % tuple)) % tuple);
    if (addressSize === 8 && segmentSize === 0) {
      const addresses = new Addresses(cursor.bytes);
      for (let at = cursor.offset; at + tuple <= end; at += tuple) {
        const start = addresses.at(at);
        const size = addresses.at(at + 8);
        if (start === 0 && size === 0) break;
        const stop = start + size;
        const range = { start, end: stop > Number.MAX_SAFE_INTEGER ? Infinity : stop, unit };
        if (size !== 0 && start !== Infinity) ranges.push(range);
      }
      offset = end;
      continue;
    }
    while (cursor.offset + tuple <= end) {
      cursor.skip(segmentSize);
      const start = readAddress(cursor, addressSize);
      const size = readAddress(cursor, addressSize);
      if (start === 0n && size === 0n) break;
      const from = toPc(start);
      if (size !== 0n && from !== Infinity) ranges.push({ start: from, end: toPc(start + size), unit });
    }
    offset = end;
  }
  return ranges;
}
