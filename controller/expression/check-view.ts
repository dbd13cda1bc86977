/** `*p`, `p->m`, `v[i]`, `m["key"]`, `v[0:10]` on objects with views: what a person writes reaches what the object holds. */
import { hasMember } from '../types/class-member.js';
import { sizeOf, stripType } from '../types/layout.js';
import { languageOf } from '../types/language.js';
import { typeName } from '../types/type-name.js';
import type { ArrayType, Type } from '../types/type.js';
import type { VariantView } from '../types/view.js';
import { viewOf } from '../types/views.js';
import type { Expression, IndexExpression, SliceExpression } from './ast.js';
import { longType, numericOf, unsignedLongType } from './c-types.js';
import type { Checker } from './check.js';
import {
  arithmeticNode,
  constantNode,
  convert,
  dereferenceNode,
  offsetNode,
  placeOf,
  promoted,
  strideOf,
  throughReference,
  type Place,
} from './convert.js';
import { didYouMean, nearMatches } from './near-match.js';
import { badExpression } from './syntax-error.js';
import type { LookupKey, Typed } from './typed.js';
import {
  alternativeNode,
  asOperand,
  contentNode,
  dataNode,
  elementNode,
  elementOf,
  lengthNode,
  pointerNode,
  withObject,
} from './view-node.js';
import { wholeOf } from './scalar.js';

/** Views within views: of types, so that only hostile ones come near. */
const maxViews = 16;

/** What `*x` is of an object that points to another or holds one: undefined where its view knows of none. */
export function heldNode(object: Typed, place: Place = placeOf(object)): Typed | undefined {
  const view = viewOf(object.type);
  switch (view?.kind) {
    case 'pointer': {
      const { kind } = stripType(view.target());
      if (kind === 'void' || kind === 'unknown') return undefined;
      return dereferenceNode(pointerNode(view, object), place);
    }
    case 'wrapper':
      return contentNode(view.content, object, place);
    case 'variant':
      return valueOf(view, object, place);
    case 'dynamic':
    case 'map':
    case 'record':
    case 'sequence':
    case 'string':
    case 'walked':
    case undefined:
      return undefined;
  }
}

/** The value of an optional or a result. */
export function valueOf(view: VariantView, object: Typed, place: Place): Typed | undefined {
  const found = view.alternatives.find(({ role, content }) => role === 'value' && content !== undefined);
  return found === undefined ? undefined : alternativeNode(view, found, object, place);
}

/** The object that has a member: the object itself, or what it holds. In Rust what it holds comes first, as there nobody sees its own. */
export function ownerOf(object: Typed, name: string, arrow: boolean): Typed {
  let at = object;
  for (let i = 0; i < maxViews; i++) {
    const view = viewOf(at.type);
    if (view === undefined || view.kind === 'variant' || view.kind === 'record') return at;
    const held = view.kind === 'pointer' || view.kind === 'wrapper' ? heldNode(at) : undefined;
    if (held === undefined) return at;
    const isOwn = hasMember(at.type, name);
    const isHeld = hasMember(held.type, name) || viewOf(held.type) !== undefined;
    const prefersOwn = !arrow && languageOf(at.type) !== 'rust';
    if (isOwn && (prefersOwn || !isHeld)) return at;
    at = held;
    // An arrow is used up by the first pointer.
    if (view.kind === 'pointer' && arrow) return ownerOf(held, name, false);
  }
  return at;
}

/** A part of a record by the name that its view gives it; undefined where the object has none of that name. */
export function recordMember(object: Typed, name: string, place: Place): Typed | undefined {
  const view = viewOf(object.type);
  if (view?.kind !== 'record') return undefined;
  const field = view.fields.find((each) => each.name === name || each.name === `[${name}]`);
  return field === undefined ? undefined : throughReference(contentNode(field, object, place));
}

/** What a variant holds, called by the alternative's name; `->` reaches into the value of an optional. */
export function alternativeMember(
  object: Typed,
  name: string,
  nameSpan: Place['span'],
  place: Place,
): Typed | undefined {
  const view = viewOf(object.type);
  if (view?.kind !== 'variant') return undefined;
  const alternative = view.alternatives.find((each) => each.name === name);
  if (alternative === undefined) {
    if (hasMember(object.type, name)) return undefined;
    const names = view.alternatives.map((each) => each.name);
    const candidates = nearMatches(name, names);
    throw badExpression(`"${typeName(object.type)}" has no alternative "${name}"`, nameSpan, {
      candidates: candidates.length > 0 ? candidates : names.slice(0, 10),
      hint: didYouMean(candidates) ?? `it is one of ${names.slice(0, 10).join(', ')}`,
    });
  }
  const content = alternativeNode(view, alternative, object, place);
  if (content === undefined) throw badExpression(`"${name}" holds no value`, nameSpan);
  return content;
}

