/**
 * Methods and functions that are read and never called: `v.size()`, `len(s)`, `opt.value()`, `p.use_count()`. Each name means one thing, whatever the language, and
 * which objects have it their views say.
 */
import { sizeOf, stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { Type } from '../types/type.js';
import type { Alternative, View } from '../types/view.js';
import { viewOf } from '../types/views.js';
import type { CallExpression } from './ast.js';
import { intType, longType, unsignedLongType } from './c-types.js';
import type { Checker } from './check.js';
import { castNode } from './check-cast.js';
import { pointingTo, typeCalled } from './check-type.js';
import { heldNode, indexView, lookupKey, recordMember, valueOf } from './check-view.js';
import { checkText, textOperators } from './check-text.js';
import { arithmeticNode, constantNode, convert, dereferenceNode, placeOf, type Place } from './convert.js';
import { badExpression } from './syntax-error.js';
import type { Typed } from './typed.js';
import {
  alternativeIndex,
  alternativeNode,
  compareNode,
  contentNode,
  dataNode,
  elementNode,
  emptinessNode,
  isAlternative,
  lengthNode,
  pointerNode,
  recipeNode,
} from './view-node.js';

type Meaning =
  | 'length'
  | 'capacity'
  | 'empty'
  | 'first'
  | 'last'
  | 'at'
  | 'data'
  | 'value'
  | 'error'
  | 'has-value'
  | 'has-none'
  | 'has-error'
  | 'index'
  | 'contains'
  | 'count';

const meanings: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['size', 'length'],
  ['length', 'length'],
  ['len', 'length'],
  ['capacity', 'capacity'],
  ['cap', 'capacity'],
  ['empty', 'empty'],
  ['is_empty', 'empty'],
  ['front', 'first'],
  ['first', 'first'],
  ['back', 'last'],
  ['last', 'last'],
  ['at', 'at'],
  ['data', 'data'],
  ['c_str', 'data'],
  ['as_ptr', 'data'],
  ['get', 'value'],
  ['value', 'value'],
  ['unwrap', 'value'],
  ['load', 'value'],
  ['error', 'error'],
  ['unwrap_err', 'error'],
  ['err', 'error'],
  ['has_value', 'has-value'],
  ['is_some', 'has-value'],
  ['is_ok', 'has-value'],
  ['is_none', 'has-none'],
  ['is_err', 'has-error'],
  ['index', 'index'],
  ['contains', 'contains'],
  ['contains_key', 'contains'],
  ['count', 'count'],
]);

/** What is called without an object: Go's, and C++'s `std::size(v)` and its like. */
const functions: ReadonlySet<string> = new Set(['len', 'cap', 'size', 'empty']);
const oneArgument: ReadonlySet<Meaning> = new Set(['at', 'contains', 'count']);

export function checkCall(checker: Checker, expression: CallExpression): Typed {
  const { callee, calleeSpan, method } = expression;
  const [first] = expression.arguments;
  const name = callee.replace(/^std::/, '');
  const converted = conversion(checker, expression);
  if (converted !== undefined) return converted;
  if (first !== undefined && (method || functions.has(name))) {
    const node = checkMethod(checker, name, expression);
    if (node !== undefined) return node;
  }
  if (textOperators.has(callee)) return checkText(checker, expression);
  throw badExpression(`cannot call "${callee}": expressions never call into the target`, calleeSpan, {
    hint: `what can be called: ${[...textOperators].join(', ')}`,
  });
}

/** `T(x)` of C++, `pkg.T(x)` of Go: a cast. Undefined where what is called is no type. */
function conversion(checker: Checker, expression: CallExpression): Typed | undefined {
  const { callee, calleeSpan, method } = expression;
  const operands = expression.arguments;
  const [first, second] = operands;
  const operand = method ? second : first;
  if (operand === undefined || operands.length !== (method ? 2 : 1)) return undefined;
  if (method && (first?.kind !== 'name' || checker.scope.findVariable(first.name) !== undefined))
    return undefined;
  const name = method && first?.kind === 'name' ? `${first.name}.${callee}` : callee;
  if (!method && (meanings.has(callee) || textOperators.has(callee))) return undefined;
  const isOther = checker.scope.findVariable(name) !== undefined;
  const type = isOther ? undefined : pointingTo(calleeSpan, () => typeCalled(name, checker.scope));
  if (type === undefined) return undefined;
  return castNode(checker.check(operand), type, 'conversion', checker.place(expression));
}

