/** Casts of all languages, and `x.(T)`: what each may turn into what, and what comes out. */
import { findBaseClass } from '../types/class-member.js';
import { asComposite, isComposite, sizeOf, stripType } from '../types/layout.js';
import { languageOf } from '../types/language.js';
import { typeName } from '../types/type-name.js';
import type { Type } from '../types/type.js';
import { viewOf } from '../types/views.js';
import type { AssertionExpression, CastExpression } from './ast.js';
import { isArithmetic, numericOf, pointerTo } from './c-types.js';
import type { Checker } from './check.js';
import { alternativeMember, dynamicCast } from './check-view.js';
import { resolveType } from './check-type.js';
import { classCast, isSameTarget, isSameType } from './class-cast.js';
import { addressOf, convert, decay, dereferenceNode, promoted, retyped, type Place } from './convert.js';
import { dynamicClassCast } from './dynamic-cast.js';
import { saturated } from './saturate.js';
import { badExpression } from './syntax-error.js';
import { isLvalue, type Typed } from './typed.js';
import { asOperand, viewedAs } from './view-node.js';

type Style = CastExpression['style'];

export function checkCast(checker: Checker, expression: CastExpression): Typed {
  const type = resolveType(expression.type, checker.scope);
  const operand = checker.check(expression.operand);
  return castNode(operand, type, expression.style, checker.place(expression));
}

export function castNode(operand: Typed, type: Type, style: Style, place: Place): Typed {
  const target = stripType(type);
  if (target.kind === 'pointer' && target.flavor !== 'pointer') {
    return referenceCast(operand, target.target(), style, place);
  }
  const dynamic = dynamicCast(operand, type, place);
  if (dynamic !== undefined) return dynamic;
  if (style === 'conversion') {
    const text = goText(operand, type, place);
    if (text !== undefined) return text;
  }
  const node = target === stripType(operand.type) ? operand : asOperand(operand);
  if (style === 'dynamic') return dynamicClassCast(node, type, place);
  const refuse = (hint?: string): Error =>
    badExpression(`cannot cast "${typeName(node.type)}" to "${typeName(type)}"`, place.span, { hint });
  if (isComposite(type) && isSameType(node.type, type)) return retyped(node, type, place);
  const to = numericOf(type);
  if (to === undefined) {
    const isReadable = isLvalue(node) && sizeOf(type) !== undefined && style === 'plain';
    throw refuse(
      isReadable ? `read the bytes as that type: *(${typeName(pointerTo(type))})&${node.path}` : undefined,
    );
  }
  const value = decay(node);
  const from = numericOf(value.type);
  if (from === undefined) throw refuse();
  const pointers = target.kind === 'pointer' || stripType(value.type).kind === 'pointer';
  if (pointers && (to.kind === 'float' || from.kind === 'float')) throw refuse();
  if (style === 'const' && !isSameType(value.type, type))
    throw refuse('const_cast changes no more than "const"');
  if (style === 'static' && pointers) refuseUnrelated(value.type, type, place);
  if (style === 'as' && isCodePoint(type) && !(from.kind === 'integer' && from.size === 1 && !from.signed)) {
    throw refuse('only a u8 is a char: cast to u8 or u32');
  }
  if (style === 'as' && to.kind === 'integer' && to.boolean && !(from.kind === 'integer' && from.boolean)) {
    throw refuse(`ask whether it is zero: ${node.path} != 0`);
  }
  if (style === 'as' && to.kind === 'integer' && from.kind === 'float') {
    return { ...saturated(value, type, to), ...place };
  }
  const moved = style === 'reinterpret' ? undefined : classCast(value, type, place);
  return { ...(moved ?? convert(promotedIfBits(value), type)), ...place };
}

/** Rust's `char`, which is no number. */
function isCodePoint(type: Type): boolean {
  const plain = stripType(type);
  return plain.kind === 'base' && plain.encoding === 'utf' && plain.name === 'char';
}

/** `(T &)x`: the object itself as another, or as its base or derived class. */
function referenceCast(operand: Typed, type: Type, style: Style, place: Place): Typed {
  if (!isLvalue(operand)) {
    throw badExpression('cannot take the address of a value that is not in memory', operand.span);
  }
  if (style === 'dynamic' || !isSameType(operand.type, type)) {
    const pointer = castNode(addressOf(operand, place), pointerTo(type), style, place);
    return dereferenceNode(pointer, place);
  }
  return retyped(operand, type, place);
}

/** A bit field becomes a whole integer before it is converted. */
function promotedIfBits(node: Typed): Typed {
  return node.kind === 'member' && node.bits !== undefined ? promoted(node) : node;
}

/** C++ [expr.static.cast]: from and to `void *`, and between a class and its base. */
function refuseUnrelated(from: Type, to: Type, place: Place): void {
  const [a, b] = [from, to].map((type) => {
    const plain = stripType(type);
    return plain.kind === 'pointer' ? stripType(plain.target()) : undefined;
  });
  const isRelated =
    a !== undefined &&
    b !== undefined &&
    (a.kind === 'void' ||
      b.kind === 'void' ||
      isSameTarget(a, b) ||
      findBaseClass(a, b) !== undefined ||
      findBaseClass(b, a) !== undefined);
  if (isRelated) return;
  throw badExpression(`static_cast cannot turn "${typeName(from)}" into "${typeName(to)}"`, place.span, {
    hint: 'reinterpret_cast takes the bits as they are',
  });
}

/** Go's `string(b)` of bytes: what a string is made of stands at the beginning of a slice. */
function goText(operand: Typed, type: Type, place: Place): Typed | undefined {
  if (languageOf(type) !== 'go' || viewOf(type)?.kind !== 'string') return undefined;
  const view = viewedAs(operand, 'sequence', 'string');
  if (view?.kind === 'string') return retyped(operand, type, place);
  const isBytes = view?.kind === 'sequence' && sizeOf(view.element()) === 1;
  if (isBytes && isLvalue(operand) && asComposite(operand.type) !== undefined) {
    return { kind: 'member', object: operand, byteOffset: 0, type, ...place };
  }
  if (!isArithmetic(operand.type)) return undefined;
  throw badExpression(
    `a "${typeName(operand.type)}" as a "string" would be a character, which is nowhere in memory`,
    place.span,
  );
}

/** `x.(T)`: the object that an interface holds, as the type that it is said to be. */
export function checkAssertion(checker: Checker, expression: AssertionExpression): Typed {
  const place = checker.place(expression);
  const object = checker.check(expression.object);
  const view = viewedAs(object, 'dynamic');
  if (view !== undefined) {
    const type = resolveType(expression.type, checker.scope);
    return { kind: 'dynamic', object, view, type, ...place };
  }
  const { typeSpan } = expression;
  const named = expression.type.kind === 'named' ? expression.type.name : undefined;
  const held = named === undefined ? undefined : alternativeMember(object, named, typeSpan, place);
  if (held !== undefined) return held;
  throw badExpression(
    `"${typeName(object.type)}" is not an interface, a trait object or a variant`,
    object.span,
  );
}
