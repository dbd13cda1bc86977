/**
 * Where the jumps of switches lead to. Compilers of position-independent code take them from tables of 32-bit offsets, whose beginning some `lea` of
 * the function computes. All that any of these could lead to is taken, entries beyond a table's end too: whoever asks where jumps do not lead must
 * not miss one, and may be told more than there are.
 */
import { linkAddress, type LinkAddress } from '../../format/address.js';
import type { AddressRange, ModuleSymbols } from '../symbols/module-symbols.js';
import type { CodeInstruction } from './function-code.js';

/** How far before a jump its table is read. */
const reach = 8;
/** Entries of a table; a longer one is not believed. */
const maxEntries = 4096;

/** Undefined where a jump takes its target from something else. */
export function tableTargets(
  symbols: ModuleSymbols,
  instructions: readonly CodeInstruction[],
  { ranges, jumps }: { readonly ranges: readonly AddressRange[]; readonly jumps: readonly CodeInstruction[] },
): ReadonlySet<bigint> | undefined {
  if (!jumps.every((jump) => readsTable(instructions, instructions.indexOf(jump)))) return undefined;
  const starts = new Set<bigint>(instructions.map(({ address }) => address));
  const targets = new Set<bigint>();
  for (const instruction of instructions) {
    const base = loadedAddress(instruction);
    if (base === undefined) continue;
    // A label whose address is taken.
    if (starts.has(base)) targets.add(base);
    else if (!readTable(symbols, base, { ranges, starts, targets })) return undefined;
  }
  return targets.size === 0 ? undefined : targets;
}

/** `movslq (base,index,4),register`, and nothing that branches between it and the jump, which is through a register. */
function readsTable(instructions: readonly CodeInstruction[], index: number): boolean {
  const jump = instructions[index];
  if (jump === undefined || (jump.bytes.at(-1) ?? 0) >> 6 !== 3) return false;
  for (let i = index - 1; i >= Math.max(0, index - reach); i--) {
    const instruction = instructions[i];
    if (instruction === undefined || instruction.branch !== undefined) return false;
    const [rex = 0, opcode, modrm = 0, sib = 0] = instruction.bytes;
    const isMovslq = (rex & 0xf8) === 0x48 && opcode === 0x63;
    if (isMovslq && (modrm & 7) === 4 && modrm >> 6 === 0 && sib >> 6 === 2) return true;
  }
  return false;
}

/** Of `lea displacement(%rip),register`. */
function loadedAddress({ bytes, address, length }: CodeInstruction): bigint | undefined {
  const [rex = 0, opcode, modrm = 0] = bytes;
  if ((rex & 0xf8) !== 0x48 || opcode !== 0x8d || (modrm & 0xc7) !== 5 || bytes.length !== 7)
    return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return address + BigInt(length) + BigInt(view.getInt32(3, true));
}

interface Found {
  readonly ranges: readonly AddressRange[];
  readonly starts: ReadonlySet<bigint>;
  readonly targets: Set<bigint>;
}

/** False where it has no end. What is no table at all ends at once. */
function readTable(symbols: ModuleSymbols, base: bigint, { ranges, starts, targets }: Found): boolean {
  for (let i = 0; i < maxEntries; i++) {
    const bytes = symbols.elf.bytesAt(base + BigInt(i * 4), 4);
    if (bytes === undefined) return true;
    const offset = new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0, true);
    const target: LinkAddress = linkAddress(BigInt.asUintN(64, base + BigInt(offset)));
    if (!ranges.some(({ start, end }) => target >= start && target < end)) return true;
    // Within the function, and no instruction begins there: chance, or a walk that is out of step.
    if (starts.has(target)) targets.add(target);
  }
  return false;
}
