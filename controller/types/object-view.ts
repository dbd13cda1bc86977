import type { Absent } from '../../format/absent.js';
import type { Provenance } from '../../format/memory.js';
import { memberPath, sizeOf } from './layout.js';
import { type AbsentPlace, missingBits, partOfBytes } from './place.js';
import { bitFieldBytes } from './read.js';
import type { Member, Type } from './type.js';
import type { Gap, Pointee, Value } from './value.js';

/** A value whose place is taken apart: bytes that are known already, or an address to read them from. */
export interface ObjectView {
  readonly type: Type;
  readonly address?: bigint;
  readonly bytes?: Uint8Array;
  readonly provenance?: Provenance;
  readonly bits?: { readonly offset: number; readonly size: number };
  /** Bits of `bytes` that are not known. */
  readonly gaps?: readonly Gap[];
  readonly absent?: Absent;
  /** Of a pointer that is absent: where the object is that it points to. */
  readonly pointee?: Pointee;
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
        ...(place.gaps === undefined ? {} : { gaps: place.gaps }),
      };
    case 'absent':
      break;
  }
  return { type, ...bits, ...absentView(place) };
}

function absentView({ absent, pointee }: AbsentPlace): Pick<ObjectView, 'absent' | 'pointee'> {
  return { absent, ...(pointee === undefined ? {} : { pointee }) };
}

/** The same, absent where a bit is missing that a scalar needs. */
export function asScalar(object: ObjectView, byteSize: number): ObjectView {
  if (object.absent !== undefined || object.gaps === undefined) return object;
  const { offset, size } = object.bits ?? { offset: 0, size: byteSize * 8 };
  const why = missingBits(object.gaps, offset, offset + size);
  return why === undefined ? object : { type: object.type, ...absentView(why) };
}

export function memberObject(parent: ObjectView, member: Member): ObjectView {
  const { type, byteOffset, bits } = memberPath(member);
  const size = bits === undefined ? sizeOf(type) : bitFieldBytes(bits)[1];
  const object = slice(parent, type, byteOffset, size ?? 0);
  return bits === undefined ? object : { ...object, bits };
}

/** A part of an object; its bytes too where the object has them. */
export function slice(parent: ObjectView, type: Type, offset: number, size: number): ObjectView {
  const { bytes } = parent;
  const covered = bytes !== undefined && offset >= 0 && offset + size <= bytes.length;
  const place = covered ? partOfBytes({ ...parent, bytes }, offset, offset + size) : undefined;
  return {
    type,
    ...(parent.address === undefined ? {} : { address: BigInt.asUintN(64, parent.address + BigInt(offset)) }),
    ...(place === undefined ? {} : objectOf({ type, place })),
    ...(parent.absent === undefined ? {} : { absent: parent.absent }),
  };
}
