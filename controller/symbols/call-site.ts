/** Call sites (DWARF5 3.4): what a caller says of the values that it passes, by which a callee's entry values are known. */
import { type LinkAddress, linkAddress } from '../../format/address.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { toPc } from '../dwarf/sections.js';
import type { ModuleContext } from './module-context.js';
import type { CallSite, CallSiteParameter, CallTarget, TailCallSite } from './module-symbols.js';
import { nameOf, originChain, owner } from './origin.js';

/** The address that the call returns to. The GNU kind says so with DW_AT_low_pc. */
export function returnAddressOf(die: Die): number | undefined {
  const address = die.address(DW_AT.call_return_pc) ?? die.address(DW_AT.low_pc);
  return address === undefined ? undefined : toPc(address);
}

export function isTailCall(die: Die): boolean {
  return die.flag(DW_AT.call_tail_call) || die.flag(DW_AT.GNU_tail_call);
}

/** Whether a function's DIE promises that all tail calls in it are described. */
export function tellsAllTailCalls(die: Die): boolean {
  return completeness.some((attribute) => owner(die, attribute)?.flag(attribute) === true);
}

const completeness = [
  DW_AT.call_all_calls,
  DW_AT.call_all_tail_calls,
  DW_AT.GNU_all_call_sites,
  DW_AT.GNU_all_tail_call_sites,
] as const;

/** Tail calls of a function, last one first as gdb has them; none where they are not told completely. */
export function tailCallSitesOf(context: ModuleContext, die: Die, callSites: readonly Die[]): TailCallSite[] {
  if (!tellsAllTailCalls(die)) return [];
  return callSites
    .filter(isTailCall)
    .toReversed()
    .flatMap((site) => {
      const pc = returnAddressOf(site);
      if (pc === undefined) return [];
      return [{ returnAddress: linkAddress(BigInt(pc)), target: callTargetOf(context, site) }];
    });
}

export function callSiteOf(context: ModuleContext, die: Die): CallSite {
  const parameters: CallSiteParameter[] = [];
  const byParameter = new Map<number, Uint8Array>();
  for (const child of die.children()) {
    if (child.tag !== DW_TAG.call_site_parameter && child.tag !== DW_TAG.GNU_call_site_parameter) continue;
    const location = child.value(DW_AT.location);
    const value = expressionOf(child, DW_AT.call_value, DW_AT.GNU_call_site_value);
    const dataValue = expressionOf(child, DW_AT.call_data_value, DW_AT.GNU_call_site_data_value);
    if (location?.kind === 'block' && (value !== undefined || dataValue !== undefined))
      parameters.push({
        location: location.bytes,
        ...(value === undefined ? {} : { value }),
        ...(dataValue === undefined ? {} : { dataValue }),
      });
    const parameter = child.referenceKey(DW_AT.call_parameter) ?? child.referenceKey(DW_AT.abstract_origin);
    if (parameter !== undefined && value !== undefined) byParameter.set(parameter, value);
  }
  const target = callTargetOf(context, die);
  return {
    parameters,
    byParameter,
    isTailCall: isTailCall(die),
    ...(target === undefined ? {} : { target }),
  };
}

function expressionOf(die: Die, ...attributes: readonly number[]): Uint8Array | undefined {
  for (const attribute of attributes) {
    const value = die.value(attribute);
    if (value?.kind === 'block' && value.bytes.length > 0) return value.bytes;
  }
  return undefined;
}

/** What is called; undefined where it cannot be told, as for a function of which there are several copies. */
export function callTargetOf(context: ModuleContext, die: Die): CallTarget | undefined {
  const target = die.value(DW_AT.call_target) ?? die.value(DW_AT.GNU_call_site_target);
  if (target?.kind === 'block') return { kind: 'expression', expression: target.bytes };
  if (target !== undefined) return undefined;
  const callee = die.reference(DW_AT.call_origin) ?? die.reference(DW_AT.abstract_origin);
  if (callee === undefined) return undefined;
  const own = context.concrete(callee);
  if (own !== undefined) {
    const pieces = own.ranges.map(({ start }) => linkAddress(BigInt(start)));
    return { kind: 'entry', address: linkAddress(BigInt(own.entry)), pieces };
  }
  const entries = entriesOf(context, callee);
  if (entries.length === 1) return { kind: 'entry', address: entries[0] ?? linkAddress(0n) };
  if (entries.length > 1 || !callee.flag(DW_AT.declaration)) return undefined;
  const name = callee.string(DW_AT.linkage_name) ?? callee.string(DW_AT.MIPS_linkage_name) ?? nameOf(callee);
  return name === undefined ? undefined : { kind: 'name', name };
}

/** Entries of the concrete instances of the abstract function that a DIE is. */
function entriesOf(context: ModuleContext, callee: Die): LinkAddress[] {
  const entries: LinkAddress[] = [];
  for (const one of originChain(callee)) {
    for (const die of context.names.linksTo(one)) {
      const found = context.concrete(die);
      if (found !== undefined) entries.push(linkAddress(BigInt(found.entry)));
    }
  }
  return [...new Set(entries)];
}
