/** Bytes, in whatever pieces they come, to lines. A line without its newline is not one yet; of a very long one only the beginning is kept. No I/O. */

export const maxLineBytes: number = 64 * 1024;
const newline = 10;
const carriageReturn = 13;

export class LineSplitter {
  readonly #line: (text: string) => void;
  #partial: Buffer[] = [];
  #partialBytes = 0;
  #isSkipping = false;

  constructor(line: (text: string) => void) {
    this.#line = line;
  }

  /** Forgets what it has of a line, and the rest of it when it comes. */
  skipLine(): void {
    this.reset();
    this.#isSkipping = true;
  }

  reset(): void {
    this.#partial = [];
    this.#partialBytes = 0;
    this.#isSkipping = false;
  }

  /** Keeps nothing of the chunk. */
  push(chunk: Buffer): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(newline, start);
      if (end < 0) break;
      this.#end(chunk.subarray(start, end));
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  #end(rest: Buffer): void {
    if (this.#isSkipping) {
      this.#isSkipping = false;
      return;
    }
    if (this.#partial.length === 0) {
      this.#line(textOf(rest.subarray(0, maxLineBytes)));
      return;
    }
    this.#keep(rest);
    const whole = Buffer.concat(this.#partial);
    this.reset();
    this.#line(textOf(whole));
  }

  #keep(bytes: Buffer): void {
    if (this.#isSkipping) return;
    const kept = Math.min(bytes.length, maxLineBytes - this.#partialBytes);
    if (kept <= 0) return;
    this.#partial.push(Buffer.from(bytes.subarray(0, kept)));
    this.#partialBytes += kept;
  }
}

/** What is not UTF-8 becomes U+FFFD. */
function textOf(line: Buffer): string {
  const end = line.at(-1) === carriageReturn ? line.length - 1 : line.length;
  return line.toString('utf8', 0, end);
}
