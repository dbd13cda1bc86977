/** One step of unwinding by call frame information: from a frame's registers and its row to the CFA and the registers of its caller. */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { evaluateValue } from '../../format/dwarf-op/evaluate.js';
import { toRuntime, linkAddress, type LoadBias } from '../../format/address.js';
import type { Limits } from '../../format/limits.js';
import type { MemoryReader, Provenance } from '../../format/memory.js';
import type { CallFrameRow, RegisterRule } from '../dwarf/call-frame.js';
import type { Architecture } from './architecture.js';
import { FrameRegisters, type RegisterValue } from './frame-registers.js';

export interface StepContext {
  readonly architecture: Architecture;
  /** See {@link Architecture.signatureBits}. */
  readonly signatureBits: bigint;
  readonly memory: MemoryReader;
  readonly limits: Limits;
}

/** Eight bytes at an address, as a register's value. */
export function readSaved(memory: MemoryReader, address: bigint): RegisterValue | Absent {
  const at = BigInt.asUintN(64, address);
  const read = memory.read(at, 8);
  if (isAbsent(read)) return read;
  const view = new DataView(read.bytes.buffer, read.bytes.byteOffset, 8);
  return { value: view.getBigUint64(0, true), provenance: read.provenance, savedAt: at };
}

/** A return address without its signature: the bits that user space addresses have as zeros, those of the kernel as ones. */
export function withoutSignature(
  address: RegisterValue | Absent,
  { signatureBits }: Pick<StepContext, 'signatureBits'>,
): RegisterValue | Absent {
  if (isAbsent(address) || signatureBits === 0n) return address;
  const { value } = address;
  const ofKernel = ((value >> 55n) & 1n) === 1n;
  return { ...address, value: ofKernel ? value | signatureBits : value & ~signatureBits };
}

/** The canonical frame address of a frame, by its row. */
export function computeCfa(
  row: CallFrameRow,
  registers: FrameRegisters,
  options: StepContext & { readonly bias: LoadBias },
): bigint | Absent {
  if (row.cfa.kind === 'register') {
    const base = registers.value(row.cfa.register);
    return isAbsent(base) ? base : BigInt.asUintN(64, base + row.cfa.offset);
  }
  return evaluateRule(row.cfa.expression, registers, options, []);
}

/** The registers that the caller has when the call returns. */
export function callerRegisters(
  row: CallFrameRow,
  cfa: bigint,
  registers: FrameRegisters,
  options: StepContext & { readonly bias: LoadBias },
): FrameRegisters {
  const { architecture } = options;
  const values = new Map<number, RegisterValue | Absent>();
  const weakest = registers.get(architecture.stackPointer);
  const provenance: Provenance = isAbsent(weakest) ? 'racy' : weakest.provenance;
  for (const register of architecture.carried) {
    const rule = row.rules.get(register) ?? defaultRule(register, row, architecture);
    const value = applyRule(rule, register, { row, cfa, registers, options, provenance });
    values.set(register, value);
  }
  // Some machines and some tables name another register for the return address.
  const returnAddress = values.get(row.returnAddressRegister);
  if (row.returnAddressRegister !== architecture.programCounter && returnAddress !== undefined) {
    const plain = row.returnAddressSigned === true ? withoutSignature(returnAddress, options) : returnAddress;
    values.set(row.returnAddressRegister, plain);
    values.set(architecture.programCounter, plain);
  }
  return new FrameRegisters({
    values,
    nameOf: (number) => architecture.nameOf(number),
    otherwise: 'is not preserved across calls, so its value in the caller is lost',
  });
}

/** Where the table has no rule, the machine's convention holds: the stack pointer is the CFA, preserved registers are as they were. */
function defaultRule(
  register: number,
  row: CallFrameRow,
  architecture: Architecture,
): RegisterRule | undefined {
  if (register === architecture.stackPointer) return { kind: 'value-offset', offset: 0n };
  // A signal may come at any instruction: no convention says what its handler left.
  if (row.signalFrame || !architecture.preserved.has(register)) return undefined;
  return { kind: 'same-value' };
}

interface RuleInput {
  readonly row: CallFrameRow;
  readonly cfa: bigint;
  readonly registers: FrameRegisters;
  readonly options: StepContext & { readonly bias: LoadBias };
  readonly provenance: Provenance;
}

function applyRule(
  rule: RegisterRule | undefined,
  register: number,
  input: RuleInput,
): RegisterValue | Absent {
  const { cfa, registers, options, provenance } = input;
  const name = options.architecture.nameOf(register);
  if (rule === undefined)
    return absent(
      'optimized-out',
      `register ${name} is not preserved across calls, so its value in the caller is lost`,
    );
  switch (rule.kind) {
    case 'undefined':
      return absent('optimized-out', `register ${name} was not saved by the function that was called`);
    case 'same-value':
      return registers.get(register);
    case 'offset':
      return readSaved(options.memory, cfa + rule.offset);
    case 'value-offset':
      return { value: BigInt.asUintN(64, cfa + rule.offset), provenance };
    case 'register':
      return registers.get(rule.register);
    case 'expression': {
      const address = evaluateRule(rule.expression, registers, options, [cfa]);
      return isAbsent(address) ? address : readSaved(options.memory, address);
    }
    case 'value-expression': {
      const value = evaluateRule(rule.expression, registers, options, [cfa]);
      return isAbsent(value) ? value : { value, provenance };
    }
    default:
      return absent('unsupported', `register ${name} has a rule of an unknown kind`);
  }
}

function evaluateRule(
  expression: Uint8Array,
  registers: FrameRegisters,
  options: StepContext & { readonly bias: LoadBias },
  initialStack: readonly bigint[],
): bigint | Absent {
  const context = {
    register: (number: number) => registers.value(number),
    memory: options.memory,
    relocate: (address: bigint) => toRuntime(linkAddress(address), options.bias),
    initialStack,
  };
  return evaluateValue(expression, context, options.limits);
}
