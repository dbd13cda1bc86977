/**
 * Moves a point to an instruction nearby that the kernel emulates, where a hit there is the same hit: every thread that comes by the one comes by the
 * other, between them nothing happens that a program could tell or a variable could show, and each variable is where it was. Where that is
 * not certain the point stays.
 */
import { isAbsent } from '../../format/absent.js';
import { linkAddress, type LinkAddress } from '../../format/address.js';
import { decodeExpression } from '../../format/dwarf-op/decode.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { StillframeError } from '../../format/error.js';
import type { CallFrameRow } from '../dwarf/call-frame.js';
import type {
  FunctionSymbol,
  ModuleSymbols,
  SourceFrame,
  VariableSymbol,
} from '../symbols/module-symbols.js';
import { type CodeInstruction, functionCode, type FunctionCode } from './function-code.js';
import { effectOf, type InstructionEffect } from './instruction-effect.js';

/** Instructions that are looked at, on either side. */
const reach = 12;

const dwarfRbp = 6;
const dwarfRsp = 7;

/** The place in a file where a point was put that was asked for at `address`. */
export interface PlacementRequest {
  readonly symbols: ModuleSymbols;
  readonly address: LinkAddress;
  /** The function itself was asked for, and not a line: then any place before its first statement will do. */
  readonly atEntry: boolean;
  /** Loads may lie between: a pass that faults at one of them does not come to the better place. */
  readonly pastLoads: boolean;
}

/** The better address; undefined where there is none, or the instruction is emulated already. */
export function betterPlace(request: PlacementRequest): LinkAddress | undefined {
  const { symbols, address } = request;
  const found = symbols.functionAt(address);
  const code = found === undefined ? undefined : functionCode(symbols, found);
  if (found === undefined || code === undefined || typeof code === 'string') return undefined;
  const index = code.instructions.findIndex((instruction) => instruction.address === address);
  const own = code.instructions[index];
  if (own === undefined || own.probe === 'emulated') return undefined;
  return new Placement(request, found, code).find(index);
}

class Placement {
  readonly #symbols: ModuleSymbols;
  readonly #address: LinkAddress;
  readonly #atEntry: boolean;
  readonly #pastLoads: boolean;
  readonly #function: FunctionSymbol;
  readonly #code: FunctionCode;
  readonly #stack: readonly SourceFrame[];

  constructor(
    { symbols, address, atEntry, pastLoads }: PlacementRequest,
    found: FunctionSymbol,
    code: FunctionCode,
  ) {
    this.#symbols = symbols;
    this.#address = address;
    this.#atEntry = atEntry;
    this.#pastLoads = pastLoads;
    this.#function = found;
    this.#code = code;
    this.#stack = symbols.sourceStack(address);
  }

