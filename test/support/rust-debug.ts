/** Values as Rust's own `{:?}` writes them, from our views: what a program says of its variables is compared with it. */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { sizeOf, stripType } from '../../controller/types/layout.js';
import { memberObject, type ObjectView, objectOf, slice } from '../../controller/types/object-view.js';
import { decodeInteger } from '../../format/integer.js';
import { readBytes } from '../../controller/types/read.js';
import { computeRecipe, type Recipe } from '../../format/recipe/recipe.js';
import { baseText, decodeText } from '../../controller/types/scalar.js';
import { typeName } from '../../controller/types/type-name.js';
import type { CompositeType, Type } from '../../controller/types/type.js';
import type { Value } from '../../controller/types/value.js';
import type { VariantView, View, ViewContext } from '../../controller/types/view.js';
import { viewOf } from '../../controller/types/views.js';
import { walkElements, walkEntries } from '../../controller/types/walked.js';
import { lastPart } from '../../controller/types/rust/names.js';

/** What is absent stands in the text: `<absent: why>`. */
export function debugText(value: Value, context: ViewContext): string {
  return objectText(objectOf(value), context);
}

const why = ({ detail }: Absent): string => `<absent: ${detail}>`;

function objectText(object: ObjectView, context: ViewContext): string {
  if (object.absent !== undefined) return why(object.absent);
  const view = viewOf(object.type);
  if (view !== undefined) return viewText(object, view, context);
  const plain = stripType(object.type);
  switch (plain.kind) {
    case 'struct':
      return structText(object, plain, context);
    case 'array': {
      const element = plain.element();
      const stride = sizeOf(element) ?? 0;
      const elements = Array.from({ length: plain.count ?? 0 }, (_, i) =>
        objectText(slice(object, element, i * stride, stride), context),
      );
      return `[${elements.join(', ')}]`;
    }
    case 'pointer': {
      const address = numberIn(object, plain.byteSize, context);
      return isAbsent(address) ? why(address) : objectText({ type: plain.target(), address }, context);
    }
    case 'enum': {
      const value = numberIn(object, plain.byteSize, context);
      if (isAbsent(value)) return why(value);
      const known = plain.signed ? BigInt.asIntN(plain.byteSize * 8, value) : value;
      return plain.enumerators().find((each) => each.value === known)?.name ?? `${value}`;
    }
    case 'base': {
      const bytes = bytesOf(object, plain.byteSize, context);
      if (isAbsent(bytes)) return why(bytes);
      const text = baseText(bytes, plain, undefined);
      if (isAbsent(text)) return why(text);
      if (plain.encoding === 'utf') return `'${String.fromCodePoint(Number(text.value))}'`;
      return plain.encoding === 'float' && /^-?\d+$/.test(text.value) ? `${text.value}.0` : text.value;
    }
    case 'void':
    case 'union':
    case 'class':
    case 'function':
    case 'unknown':
      break;
  }
  return `<${plain.kind}>`;
}

function bytesOf(object: ObjectView, size: number, { memory }: ViewContext): Uint8Array | Absent {
  if (object.bytes !== undefined) return object.bytes.subarray(0, size);
  if (object.address === undefined) return absent('unreadable', 'no address');
  const read = readBytes({ type: object.type, place: { kind: 'memory', address: object.address } }, memory);
  return isAbsent(read) ? read : read.bytes;
}

function numberIn(object: ObjectView, size: number, context: ViewContext): bigint | Absent {
  const bytes = bytesOf(object, size, context);
  return isAbsent(bytes) ? bytes : decodeInteger(bytes, false);
}

function structText(object: ObjectView, type: CompositeType, context: ViewContext): string {
  const name = type.name ?? '';
  const short = lastPart(name);
  const texts = type
    .members()
    .filter((member) => !name.startsWith('core::ops::range::RangeInclusive') || member.name !== 'exhausted')
    .map((member) => [member.name ?? '', objectText(memberObject(object, member), context)] as const);
  const [first, second] = texts.map(([, text]) => text);
  if (name.startsWith('core::marker::PhantomData')) return name.replace(/^core::marker::/, '');
  if (name.startsWith('core::time::Duration')) {
    const seconds = Number(first) + Number(second) / 1e9;
    return `${seconds}s`;
  }
  const range = /^core::ops::range::(?<kind>\w+)</.exec(name)?.groups?.['kind'];
  if (range === 'Range') return `${first}..${second}`;
  if (range === 'RangeInclusive') return `${first}..=${second}`;
  if (range === 'RangeFrom') return `${first}..`;
  if (range === 'RangeTo') return `..${first}`;
  if (name === '()') return '()';
  if (name.startsWith('(')) {
    const parts = texts.map(([, text]) => text).join(', ');
    return texts.length === 1 ? `(${parts},)` : `(${parts})`;
  }
  if (texts.length === 0) return short;
  if (texts[0]?.[0] === '__0') return `${short}(${texts.map(([, text]) => text).join(', ')})`;
  return `${short} { ${texts.map(([field, text]) => `${field}: ${text}`).join(', ')} }`;
}