/** Undefined where it is none of these, and perhaps something else. */
function checkMethod(checker: Checker, name: string, expression: CallExpression): Typed | undefined {
  const [subject, ...rest] = expression.arguments;
  if (subject === undefined) return undefined;
  const place = checker.place(expression);
  const meaning = meanings.get(name);
  const object = checker.check(subject);
  if (textOperators.has(name) && !(meaning === 'contains' && hasElements(object))) return undefined;
  const call: Call = { checker, name, meaning, expression, place, isFunction: !expression.method };
  const found = methodOf(object, call, 0);
  if (found === undefined) {
    // What has no view has methods that only the program could call.
    const view = nearestView(object);
    if (view === undefined) return undefined;
    const names = methodsOf(view, 0);
    throw badExpression(
      `"${typeName(object.type)}" has no method "${name}" that can be read`,
      expression.calleeSpan,
      { candidates: names, hint: `what can be read of it: ${names.join(', ')}` },
    );
  }
  const expected = meaning !== undefined && oneArgument.has(meaning) ? 1 : 0;
  if (rest.length !== expected) {
    const takes = expected === 0 ? 'no argument' : 'one argument';
    throw badExpression(`"${name}" takes ${takes}`, expression.calleeSpan);
  }
  return found;
}

/** A string that is asked what it contains is one of those that `contains` always knew. */
function hasElements(object: Typed): boolean {
  const kind = nearestView(object)?.kind;
  return kind === 'map' || kind === 'walked' || kind === 'sequence';
}

function nearestView(object: Typed, nesting = 0): View | undefined {
  const view = viewOf(object.type);
  if (view === undefined) {
    const plain = stripType(object.type);
    return plain.kind === 'pointer' ? viewOf(plain.target()) : undefined;
  }
  if (nesting > maxViews || (view.kind !== 'pointer' && view.kind !== 'wrapper')) return view;
  const held = heldNode(object);
  return (held === undefined ? undefined : nearestView(held, nesting + 1)) ?? view;
}

/** Views within views: of types, so that only hostile ones come near. */
const maxViews = 16;

interface Call {
  readonly checker: Checker;
  readonly name: string;
  readonly meaning: Meaning | undefined;
  readonly expression: CallExpression;
  readonly place: Place;
  readonly isFunction: boolean;
}

function methodOf(object: Typed, call: Call, nesting: number): Typed | undefined {
  if (nesting > maxViews) return undefined;
  const view = viewOf(object.type);
  const plain = stripType(object.type);
  if (view === undefined) {
    const isLength =
      call.meaning === 'length' ||
      (call.meaning === 'capacity' && plain.kind === 'array' && plain.name !== undefined);
    if (plain.kind === 'array' && isLength && plain.count !== undefined) {
      return constantNode(BigInt(plain.count), lengthType(call), call.place);
    }
    if (plain.kind !== 'pointer' || viewOf(plain.target()) === undefined) return undefined;
    return methodOf(dereferenceNode(object, placeOf(object)), call, nesting + 1);
  }
  const own = ownMethod(view, object, call);
  if (own !== undefined) return own;
  const held = view.kind === 'pointer' || view.kind === 'wrapper' ? heldNode(object) : undefined;
  return held === undefined ? undefined : methodOf(held, call, nesting + 1);
}

/** Lengths are unsigned, but for Go's `len` and `cap`. */
function lengthType(call: Call): Type {
  return call.isFunction ? longType : unsignedLongType;
}

