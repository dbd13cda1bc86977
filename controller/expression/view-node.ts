/**
 * What a view says of an object, as parts of a checked expression: recipes become the reads and sums that they are, so that the evaluator, the lowering to the
 * kernel and the planner treat `v.size()` as they treat `v.end - v.begin`. What an object says is checked before it is believed: a guard has no value where it cannot be.
 */
import { sizeOf } from '../types/layout.js';
import type { VirtualStep } from '../types/class-member.js';
import type { Recipe } from '../../format/recipe/recipe.js';
import type { Type } from '../types/type.js';
import type { Alternative, PointerView, SequenceView, StringView, VariantView, View } from '../types/view.js';
import { alternativeFor } from '../types/view-read.js';
import { viewOf } from '../types/views.js';
import { builtinType, charType, intType, longType, pointerTo, unsignedLongType } from './c-types.js';
import {
  arithmeticNode,
  constantNode,
  convert,
  dereferenceNode,
  placeOf,
  shiftNode,
  throughReference,
  type Place,
} from './convert.js';
import { type BoundNode, isLvalue, type Typed } from './typed.js';

export function viewedAs<K extends View['kind']>(
  node: Typed,
  ...kinds: readonly K[]
): Extract<View, { kind: K }> | undefined {
  const view = viewOf(node.type);
  return view !== undefined && isOneOf(view, kinds) ? view : undefined;
}

function isOneOf<K extends View['kind']>(
  view: View,
  kinds: readonly K[],
): view is Extract<View, { kind: K }> {
  return kinds.some((kind) => kind === view.kind);
}

const unsigned = (value: bigint | number, place: Place): Typed =>
  constantNode(BigInt.asUintN(64, BigInt(value)), unsignedLongType, place);

function integerOf(size: number, signed: boolean): Type {
  const name = { 1: 'char', 2: 'short', 4: 'int', 8: 'long' }[size] ?? 'long';
  const spelling = signed ? (name === 'char' ? 'signed char' : name) : `unsigned ${name}`;
  return builtinType(spelling) ?? unsignedLongType;
}

/** The value of a recipe over an object: an `unsigned long`. */
export function recipeNode(recipe: Recipe, object: Typed): Typed {
  const place = placeOf(object);
  switch (recipe.op) {
    case 'constant':
      return unsigned(recipe.value, place);
    case 'address': {
      const operand: Typed = { kind: 'member', object, byteOffset: recipe.offset, type: charType, ...place };
      return convert({ kind: 'address', operand, type: pointerTo(charType), ...place }, unsignedLongType);
    }
    case 'field': {
      const type = integerOf(recipe.size, recipe.signed === true);
      return convert({ kind: 'member', object, byteOffset: recipe.offset, type, ...place }, unsignedLongType);
    }
    case 'load': {
      const type = pointerTo(integerOf(recipe.size, recipe.signed === true));
      const pointer = convert(recipeNode(recipe.address, object), type);
      return convert(dereferenceNode(pointer, place), unsignedLongType);
    }
    case 'if': {
      const condition = recipeNode(recipe.condition, object);
      if (condition.kind === 'constant') {
        return recipeNode(condition.value === 0n ? recipe.otherwise : recipe.then, object);
      }
      return {
        kind: 'conditional',
        condition,
        whenTrue: recipeNode(recipe.then, object),
        whenFalse: recipeNode(recipe.otherwise, object),
        type: unsignedLongType,
        ...place,
      };
    }
    case 'binary':
      return binaryNode(recipe, object, place);
  }
}

function binaryNode(recipe: Recipe & { readonly op: 'binary' }, object: Typed, place: Place): Typed {
  const left = recipeNode(recipe.left, object);
  const right = recipeNode(recipe.right, object);
  switch (recipe.operator) {
    case '+':
    case '-':
    case '*':
    case '&':
      return arithmeticNode(recipe.operator, left, right, place);
    case '/': {
      const quotient = arithmeticNode('/', convert(left, longType), convert(right, longType), place);
      return convert(quotient, unsignedLongType);
    }
    case '<<':
    case '>>':
      return shiftNode(recipe.operator, left, right, place);
    case '==':
    case '<':
      return convert(compareNode(recipe.operator, left, right, place), unsignedLongType);
  }
}

