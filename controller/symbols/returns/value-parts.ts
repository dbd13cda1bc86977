/** A value that a function returns, as parts of it in registers; and what its scalars are. */
import { ByteWriter } from '../../../format/bytes.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import { defaultLimits } from '../../../format/limits.js';
import { sizeOf, stripType } from '../../types/layout.js';
import type { Type } from '../../types/type.js';

/** Registers of x86-64 by DWARF number (System V ABI, figure 3.36). */
export const dwarfRax = 0;
export const dwarfRdx = 1;
export const dwarfXmm0 = 17;

export interface ValuePart {
  readonly offset: number;
  readonly size: number;
  /** Undefined: bytes that mean nothing. */
  readonly register?: number;
}

/** A location description; parts in order, without gaps. */
export function locationOfParts(parts: readonly ValuePart[]): Uint8Array {
  const out = new ByteWriter();
  const [only] = parts;
  if (parts.length === 1 && only?.register !== undefined) {
    writeRegister(out, only.register);
    return out.finish();
  }
  for (const { size, register } of parts) {
    if (register !== undefined) writeRegister(out, register);
    out.u8(DW_OP.DW_OP_piece).uleb(size);
  }
  return out.finish();
}

function writeRegister(out: ByteWriter, register: number): void {
  if (register < 32) out.u8(DW_OP.DW_OP_reg0 + register);
  else out.u8(DW_OP.DW_OP_regx).uleb(register);
}

/** In memory that rax points to. */
export function locationAtRax(): Uint8Array {
  return new ByteWriter().u8(DW_OP.DW_OP_breg0).sleb(0n).finish();
}

export interface Leaf {
  readonly kind: 'integer' | 'float' | 'x87' | 'vector';
  readonly offset: number;
  readonly size: number;
  /** Not where its size wants it: a field of a packed struct. */
  readonly unaligned: boolean;
}

/** Scalars of a type, in declaration order; a text where they cannot be told. */
export function leavesOf(type: Type): readonly Leaf[] | string {
  const found: Leaf[] = [];
  const failed = gather(type, 0, found, 0);
  return failed ?? found;
}

/** No value of so many scalars is returned in registers. */
const maxLeaves = 64;

function gather(type: Type, offset: number, found: Leaf[], nesting: number): string | undefined {
  if (nesting > defaultLimits.maxNesting) return 'its type is nested too deeply';
  if (found.length > maxLeaves) return 'its type has too many parts';
  const plain = stripType(type);
  const add = (kind: Leaf['kind'], size: number, at = offset, alignment = size): void => {
    found.push({ kind, offset: at, size, unaligned: at % alignment !== 0 });
  };
  switch (plain.kind) {
    case 'pointer':
    case 'enum':
      add('integer', plain.byteSize);
      return undefined;
    case 'base':
      if (plain.encoding === 'other') return `type "${plain.name}" is not known`;
      if (plain.encoding === 'complex-float') {
        const half = plain.byteSize / 2;
        add(half > 8 ? 'x87' : 'float', half);
        add(half > 8 ? 'x87' : 'float', half, offset + half);
      } else if (plain.encoding !== 'float') add('integer', plain.byteSize);
      else if (plain.byteSize <= 8) add('float', plain.byteSize);
      else add(plain.name === 'long double' ? 'x87' : 'vector', plain.byteSize);
      return undefined;
    case 'struct':
    case 'class':
    case 'union':
      return gatherMembers(plain, offset, found, nesting);
    case 'array': {
      const size = sizeOf(plain.element());
      if (plain.count === undefined || size === undefined) return 'its size is not known';
      if (plain.vector === true) {
        add('vector', plain.count * size);
        return undefined;
      }
      if (plain.count > maxLeaves) return 'its type has too many parts';
      for (let i = 0; i < plain.count; i++) {
        const failed = gather(plain.element(), offset + i * size, found, nesting + 1);
        if (failed !== undefined) return failed;
      }
      return undefined;
    }
    case 'void':
    case 'function':
      return 'it has no size';
    case 'unknown':
      return plain.detail;
  }
}

function gatherMembers(
  type: Extract<ReturnType<typeof stripType>, { kind: 'struct' | 'class' | 'union' }>,
  offset: number,
  found: Leaf[],
  nesting: number,
): string | undefined {
  if (type.incomplete) return 'its type is only declared';
  if (type.variants?.() !== undefined) return 'which of its variants it is decides how it is returned';
  for (const member of type.members()) {
    if (member.virtualBase !== undefined) return 'it has a virtual base';
    const at = offset + member.byteOffset;
    if (member.bitSize === undefined) {
      const failed = gather(member.type(), at, found, nesting + 1);
      if (failed !== undefined) return failed;
      continue;
    }
    const first = at * 8 + (member.bitOffset ?? 0);
    const last = first + Math.max(1, member.bitSize) - 1;
    for (let byte = Math.floor(first / 8); byte <= Math.floor(last / 8); byte++)
      found.push({ kind: 'integer', offset: byte, size: 1, unaligned: false });
  }
  return undefined;
}
