/**
 * One file of a log that is open, from where it is read on: it stays the same file when it is renamed or removed. Truncation is noticed, by its
 * length or, where it has grown again meanwhile, by what stood before the place that was read last.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  readlinkSync,
  statSync,
  statfsSync,
} from 'node:fs';
import { StillframeError } from '../../format/error.js';
import { type LogFileRule, logFileRefusal } from '../policy/log-files.js';
import { LineSplitter, maxLineBytes } from './line-splitter.js';

/** Of the kernel's own file systems: proc, sysfs, debugfs, tracefs, both of cgroups, securityfs, bpf. To read there can do something. */
const kernelFileSystems: ReadonlySet<number> = new Set([
  0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x27_e0eb, 0x6367_7270, 0x7363_6673, 0xcafe_4a11,
]);
const chunkBytes = 64 * 1024;
const fingerprintBytes = 64;
const chunk = Buffer.alloc(chunkBytes);

export interface OpenLogOptions {
  readonly path: string;
  readonly rule: LogFileRule;
  /** `end`: only lines that end after now, whole; `start`: all of it. */
  readonly from: 'end' | 'start';
  readonly line: (text: string) => void;
}

export class OpenLog implements Disposable {
  readonly device: number;
  readonly inode: number;
  readonly #fd: number;
  readonly #splitter: LineSplitter;
  #offset = 0;
  /** What stands right before the offset. */
  #fingerprint: Buffer = Buffer.alloc(0);

  /** Throws `not-found`, `denied`, `usage` for what is no file with lines, `system`. */
  constructor({ path, rule, from, line }: OpenLogOptions) {
    this.#fd = openFile(path, rule);
    try {
      const { dev, ino, size } = fstatSync(this.#fd);
      this.device = dev;
      this.inode = ino;
      this.#splitter = new LineSplitter(line);
      if (from === 'end') this.#seekLine(size);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** Bytes that are there and not read yet. */
  behind(): number {
    return Math.max(0, fstatSync(this.#fd).size - this.#offset);
  }

  /** One piece at most; false when there was nothing to read. */
  read(): boolean {
    const { size } = fstatSync(this.#fd);
    if (size < this.#offset || (size > this.#offset && !this.#isContinued())) this.#seek(0);
    if (size <= this.#offset) return false;
    const length = readSync(this.#fd, chunk, 0, chunkBytes, this.#offset);
    if (length === 0) return false;
    this.#offset += length;
    const piece = chunk.subarray(0, length);
    const last = Buffer.concat([this.#fingerprint, piece.subarray(-fingerprintBytes)]);
    this.#fingerprint = last.subarray(-fingerprintBytes);
    this.#splitter.push(piece);
    return true;
  }

  /** Goes to the end without reading; gives how many bytes are passed over. */
  skip(): number {
    const { size } = fstatSync(this.#fd);
    const bytes = Math.max(0, size - this.#offset);
    this.#seek(size);
    this.#splitter.skipLine();
    return bytes;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #seek(offset: number): void {
    this.#offset = offset;
    this.#splitter.reset();
    this.#fingerprint = this.#bytesBefore(Math.min(fingerprintBytes, offset));
  }

  /** To the beginning of the line that is not ended yet, so that it is whole when it does. */
  #seekLine(size: number): void {
    this.#seek(size);
    const tail = this.#bytesBefore(Math.min(maxLineBytes, size));
    const lineBytes = tail.length - 1 - tail.lastIndexOf('\n');
    if (lineBytes < tail.length || tail.length === size) this.#seek(size - lineBytes);
    else this.#splitter.skipLine();
  }

  #isContinued(): boolean {
    return this.#fingerprint.equals(this.#bytesBefore(this.#fingerprint.length));
  }

  #bytesBefore(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const read = length === 0 ? 0 : readSync(this.#fd, bytes, 0, length, this.#offset - length);
    return bytes.subarray(0, read);
  }
}

/** NB: what is no regular file is not even opened, for to open a device can do something; and is looked at again when it is open. */
function openFile(path: string, rule: LogFileRule): number {
  const action = `cannot watch "${path}"`;
  const found = attempt(action, () => statSync(path));
  if (!found.isFile()) throw new StillframeError('usage', `${action}: it is no regular file`);
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  const fd = attempt(action, () => openSync(path, flags));
  try {
    if (!fstatSync(fd).isFile()) throw new StillframeError('usage', `${action}: it is no regular file`);
    // Of the very file that is open, whatever the path leads to by now.
    const real = readlinkSync(`/proc/self/fd/${fd}`).replace(/ \(deleted\)$/, '');
    if (kernelFileSystems.has(statfsSync(`/proc/self/fd/${fd}`).type)) {
      throw new StillframeError('usage', `${action}: it is a file of the kernel`);
    }
    const refusal = logFileRefusal(rule, real);
    if (refusal !== undefined) throw new StillframeError('denied', `${action}: ${refusal}`);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

export function attempt<T>(action: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const [kind, text] = reasons[code] ?? (['system', code === '' ? String(error) : code] as const);
    throw new StillframeError(kind, `${action}: ${text}`, { cause: error });
  }
}

const reasons: Readonly<Record<string, readonly ['not-found' | 'denied' | 'usage', string]>> = {
  ENOENT: ['not-found', 'there is no such file'],
  ENOTDIR: ['not-found', 'there is no such file'],
  EACCES: ['denied', 'permission denied'],
  EPERM: ['denied', 'permission denied'],
  ELOOP: ['usage', 'its links lead in a circle'],
};
