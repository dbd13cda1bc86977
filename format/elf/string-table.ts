import { badData } from '../error.js';

/**
 * A string table (gABI chapter 4), decoded on demand. Offsets into one long string can be made to overlap, so the sum of what is
 * decoded is bounded by a multiple of the table; linkers that merge suffixes stay far below it.
 */
export class StringTable {
  readonly #bytes: Buffer;
  readonly #name: string;
  readonly #strings = new Map<number, string>();
  #budget: number;

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#name = name;
    this.#budget = bytes.length * 16 + 65_536;
  }

  at(offset: number): string {
    if (offset === 0 && this.#bytes.length === 0) return '';
    const known = this.#strings.get(offset);
    if (known !== undefined) return known;
    const where = `at offset 0x${offset.toString(16)}`;
    if (offset >= this.#bytes.length) {
      throw badData(`cannot parse ${this.#name}: name ${where} is past its ${this.#bytes.length} bytes`, {
        detail: { offset },
      });
    }
    const nul = this.#bytes.indexOf(0, offset);
    if (nul < 0) {
      throw badData(`cannot parse ${this.#name}: string without end ${where}`, { detail: { offset } });
    }
    this.#budget -= nul - offset;
    if (this.#budget < 0) {
      throw badData(`cannot parse ${this.#name}: its strings overlap beyond reason`, { detail: { offset } });
    }
    const text = this.#bytes.toString('utf8', offset, nul);
    this.#strings.set(offset, text);
    return text;
  }
}