/** Both sides are `unsigned long`. */
export function compareNode(
  operator: '==' | '!=' | '<' | '<=',
  left: Typed,
  right: Typed,
  place: Place,
): Typed {
  if (left.kind === 'constant' && right.kind === 'constant') {
    const [a, b] = [left.value, right.value];
    const holds = { '==': a === b, '!=': a !== b, '<': a < b, '<=': a <= b }[operator];
    return constantNode(holds ? 1n : 0n, intType, place);
  }
  return { kind: 'compare', operator, left, right, type: intType, ...place };
}

/** True only where all of them are. */
function allOf(conditions: readonly Typed[], place: Place): Typed | undefined {
  return conditions.reduce<Typed | undefined>(
    (left, right) =>
      left === undefined ? right : { kind: 'logical', operator: '&&', left, right, type: intType, ...place },
    undefined,
  );
}

/** One of them is. */
function anyOf(conditions: readonly Typed[], place: Place): Typed {
  const [first, ...rest] = conditions;
  return rest.reduce<Typed>(
    (left, right) => ({ kind: 'logical', operator: '||', left, right, type: intType, ...place }),
    first ?? constantNode(0n, intType, place),
  );
}

/**
 * What is made of an object, whose place is computed once where that takes more than a step: what a view says of it asks for the object again and again,
 * and objects within objects would be asked for many times over.
 */
export function withObject(object: Typed, make: (object: Typed) => Typed): Typed {
  if (isNear(object)) return make(object);
  const place = placeOf(object);
  const bound: BoundNode = { kind: 'bound', object, type: pointerTo(object.type), ...place };
  const body = make({ kind: 'dereference', pointer: bound, type: object.type, ...place });
  if (body.kind === 'constant') return body;
  return { kind: 'let', bound, body, type: body.type, span: body.span, path: body.path };
}

function isNear(object: Typed): boolean {
  if (object.kind === 'variable') return true;
  if (object.kind === 'member') return isNear(object.object);
  if (object.kind === 'element') return object.index.kind === 'constant' && isNear(object.array);
  if (object.kind === 'dereference') return object.pointer.kind === 'bound';
  return !isLvalue(object);
}

/** `{0}` and so on in the detail are the values of `shows`. */
export function guardedBy(
  condition: Typed | undefined,
  operand: Typed,
  detail: string,
  shows: readonly Typed[] = [],
): Typed {
  if (condition === undefined || (condition.kind === 'constant' && condition.value !== 0n)) return operand;
  return { kind: 'guarded', condition, operand, detail, shows, type: operand.type, ...placeOf(operand) };
}

/** As in `extentOf`: what is longer lies nowhere. */
const maxExtentBytes = 1n << 47n;

/** How many units or elements: an `unsigned long`, checked against all else that the object says of itself. */
export function lengthNode(view: StringView | SequenceView, object: Typed): Typed {
  return withObject(object, (near) => checkedLength(view, near));
}

function checkedLength(view: StringView | SequenceView, object: Typed): Typed {
  const place = placeOf(object);
  const length = recipeNode(view.length, object);
  const stride = sizeOf(elementOf(view)) ?? 0;
  const conditions: Typed[] = [];
  if (view.valid !== undefined) conditions.push(recipeNode(view.valid, object));
  if (stride > 0) {
    const most = unsigned(maxExtentBytes / BigInt(stride), place);
    conditions.push(compareNode('<=', length, most, place));
    if (view.capacity !== undefined) {
      conditions.push(compareNode('<=', length, recipeNode(view.capacity, object), place));
    }
  }
  const wanted = conditions.filter((condition) => condition.kind !== 'constant' || condition.value === 0n);
  const detail = `${object.path} is corrupt: it says a length of {0}, which cannot be`;
  return guardedBy(allOf(wanted, place), length, detail, [convert(length, longType)]);
}

export function elementOf(view: StringView | SequenceView): Type {
  return view.kind === 'string' ? view.unit : view.element();
}

/** A pointer to the first unit or element. */
export function dataNode(view: StringView | SequenceView, object: Typed): Typed {
  return withObject(object, (near) => convert(recipeNode(view.data, near), pointerTo(elementOf(view))));
}

/** An element by an index of type `long`: of one that lies in the object itself also where that is not in memory. */
export function elementNode(
  view: StringView | SequenceView,
  object: Typed,
  index: Typed,
  place: Place,
): Typed {
  return withObject(object, (near) => checkedElement(view, near, index, place));
}

