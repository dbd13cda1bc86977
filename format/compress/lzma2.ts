/** LZMA2 (a sequence of chunks, each raw or LZMA) and LZMA itself, as the reference decoder of the LZMA SDK describes them. */
import type { ByteCursor } from '../bytes.js';
import { StillframeError } from '../error.js';

const states = 12;
const posStatesMax = 16;
const lengthToPosStates = 4;
const half = 1024;

/** Of one kind of length: which of three ranges it is in, and the trees of them. */
interface LengthCoder {
  readonly choice: Uint16Array;
  readonly low: readonly Uint16Array[];
  readonly mid: readonly Uint16Array[];
  readonly high: Uint16Array;
}

const probabilities = (count: number): Uint16Array => new Uint16Array(count).fill(half);
const trees = (count: number, size: number): Uint16Array[] =>
  Array.from({ length: count }, () => probabilities(size));

function lengthCoder(): LengthCoder {
  return {
    choice: probabilities(2),
    low: trees(posStatesMax, 8),
    mid: trees(posStatesMax, 8),
    high: probabilities(256),
  };
}

function makeModel(literalBits: number): {
  readonly literals: Uint16Array;
  readonly isMatch: Uint16Array;
  readonly isRep: Uint16Array;
  readonly isRepG0: Uint16Array;
  readonly isRepG1: Uint16Array;
  readonly isRepG2: Uint16Array;
  readonly isRep0Long: Uint16Array;
  readonly slots: readonly Uint16Array[];
  readonly distances: Uint16Array;
  readonly align: Uint16Array;
  readonly lengths: LengthCoder;
  readonly repLengths: LengthCoder;
} {
  return {
    literals: probabilities(0x300 << literalBits),
    isMatch: probabilities(states * posStatesMax),
    isRep: probabilities(states),
    isRepG0: probabilities(states),
    isRepG1: probabilities(states),
    isRepG2: probabilities(states),
    isRep0Long: probabilities(states * posStatesMax),
    slots: trees(lengthToPosStates, 64),
    distances: probabilities(128),
    align: probabilities(16),
    lengths: lengthCoder(),
    repLengths: lengthCoder(),
  };
}

/** Decodes blocks one after another; what they give is laid into one buffer, which is the dictionary too. */
export class Lzma2Decoder {
  readonly #maxBytes: number;
  readonly #name: string;
  #out = new Uint8Array(1 << 16);
  #at = 0;
  /** Where the dictionary begins: matches reach no further back. */
  #dictionary = 0;
  #hasProperties = false;
  #model: ReturnType<typeof makeModel> | undefined;
  #lc = 0;
  #lp = 0;
  #pb = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  // The range coder.
  #bytes: Uint8Array = this.#out;
  #next = 0;
  #range = 0;
  #code = 0;

  constructor(maxBytes: number, name: string) {
    this.#maxBytes = maxBytes;
    this.#name = name;
  }

  finish(): Uint8Array {
    return this.#out.slice(0, this.#at);
  }

  /** All chunks of one block; what they gave, as a view that holds until the next call. */
  block(cursor: ByteCursor): Uint8Array {
    const start = this.#at;
    this.#hasProperties = false;
    this.#model = undefined;
    this.#dictionary = start;
    for (let first = true; ; first = false) {
      const at = cursor.offset;
      const control = cursor.u8();
      if (control === 0) break;
      if (first && control !== 1 && control < 0xe0) throw cursor.error('a first chunk without a reset', at);
      if (control === 1 || control >= 0xe0) this.#dictionary = this.#at;
      if (control < 0x80) {
        if (control > 2) throw cursor.error(`unknown chunk 0x${control.toString(16)}`, at);
        const bytes = cursor.take(bigEndian16(cursor) + 1);
        this.#room(bytes.length);
        this.#out.set(bytes, this.#at);
        this.#at += bytes.length;
        continue;
      }
      this.#lzmaChunk(cursor, control);
    }
    return this.#out.subarray(start, this.#at);
  }

