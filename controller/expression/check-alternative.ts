/** `state == State::Done`, `answer == Some(3)`: whether an object is one of its alternatives, called by the path that the program writes. */
import { typeName } from '../types/type-name.js';
import type { Alternative, VariantView } from '../types/view.js';
import { unqualified } from '../symbols/qualified-name.js';
import { canonicalName, matchName, nameParts } from '../symbols/template-name.js';
import type { BinaryExpression, CallExpression, Expression, NameExpression } from './ast.js';
import { intType } from './c-types.js';
import type { Checker } from './check.js';
import type { Place } from './convert.js';
import { badExpression } from './syntax-error.js';
import type { Typed } from './typed.js';
import { alternativeNode, isAlternative, viewedAs } from './view-node.js';

type Compare = (left: Typed, right: Typed) => Typed;

/** Undefined where no side names an alternative of the other. `compare` is for what the alternatives hold. */
export function checkAlternative(
  checker: Checker,
  expression: BinaryExpression,
  compare: Compare,
): Typed | undefined {
  const { operator, left, right } = expression;
  if (operator !== '==' && operator !== '!=') return undefined;
  const place = checker.place(expression);
  const found =
    isOneOf(checker, left, right, { place, compare }) ?? isOneOf(checker, right, left, { place, compare });
  if (found === undefined || operator === '==') return found;
  return { kind: 'not', operand: found, type: intType, ...place };
}

interface Context {
  readonly place: Place;
  readonly compare: Compare;
}

function isOneOf(
  checker: Checker,
  subject: Expression,
  wanted: Expression,
  { place, compare }: Context,
): Typed | undefined {
  const path = pathOf(wanted);
  if (path === undefined || checker.scope.findVariable(path) !== undefined) return undefined;
  const object = checker.check(subject);
  const view = viewedAs(object, 'variant');
  const alternative = view?.alternatives.find((each) => isCalled(each, path, typeName(object.type)));
  if (view === undefined || alternative === undefined) return undefined;
  const isThat = isAlternative(view, [alternative], object, place);
  if (wanted.kind === 'name') return withoutContent(view, alternative, wanted) ?? isThat;
  const [value] = wanted.kind === 'call' ? wanted.arguments : [];
  const held = alternativeNode(view, alternative, object, place);
  if (value === undefined || held === undefined) {
    throw badExpression(`"${path}" holds no value`, { start: wanted.start, end: wanted.end });
  }
  const isSame = compare(held, checker.check(value));
  return { kind: 'logical', operator: '&&', left: isThat, right: isSame, type: intType, ...place };
}

function pathOf(expression: Expression): string | undefined {
  const isPath = (each: NameExpression | CallExpression): boolean =>
    each.kind === 'name'
      ? !each.global && each.file === undefined
      : !each.method && each.arguments.length === 1;
  if (expression.kind !== 'name' && expression.kind !== 'call') return undefined;
  if (!isPath(expression)) return undefined;
  return expression.kind === 'name' ? expression.name : expression.callee;
}

/** `Some`, `Option::Some`, `core::option::Option::Some` of `core::option::Option<i32>`. */
function isCalled({ name }: Alternative, path: string, type: string): boolean {
  const own = unqualified(path);
  if (own !== name) return false;
  if (own === path) return true;
  const scope = path.slice(0, path.length - own.length - 2).replace(/^(?:crate|self)::/, '');
  return (
    matchName(nameParts(canonicalName(type)), nameParts(canonicalName(scope)), () => false) !== undefined
  );
}

/** Whether one is what another is says nothing of what they hold. */
function withoutContent(view: VariantView, alternative: Alternative, wanted: NameExpression): undefined {
  if (alternative.content === undefined) return undefined;
  const index = view.alternatives.indexOf(alternative);
  throw badExpression(`"${wanted.name}" holds a value, and no value is compared here`, wanted, {
    hint: `compare with ${wanted.name}(VALUE), or ask which it is: .index() == ${index}`,
  });
}
