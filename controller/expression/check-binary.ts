/** Binary operators: what each takes, and what comes out (C11 6.5.5 to 6.5.14). */
import { findBaseClass } from '../types/class-member.js';
import { isComposite, isVoid, stripType } from '../types/layout.js';
import { languageOf } from '../types/language.js';
import { typeName } from '../types/type-name.js';
import type { Type } from '../types/type.js';
import type { BinaryExpression, ComparisonOperator } from './ast.js';
import {
  charType,
  doubleType,
  floatType,
  intType,
  isArithmetic,
  isIntegral,
  longType,
  numericOf,
  unsignedIntType,
  unsignedLongType,
} from './c-types.js';
import type { Checker } from './check.js';
import { checkAlternative } from './check-alternative.js';
import { textNode, textsNode } from './check-text.js';
import { classCast, isSameType } from './class-cast.js';
import {
  arithmeticNode,
  balanced,
  convert,
  decay,
  dereferenceNode,
  offsetNode,
  placeOf,
  promoted,
  scalarOperand,
  shiftNode,
  stepOf,
  type Place,
} from './convert.js';
import { partsBinary } from './check-parts.js';
import { badExpression } from './syntax-error.js';
import type { Typed } from './typed.js';
import { asOperand, asTruth, emptinessNode } from './view-node.js';

export function checkBinary(checker: Checker, expression: BinaryExpression): Typed {
  const { operator } = expression;
  const place = checker.place(expression);
  const alternative = checkAlternative(checker, expression, (left, right) =>
    comparison('==', lentValue(asOperand(left)), lentValue(asOperand(right)), expression, place),
  );
  if (alternative !== undefined) return alternative;
  const [whole, other] = [checker.check(expression.left), checker.check(expression.right)];
  const isLogical = operator === '&&' || operator === '||';
  const parts = isLogical ? undefined : partsBinary(whole, other, expression, place);
  if (parts !== undefined) return parts;
  const emptiness = isLogical ? undefined : comparedWithNothing(operator, whole, other, place);
  if (emptiness !== undefined) return emptiness;
  const [left, right] = isLogical
    ? [asTruth(whole), asTruth(other)]
    : [lentValue(asOperand(whole)), lentValue(asOperand(other))];
  switch (operator) {
    case '&&':
    case '||':
      return {
        kind: 'logical',
        operator,
        left: scalarOperand(left, `"${operator}"`),
        right: scalarOperand(right, `"${operator}"`),
        type: intType,
        ...place,
      };
    case '==':
    case '!=':
    case '<':
    case '<=':
    case '>':
    case '>=':
      return comparison(operator, left, right, expression, place);
    case '<<':
    case '>>':
      if (!isIntegral(left.type) || !isIntegral(right.type)) throw mismatch(expression, left, right);
      return ofLanguage(checker, shiftNode(operator, promoted(left), promoted(right), place), left, left);
    case '+':
    case '-': {
      const moved = pointerArithmetic(operator, left, right, place);
      if (moved !== undefined) return moved;
      break;
    }
    case '%':
    case '&':
    case '|':
    case '^':
      if (!isIntegral(left.type) || !isIntegral(right.type)) throw mismatch(expression, left, right);
      break;
    case '*':
    case '/':
      break;
  }
  if (!isArithmetic(left.type) || !isArithmetic(right.type)) throw mismatch(expression, left, right);
  const [a, b] = balanced(left, right);
  return ofLanguage(checker, arithmeticNode(operator, a, b, place), left, right);
}

/** What C calculates in an `int` or a `double`, as what Rust and Go calculate with: the type of both sides, or of the one that is no literal. */
export function ofLanguage({ scope }: Checker, result: Typed, left: Typed, right: Typed = left): Typed {
  if (scope.language !== 'go' && scope.language !== 'rust') return result;
  const [a, b] = [isLiteral(left), isLiteral(right)];
  const type = a ? right.type : left.type;
  if ((a && b) || (!a && !b && typeName(left.type) !== typeName(right.type))) return result;
  // A literal with a fraction goes with no integer, and there is no such sum in the program's language.
  if (isIntegral(type) && !isIntegral(result.type)) return result;
  return { ...convert(result, type), ...placeOf(result) };
}

/** What `!` turns bit by bit, and not into its contrary: comparisons are numbers of C. */
export function isNumberOfRust(node: Typed): boolean {
  const numeric = numericOf(node.type);
  return (
    isIntegral(node.type) &&
    numeric?.kind === 'integer' &&
    !numeric.boolean &&
    node.type !== intType &&
    !isLiteral(node)
  );
}

/** A number that stands in the text: its type is C's, of which these languages have none. */
function isLiteral(node: Typed): boolean {
  return node.kind === 'constant' && literalTypes.has(node.type);
}

const literalTypes: ReadonlySet<Type> = new Set([
  charType,
  intType,
  unsignedIntType,
  longType,
  unsignedLongType,
  floatType,
  doubleType,
]);

/** `err != nil`, `opt == None`: undefined where no side is nothing, or the other knows nothing of it. */
function comparedWithNothing(
  operator: BinaryExpression['operator'],
  left: Typed,
  right: Typed,
  place: Place,
): Typed | undefined {
  if (operator !== '==' && operator !== '!=') return undefined;
  const isNothing = (node: Typed): boolean =>
    node.kind === 'constant' && node.value === 0n && stripType(node.type).kind === 'pointer';
  const object = isNothing(right) ? left : isNothing(left) ? right : undefined;
  const empty = object === undefined ? undefined : emptinessNode(object, place);
  if (empty === undefined || operator === '==') return empty;
  return { kind: 'not', operand: empty, type: intType, ...place };
}

