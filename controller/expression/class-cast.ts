/** Casts between pointers to a class and to its base, which lie in different places (C++ [expr.static.cast]); null stays null. */
import { findBaseClass } from '../types/class-member.js';
import { asComposite, sizeOf, stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { Type } from '../types/type.js';
import { charType, pointerTo, unsignedLongType } from './c-types.js';
import { arithmeticNode, constantNode, convert, dereferenceNode, placeOf, type Place } from './convert.js';
import { badExpression } from './syntax-error.js';
import type { Typed } from './typed.js';
import { virtualBaseNode } from './view-node.js';

/** Undefined where neither class is a base of the other: then the pointer stays as it is. */
export function classCast(pointer: Typed, type: Type, place: Place): Typed | undefined {
  const [from, to] = [targetOf(pointer.type), targetOf(type)];
  if (from === undefined || to === undefined) return undefined;
  const up = findBaseClass(from, to);
  const down = up === undefined ? findBaseClass(to, from) : undefined;
  const found = up ?? down;
  if (found === undefined) return undefined;
  if (found.kind === 'ambiguous') {
    throw badExpression(`"${typeName(up === undefined ? from : to)}" is a base more than once`, place.span, {
      candidates: found.candidates,
      hint: `name the one that is meant: ${found.candidates.join(', ')}`,
    });
  }
  const { byteOffset } = found.path;
  if (found.via.length === 0)
    return byteOffset === 0 ? undefined : moved(pointer, type, up === undefined ? -byteOffset : byteOffset);
  if (up === undefined) {
    throw badExpression(
      `cannot cast from "${typeName(from)}" to "${typeName(to)}": it is a virtual base, and where the object around it begins only its vtable says`,
      place.span,
      { hint: `ask the vtable: dynamic_cast<${typeName(to)} *>(${pointer.path})` },
    );
  }
  const object = virtualBaseNode(dereferenceNode(pointer, placeOf(pointer)), found.via);
  const operand: Typed = { kind: 'member', object, byteOffset, type: charType, ...place };
  const address: Typed = { kind: 'address', operand, type: pointerTo(charType), ...place };
  return unlessNull(pointer, convert(address, type), type);
}

function targetOf(type: Type): Type | undefined {
  const plain = stripType(type);
  return plain.kind === 'pointer' ? asComposite(plain.target()) : undefined;
}

function moved(pointer: Typed, type: Type, by: number): Typed {
  const place = placeOf(pointer);
  const distance = constantNode(BigInt.asUintN(64, BigInt(by)), unsignedLongType, place);
  const sum = arithmeticNode('+', convert(pointer, unsignedLongType), distance, place);
  return unlessNull(pointer, convert(sum, type), type);
}

function unlessNull(pointer: Typed, value: Typed, type: Type): Typed {
  const place = placeOf(pointer);
  const nothing = constantNode(0n, type, place);
  return { kind: 'conditional', condition: pointer, whenTrue: value, whenFalse: nothing, type, ...place };
}

/** Names of qualified types and of typedefs differ, those of what is beneath do not. */
export function isSameType(a: Type, b: Type): boolean {
  const [x, y] = [stripType(a), stripType(b)];
  if (x === y) return true;
  if (x.kind === 'pointer' && y.kind === 'pointer') return isSameTarget(x.target(), y.target());
  return typeName(x) === typeName(y) && sizeOf(x) === sizeOf(y);
}

export function isSameTarget(a: Type, b: Type): boolean {
  const [x, y] = [stripType(a), stripType(b)];
  return x === y || typeName(x) === typeName(y);
}