function ownMethod(view: View, object: Typed, call: Call): Typed | undefined {
  const { meaning, place, checker, expression } = call;
  switch (view.kind) {
    case 'string':
    case 'sequence':
      return sequenceMethod(view, object, call);
    case 'walked':
      switch (meaning) {
        case 'first': {
          const index = constantNode(0n, longType, place);
          return { kind: 'view-element', object, view, index, type: view.element(), ...place };
        }
        case 'last':
          return { kind: 'view-element', object, view, type: view.element(), ...place };
        case 'at':
          return indexedBy(object, call);
        case 'contains':
        case 'count':
          return counted(checker, view, object, view.element(), expression, place, meaning);
        case 'capacity': {
          const fact = view.facts?.find(({ name }) => name === 'cap');
          return fact === undefined
            ? undefined
            : { ...convert(recipeNode(fact.value, object), lengthType(call)), ...place };
        }
        case 'data':
        case 'empty':
        case 'error':
        case 'has-error':
        case 'has-none':
        case 'has-value':
        case 'index':
        case 'length':
        case 'value':
        case undefined:
          return walkedLength(view, object, call) ?? factMethod(view.facts, object, call);
      }
    case 'map':
      if (meaning === 'at') return indexedBy(object, call);
      if (meaning === 'contains' || meaning === 'count') {
        return counted(checker, view, object, view.key(), expression, place, meaning);
      }
      return walkedLength(view, object, call);
    case 'variant':
      return variantMethod(view, object, call);
    case 'pointer':
      if (call.name === 'get' || call.name === 'data' || call.name === 'as_ptr') {
        return { ...pointerNode(view, object), ...place };
      }
      return factMethod(view.facts, object, call);
    case 'wrapper':
      if (meaning === 'value') return { ...contentNode(view.content, object, place) };
      return factMethod(view.facts, object, call);
    case 'record':
      return recordMember(object, call.name, place);
    case 'dynamic': {
      const empty = emptinessNode(object, place);
      if (empty === undefined) return undefined;
      if (meaning === 'has-none') return empty;
      return meaning === 'has-value' ? { kind: 'not', operand: empty, type: intType, ...place } : undefined;
    }
  }
}

function factMethod(
  facts: Extract<View, { kind: 'pointer' }>['facts'],
  object: Typed,
  { name, place }: Call,
): Typed | undefined {
  const fact = facts?.find((each) => each.name === name);
  return fact === undefined ? undefined : { ...convert(recipeNode(fact.value, object), longType), ...place };
}

function sequenceMethod(
  view: Extract<View, { kind: 'string' | 'sequence' }>,
  object: Typed,
  call: Call,
): Typed | undefined {
  const { meaning, place, checker, expression } = call;
  const length = lengthNode(view, object);
  const zero = constantNode(0n, unsignedLongType, place);
  switch (meaning) {
    case 'length':
      return { ...convert(length, lengthType(call)), ...place };
    case 'capacity':
      return view.capacity === undefined
        ? undefined
        : { ...convert(recipeNode(view.capacity, object), lengthType(call)), ...place };
    case 'empty':
      return { ...compareNode('==', length, zero, place) };
    case 'first':
      return elementNode(view, object, constantNode(0n, longType, place), place);
    case 'last': {
      const one = constantNode(1n, unsignedLongType, place);
      const index = convert(arithmeticNode('-', length, one, place), longType);
      return elementNode(view, object, index, place);
    }
    case 'at':
      return indexedBy(object, call);
    case 'data':
      return { ...dataNode(view, object), ...place };
    case 'contains':
    case 'count':
      return view.kind === 'string'
        ? undefined
        : counted(checker, view, object, view.element(), expression, place, meaning);
    case 'error':
    case 'has-error':
    case 'has-none':
    case 'has-value':
    case 'index':
    case 'value':
    case undefined:
      return undefined;
  }
}

function indexedBy(object: Typed, { checker, expression }: Call): Typed | undefined {
  const [subject, index] = expression.arguments;
  if (subject === undefined || index === undefined) {
    throw badExpression(`"${expression.callee}" takes one argument`, expression.calleeSpan);
  }
  const { start, end } = expression;
  return indexView(checker, object, { kind: 'index', object: subject, index, start, end });
}