/** Undefined where the object has no view that says what its elements are. */
export function indexView(checker: Checker, object: Typed, expression: IndexExpression): Typed | undefined {
  const place = checker.place(expression);
  const view = viewOf(object.type);
  switch (view?.kind) {
    case 'string':
    case 'sequence':
      return elementNode(view, object, checker.integer(expression.index, 'an index'), place);
    case 'walked': {
      const index = checker.integer(expression.index, 'an index');
      return { kind: 'view-element', object, view, index, type: view.element(), ...place };
    }
    case 'map': {
      const key = lookupKey(checker, view.key(), expression.index);
      return { kind: 'view-lookup', object, view, key, type: view.value(), ...place };
    }
    case 'wrapper':
      return indexed(checker, contentNode(view.content, object, placeOf(object)), expression);
    case 'pointer': {
      const pointer = pointerNode(view, object);
      const target = view.target();
      if (viewOf(target) === undefined && stripType(target).kind !== 'array') {
        return indexPlain(checker, pointer, expression);
      }
      return indexed(checker, dereferenceNode(pointer, placeOf(object)), expression);
    }
    case 'dynamic':
    case 'record':
    case 'variant':
      return undefined;
    case undefined: {
      const lent = lentNode(object);
      return lent === undefined ? undefined : indexed(checker, lent, expression);
    }
  }
}

/** What a reference or box of Rust leads to, where that can be indexed: in Rust these are no pointers to step by. */
export function lentNode(object: Typed): Typed | undefined {
  const plain = stripType(object.type);
  if (plain.kind !== 'pointer' || !/^(?:&|alloc::boxed::Box<)/.test(plain.name ?? '')) return undefined;
  const target = stripType(plain.target());
  const isIndexed = viewOf(target) !== undefined || target.kind === 'array' || target.kind === 'pointer';
  return isIndexed ? dereferenceNode(object, placeOf(object)) : undefined;
}

function indexed(checker: Checker, object: Typed, expression: IndexExpression): Typed | undefined {
  return indexView(checker, object, expression) ?? indexPlain(checker, object, expression);
}

/** `p[i]`, `a[i]` of pointers and arrays. */
export function indexPlain(checker: Checker, object: Typed, expression: IndexExpression): Typed {
  const place = checker.place(expression);
  const plain = stripType(object.type);
  if (plain.kind !== 'array' && plain.kind !== 'pointer') {
    throw badExpression(
      `cannot index "${typeName(object.type)}": it is not an array or pointer`,
      object.span,
    );
  }
  const index = checker.integer(expression.index, 'an index');
  if (plain.kind === 'array') {
    const type = plain.element();
    const size = strideOf(type, object.span);
    return throughReference({ kind: 'element', array: object, index, size, type, ...place });
  }
  return dereferenceNode(offsetNode(object, index, false, place), place);
}

/** An interface or trait object as the type that it is said to hold: `x.(T)`, or `(T *)x` for its address. */
export function dynamicCast(node: Typed, type: Type, place: Place): Typed | undefined {
  const view = viewOf(node.type);
  if (view?.kind !== 'dynamic') return undefined;
  const plain = stripType(type);
  const target = plain.kind === 'pointer' ? plain.target() : undefined;
  if (target === undefined || stripType(target).kind === 'void') return undefined;
  const operand: Typed = { kind: 'dynamic', object: node, view, type: target, ...place };
  return { kind: 'address', operand, type, ...place };
}

/** A literal, or anything that can be computed, to compare elements of a type with. */
export function lookupKey(checker: Checker, type: Type, expression: Expression): LookupKey {
  const node = asOperand(checker.check(expression));
  if (node.kind === 'string') {
    if (!hasText(type)) {
      throw badExpression(`the keys are "${typeName(type)}", not strings`, node.span);
    }
    return { kind: 'text', bytes: node.bytes.subarray(0, -1) };
  }
  if (numericOf(node.type) === undefined) {
    throw badExpression(`"${typeName(node.type)}" cannot be a key here`, node.span, {
      hint: 'keys are numbers or string literals',
    });
  }
  if (hasText(type)) {
    throw badExpression(`the keys are strings, not "${typeName(node.type)}"`, node.span, {
      hint: 'strings stand in double quotes',
    });
  }
  return { kind: 'scalar', value: promoted(node) };
}

