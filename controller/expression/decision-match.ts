/** Whether an element, or the key of one, is the one that is asked for: a condition over an element that is not known before. */
import type { Type } from '../types/type.js';
import { viewOf } from '../types/views.js';
import { charType, doubleType, intType, longType, numericOf, pointerTo } from './c-types.js';
import { textNode } from './check-text.js';
import { constantNode, convert, type Place } from './convert.js';
import type { BoundNode, LookupKey, StringNode, Typed } from './typed.js';
import { contentNode } from './view-node.js';

export interface ElementMatch {
  /** Stands for where the element is. */
  readonly bound: BoundNode;
  readonly condition: Typed;
}

/** Throws `bad-expression` for elements of a type that cannot be compared so. */
export function elementMatch({
  type,
  key,
  place,
}: {
  readonly type: Type;
  readonly key: LookupKey;
  readonly place: Place;
}): ElementMatch {
  // NB: what it is bound to is never asked for: the agent knows the address.
  const nothing = constantNode(0n, longType, place);
  const bound: BoundNode = { kind: 'bound', object: nothing, type: pointerTo(type), ...place };
  const element: Typed = { kind: 'dereference', pointer: bound, type, ...place };
  if (key.kind === 'text') {
    const literal: StringNode = {
      kind: 'string',
      bytes: Uint8Array.of(...key.bytes, 0),
      type: { kind: 'array', element: () => charType, count: key.bytes.length + 1 },
      ...place,
    };
    return { bound, condition: textNode('==', element, literal, place) };
  }
  return { bound, condition: sameNumber(unwrapped(element, place), key.value, place) };
}

function unwrapped(element: Typed, place: Place): Typed {
  let node = element;
  for (let i = 0; i < maxWrappers; i++) {
    const view = viewOf(node.type);
    if (view?.kind !== 'wrapper') break;
    node = contentNode(view.content, node, place);
  }
  return node;
}

const maxWrappers = 8;

/** As numbers, whatever their types are. */
function sameNumber(element: Typed, wanted: Typed, place: Place): Typed {
  const [own, other] = [numericOf(element.type), numericOf(wanted.type)];
  const same = (left: Typed, right: Typed): Typed => ({
    kind: 'compare',
    operator: '==',
    left,
    right,
    type: intType,
    ...place,
  });
  if (own?.kind === 'float' || other?.kind === 'float') {
    return same(convert(element, doubleType), convert(wanted, doubleType));
  }
  const equal = same(convert(element, longType), convert(wanted, longType));
  if (own === undefined || other === undefined || own.signed === other.signed) return equal;
  // The same 64 bits mean another number there where the signed one is negative.
  const signed = own.signed ? element : wanted;
  const zero = constantNode(0n, longType, place);
  const isNatural: Typed = {
    kind: 'compare',
    operator: '>=',
    left: convert(signed, longType),
    right: zero,
    type: intType,
    ...place,
  };
  return { kind: 'logical', operator: '&&', left: isNatural, right: equal, type: intType, ...place };
}
