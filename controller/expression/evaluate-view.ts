/**
 * What only a walk over memory finds: elements of lists, values of keys, the object behind an interface. Bounded by what one walk may take, and absent where the
 * walk cannot go on before it has found what was asked for.
 */
import { type Absent, absent, isAbsent } from '../../format/absent.js';
import type { MemoryReader } from '../../format/memory.js';
import { type ObjectView, objectOf } from '../types/object-view.js';
import { isCharacter, sizeOf, stripType } from '../types/layout.js';
import { readBytes, readString } from '../types/read.js';
import { binary, choose, constant } from '../../format/recipe/recipe.js';
import { maxWalkedElements, type Walk } from '../../format/walk/walk.js';
import { typeName } from '../types/type-name.js';
import type { CompositeType, Type } from '../types/type.js';
import type { Value } from '../types/value.js';
import type { SequenceView, View, ViewContext, WalkedMapView, WalkedView } from '../types/view.js';
import { contentOf, extentOf, objectAt } from '../types/view-read.js';
import { viewOf } from '../types/views.js';
import { walkElements, walkEntries } from '../types/walked.js';
import { numericOf } from './c-types.js';
import { missingAt } from './missing.js';
import { compare, decodeScalar, type Scalar, wholeOf } from './scalar.js';
import type {
  DynamicNode,
  LookupKey,
  Typed,
  ViewCountNode,
  ViewElementNode,
  ViewLookupNode,
} from './typed.js';

/** A key that is longer is equal to no literal. */
const maxKeyBytes = 1 << 16;

/** What the evaluator lends. */
export interface ViewEvaluation {
  readonly context: Omit<ViewContext, 'maxElements'>;
  readonly object: (node: Typed) => ObjectView;
  readonly scalar: (node: Typed) => Scalar | Absent;
}

/** An absent of a walk, which knows only addresses, in the words of the expression. */
function lost(why: Absent, node: Typed & { readonly object: Typed }): Absent {
  if (why.absent !== 'not-captured' || why.address === undefined) return why;
  return missingAt(why, node.object.path, why.address, why.length ?? 1);
}

export function elementValue(node: ViewElementNode, evaluation: ViewEvaluation): Value | Absent {
  const index = node.index === undefined ? undefined : evaluation.scalar(node.index);
  if (isAbsent(index)) return index;
  const object = evaluation.object(node.object);
  if (object.absent !== undefined) return object.absent;
  const outside = (count: number): Absent =>
    absent('unreadable', `${node.path} is outside of the ${count} elements of ${node.object.path}`);
  if (index !== undefined && wholeOf(index) < 0n)
    return absent('unreadable', `${node.path} has an index below zero`);
  const wanted = index === undefined ? maxWalkedElements : Number(index);
  if (wanted > maxWalkedElements) return tooLong();
  let seen = 0;
  let last: Value | undefined;
  const context = { ...evaluation.context, maxElements: Math.min(wanted + 1, maxWalkedElements) };
  for (const element of walkElements(node.view, object, context)) {
    if (isAbsent(element)) return lost(element, node);
    if (seen === wanted && index !== undefined) return element;
    last = element;
    if (++seen >= maxWalkedElements) return tooLong();
  }
  return index === undefined && last !== undefined ? last : outside(seen);
}

function tooLong(): Absent {
  return absent('limit', `that is more than the ${maxWalkedElements} elements that are walked over`);
}

export function lookupValue(node: ViewLookupNode, evaluation: ViewEvaluation): Value | Absent {
  const object = evaluation.object(node.object);
  if (object.absent !== undefined) return object.absent;
  const matches = matcher(node.key, evaluation);
  if (isAbsent(matches)) return matches;
  let seen = 0;
  const context = { ...evaluation.context, maxElements: maxWalkedElements };
  for (const entry of walkEntries(node.view, object, context)) {
    if (isAbsent(entry)) return lost(entry, node);
    const found = matches(entry.key);
    if (isAbsent(found)) return lost(found, node);
    if (found) return entry.value;
    if (++seen >= maxWalkedElements) return tooLong();
  }
  return absent(
    'unreadable',
    `${node.object.path} has no such key: it has ${seen}, and none of them is that of ${node.path}`,
  );
}