  #room(size: number): void {
    const wanted = this.#at + size;
    if (wanted > this.#maxBytes) {
      throw new StillframeError(
        'limit',
        `cannot read ${this.#name}: it has more than ${this.#maxBytes} bytes`,
      );
    }
    if (wanted <= this.#out.length) return;
    const grown = new Uint8Array(Math.min(this.#maxBytes, Math.max(wanted, this.#out.length * 2)));
    grown.set(this.#out.subarray(0, this.#at));
    this.#out = grown;
  }

  #lzmaChunk(cursor: ByteCursor, control: number): void {
    const at = cursor.offset;
    const size = ((control & 0x1f) << 16) + bigEndian16(cursor) + 1;
    const packed = bigEndian16(cursor) + 1;
    const reset = (control >> 5) & 3;
    if (reset >= 2) this.#properties(cursor);
    if (reset >= 1 && this.#hasProperties) {
      this.#model = makeModel(this.#lc + this.#lp);
      this.#state = 0;
      this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
    }
    if (this.#model === undefined) throw cursor.error('a chunk without properties', at);
    const data = cursor.take(packed);
    if (packed < 5) throw cursor.error(`an LZMA chunk of ${packed} bytes`, at);
    this.#bytes = data;
    this.#range = 0xffff_ffff;
    this.#code = new DataView(data.buffer, data.byteOffset).getUint32(1);
    this.#next = 5;
    this.#room(size);
    if (!this.#decode(this.#at + size, this.#model) || this.#next !== packed || this.#code !== 0) {
      throw cursor.error('a malformed LZMA chunk', at);
    }
  }

  #properties(cursor: ByteCursor): void {
    const at = cursor.offset;
    const byte = cursor.u8();
    const rest = Math.floor(byte / 9);
    this.#lc = byte % 9;
    this.#lp = rest % 5;
    this.#pb = Math.floor(rest / 5);
    if (this.#pb > 4 || this.#lc + this.#lp > 4) throw cursor.error(`LZMA properties ${byte}`, at);
    this.#hasProperties = true;
  }

  #bit(model: Uint16Array, index: number): number {
    const probability = model[index] ?? half;
    const bound = (this.#range >>> 11) * probability;
    let bit = 0;
    if (this.#code < bound) {
      this.#range = bound;
      model[index] = probability + ((2048 - probability) >> 5);
    } else {
      this.#range -= bound;
      this.#code -= bound;
      model[index] = probability - (probability >> 5);
      bit = 1;
    }
    if (this.#range < 0x100_0000) this.#normalize();
    return bit;
  }

  #normalize(): void {
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | (this.#bytes[this.#next++] ?? 0)) >>> 0;
  }

  #directBits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      this.#range >>>= 1;
      let bit = 0;
      if (this.#code >= this.#range) {
        this.#code -= this.#range;
        bit = 1;
      }
      value = value * 2 + bit;
      if (this.#range < 0x100_0000) this.#normalize();
    }
    return value;
  }

  #tree(model: Uint16Array, bits: number): number {
    let node = 1;
    for (let i = 0; i < bits; i++) node = node * 2 + this.#bit(model, node);
    return node - (1 << bits);
  }

  #reverseTree(model: Uint16Array, base: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(model, base + node);
      node = node * 2 + bit;
      value |= bit << i;
    }
    return value;
  }

  #length(coder: LengthCoder, posState: number): number {
    if (this.#bit(coder.choice, 0) === 0) return 2 + this.#tree(coder.low[posState] ?? coder.high, 3);
    if (this.#bit(coder.choice, 1) === 0) return 10 + this.#tree(coder.mid[posState] ?? coder.high, 3);
    return 18 + this.#tree(coder.high, 8);
  }

  /** Up to `end`; false when a match reaches back too far or beyond it. */
  #decode(end: number, model: ReturnType<typeof makeModel>): boolean {
    const posMask = (1 << this.#pb) - 1;
    while (this.#at < end) {
      const posState = (this.#at - this.#dictionary) & posMask;
      const state = this.#state;
      if (this.#bit(model.isMatch, state * posStatesMax + posState) === 0) {
        this.#literal(model.literals);
        continue;
      }
      let length = 1;
      if (this.#bit(model.isRep, state) === 0) {
        this.#rep3 = this.#rep2;
        this.#rep2 = this.#rep1;
        this.#rep1 = this.#rep0;
        length = this.#length(model.lengths, posState);
        this.#state = state < 7 ? 7 : 10;
        this.#rep0 = this.#distance(model, length);
      } else {
        const isShort = this.#repeat(model, state, posState);
        if (isShort) this.#state = state < 7 ? 9 : 11;
        else {
          length = this.#length(model.repLengths, posState);
          this.#state = state < 7 ? 8 : 11;
        }
      }
      if (this.#rep0 >= this.#at - this.#dictionary || this.#at + length > end) return false;
      this.#copy(length);
    }
    return true;
  }

  /** Chooses the repeated distance; true for a match of one byte. */
  #repeat(model: ReturnType<typeof makeModel>, state: number, posState: number): boolean {
    if (this.#bit(model.isRepG0, state) === 0) {
      return this.#bit(model.isRep0Long, state * posStatesMax + posState) === 0;
    }
    let distance = this.#rep1;
    if (this.#bit(model.isRepG1, state) !== 0) {
      distance = this.#rep2;
      if (this.#bit(model.isRepG2, state) !== 0) {
        distance = this.#rep3;
        this.#rep3 = this.#rep2;
      }
      this.#rep2 = this.#rep1;
    }
    this.#rep1 = this.#rep0;
    this.#rep0 = distance;
    return false;
  }

  #distance(model: ReturnType<typeof makeModel>, length: number): number {
    const slots = model.slots[Math.min(length - 2, lengthToPosStates - 1)] ?? model.align;
    const slot = this.#tree(slots, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** bits;
    if (slot < 14) return base + this.#reverseTree(model.distances, base - slot, bits);
    return base + this.#directBits(bits - 4) * 16 + this.#reverseTree(model.align, 0, 4);
  }

  #literal(model: Uint16Array): void {
    const out = this.#out;
    const at = this.#at;
    const position = at - this.#dictionary;
    const before = position > 0 ? (out[at - 1] ?? 0) : 0;
    const context = ((position & ((1 << this.#lp) - 1)) << this.#lc) + (before >> (8 - this.#lc));
    const base = context * 0x300;
    let symbol = 1;
    if (this.#state >= 7) {
      let match = out[at - this.#rep0 - 1] ?? 0;
      while (symbol < 0x100) {
        const matchBit = (match >> 7) & 1;
        match <<= 1;
        const bit = this.#bit(model, base + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (matchBit !== bit) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(model, base + symbol);
    out[at] = symbol;
    this.#at = at + 1;
    const state = this.#state;
    this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }

  #copy(length: number): void {
    const out = this.#out;
    const at = this.#at;
    const from = at - this.#rep0 - 1;
    for (let i = 0; i < length; i++) out[at + i] = out[from + i] ?? 0;
    this.#at = at + length;
  }
}

function bigEndian16(cursor: ByteCursor): number {
  const high = cursor.u8();
  return (high << 8) | cursor.u8();
}
