/**
 * Where a function is left: its return instructions, and its jumps to other functions, which return in its stead. Never by changing return addresses:
 * that breaks programs that move or look at their stacks. What leaves otherwise (exceptions, longjmp, panics) does not return, and is not seen.
 */
import { hex, type LinkAddress } from '../../format/address.js';
import type { FunctionSymbol, ModuleSymbols } from '../symbols/module-symbols.js';
import { valueOfTailCall } from '../symbols/returns/return-value.js';
import type { VariableSymbol } from '../symbols/module-symbols.js';
import { type CodeInstruction, functionCode, isWithin } from './function-code.js';

export interface FunctionExit {
  readonly address: LinkAddress;
  readonly kind: 'return' | 'tail call';
  /** Of a tail call: `$return` as it is there, which is absent. */
  readonly returnValue?: VariableSymbol | string;
}

export interface UnseenExit {
  readonly address: LinkAddress;
  readonly reason: string;
}

export interface FunctionExits {
  readonly exits: readonly FunctionExit[];
  /** Exits that cannot be probed, or may be exits. */
  readonly unseen: readonly UnseenExit[];
}

/** A text says why they cannot be known. */
export function functionExits(symbols: ModuleSymbols, found: FunctionSymbol): FunctionExits | string {
  const code = functionCode(symbols, found);
  if (typeof code === 'string') return code;
  const tailCalls = new Set<bigint>(found.tailCallSites?.().map(({ returnAddress }) => returnAddress));
  const exits: FunctionExit[] = [];
  const unseen: UnseenExit[] = [];
  const leave = (address: LinkAddress, target: bigint | undefined): void => {
    const callee = target === undefined ? undefined : calleeName(symbols, target);
    exits.push({ address, kind: 'tail call', returnValue: valueOfTailCall(found, callee) });
  };
  for (const [index, instruction] of code.instructions.entries()) {
    const { address, branch } = instruction;
    switch (branch?.kind) {
      case 'return':
        if (isNearReturn(instruction)) exits.push({ address, kind: 'return' });
        else unseen.push({ address, reason: 'a far return' });
        break;
      case 'jump':
        if (!isWithin(found.ranges, branch.target)) leave(address, branch.target);
        break;
      case 'conditional jump':
        if (!isWithin(found.ranges, branch.target)) {
          const callee = calleeName(symbols, branch.target) ?? 'another function';
          unseen.push({
            address,
            reason: `a conditional jump to ${callee}: a probe would see it also where it is not taken`,
          });
        }
        break;
      case 'indirect jump':
        if (tailCalls.has(address + BigInt(instruction.length))) leave(address, undefined);
        else if (found.tellsTailCalls?.() !== true && !isSwitch(code.instructions, index)) {
          unseen.push({ address, reason: 'a jump through a register or memory that may leave the function' });
        }
        break;
      case 'call':
      case undefined:
        break;
    }
  }
  return { exits, unseen };
}

function isNearReturn({ bytes }: CodeInstruction): boolean {
  return bytes.at(-1) === 0xc3 || bytes.at(-3) === 0xc2;
}

/** How far before a jump the table is read that it takes its target from. */
const tableReach = 6;

/** Jumps of a switch are marked so under control-flow enforcement (`notrack`), or take their target from a table by an index. */
function isSwitch(instructions: readonly CodeInstruction[], index: number): boolean {
  if (instructions[index]?.bytes[0] === 0x3e) return true;
  return instructions.slice(Math.max(0, index - tableReach), index + 1).some(({ bytes }) => hasIndex(bytes));
}

/** Whether an instruction of one opcode byte reads by an index: `mov`, `movslq`, `jmp`. */
function hasIndex(bytes: Uint8Array): boolean {
  const at = ((bytes[0] ?? 0) & 0xf0) === 0x40 ? 1 : 0;
  const [opcode = 0, modrm = 0, sib = 0] = bytes.subarray(at);
  return (
    [0x63, 0x8b, 0xff].includes(opcode) && (modrm & 7) === 4 && modrm >> 6 !== 3 && (sib & 0x38) !== 0x20
  );
}

function calleeName(symbols: ModuleSymbols, target: bigint): string | undefined {
  const address = target as LinkAddress;
  return symbols.functionAt(address)?.name ?? symbols.symbolAt(address)?.name ?? hex(target);
}
