import { ByteCursor } from '../bytes.js';
import { DW_OP } from './opcodes.js';

/** One decoded operation. Operands that it does not have are 0 and empty. */
export interface Operation {
  /** Where it begins, from the beginning of the expression. */
  readonly offset: number;
  readonly code: number;
  /** First number: a constant, an offset, a register, a size, a DIE; signed where the operation says so. */
  readonly a: bigint;
  /** Second number. */
  readonly b: bigint;
  /** Block operand: of implicit_value, entry_value, const_type. For an unknown operation all that follows it. */
  readonly block: Uint8Array;
  /** Index of the operation that a jump leads to; the number of operations where it leads to the end. */
  readonly target: number;
  readonly known: boolean;
}

export interface DecodeOptions {
  readonly addressSize: 4 | 8;
  /** 8 in the 64-bit DWARF format; 4 unless given. */
  readonly offsetSize?: 4 | 8;
  /** What it is, for messages. */
  readonly name: string;
}

/**
 * How the operands of each operation look (DWARF5 7.7.1): `u1` and so on are sizes, `u` and `s` LEB128, `addr` of the address size,
 * `ref` of the offset size, `block` a ULEB128 length and bytes, `block1` a length of one byte, `jump` two signed bytes.
 */
type Operand =
  | 'u1'
  | 's1'
  | 'u2'
  | 's2'
  | 'u4'
  | 's4'
  | 'u8'
  | 's8'
  | 'u'
  | 's'
  | 'addr'
  | 'ref'
  | 'block'
  | 'block1'
  | 'jump';

const operands = new Map<number, readonly Operand[]>();
function declare(shape: readonly Operand[], ...codes: readonly number[]): void {
  for (const code of codes) operands.set(code, shape);
}
declare([], DW_OP.DW_OP_deref, DW_OP.DW_OP_dup, DW_OP.DW_OP_drop, DW_OP.DW_OP_over, DW_OP.DW_OP_swap);
for (let code: number = DW_OP.DW_OP_rot; code <= DW_OP.DW_OP_ne; code++) {
  declare([], code);
}
for (let i = 0; i < 32; i++) {
  declare([], DW_OP.DW_OP_lit0 + i, DW_OP.DW_OP_reg0 + i);
  declare(['s'], DW_OP.DW_OP_breg0 + i);
}
declare([], DW_OP.DW_OP_nop, DW_OP.DW_OP_push_object_address, DW_OP.DW_OP_form_tls_address);
declare(
  [],
  DW_OP.DW_OP_call_frame_cfa,
  DW_OP.DW_OP_stack_value,
  DW_OP.DW_OP_GNU_push_tls_address,
  DW_OP.DW_OP_GNU_uninit,
);
declare(['addr'], DW_OP.DW_OP_addr);
declare(['u1'], DW_OP.DW_OP_const1u, DW_OP.DW_OP_pick, DW_OP.DW_OP_deref_size, DW_OP.DW_OP_xderef_size);
declare(['s1'], DW_OP.DW_OP_const1s);
declare(['u2'], DW_OP.DW_OP_const2u, DW_OP.DW_OP_call2);
declare(['s2'], DW_OP.DW_OP_const2s);
declare(['u4'], DW_OP.DW_OP_const4u, DW_OP.DW_OP_call4, DW_OP.DW_OP_GNU_parameter_ref);
declare(['s4'], DW_OP.DW_OP_const4s);
declare(['u8'], DW_OP.DW_OP_const8u);
declare(['s8'], DW_OP.DW_OP_const8s);
declare(
  ['u'],
  DW_OP.DW_OP_constu,
  DW_OP.DW_OP_plus_uconst,
  DW_OP.DW_OP_regx,
  DW_OP.DW_OP_piece,
  DW_OP.DW_OP_addrx,
);
declare(['u'], DW_OP.DW_OP_constx, DW_OP.DW_OP_GNU_addr_index, DW_OP.DW_OP_GNU_const_index);
declare(
  ['u'],
  DW_OP.DW_OP_convert,
  DW_OP.DW_OP_reinterpret,
  DW_OP.DW_OP_GNU_convert,
  DW_OP.DW_OP_GNU_reinterpret,
);
declare(['s'], DW_OP.DW_OP_consts, DW_OP.DW_OP_fbreg);
declare(['u', 's'], DW_OP.DW_OP_bregx);
declare(['u', 'u'], DW_OP.DW_OP_bit_piece, DW_OP.DW_OP_regval_type, DW_OP.DW_OP_GNU_regval_type);
declare(['u1', 'u'], DW_OP.DW_OP_deref_type, DW_OP.DW_OP_GNU_deref_type, DW_OP.DW_OP_xderef_type);
declare(['ref'], DW_OP.DW_OP_call_ref, DW_OP.DW_OP_GNU_variable_value);
declare(['ref', 's'], DW_OP.DW_OP_implicit_pointer, DW_OP.DW_OP_GNU_implicit_pointer);
declare(['block'], DW_OP.DW_OP_implicit_value, DW_OP.DW_OP_entry_value, DW_OP.DW_OP_GNU_entry_value);
declare(['u', 'block1'], DW_OP.DW_OP_const_type, DW_OP.DW_OP_GNU_const_type);
declare(['jump'], DW_OP.DW_OP_bra, DW_OP.DW_OP_skip);

