/**
 * The machine that evaluates DWARF expressions in the controller and in engines without eBPF (DWARF5 2.5, 2.6). It asks its context
 * for registers and memory and never touches a process itself. It never throws for what an expression says: what cannot be had is
 * absent with the reason. Semantics where the standard leaves them open are gdb's: the generic type has 64 bits, `div` and comparisons
 * are signed, `mod` unsigned, `shr` logical.
 */
import { type Absent, absent, isAbsent } from '../absent.js';
import { StillframeError } from '../error.js';
import { defaultLimits } from '../limits.js';
import type { ExpressionContext, ExpressionLimits } from './context.js';
import { type Operation, decodeExpression } from './decode.js';
import type { Location, LocationPiece } from './location.js';
import { DW_OP } from './opcodes.js';
import { ExpressionFault, malformed } from './fault.js';
import { Machine } from './machine.js';
import { type StackValue, isTyped, toBytes, toInteger } from './typed-value.js';

type SimpleLocation = Exclude<Location, { kind: 'pieces' }>;

/** Where the object is that a location description describes. */
export function evaluateLocation(
  expression: Uint8Array | readonly Operation[],
  context: ExpressionContext,
  limits: ExpressionLimits = defaultLimits,
): Location | Absent {
  return guarded(() => {
    const operations = withoutTrailingNops(decoded(expression, context));
    if (operations.length === 0) return { kind: 'empty' };
    const machine = new Machine(context, limits);
    return operations.some(isPiece)
      ? locateComposite(operations, machine)
      : runSimple(operations, 0, operations.length, machine);
  });
}

/**
 * The value that an expression computes, as 64 bits: an address, or an integer extended by its type. For the expressions of CFI, of
 * plans, of call sites and frame bases: an expression that is a register (`DW_OP_reg6` as a frame base) gives its contents.
 */
export function evaluateValue(
  expression: Uint8Array | readonly Operation[],
  context: ExpressionContext,
  limits: ExpressionLimits = defaultLimits,
): bigint | Absent {
  return guarded(() => {
    const top = evaluateTop(expression, context, limits);
    if (isAbsent(top)) return top;
    if (isTyped(top) && top.type.byteSize > 8) throw malformed('its value has more than 8 bytes');
    const integer = toInteger(top);
    if (integer === undefined) {
      return absent('unsupported', 'a DWARF expression with a floating value where an integer is needed');
    }
    return BigInt.asUintN(64, integer);
  });
}

/** As {@link evaluateValue}, for a value that may be no integer: then it comes with its type. */
export function evaluateTyped(
  expression: Uint8Array | readonly Operation[],
  context: ExpressionContext,
  limits: ExpressionLimits = defaultLimits,
): StackValue | Absent {
  return guarded(() => {
    const top = evaluateTop(expression, context, limits);
    const integer = isAbsent(top) ? undefined : toInteger(top);
    return integer === undefined ? top : BigInt.asUintN(64, integer);
  });
}

function evaluateTop(
  expression: Uint8Array | readonly Operation[],
  context: ExpressionContext,
  limits: ExpressionLimits,
): StackValue | Absent {
  const operations = decoded(expression, context);
  const machine = new Machine(context, limits);
  const last = operations.length - 1;
  const register = operations.length === 1 ? registerOf(operations[0]) : undefined;
  if (register !== undefined) return context.register(register);
  const end = operations[last]?.code === DW_OP.DW_OP_stack_value ? last : operations.length;
  machine.run(operations, 0, end);
  return machine.pop();
}

function guarded<T>(evaluate: () => T | Absent): T | Absent {
  try {
    return evaluate();
  } catch (error) {
    if (error instanceof ExpressionFault) return error.absent;
    if (error instanceof StillframeError && error.code === 'bad-data') {
      return absent('unsupported', error.message);
    }
    throw error;
  }
}

function decoded(
  expression: Uint8Array | readonly Operation[],
  context: ExpressionContext,
): readonly Operation[] {
  if (!(expression instanceof Uint8Array)) return expression;
  return decodeExpression(expression, {
    addressSize: 8,
    offsetSize: context.offsetSize ?? 4,
    name: 'DWARF expression',
  });
}

