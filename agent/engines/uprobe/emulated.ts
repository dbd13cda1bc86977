/** Whether the kernel emulates the instructions that probes are on: those that it does not are run in a single step, which a virtual machine pays dearly for. */
import { closeSync, openSync, readSync } from 'node:fs';
import { decodeInstruction, maxInstructionBytes } from '../../../format/x86-64/instruction.js';

/** Of code as it is in the file, without probes. False where that cannot be told. */
export function isEmulatedAt(path: string, ...fileOffsets: readonly number[]): boolean {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(maxInstructionBytes);
    return fileOffsets.every((offset) => {
      const read = readSync(fd, bytes, 0, bytes.length, offset);
      return decodeInstruction(bytes.subarray(0, read))?.probe === 'emulated';
    });
  } finally {
    closeSync(fd);
  }
}
