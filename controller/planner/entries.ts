/** Where functions are entered whose returns are to be timed: see {@link ../../format/plan/timing.ts}. What would time them wrongly is refused. */
import { isAbsent } from '../../format/absent.js';
import { hex, type LinkAddress } from '../../format/address.js';
import type { PlanEntry, PlanTiming } from '../../format/plan/timing.js';
import { dwarfRsp } from '../../format/registers/x86-64.js';
import type { FunctionSymbol, ModuleSymbols } from '../symbols/module-symbols.js';
import { returnsInRegisters } from '../symbols/returns/go.js';
import { type CodeInstruction, functionCode, type FunctionCode } from './function-code.js';
import type { LocatedSite } from './location.js';

/** Instructions after the first that are looked at for one that costs less to probe. */
const reach = 8;

/** A text says why the functions of these sites cannot be timed. */
export function timingOf(symbols: ModuleSymbols, sites: readonly LocatedSite[]): PlanTiming | string {
  if (sites.some(({ exit }) => exit === undefined)) return 'it is known only at FUNCTION:return';
  const functions = new Map<bigint, FunctionSymbol>();
  for (const { address } of sites) {
    const found = symbols.functionAt(address);
    if (found?.entry === undefined) return `no function is known at ${hex(address)}`;
    functions.set(found.entry, found);
  }
  const exits = new Set<bigint>(sites.map(({ address }) => address));
  const entries: PlanEntry[] = [];
  const keys = new Set<PlanTiming['key']>();
  for (const found of functions.values()) {
    const key = keyOf(found);
    if (key === undefined) return noRegister;
    const entry = entryOf(symbols, found, exits);
    if (typeof entry === 'string') return entry;
    keys.add(key);
    entries.push(entry);
  }
  const [key, ...others] = keys;
  return key === undefined || others.length > 0
    ? 'its functions are of Go and of another language'
    : { key, entries };
}

const noRegister = 'this version of Go keeps no register for the goroutine, and moves stacks';

function keyOf({ convention }: FunctionSymbol): PlanTiming['key'] | undefined {
  if (convention?.language !== 'go') return 'stack';
  return returnsInRegisters(convention.producer) ? 'goroutine' : undefined;
}

function entryOf(
  symbols: ModuleSymbols,
  found: FunctionSymbol,
  exits: ReadonlySet<bigint>,
): PlanEntry | string {
  const code = functionCode(symbols, found);
  if (typeof code === 'string') return code;
  const from = code.instructions.findIndex(({ address }) => address === found.entry);
  const first = code.targets.has(found.entry ?? 0n) ? afterStackCheck(code, found, from) : from;
  if (first === undefined || first < 0) {
    return `"${found.name}" jumps back to its first instruction: entries cannot be told from rounds of a loop`;
  }
  const candidates = straightFrom(symbols, code, first).filter(({ address }) => !exits.has(address));
  const chosen = candidates.find(({ probe }) => probe === 'emulated') ?? candidates[0];
  if (chosen === undefined || chosen.probe === 'refused') {
    return `"${found.name}" has no instruction before its return that could be probed`;
  }
  const fileOffset = symbols.elf.fileOffsetOf(chosen.address);
  if (fileOffset === undefined) return `"${symbols.path}" has no bytes at ${hex(chosen.address)}`;
  return { linkAddress: chosen.address, fileOffset, function: found.name };
}

/** Instructions that follow one another with nothing pushed, and that every call passes once. */
function straightFrom(symbols: ModuleSymbols, code: FunctionCode, first: number): CodeInstruction[] {
  const found: CodeInstruction[] = [];
  for (const instruction of code.instructions.slice(first, first + reach)) {
    const isFirst = found.length === 0;
    const last = found.at(-1);
    if (!isFirst && (code.targets.has(instruction.address) || !hasNoFrame(symbols, instruction.address)))
      break;
    if (last !== undefined && last.address + BigInt(last.length) !== instruction.address) break;
    found.push(instruction);
    if (instruction.branch !== undefined) break;
  }
  const [start] = found;
  return start === undefined || !hasNoFrame(symbols, start.address) ? [] : found;
}

/** Whether the stack pointer is at the return address, as it is on entry. */
function hasNoFrame(symbols: ModuleSymbols, address: LinkAddress): boolean {
  const row = symbols.frames.findRow(address);
  return (
    !isAbsent(row) && row.cfa.kind === 'register' && row.cfa.register === dwarfRsp && row.cfa.offset === 8n
  );
}

/** `cmp 0x10(%r14),%rsp`, or after `lea -N(%rsp),%r12` of `%r12`; then `jbe`: Go looks whether the stack has room, and begins anew when it was moved. */
const stackChecks = [/^493b6610$/, /^4d3b6610$/];
const farFrame = /^4c8d(64|a4)24/;
const jumpIfBelow = /^(76|0f86)/;

/** Index of the instruction behind the check. */
function afterStackCheck(
  { instructions, targets }: FunctionCode,
  found: FunctionSymbol,
  from: number,
): number | undefined {
  if (found.convention?.language !== 'go') return undefined;
  const text = (index: number): string => Buffer.from(instructions[index]?.bytes ?? []).toString('hex');
  const compare = farFrame.test(text(from)) ? from + 1 : from;
  const isCheck = stackChecks[compare === from ? 0 : 1]?.test(text(compare)) === true;
  if (!isCheck || !jumpIfBelow.test(text(compare + 1))) return undefined;
  const skipped = instructions.slice(from + 1, compare + 3);
  return skipped.some(({ address }) => targets.has(address)) ? undefined : compare + 2;
}
