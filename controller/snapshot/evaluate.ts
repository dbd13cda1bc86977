/** Evaluates the text of an expression in a frame of a snapshot. */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { runtimeAddress, toLink, toRuntime } from '../../format/address.js';
import { StillframeError } from '../../format/error.js';
import { checkExpression } from '../expression/check.js';
import { inText } from '../expression/in-text.js';
import { evaluate } from '../expression/evaluate.js';
import type { EvaluationFrame, NameScope } from '../expression/scope.js';
import type { Typed } from '../expression/typed.js';
import { demangled, isMangled } from '../symbols/demangle.js';
import type { VariableSymbol } from '../symbols/module-symbols.js';
import { hintToCapture, type RenderContext } from '../types/render.js';
import type { Format } from '../types/format.js';
import { wholeObject } from '../types/cplusplus/dynamic-object.js';
import { objectOf } from '../types/object-view.js';
import type { ArrayType, Type } from '../types/type.js';
import type { Place, Value } from '../types/value.js';
import { arrayCount, globalPlace, variablePlace } from './frame-evaluation.js';
import type { LogicalFrame } from './frames.js';
import { snapshotNames, type SnapshotNames } from './names.js';
import type { Snapshot, SnapshotThread } from './open.js';
import { dynamicTypeAt, typeOfDescriptor } from './type-descriptors.js';

/** Throws `bad-expression`; what the snapshot does not have is an absent value. */
export function evaluateText(
  text: string,
  snapshot: Snapshot,
  thread: SnapshotThread,
  frame: LogicalFrame | undefined,
): Value {
  const names = snapshotNames(snapshot, frame);
  const at = evaluationFrame(snapshot, thread, frame, names);
  const scope: NameScope = { ...names, wholeTypeOf: (object) => wholeTypeOf(object, at) };
  return evaluate(
    inText(text, () => withReason(frame, () => checkExpression(text, scope))),
    at,
  );
}

function wholeTypeOf(object: Typed, frame: EvaluationFrame): Type | undefined {
  const view = objectOf(evaluate(object, frame));
  return wholeObject(view, frame.memory, frame.views?.dynamicTypeAt)?.type;
}

/** A name that is not known in a frame without debug information is no slip of the finger. */
function withReason<T>(frame: LogicalFrame | undefined, check: () => T): T {
  try {
    return check();
  } catch (error) {
    const symbols = frame?.frame.module?.symbols();
    if (!(error instanceof StillframeError) || symbols === undefined || !isAbsent(symbols)) throw error;
    if (!error.message.startsWith('no variable ')) throw error;
    const { code, message, detail, candidates } = error;
    throw new StillframeError(code, `${message}; the frame has no debug information: ${symbols.detail}`, {
      detail,
      candidates,
      cause: error,
      ...(symbols.hint === undefined ? {} : { hint: symbols.hint }),
    });
  }
}

function evaluationFrame(
  snapshot: Snapshot,
  thread: SnapshotThread,
  frame: LogicalFrame | undefined,
  names: SnapshotNames,
): EvaluationFrame {
  const noFrame: Absent = absent('unwind-failed', 'the thread has no frames');
  return {
    memory: snapshot.memory,
    register: (number) => frame?.frame.registers.value(number) ?? noFrame,
    variablePlace: (variable) => placeOf(variable, snapshot, thread, frame, names),
    relocate: (address) => (names.bias === undefined ? noFrame : toRuntime(address, names.bias)),
    pid: snapshot.pid,
    tid: thread.tid,
    comm: thread.comm,
    limits: snapshot.limits,
    durationNs: durationOf(snapshot, thread, frame),
    views: viewFacts(snapshot),
  };
}

/** Only of the frame that returned. */
function durationOf(
  snapshot: Snapshot,
  thread: SnapshotThread,
  frame: LogicalFrame | undefined,
): bigint | Absent {
  const { note } = snapshot.core;
  if (note?.durationNs === undefined) {
    return absent('not-captured', 'the time that the function took was not measured', {
      hint: 'name $duration in a capture or condition of a point at FUNCTION:return',
    });
  }
  if (thread.tid !== note.tid || frame?.frame.lookupPc !== frame?.frame.pc) {
    return absent('not-in-scope', 'it is known of the function that returned only');
  }
  return (
    note.durationNs ??
    absent('not-captured', 'when the function was entered was not seen: the point may have been armed later')
  );
}

