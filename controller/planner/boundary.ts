/** Whether an address is the beginning of an instruction: a probe anywhere else would destroy the program. */
import { hex, type LinkAddress } from '../../format/address.js';
import { StillframeError } from '../../format/error.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import { decodeInstruction, type Instruction, maxInstructionBytes } from './instruction.js';

/** Functions are walked from their beginning; none of this size is walked further. */
const maxFunctionBytes = 4 * 1024 * 1024;

/** The instruction at an address; undefined when the file has no code there, or it is not understood. */
export function instructionAt(
  symbols: ModuleSymbols,
  address: LinkAddress,
): (Instruction & { readonly bytes: Uint8Array }) | undefined {
  for (let length = maxInstructionBytes; length > 0; length--) {
    // The last instruction of a segment has fewer bytes behind it.
    const bytes = symbols.elf.bytesAt(address, length);
    if (bytes === undefined) continue;
    const instruction = decodeInstruction(bytes);
    return instruction === undefined
      ? undefined
      : { ...instruction, bytes: bytes.subarray(0, instruction.length) };
  }
  return undefined;
}

/** Throws unless a walk from the beginning of the function arrives exactly at the address. */
export function checkInstructionBoundary(symbols: ModuleSymbols, text: string, address: LinkAddress): void {
  const fail = (reason: string, candidates: readonly bigint[] = []): StillframeError =>
    new StillframeError('not-found', `cannot resolve location "${text}": ${reason}`, {
      detail: { address },
      candidates: candidates.map((candidate) => `*${hex(candidate)}`),
      ...(candidates.length === 0
        ? {}
        : { hint: `instructions begin at ${candidates.map((each) => hex(each)).join(' and ')}` }),
    });

  const range = symbols
    .functionAt(address)
    ?.ranges.find((candidate) => address >= candidate.start && address < candidate.end);
  const symbol = symbols.symbolAt(address);
  const start = range?.start ?? (symbol === undefined ? undefined : address - symbol.offset);
  if (start === undefined) throw fail(`no function of "${symbols.path}" contains ${hex(address)}`);
  if (address - start > BigInt(maxFunctionBytes)) {
    throw fail(`${hex(address)} is more than ${maxFunctionBytes} bytes into its function`);
  }
  const code = symbols.elf.bytesAt(start, Number(address - start) + 1);
  if (code === undefined) throw fail(`"${symbols.path}" has no code at ${hex(address)}`);
  const target = Number(address - start);
  let at = 0;
  while (at < target) {
    const instruction = instructionAt(symbols, (start + BigInt(at)) as LinkAddress);
    if (instruction === undefined) {
      throw fail(`the instruction at ${hex(start + BigInt(at))} is not understood`);
    }
    if (at + instruction.length > target) {
      throw fail(`${hex(address)} is inside of an instruction`, [
        start + BigInt(at),
        start + BigInt(at + instruction.length),
      ]);
    }
    at += instruction.length;
  }
  if (instructionAt(symbols, address) === undefined) {
    throw fail(`the instruction at ${hex(address)} is not understood`);
  }
}