function viewText(object: ObjectView, view: View, context: ViewContext): string {
  const compute = (recipe: Recipe): bigint | Absent => computeRecipe(recipe, object, context.memory);
  const name = typeName(object.type);
  switch (view.kind) {
    case 'string': {
      const data = compute(view.data);
      const length = compute(view.length);
      if (isAbsent(data)) return why(data);
      if (isAbsent(length)) return why(length);
      if (length === 0n) return '""';
      const read = context.memory.read(data, Number(length));
      if (isAbsent(read)) return why(read);
      return `"${decodeText(read.bytes)}"`;
    }
    case 'sequence': {
      const data = compute(view.data);
      const length = compute(view.length);
      if (isAbsent(data)) return why(data);
      if (isAbsent(length)) return why(length);
      const type = view.element();
      const stride = BigInt(sizeOf(type) ?? 0);
      const elements = Array.from({ length: Number(length) }, (_, i) =>
        objectText({ type, address: data + BigInt(i) * stride }, context),
      );
      return `[${elements.join(', ')}]`;
    }
    case 'pointer': {
      if (/::Weak</.test(name)) return '(Weak)';
      const address = compute(view.pointer);
      if (isAbsent(address)) return why(address);
      return objectText({ type: view.target(), address }, context);
    }
    case 'wrapper': {
      const { offset } = view.content;
      const type = view.content.type();
      const inner = objectText(slice(object, type, offset, sizeOf(type) ?? 0), context);
      const facts = new Map((view.facts ?? []).map((fact) => [fact.name, compute(fact.value)]));
      return wrapperText(lastPart(name), inner, facts);
    }
    case 'walked': {
      const elements = [...walkElements(view, object, context)].map((each) =>
        isAbsent(each) ? why(each) : debugText(each, context),
      );
      const braces = view.noun === 'set' ? ['{', '}'] : ['[', ']'];
      return `${braces[0]}${elements.join(', ')}${braces[1]}`;
    }
    case 'map': {
      const entries = [...walkEntries(view, object, context)].map((each) =>
        isAbsent(each) ? why(each) : `${debugText(each.key, context)}: ${debugText(each.value, context)}`,
      );
      return `{${entries.join(', ')}}`;
    }
    case 'record':
      return '<record>';
    case 'variant':
      return variantText(object, view, context);
    case 'dynamic': {
      const resolved = view.resolve(object, context);
      if (resolved === undefined) return '<nothing>';
      return isAbsent(resolved) ? why(resolved) : debugText(resolved, context);
    }
  }
}

function wrapperText(name: string, inner: string, facts: ReadonlyMap<string, bigint | Absent>): string {
  switch (name) {
    case 'Cell':
      return `Cell { value: ${inner} }`;
    case 'RefCell':
      return `RefCell { value: ${facts.get('borrow_mut') === 0n ? inner : '<borrowed>'} }`;
    case 'ManuallyDrop':
      return `ManuallyDrop { value: ${inner} }`;
    case 'Mutex':
    case 'RwLock': {
      const locked = facts.get('locked') === 1n || facts.get('written') === 1n;
      return `${name} { data: ${locked ? '<locked>' : inner}, poisoned: ${facts.get('poisoned') === 1n}, .. }`;
    }
    case 'OnceCell':
      return inner === 'None' ? 'OnceCell(<uninit>)' : inner.replace('Some', 'OnceCell');
    default:
      return inner;
  }
}

function variantText(object: ObjectView, view: VariantView, context: ViewContext): string {
  const discriminant = computeRecipe(view.discriminant, object, context.memory);
  if (isAbsent(discriminant)) return why(discriminant);
  const active =
    view.alternatives.find((each) =>
      each.discriminants?.some(({ from, to }) => from <= discriminant && discriminant <= to),
    ) ?? view.alternatives.find((each) => each.discriminants === undefined);
  if (active === undefined) return `<no variant ${discriminant}>`;
  if (/^(?:Borrowed|Owned)$/.test(active.name) || typeName(object.type).startsWith('alloc::borrow::Cow'))
    return contentText(object, active.content, context);
  if (typeName(object.type).startsWith('std::sync::once_lock::'))
    return `OnceLock(${active.content === undefined ? '<uninit>' : contentText(object, active.content, context)})`;
  if (active.content === undefined) return active.name;
  const type: Type = active.content.type();
  const plain = stripType(type);
  const text = contentText(object, active.content, context);
  // What is more than one field stands for itself: its type is named after the variant.
  const isOwnStruct =
    plain.kind === 'struct' && typeName(plain).startsWith(`${typeName(object.type)}::${active.name}`);
  return isOwnStruct ? text : `${active.name}(${text})`;
}

function contentText(
  object: ObjectView,
  content: { readonly type: () => Type; readonly offset: number } | undefined,
  context: ViewContext,
): string {
  if (content === undefined) return '';
  const type = content.type();
  return objectText(slice(object, type, content.offset, sizeOf(type) ?? 0), context);
}
