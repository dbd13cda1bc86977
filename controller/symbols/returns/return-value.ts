/**
 * `$return`: what a function returns, as a variable that has a place at its return instructions and nowhere else. Where the calling convention
 * does not say for sure where a value is, it is absent.
 */
import { absent, isAbsent, type Absent } from '../../../format/absent.js';
import type { LinkAddress } from '../../../format/address.js';
import { isVoid } from '../../types/layout.js';
import type { Type } from '../../types/type.js';
import type { FunctionSymbol, ModuleSymbols, VariableSymbol } from '../module-symbols.js';
import { branchOf } from '../branch.js';
import { goLocations, joined, returnsInRegisters } from './go.js';
import { rustLocation } from './rust.js';
import { systemVLocation } from './system-v.js';

export const returnValueName = '$return';
const EM_X86_64 = 62;

/** At an address, or a text that says why there is none. */
export function returnValueAt(symbols: ModuleSymbols, address: LinkAddress): VariableSymbol | string {
  const found = symbols.functionAt(address);
  if (found === undefined) return 'no function is known there';
  if (symbols.elf.machine !== EM_X86_64) return 'returns are known on x86-64 only';
  const code = symbols.elf.bytesAt(address, jumpBytes) ?? symbols.elf.bytesAt(address, 1);
  if (code !== undefined && isReturn(code)) return returnValueOf(found);
  if (code !== undefined && isTailCall(found, address, code)) return valueOfTailCall(found, undefined);
  return 'it is known only where the function returns';
}

/** Of a function that is about to leave by a jump to another, which has the value. */
export function valueOfTailCall(found: FunctionSymbol, callee: string | undefined): VariableSymbol | string {
  const value = returnValueOf(found);
  if (typeof value === 'string') return value;
  const to = callee === undefined ? 'another function' : callee;
  return {
    ...value,
    locationAt: () =>
      absent('not-in-scope', `the function leaves by a jump to ${to}, which returns the value`),
  };
}

/** Of `bnd jmp rel32`. */
const jumpBytes = 6;

/** A jump out of the function, or one through a register that debug information calls so. */
function isTailCall(found: FunctionSymbol, address: LinkAddress, code: Uint8Array): boolean {
  const bytes = code[0] === 0xf2 ? code.subarray(1) : code;
  const length = { 0xeb: 2, 0xe9: 5 }[bytes[0] ?? 0];
  if (length === undefined) {
    const within = (end: bigint): boolean => end > address && end <= address + 15n;
    return (
      branchOf(code, 0n)?.kind === 'indirect jump' &&
      found.tailCallSites?.().some((site) => within(site.returnAddress)) === true
    );
  }
  const next = address + BigInt(code.length - bytes.length + length);
  const branch = branchOf(bytes.subarray(0, length), next);
  const target = branch !== undefined && 'target' in branch ? branch.target : undefined;
  return target !== undefined && !found.ranges.some(({ start, end }) => target >= start && target < end);
}

/** `ret`, `repz ret`, `bnd ret`, `ret imm16`. */
export function isReturn(code: Uint8Array): boolean {
  const [first, second] = code;
  const opcode = first === 0xf3 || first === 0xf2 ? second : first;
  return opcode === 0xc3 || opcode === 0xc2;
}

/** The value, valid at any return instruction of the function. */
export function returnValueOf(found: FunctionSymbol): VariableSymbol | string {
  const { convention } = found;
  if (convention === undefined) return `"${found.name}" has no debug information`;
  const placed = convention.language === 'go' ? goValue(found) : nativeValue(found);
  if (typeof placed === 'string') return placed;
  const { type, location } = placed;
  return {
    name: returnValueName,
    parameter: false,
    shadowed: false,
    type: () => type,
    locationAt: () => (isAbsent(location) ? location : { kind: 'expression', expression: location }),
    availableRanges: () => undefined,
  };
}

interface PlacedValue {
  readonly type: Type;
  readonly location: Uint8Array | Absent;
}

function nativeValue({ name, returnType, convention }: FunctionSymbol): PlacedValue | string {
  const type = returnType();
  if (isVoid(type)) return `"${name}" returns nothing`;
  switch (convention?.language) {
    case 'c':
      return { type, location: systemVLocation(type, false) };
    case 'c++':
      return { type, location: systemVLocation(type, true) };
    case 'rust':
      return { type, location: rustLocation(type) };
    case 'go':
    case 'other':
    case undefined:
      break;
  }
  return { type, location: absent('unsupported', 'how its language returns values is not known') };
}

function goValue({ name, convention }: FunctionSymbol): PlacedValue | string {
  const results = convention?.results() ?? [];
  if (results.length === 0) return `"${name}" returns nothing`;
  const types = results.map((result) => result.type());
  const inRegisters = returnsInRegisters(convention?.producer ?? '');
  const locations = inRegisters
    ? goLocations(types)
    : types.map(() => absent('unsupported', 'this version of Go returns its results in the stack'));
  const failed = locations.find((location) => isAbsent(location));
  const placed = results.map((result, i) => {
    const location = locations[i];
    const known = location === undefined || isAbsent(location) ? new Uint8Array() : location;
    return { name: result.name, type: types[i] ?? { kind: 'void' as const }, location: known };
  });
  const whole = joined(placed);
  if (whole === undefined) return `"${name}" returns nothing`;
  return { type: whole.type, location: failed ?? whole.location };
}