function checkedElement(view: StringView | SequenceView, object: Typed, index: Typed, place: Place): Typed {
  const type = elementOf(view);
  const size = sizeOf(type) ?? 0;
  const length = lengthNode(view, object);
  const isWithin = compareNode('<', convert(index, unsignedLongType), length, place);
  const element = throughReference(plainElement(view, object, { index, size, type, place }));
  const detail = `${place.path} is outside of the {1} elements of ${object.path}: its index is {0}`;
  return guardedBy(isWithin, element, detail, [index, length]);
}

function plainElement(
  view: StringView | SequenceView,
  object: Typed,
  {
    index,
    size,
    type,
    place,
  }: { readonly index: Typed; readonly size: number; readonly type: Type; readonly place: Place },
): Typed {
  if (view.data.op === 'address') {
    const all: Type = { kind: 'array', element: () => type };
    const array: Typed = {
      kind: 'member',
      object,
      byteOffset: view.data.offset,
      type: all,
      ...placeOf(object),
    };
    return { kind: 'element', array, index, size, type, ...place };
  }
  const pointer = dataNode(view, object);
  const moved: Typed = {
    kind: 'offset',
    pointer,
    index,
    subtract: false,
    size,
    type: pointer.type,
    ...place,
  };
  return { kind: 'dereference', pointer: moved, type, ...place };
}

/** The pointer that a smart pointer holds. */
export function pointerNode(view: PointerView, object: Typed): Typed {
  return withObject(object, (near) => {
    const pointer = convert(recipeNode(view.pointer, near), pointerTo(view.target()));
    const valid = view.valid === undefined ? undefined : recipeNode(view.valid, near);
    return guardedBy(valid, pointer, `${object.path} is corrupt`);
  });
}

/** What a view that holds one object holds: a part of it. */
export function contentNode(
  { type, offset }: { readonly type: () => Type; readonly offset: number },
  object: Typed,
  place: Place,
): Typed {
  return { kind: 'member', object, byteOffset: offset, type: type(), ...place };
}

/** Whether an object is one of some alternatives: an `int`. */
export function isAlternative(
  view: VariantView,
  alternatives: readonly Alternative[],
  object: Typed,
  place: Place,
): Typed {
  return withObject(object, (near) => isOneAlternative(view, alternatives, near, place));
}

function isOneAlternative(
  view: VariantView,
  alternatives: readonly Alternative[],
  object: Typed,
  place: Place,
): Typed {
  const discriminant = recipeNode(view.discriminant, object);
  const wanted = view.alternatives.map((alternative) => alternatives.includes(alternative));
  const rest = view.alternatives.findIndex(({ discriminants }) => discriminants === undefined);
  const named = view.alternatives.filter((alternative) => alternative.discriminants !== undefined);
  // The one without discriminants is all that the others are not.
  if (rest >= 0 && wanted[rest] === true) {
    const others = named.filter((alternative) => !alternatives.includes(alternative));
    return negatedTruth(inRanges(others, discriminant, place), place);
  }
  const chosen = inRanges(
    named.filter((alternative) => alternatives.includes(alternative)),
    discriminant,
    place,
  );
  if (rest >= 0) return chosen;
  // What is none of them is corrupt, and neither this one nor another.
  const detail = `${object.path} is corrupt: its discriminant is {0}`;
  return guardedBy(inRanges(named, discriminant, place), chosen, detail, [discriminant]);
}

function negatedTruth(node: Typed, place: Place): Typed {
  if (node.kind === 'constant') return constantNode(node.value === 0n ? 1n : 0n, intType, place);
  return { kind: 'not', operand: node, type: intType, ...place };
}

function inRanges(alternatives: readonly Alternative[], discriminant: Typed, place: Place): Typed {
  const conditions = alternatives.flatMap(({ discriminants = [] }) =>
    discriminants.map(({ from, to }) => {
      const [low, high] = [BigInt.asUintN(64, from), BigInt.asUintN(64, to)];
      if (low === high) return compareNode('==', discriminant, unsigned(low, place), place);
      // from..to as a distance from `from`, which also holds where it wraps.
      const distance = arithmeticNode('-', discriminant, unsigned(low, place), place);
      return compareNode('<=', distance, unsigned(high - low, place), place);
    }),
  );
  return anyOf(conditions, place);
}