function hasText(type: Type): boolean {
  const view = viewOf(type);
  if (view?.kind === 'string') return true;
  if (view?.kind === 'wrapper') return hasText(view.content.type());
  const plain = stripType(type);
  if (plain.kind === 'pointer') return hasText(plain.target()) || sizeOf(plain.target()) === 1;
  return plain.kind === 'array' && sizeOf(plain.element()) === 1;
}

/** Undefined where the object has no view with elements. An end beyond the last element is the end. */
export function sliceView(checker: Checker, object: Typed, expression: SliceExpression): Typed | undefined {
  const place = checker.place(expression);
  const view = viewOf(object.type);
  const end = (side: Expression | undefined, what: string): Typed | undefined =>
    side === undefined ? undefined : notNegative(checker.integer(side, what));
  switch (view?.kind) {
    case 'string':
    case 'sequence': {
      const from = end(expression.from, 'the start of a slice');
      const to = end(expression.to, 'the end of a slice');
      return pageOf({ view, object, place }, from, to);
    }
    case 'walked':
    case 'map': {
      const from = end(expression.from, 'the start of a slice');
      const to = end(expression.to, 'the end of a slice');
      const ends = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
      return { kind: 'view-page', object, view, ...ends, type: object.type, ...place };
    }
    case 'wrapper':
    case 'pointer': {
      const held = heldNode(object);
      return held === undefined ? undefined : sliceView(checker, held, expression);
    }
    case 'dynamic':
    case 'record':
    case 'variant':
    case undefined:
      return undefined;
  }
}

/** `v @ 3`: the first three. */
export function repeatView(object: Typed, count: Typed, place: Place): Typed | undefined {
  const view = viewOf(object.type);
  if (view?.kind === 'string' || view?.kind === 'sequence') {
    return pageOf({ view, object, place }, undefined, notNegative(count));
  }
  if (view?.kind === 'walked' || view?.kind === 'map') {
    return { kind: 'view-page', object, view, to: notNegative(count), type: object.type, ...place };
  }
  return undefined;
}

function notNegative(node: Typed): Typed {
  if (node.kind === 'constant' && wholeOf(node.value) < 0n) {
    throw badExpression(`a slice cannot begin or end at ${wholeOf(node.value)}`, node.span);
  }
  return node;
}

/** A byte of a string as a character, so that a part of a string shows as text. */
function characterOf(unit: Type): Type {
  const plain = stripType(unit);
  const isByte = plain.kind === 'base' && plain.byteSize === 1 && plain.encoding === 'unsigned';
  return isByte ? { ...plain, encoding: 'unsigned-char' } : unit;
}

interface Paged {
  readonly view: Parameters<typeof lengthNode>[0];
  readonly object: Typed;
  readonly place: Place;
}

function pageOf(paged: Paged, from: Typed | undefined, to: Typed | undefined): Typed {
  return withObject(paged.object, (object) => pageOfNear({ ...paged, object }, from, to));
}

function pageOfNear({ view, object, place }: Paged, from: Typed | undefined, to: Typed | undefined): Typed {
  const element = elementOf(view);
  const size = sizeOf(element) ?? 0;
  const length = lengthNode(view, object);
  const least = (side: Typed, most: Typed): Typed => {
    const wanted = convert(side, unsignedLongType);
    const condition: Typed = {
      kind: 'compare',
      operator: '<',
      left: wanted,
      right: most,
      type: longType,
      ...place,
    };
    return {
      kind: 'conditional',
      condition,
      whenTrue: wanted,
      whenFalse: most,
      type: unsignedLongType,
      ...place,
    };
  };
  const end = to === undefined ? length : least(to, length);
  const begin = from === undefined ? constantNode(0n, unsignedLongType, place) : least(from, end);
  const count = convert(from === undefined ? end : arithmeticNode('-', end, begin, place), longType);
  const data = dataNode(view, object);
  const pointer: Typed =
    from === undefined
      ? data
      : {
          kind: 'offset',
          pointer: data,
          index: convert(begin, longType),
          subtract: false,
          size,
          type: data.type,
          ...place,
        };
  const ends = [from ?? begin, to];
  const [low, high] = ends.map((side) => (side?.kind === 'constant' ? Number(side.value) : undefined));
  const page = low === undefined || high === undefined ? {} : { page: { object, view, from: low, to: high } };
  const shown = view.kind === 'string' ? characterOf(element) : element;
  const type: ArrayType = { kind: 'array', element: () => shown };
  return { kind: 'slice', pointer, count, ...page, size, type, ...place };
}
