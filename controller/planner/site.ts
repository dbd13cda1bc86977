/** One address to probe, with all that is needed to turn its variables and expressions into a plan. */
import { type Absent, isAbsent } from '../../format/absent.js';
import { dwarfRsp } from '../../format/registers/x86-64.js';
import type { CallFrameRow } from '../dwarf/call-frame.js';
import { type LocationSite, type PlanLocation, rewriteVariable } from '../expression/lower-location.js';
import type { LoweringContext } from '../expression/lower.js';
import { moduleScope, type NameScope } from '../expression/scope.js';
import { movedStackPointer } from '../symbols/body-stack-pointer.js';
import type { ModuleSymbols, SourceFrame, VariableSymbol } from '../symbols/module-symbols.js';
import type { LocatedSite } from './location.js';

export interface Site extends LocatedSite, LoweringContext {
  readonly symbols: ModuleSymbols;
  /** Innermost first; all levels share one physical frame. */
  readonly stack: readonly SourceFrame[];
  /** The level that the user named: what begins at the same address inside of it stands before. */
  readonly frame: SourceFrame | undefined;
  readonly names: NameScope;
  readonly cfi: CallFrameRow | Absent;
}

export function openSite(symbols: ModuleSymbols, located: LocatedSite): Site {
  const { address } = located;
  const stack = symbols.sourceStack(address);
  const frame = stack.find((level) => level.function === located.function) ?? stack[0];
  const cfi = symbols.frames.findRow(address);
  const frameBase = stack.findLast((level) => level.scope !== undefined)?.scope?.frameBase;
  return {
    ...located,
    symbols,
    stack,
    frame,
    cfi,
    names: {
      ...moduleScope(symbols, { address, ...(frame === undefined ? {} : { frame }) }),
      whyNoArguments: () => symbols.whyNoArguments(address),
    },
    variableLocation: (variable) => locate(symbols, variable, located, { frameBase, cfa: cfi }),
  };
}

function locate(
  symbols: ModuleSymbols,
  variable: VariableSymbol,
  { address }: LocatedSite,
  site: LocationSite,
): PlanLocation | Absent {
  const location = variable.locationAt(address);
  if (isAbsent(location)) return location;
  const byIndex = variable.unit?.addressByIndex;
  return rewriteVariable(location, {
    ...site,
    ...(variable.unit?.countsFromBody === true
      ? {
          movedStackPointer: () =>
            movedStackPointer({ symbols, frames: symbols.frames, address, stackPointer: dwarfRsp }),
        }
      : {}),
    ...(byIndex === undefined ? {} : { addressByIndex: (index: number) => byIndex(index) }),
  });
}
