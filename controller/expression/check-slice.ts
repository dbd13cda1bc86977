/** `p[i]`, `p[from:to]`, `p @ count`. */
import { elementCount, stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { ArrayType, Type } from '../types/type.js';
import type { IndexExpression, RepeatExpression, SliceExpression } from './ast.js';
import { longType } from './c-types.js';
import type { Checker } from './check.js';
import { indexPlain, indexView, lentNode, repeatView, sliceView } from './check-view.js';
import { arithmeticNode, constantNode, decay, offsetNode, strideOf, type Place } from './convert.js';
import { badExpression } from './syntax-error.js';
import { isLvalue, type Typed } from './typed.js';

export function checkIndex(checker: Checker, expression: IndexExpression): Typed {
  const object = checker.check(expression.object);
  return indexView(checker, object, expression) ?? indexPlain(checker, object, expression);
}

export function checkSlice(checker: Checker, expression: SliceExpression): Typed {
  const place = checker.place(expression);
  const named = checker.check(expression.object);
  const object = lentNode(named) ?? named;
  const viewed = sliceView(checker, object, expression);
  if (viewed !== undefined) return viewed;
  const pointer = sliceable(object);
  const from =
    expression.from === undefined ? undefined : checker.integer(expression.from, 'the start of a slice');
  const length = elementCount(object.type);
  let to: Typed;
  if (expression.to !== undefined) to = checker.integer(expression.to, 'the end of a slice');
  else if (length !== undefined) to = constantNode(BigInt(length), longType, place);
  else {
    throw badExpression('the slice needs an end', place.span, {
      hint: `the length of "${typeName(object.type)}" is not known; write ${object.path}[0:10]`,
    });
  }
  const count = from === undefined ? to : arithmeticNode('-', to, from, place);
  const first = from === undefined ? pointer : offsetNode(pointer, from, false, place);
  return slice(first, count, place);
}

/**
 * `p @ n`: n elements from where p points. `*p @ n` is the same (gdb's habit: the object that is named, and those after it),
 * and so is `x @ n` of an object that is no pointer.
 */
export function checkRepeat(checker: Checker, expression: RepeatExpression): Typed {
  const place = checker.place(expression);
  const { object: left } = expression;
  let pointer: Typed;
  if (left.kind === 'unary' && left.operator === '*') pointer = sliceable(checker.check(left.operand));
  else {
    const named = checker.check(left);
    const object = lentNode(named) ?? named;
    const viewed = repeatView(object, checker.integer(expression.count, 'a count'), place);
    if (viewed !== undefined) return viewed;
    const plain = stripType(object.type);
    const isSequence = plain.kind === 'pointer' || (plain.kind === 'array' && plain.vector !== true);
    if (isSequence || !isLvalue(object)) pointer = sliceable(object);
    else {
      const target = object.type;
      const type: Type = { kind: 'pointer', flavor: 'pointer', byteSize: 8, target: () => target };
      if (object.kind === 'member' && object.bits !== undefined) {
        throw badExpression('cannot take the address of a bit field', object.span);
      }
      pointer = { kind: 'address', operand: object, type, span: object.span, path: object.path };
    }
  }
  return slice(pointer, checker.integer(expression.count, 'a count'), place);
}

function sliceable(object: Typed): Typed {
  const pointer = decay(object);
  if (stripType(pointer.type).kind !== 'pointer') {
    throw badExpression(
      `cannot slice "${typeName(object.type)}": it is not an array or pointer`,
      object.span,
    );
  }
  return pointer;
}

function slice(pointer: Typed, count: Typed, place: Place): Typed {
  const plain = stripType(pointer.type);
  const element = plain.kind === 'pointer' ? plain.target() : plain;
  const size = strideOf(element, pointer.span);
  const known = count.kind === 'constant' ? Number(count.value) : undefined;
  if (known !== undefined && known < 0) {
    throw badExpression(`a slice of ${known} elements`, count.span);
  }
  const type: ArrayType = {
    kind: 'array',
    element: () => element,
    ...(known === undefined ? {} : { count: known }),
  };
  return { kind: 'slice', pointer, count, size, type, ...place };
}
