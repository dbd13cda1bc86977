/** Members of structs, unions and classes: where they are, and bit fields of both kinds (DWARF5 5.7.6, DWARF3 5.5.6). */
import { ByteCursor } from '../../format/bytes.js';
import { DW_OP } from '../../format/dwarf-op/opcodes.js';
import { DW_AT, DW_TAG } from '../dwarf/constants.js';
import type { Die } from '../dwarf/die.js';
import { isInteger, isSigned, sizeOf } from '../types/layout.js';
import { binary, constant, pointerAt, type Recipe } from '../../format/recipe/recipe.js';
import type { Member, Type } from '../types/type.js';
import { once } from './once.js';

export function membersOf(composite: Die, typeOf: (die: Die) => Type): Member[] {
  const members: Member[] = [];
  for (const child of composite.children()) {
    const base = child.tag === DW_TAG.inheritance;
    if (!base && child.tag !== DW_TAG.member) continue;
    // A static member has no place in the object.
    if (child.has(DW_AT.external) || child.flag(DW_AT.declaration)) continue;
    const place = placeOf(child, composite);
    const type = once(() => typeOf(child));
    const { name } = child;
    if (place === undefined) {
      const detail = 'where this member lies depends on the object';
      const unknown = (): Type => ({ kind: 'unknown', detail });
      const offset = base ? virtualBaseOffset(child) : undefined;
      const virtual = offset === undefined ? {} : { virtualBase: { type, offset } };
      members.push({
        ...(name === undefined ? {} : { name }),
        type: unknown,
        byteOffset: 0,
        base,
        ...virtual,
      });
    } else {
      const embedded = child.flag(DW_AT.go_embedded_field) ? { embedded: true as const } : {};
      members.push({ ...(name === undefined ? {} : { name }), type, base, ...embedded, ...place });
    }
  }
  return members;
}

/** Static members that debug information gives a value. */
export function constantsOf(
  composite: Die,
  typeOf: (die: Die) => Type,
): Map<string, { readonly type: Type; readonly value: bigint }> {
  const constants = new Map<string, { readonly type: Type; readonly value: bigint }>();
  for (const child of composite.children()) {
    // DWARF 5 has them as variables.
    if (child.tag !== DW_TAG.member && child.tag !== DW_TAG.variable) continue;
    const { name } = child;
    if (name === undefined || !child.has(DW_AT.const_value)) continue;
    const type = typeOf(child);
    const value = constantOf(child, type);
    if (value !== undefined) constants.set(name, { type, value });
  }
  return constants;
}

/**
 * DW_AT_const_value of what has a type: whether its top bit is a sign the form may leave open. Producers write negative numbers with a sign or in the full
 * size of the type; what is shorter is not negative (gcc writes 250 of an `int` in one byte).
 */
export function constantOf(die: Die, type: Type): bigint | undefined {
  const value = die.value(DW_AT.const_value);
  if (value?.kind !== 'constant') return undefined;
  if (value.signed || value.size === 0 || value.size < (sizeOf(type) ?? 0)) return value.value;
  return isInteger(type) && !isSigned(type) ? die.unsigned(DW_AT.const_value) : die.signed(DW_AT.const_value);
}

interface Place {
  readonly byteOffset: number;
  readonly bitSize?: number;
  readonly bitOffset?: number;
}

/** Undefined where the place is not a constant (virtual bases), so that nobody takes offset 0 for it. */
function placeOf(member: Die, composite: Die): Place | undefined {
  const start = memberLocation(member);
  if (start === undefined) return undefined;
  const bitSize = member.size(DW_AT.bit_size);
  if (bitSize === undefined) return { byteOffset: start };
  const fromStart = member.size(DW_AT.data_bit_offset);
  if (fromStart !== undefined) return normalised(0, fromStart, bitSize);
  const fromTop = member.signed(DW_AT.bit_offset);
  // clang leaves the offset out where a bit field starts its storage; unions have all of theirs at 0.
  if (fromTop === undefined) return normalised(start, 0, bitSize);
  const storage = storageBytes(member, composite);
  if (storage === undefined) return undefined;
  // DWARF 2 and 3 count from the most significant bit of the storage unit, whatever the byte order.
  return normalised(start, storage * 8 - Number(fromTop) - bitSize, bitSize);
}

function normalised(byteOffset: number, bits: number, bitSize: number): Place {
  const bytes = Math.floor(bits / 8);
  return { byteOffset: byteOffset + bytes, bitOffset: bits - bytes * 8, bitSize };
}

/** DW_AT_data_member_location: a constant, or `DW_OP_plus_uconst n` as DWARF 2 wrote it; 0 where there is none (unions). */
export function memberLocation(member: Die): number | undefined {
  const value = member.value(DW_AT.data_member_location);
  if (value === undefined) return 0;
  if (value.kind === 'constant') return Number(value.value);
  if (value.kind !== 'block') return undefined;
  const cursor = new ByteCursor(value.bytes, 'DW_AT_data_member_location');
  const DW_OP_plus_uconst = 0x23;
  if (cursor.atEnd || cursor.u8() !== DW_OP_plus_uconst) return undefined;
  const offset = cursor.ulebNumber();
  return cursor.atEnd ? offset : undefined;
}

/**
 * What the vtable of the object says: the address of the object is on the stack, and `DW_OP_dup, DW_OP_deref, DW_OP_lit24, DW_OP_minus, DW_OP_deref,
 * DW_OP_plus` adds to it the word 24 bytes before what its first word points to.
 */
function virtualBaseOffset(base: Die): Recipe | undefined {
  const value = base.value(DW_AT.data_member_location);
  if (value?.kind !== 'block') return undefined;
  const cursor = new ByteCursor(value.bytes, 'DW_AT_data_member_location');
  const next = (): number | undefined => (cursor.atEnd ? undefined : cursor.u8());
  if (next() !== DW_OP.DW_OP_dup || next() !== DW_OP.DW_OP_deref) return undefined;
  const before = unsignedOperand(next(), cursor);
  if (before === undefined || next() !== DW_OP.DW_OP_minus || next() !== DW_OP.DW_OP_deref) return undefined;
  if (next() !== DW_OP.DW_OP_plus || !cursor.atEnd) return undefined;
  const address = binary(pointerAt(0), '-', constant(before));
  return { op: 'load', address, size: 8, signed: true };
}

function unsignedOperand(operation: number | undefined, cursor: ByteCursor): bigint | undefined {
  if (operation === undefined) return undefined;
  if (operation >= DW_OP.DW_OP_lit0 && operation <= DW_OP.DW_OP_lit0 + 31)
    return BigInt(operation - DW_OP.DW_OP_lit0);
  if (operation === DW_OP.DW_OP_const1u) return BigInt(cursor.u8());
  if (operation === DW_OP.DW_OP_const2u) return BigInt(cursor.u16());
  return operation === DW_OP.DW_OP_constu ? BigInt(cursor.ulebNumber()) : undefined;
}

const maxTypedefs = 32;

/** The size of a bit field's storage unit: its own DW_AT_byte_size, or that of its type behind typedefs. */
function storageBytes(member: Die, composite: Die): number | undefined {
  const own = member.size(DW_AT.byte_size);
  if (own !== undefined) return own;
  let type = member.reference(DW_AT.type);
  for (let i = 0; i < maxTypedefs && type !== undefined; i++) {
    const size = type.size(DW_AT.byte_size);
    if (size !== undefined) return size;
    type = type.reference(DW_AT.type);
  }
  return composite.size(DW_AT.byte_size);
}
