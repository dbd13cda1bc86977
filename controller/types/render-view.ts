/**
 * An object through its view to the body of a document: what CLI.md calls `string`, `slice`, `map`, `variant`, and pointers that own what they point to.
 * Foreign bytes decide how much is read, so that all of it is bounded by the limits of the context; what is missing or contradicts itself is said where it is.
 */
import { type Absent, absent, isAbsent } from '../../format/absent.js';
import { hex } from '../../format/address.js';
import { decodeWideUnits } from '../../format/bytes.js';
import type { MemoryReader, Provenance } from '../../format/memory.js';
import { checkValid, corruptObject } from '../../format/walk/array.js';
import type { WalkContext } from '../../format/walk/found.js';
import { alternativeText, briefText } from './brief-text.js';
import { dynamicObject } from './cplusplus/dynamic-object.js';
import { kindOf } from './kind.js';
import { stripType } from './layout.js';
import { type ObjectView, objectOf } from './object-view.js';
import { elementOf, heldPath, keyPath, memberOf, methodOf, targetOf, type ValuePath } from './path.js';
import { readSome, weakest } from './read.js';
import { computeRecipe, type Recipe } from '../../format/recipe/recipe.js';
import type { RenderContext } from './render.js';
import { decodeText } from './scalar.js';
import type { ArrayType, Type } from './type.js';
import { typeName } from './type-name.js';
import type { AbsentDocument, ValueDocument, ValueKind } from './value-document.js';
import type {
  Alternative,
  DynamicView,
  Fact,
  PointerView,
  RecordView,
  SequenceView,
  StringView,
  VariantView,
  View,
  ViewContext,
  WalkedMapView,
  WalkedView,
  WrapperView,
} from './view.js';
import { alternativeOf, contentOf, extentOf, objectAt } from './view-read.js';
import { viewOf } from './views.js';
import { walkElements, walkEntries } from './walked.js';

export type Body = Omit<ValueDocument, 'type' | 'kind' | 'address'>;
export type Path = ValuePath | undefined;

/** What rendering a view needs of the renderer that it is a part of. */
export interface ViewHost {
  readonly context: RenderContext;
  readonly render: (object: ObjectView, path: Path, depth: number, nesting: number) => ValueDocument;
  /** An array without the text that arrays of characters have. */
  readonly elements: (object: ObjectView, type: ArrayType, at: ViewPosition) => Body;
  readonly missing: (reason: Absent, path: Path) => { absent: AbsentDocument };
}

export interface ViewPosition {
  readonly path: Path;
  /** How many pointers may still be followed. */
  readonly depth: number;
  readonly nesting: number;
}

/** Wrappers around wrappers: of types, so that only hostile ones come near. */
const maxWrappers = 16;

/** The kind of an object with a view, whether its bytes are there or not. */
export function viewKind(view: View, nesting = 0): ValueKind {
  switch (view.kind) {
    case 'string':
    case 'pointer':
    case 'map':
    case 'variant':
      return view.kind;
    case 'sequence':
    case 'walked':
      return 'slice';
    case 'dynamic':
      return 'variant';
    case 'record':
      return 'struct';
    case 'wrapper': {
      const content = view.content.type();
      const inner = nesting < maxWrappers ? viewOf(content) : undefined;
      return inner === undefined ? kindOf(content) : viewKind(inner, nesting + 1);
    }
  }
}

export function renderView(view: View, object: ObjectView, at: ViewPosition, host: ViewHost): Body {
  const memory = new NotingMemory(host.context.memory, object.provenance);
  const body = new ViewRenderer(object, at, host, memory).body(view);
  const provenance = weakest(body.provenance, memory.weakest);
  return provenance === undefined ? body : { ...body, provenance };
}

/** Remembers the weakest provenance of what was read to find the parts. */
class NotingMemory implements MemoryReader {
  readonly #inner: MemoryReader;
  weakest: Provenance | undefined;

  constructor(inner: MemoryReader, known: Provenance | undefined) {
    this.#inner = inner;
    this.weakest = known;
  }

  read(address: bigint, length: number): ReturnType<MemoryReader['read']> {
    const found = this.#inner.read(address, length);
    if (!isAbsent(found)) this.weakest = weakest(this.weakest, found.provenance);
    return found;
  }
}

