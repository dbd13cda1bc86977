/** Finite State Entropy tables (RFC 8878 4.1). */
import type { ByteCursor } from '../bytes.js';

/** By state: the symbol, how many bits lead to the next state, and what they are added to. */
export interface FseTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

export interface FseDistribution {
  readonly log: number;
  /** Probabilities; -1 stands for "less than 1". */
  readonly counts: readonly number[];
}

/** Reads a distribution and leaves the cursor at the byte after it (RFC 8878 4.1.1). */
export function readFse(cursor: ByteCursor, maxSymbol: number, maxLog: number): FseDistribution {
  const start = cursor.offset;
  const { bytes, end } = cursor;
  let bit = start * 8;
  const read = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++, bit++) value |= (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1) << i;
    if (bit > end * 8) throw cursor.error('a distribution is cut short', start);
    return value;
  };
  const log = read(4) + 5;
  if (log > maxLog) throw cursor.error(`a distribution of accuracy ${log}`, start);
  const counts: number[] = [];
  let remaining = 1 << log;
  while (remaining > 0) {
    if (counts.length > maxSymbol) throw cursor.error('a distribution of too many symbols', start);
    const width = 32 - Math.clz32(remaining + 1);
    const low = read(width - 1);
    const threshold = 2 ** width - 2 - remaining;
    let value = low;
    if (low >= threshold && read(1) === 1) value = low + 2 ** (width - 1) - threshold;
    const count = value - 1;
    remaining -= Math.abs(count);
    counts.push(count);
    if (count !== 0) continue;
    for (let zeros = 3; zeros === 3;) {
      zeros = read(2);
      for (let i = 0; i < zeros; i++) counts.push(0);
      if (counts.length > maxSymbol + 1) throw cursor.error('a distribution of too many symbols', start);
    }
  }
  if (remaining < 0) throw cursor.error('a distribution that sums up to too much', start);
  cursor.skip(Math.ceil(bit / 8) - start);
  return { log, counts };
}

export function buildFse(distribution: FseDistribution, cursor: ByteCursor): FseTable {
  const table = build(distribution);
  if (table === undefined) throw cursor.error('a distribution that fills no table');
  return table;
}

export function predefinedFse(log: number, counts: readonly number[]): FseTable {
  const table = build({ log, counts });
  if (table === undefined) throw new RangeError('a predefined distribution does not fill its table');
  return table;
}

/** One symbol, always. */
export function singleFse(symbol: number): FseTable {
  return { log: 0, symbols: Uint8Array.of(symbol), bits: new Uint8Array(1), bases: new Uint16Array(1) };
}

function build({ log, counts }: FseDistribution): FseTable | undefined {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const next = new Uint16Array(counts.length);
  let high = size;
  for (const [symbol, count] of counts.entries()) {
    if (count === -1) symbols[--high] = symbol;
    next[symbol] = Math.abs(count);
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let position = 0;
  for (const [symbol, count] of counts.entries()) {
    for (let i = 0; i < count; i++) {
      symbols[position] = symbol;
      do position = (position + step) & (size - 1);
      while (position >= high);
    }
  }
  if (position !== 0) return undefined;
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const symbol = symbols[state] ?? 0;
    const value = next[symbol] ?? 0;
    next[symbol] = value + 1;
    const width = log - (31 - Math.clz32(value));
    bits[state] = width;
    bases[state] = (value << width) - size;
  }
  return { log, symbols, bits, bases };
}
