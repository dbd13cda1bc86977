/** Comparisons of strings in the target with literals: `==`, `!=`, `startsWith`, `contains`, `matches`. */
import { isVoid, stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { CallExpression } from './ast.js';
import { intType, isText } from './c-types.js';
import type { Checker } from './check.js';
import { constantNode, decay, type Place } from './convert.js';
import { badExpression } from './syntax-error.js';
import { compareText } from './text.js';
import type { StringNode, TextOperator, Typed } from './typed.js';

export const textOperators: ReadonlySet<string> = new Set(['startsWith', 'contains', 'matches']);

function textOperator(name: string): TextOperator {
  return name === 'startsWith' ? 'startsWith' : name === 'contains' ? 'contains' : 'matches';
}

export function checkText(checker: Checker, expression: CallExpression): Typed {
  const { callee, calleeSpan, method } = expression;
  const [subject, literal, ...more] = expression.arguments;
  if (subject === undefined || literal === undefined || more.length > 0) {
    const usage = method ? `s.${callee}("text")` : `${callee}(s, "text")`;
    throw badExpression(`"${callee}" takes a string and a literal`, calleeSpan, { hint: `write ${usage}` });
  }
  const text = checker.check(literal);
  if (text.kind !== 'string') {
    throw badExpression(`"${callee}" needs a string literal, not "${typeName(text.type)}"`, text.span);
  }
  return textNode(textOperator(callee), checker.check(subject), text, checker.place(expression));
}

export function textNode(operator: TextOperator, subject: Typed, literal: StringNode, place: Place): Typed {
  const wanted = literal.bytes.subarray(0, -1);
  const pattern = operator === 'matches' ? regularExpression(literal) : undefined;
  if ((operator === '==' || operator === '!=' || operator === 'startsWith') && wanted.includes(0)) {
    throw badExpression('a string to compare with cannot hold a NUL', literal.span);
  }
  if (subject.kind === 'string') {
    const value = compareText(operator, subject.bytes.subarray(0, -1), wanted, pattern) ? 1n : 0n;
    return constantNode(value, intType, place);
  }
  if (!isText(subject.type)) {
    const plain = stripType(subject.type);
    const hint =
      plain.kind === 'pointer' && isVoid(plain.target()) ? `cast it: (char *)${subject.path}` : undefined;
    throw badExpression(`cannot compare "${typeName(subject.type)}" with a string`, subject.span, {
      hint: plain.kind === 'enum' ? 'compare with an enumerator, without quotes' : hint,
    });
  }
  const value = stripType(subject.type).kind === 'array' ? subject : decay(subject);
  return {
    kind: 'text',
    operator,
    subject: value,
    literal: wanted,
    ...(pattern === undefined ? {} : { pattern }),
    type: intType,
    ...place,
  };
}

function regularExpression(literal: StringNode): RegExp {
  const source = new TextDecoder().decode(literal.bytes.subarray(0, -1));
  try {
    return new RegExp(source, 's');
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, '') : '';
    throw badExpression(`invalid regular expression: ${why}`, literal.span);
  }
}
