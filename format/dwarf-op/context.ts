import type { Absent } from '../absent.js';
import type { Limits } from '../limits.js';
import type { MemoryReader } from '../memory.js';
import type { StackValue } from './typed-value.js';

/** What the operations of one compile unit count from. */
export type UnitContext = Pick<
  ExpressionContext,
  'addressByIndex' | 'baseType' | 'callExpression' | 'offsetSize'
>;

export interface CalledExpression {
  readonly expression: Uint8Array;
  /** Of the DIE's unit, where that is another one than the caller's. */
  readonly unit?: UnitContext;
}

export type ExpressionLimits = Pick<
  Limits,
  'maxExpressionSteps' | 'maxExpressionStack' | 'maxExpressionNesting'
>;

/** A base type as typed operations need it (DWARF5 2.5.1). `other`: may be moved, not computed with. */
export interface BaseType {
  readonly byteSize: number;
  readonly encoding: 'signed' | 'unsigned' | 'float' | 'other';
}

/**
 * What an expression may ask for. What a place has not (a plan has no frame base) is left out: the operation is then
 * absent, `unsupported`. All addresses are runtime addresses unless said otherwise.
 */
export interface ExpressionContext {
  /** A register by DWARF number, as 64 bits. */
  register(dwarfNumber: number): bigint | Absent;
  /** The whole of a register wider than 64 bits. */
  registerBytes?(dwarfNumber: number): Uint8Array | Absent;
  readonly memory: MemoryReader;
  /** DW_OP_addr: from the link address that the expression has. */
  relocate(linkAddress: bigint): bigint;
  /** DW_OP_addrx and constx: the entry of `.debug_addr`, not relocated. */
  addressByIndex?(index: number): bigint | Absent;
  /** The value of DW_AT_frame_base. */
  frameBase?(): bigint | Absent;
  callFrameCfa?(): bigint | Absent;
  readonly objectAddress?: bigint;
  /** The value that the expression (a register) had when the function was entered; with its type where it is no integer. */
  entryValue?(expression: Uint8Array): StackValue | Absent;
  /**
   * What `size` bytes of memory held when the function was entered, at the address that a register (by DWARF number) had then:
   * known only where the caller says so (DW_AT_call_data_value).
   */
  entryDataValue?(register: number, size: number): StackValue | Absent;
  /** The address of thread-local storage at an offset in the module's block, for the thread at hand. */
  tls?(offset: bigint): bigint | Absent;
  /** The base type at a DIE offset relative to its unit. */
  baseType?(dieOffset: number): BaseType | undefined;
  /**
   * The DW_AT_location of a DIE for DW_OP_call*: its offset relative to the unit (call2, call4) or to `.debug_info` (call_ref).
   * Undefined when the DIE has none: the call then does nothing. Absent where its location list says nothing of the place at hand.
   */
  callExpression?(dieOffset: number, from: 'unit' | 'section'): CalledExpression | Absent | undefined;
  /** DW_OP_GNU_variable_value: the value of the variable at a `.debug_info` offset. */
  variableValue?(dieOffset: number): bigint | Absent;
  /** DW_OP_GNU_parameter_ref: what was passed for the parameter whose DIE is at an offset relative to the unit. */
  parameterValue?(dieOffset: number): StackValue | Absent;
  /** What is on the stack at the beginning, the top last: the CFA for the expressions of CFI rules. */
  readonly initialStack?: readonly bigint[];
  /** 8 in the 64-bit DWARF format; 4 unless given. */
  readonly offsetSize?: 4 | 8;
}
