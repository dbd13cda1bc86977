/**
 * One physical frame as DWARF expressions see it: registers, memory, CFA, frame base, entry values, thread-local storage.
 * What it gives is right or absent.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { linkAddress, toRuntime, type LinkAddress } from '../../format/address.js';
import type { ExpressionContext, UnitContext } from '../../format/dwarf-op/context.js';
import { evaluateLocation, evaluateValue } from '../../format/dwarf-op/evaluate.js';
import type { Location } from '../../format/dwarf-op/location.js';
import type { StackValue } from '../../format/dwarf-op/typed-value.js';
import { StillframeError } from '../../format/error.js';
import { ByteWriter } from '../../format/bytes.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { movedStackPointer } from '../symbols/body-stack-pointer.js';
import type { ExpressionUnit, Scope, VariableSymbol } from '../symbols/module-symbols.js';
import { sizeOf, stripType } from '../types/layout.js';
import type { ArrayType } from '../types/type.js';
import { placeAt, wholeBytes } from '../types/place.js';
import type { Place, Pointee } from '../types/value.js';
import { FrameRegisters } from '../unwind/frame-registers.js';
import { entryValue } from './entry-value.js';
import type { EvaluationScope, FrameEvaluation } from './located-frame.js';
import type { SnapshotModule } from './module.js';
import type { Snapshot, SnapshotThread } from './open.js';
import { threadLocalAddress } from './thread-local.js';
import { placeOfLocation, type PlaceContext } from './variable-place.js';

export function expressionContext(
  evaluation: FrameEvaluation,
  { scope, unit }: EvaluationScope,
): ExpressionContext {
  const { snapshot, thread, frame, module, address } = evaluation;
  const { stackPointer } = snapshot.architecture;
  const context: ExpressionContext = {
    ...unitContext(unit, address),
    register: (number) =>
      (number === stackPointer && unit?.countsFromBody === true ? movedHere(evaluation) : undefined) ??
      frame.registers.value(number),
    registerBytes: (number) => {
      const register = frame.registers.bytes(number);
      return isAbsent(register) ? register : register.bytes;
    },
    memory: snapshot.memory,
    relocate: (link) => toRuntime(linkAddress(link), module.bias),
    callFrameCfa: () => frame.cfa,
    entryValue: (location) => entryValue(evaluation, { kind: 'argument', location }, expressionContext),
    entryDataValue: (register, size) => entryDataValue(evaluation, register, size),
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
      return evaluateValue(frameBase, { ...context, ...unitContext(scope?.unit, address) }, snapshot.limits);
    },
  };
}

function movedHere({ snapshot, module, symbols, address }: FrameEvaluation): Absent | undefined {
  const frames = module.callFrames();
  const { stackPointer } = snapshot.architecture;
  return isAbsent(frames) ? undefined : movedStackPointer({ symbols, frames, address, stackPointer });
}

function parameterValueOf(
  evaluation: FrameEvaluation,
  keyOf: (dieOffset: number) => number,
): (dieOffset: number) => StackValue | Absent {
  return (dieOffset) =>
    entryValue(evaluation, { kind: 'parameter', key: keyOf(dieOffset) }, expressionContext);
}

/** NB: the caller says what it passed; what is read short of that is extended with zeros. */
function entryDataValue(evaluation: FrameEvaluation, register: number, size: number): StackValue | Absent {
  const location = new ByteWriter();
  if (register < 32) location.u8(DW_OP.DW_OP_reg0 + register);
  else location.u8(DW_OP.DW_OP_regx).uleb(register);
  const wanted = { kind: 'pointed-to', location: location.finish() } as const;
  const value = entryValue(evaluation, wanted, expressionContext);
  return typeof value === 'bigint' ? BigInt.asUintN(size * 8, value) : value;
}

