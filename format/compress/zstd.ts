/**
 * Decompression of Zstandard (RFC 8878), for sections of ELF files: Node 20 has none. Frames without a dictionary; the content checksum,
 * which linkers do not write, is not verified. The size of the result is known beforehand and bounds memory and time.
 */
import { ByteCursor } from '../bytes.js';
import { BackwardBits } from './backward-bits.js';
import { type FseTable, buildFse, predefinedFse, readFse, singleFse } from './fse.js';
import { type HuffmanTable, decodeHuffman, readHuffman } from './huffman.js';

const maxBlockBytes = 128 * 1024;
const zstdMagic = 0xfd2f_b528;
const skippableMagic = 0x184d_2a50;

/** All frames of `packed`; throws `bad-data` unless they give exactly `size` bytes. */
export function decompressZstd(packed: Uint8Array, size: number, name: string): Uint8Array {
  const cursor = new ByteCursor(packed, name);
  // A block takes four bytes at least, so a larger claim is a lie and costs no memory.
  if (size > Math.ceil(packed.length / 4) * maxBlockBytes) {
    throw cursor.error(`${packed.length} compressed bytes cannot give ${size}`);
  }
  const decoder = new ZstdDecoder(cursor, size);
  while (!cursor.atEnd) decoder.frame();
  return decoder.finish();
}

interface SequenceTables {
  literalLength: FseTable | undefined;
  offset: FseTable | undefined;
  matchLength: FseTable | undefined;
}

class ZstdDecoder {
  readonly #cursor: ByteCursor;
  readonly #out: Uint8Array;
  #at = 0;
  #frameStart = 0;
  #huffman: HuffmanTable | undefined;
  #tables: SequenceTables = { literalLength: undefined, offset: undefined, matchLength: undefined };
  readonly #repeats: [number, number, number] = [1, 4, 8];

  constructor(cursor: ByteCursor, size: number) {
    this.#cursor = cursor;
    this.#out = new Uint8Array(size);
  }

  finish(): Uint8Array {
    if (this.#at !== this.#out.length) {
      throw this.#cursor.error(`${this.#at} bytes after decompression instead of ${this.#out.length}`);
    }
    return this.#out;
  }

  frame(): void {
    const cursor = this.#cursor;
    const at = cursor.offset;
    const magic = cursor.u32();
    if ((magic & 0xffff_fff0) >>> 0 === skippableMagic) {
      cursor.skip(cursor.u32());
      return;
    }
    if (magic !== zstdMagic) throw cursor.error('no zstd magic', at);
    const hasChecksum = this.#frameHeader();
    this.#frameStart = this.#at;
    this.#huffman = undefined;
    this.#tables = { literalLength: undefined, offset: undefined, matchLength: undefined };
    this.#repeats.splice(0, 3, 1, 4, 8);
    for (let last = false; !last;) last = this.#block();
    if (hasChecksum) cursor.skip(4);
  }

  #frameHeader(): boolean {
    const cursor = this.#cursor;
    const at = cursor.offset;
    const descriptor = cursor.u8();
    const isSingle = (descriptor & 0x20) !== 0;
    if ((descriptor & 0x08) !== 0) throw cursor.error('a reserved bit of the frame header is set', at);
    if (!isSingle) cursor.skip(1); // the window: the whole result is at hand anyway
    const dictionary = cursor.take([0, 1, 2, 4][descriptor & 3] ?? 0);
    if (dictionary.some((byte) => byte !== 0)) throw cursor.error('a frame that needs a dictionary', at);
    cursor.skip([isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0);
    return (descriptor & 0x04) !== 0;
  }

