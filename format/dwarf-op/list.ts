import { StillframeError } from '../error.js';
import { type DecodeOptions, type Operation, decodeExpression } from './decode.js';
import { DW_OP, constantOperations, operationName } from './opcodes.js';

/**
 * An expression as text, spelled as readelf spells it: `DW_OP_breg7 16; DW_OP_deref`. Jumps name the offset that they lead to.
 * Never throws: bytes that do not decode are shown as such.
 */
export function listExpression(bytes: Uint8Array, options: Partial<DecodeOptions> = {}): string {
  let operations: Operation[];
  try {
    operations = decodeExpression(bytes, { addressSize: 8, name: 'DWARF expression', ...options });
  } catch (error) {
    if (!(error instanceof StillframeError)) throw error;
    return `<${hexBytes(bytes)}: ${error.message}>`;
  }
  return operations
    .map((operation) =>
      listOperation(operation, operations[operation.target]?.offset ?? bytes.length, options),
    )
    .join('; ');
}

function listOperation(operation: Operation, targetOffset: number, options: Partial<DecodeOptions>): string {
  const { code, a, b, block } = operation;
  const name = operationName(code);
  if (!operation.known || name === undefined) {
    const rest = block.length > 0 ? `: ${hexBytes(block)}` : '';
    return `<unknown operation 0x${code.toString(16)}${rest}>`;
  }
  switch (code) {
    case DW_OP.DW_OP_addr:
      return `${name} 0x${a.toString(16)}`;
    case DW_OP.DW_OP_bra:
    case DW_OP.DW_OP_skip:
      return `${name} to ${targetOffset}`;
    case DW_OP.DW_OP_bregx:
      return `${name} ${a} ${b}`;
    case DW_OP.DW_OP_bit_piece:
      return `${name} ${a} offset ${b}`;
    case DW_OP.DW_OP_implicit_value:
      return `${name} ${block.length} bytes: ${hexBytes(block)}`;
    case DW_OP.DW_OP_entry_value:
    case DW_OP.DW_OP_GNU_entry_value:
      return `${name} (${listExpression(block, options)})`;
    case DW_OP.DW_OP_implicit_pointer:
    case DW_OP.DW_OP_GNU_implicit_pointer:
      return `${name} <0x${a.toString(16)}> ${b}`;
    case DW_OP.DW_OP_const_type:
    case DW_OP.DW_OP_GNU_const_type:
      return `${name} <0x${a.toString(16)}> ${block.length} bytes: ${hexBytes(block)}`;
    case DW_OP.DW_OP_regval_type:
    case DW_OP.DW_OP_GNU_regval_type:
    case DW_OP.DW_OP_deref_type:
    case DW_OP.DW_OP_GNU_deref_type:
    case DW_OP.DW_OP_xderef_type:
      return `${name} ${a} <0x${b.toString(16)}>`;
    case DW_OP.DW_OP_convert:
    case DW_OP.DW_OP_GNU_convert:
    case DW_OP.DW_OP_reinterpret:
    case DW_OP.DW_OP_GNU_reinterpret:
    case DW_OP.DW_OP_call2:
    case DW_OP.DW_OP_call4:
    case DW_OP.DW_OP_call_ref:
    case DW_OP.DW_OP_GNU_parameter_ref:
    case DW_OP.DW_OP_GNU_variable_value:
      return `${name} <0x${a.toString(16)}>`;
    default:
      return takesNumber(code) ? `${name} ${a}` : name;
  }
}

const numbered: ReadonlySet<number> = new Set([
  ...constantOperations,
  DW_OP.DW_OP_pick,
  DW_OP.DW_OP_plus_uconst,
  DW_OP.DW_OP_regx,
  DW_OP.DW_OP_fbreg,
  DW_OP.DW_OP_piece,
  DW_OP.DW_OP_deref_size,
  DW_OP.DW_OP_xderef_size,
  DW_OP.DW_OP_addrx,
  DW_OP.DW_OP_constx,
  DW_OP.DW_OP_GNU_addr_index,
  DW_OP.DW_OP_GNU_const_index,
]);

function takesNumber(code: number): boolean {
  return numbered.has(code) || (code >= DW_OP.DW_OP_breg0 && code <= DW_OP.DW_OP_breg31);
}

function hexBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
