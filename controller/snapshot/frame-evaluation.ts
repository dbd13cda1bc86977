/**
 * One physical frame as DWARF expressions see it: registers, memory, CFA, frame base, entry values, thread-local storage.
 * What it gives is right or absent.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { linkAddress, toRuntime } from '../../format/address.js';
import type { ExpressionContext } from '../../format/dwarf-op/context.js';
import { evaluateLocation, evaluateValue } from '../../format/dwarf-op/evaluate.js';
import type { StackValue } from '../../format/dwarf-op/typed-value.js';
import { StillframeError } from '../../format/error.js';
import type { ExpressionUnit, Scope, VariableSymbol } from '../symbols/module-symbols.js';
import { sizeOf, stripType } from '../types/layout.js';
import { missingIn } from '../types/missing-bits.js';
import type { ArrayType } from '../types/type.js';
import type { Place } from '../types/value.js';
import { FrameRegisters } from '../unwind/frame-registers.js';
import { entryValue } from './entry-value.js';
import type { EvaluationScope, FrameEvaluation } from './located-frame.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot, SnapshotThread } from './open.js';
import { threadLocalAddress } from './thread-local.js';
import { placeOfLocation } from './variable-place.js';

export function expressionContext(
  evaluation: FrameEvaluation,
  { scope, unit }: EvaluationScope,
): ExpressionContext {
  const { snapshot, thread, frame, module } = evaluation;
  const context: ExpressionContext = {
    ...unit,
    register: (number) => frame.registers.value(number),
    registerBytes: (number) => {
      const register = frame.registers.bytes(number);
      return isAbsent(register) ? register : register.bytes;
    },
    memory: snapshot.memory,
    relocate: (address) => toRuntime(linkAddress(address), module.bias),
    callFrameCfa: () => frame.cfa,
    entryValue: (expression) => entryValue(evaluation, expression, expressionContext),
    tls: (offset) => threadLocalAddress(snapshot, thread, module, offset),
    ...(unit?.parameterKey === undefined
      ? {}
      : { parameterValue: parameterValueOf(evaluation, unit.parameterKey) }),
  };
  return {
    ...context,
    // NB: not for the frame base, which the variable's location may count from.
    ...(unit?.variable === undefined
      ? {}
      : { variableValue: (die: number) => variableValue(evaluation, unit, scope, die) }),
    frameBase: () => {
      const frameBase = scope?.frameBase;
      if (frameBase === undefined) return absent('no-debug-info', 'the function has no frame base');
      // NB: without a frame base of its own, or a hostile one would never end.
      return evaluateValue(frameBase, { ...context, ...scope?.unit }, snapshot.limits);
    },
  };
}

function parameterValueOf(
  evaluation: FrameEvaluation,
  keyOf: (dieOffset: number) => number,
): (dieOffset: number) => StackValue | Absent {
  return (dieOffset) => entryValue(evaluation, keyOf(dieOffset), expressionContext);
}

function withoutVariables(unit: ExpressionUnit | undefined): ExpressionUnit | undefined {
  if (unit?.variable === undefined) return unit;
  const { variable: _, ...rest } = unit;
  return rest;
}

/** DW_OP_GNU_variable_value: an integer variable, as the bound of an array is one. */
function variableValue(
  evaluation: FrameEvaluation,
  unit: ExpressionUnit,
  scope: Scope | undefined,
  dieOffset: number,
): bigint | Absent {
  const variable = unit.variable?.(dieOffset);
  const type = variable === undefined ? undefined : stripType(variable.type());
  const size = type === undefined ? undefined : sizeOf(type);
  if (variable === undefined || type?.kind !== 'base' || size === undefined || size > 8)
    return absent('unsupported', 'an expression that needs the value of what is no integer variable');
  const location = variable.locationAt(evaluation.address);
  if (isAbsent(location)) return location;
  const isSigned = type.encoding === 'signed' || type.encoding === 'signed-char';
  const extend = (bytes: Uint8Array): bigint =>
    isSigned ? BigInt.asUintN(64, signedInteger(bytes)) : unsignedInteger(bytes);
  if (location.kind === 'constant') return extend(location.bytes.slice(0, size));
  // NB: whose own location needs the value of a variable could need its own: that is not looked into.
  const context = expressionContext(evaluation, { scope, unit: withoutVariables(variable.unit) });
  const where = evaluateLocation(location.expression, context, evaluation.snapshot.limits);
  const { memory } = evaluation.snapshot;
  const place = placeOfLocation(where, size, { memory, registers: evaluation.frame.registers });
  if (place.kind === 'absent') return place.absent;
  if (place.kind === 'bytes') return missingIn(place.missing, 0, size * 8) ?? extend(place.bytes);
  const read = memory.read(place.address, size);
  return isAbsent(read) ? read : extend(read.bytes);
}