const noBytes = new Uint8Array(0);

/**
 * Decodes an expression whole. Throws `bad-data` when it is cut short or a jump leads into the middle of an operation. An operation
 * that is not known ends the list, for where the next one begins cannot be told.
 */
export function decodeExpression(bytes: Uint8Array, options: DecodeOptions): Operation[] {
  const cursor = new ByteCursor(bytes, options.name);
  const operations: Operation[] = [];
  const jumps: { readonly index: number; readonly to: number }[] = [];
  while (!cursor.atEnd) {
    const offset = cursor.offset;
    const code = cursor.u8();
    const shape = operands.get(code);
    if (shape === undefined) {
      const block = cursor.take(cursor.remaining);
      operations.push({ offset, code, a: 0n, b: 0n, block, target: 0, known: false });
      break;
    }
    let block: Uint8Array = noBytes;
    const numbers: bigint[] = [];
    for (const operand of shape) {
      if (operand === 'block') block = cursor.take(cursor.ulebNumber());
      else if (operand === 'block1') block = cursor.take(cursor.u8());
      else numbers.push(readNumber(cursor, operand, options));
    }
    const [a = 0n, b = 0n] = numbers;
    if (shape[0] === 'jump') jumps.push({ index: operations.length, to: cursor.offset + Number(a) });
    operations.push({ offset, code, a, b, block, target: 0, known: true });
  }
  if (jumps.length === 0) return operations;

  const indices = new Map(operations.map((operation, index) => [operation.offset, index]));
  indices.set(bytes.length, operations.length);
  for (const { index, to } of jumps) {
    const operation = operations[index];
    const target = indices.get(to);
    if (operation === undefined) continue;
    if (target === undefined) {
      throw cursor.error(`jump to offset ${to}, where no operation begins,`, operation.offset);
    }
    operations[index] = { ...operation, target };
  }
  return operations;
}

function readNumber(
  cursor: ByteCursor,
  operand: Exclude<Operand, 'block' | 'block1'>,
  options: DecodeOptions,
): bigint {
  switch (operand) {
    case 'u1':
      return BigInt(cursor.u8());
    case 's1':
      return BigInt(cursor.i8());
    case 'u2':
      return BigInt(cursor.u16());
    case 's2':
    case 'jump':
      return BigInt(cursor.i16());
    case 'u4':
      return BigInt(cursor.u32());
    case 's4':
      return BigInt(cursor.i32());
    case 'u8':
      return cursor.u64();
    case 's8':
      return cursor.i64();
    case 'u':
      return cursor.uleb();
    case 's':
      return cursor.sleb();
    case 'addr':
      return cursor.uint(options.addressSize);
    case 'ref':
      return cursor.uint(options.offsetSize ?? 4);
  }
}
