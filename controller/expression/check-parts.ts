/**
 * Arithmetic on what has several numbers: vectors of the machine, part by part as compilers do it, and complex numbers. Each part of the result is
 * an expression of its own, so that evaluating and collecting need no rules for them.
 */
import { sizeOf, stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { ArrayType, BaseType, Type } from '../types/type.js';
import type { BinaryExpression } from './ast.js';
import {
  doubleType,
  floatType,
  intType,
  isIntegral,
  longDoubleType,
  longType,
  numericOf,
} from './c-types.js';
import {
  arithmeticNode,
  balanced,
  complemented,
  constantNode,
  convert,
  negated,
  promoted,
  shiftNode,
  type Place,
} from './convert.js';
import { badExpression } from './syntax-error.js';
import { isPlaced, type PartsNode, type Typed } from './typed.js';

/** Of what compilers make at most: 64 bytes of characters. */
const maxParts = 64;

interface Vector {
  readonly type: ArrayType;
  readonly element: Type;
  readonly count: number;
}

function asVector(type: Type): Vector | undefined {
  const plain = stripType(type);
  if (plain.kind !== 'array' || plain.vector !== true) return undefined;
  const { count } = plain;
  const element = plain.element();
  if (count === undefined || count > maxParts || numericOf(element) === undefined) return undefined;
  return { type: plain, element, count };
}

function asComplex(type: Type): BaseType | undefined {
  const plain = stripType(type);
  return plain.kind === 'base' && plain.encoding === 'complex-float' ? plain : undefined;
}

/** Undefined where no side has parts. Throws where the two do not go together. */
export function partsBinary(
  left: Typed,
  right: Typed,
  expression: BinaryExpression,
  place: Place,
): Typed | undefined {
  const vector = asVector(left.type) ?? asVector(right.type);
  if (vector !== undefined)
    return bounded(vectorBinary(vector, left, right, expression, place), 'too many sums of vectors');
  const complex = asComplex(left.type) ?? asComplex(right.type);
  if (complex === undefined) return undefined;
  return bounded(complexBinary(left, right, expression, place), 'too many products of complex numbers');
}

/** `-v`, `~v`, `+v`; undefined where it has no parts. */
export function partsUnary(operator: '+' | '-' | '~', operand: Typed, place: Place): Typed | undefined {
  const vector = asVector(operand.type);
  if (vector === undefined && asComplex(operand.type) === undefined) return undefined;
  if (operator === '+') return { ...operand, ...place };
  const parts = partsOf(operand, place);
  const [real, imaginary] = parts;
  if (vector === undefined) {
    if (real === undefined || imaginary === undefined) return undefined;
    // As in GNU C, `~` of a complex number is its conjugate.
    const first = operator === '~' ? real : negated(real, place);
    return complexNode(first, negated(imaginary, place), place);
  }
  if (operator === '~' && !isIntegral(vector.element)) {
    throw badExpression(`cannot apply "~" to "${typeName(operand.type)}"`, operand.span);
  }
  const each = (part: Typed): Typed => (operator === '-' ? negated(part, place) : complemented(part, place));
  return { kind: 'parts', parts: parts.map(each), type: vector.type, ...place };
}

type Arithmetic = '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^';
const arithmeticOperators: ReadonlySet<string> = new Set(['+', '-', '*', '/', '%', '&', '|', '^']);

function isArithmeticOperator(operator: BinaryExpression['operator']): operator is Arithmetic {
  return arithmeticOperators.has(operator);
}

function vectorBinary(
  vector: Vector,
  left: Typed,
  right: Typed,
  expression: BinaryExpression,
  place: Place,
): Typed {
  const { operator, operatorSpan } = expression;
  const refuse = (): Error =>
    badExpression(
      `cannot apply "${operator}" to "${typeName(left.type)}" and "${typeName(right.type)}"`,
      operatorSpan,
    );
  const onIntegers = operator !== '+' && operator !== '-' && operator !== '*' && operator !== '/';
  const shifts = operator === '<<' || operator === '>>';
  if ((!shifts && !isArithmeticOperator(operator)) || (onIntegers && !isIntegral(vector.element)))
    throw refuse();
  const widened = (node: Typed): readonly Typed[] => {
    const own = asVector(node.type);
    if (own !== undefined) {
      const fits = own.count === vector.count && sizeOf(own.element) === sizeOf(vector.element);
      if (!fits || isIntegral(own.element) !== isIntegral(vector.element)) throw refuse();
      return partsOf(node, place);
    }
    // A number that is no vector stands for one of equal parts; gcc refuses what would lose something.
    if (numericOf(node.type) === undefined || stripType(node.type).kind === 'pointer') throw refuse();
    if (!isIntegral(node.type) && isIntegral(vector.element)) throw refuse();
    const part = convert(promoted(node), vector.element);
    return Array.from({ length: vector.count }, () => part);
  };
  const [a, b] = [widened(left), widened(right)];
  const parts = a.map((part, i) => {
    const other = b[i] ?? part;
    return shifts ? shiftNode(operator, part, other, place) : arithmeticNode(operator, part, other, place);
  });
  return { kind: 'parts', parts, type: asVector(left.type)?.type ?? vector.type, ...place };
}

/** C11 6.5.5 and 6.5.6, with the products as gdb and a compiler without Annex G write them. */
function complexBinary(left: Typed, right: Typed, expression: BinaryExpression, place: Place): Typed {
  const { operator, operatorSpan } = expression;
  const refuse = (): Error =>
    badExpression(
      `cannot apply "${operator}" to "${typeName(left.type)}" and "${typeName(right.type)}"`,
      operatorSpan,
    );
  const isReal = (node: Typed): boolean =>
    numericOf(node.type) !== undefined && stripType(node.type).kind !== 'pointer';
  for (const side of [left, right]) if (asComplex(side.type) === undefined && !isReal(side)) throw refuse();
  const [a, b] = partsOf(left, place);
  const [c = zeroOf(right, place), d = zeroOf(right, place)] = partsOf(right, place);
  if (a === undefined || b === undefined) throw refuse();
  const on = (one: '+' | '-' | '*' | '/', x: Typed, y: Typed): Typed => {
    const [first, second] = balanced(x, y);
    return arithmeticNode(one, first, second, place);
  };
  const sum = (x: Typed, y: Typed): Typed => on('+', x, y);
  const product = (x: Typed, y: Typed): Typed => on('*', x, y);
  switch (operator) {
    case '+':
    case '-':
      return complexNode(on(operator, a, c), on(operator, b, d), place);
    case '*':
      return complexNode(on('-', product(a, c), product(b, d)), sum(product(a, d), product(b, c)), place);
    case '/': {
      const square = sum(product(c, c), product(d, d));
      const real = sum(product(a, c), product(b, d));
      const imaginary = on('-', product(b, c), product(a, d));
      return complexNode(on('/', real, square), on('/', imaginary, square), place);
    }
    case '==':
    case '!=': {
      const equal = (x: Typed, y: Typed): Typed => {
        const [first, second] = balanced(x, y);
        return { kind: 'compare', operator: '==', left: first, right: second, type: intType, ...place };
      };
      const both: Typed = {
        kind: 'logical',
        operator: '&&',
        left: equal(a, c),
        right: equal(b, d),
        type: intType,
        ...place,
      };
      return operator === '==' ? both : { kind: 'not', operand: both, type: intType, ...place };
    }
    case '%':
    case '&':
    case '|':
    case '^':
    case '<<':
    case '>>':
    case '<':
    case '<=':
    case '>':
    case '>=':
    case '&&':
    case '||':
      throw refuse();
  }
}

function complexNode(real: Typed, imaginary: Typed, place: Place): PartsNode {
  const [a, b] = balanced(real, imaginary);
  const size = sizeOf(a.type) ?? 8;
  const type: BaseType = {
    kind: 'base',
    name: `complex ${typeName(a.type)}`,
    byteSize: size * 2,
    encoding: 'complex-float',
  };
  return { kind: 'parts', parts: [a, b], type, ...place };
}

/** What evaluating a node takes, in nodes: shared ones count each time, for they are computed each time, and a chain of products or of elements of sums doubles and doubles. */
const weights = new WeakMap<Typed, number>();
const maxWeight = 100_000;

function weightOf(node: Typed): number {
  const known = weights.get(node);
  if (known !== undefined) return known;
  let weight = 1;
  for (const value of Object.values(node).flat()) if (isNode(value)) weight += weightOf(value);
  weight = Math.min(weight, maxWeight + 1);
  weights.set(node, weight);
  return weight;
}

/** Nodes stand in the text; types and variables do not. */
function isNode(value: unknown): value is Typed {
  return typeof value === 'object' && value !== null && 'kind' in value && 'span' in value;
}

export function bounded(node: Typed, why: string): Typed {
  if (weightOf(node) > maxWeight) throw badExpression(why, node.span);
  return node;
}

const componentTypes: ReadonlyMap<number, Type> = new Map([
  [4, floatType],
  [8, doubleType],
  [16, longDoubleType],
]);

function componentOf(complex: BaseType): Type {
  const component = componentTypes.get(complex.byteSize / 2) ?? doubleType;
  const isWide = complex.isBinary128 === true || complex.name.includes('128');
  return isWide && component === longDoubleType
    ? { kind: 'base', name: '_Float128', byteSize: 16, encoding: 'float', isBinary128: true }
    : component;
}

function zeroOf(node: Typed, place: Place): Typed {
  const [real] = partsOf(node, place);
  return real === undefined
    ? constantNode(0n, longType, place)
    : convert(constantNode(0n, longType, place), real.type);
}

/** The numbers of a vector or a complex number; of any other number itself and, as its imaginary part, zero. */
function partsOf(node: Typed, place: Place): readonly Typed[] {
  if (node.kind === 'parts') return node.parts;
  const vector = asVector(node.type);
  const complex = asComplex(node.type);
  if (vector === undefined && complex === undefined) {
    const real = promoted(node);
    return [real, convert(constantNode(0n, longType, place), real.type)];
  }
  const element = complex === undefined ? (vector?.element ?? doubleType) : componentOf(complex);
  const size = sizeOf(element) ?? 1;
  if (!isPlaced(node)) throw badExpression(`"${node.path}" cannot be taken apart`, node.span);
  return Array.from({ length: vector?.count ?? 2 }, (_, i) => ({
    kind: 'element',
    array: node,
    index: constantNode(BigInt(i), longType, place),
    size,
    type: element,
    ...place,
    path: node.path,
  }));
}