export function countValue(node: ViewCountNode, evaluation: ViewEvaluation): bigint | Absent {
  const object = evaluation.object(node.object);
  if (object.absent !== undefined) return object.absent;
  const matches = node.key === undefined ? (): boolean => true : matcher(node.key, evaluation);
  if (isAbsent(matches)) return matches;
  let seen = 0;
  let count = 0n;
  for (const element of elementsOf(node.view, object, evaluation)) {
    if (isAbsent(element)) return lost(element, node);
    const found = matches(element);
    if (isAbsent(found)) return lost(found, node);
    if (found) count++;
    if (++seen >= maxWalkedElements) return tooLong();
  }
  return count;
}

/** The elements; of maps their keys. */
function* elementsOf(
  view: WalkedView | WalkedMapView | SequenceView,
  object: ObjectView,
  { context }: ViewEvaluation,
): Generator<Value | Absent> {
  const walking = { ...context, maxElements: maxWalkedElements };
  if (view.kind === 'walked') return yield* walkElements(view, object, walking);
  if (view.kind === 'map') {
    for (const entry of walkEntries(view, object, walking)) yield isAbsent(entry) ? entry : entry.key;
    return;
  }
  const extent = extentOf(view, object, context.memory);
  if (isAbsent(extent)) return yield extent;
  const { length, stride, unit } = extent;
  const all = objectAt(view.data, object, context.memory, { type: unit, size: Number(length) * stride });
  if (all.absent !== undefined) return yield all.absent;
  for (let i = 0; i < Number(length); i++) {
    yield placed(contentOf({ type: () => unit, offset: i * stride }, { ...all, type: unit }));
  }
}

function placed(object: ObjectView): Value {
  const { type, bytes, address, gaps } = object;
  if (object.absent !== undefined) return { type, place: { kind: 'absent', absent: object.absent } };
  if (bytes !== undefined) {
    return { type, place: { kind: 'bytes', bytes, ...(gaps === undefined ? {} : { gaps }) } };
  }
  if (address !== undefined) return { type, place: { kind: 'memory', address } };
  return {
    type,
    place: { kind: 'absent', absent: absent('unreadable', 'only a part of the object is known') },
  };
}

type Matcher = (value: Value) => boolean | Absent;

function matcher(key: LookupKey, evaluation: ViewEvaluation): Matcher | Absent {
  const { memory } = evaluation.context;
  if (key.kind === 'text') {
    return (value) => {
      const text = textOf(value, memory);
      return isAbsent(text) ? text : Buffer.compare(text, key.bytes) === 0;
    };
  }
  const wanted = evaluation.scalar(key.value);
  if (isAbsent(wanted)) return wanted;
  return (value) => {
    const scalar = scalarOf(value, memory);
    if (isAbsent(scalar)) return scalar;
    // An integer among floats, or the other way round, is the same number where it is the same double.
    const mixed = typeof scalar !== typeof wanted;
    return mixed ? compare('==', asDouble(scalar), asDouble(wanted)) : compare('==', scalar, wanted);
  };
}

function asDouble(value: Scalar): Scalar {
  return typeof value === 'bigint' ? Number(value) : value;
}

/** The number that a value is, wrappers taken off. */
function scalarOf(value: Value, memory: MemoryReader): Scalar | Absent {
  const view = viewOf(value.type);
  if (view?.kind === 'wrapper') return scalarOf(placed(contentOf(view.content, objectOf(value))), memory);
  const numeric = numericOf(value.type);
  if (numeric === undefined) return absent('unsupported', `"${typeName(value.type)}" is no number`);
  const read = readBytes(value, memory);
  return isAbsent(read) ? read : decodeScalar(read.bytes, numeric);
}

