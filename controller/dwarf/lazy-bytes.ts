/**
 * A large section as one array that is filled where it is looked at. Offsets are those of the section; what was not loaded is zeros that
 * take no memory, so whoever reads it loads before. Searching goes through the source and fills nothing.
 */
import type { ByteSource } from '../../format/byte-source.js';

const pageBytes = 4096;
/** A piece that is in the cache of a CPU while it is searched; larger ones only take memory. */
const searchBytes = 128 << 10;

export class LazyBytes {
  readonly bytes: Uint8Array;
  readonly #source: ByteSource;
  /** 1 for a page that is loaded. */
  readonly #pages: Uint8Array;

  constructor(source: ByteSource) {
    this.#source = source;
    this.bytes = new Uint8Array(source.size);
    this.#pages = new Uint8Array(Math.ceil(source.size / pageBytes));
  }

  /** Makes `bytes` from `start` to before `end` true; what lies outside of the section is left out. */
  load(start: number, end: number): void {
    const last = Math.min(this.#pages.length, Math.ceil(end / pageBytes));
    let page = Math.floor(Math.max(0, start) / pageBytes);
    while (page < last) {
      if (this.#pages[page] === 1) {
        page++;
        continue;
      }
      const first = page;
      while (page < last && this.#pages[page] === 0 && (page - first) * pageBytes < searchBytes) page++;
      const from = first * pageBytes;
      const length = Math.min(page * pageBytes, this.bytes.length) - from;
      this.#fill(this.bytes.subarray(from, from + length), from);
      this.#pages.fill(1, first, page);
    }
  }

  loadAll(): Uint8Array {
    this.load(0, this.bytes.length);
    return this.bytes;
  }

  #fill(target: Uint8Array, offset: number): void {
    const source = this.#source;
    if (source.readInto === undefined) target.set(source.read(offset, target.length));
    else source.readInto(target, offset);
  }

  /** Where a piece of bytes stands, ascending. */
  *search(needle: Uint8Array): Generator<number> {
    const overlap = needle.length - 1;
    // One piece of memory for all: fresh pages cost more than reading does.
    const piece = new Uint8Array(searchBytes + overlap);
    for (let from = 0; from < this.bytes.length; from += searchBytes) {
      const length = Math.min(searchBytes + overlap, this.bytes.length - from);
      const bytes = piece.subarray(0, length);
      this.#fill(bytes, from);
      // NB: whoever takes what is found may read elsewhere meanwhile, but not into this piece.
      yield* searchIn(bytes, needle, from);
    }
  }
}

/** Where a piece of bytes stands in others, ascending; `from` is added. */
export function* searchIn(bytes: Uint8Array, needle: Uint8Array, from = 0): Generator<number> {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) yield from + at;
}
