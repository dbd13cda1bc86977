/**
 * Two pieces of code that nearly every program has, so that nothing has to be written into its code: `syscall; ret` (getpid and its like),
 * and the call of rt_sigreturn that signal handlers return to.
 */
import type { Mapping } from '../../../format/capture.js';
import type { ProcessMemory } from '../../linux/memory.js';

export interface FoundCode {
  /** Of `syscall; ret`. */
  readonly call: bigint;
  /** Of `mov $15, %rax; syscall`. */
  readonly restorer: bigint;
  /** Behind its `syscall`. */
  readonly restorerEnd: bigint;
}

const callThenReturn = Buffer.from([0x0f, 0x05, 0xc3]);
const restorers = [
  // glibc, musl.
  Buffer.from([0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05]),
  // Go.
  Buffer.from([0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05]),
];

const chunkBytes = 1 << 20;
/** Of code in all: enough for the largest programs, whose libc comes after them. */
const maxScannedBytes = 1 << 30;
const overlap = 16;

/** Undefined when the process has no such code. Libraries are looked at first, libc before them: it is small, and has both. */
export function findCode(memory: ProcessMemory, mappings: readonly Mapping[]): FoundCode | undefined {
  let call: bigint | undefined;
  let restorer: Pick<FoundCode, 'restorer' | 'restorerEnd'> | undefined;
  let left = maxScannedBytes;
  const buffer = Buffer.alloc(chunkBytes);
  for (const { start, end } of codeMappings(mappings)) {
    for (let at = start; at < end && left > 0; at += BigInt(chunkBytes - overlap)) {
      const length = end - at < BigInt(chunkBytes) ? Number(end - at) : chunkBytes;
      const piece = buffer.subarray(0, length);
      const bytes = piece.subarray(0, memory.readInto(at, piece));
      left -= length;
      call ??= find(bytes, callThenReturn, at);
      for (const pattern of restorers) {
        const found = restorer === undefined ? find(bytes, pattern, at) : undefined;
        if (found !== undefined) restorer = { restorer: found, restorerEnd: found + BigInt(pattern.length) };
      }
      if (call !== undefined && restorer !== undefined) return { call, ...restorer };
    }
  }
  return undefined;
}

function find(bytes: Buffer, pattern: Buffer, base: bigint): bigint | undefined {
  const at = bytes.indexOf(pattern);
  return at < 0 ? undefined : base + BigInt(at);
}

function codeMappings(mappings: readonly Mapping[]): Mapping[] {
  const rank = ({ path }: Mapping): number => {
    if (/\/(?:libc[.-]|ld-musl)/.test(path)) return 0;
    return path.startsWith('/') ? 1 : 2;
  };
  return mappings
    .filter(({ permissions, path }) => permissions.startsWith('r-xp') && path !== '[vsyscall]')
    .toSorted((a, b) => rank(a) - rank(b));
}
