/** Programs of 32 bits have other registers, other addresses and another layout of everything: they are refused before anybody looks. */
import { closeSync, openSync, readSync } from 'node:fs';
import { StillframeError } from '../../format/error.js';

export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
const classAt = 4;

/** EI_CLASS of the file that a process runs. Throws what node:fs throws. */
export function readElfClass(pid: number): number | undefined {
  const head = Buffer.alloc(classAt + 1);
  const fd = openSync(`/proc/${pid}/exe`, 'r');
  try {
    return readSync(fd, head, 0, head.length, 0) === head.length ? head[classAt] : undefined;
  } finally {
    closeSync(fd);
  }
}

/** Throws `unsupported`. A program whose file cannot be read is not judged: who needs the file says so. */
export function refuse32Bit(pid: number): void {
  let elfClass: number | undefined;
  try {
    elfClass = readElfClass(pid);
  } catch {
    return;
  }
  if (elfClass !== ELFCLASS32) return;
  throw new StillframeError('unsupported', `cannot look into process ${pid}: it is a 32-bit program`, {
    detail: { pid },
  });
}
