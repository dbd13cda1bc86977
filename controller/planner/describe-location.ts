import { hex } from '../../format/address.js';
import { decodeExpression, type Operation } from '../../format/dwarf-op/decode.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { StillframeError } from '../../format/error.js';
import { dwarfRegisterNames } from '../../format/registers/x86-64.js';
import type { VariableLocation } from '../symbols/module-symbols.js';

/** Where a variable lives, for people; undefined when its location is empty or cannot be read. */
export function describeLocation(location: VariableLocation): string | undefined {
  if (location.kind === 'constant') return 'a constant';
  let operations: readonly Operation[];
  try {
    operations = decodeExpression(location.expression, { addressSize: 8, name: 'location' });
  } catch (error) {
    if (error instanceof StillframeError) return undefined;
    throw error;
  }
  const [first] = operations;
  const last = operations.at(-1);
  if (first === undefined || last === undefined) return undefined;
  if (operations.some(({ code }) => code === DW_OP.DW_OP_piece || code === DW_OP.DW_OP_bit_piece)) {
    return 'in several pieces';
  }
  switch (last.code) {
    case DW_OP.DW_OP_stack_value:
      return operations.some(({ code }) => isEntryValue(code))
        ? 'computed from a value at function entry'
        : 'computed';
    case DW_OP.DW_OP_implicit_value:
      return 'a constant';
    case DW_OP.DW_OP_implicit_pointer:
    case DW_OP.DW_OP_GNU_implicit_pointer:
      return 'a pointer to something that is not in memory';
    case DW_OP.DW_OP_form_tls_address:
    case DW_OP.DW_OP_GNU_push_tls_address:
      return 'thread-local';
    default:
      return inMemoryOrRegister(first, operations.length === 1);
  }
}

function inMemoryOrRegister(first: Operation, alone: boolean): string {
  const { code, a, b } = first;
  const register =
    code === DW_OP.DW_OP_regx
      ? Number(a)
      : code >= DW_OP.DW_OP_reg0 && code <= DW_OP.DW_OP_reg31
        ? code - DW_OP.DW_OP_reg0
        : undefined;
  if (alone && register !== undefined) return `in register ${registerName(register)}`;
  if (code === DW_OP.DW_OP_fbreg) return alone ? 'on the stack' : 'in memory, reached from the stack';
  if (alone && code === DW_OP.DW_OP_addr) return `static at ${hex(a)}`;
  if (alone && code === DW_OP.DW_OP_addrx) return 'static';
  const base = code >= DW_OP.DW_OP_breg0 && code <= DW_OP.DW_OP_breg31 ? code - DW_OP.DW_OP_breg0 : undefined;
  if (alone && base !== undefined) return `in memory at ${registerName(base)}${signed(a)}`;
  if (alone && code === DW_OP.DW_OP_bregx) return `in memory at ${registerName(Number(a))}${signed(b)}`;
  return 'in memory';
}

function registerName(number: number): string {
  return (
    dwarfRegisterNames[number] ?? (number >= 17 && number <= 32 ? `xmm${number - 17}` : `number ${number}`)
  );
}

function signed(offset: bigint): string {
  return offset < 0n ? `${offset}` : `+${offset}`;
}

function isEntryValue(code: number): boolean {
  return code === DW_OP.DW_OP_entry_value || code === DW_OP.DW_OP_GNU_entry_value;
}