  find(index: number): LinkAddress | undefined {
    if (this.#stack.length === 0 || isAbsent(this.#row(this.#address))) return undefined;
    return this.#after(index) ?? (this.#atEntry ? this.#before(index) : undefined);
  }

  /** Further on in the same statement. */
  #after(index: number): LinkAddress | undefined {
    const passed: CodeInstruction[] = [];
    for (let i = index; i < index + reach; i++) {
      const instruction = this.#code.instructions[i];
      if (instruction === undefined || !this.#follows(passed.at(-1), instruction)) return undefined;
      if (passed.length > 0 && !this.#isReachedOnlyFromBefore(instruction.address)) return undefined;
      if (passed.length > 0 && !this.#isSameScope(instruction.address)) return undefined;
      if (instruction.probe === 'emulated' && passed.length > 0) {
        return this.#isSameState(passed, this.#address, instruction.address, true)
          ? instruction.address
          : undefined;
      }
      if (instruction.branch !== undefined) return undefined;
      passed.push(instruction);
    }
    return undefined;
  }

  /** Among the pushes of the prologue, for a function as such. */
  #before(index: number): LinkAddress | undefined {
    if (this.#stack.length !== 1) return undefined;
    const passed: CodeInstruction[] = [];
    for (let i = index - 1; i >= Math.max(0, index - reach); i--) {
      const [instruction, next] = [this.#code.instructions[i], this.#code.instructions[i + 1]];
      if (instruction === undefined || next === undefined || !this.#follows(instruction, next))
        return undefined;
      if (instruction.branch !== undefined || !this.#isReachedOnlyFromBefore(next.address)) return undefined;
      passed.unshift(instruction);
      const { address } = instruction;
      if (address < (this.#function.entry ?? address)) return undefined;
      if (instruction.probe !== 'emulated') continue;
      return this.#isSameState(passed, address, this.#address, false) ? address : undefined;
    }
    return undefined;
  }

  /** The same statement; of a function as such the same functions. */
  #isSameScope(address: LinkAddress): boolean {
    const there = this.#symbols.sourceStack(address);
    return sameStack(this.#stack, there, this.#atEntry);
  }

  #follows(before: CodeInstruction | undefined, after: CodeInstruction): boolean {
    return before === undefined || before.address + BigInt(before.length) === after.address;
  }

  #row(address: LinkAddress): CallFrameRow | { readonly absent: string; readonly detail: string } {
    return this.#symbols.frames.findRow(address);
  }

  /** No jump leads there; one through a register cannot, where the stack is of another depth. */
  #isReachedOnlyFromBefore(address: LinkAddress): boolean {
    if (this.#code.targets.has(address)) return false;
    const here = cfaText(this.#symbols, address);
    return this.#code.indirectJumps.every((jump) => {
      const there = cfaText(this.#symbols, jump.address);
      return here !== undefined && there !== undefined && here !== there;
    });
  }

  /** Whether what runs between two places changes nothing that can be seen, and variables are at both what they are at `wanted`. */
  #isSameState(
    passed: readonly CodeInstruction[],
    from: LinkAddress,
    to: LinkAddress,
    isForward: boolean,
  ): boolean {
    const effects: InstructionEffect[] = [];
    for (const { bytes, probe } of passed) {
      const effect = probe === 'refused' ? undefined : effectOf(bytes);
      if (effect === undefined || !this.#isHarmless(effect, from)) return false;
      effects.push(effect);
    }
    const written = new Set(effects.flatMap(({ writes }) => writes));
    return isForward
      ? this.#variablesStay(from, to, { written, origins: originsOf(effects) })
      : this.#variablesAreThere(from, to, written);
  }

  /** Reads nothing that might not be there, unless that is allowed. */
  #isHarmless({ reads }: InstructionEffect, at: LinkAddress): boolean {
    if (typeof reads === 'string' || this.#pastLoads) return true;
    if (reads.base === dwarfRsp) return true;
    const row = this.#symbols.frames.findRow(at);
    const isFramed = !isAbsent(row) && row.cfa.kind === 'register' && row.cfa.register === dwarfRbp;
    return reads.base === dwarfRbp && isFramed;
  }

  #variablesStay(from: LinkAddress, to: LinkAddress, { written, origins }: Changes): boolean {
    const there = this.#symbols.sourceStack(to);
    return this.#stack.every((level, i) => {
      const variables = level.scope?.variables ?? [];
      const others = there[i]?.scope?.variables ?? [];
      if (variables.length !== others.length) return false;
      if (usesAny(level.scope?.frameBase, written)) return false;
      return variables.every((variable, k) => {
        const other = others[k];
        if (other === undefined || !isSameVariable(variable, other)) return false;
        const [location, after] = [variable.locationAt(from), other.locationAt(to)];
        if (isAbsent(location)) return isAbsent(after);
        if (isAbsent(after) || location.kind !== after.kind) return false;
        if (location.kind === 'constant' || after.kind === 'constant') return location.kind === after.kind;
        if (sameBytes(location.expression, after.expression)) return !usesAny(location.expression, written);
        const [old, now] = [registerOf(location.expression), registerOf(after.expression)];
        return old !== undefined && now !== undefined && origins.get(now) === old;
      });
    });
  }

  /**
   * Before the prologue: what a place everywhere in the function says is true only behind it; lists of places say what is true
   * here. All that is known at the place asked for must be known here.
   */
  #variablesAreThere(from: LinkAddress, to: LinkAddress, written: ReadonlySet<number>): boolean {
    const here = this.#symbols.sourceStack(from);
    const [level] = here;
    const [wanted] = this.#stack;
    if (here.length !== 1 || level?.function !== wanted?.function) return false;
    const own = level?.scope?.variables ?? [];
    if (usesAny(level?.scope?.frameBase, written)) return false;
    return (wanted?.scope?.variables ?? []).every((variable) => {
      const same = own.find((candidate) => isSameVariable(candidate, variable));
      const [later, location] = [variable.locationAt(to), same?.locationAt(from)];
      if (isAbsent(later)) return location === undefined || isAbsent(location) || !variable.parameter;
      if (location === undefined || isAbsent(location)) return false;
      if (location.kind === 'constant') return true;
      if (isStatic(location.expression)) return true;
      return variable.availableRanges() !== undefined && !usesAny(location.expression, written);
    });
  }
}

interface Changes {
  readonly written: ReadonlySet<number>;
  /** Registers that hold at the end what a register held in the beginning. */
  readonly origins: ReadonlyMap<number, number>;
}

function originsOf(effects: readonly InstructionEffect[]): ReadonlyMap<number, number> {
  const origins = new Map<number, number>(Array.from({ length: 16 }, (_, register) => [register, register]));
  for (const { writes, copies } of effects) {
    const origin = copies === undefined ? undefined : origins.get(copies);
    for (const register of writes) {
      if (origin === undefined) origins.delete(register);
      else origins.set(register, origin);
    }
  }
  return origins;
}

/** Of a location that is a register, and nothing else. */
function registerOf(expression: Uint8Array): number | undefined {
  const [code = 0] = expression;
  const register = code - DW_OP.DW_OP_reg0;
  return expression.length === 1 && register >= 0 && register < 16 ? register : undefined;
}

function cfaText(symbols: ModuleSymbols, address: LinkAddress): string | undefined {
  const row = symbols.frames.findRow(linkAddress(address));
  return isAbsent(row) || row.cfa.kind !== 'register' ? undefined : `${row.cfa.register} ${row.cfa.offset}`;
}

function sameStack(a: readonly SourceFrame[], b: readonly SourceFrame[], anyLine: boolean): boolean {
  return (
    a.length === b.length &&
    a.every((level, i) => {
      const other = b[i];
      return (
        level.function === other?.function &&
        level.file === other.file &&
        (anyLine || level.line === other.line) &&
        level.inlined === other.inlined
      );
    })
  );
}

function isSameVariable(a: VariableSymbol, b: VariableSymbol): boolean {
  return a.name === b.name && a.declaredLine === b.declaredLine && a.parameter === b.parameter;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function isStatic(expression: Uint8Array): boolean {
  return expression[0] === DW_OP.DW_OP_addr || expression[0] === DW_OP.DW_OP_addrx;
}

/** Whether an expression counts on one of these registers; what cannot be read does. What counts from the CFA does not: its row says where that is. */
function usesAny(expression: Uint8Array | undefined, registers: ReadonlySet<number>): boolean {
  if (expression === undefined) return false;
  try {
    return decodeExpression(expression, { addressSize: 8, name: 'location' }).some(({ code, a }) => {
      if (code === DW_OP.DW_OP_regx || code === DW_OP.DW_OP_bregx) return registers.has(Number(a));
      if (code >= DW_OP.DW_OP_reg0 && code <= DW_OP.DW_OP_reg31)
        return registers.has(code - DW_OP.DW_OP_reg0);
      return (
        code >= DW_OP.DW_OP_breg0 && code <= DW_OP.DW_OP_breg31 && registers.has(code - DW_OP.DW_OP_breg0)
      );
    });
  } catch (error) {
    if (error instanceof StillframeError) return true;
    throw error;
  }
}