function counted(
  checker: Checker,
  view: Extract<View, { kind: 'walked' | 'map' | 'sequence' }>,
  object: Typed,
  type: Type,
  expression: CallExpression,
  place: Place,
  meaning: 'contains' | 'count',
): Typed {
  const [, wanted, ...more] = expression.arguments;
  if (wanted === undefined || more.length > 0) {
    throw badExpression(`"${expression.callee}" takes one argument`, expression.calleeSpan);
  }
  const key = lookupKey(checker, type, wanted);
  const count: Typed = { kind: 'view-count', object, view, key, type: unsignedLongType, ...place };
  if (meaning === 'count') return count;
  return compareNode('!=', count, constantNode(0n, unsignedLongType, place), place);
}

function walkedLength(
  view: Extract<View, { kind: 'walked' | 'map' }>,
  object: Typed,
  call: Call,
): Typed | undefined {
  const { meaning, place } = call;
  if (meaning !== 'length' && meaning !== 'empty') return undefined;
  const length: Typed =
    view.length === undefined
      ? { kind: 'view-count', object, view, type: unsignedLongType, ...place }
      : recipeNode(view.length, object);
  if (meaning === 'length') return { ...convert(length, lengthType(call)), ...place };
  return compareNode('==', length, constantNode(0n, unsignedLongType, place), place);
}

function variantMethod(
  view: Extract<View, { kind: 'variant' }>,
  object: Typed,
  { meaning, place }: Call,
): Typed | undefined {
  const having = (role: Alternative['role']): Typed | undefined => {
    const alternatives = view.alternatives.filter((each) => each.role === role);
    return alternatives.length === 0 ? undefined : isAlternative(view, alternatives, object, place);
  };
  switch (meaning) {
    case 'has-value':
      return having('value');
    case 'has-none':
      return having('empty');
    case 'has-error':
      return having('error');
    case 'value':
      return valueOf(view, object, place);
    case 'error': {
      const found = view.alternatives.find(({ role, content }) => role === 'error' && content !== undefined);
      return found === undefined ? undefined : alternativeNode(view, found, object, place);
    }
    case 'index':
      return alternativeIndex(view, object, place);
    case 'at':
    case 'capacity':
    case 'contains':
    case 'count':
    case 'data':
    case 'empty':
    case 'first':
    case 'last':
    case 'length':
    case undefined:
      return undefined;
  }
}

/** For people. */
function methodsOf(view: View, nesting: number): string[] {
  const facts = (list: Extract<View, { kind: 'pointer' }>['facts']): string[] =>
    (list ?? []).map(({ name }) => `${name}()`);
  switch (view.kind) {
    case 'string':
      return ['size()', 'empty()', 'at(i)', 'data()', 'startsWith("…")', 'contains("…")', 'matches("…")'];
    case 'sequence':
      return ['size()', 'empty()', 'front()', 'back()', 'at(i)', 'data()', 'contains(x)', 'count(x)'];
    case 'walked': {
      const all = ['size()', 'empty()', 'front()', 'back()', 'at(i)', 'contains(x)', 'count(x)'];
      return [...all, ...facts(view.facts)];
    }
    case 'map':
      return ['size()', 'empty()', 'at(key)', 'contains(key)', 'count(key)'];
    case 'variant': {
      const roles = new Set(view.alternatives.map(({ role }) => role));
      return [
        ...(roles.has('value') ? ['has_value()', 'value()'] : []),
        ...(roles.has('empty') ? ['is_none()'] : []),
        ...(roles.has('error') ? ['is_err()', 'error()'] : []),
        'index()',
      ];
    }
    case 'pointer':
      return ['get()', ...facts(view.facts), ...inner(view.target(), nesting)];
    case 'wrapper':
      return ['value()', ...facts(view.facts), ...inner(view.content.type(), nesting)];
    case 'record':
      return view.fields.map(({ name }) => `${name}()`);
    case 'dynamic':
      return view.isNone === undefined ? [] : ['is_none()', 'has_value()'];
  }
}

function inner(type: Type, nesting: number): string[] {
  const view = nesting < maxViews && sizeOf(type) !== undefined ? viewOf(type) : undefined;
  return view === undefined ? [] : methodsOf(view, nesting + 1);
}