  /** True when it was the last one of its frame. */
  #block(): boolean {
    const cursor = this.#cursor;
    const at = cursor.offset;
    const header = cursor.u24();
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (size > maxBlockBytes) throw cursor.error(`a block of ${size} bytes`, at);
    switch (type) {
      case 0:
        this.#append(cursor.take(size));
        break;
      case 1: {
        const byte = cursor.u8();
        this.#room(size);
        this.#out.fill(byte, this.#at, this.#at + size);
        this.#at += size;
        break;
      }
      case 2:
        this.#compressed(cursor.sub(size));
        break;
      default:
        throw cursor.error('a block of the reserved type', at);
    }
    return (header & 1) !== 0;
  }

  #room(size: number): void {
    if (this.#at + size > this.#out.length) {
      throw this.#cursor.error(`more than ${this.#out.length} bytes after decompression`);
    }
  }

  #append(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#out.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #compressed(block: ByteCursor): void {
    const literals = this.#literals(block);
    const first = block.u8();
    let count = first;
    if (first >= 128) count = first < 255 ? ((first - 128) << 8) + block.u8() : block.u16() + 0x7f00;
    if (count === 0) {
      if (!block.atEnd) throw block.error('bytes after a block without sequences');
      this.#append(literals);
      return;
    }
    const modes = block.u8();
    if ((modes & 3) !== 0) throw block.error('reserved bits of the sequence modes are set');
    const tables = this.#tables;
    tables.literalLength = this.#table(block, (modes >> 6) & 3, literalLengths, tables.literalLength);
    tables.offset = this.#table(block, (modes >> 4) & 3, offsets, tables.offset);
    tables.matchLength = this.#table(block, (modes >> 2) & 3, matchLengths, tables.matchLength);
    this.#sequences(block, count, literals);
  }

  #table(block: ByteCursor, mode: number, kind: TableKind, previous: FseTable | undefined): FseTable {
    switch (mode) {
      case 0:
        return kind.predefined;
      case 1: {
        const symbol = block.u8();
        if (symbol > kind.maxSymbol) throw block.error(`code ${symbol} of a sequence`);
        return singleFse(symbol);
      }
      case 2:
        return buildFse(readFse(block, kind.maxSymbol, kind.maxLog), block);
      default:
        if (previous === undefined) throw block.error('a table is repeated that was never written');
        return previous;
    }
  }

  #literals(block: ByteCursor): Uint8Array {
    const first = block.u8();
    const type = first & 3;
    const format = (first >> 2) & 3;
    if (type < 2) {
      let size = first >> 3;
      if (format === 1) size = (first >> 4) | (block.u8() << 4);
      else if (format === 3) size = (first >> 4) | (block.u16() << 4);
      if (size > maxBlockBytes) throw block.error(`${size} literals in a block`);
      return type === 0 ? block.take(size) : new Uint8Array(size).fill(block.u8());
    }
    const bits = format === 2 ? 14 : format === 3 ? 18 : 10;
    const rest = Number(block.uint(format === 2 ? 3 : format === 3 ? 4 : 2));
    // NB: up to 40 bits, too many for shifts.
    const sizes = rest * 16 + (first >> 4);
    const size = sizes % 2 ** bits;
    const packed = Math.floor(sizes / 2 ** bits);
    if (size > maxBlockBytes) throw block.error(`${size} literals in a block`);
    const streams = block.sub(packed);
    if (type === 2) this.#huffman = readHuffman(streams);
    if (this.#huffman === undefined) throw block.error('a Huffman tree is repeated that was never written');
    return decodeHuffman(streams, this.#huffman, size, format === 0 ? 1 : 4);
  }

  /** RFC 8878 3.1.1.4. */
  #sequences(block: ByteCursor, count: number, literals: Uint8Array): void {
    const { literalLength, offset, matchLength } = this.#tables;
    if (literalLength === undefined || offset === undefined || matchLength === undefined) return;
    const bits = new BackwardBits(block);
    let literalState = bits.read(literalLength.log);
    let offsetState = bits.read(offset.log);
    let matchState = bits.read(matchLength.log);
    let used = 0;
    for (let i = 0; i < count; i++) {
      const offsetCode = offset.symbols[offsetState] ?? 0;
      const literalCode = literalLength.symbols[literalState] ?? 0;
      const matchCode = matchLength.symbols[matchState] ?? 0;
      const offsetValue = 2 ** offsetCode + bits.read(offsetCode);
      const length = (matchBase[matchCode] ?? 0) + bits.read(matchExtra[matchCode] ?? 0);
      const own = (literalBase[literalCode] ?? 0) + bits.read(literalExtra[literalCode] ?? 0);
      if (i + 1 < count) {
        literalState =
          (literalLength.bases[literalState] ?? 0) + bits.read(literalLength.bits[literalState] ?? 0);
        matchState = (matchLength.bases[matchState] ?? 0) + bits.read(matchLength.bits[matchState] ?? 0);
        offsetState = (offset.bases[offsetState] ?? 0) + bits.read(offset.bits[offsetState] ?? 0);
      }
      if (bits.left < 0 || used + own > literals.length) throw block.error('a sequence is cut short');
      this.#append(literals.subarray(used, used + own));
      used += own;
      this.#copy(this.#distance(offsetValue, own), length);
    }
    if (bits.left !== 0) throw block.error(`${bits.left} bits after the last sequence`);
    this.#append(literals.subarray(used));
  }

  #distance(value: number, literalLength: number): number {
    const repeats = this.#repeats;
    let distance = value - 3;
    let from = 2;
    if (value <= 3) {
      const index = literalLength === 0 ? value : value - 1;
      if (index === 0) return repeats[0];
      distance = index === 3 ? repeats[0] - 1 : (repeats[index] ?? 0);
      from = Math.min(index, 2);
    }
    if (from === 2) repeats[2] = repeats[1];
    repeats[1] = repeats[0];
    repeats[0] = distance;
    return distance;
  }

  #copy(distance: number, length: number): void {
    if (distance < 1 || distance > this.#at - this.#frameStart) {
      throw this.#cursor.error(`a match ${distance} bytes back, ${this.#at - this.#frameStart} are there`);
    }
    this.#room(length);
    const out = this.#out;
    const at = this.#at;
    if (distance >= length) out.copyWithin(at, at - distance, at - distance + length);
    else for (let i = 0; i < length; i++) out[at + i] = out[at + i - distance] ?? 0;
    this.#at += length;
  }
}

interface TableKind {
  readonly maxSymbol: number;
  readonly maxLog: number;
  readonly predefined: FseTable;
}

// RFC 8878 3.1.1.3.2.2: the default distributions.
const literalLengths: TableKind = {
  maxSymbol: 35,
  maxLog: 9,
  predefined: predefinedFse(
    6,
    [
      4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1,
      -1, -1,
    ],
  ),
};
const matchLengths: TableKind = {
  maxSymbol: 52,
  maxLog: 9,
  predefined: predefinedFse(
    6,
    [
      1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
    ],
  ),
};
const offsets: TableKind = {
  maxSymbol: 31,
  maxLog: 8,
  predefined: predefinedFse(
    5,
    [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
  ),
};

/** RFC 8878 3.1.1.3.2.1: extra bits of each code; the bases follow from them. */
const literalExtra = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14,
  15, 16,
] as const;
const matchExtra = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1,
  2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
] as const;
const literalBase = basesOf(literalExtra, 0);
const matchBase = basesOf(matchExtra, 3);

function basesOf(extra: readonly number[], first: number): readonly number[] {
  let base = first;
  return extra.map((bits) => {
    const own = base;
    base += 2 ** bits;
    return own;
  });
}