/** What the expressions of a unit count from, at an address. */
function unitContext(unit: ExpressionUnit | undefined, address: LinkAddress): Partial<UnitContext> {
  if (unit === undefined) return {};
  const { offsetSize, addressByIndex, baseType, called } = unit;
  return {
    ...(offsetSize === undefined ? {} : { offsetSize }),
    ...(addressByIndex === undefined ? {} : { addressByIndex }),
    ...(baseType === undefined ? {} : { baseType }),
    ...(called === undefined
      ? {}
      : {
          callExpression: (dieOffset, from) => {
            const found = called(dieOffset, from, address);
            if (found === undefined || isAbsent(found) || found.unit === undefined) return found;
            return { expression: found.expression, unit: unitContext(found.unit, address) };
          },
        }),
  };
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
  const bytes = bytesOf(where, size, evaluation);
  return isAbsent(bytes) ? bytes : extend(bytes);
}

/** The bytes of an integer, wherever it is. */
function bytesOf(where: Location | Absent, size: number, evaluation: FrameEvaluation): Uint8Array | Absent {
  const { memory } = evaluation.snapshot;
  const place = placeOfLocation(where, size, { memory, registers: evaluation.frame.registers });
  if (place.kind === 'absent') return place.absent;
  if (place.kind === 'bytes') return wholeBytes(place);
  const read = memory.read(place.address, size);
  return isAbsent(read) ? read : read.bytes;
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
    return placeOfLocation(where, sizeOfObject(variable, where), {
      memory: evaluation.snapshot.memory,
      registers: evaluation.frame.registers,
      ...pointees(variable.unit, evaluation.address, (pointed) => variablePlace(evaluation, pointed, scope)),
    });
  } catch (thrown) {
    if (thrown instanceof StillframeError)
      return { kind: 'absent', absent: absent('no-debug-info', thrown.message) };
    throw thrown;
  }
}

/** gcc describes the text of a literal that is nowhere by a DIE without a type: the object is all that its location gives. */
function sizeOfObject(variable: VariableSymbol, where: Location | Absent): number | undefined {
  const type = variable.type();
  if (isAbsent(where) || where.kind !== 'implicit' || stripType(type).kind !== 'void') return sizeOf(type);
  return where.bytes.length;
}

/** How pointers to what is not in memory are followed: DWARF5 2.6.1.1.4. */
function pointees(
  unit: ExpressionUnit | undefined,
  address: LinkAddress,
  placeOf: (variable: VariableSymbol) => Place,
): Pick<PlaceContext, 'pointee'> {
  const pointedTo = unit?.pointedTo;
  if (pointedTo === undefined) return {};
  return {
    pointee:
      (die, offset): Pointee =>
      () => {
        try {
          const variable = pointedTo(die, address);
          if (isAbsent(variable)) return { kind: 'absent', absent: variable };
          return placeAt(placeOf(variable), offset);
        } catch (thrown) {
          if (thrown instanceof StillframeError)
            return { kind: 'absent', absent: absent('no-debug-info', thrown.message) };
          throw thrown;
        }
      },
  };
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
    if (location.kind === 'constant') return constantPlace(location.bytes, sizeOf(variable.type()));
    const noFrame = absent('not-in-scope', 'it lives in a frame, and there is none at hand');
    const context: ExpressionContext = {
      ...unitContext(variable.unit, linkAddress(0n)),
      register: () => noFrame,
      memory: snapshot.memory,
      relocate: (address) => toRuntime(linkAddress(address), module.bias),
      tls: (offset) => threadLocalAddress(snapshot, thread, module, offset),
    };
    const where = evaluateLocation(location.expression, context, snapshot.limits);
    return placeOfLocation(where, sizeOfObject(variable, where), {
      memory: snapshot.memory,
      registers: noRegisters,
      ...pointees(variable.unit, linkAddress(0n), (pointed) =>
        globalPlace(snapshot, thread, module, pointed),
      ),
    });
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
  const { limits } = evaluation.snapshot;
  const where = evaluateLocation(expression, expressionContext(evaluation, scope), limits);
  const bytes = bytesOf(where, byteSize, evaluation);
  return isAbsent(bytes) ? bytes : signedInteger(bytes);
}

function signedInteger(bytes: Uint8Array): bigint {
  return BigInt.asIntN(bytes.length * 8, unsignedInteger(bytes));
}

function unsignedInteger(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