/** The bytes of a string that has a view, or that a pointer to characters leads to. */
function textOf(value: Value, memory: MemoryReader): Uint8Array | Absent {
  const view = viewOf(value.type);
  const object = objectOf(value);
  if (view?.kind === 'wrapper') return textOf(placed(contentOf(view.content, object)), memory);
  if (view?.kind === 'string') return viewedText(view, object, memory);
  const plain = stripType(value.type);
  if (plain.kind === 'pointer') {
    const address = scalarOf(value, memory);
    if (isAbsent(address)) return address;
    const place = { kind: 'memory', address: wholeOf(address) } as const;
    if (!isCharacter(plain.target())) return textOf({ type: plain.target(), place }, memory);
    const read = readString(memory, place.address, maxKeyBytes);
    return isAbsent(read) ? read : (read.cut ?? read.bytes);
  }
  const read = readBytes(value, memory);
  if (isAbsent(read)) return read;
  const nul = read.bytes.indexOf(0);
  return nul < 0 ? read.bytes : read.bytes.subarray(0, nul);
}

export function viewedText(
  view: Extract<View, { kind: 'string' }>,
  object: ObjectView,
  memory: MemoryReader,
): Uint8Array | Absent {
  const extent = extentOf(view, object, memory);
  if (isAbsent(extent)) return extent;
  const size = Number(extent.length) * extent.stride;
  if (size === 0) return new Uint8Array();
  if (size > maxKeyBytes) return absent('limit', `a string of ${size} bytes`);
  const data = objectAt(view.data, object, memory, { type: extent.unit, size });
  if (data.absent !== undefined) return data.absent;
  if (data.bytes !== undefined && data.gaps === undefined) return data.bytes.subarray(0, size);
  if (data.address === undefined) return absent('unreadable', 'only a part of the object is known');
  const read = memory.read(data.address, size);
  return isAbsent(read) ? read : read.bytes;
}

/** The object behind an interface, where it is of the type that was said. */
export function dynamicValue(node: DynamicNode, evaluation: ViewEvaluation): Value | Absent {
  const object = evaluation.object(node.object);
  if (object.absent !== undefined) return object.absent;
  const found = node.view.resolve(object, { ...evaluation.context, maxElements: maxWalkedElements });
  if (isAbsent(found)) return lost(found, node);
  const { path } = node.object;
  const wanted = typeName(node.type);
  if (found === undefined) {
    return absent('unreadable', `${path} is ${node.view.none ?? 'nil'}: it holds no "${wanted}"`);
  }
  const holds = typeName(found.type);
  if (isSameType(found.type, node.type)) return { ...found, type: node.type };
  return absent('unreadable', `${path} holds a "${holds}", not a "${wanted}"`);
}

/** As two spell it: pointers are called otherwise in Go than where an expression makes one. */
function isSameType(a: Type, b: Type, nesting = 0): boolean {
  const [x, y] = [stripType(a), stripType(b)];
  if (x.kind === 'pointer' && y.kind === 'pointer' && nesting < maxPointers) {
    return isSameType(x.target(), y.target(), nesting + 1);
  }
  return typeName(a) === typeName(b) || typeName(x) === typeName(y);
}

const maxPointers = 8;

/** A type whose view has only elements `from` up to `to` of another: what a slice of a list shows as. */
export function pagedType(
  type: Type,
  view: WalkedView | WalkedMapView,
  from: number,
  to: number | undefined,
): CompositeType {
  const { length, walk, ...rest } = view;
  const page: Walk = { kind: 'page', of: walk, from, ...(to === undefined ? {} : { to }) };
  const paged = { ...rest, ...lengthBetween(length, from, to), walk: page };
  return {
    kind: 'struct',
    name: typeName(type),
    tagless: true,
    byteSize: sizeOf(type) ?? 0,
    incomplete: false,
    members: () => [],
    origin: { language: 'c++', templateArguments: () => [], findType: () => undefined, view: paged },
  };
}

function lengthBetween(
  length: WalkedView['length'],
  from: number,
  to: number | undefined,
): { readonly length?: NonNullable<WalkedView['length']> } {
  if (length === undefined) return {};
  const end = to === undefined ? length : choose(binary(length, '<', constant(to)), length, constant(to));
  const isBefore = binary(end, '<', constant(from));
  return { length: choose(isBefore, constant(0), binary(end, '-', constant(from))) };
}