/** What a reference of Rust to a number refers to: operators of Rust work on that, and never on where it is. */
export function lentValue(node: Typed): Typed {
  let at = node;
  for (let i = 0; i < maxReferences; i++) {
    const plain = stripType(at.type);
    if (plain.kind !== 'pointer' || plain.name?.startsWith('&') !== true) break;
    at = dereferenceNode(at, placeOf(at));
  }
  return isArithmetic(at.type) ? at : node;
}

/** References to references. */
const maxReferences = 8;

function mismatch(expression: BinaryExpression, left: Typed, right: Typed): Error {
  return badExpression(
    `cannot apply "${expression.operator}" to "${typeName(left.type)}" and "${typeName(right.type)}"`,
    expression.operatorSpan,
  );
}

function isAddress(node: Typed): boolean {
  const { kind } = stripType(node.type);
  return kind === 'pointer' || kind === 'array' || kind === 'function';
}

/** Undefined when neither side is a pointer, or the two do not go together. */
function pointerArithmetic(operator: '+' | '-', left: Typed, right: Typed, place: Place): Typed | undefined {
  if (isAddress(left) && isIntegral(right.type)) {
    return offsetNode(decay(left), promoted(right), operator === '-', place);
  }
  if (operator === '+' && isAddress(right) && isIntegral(left.type)) {
    return offsetNode(decay(right), promoted(left), false, place);
  }
  if (operator === '-' && isAddress(left) && isAddress(right)) {
    const [a, b] = [decay(left), decay(right)];
    const [x, y] = [stripType(a.type), stripType(b.type)];
    if (x.kind !== 'pointer' || y.kind !== 'pointer') return undefined;
    const size = stepOf(x.target(), a.span);
    if (size !== stepOf(y.target(), b.span)) return undefined;
    if (size === 0) throw badExpression('cannot subtract pointers to objects of size 0', place.span);
    return { kind: 'difference', left: a, right: b, size, type: longType, ...place };
  }
  return undefined;
}

function comparison(
  operator: ComparisonOperator,
  left: Typed,
  right: Typed,
  expression: BinaryExpression,
  place: Place,
): Typed {
  if (left.kind === 'string' || right.kind === 'string') {
    if (operator === '==' || operator === '!=') {
      if (right.kind === 'string') return textNode(operator, left, right, place);
      if (left.kind === 'string') return textNode(operator, right, left, place);
    }
    throw badExpression(`cannot compare strings with "${operator}"`, expression.operatorSpan, {
      hint: 'strings compare with == and !=, startsWith, contains and matches',
    });
  }
  if (operator === '==' || operator === '!=') {
    const texts = textsNode(operator, left, right, place);
    if (texts !== undefined) return texts;
  }
  if (isArithmetic(left.type) && isArithmetic(right.type)) {
    const [a, b] = balanced(left, right);
    return { kind: 'compare', operator, left: a, right: b, type: intType, ...place };
  }
  const comparable = (node: Typed): boolean => isAddress(node) || isIntegral(node.type);
  if (!comparable(left) || !comparable(right)) {
    throw badExpression(
      `cannot compare "${typeName(left.type)}" with "${typeName(right.type)}"`,
      expression.operatorSpan,
    );
  }
  const address = (node: Typed): Typed =>
    convert(isAddress(node) ? decay(node) : promoted(node), unsignedLongType);
  const [a, b] = sameClass(left, right, expression);
  return { kind: 'compare', operator, left: address(a), right: address(b), type: intType, ...place };
}

/** C++ [conv.ptr]: a pointer to a class becomes one to its base, which may lie elsewhere, before the two are compared. */
function sameClass(left: Typed, right: Typed, expression: BinaryExpression): readonly [Typed, Typed] {
  const [a, b] = [classBehind(left), classBehind(right)];
  if (a === undefined || b === undefined || isSameType(a, b)) return [left, right];
  if (findBaseClass(a, b) !== undefined) return [upcast(left, right.type), right];
  if (findBaseClass(b, a) !== undefined) return [left, upcast(right, left.type)];
  throw badExpression(
    `cannot compare "${typeName(left.type)}" with "${typeName(right.type)}": neither is a base of the other`,
    expression.operatorSpan,
    { hint: `compare addresses: (void *)${left.path} ${expression.operator} (void *)${right.path}` },
  );
}

function upcast(pointer: Typed, type: Type): Typed {
  return classCast(pointer, type, placeOf(pointer)) ?? pointer;
}

function classBehind(node: Typed): Type | undefined {
  const plain = stripType(node.type);
  const target = plain.kind === 'pointer' ? plain.target() : undefined;
  return target !== undefined && isComposite(target) && languageOf(target) === 'c++' ? target : undefined;
}

/** The type of `c ? a : b` when one of them is a pointer (C11 6.5.15p6); undefined when that is not so or they do not fit. */
export function commonPointer(a: Typed, b: Typed): Type | undefined {
  const [x, y] = [stripType(a.type), stripType(b.type)];
  const isNull = (node: Typed): boolean => node.kind === 'constant' && node.value === 0n;
  if (x.kind === 'pointer' && y.kind === 'pointer') {
    if (isVoid(x.target())) return isNull(a) ? b.type : a.type;
    if (isVoid(y.target())) return isNull(b) ? a.type : b.type;
    return typeName(stripType(x.target())) === typeName(stripType(y.target())) ? a.type : undefined;
  }
  if (x.kind === 'pointer' && isNull(b)) return a.type;
  return y.kind === 'pointer' && isNull(a) ? b.type : undefined;
}
