/** Comparisons of strings in the target with literals: `==`, `!=`, `startsWith`, `contains`, `matches`. */
import { compareText, type TextOperator } from '../../format/decision/text.js';
import {
  compileRegularExpression,
  type RegularExpression,
  regularExpressionHint,
} from '../../format/regular-expression.js';
import { isVoid, sizeOf, stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { StringView } from '../types/view.js';
import { viewOf } from '../types/views.js';
import type { CallExpression } from './ast.js';
import { intType, isText } from './c-types.js';
import type { Checker } from './check.js';
import { heldNode } from './check-view.js';
import { constantNode, decay, dereferenceNode, placeOf, type Place } from './convert.js';
import { badExpression } from './syntax-error.js';
import type { CountedText, StringNode, Typed } from './typed.js';
import { dataNode, lengthNode, withObject } from './view-node.js';

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
  const counted = countedText(subject);
  if (counted !== undefined) {
    const { view, object, unitBytes } = counted;
    const units = inUnits(wanted, unitBytes);
    const regular = pattern === undefined ? {} : { pattern };
    return withObject(object, (near): Typed => {
      const parts = { subject: dataNode(view, near), length: lengthNode(view, near), unitBytes };
      return { kind: 'text', operator, ...parts, literal: units, ...regular, type: intType, ...place };
    });
  }
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
    unitBytes: 1,
    literal: wanted,
    ...(pattern === undefined ? {} : { pattern }),
    type: intType,
    ...place,
  };
}

/** Two strings that know their lengths; undefined where one of them is none. */
export function textsNode(operator: '==' | '!=', left: Typed, right: Typed, place: Place): Typed | undefined {
  const [a, b] = [countedText(left), countedText(right)];
  if (a === undefined || b === undefined || a.unitBytes !== b.unitBytes) return undefined;
  const side = ({ view, object }: typeof a): CountedText => ({
    subject: dataNode(view, object),
    length: lengthNode(view, object),
  });
  const { unitBytes } = a;
  return { kind: 'texts', operator, left: side(a), right: side(b), unitBytes, type: intType, ...place };
}

/** A string that knows its length, also behind pointers and wrappers. */
export function countedText(
  subject: Typed,
): { readonly view: StringView; readonly object: Typed; readonly unitBytes: 1 | 2 | 4 } | undefined {
  let at = subject;
  for (let i = 0; i < maxHolders; i++) {
    const view = viewOf(at.type);
    if (view?.kind === 'string') {
      const unitBytes = sizeOf(view.unit);
      if (unitBytes !== 1 && unitBytes !== 2 && unitBytes !== 4) return undefined;
      return { view, object: at, unitBytes };
    }
    const plain = stripType(at.type);
    const held = view?.kind === 'pointer' || view?.kind === 'wrapper' ? heldNode(at) : undefined;
    if (held !== undefined) at = held;
    else if (plain.kind === 'pointer' && viewOf(plain.target()) !== undefined)
      at = dereferenceNode(at, placeOf(at));
    else return undefined;
  }
  return undefined;
}

/** Pointers to pointers to strings. */
const maxHolders = 8;

/** UTF-8 as the subject's characters are: `char16_t` in UTF-16, wider ones in UTF-32. */
function inUnits(bytes: Uint8Array, unitBytes: 1 | 2 | 4): Uint8Array {
  if (unitBytes === 1) return bytes;
  const text = new TextDecoder().decode(bytes);
  if (unitBytes === 2) return Uint8Array.from(Buffer.from(text, 'utf16le'));
  const points = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  return new Uint8Array(Uint32Array.from(points).buffer);
}

function regularExpression(literal: StringNode): RegularExpression {
  const source = new TextDecoder().decode(literal.bytes.subarray(0, -1));
  const compiled = compileRegularExpression(source, { dotAll: true });
  if (!('invalid' in compiled)) return compiled;
  throw badExpression(`invalid regular expression: ${compiled.invalid.replaceAll('`', '"')}`, literal.span, {
    hint: regularExpressionHint,
  });
}