function withoutTrailingNops(operations: readonly Operation[]): readonly Operation[] {
  const does = operations.findLastIndex(
    ({ code }) => code !== DW_OP.DW_OP_nop && code !== DW_OP.DW_OP_GNU_uninit,
  );
  return does === operations.length - 1 ? operations : operations.slice(0, does + 1);
}

function isPiece(operation: Operation): boolean {
  return operation.code === DW_OP.DW_OP_piece || operation.code === DW_OP.DW_OP_bit_piece;
}

/** The register that DW_OP_reg0..31 or DW_OP_regx names. */
function registerOf(operation: Operation | undefined): number | undefined {
  if (operation === undefined) return undefined;
  if (operation.code === DW_OP.DW_OP_regx) return Number(operation.a);
  const number = operation.code - DW_OP.DW_OP_reg0;
  return number >= 0 && number < 32 ? number : undefined;
}

/** A location without pieces: operations `from` up to `to`, the last of which may say what kind it is. */
function runSimple(
  operations: readonly Operation[],
  from: number,
  to: number,
  machine: Machine,
): SimpleLocation {
  const last = operations[to - 1];
  if (from === to || last === undefined) return { kind: 'empty' };
  const register = registerOf(last);
  const isStackValue = last.code === DW_OP.DW_OP_stack_value;
  if (register === undefined && !isStackValue && !isImplicit(last)) {
    machine.run(operations, from, to);
    return { kind: 'memory', address: addressOf(machine) };
  }
  machine.run(operations, from, to - 1);
  if (register !== undefined) return { kind: 'register', register };
  if (isStackValue) return { kind: 'value', bytes: toBytes(machine.pop()) };
  if (last.code === DW_OP.DW_OP_implicit_value) return { kind: 'implicit', bytes: last.block };
  return { kind: 'implicit-pointer', die: Number(last.a), offset: last.b };
}

function isImplicit(operation: Operation): boolean {
  return (
    operation.code === DW_OP.DW_OP_implicit_value ||
    operation.code === DW_OP.DW_OP_implicit_pointer ||
    operation.code === DW_OP.DW_OP_GNU_implicit_pointer
  );
}

function addressOf(machine: Machine): bigint {
  const address = toInteger(machine.pop());
  if (address === undefined) throw malformed('its address is a floating value');
  return BigInt.asUintN(64, address);
}

/**
 * A composite (DWARF5 2.6.1.2). Each piece is what stands before its piece operation; nothing there means optimised out. A piece that
 * cannot be had is absent, and the others stay: but where there are jumps, no piece can be told from the next, and all is absent.
 */
function locateComposite(operations: readonly Operation[], machine: Machine): Location {
  const jumps = operations.some((operation) =>
    [DW_OP.DW_OP_bra, DW_OP.DW_OP_skip].some((c) => c === operation.code),
  );
  if (jumps) throw new ExpressionFault(absent('unsupported', 'a DWARF expression with jumps between pieces'));
  const pieces: LocationPiece[] = [];
  let from = 0;
  for (const [i, operation] of operations.entries()) {
    if (!isPiece(operation)) continue;
    const isBits = operation.code === DW_OP.DW_OP_bit_piece;
    const bitSize = sizeOf(isBits ? operation.a : operation.a * 8n);
    const bitOffset = isBits ? sizeOf(operation.b) : 0;
    let location: SimpleLocation | Absent;
    try {
      location = runSimple(operations, from, i, machine);
    } catch (error) {
      if (!(error instanceof ExpressionFault)) throw error;
      machine.clear();
      location = error.absent;
    }
    pieces.push({ bitSize, bitOffset, location });
    from = i + 1;
  }
  const rest = operations.slice(from).filter((operation) => operation.code !== DW_OP.DW_OP_nop);
  if (rest.length > 0) throw malformed('operations after its last piece');
  return { kind: 'pieces', pieces };
}

/** No object of a program is larger; sums of sizes stay exact numbers. */
const maxPieceBits = 1n << 40n;

function sizeOf(bits: bigint): number {
  if (bits > maxPieceBits) throw malformed(`a piece of ${bits} bits`);
  return Number(bits);
}
