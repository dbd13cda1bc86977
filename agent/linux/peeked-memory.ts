/**
 * What CAP_SYS_PTRACE alone shows of a process of another user, whose files in /proc are not open to us (that takes CAP_DAC_READ_SEARCH): its memory, by
 * process_vm_readv(2), and out of that its auxiliary vector.
 *
 * Nothing holds the address space here, as an open /proc/PID/mem does. So after each read it is asked whether it is still the same: by when the process began, and where its
 * code and its stack were put, which another program has elsewhere.
 */
import { readFileSync } from 'node:fs';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { VectorReader } from './memory-vector.js';
import { procError } from './proc.js';

interface AddressSpace {
  /** Of the process and its program, for good. */
  readonly name: string;
  /** Where argc lies (fs/binfmt_elf.c create_elf_tables). */
  readonly stackStart: bigint;
}

/** Positions behind the comm, of which proc(5) says (22), (26), (28). */
const startTicksAt = 19;
const startCodeAt = 23;
const startStackAt = 25;

/** The addresses are 0 for who may not trace the process. */
function addressSpaceOf(pid: number): AddressSpace {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    throw procError(`cannot read /proc/${pid}/stat`, pid, error);
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [startTicks = '', startCode = '', startStack = '0'] = [startTicksAt, startCodeAt, startStackAt].map(
    (at) => fields[at],
  );
  return { name: `${startTicks} ${startCode} ${startStack}`, stackStart: BigInt(startStack) };
}

const chunkBytes = 64 * 1024;

export class PeekedMemory implements Disposable {
  readonly stackStart: bigint;
  readonly #pid: number;
  readonly #name: string;
  readonly #reader = new VectorReader(chunkBytes);

  /** Throws `denied` where not even this is allowed, `target-gone`. */
  constructor(pid: number) {
    this.#pid = pid;
    const { name, stackStart } = addressSpaceOf(pid);
    this.#name = name;
    this.stackStart = stackStart;
    try {
      if (this.readInto(stackStart, new Uint8Array(1)) === 1) return;
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    this[Symbol.dispose]();
    throw new StillframeError('denied', `cannot read the memory of process ${pid}`, { detail: { pid } });
  }

  /** As {@link ProcessMemory.readInto}; nothing of a process that is gone, or runs another program. */
  readInto(address: bigint, target: Uint8Array): number {
    let done = 0;
    if (address < 0n) return 0;
    try {
      while (done < target.length) {
        const length = Math.min(chunkBytes, target.length - done);
        const [got = 0] = this.#reader.read(this.#pid, [{ address: address + BigInt(done), length }]);
        target.set(this.#reader.view(0, got), done);
        done += got;
        if (got < length) break;
      }
      return addressSpaceOf(this.#pid).name === this.#name ? done : 0;
    } catch (error) {
      if (toStillframeError(error).code === 'target-gone') return 0;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
  }
}

/** Arguments and environment of a process are mostly much less. */
const maxTableBytes = 1 << 18;
const wordBytes = 8;
const AT_NULL = 0n;
const AT_PAGESZ = 6n;
const pageBytes = 4096n;
const maxEntries = 64;

/** The auxiliary vector as it lies behind arguments and environment on the stack; undefined where that is not what lies there any more. */
export function peekAuxv(memory: PeekedMemory): Buffer | undefined {
  const table = new Uint8Array(maxTableBytes);
  const length = memory.readInto(memory.stackStart, table);
  const words = new BigUint64Array(table.buffer, 0, Math.floor(length / wordBytes));
  const [argc = 0n] = words;
  if (argc > BigInt(words.length)) return undefined;
  let at = 1 + Number(argc);
  if (words[at] !== 0n) return undefined;
  do at += 1;
  while (at < words.length && words[at] !== 0n);
  const begin = at + 1;
  let isPlausible = false;
  for (let entry = 0; entry < maxEntries; entry++) {
    const [key, value] = words.subarray(begin + 2 * entry, begin + 2 * entry + 2);
    if (key === undefined || value === undefined) return undefined;
    if (key === AT_PAGESZ) isPlausible = value === pageBytes;
    if (key !== AT_NULL) continue;
    const end = (begin + 2 * entry + 2) * wordBytes;
    return isPlausible ? Buffer.from(table.subarray(begin * wordBytes, end)) : undefined;
  }
  return undefined;
}

/** `/proc/PID/auxv`, or what stands for it. Throws `denied`, `target-gone`. */
export function readAuxv(pid: number): Buffer {
  try {
    return readFileSync(`/proc/${pid}/auxv`);
  } catch (error) {
    const failure = procError(`cannot read /proc/${pid}/auxv`, pid, error);
    const found = failure.code === 'denied' ? peekedAuxv(pid) : undefined;
    if (found === undefined) throw failure;
    return found;
  }
}

function peekedAuxv(pid: number): Buffer | undefined {
  const peeked = tryToPeek(pid);
  if (peeked === undefined) return undefined;
  using memory = peeked;
  return peekAuxv(memory);
}

/** Undefined where that is not allowed either. Throws `target-gone`. */
export function tryToPeek(pid: number): PeekedMemory | undefined {
  try {
    return new PeekedMemory(pid);
  } catch (error) {
    if (toStillframeError(error).code === 'target-gone') throw error;
    return undefined;
  }
}
