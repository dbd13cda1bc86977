/** Builders of typed nodes that convert and calculate; what is constant is calculated at once. */
import { isAbsent } from '../../format/absent.js';
import { sizeOf, stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { Type } from '../types/type.js';
import type { ArithmeticOperator, ShiftOperator, Span } from './ast.js';
import { commonType, intType, longType, numericOf, pointerTo, promote } from './c-types.js';
import { arithmetic, convertScalar, negate, shift, type Scalar } from './scalar.js';
import { badExpression } from './syntax-error.js';
import { isLvalue, type ConstantNode, type Typed } from './typed.js';

/** Where a node made by an operator stands in the text. */
export interface Place {
  readonly span: Span;
  readonly path: string;
}

export const placeOf = (node: Typed): Place => ({ span: node.span, path: node.path });

export function constantNode(value: Scalar, type: Type, place: Place): ConstantNode {
  return { kind: 'constant', value, type, enumerator: false, ...place };
}

export function convert(node: Typed, type: Type): Typed {
  const numeric = numericOf(type);
  if (node.kind === 'constant' && numeric !== undefined) {
    const value = convertScalar(node.value, numeric);
    if (!isAbsent(value)) return constantNode(value, type, placeOf(node));
  }
  return node.type === type ? node : { kind: 'convert', operand: node, type, ...placeOf(node) };
}

/** Arrays and functions become pointers, as they do everywhere but under `sizeof` and `&` (C11 6.3.2.1). */
export function decay(node: Typed): Typed {
  const plain = stripType(node.type);
  if (plain.kind === 'array' && plain.vector !== true) {
    if (node.kind === 'string') {
      throw badExpression('a string literal has no address in the target', node.span);
    }
    return { kind: 'address', operand: node, type: pointerTo(plain.element()), ...placeOf(node) };
  }
  if (plain.kind === 'function') {
    return { kind: 'address', operand: node, type: pointerTo(node.type), ...placeOf(node) };
  }
  return node;
}

/** The operand of an operator that takes numbers and pointers. */
export function scalarOperand(node: Typed, operator: string): Typed {
  const value = decay(node);
  if (numericOf(value.type) === undefined) {
    throw badExpression(`cannot apply ${operator} to "${typeName(node.type)}"`, node.span);
  }
  return value;
}

export function promoted(node: Typed): Typed {
  if (node.kind === 'constant' && node.enumerator && typeof node.value === 'bigint') {
    const fits = BigInt.asIntN(32, node.value) === node.value;
    return convert(node, fits ? intType : promote(node.type));
  }
  return convert(node, promote(node.type, node.kind === 'member' ? node.bits?.size : undefined));
}

/** Both in their common type. */
export function balanced(left: Typed, right: Typed): readonly [Typed, Typed] {
  const [a, b] = [promoted(left), promoted(right)];
  const type = commonType(a.type, b.type);
  return [convert(a, type), convert(b, type)];
}

/** Operands must be balanced. */
export function arithmeticNode(operator: ArithmeticOperator, left: Typed, right: Typed, place: Place): Typed {
  const numeric = numericOf(left.type);
  if (left.kind === 'constant' && right.kind === 'constant' && numeric !== undefined) {
    const value = arithmetic(operator, left.value, right.value, numeric);
    if (!isAbsent(value)) return constantNode(value, left.type, place);
  }
  return { kind: 'arithmetic', operator, left, right, type: left.type, ...place };
}

/** Operands must be promoted. */
export function shiftNode(operator: ShiftOperator, left: Typed, right: Typed, place: Place): Typed {
  const numeric = numericOf(left.type);
  if (left.kind === 'constant' && right.kind === 'constant' && numeric?.kind === 'integer') {
    if (typeof left.value === 'bigint' && typeof right.value === 'bigint') {
      const value = shift(operator, left.value, right.value, numeric);
      if (!isAbsent(value)) return constantNode(value, left.type, place);
    }
  }
  return { kind: 'shift', operator, left, right, type: left.type, ...place };
}

export function negated(operand: Typed, place: Place): Typed {
  const numeric = numericOf(operand.type);
  if (operand.kind === 'constant' && numeric !== undefined) {
    const value = convertScalar(negate(operand.value), numeric);
    if (!isAbsent(value)) return constantNode(value, operand.type, place);
  }
  return { kind: 'unary', operator: '-', operand, type: operand.type, ...place };
}

export function complemented(operand: Typed, place: Place): Typed {
  const numeric = numericOf(operand.type);
  if (operand.kind === 'constant' && typeof operand.value === 'bigint' && numeric !== undefined) {
    const value = convertScalar(~operand.value, numeric);
    if (!isAbsent(value)) return constantNode(value, operand.type, place);
  }
  return { kind: 'unary', operator: '~', operand, type: operand.type, ...place };
}

/** The size that a pointer steps by; an error where what it points to has none. */
export function strideOf(element: Type, span: Span): number {
  const size = sizeOf(element);
  if (size === undefined) {
    const plain = stripType(element);
    const why =
      plain.kind === 'void' || plain.kind === 'function'
        ? `"${typeName(element)}" has no size`
        : `the size of "${typeName(element)}" is not known`;
    throw badExpression(`cannot index or move a pointer to it: ${why}`, span, {
      hint: plain.kind === 'void' ? 'cast the pointer first, for example (char *)p' : undefined,
    });
  }
  return size;
}

/** The size that `p + 1` moves by: as compilers of GNU C and gdb have it, a byte where what is pointed to has no size. */
export function stepOf(element: Type, span: Span): number {
  const { kind } = stripType(element);
  return kind === 'void' || kind === 'function' ? 1 : strideOf(element, span);
}

export function offsetNode(pointer: Typed, index: Typed, subtract: boolean, place: Place): Typed {
  const plain = stripType(pointer.type);
  const element = plain.kind === 'pointer' ? plain.target() : pointer.type;
  const size = stepOf(element, pointer.span);
  return {
    kind: 'offset',
    pointer,
    index: convert(index, longType),
    subtract,
    size,
    type: pointer.type,
    ...place,
  };
}

/** The object that a pointer points to; references in it are followed. */
export function dereferenceNode(pointer: Typed, place: Place): Typed {
  const plain = stripType(pointer.type);
  if (plain.kind !== 'pointer') {
    throw badExpression(`cannot dereference "${typeName(pointer.type)}": it is not a pointer`, pointer.span);
  }
  const type = plain.target();
  if (stripType(type).kind === 'void') {
    throw badExpression(`cannot dereference "${typeName(pointer.type)}"`, pointer.span, {
      hint:
        pointer.kind === 'offset'
          ? 'cast the pointer first, for example (char *)p'
          : `cast it first: *(char *)${pointer.path}`,
    });
  }
  if (pointer.kind === 'address' && isLvalue(pointer.operand) && pointer.operand.type === type) {
    return { ...pointer.operand, ...place };
  }
  return throughReference({ kind: 'dereference', pointer, type, ...place });
}

/** `&x`. */
export function addressOf(operand: Typed, place: Place): Typed {
  if (stripType(operand.type).kind === 'function') return { ...decay(operand), ...place };
  if (!isLvalue(operand)) {
    throw badExpression('cannot take the address of a value that is not in memory', operand.span);
  }
  if (operand.kind === 'member' && operand.bits !== undefined) {
    throw badExpression('cannot take the address of a bit field', operand.span);
  }
  return { kind: 'address', operand, type: pointerTo(operand.type), ...place };
}

/** A reference stands for the object that it refers to. */
export function throughReference(node: Typed): Typed {
  const plain = stripType(node.type);
  if (plain.kind !== 'pointer' || plain.flavor === 'pointer') return node;
  const pointer: Typed = { ...pointerTyped(node, plain.target()) };
  return { kind: 'dereference', pointer, type: plain.target(), ...placeOf(node) };
}

/** The same under another name of its type. */
export function retyped(node: Typed, type: Type, place: Place): Typed {
  return node.kind === 'slice' ? { ...node, ...place } : { ...node, type, ...place };
}

function pointerTyped(node: Typed, target: Type): Typed {
  return node.kind === 'slice' ? node : { ...node, type: pointerTo(target) };
}
