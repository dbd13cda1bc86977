/**
 * System calls that are made one after another without coming back to JavaScript in between: a list of records, laid out before, that
 * a hundred bytes of machine code go through (call-batch-code.ts). So what happens while threads of somebody else stand still costs what the
 * kernel takes for it: no FFI, no garbage collection, no code that runs for the first time.
 *
 * A record is a system call, a copy of a word, or a comparison. Each has a result, and its sign says where it goes on. How many
 * records are gone through is bounded by the caller. Nothing is checked: addresses are those of arenas that live as long as the batch.
 */
import { StillframeError } from '../../format/error.js';
import { callBack } from './ffi.js';
import { machineCode } from './machine-code.js';
import { Arena } from './mmap.js';

/** A system call by number, with its arguments. */
export interface BatchCall {
  readonly number: number;
  readonly args: readonly bigint[];
}

/** Where records lead to, by the sign of their results; to the next one where nothing is said. */
export interface Flow {
  readonly negative?: Label;
  readonly zero?: Label;
  readonly positive?: Label;
}

/** A place in a batch, known or yet to come. */
export class Label {
  /** Of a record. */
  at: number | undefined;
}

/** The result of a record that was not gone through. */
export const notMade: bigint = -(1n << 63n);

const opCopy = -1n;
const opCompare = -2n;
const opEnd = -3n;
const headWords = 8;
const recordWords = 10;
const recordBytes = recordWords * 8;
const maxArgs = 6;
const allBits = -1n;
/** Words of the head: the first three are the node of a tree without branches. */
const head = { first: 3, budget: 4, last: 5 } as const;
const resultWord = 7;
/** In halves of words. */
const flowAt = { negative: 16, zero: 17, positive: 18 } as const;

export class CallBatch implements Disposable {
  readonly #arena: Arena;
  readonly #words: BigInt64Array;
  readonly #halves: Int32Array;
  readonly #code = machineCode().batch;
  readonly #room: number;
  readonly #dataEnd: number;
  readonly #jumps: { readonly half: number; readonly record: number; readonly label: Label }[] = [];
  #records = 0;
  #dataUsed: number;

  /** Room for so many records and so many words of data. */
  constructor(records: number, dataWords: number) {
    const words = headWords + records * recordWords + dataWords;
    this.#arena = new Arena(words * 8, { populate: true });
    const { buffer, byteOffset } = this.#arena.bytes;
    this.#words = new BigInt64Array(buffer, byteOffset, words);
    this.#halves = new Int32Array(buffer, byteOffset, words * 2);
    this.#room = records;
    this.#dataUsed = headWords + records * recordWords;
    this.#dataEnd = words;
  }

  /** The address of so many words of data, 0 at first. */
  reserve(words: number, ...values: readonly bigint[]): bigint {
    if (this.#dataUsed + words > this.#dataEnd) throw full('data');
    const address = this.#addressOf(this.#dataUsed);
    for (const [i, value] of values.entries()) this.#words[this.#dataUsed + i] = value;
    this.#dataUsed += words;
    return address;
  }

  /** A word of this batch's data. */
  read(address: bigint): bigint {
    return this.#words[this.#wordAt(address)] ?? 0n;
  }

  /** A view of words of data, two numbers each, lower first. */
  ints(address: bigint, words: number): Int32Array {
    const from = this.#wordAt(address) * 2;
    return this.#halves.subarray(from, from + words * 2);
  }

  write(address: bigint, value: bigint): void {
    this.#words[this.#wordAt(address)] = value;
  }

  /** Adds a system call; gives the record. */
  call({ number, args }: BatchCall, flow: Flow = {}): number {
    return this.#add(BigInt(number), args, flow);
  }

  /** Adds `*to = (*from + add) & mask`; the result is what was written. */
  copy(
    words: { readonly to: bigint; readonly from: bigint; readonly add?: bigint; readonly mask?: bigint },
    flow: Flow = {},
  ): number {
    return this.#add(opCopy, [words.to, words.from, words.add ?? 0n, words.mask ?? allBits], flow);
  }

  /** Adds `(*at & mask) - value` as a result, or minus the word at an address. */
  compare(
    words: { readonly at: bigint; readonly mask?: bigint } & (
      { readonly value: bigint } | { readonly with: bigint }
    ),
    flow: Flow = {},
  ): number {
    const own = this.#addressOf(this.#argumentWord(this.#records, 4));
    const [address, value] = 'value' in words ? [own, words.value] : [words.with, 0n];
    return this.#add(opCompare, [0n, words.at, words.mask ?? allBits, address, value], flow);
  }

  /** Adds the end: {@link run} gives it. */
  end(): number {
    return this.#add(opEnd, [], {});
  }

  /** The next record is where the label leads to. */
  place(label: Label): void {
    label.at = this.#records;
  }

  setArgument(record: number, index: number, value: bigint): void {
    this.#words[this.#argumentWord(record, index)] = value;
  }

  /** Where an argument lies, for a record that computes it. */
  argumentAddress(record: number, index: number): bigint {
    return this.#addressOf(this.#argumentWord(record, index));
  }

  result(record: number): bigint {
    return this.#words[this.#recordWord(record) + resultWord] ?? notMade;
  }

  resultAddress(record: number): bigint {
    return this.#addressOf(this.#recordWord(record) + resultWord);
  }

  /** To be called when all records are there. */
  seal(): void {
    for (const { half, record, label } of this.#jumps) {
      if (label.at === undefined) throw new StillframeError('internal', 'a label leads nowhere');
      this.#halves[half] = (label.at - record - 1) * recordBytes;
    }
    this.#jumps.length = 0;
  }

  /** Goes on from a record until an end, or through `most` records. Gives the record where it ended. Allocates nothing. */
  run(first: number, most: number): number {
    this.#words[head.first] = this.#addressOf(this.#recordWord(first));
    this.#words[head.budget] = BigInt(most);
    callBack(this.#arena.address, this.#code);
    const ended = Number((this.#words[head.last] ?? 0n) - this.#arena.address);
    return (ended / 8 - headWords) / recordWords;
  }

  #add(op: bigint, args: readonly bigint[], flow: Flow): number {
    if (this.#records >= this.#room || args.length > maxArgs) throw full('records');
    const record = this.#records++;
    const word = this.#recordWord(record);
    this.#words[word] = op;
    for (let i = 0; i < args.length; i++) this.#words[word + 1 + i] = args[i] ?? 0n;
    this.#words[word + resultWord] = notMade;
    for (const sign of ['negative', 'zero', 'positive'] as const) {
      const label = flow[sign];
      if (label !== undefined) this.#jumps.push({ half: word * 2 + flowAt[sign], record, label });
    }
    return record;
  }

  #recordWord(record: number): number {
    return headWords + record * recordWords;
  }

  #argumentWord(record: number, index: number): number {
    return this.#recordWord(record) + 1 + index;
  }

  #addressOf(word: number): bigint {
    return this.#arena.address + BigInt(word * 8);
  }

  #wordAt(address: bigint): number {
    return Number(address - this.#arena.address) / 8;
  }

  [Symbol.dispose](): void {
    this.#arena[Symbol.dispose]();
  }
}

const full = (of: string): StillframeError =>
  new StillframeError('internal', `a batch of calls has no room for more ${of}`);