class ViewRenderer {
  readonly #object: ObjectView;
  readonly #at: ViewPosition;
  readonly #host: ViewHost;
  readonly #memory: NotingMemory;

  constructor(object: ObjectView, at: ViewPosition, host: ViewHost, memory: NotingMemory) {
    this.#object = object;
    this.#at = at;
    this.#host = host;
    this.#memory = memory;
  }

  body(view: View): Body {
    switch (view.kind) {
      case 'string':
        return this.#string(view);
      case 'sequence':
        return this.#sequence(view);
      case 'pointer':
        return this.#pointer(view);
      case 'variant':
        return this.#variant(view);
      case 'wrapper':
        return this.#wrapper(view);
      case 'record':
        return this.#record(view);
      case 'walked':
        return this.#walked(view);
      case 'map':
        return this.#map(view);
      case 'dynamic':
        return this.#dynamic(view);
    }
  }

  #missing(reason: Absent): Body {
    return this.#host.missing(reason, this.#at.path);
  }

  #part(object: ObjectView, path: Path, depth: number = this.#at.depth): ValueDocument {
    return this.#host.render(object, path, depth, this.#at.nesting + 1);
  }

  #string(view: StringView): Body {
    const extent = extentOf(view, this.#object, this.#memory);
    if (isAbsent(extent)) return this.#missing(extent);
    const { stride } = extent;
    const length = Number(extent.length);
    if (length === 0) return { text: '', length };
    const { maxStringBytes } = this.#host.context.limits;
    const wanted = Math.min(length * stride, maxStringBytes - (maxStringBytes % stride));
    const data = objectAt(view.data, this.#object, this.#memory, { type: view.unit, size: wanted });
    const read = readObject(data, wanted, this.#memory);
    if (isAbsent(read)) return { length, ...this.#missing(read) };
    const { bytes, stop } = read;
    if (bytes.length === 0 && stop !== undefined) return { length, ...this.#missing(stop) };
    const text = stride === 1 ? decodeText(bytes) : decodeWideUnits(bytes, stride);
    if (stop !== undefined) return { text, length, ...this.#missing(stop) };
    if (bytes.length === length * stride) return { text, length };
    const cut = absent('limit', `the string goes on after ${bytes.length} of ${length * stride} bytes`);
    return { text, length, ...this.#missing(cut) };
  }

  #sequence(view: SequenceView): Body {
    const extent = extentOf(view, this.#object, this.#memory);
    if (isAbsent(extent)) return this.#missing(extent);
    if (this.#isNil(view.isNil) && extent.length === 0n) return { text: 'nil', elements: [], length: 0 };
    const count = Number(extent.length);
    if (count === 0) return { elements: [], length: 0 };
    const shown = Math.min(count, this.#host.context.limits.maxElements);
    const size = shown * extent.stride;
    const type: ArrayType = { kind: 'array', element: view.element, count };
    const data = objectAt(view.data, this.#object, this.#memory, { type, size });
    if (data.absent !== undefined) return { length: count, ...this.#missing(data.absent) };
    return this.#host.elements(data, type, this.#at);
  }

  #pointer(view: PointerView): Body {
    const address = computeRecipe(view.pointer, this.#object, this.#memory);
    if (isAbsent(address)) return this.#missing(address);
    const invalid = checkValid(view.valid, this.#object, { memory: this.#memory });
    if (invalid !== undefined) return { value: hex(address), ...this.#missing(invalid) };
    const facts = this.#facts(view.facts, address === 0n);
    const body: Body = { value: hex(address), ...(facts === undefined ? {} : { text: facts }) };
    if (address === 0n) return body;
    const target = view.target();
    const { kind } = stripType(target);
    if (kind === 'void' || kind === 'unknown') return body;
    if (kind === 'function') {
      const name = facts ?? this.#host.context.symbolize?.(address);
      return { ...body, ...(name === undefined ? {} : { text: name }), ...this.#held(view) };
    }
    const { path, depth } = this.#at;
    if (depth <= 0) return body;
    const { dynamicTypeAt } = this.#host.context;
    const pointed = dynamicObject({ type: target, address }, this.#memory, dynamicTypeAt);
    return { ...body, target: this.#part(pointed, path && targetOf(path), depth - 1) };
  }

  #held(view: PointerView): { target?: ValueDocument } {
    const { depth, path } = this.#at;
    if (view.held === undefined || depth <= 0) return {};
    const held = view.held(this.#object, this.#viewContext(this.#host.context.limits.maxElements));
    return held === undefined ? {} : { target: this.#part(objectOf(held), path, depth - 1) };
  }

  /** `{use_count=2}`. `isNone`: there may be nothing to count. */
  #facts(facts: readonly Fact[] | undefined, isNone = false): string | undefined {
    if (facts === undefined || facts.length === 0) return undefined;
    const parts: string[] = [];
    for (const { name, value } of facts) {
      const computed = computeRecipe(value, this.#object, this.#memory);
      if (isAbsent(computed) && isNone) continue;
      const text = isAbsent(computed)
        ? `<${computed.absent.replaceAll('-', ' ')}>`
        : BigInt.asIntN(64, computed).toString();
      parts.push(`${name}=${text}`);
    }
    return parts.length === 0 ? undefined : `{${parts.join(', ')}}`;
  }

  #variant(view: VariantView): Body {
    const alternative = alternativeOf(view, this.#object, this.#memory);
    if (isAbsent(alternative)) return this.#missing(alternative);
    const { name, content } = alternative;
    if (content === undefined) return { text: name };
    const inner = this.#part(contentOf(content, this.#object), alternativePath(this.#at.path, alternative));
    return { text: alternativeText(name, inner), fields: [{ name, ...inner }] };
  }

  #wrapper(view: WrapperView): Body {
    const inner = this.#part(contentOf(view.content, this.#object), this.#at.path);
    const { type: _type, kind, address: _address, ...body } = inner;
    const facts = this.#facts(view.facts);
    // The text of a string is its characters and nothing else.
    if (facts === undefined || kind === 'string' || kind === 'array') return body;
    const own = body.text ?? (kind === 'slice' || kind === 'map' ? '' : (body.value ?? ''));
    return { ...body, text: own === '' ? facts : `${own} ${facts}` };
  }

  #record(view: RecordView): Body {
    const { path } = this.#at;
    const fields = view.fields.map(({ name, ...content }) => {
      const fieldPath = path && (isIdentifier(name) ? memberOf(path, name) : path);
      return { name, ...this.#part(contentOf(content, this.#object), fieldPath) };
    });
    const [first] = fields;
    // Where nothing of it is there that is said once.
    if (first?.absent !== undefined && fields.every(isNowhere)) return { absent: first.absent };
    const text = view.text?.(this.#object, this.#viewContext(this.#host.context.limits.maxElements));
    return { ...(text === undefined ? {} : { text }), fields };
  }

  #walked(view: WalkedView): Body {
    if (this.#isNil(view.isNil)) return { text: 'nil', elements: [], length: 0 };
    const { path } = this.#at;
    const facts = this.#facts(view.facts);
    const body = this.#walk(view, walkElements, (element, i) =>
      this.#part(objectOf(element), path && elementOf(path, i)),
    );
    return facts === undefined ? body : { text: facts, ...body };
  }

  #isNil(recipe: Recipe | undefined): boolean {
    if (recipe === undefined) return false;
    const nil = computeRecipe(recipe, this.#object, this.#memory);
    return !isAbsent(nil) && nil !== 0n;
  }

  #map(view: WalkedMapView): Body {
    if (this.#isNil(view.isNil)) return { text: 'nil', elements: [], length: 0 };
    return this.#walk(view, walkEntries, (entry) => {
      const { path } = this.#at;
      const key = this.#part(objectOf(entry.key), path);
      const value = this.#part(objectOf(entry.value), path && keyPath(path, key));
      return {
        type: 'pair',
        kind: 'struct',
        fields: [
          { name: 'key', ...key },
          { name: 'value', ...value },
        ],
      };
    });
  }

  #walk<V extends WalkedView | WalkedMapView, T extends object>(
    view: V,
    walk: (view: V, object: ObjectView, context: WalkContext) => Iterable<T | Absent>,
    make: (item: T, index: number) => ValueDocument,
  ): Body {
    const length =
      view.length === undefined ? undefined : computeRecipe(view.length, this.#object, this.#memory);
    const { maxElements } = this.#host.context.limits;
    const elements: ValueDocument[] = [];
    let end: 'walked' | 'more' | Absent = 'walked';
    const context = { memory: this.#memory, maxElements: maxElements + 1 };
    for (const item of walk(view, this.#object, context)) {
      if (isAbsent(item)) end = item;
      else if (elements.length >= maxElements) end = 'more';
      else {
        elements.push(make(item, elements.length));
        continue;
      }
      break;
    }
    return { elements, ...this.#walkEnd(length, elements.length, end) };
  }

  /** What is to be said of elements that are not shown. */
  #walkEnd(length: bigint | Absent | undefined, shown: number, end: 'walked' | 'more' | Absent): Body {
    if (isAbsent(length)) return this.#missing(length);
    const { maxElements } = this.#host.context.limits;
    if (length === undefined) {
      if (isAbsent(end)) return this.#missing(end);
      if (end === 'walked') return { length: shown };
      return this.#missing(absent('limit', `there are more than ${maxElements} elements`));
    }
    if (length > maxExtentElements) {
      return this.#missing(corruptObject(`a length of ${BigInt.asIntN(64, length)}`));
    }
    const known = { length: Number(length) };
    const found = shown + (end === 'more' ? 1 : 0);
    if (BigInt(found) > length) {
      return { ...known, ...this.#missing(corruptObject(`it says ${length} elements and leads to more`)) };
    }
    if (isAbsent(end) && (shown < maxElements || length <= shown)) return { ...known, ...this.#missing(end) };
    if (end === 'walked' && shown < maxElements && BigInt(shown) < length) {
      return {
        ...known,
        ...this.#missing(corruptObject(`it says ${length} elements and leads to ${shown}`)),
      };
    }
    return known;
  }

  #dynamic(view: DynamicView): Body {
    const resolved = view.resolve(this.#object, this.#viewContext(this.#host.context.limits.maxElements));
    if (isAbsent(resolved)) return this.#missing(resolved);
    if (resolved === undefined) return { text: view.none ?? 'nil' };
    const name = typeName(resolved.type);
    const { depth } = this.#at;
    if (depth <= 0) return { text: name };
    const { path } = this.#at;
    const inner = this.#part(objectOf(resolved), path && heldPath(path, name), depth - 1);
    return { text: dynamicText(name, inner), fields: [{ name, ...inner }] };
  }

  #viewContext(maxElements: number): ViewContext {
    const { linkSymbolAt, typeOfDescriptor } = this.#host.context;
    return {
      memory: this.#memory,
      maxElements,
      ...(linkSymbolAt === undefined ? {} : { linkSymbolAt }),
      ...(typeOfDescriptor === undefined ? {} : { typeOfDescriptor }),
    };
  }
}

/** Nodes of a container have addresses of their own. */
const maxExtentElements = 1n << 47n;

/** As many of the first `length` bytes of an object as are there, and why there are no more. */
function readObject(
  object: ObjectView,
  length: number,
  memory: MemoryReader,
): { readonly bytes: Uint8Array; readonly stop: Absent | undefined } | Absent {
  if (object.absent !== undefined) return object.absent;
  if (object.bytes !== undefined && object.bytes.length >= length && object.gaps === undefined) {
    return { bytes: object.bytes.subarray(0, length), stop: undefined };
  }
  if (object.address === undefined) return absent('unreadable', 'only a part of the object is known');
  const read = readSome(memory, object.address, length);
  const stop = read.stop && { ...read.stop, length: length - read.bytes.length };
  return { bytes: read.bytes, stop };
}

function isNowhere({ absent: why, value, text, fields, elements }: ValueDocument): boolean {
  return (
    why !== undefined &&
    value === undefined &&
    text === undefined &&
    fields === undefined &&
    elements === undefined
  );
}

/** Of a tuple's parts, which have numbers, no expression names one. */
function isIdentifier(name: string): boolean {
  return /^\w+$/.test(name) && !/^\d/.test(name);
}

/** What an expression says to reach what an alternative holds. */
function alternativePath(path: Path, { role, name }: Alternative): Path {
  if (path === undefined) return undefined;
  return role === 'value' ? methodOf(path, 'value') : heldPath(path, name);
}

function dynamicText(name: string, inner: ValueDocument): string {
  const text = briefText(inner);
  if (text === '') return name;
  return inner.fields !== undefined && inner.text === undefined ? `${name}${text}` : `${name}(${text})`;
}

/** The kind of any type. */
export function shownKind(type: Type, raw: boolean | undefined): ValueKind {
  const view = raw === true ? undefined : viewOf(type);
  return view === undefined ? kindOf(type) : viewKind(view);
}
