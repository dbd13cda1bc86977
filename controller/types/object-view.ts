import type { Absent } from '../../format/absent.js';
import type { Provenance } from '../../format/memory.js';
import { memberPath, sizeOf } from './layout.js';
import { type MissingBits, missingOfPart } from './missing-bits.js';
import { bitFieldBytes } from './read.js';
import type { Member, Type } from './type.js';
import type { Value } from './value.js';

/** A value whose place is taken apart: bytes that are known already, or an address to read them from. */
export interface ObjectView {
  readonly type: Type;
  readonly address?: bigint;
  readonly bytes?: Uint8Array;
  readonly provenance?: Provenance;
  /** Bits of `bytes` that are not known. */
  readonly missing?: readonly MissingBits[];
  readonly bits?: { readonly offset: number; readonly size: number };
  readonly absent?: Absent;
}

export function objectOf(value: Value): ObjectView {
  const { type, place } = value;
  const bits = value.bits === undefined ? {} : { bits: value.bits };
  switch (place.kind) {
    case 'memory':
      return { type, ...bits, address: place.address };
    case 'bytes':
      return {
        type,
        ...bits,
        bytes: place.bytes,
        ...(place.provenance === undefined ? {} : { provenance: place.provenance }),
        ...(place.missing === undefined ? {} : { missing: place.missing }),
      };
    case 'absent':
      break;
  }
  return { type, ...bits, absent: place.absent };
}

export function memberObject(parent: ObjectView, member: Member): ObjectView {
  const { type, byteOffset, bits } = memberPath(member);
  const size = bits === undefined ? sizeOf(type) : bitFieldBytes(bits)[1];
  const object = slice(parent, type, byteOffset, size ?? 0);
  return bits === undefined ? object : { ...object, bits };
}

/** A part of an object; its bytes too where the object has them. */
export function slice(parent: ObjectView, type: Type, offset: number, size: number): ObjectView {
  const covered = parent.bytes !== undefined && offset >= 0 && offset + size <= parent.bytes.length;
  const missing = covered ? missingOfPart(parent.missing, offset, size) : undefined;
  return {
    type,
    ...(parent.address === undefined ? {} : { address: BigInt.asUintN(64, parent.address + BigInt(offset)) }),
    ...(covered ? { bytes: parent.bytes.subarray(offset, offset + size) } : {}),
    ...(covered && parent.provenance !== undefined ? { provenance: parent.provenance } : {}),
    ...(missing === undefined ? {} : { missing }),
    ...(parent.absent === undefined ? {} : { absent: parent.absent }),
  };
}
