/** Huffman-coded literals (RFC 8878 4.2). */
import type { ByteCursor } from '../bytes.js';
import { BackwardBits } from './backward-bits.js';
import { buildFse, readFse } from './fse.js';

const maxBits = 11;

/** By the next `bits` bits: the symbol, and how many of them are its code. */
export interface HuffmanTable {
  readonly bits: number;
  readonly symbols: Uint8Array;
  readonly lengths: Uint8Array;
}

export function readHuffman(cursor: ByteCursor): HuffmanTable {
  const at = cursor.offset;
  const header = cursor.u8();
  const weights = header >= 128 ? directWeights(cursor, header - 127) : packedWeights(cursor.sub(header));
  const sum = weights.reduce((total, weight) => total + (weight > 0 ? 2 ** (weight - 1) : 0), 0);
  const bits = sum === 0 ? 0 : 32 - Math.clz32(sum);
  if (bits === 0 || bits > maxBits) throw cursor.error(`a Huffman tree of ${bits} bits`, at);
  const left = 2 ** bits - sum;
  const last = 31 - Math.clz32(left);
  if (2 ** last !== left) throw cursor.error('an incomplete Huffman tree', at);
  weights.push(last + 1);
  return tableOf(weights, bits);
}

function directWeights(cursor: ByteCursor, count: number): number[] {
  const weights: number[] = [];
  for (let i = 0; i < count; i += 2) {
    const byte = cursor.u8();
    weights.push(byte >> 4);
    if (i + 1 < count) weights.push(byte & 15);
  }
  return weights;
}

function packedWeights(cursor: ByteCursor): number[] {
  const table = buildFse(readFse(cursor, 255, 6), cursor);
  const bits = new BackwardBits(cursor);
  const states: [number, number] = [bits.read(table.log), bits.read(table.log)];
  const weights: number[] = [];
  // Two states take turns, until one would need bits that are not there: then the other gives the last weight.
  for (let turn = 0; ; turn ^= 1) {
    const state = states[turn] ?? 0;
    weights.push(table.symbols[state] ?? 0);
    if (weights.length >= 255) throw cursor.error('too many Huffman weights');
    states[turn] = (table.bases[state] ?? 0) + bits.read(table.bits[state] ?? 0);
    if (bits.left < 0) {
      weights.push(table.symbols[states[turn ^ 1] ?? 0] ?? 0);
      break;
    }
  }
  if (weights.some((weight) => weight > maxBits)) throw cursor.error('a Huffman weight that is too large');
  return weights;
}

function tableOf(weights: readonly number[], bits: number): HuffmanTable {
  const symbols = new Uint8Array(2 ** bits);
  const lengths = new Uint8Array(2 ** bits);
  let at = 0;
  // The longest codes, those of the smallest weight, come first.
  for (let weight = 1; weight <= bits; weight++) {
    for (const [symbol, own] of weights.entries()) {
      if (own !== weight) continue;
      const end = at + 2 ** (weight - 1);
      symbols.fill(symbol, at, end);
      lengths.fill(bits + 1 - weight, at, end);
      at = end;
    }
  }
  return { bits, symbols, lengths };
}

/** `size` literals of one or four streams. */
export function decodeHuffman(
  cursor: ByteCursor,
  table: HuffmanTable,
  size: number,
  streams: 1 | 4,
): Uint8Array {
  const out = new Uint8Array(size);
  if (streams === 1) {
    decodeStream(cursor, table, out);
    return out;
  }
  const lengths = [cursor.u16(), cursor.u16(), cursor.u16()];
  const each = Math.floor((size + 3) / 4);
  if (3 * each > size) throw cursor.error(`${size} literals in four streams`);
  for (const [i, length] of lengths.entries()) {
    decodeStream(cursor.sub(length), table, out.subarray(i * each, (i + 1) * each));
  }
  decodeStream(cursor, table, out.subarray(3 * each));
  return out;
}

function decodeStream(cursor: ByteCursor, table: HuffmanTable, out: Uint8Array): void {
  const bits = new BackwardBits(cursor);
  for (let i = 0; i < out.length; i++) {
    const code = bits.peek(table.bits);
    out[i] = table.symbols[code] ?? 0;
    bits.left -= table.lengths[code] ?? 0;
  }
  if (bits.left !== 0) throw cursor.error(`a Huffman stream has ${bits.left} bits left`);
}