/** Where a variable of a scope is, in this frame. */
export function variablePlace(
  evaluation: FrameEvaluation,
  variable: VariableSymbol,
  scope: Scope | undefined,
): Place {
  try {
    const location = variable.locationAt(evaluation.address);
    if (isAbsent(location)) return { kind: 'absent', absent: location };
    if (location.kind === 'constant') return constantPlace(location.bytes, sizeOf(variable.type()));
    const context = expressionContext(evaluation, { scope, unit: variable.unit });
    const where = evaluateLocation(location.expression, context, evaluation.snapshot.limits);
    return placeOfLocation(where, sizeOf(variable.type()), {
      memory: evaluation.snapshot.memory,
      registers: evaluation.frame.registers,
    });
  } catch (thrown) {
    if (thrown instanceof StillframeError)
      return { kind: 'absent', absent: absent('no-debug-info', thrown.message) };
    throw thrown;
  }
}

/** Where a variable is that belongs to no frame: a global or static of any module. Registers and frames are not asked. */
export function globalPlace(
  snapshot: Snapshot,
  thread: SnapshotThread,
  module: SnapshotModule,
  variable: VariableSymbol,
): Place {
  try {
    const location = variable.locationAt(linkAddress(0n));
    if (isAbsent(location)) return { kind: 'absent', absent: location };
    const size = sizeOf(variable.type());
    if (location.kind === 'constant') return constantPlace(location.bytes, size);
    const noFrame = absent('not-in-scope', 'it lives in a frame, and there is none at hand');
    const context: ExpressionContext = {
      ...variable.unit,
      register: () => noFrame,
      memory: snapshot.memory,
      relocate: (address) => toRuntime(linkAddress(address), module.bias),
      tls: (offset) => threadLocalAddress(snapshot, thread, module, offset),
    };
    const where = evaluateLocation(location.expression, context, snapshot.limits);
    return placeOfLocation(where, size, { memory: snapshot.memory, registers: noRegisters });
  } catch (thrown) {
    if (thrown instanceof StillframeError)
      return { kind: 'absent', absent: absent('no-debug-info', thrown.message) };
    throw thrown;
  }
}

const noRegisters = new FrameRegisters({
  values: new Map(),
  nameOf: (number) => `${number}`,
  otherwise: 'is not at hand, for there is no frame',
});

function constantPlace(bytes: Uint8Array, size: number | undefined): Place {
  if (size !== undefined && bytes.length >= size) return { kind: 'bytes', bytes: bytes.slice(0, size) };
  return {
    kind: 'absent',
    absent: absent('unsupported', `a constant of ${bytes.length} bytes for an object of another size`),
  };
}

/** How many elements an array of variable length has in this frame. */
export function arrayCount(
  evaluation: FrameEvaluation,
  type: ArrayType,
  { scope, unit }: EvaluationScope,
): number | Absent {
  if (type.count !== undefined) return type.count;
  const dynamic = type.dynamicCount;
  if (dynamic === undefined) return absent('unsupported', 'an array whose length its type does not say');
  const expression = dynamic.expressionAt(evaluation.address);
  if (expression === undefined)
    return absent('optimized-out', 'the length of the array is kept nowhere at this point');
  const bound = dynamic.isLocation
    ? readBound(evaluation, expression, dynamic.byteSize, { scope, unit })
    : evaluateValue(expression, expressionContext(evaluation, { scope, unit }), evaluation.snapshot.limits);
  if (isAbsent(bound)) return bound;
  const count = BigInt.asIntN(64, bound) + (dynamic.kind === 'upper-bound' ? 1n : 0n);
  if (count < 0n || count > BigInt(Number.MAX_SAFE_INTEGER))
    return absent('unreadable', `the length of the array is ${count}`);
  return Number(count);
}

function readBound(
  evaluation: FrameEvaluation,
  expression: Uint8Array,
  byteSize: number,
  scope: EvaluationScope,
): bigint | Absent {
  const { snapshot, frame } = evaluation;
  const where = evaluateLocation(expression, expressionContext(evaluation, scope), snapshot.limits);
  const place = placeOfLocation(where, byteSize, { memory: snapshot.memory, registers: frame.registers });
  if (place.kind === 'absent') return place.absent;
  if (place.kind === 'bytes') return missingIn(place.missing, 0, byteSize * 8) ?? signedInteger(place.bytes);
  const read = snapshot.memory.read(place.address, byteSize);
  return isAbsent(read) ? read : signedInteger(read.bytes);
}

function signedInteger(bytes: Uint8Array): bigint {
  return BigInt.asIntN(bytes.length * 8, unsignedInteger(bytes));
}

function unsignedInteger(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