/** What an alternative holds, where the object is that one. */
export function alternativeNode(
  view: VariantView,
  alternative: Alternative,
  object: Typed,
  place: Place,
): Typed | undefined {
  const { content, name } = alternative;
  if (content === undefined) return undefined;
  return withObject(object, (near) => {
    const held = contentNode(content, near, place);
    return guardedBy(isAlternative(view, [alternative], near, place), held, `${object.path} is not ${name}`);
  });
}

/** The number of the alternative in the order of their declaration: an `int`; -1 where a discriminant names none. */
export function alternativeIndex(view: VariantView, object: Typed, place: Place): Typed {
  return withObject(object, (near) => indexOfAlternative(view, near, place));
}

function indexOfAlternative(view: VariantView, object: Typed, place: Place): Typed {
  const discriminant = recipeNode(view.discriminant, object);
  if (discriminant.kind === 'constant' && typeof discriminant.value === 'bigint') {
    const only = alternativeFor(view, discriminant.value);
    return constantNode(BigInt(only === undefined ? -1 : view.alternatives.indexOf(only)), intType, place);
  }
  const rest = view.alternatives.findIndex(({ discriminants }) => discriminants === undefined);
  let index: Typed = constantNode(BigInt(rest), intType, place);
  for (const [i, alternative] of view.alternatives.entries()) {
    if (alternative.discriminants === undefined) continue;
    index = {
      kind: 'conditional',
      condition: inRanges([alternative], discriminant, place),
      whenTrue: constantNode(BigInt(i), intType, place),
      whenFalse: index,
      type: intType,
      ...place,
    };
  }
  return index;
}

/** Whether there is nothing: a null pointer, an optional without value, a nil interface. Undefined where the view knows no such thing. */
export function emptinessNode(node: Typed, place: Place): Typed | undefined {
  const view = viewOf(node.type);
  switch (view?.kind) {
    case 'pointer':
      return compareNode('==', convert(pointerNode(view, node), unsignedLongType), unsigned(0, place), place);
    case 'variant': {
      const empty = view.alternatives.filter(({ role }) => role === 'empty');
      return empty.length === 0 ? undefined : isAlternative(view, empty, node, place);
    }
    case 'dynamic':
      return view.isNone === undefined
        ? undefined
        : compareNode('!=', recipeNode(view.isNone, node), unsigned(0, place), place);
    case 'sequence':
    case 'map':
    case 'walked':
      return view.isNil === undefined
        ? undefined
        : compareNode('!=', recipeNode(view.isNil, node), unsigned(0, place), place);
    case 'record':
    case 'string':
    case 'wrapper':
    case undefined:
      return undefined;
  }
}

/** Wrappers taken off, and smart pointers as the pointers that they are: what operators work on. */
export function asOperand(node: Typed): Typed {
  let at = node;
  for (let i = 0; i < maxWrappers; i++) {
    const view = viewOf(at.type);
    if (view?.kind === 'wrapper') at = contentNode(view.content, at, placeOf(at));
    else if (view?.kind === 'pointer') return pointerNode(view, at);
    else break;
  }
  return at;
}

const maxWrappers = 16;

/** As a condition takes it: what can be empty is true where it is not. */
export function asTruth(node: Typed): Typed {
  const operand = asOperand(node);
  const place = placeOf(operand);
  const empty = viewedAs(operand, 'variant', 'dynamic') && emptinessNode(operand, place);
  return empty === undefined ? operand : negatedTruth(empty, place);
}

/** The virtual base that steps lead to: where it lies the object's vtable says. */
export function virtualBaseNode(object: Typed, steps: readonly VirtualStep[]): Typed {
  return steps.reduce<Typed>((from, { byteOffset, holder, base }) => {
    const place = placeOf(from);
    const part: Typed = { kind: 'member', object: from, byteOffset, type: holder, ...place };
    const start: Typed = { kind: 'address', operand: part, type: pointerTo(charType), ...place };
    const address = arithmeticNode(
      '+',
      convert(start, unsignedLongType),
      recipeNode(base.offset, part),
      place,
    );
    const type = base.type();
    return { kind: 'dereference', pointer: convert(address, pointerTo(type)), type, ...place };
  }, object);
}
