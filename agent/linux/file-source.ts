import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { ByteSource } from '../../format/byte-source.js';
import { badData } from '../../format/error.js';

/** A file, read piece by piece; held open until disposed of. Throws what node:fs throws when it cannot be opened. */
export class FileSource implements ByteSource, Disposable {
  readonly name: string;
  readonly size: number;
  readonly device: bigint;
  readonly inode: bigint;
  readonly modifiedNs: bigint;
  #fd: number;

  /** `name` is for messages, where `path` goes through /proc. */
  constructor(path: string, name: string = path) {
    this.name = name;
    this.#fd = openSync(path, 'r');
    const stat = fstatSync(this.#fd, { bigint: true });
    this.size = stat.isFile() ? Number(stat.size) : 0;
    this.device = stat.dev;
    this.inode = stat.ino;
    this.modifiedNs = stat.mtimeNs;
  }

  /** What the kernel calls this very file and state of it: two files with the same key have the same bytes. */
  get key(): string {
    return `${this.device}:${this.inode}:${this.modifiedNs}:${this.size}`;
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = readSync(this.#fd, bytes, done, length - done, offset + done);
      if (count <= 0) {
        throw badData(
          `cannot read "${this.name}": ${length} bytes at offset 0x${offset.toString(16)} are past its ${this.size} bytes`,
          { detail: { file: this.name, offset } },
        );
      }
      done += count;
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}
