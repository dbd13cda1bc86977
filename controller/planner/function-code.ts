/** All instructions of a function, one after another, with where they branch to: what exits and placement are found in. */
import { hex, type LinkAddress, linkAddress } from '../../format/address.js';
import type { AddressRange, FunctionSymbol, ModuleSymbols } from '../symbols/module-symbols.js';
import { codeAt } from './boundary.js';
import { type Branch, branchOf } from '../symbols/branch.js';
import { tableTargets } from './jump-tables.js';
import { decodeInstruction, type Instruction, maxInstructionBytes } from '../../format/x86-64/instruction.js';

export interface CodeInstruction extends Instruction {
  readonly address: LinkAddress;
  readonly bytes: Uint8Array;
  readonly branch?: Branch;
}

export interface FunctionCode {
  /** In order of address, range after range. */
  readonly instructions: readonly CodeInstruction[];
  /** Addresses within that a branch of the function leads to, but for calls of it. */
  readonly targets: ReadonlySet<bigint>;
  /** Through a register, where it is not known where they lead to: somewhere within the function, or out of it in place of a return. */
  readonly indirectJumps: readonly CodeInstruction[];
}

/** No function of more bytes is walked. */
const maxBytes = 1024 * 1024;

const walked = new WeakMap<FunctionSymbol, FunctionCode | string>();

/** A text says why the code is not understood: then nothing may be concluded from it. */
export function functionCode(symbols: ModuleSymbols, found: FunctionSymbol): FunctionCode | string {
  const known = walked.get(found) ?? walk(symbols, found);
  walked.set(found, known);
  return known;
}

function walk(
  symbols: ModuleSymbols,
  { name, ranges, entry, tailCallSites }: FunctionSymbol,
): FunctionCode | string {
  if (ranges.length === 0) return `where "${name}" ends is not known`;
  const size = ranges.reduce((sum, { start, end }) => sum + (end - start), 0n);
  if (size > BigInt(maxBytes)) return `"${name}" has ${size} bytes of code, ${maxBytes} are the most`;
  const instructions: CodeInstruction[] = [];
  for (const range of ranges) {
    const failed = walkRange(symbols, range, instructions);
    if (failed !== undefined) return failed;
  }
  const starts = new Set<bigint>(instructions.map(({ address }) => address));
  const targets = new Set<bigint>();
  for (const { address, branch } of instructions) {
    if (branch === undefined || !('target' in branch) || branch.target === undefined) continue;
    const { target } = branch;
    const isRecursion = branch.kind === 'call' && target === entry;
    if (isRecursion || !isWithin(ranges, target)) continue;
    // A walk that is out of step, or code that jumps into its own instructions.
    if (!starts.has(target)) return `the jump at ${hex(address)} leads into an instruction`;
    targets.add(target);
  }
  const leaving = new Set<bigint>(tailCallSites?.().map(({ returnAddress }) => returnAddress));
  const indirectJumps = instructions.filter(
    ({ branch, address, length }) =>
      branch?.kind === 'indirect jump' && !leaving.has(address + BigInt(length)),
  );
  const ofTables =
    indirectJumps.length === 0
      ? new Set<bigint>()
      : tableTargets(symbols, instructions, { ranges, jumps: indirectJumps });
  for (const target of ofTables ?? []) targets.add(target);
  return { instructions, targets, indirectJumps: ofTables === undefined ? indirectJumps : [] };
}

function walkRange(
  symbols: ModuleSymbols,
  { start, end }: AddressRange,
  found: CodeInstruction[],
): string | undefined {
  const length = Number(end - start);
  const code = codeAt(symbols, start, length);
  if (code === undefined || code.length < length) return `"${symbols.path}" has no code at ${hex(start)}`;
  for (let at = 0; at < length;) {
    const address = linkAddress(start + BigInt(at));
    const instruction = decodeInstruction(code.subarray(at, Math.min(length, at + maxInstructionBytes)));
    if (instruction === undefined) return `the instruction at ${hex(address)} is not understood`;
    const bytes = code.subarray(at, at + instruction.length);
    at += instruction.length;
    const branch = branchOf(bytes, start + BigInt(at));
    found.push({ ...instruction, address, bytes, ...(branch === undefined ? {} : { branch }) });
  }
  return undefined;
}

export function isWithin(ranges: readonly AddressRange[], address: bigint): boolean {
  return ranges.some(({ start, end }) => address >= start && address < end);
}
