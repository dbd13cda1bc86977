/** The names that an expression sees from a frame: those of the frame's module first, then of the program, then of all others. */
import { isAbsent, type Absent } from '../../format/absent.js';
import { linkAddress, type LoadBias } from '../../format/address.js';
import { moduleScope, type NameScope } from '../expression/scope.js';
import { returnValueAt } from '../symbols/returns/return-value.js';
import type { ModuleSymbols, VariableSymbol } from '../symbols/module-symbols.js';
import type { ViewLanguage } from '../types/language.js';
import { withLengths } from './array-lengths.js';
import { arrayCount } from './frame-evaluation.js';
import type { LogicalFrame } from './frames.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot } from './open.js';

export interface SnapshotNames extends NameScope {
  /** The module that a variable found here belongs to. */
  moduleOf(variable: VariableSymbol): SnapshotModule | undefined;
  /** Functions of other modules are given addresses as if they were of this one. */
  readonly bias: LoadBias | undefined;
}

interface Level {
  readonly module: SnapshotModule;
  readonly scope: NameScope;
}

export function snapshotNames(snapshot: Snapshot, frame: LogicalFrame | undefined): SnapshotNames {
  const home = frame?.frame.module ?? snapshot.executable;
  const bias = home?.bias;
  const owners = new WeakMap<VariableSymbol, SnapshotModule>();
  const remember = (
    module: SnapshotModule,
    variable: VariableSymbol | undefined,
  ): VariableSymbol | undefined => {
    if (variable === undefined) return undefined;
    const evaluation = module === home ? frame?.evaluation : undefined;
    const known =
      evaluation === undefined
        ? variable
        : withLengths(variable, (type) =>
            arrayCount(evaluation, type, { scope: frame?.source?.scope, unit: variable.unit }),
          );
    owners.set(known, module);
    return known;
  };
  const first = <T>(find: (level: Level) => T | undefined): T | undefined => {
    for (const level of levels(snapshot, frame, home)) {
      const found = find(level);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const language = languageOf(home, frame);
  return {
    bias,
    machine: snapshot.architecture,
    whyNoArguments: () => whyNoArguments(frame),
    returnValue: () => returnValue(frame),
    whyNoDuration: () =>
      snapshot.core.note === undefined ? 'only a point at FUNCTION:return measures it' : undefined,
    moduleOf: (variable) => owners.get(variable),
    findVariable: (name, file) =>
      first(({ module, scope }) => remember(module, scope.findVariable(name, file))),
    findGlobal: (name, file) => first(({ module, scope }) => remember(module, scope.findGlobal(name, file))),
    findType: (name) => first(({ scope }) => scope.findType(name)),
    findInstance: (name) => first(({ scope }) => scope.findInstance?.(name)),
    ...(language === undefined ? {} : { language }),
    findEnumerator: (name) => first(({ scope }) => scope.findEnumerator(name)),
    findFunction: (name, file) =>
      first(({ module, scope }) => {
        const found = scope.findFunction(name, file);
        if (found === undefined || module === home || bias === undefined) return found;
        return { ...found, address: linkAddress(found.address + module.bias - bias) };
      }),
    *names() {
      for (const { scope } of levels(snapshot, frame, home)) yield* scope.names();
    },
  };
}

function languageOf(
  home: SnapshotModule | undefined,
  frame: LogicalFrame | undefined,
): ViewLanguage | undefined {
  const symbols = home?.symbols();
  const address = frame?.evaluation?.address;
  if (symbols === undefined || isAbsent(symbols) || address === undefined) return undefined;
  return symbols.languageAt?.(address);
}

function whyNoArguments(frame: LogicalFrame | undefined): string | undefined {
  if (frame?.evaluation === undefined) return 'there is no frame at hand';
  if (frame.frame.lookupPc !== frame.frame.pc)
    return 'the frame has called on, and calls do not preserve them';
  const symbols = frame.frame.module?.symbols();
  if (symbols === undefined || isAbsent(symbols)) return 'no symbol says where the function begins';
  return symbols.whyNoArguments(frame.evaluation.address);
}

function returnValue(frame: LogicalFrame | undefined): VariableSymbol | string {
  if (frame?.evaluation === undefined) return 'there is no frame at hand';
  if (frame.frame.lookupPc !== frame.frame.pc) return 'the frame has called on, and not returned';
  const symbols = frame.frame.module?.symbols();
  if (symbols === undefined || isAbsent(symbols)) return 'no symbol says what function it is';
  return returnValueAt(symbols, frame.evaluation.address);
}

/** Opened one after another, as long as the name is not found. */
function* levels(
  snapshot: Snapshot,
  frame: LogicalFrame | undefined,
  home: SnapshotModule | undefined,
): Generator<Level> {
  const program = snapshot.executable;
  const others = snapshot.modules.modules.filter((module) => module !== home && module !== program);
  const order = [home, program === home ? undefined : program, ...others];
  for (const module of order) {
    const symbols: ModuleSymbols | Absent | undefined = module?.symbols();
    if (module === undefined || symbols === undefined || isAbsent(symbols)) continue;
    const options =
      module === home && frame?.evaluation !== undefined
        ? {
            address: frame.evaluation.address,
            ...(frame.source === undefined ? {} : { frame: frame.source }),
          }
        : {};
    yield { module, scope: moduleScope(symbols, options) };
  }
}
