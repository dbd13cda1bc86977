/** Bytes that lie somewhere: a file, a core, a buffer. Parsers take this and never do I/O themselves. */
export interface ByteSource {
  /** What it is, for messages: a path. */
  readonly name: string;
  readonly size: number;
  /** Exactly `length` bytes at `offset`; throws `bad-data` past the end. The result may be a view. */
  read(offset: number, length: number): Uint8Array;
  /** Fills `target` with the bytes at `offset`, where the source can do so without memory of its own. */
  readInto?(target: Uint8Array, offset: number): void;
}
