/** C++'s `dynamic_cast` (C++ [expr.dynamic.cast]): what the object is its vtable says, so that only the process knows. */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { decodeInteger } from '../../format/integer.js';
import { findBaseClass } from '../types/class-member.js';
import { isPolymorphic, partsOfClass, wholeObject } from '../types/cplusplus/dynamic-object.js';
import { binary, constant, pointerAt } from '../../format/recipe/recipe.js';
import { asComposite, sizeOf, stripType } from '../types/layout.js';
import type { ObjectView } from '../types/object-view.js';
import { typeName } from '../types/type-name.js';
import type { CompositeType, Type } from '../types/type.js';
import type { Value } from '../types/value.js';
import type { Block, DynamicView, ViewContext } from '../types/view.js';
import { classCast, isSameType } from './class-cast.js';
import { convert, decay, type Place } from './convert.js';
import { badExpression } from './syntax-error.js';
import type { Typed } from './typed.js';

/** Of a pointer. Null where the object is none of the class, as in the language. */
export function dynamicClassCast(node: Typed, type: Type, place: Place): Typed {
  const pointer = decay(node);
  const [from, to] = [targetOf(pointer.type), targetOf(type)];
  if (from === undefined || to === undefined) {
    throw badExpression(
      `dynamic_cast cannot turn "${typeName(node.type)}" into "${typeName(type)}": it is for pointers and references to classes`,
      place.span,
    );
  }
  const wanted = stripType(to).kind === 'void' ? undefined : asComposite(to);
  if (wanted === undefined && stripType(to).kind !== 'void') {
    throw badExpression(`"${typeName(to)}" is no class`, place.span);
  }
  if (wanted !== undefined && isSameType(from, wanted)) return { ...convert(pointer, type), ...place };
  // To a base no object need be looked at; `classCast` says whether it is one, and moves only where it lies elsewhere.
  if (wanted !== undefined && findBaseClass(from, wanted) !== undefined) {
    return { ...(classCast(pointer, type, place) ?? convert(pointer, type)), ...place };
  }
  if (!isPolymorphic(from)) {
    throw badExpression(
      `"${typeName(from)}" has no virtual functions: nothing says what its objects are`,
      place.span,
      {
        hint: 'static_cast believes what it is told',
      },
    );
  }
  return { kind: 'dynamic', object: pointer, view: castView(from, wanted, type, place), type, ...place };
}

function targetOf(type: Type): Type | undefined {
  const plain = stripType(type);
  return plain.kind === 'pointer' ? plain.target() : undefined;
}

/** Without a class that is wanted, the beginning of the whole object: `dynamic_cast<void *>`. */
function castView(from: Type, wanted: CompositeType | undefined, type: Type, place: Place): DynamicView {
  const pointerValue = (address: bigint): Value => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, address, true);
    return { type, place: { kind: 'bytes', bytes } };
  };
  return {
    kind: 'dynamic',
    blocks: () => [objectBlock(from, wanted)],
    resolve: (object, context) => {
      const address = pointerOf(object, context);
      if (isAbsent(address)) return address;
      if (address === 0n) return pointerValue(0n);
      const { memory, dynamicTypeAt } = context;
      const head = memory.read(address, 8);
      if (isAbsent(head)) return head;
      const whole = wholeObject({ type: from, address }, memory, dynamicTypeAt);
      if (whole === undefined) {
        return absent('unreadable', `no vtable says what the object of ${place.path} is`, { address });
      }
      if (wanted === undefined) return pointerValue(whole.address ?? 0n);
      const parts = partsOfClass(whole, wanted, memory);
      const [only] = parts;
      return pointerValue(parts.size === 1 && only !== undefined ? only : 0n);
    },
  };
}

/** For a plan: the object as it is if it is of the class that is wanted. */
function objectBlock(from: Type, wanted: CompositeType | undefined): Block {
  const base = wanted === undefined ? undefined : findBaseClass(wanted, from);
  const before = base?.kind === 'member' && base.via.length === 0 ? base.path.byteOffset : 0;
  const bytes = Math.min(Math.max(sizeOf(from) ?? 0, wanted?.byteSize ?? 0), maxObjectBytes);
  const address = binary(pointerAt(0), '-', constant(before));
  return { address, bytes: constant(bytes), maxBytes: maxObjectBytes };
}

const maxObjectBytes = 4096;

function pointerOf(object: ObjectView, { memory }: ViewContext): bigint | Absent {
  if (object.absent !== undefined) return object.absent;
  const { bytes, address } = object;
  if (bytes !== undefined) return decodeInteger(bytes.subarray(0, 8), false);
  if (address === undefined) return absent('unreadable', 'only a part of the pointer is known');
  const read = memory.read(address, 8);
  return isAbsent(read) ? read : decodeInteger(read.bytes, false);
}
