/** Whether an address is the beginning of an instruction: a probe anywhere else would destroy the program. */
import { hex, type LinkAddress, linkAddress } from '../../format/address.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import { decodeInstruction, type Instruction, maxInstructionBytes } from '../../format/x86-64/instruction.js';

/** Functions are walked from their beginning; none of this size is walked further. */
const maxFunctionBytes = 4 * 1024 * 1024;

export interface PlacedInstruction extends Instruction {
  readonly bytes: Uint8Array;
}

/** The instruction at an address; undefined when the file has no code there, or it is not understood. */
export function instructionAt(symbols: ModuleSymbols, address: LinkAddress): PlacedInstruction | undefined {
  const bytes = codeAt(symbols, address, maxInstructionBytes);
  const instruction = bytes === undefined ? undefined : decodeInstruction(bytes);
  return bytes === undefined || instruction === undefined
    ? undefined
    : { ...instruction, bytes: bytes.subarray(0, instruction.length) };
}

/** At most `length` bytes; fewer where the segment ends before. */
export function codeAt(symbols: ModuleSymbols, address: LinkAddress, length: number): Uint8Array | undefined {
  const segment = symbols.elf.segments.find(
    ({ type, flags, virtualAddress, fileSize }) =>
      type === 1 &&
      (flags & 1) !== 0 &&
      address >= virtualAddress &&
      address < virtualAddress + BigInt(fileSize),
  );
  if (segment === undefined) return undefined;
  const left = Number(segment.virtualAddress + BigInt(segment.fileSize) - address);
  return symbols.elf.bytesAt(address, Math.min(length, left));
}

export interface BoundaryFault {
  readonly reason: string;
  /** Set when the address is inside of an instruction: where that begins, and where the next does. */
  readonly nearest?: readonly [bigint, bigint];
}

/** Undefined when a walk from the beginning of the function arrives exactly at the address; else why not. */
export function boundaryFault(symbols: ModuleSymbols, address: LinkAddress): BoundaryFault | undefined {
  const range = symbols
    .functionAt(address)
    ?.ranges.find((candidate) => address >= candidate.start && address < candidate.end);
  const symbol = range === undefined ? symbols.symbolAt(address) : undefined;
  const start = range?.start ?? (symbol === undefined ? undefined : linkAddress(address - symbol.offset));
  if (start === undefined) return { reason: `no function of "${symbols.path}" contains ${hex(address)}` };
  if (address - start > BigInt(maxFunctionBytes)) {
    return { reason: `${hex(address)} is more than ${maxFunctionBytes} bytes into its function` };
  }
  const target = Number(address - start);
  const code = codeAt(symbols, start, target + maxInstructionBytes);
  if (code === undefined || code.length <= target) {
    return { reason: `"${symbols.path}" has no code at ${hex(address)}` };
  }
  for (let at = 0; at <= target;) {
    const instruction = decodeInstruction(code.subarray(at, at + maxInstructionBytes));
    const here = start + BigInt(at);
    if (instruction === undefined) return { reason: `the instruction at ${hex(here)} is not understood` };
    const next = at + instruction.length;
    if (at < target && next > target) {
      const nearest = [here, start + BigInt(next)] as const;
      return { reason: `${hex(address)} is inside of an instruction`, nearest };
    }
    at = next;
  }
  return undefined;
}