function placeOf(
  variable: VariableSymbol,
  snapshot: Snapshot,
  thread: SnapshotThread,
  frame: LogicalFrame | undefined,
  names: SnapshotNames,
): Place {
  const module = names.moduleOf(variable) ?? frame?.frame.module;
  if (frame?.evaluation !== undefined && module === frame.frame.module)
    return variablePlace(frame.evaluation, variable, frame.source?.scope);
  if (module === undefined)
    return {
      kind: 'absent',
      absent: absent('no-debug-info', `the module of "${variable.name}" is not known`),
    };
  return globalPlace(snapshot, thread, module, variable);
}

/** What rendering needs to know of a frame. */
export function renderContext(
  snapshot: Snapshot,
  frame: LogicalFrame | undefined,
  options: RenderOptions = {},
): RenderContext {
  const evaluation = frame?.evaluation;
  const { unit } = options;
  return {
    memory: snapshot.memory,
    limits: snapshot.limits,
    symbolize: (address) => symbolize(snapshot, address),
    ...viewFacts(snapshot),
    captureHint: (expression) => captureHint(snapshot, frame, expression),
    ...(options.depth === undefined ? {} : { depth: options.depth }),
    ...(options.raw === undefined ? {} : { raw: options.raw }),
    ...(options.format === undefined ? {} : { format: options.format }),
    ...(evaluation === undefined
      ? {}
      : {
          evaluateCount: (type: ArrayType) =>
            arrayCount(evaluation, type, {
              scope: frame?.source?.scope,
              unit: unit ?? frame?.source?.scope?.unit,
            }),
        }),
  };
}

/** What views ask of the modules. */
function viewFacts(snapshot: Snapshot): NonNullable<EvaluationFrame['views']> {
  return {
    linkSymbolAt: (address) => linkSymbolAt(snapshot, address),
    typeOfDescriptor: (address, kind) => typeOfDescriptor(snapshot, address, kind),
    dynamicTypeAt: (vtable) => dynamicTypeAt(snapshot, vtable),
  };
}

/** Only a point captures, and only what can be named in the frame that it is in. */
function captureHint(
  snapshot: Snapshot,
  frame: LogicalFrame | undefined,
  expression: string,
): string | undefined {
  const point = snapshot.core.note?.point ?? '';
  if (point === '') return undefined;
  const hint = hintToCapture(expression);
  if (frame === undefined || frame.frame.foundBy === 'thread') return hint;
  return frame.function === undefined ? undefined : `set a point in "${frame.function}", and ${hint}`;
}

export interface RenderOptions {
  readonly depth?: number | undefined;
  readonly raw?: boolean | undefined;
  readonly format?: Format | undefined;
  readonly unit?: VariableSymbol['unit'];
}

/** The symbol that an address lies in, as the linker knows it. */
export function linkSymbolAt(
  snapshot: Snapshot,
  address: bigint,
): { readonly name: string; readonly offset: bigint } | undefined {
  const module = snapshot.modules.find(address);
  const symbols = module?.symbols();
  if (module === undefined || symbols === undefined || isAbsent(symbols)) return undefined;
  return symbols.symbolAt(toLink(runtimeAddress(address), module.bias));
}

/** `name`, or `name+12`; where debug information describes the function, by the name that it has there and not by the linker's. */
export function symbolize(snapshot: Snapshot, address: bigint): string | undefined {
  const symbol = linkSymbolAt(snapshot, address);
  if (symbol === undefined) return undefined;
  const name = isMangled(symbol.name)
    ? (describedName(snapshot, address) ?? demangled(symbol.name))
    : symbol.name;
  return symbol.offset === 0n ? name : `${name}+${symbol.offset}`;
}

function describedName(snapshot: Snapshot, address: bigint): string | undefined {
  const module = snapshot.modules.find(address);
  const symbols = module?.symbols();
  if (module === undefined || symbols === undefined || isAbsent(symbols)) return undefined;
  const name = symbols.functionAt(toLink(runtimeAddress(address), module.bias))?.name;
  // clang describes thunks, and gives them no name.
  return name === '' ? undefined : name;
}
