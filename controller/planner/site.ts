/** One address to probe, with all that is needed to turn its variables and expressions into a plan. */
import { type Absent, absent, isAbsent } from '../../format/absent.js';
import { decodeExpression } from '../../format/dwarf-op/decode.js';
import type { LinkAddress } from '../../format/address.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import type { PlanTiming } from '../../format/plan/timing.js';
import { dwarfRsp } from '../../format/registers/x86-64.js';
import type { CallFrameRow } from '../dwarf/call-frame.js';
import { type LocationSite, type PlanLocation, rewriteVariable } from '../expression/lower-location.js';
import { rewritePart } from '../expression/lower-part.js';
import type { LoweringContext } from '../expression/lower.js';
import { moduleScope, type NameScope } from '../expression/scope.js';
import { movedStackPointer } from '../symbols/body-stack-pointer.js';
import type { ModuleSymbols, SourceFrame, VariableSymbol } from '../symbols/module-symbols.js';
import { returnValueAt } from '../symbols/returns/return-value.js';
import type { LocatedSite } from './location.js';

const onlyAtReturns = 'it is known only at FUNCTION:return';

export interface Site extends LocatedSite, LoweringContext {
  readonly symbols: ModuleSymbols;
  /** Innermost first; all levels share one physical frame. */
  readonly stack: readonly SourceFrame[];
  /** The level that the user named: what begins at the same address inside of it stands before. */
  readonly frame: SourceFrame | undefined;
  readonly names: NameScope;
  readonly cfi: CallFrameRow | Absent;
  /** The plan knows the time since the function was entered: conditions and metrics may ask for it, addresses may not. */
  readonly isTimed: boolean;
}

export function openSite(symbols: ModuleSymbols, located: LocatedSite, timing?: PlanTiming | string): Site {
  const { address } = located;
  const stack = symbols.sourceStack(address);
  const frame = stack.find((level) => level.function === located.function) ?? stack[0];
  const cfi = symbols.frames.findRow(address);
  const frameBase = stack.findLast((level) => level.scope !== undefined)?.scope?.frameBase;
  return {
    ...located,
    isTimed: typeof timing === 'object',
    symbols,
    stack,
    frame,
    cfi,
    names: {
      ...moduleScope(symbols, { address, ...(frame === undefined ? {} : { frame }) }),
      whyNoArguments: () => symbols.whyNoArguments(address),
      returnValue: () => located.exit?.returnValue ?? returnValueAt(symbols, address),
      whyNoDuration: () => (typeof timing === 'object' ? undefined : (timing ?? onlyAtReturns)),
    },
    variableLocation: (variable) => {
      const location = locate(symbols, variable, located, { frameBase, cfa: cfi });
      return located.exit !== undefined && isBelowStack(location) ? givenBack : location;
    },
    variablePart: (part) => {
      const context = siteOf(symbols, part.variable, address, { frameBase, cfa: cfi });
      const location = rewritePart(part.variable.locationAt(address), part, context);
      return location === undefined || (located.exit !== undefined && isBelowStack(location))
        ? undefined
        : location;
    },
  };
}

/** What signal handlers leave alone below the stack pointer (System V ABI 3.2.2). */
const redZoneBytes = 128n;
const givenBack = absent(
  'optimized-out',
  'the frame that it was in has been given back where the function returns',
);

/** NB: debug information does not mind that a signal may overwrite what is there. */
function isBelowStack(location: PlanLocation | Absent): boolean {
  if (isAbsent(location) || location.kind !== 'address') return false;
  const [first, second] = decodeExpression(location.expression, { addressSize: 8, name: 'location' });
  if (first?.code !== DW_OP.DW_OP_breg0 + dwarfRsp) return false;
  const added = second?.code === DW_OP.DW_OP_plus_uconst ? second.a : 0n;
  return first.a + added < -redZoneBytes;
}

function locate(
  symbols: ModuleSymbols,
  variable: VariableSymbol,
  { address }: LocatedSite,
  site: LocationSite,
): PlanLocation | Absent {
  const location = variable.locationAt(address);
  return isAbsent(location) ? location : rewriteVariable(location, siteOf(symbols, variable, address, site));
}

/** What the locations of a variable may refer to. */
function siteOf(
  symbols: ModuleSymbols,
  variable: VariableSymbol,
  address: LinkAddress,
  site: LocationSite,
): LocationSite {
  const byIndex = variable.unit?.addressByIndex;
  return {
    ...site,
    ...(variable.unit?.countsFromBody === true
      ? {
          movedStackPointer: () =>
            movedStackPointer({ symbols, frames: symbols.frames, address, stackPointer: dwarfRsp }),
        }
      : {}),
    ...(byIndex === undefined ? {} : { addressByIndex: (index: number) => byIndex(index) }),
  };
}
