/**
 * A typed value to the JSON document of CLI.md. It reads what it needs through the memory reader, follows pointers to a
 * depth, and puts `absent` with the reason wherever bytes, a size or a location are missing: never a guess, never zeros.
 * It knows nothing of frames or debug information; what it needs of those comes in the context.
 */
import { type Absent, absent, isAbsent } from '../../format/absent.js';
import { hex } from '../../format/address.js';
import type { Limits } from '../../format/limits.js';
import type { MemoryReader, Provenance } from '../../format/memory.js';
import { dynamicObject, type DynamicTypes } from './cplusplus/dynamic-object.js';
import { type Format, formatScalar } from './format.js';
import { kindOf } from './kind.js';
import { isCharacter, sizeOf, stripType, wideCharacterBytes } from './layout.js';
import { asScalar, memberObject, type ObjectView, objectOf, slice } from './object-view.js';
import { captureText, elementOf, memberOf, rootPath, targetOf } from './path.js';
import { decodeInteger } from '../../format/integer.js';
import { bitFieldBytes, integerOf, readString } from './read.js';
import {
  type Body,
  type Path,
  renderView,
  shownKind,
  type ViewHost,
  viewKind,
  type ViewPosition,
} from './render-view.js';
import { baseText, decodeText, decodeWideText, enumText, type ScalarText } from './scalar.js';
import { computeRecipe } from '../../format/recipe/recipe.js';
import type { ArrayType, CompositeType, Member, PointerType, Type } from './type.js';
import { typeName } from './type-name.js';
import type { Value } from './value.js';
import { activeVariant } from './variants.js';
import type { AbsentDocument, ValueDocument, ValueKind, VariableDocument } from './value-document.js';
import type { View, ViewContext } from './view.js';
import { viewOf } from './views.js';

export interface RenderContext {
  readonly memory: MemoryReader;
  /** Name of the function at a runtime address, for function pointers. */
  readonly symbolize?: (address: bigint) => string | undefined;
  readonly limits: Pick<Limits, 'maxDepth' | 'maxElements' | 'maxStringBytes' | 'maxNesting'>;
  /** How many pointers are followed one after another; `limits.maxDepth` when not given. Strings are always followed. */
  readonly depth?: number;
  /** Count of a variable-length array in the value's frame. */
  readonly evaluateCount?: (type: ArrayType) => number | Absent;
  /** The expression that gave the value, for hints. */
  readonly path?: string;
  /** How to get what an expression names but was not captured; undefined when there is no way. Unless given: `--capture`. */
  readonly captureHint?: (expression: string) => string | undefined;
  /** How the text of scalars is written. */
  readonly format?: Format;
  /** Layout as declared, without language views. C has no views. */
  readonly raw?: boolean;
  /** What views ask of the process's modules. */
  readonly linkSymbolAt?: ViewContext['linkSymbolAt'];
  readonly typeOfDescriptor?: ViewContext['typeOfDescriptor'];
  /** Of C++: what an object is as a whole whose first word points to that vtable. */
  readonly dynamicTypeAt?: DynamicTypes;
}

export interface VariableOptions {
  readonly parameter?: boolean;
  readonly shadowed?: boolean;
}

export function renderValue(value: Value, context: RenderContext): ValueDocument {
  const path = context.path === undefined ? undefined : rootPath(context.path);
  const renderer = new Renderer(context);
  return renderer.render(objectOf(value), path, context.depth ?? context.limits.maxDepth, 0);
}

export function renderVariable(
  name: string,
  value: Value,
  context: RenderContext,
  options: VariableOptions = {},
): VariableDocument {
  return {
    name,
    ...(options.parameter === undefined ? {} : { parameter: options.parameter }),
    ...(options.shadowed === true ? { shadowed: true } : {}),
    ...renderValue(value, { path: name, ...context }),
  };
}

/** Values in one document; a hostile or huge type must not fill the memory. */
const maxNodes = 20_000;
/** Objects up to this size are read in one go, larger ones member by member. */
const maxWholeRead = 64 * 1024;

class Renderer {
  readonly #context: RenderContext;
  readonly #viewHost: ViewHost;
  #nodes = 0;

  constructor(context: RenderContext) {
    this.#context = context;
    this.#viewHost = {
      context,
      render: (object, path, depth, nesting) => this.render(object, path, depth, nesting),
      elements: (object, type, { path, depth, nesting }) =>
        this.#elements(object, type, path, depth, nesting),
      missing: (reason, path) => this.#missing(reason, path),
    };
  }

  render(object: ObjectView, path: Path, depth: number, nesting: number): ValueDocument {
    const view = this.#context.raw === true ? undefined : viewOf(object.type);
    if (view !== undefined) return this.#viewed(view, object, path, depth, nesting);
    const plain = stripType(object.type);
    if (plain.kind === 'pointer' && plain.flavor !== 'pointer' && nesting < this.#context.limits.maxNesting) {
      return this.#reference(object, plain, path, depth, nesting);
    }
    const resolved = plain.kind === 'array' ? this.#resolve(plain) : undefined;
    const type = resolved === undefined || isAbsent(resolved) ? object.type : resolved;
    const shown = resolved !== undefined && resolved !== plain && !isAbsent(resolved);
    const body =
      isAbsent(resolved) && object.absent === undefined
        ? { elements: [], ...this.#missing(resolved, undefined) }
        : this.#body({ ...object, type }, path, depth, nesting);
    return {
      type: typeName(shown ? type : object.type),
      kind: kindOf(object.type),
      ...inOrder(body, object.bits === undefined ? object.address : undefined),
    };
  }

  #viewed(view: View, object: ObjectView, path: Path, depth: number, nesting: number): ValueDocument {
    const body = this.#viewBody(view, object, { path, depth, nesting });
    return { type: typeName(object.type), kind: viewKind(view), ...inOrder(body, object.address) };
  }

  #viewBody(view: View, object: ObjectView, at: ViewPosition): Body {
    if (object.absent !== undefined) return this.#missing(object.absent, undefined);
    const exhausted = this.#exhausted(at.nesting);
    if (exhausted !== undefined) return this.#missing(exhausted, at.path);
    const whole = this.#whole(object, sizeOf(object.type) ?? 0);
    const body = renderView(view, whole.object, at, this.#viewHost);
    return whole.absent !== undefined && isWhollyAbsent(body) ? this.#missing(whole.absent, at.path) : body;
  }

  /** Counts a value; absent where the document has as many as it may have. */
  #exhausted(nesting: number): Absent | undefined {
    if (++this.#nodes > maxNodes) return absent('limit', `more than ${maxNodes} values in one document`);
    const { maxNesting } = this.#context.limits;
    return nesting < maxNesting ? undefined : absent('limit', `nested deeper than ${maxNesting} levels`);
  }

  #body(object: ObjectView, path: Path, depth: number, nesting: number): Body {
    if (object.absent !== undefined) return this.#absentObject(object, object.absent, path, depth, nesting);
    const exhausted = this.#exhausted(nesting);
    if (exhausted !== undefined) return this.#missing(exhausted, path);
    const plain = stripType(object.type);
    switch (plain.kind) {
      case 'void':
        return {};
      case 'unknown':
        return this.#missing(absent('unsupported', plain.detail), undefined);
      case 'function':
        return this.#named(object.address);
      case 'struct':
      case 'union':
      case 'class':
        return this.#composite(object, plain, path, depth, nesting);
      case 'array':
        return this.#array(object, plain, path, depth, nesting);
      case 'pointer':
      case 'base':
      case 'enum':
        break;
    }
    const known = asScalar(object, plain.byteSize);
    if (known.absent !== undefined) return this.#absentObject(known, known.absent, path, depth, nesting);
    const [start, end] = object.bits === undefined ? [0, plain.byteSize] : bitFieldBytes(object.bits);
    const read = this.#read(object, start, end);
    if (isAbsent(read)) return this.#missing(read, path);
    const body =
      plain.kind === 'pointer'
        ? this.#pointer(decodeInteger(read.bytes, false), plain, path, depth, nesting)
        : this.#scalar(
            plain.kind === 'enum'
              ? enumText(integerOf(read.bytes, object), plain)
              : baseText(read.bytes, plain, object.bits),
          );
    const { format, symbolize } = this.#context;
    const { bits } = object;
    const scalar = { bytes: read.bytes, type: plain, symbolize, ...(bits === undefined ? {} : { bits }) };
    const text = format === undefined || body.value === undefined ? undefined : formatScalar(format, scalar);
    return { ...body, ...(text === undefined ? {} : { text }), ...stated(read.provenance) };
  }

  /** A pointer that is nowhere can point to what is known (DWARF5 2.6.1.1.4): that is shown as its target. */
  #absentObject(object: ObjectView, why: Absent, path: Path, depth: number, nesting: number): Body {
    const missing = this.#missing(why, undefined);
    const plain = stripType(object.type);
    const target = plain.kind === 'pointer' ? plain.target() : undefined;
    if (target === undefined || object.pointee === undefined) return missing;
    if (depth <= 0 || nesting >= this.#context.limits.maxNesting) return missing;
    const pointed = objectOf({ type: target, place: object.pointee() });
    const targetPath = path === undefined ? undefined : targetOf(path);
    return { target: this.render(pointed, targetPath, depth - 1, nesting + 1), ...missing };
  }

  #scalar(text: ScalarText | Absent): Body {
    return isAbsent(text) ? this.#missing(text, undefined) : text;
  }

  #named(address: bigint | undefined): Body {
    const name = address === undefined ? undefined : this.#context.symbolize?.(address);
    return name === undefined ? {} : { text: name };
  }

  #pointer(address: bigint, type: PointerType, path: Path, depth: number, nesting: number): Body {
    const value = hex(address);
    if (address === 0n) return { value };
    const target = type.target();
    const plain = stripType(target);
    if (plain.kind === 'void' || plain.kind === 'unknown') return { value };
    if (plain.kind === 'function') return { value, ...this.#named(address) };
    const targetPath = path === undefined ? undefined : targetOf(path);
    if (isCharacter(target)) return { value, ...this.#string(address, target, targetPath, nesting) };
    const unit = wideCharacterBytes(target);
    const wide = unit === undefined ? {} : this.#wideString(address, unit);
    if (depth <= 0) return { value, ...wide };
    return {
      value,
      ...wide,
      target: this.render(this.#pointed(target, address), targetPath, depth - 1, nesting + 1),
    };
  }

  /** A pointer to characters: the string is its text, the first character its target. */
  #string(address: bigint, target: Type, path: Path, nesting: number): Body {
    const { memory, limits } = this.#context;
    const read = readString(memory, address, limits.maxStringBytes);
    const first = this.render({ type: target, address }, path, 0, nesting + 1);
    if (isAbsent(read)) return { target: first };
    return {
      text: decodeText(read.bytes),
      target: first,
      ...(read.cut === undefined ? { length: read.bytes.length } : this.#missing(read.cut, path)),
    };
  }

  /** Text of a pointer to wide characters where all of it is there; nothing is said where it is not, for it may be no string. */
  #wideString(address: bigint, unitBytes: number): { text?: string } {
    const { memory, limits } = this.#context;
    const bytes: Uint8Array[] = [];
    for (let i = 0; i + unitBytes <= limits.maxStringBytes; i += unitBytes) {
      const read = memory.read(BigInt.asUintN(64, address + BigInt(i)), unitBytes);
      if (isAbsent(read)) return {};
      if (read.bytes.every((byte) => byte === 0))
        return { text: decodeWideText(Buffer.concat(bytes), unitBytes) };
      bytes.push(read.bytes);
    }
    return {};
  }

  #reference(
    object: ObjectView,
    type: PointerType,
    path: Path,
    depth: number,
    nesting: number,
  ): ValueDocument {
    const name = typeName(object.type);
    const target = type.target();
    const kind = stripType(target).kind === 'pointer' ? kindOf(object.type) : this.#kind(target);
    const known = asScalar(object, type.byteSize);
    if (known.pointee !== undefined) {
      const referent = objectOf({ type: target, place: known.pointee() });
      return { ...this.render(referent, path, depth, nesting + 1), type: name, kind };
    }
    const read = known.absent ?? this.#read(object, 0, type.byteSize);
    if (isAbsent(read)) return { type: name, kind, ...inOrder(this.#missing(read, path), undefined) };
    const address = decodeInteger(read.bytes, false);
    // A reference is not a pointer that the user follows, so it costs no depth; nesting still bounds it.
    const referent = this.#pointed(target, address);
    const shown = this.render(referent, path, depth, nesting + 1);
    if (referent.type === target) return { ...shown, type: name, kind };
    return { ...shown, type: typeName({ ...type, target: () => referent.type }) };
  }

  #kind(type: Type): ValueKind {
    return shownKind(type, this.#context.raw);
  }

  #composite(object: ObjectView, type: CompositeType, path: Path, depth: number, nesting: number): Body {
    if (type.incomplete) {
      const detail = `${typeName(type)} is only declared in the debug information, not defined`;
      return this.#missing(absent('no-debug-info', detail), undefined);
    }
    const whole = this.#whole(object, type.byteSize);
    const fields: VariableDocument[] = [];
    const part = type.variants?.();
    const variant = part === undefined ? undefined : activeVariant(whole.object, part, this.#context.memory);
    const variantMembers = variant === undefined || isAbsent(variant) ? [] : variant.members;
    for (const member of [...type.members(), ...variantMembers]) {
      const fieldPath = member.name === undefined || path === undefined ? path : memberOf(path, member.name);
      const field = this.render(this.#member(whole.object, member), fieldPath, depth, nesting + 1);
      fields.push({
        name: member.name ?? (member.base ? typeName((member.virtualBase ?? member).type()) : ''),
        ...(member.base ? { base: true } : {}),
        ...field,
      });
    }
    if (whole.absent !== undefined && fields.every(isWhollyAbsent)) return this.#missing(whole.absent, path);
    const unknown = isAbsent(variant) ? this.#missing(variant, path) : {};
    return { fields, ...stated(whole.object.provenance), ...unknown };
  }

  /** A virtual base is where the vtable of the object says. */
  #member(object: ObjectView, member: Member): ObjectView {
    const { virtualBase } = member;
    if (virtualBase === undefined) return memberObject(object, member);
    const type = virtualBase.type();
    const offset = computeRecipe(virtualBase.offset, object, this.#context.memory);
    if (isAbsent(offset)) return { type, absent: offset };
    return slice(object, type, Number(BigInt.asIntN(64, offset)), sizeOf(type) ?? 0);
  }

  /** What a pointer leads to: of a class with a vtable the whole object. */
  #pointed(type: Type, address: bigint): ObjectView {
    const { memory, raw, dynamicTypeAt } = this.#context;
    const object = { type, address };
    return raw === true ? object : dynamicObject(object, memory, dynamicTypeAt);
  }

  #array(object: ObjectView, type: ArrayType, path: Path, depth: number, nesting: number): Body {
    const body = this.#elements(object, type, path, depth, nesting);
    const element = type.element();
    const stride = sizeOf(element);
    if (stride === undefined || body.absent !== undefined) return body;
    return { ...this.#arrayText(object, type, element, stride, path), ...body };
  }

  #elements(object: ObjectView, type: ArrayType, path: Path, depth: number, nesting: number): Body {
    const element = type.element();
    const stride = sizeOf(element);
    if (type.count === undefined || stride === undefined) {
      const detail =
        type.count === undefined
          ? 'the length of the array is not in the debug information'
          : `the size of ${typeName(element)} is not known`;
      const hint =
        type.count === undefined && path !== undefined
          ? { hint: `ask for a slice, such as ${captureText(path)}[0:10]` }
          : {};
      return { elements: [], ...this.#missing(absent('no-debug-info', detail, hint), undefined) };
    }
    const { maxElements } = this.#context.limits;
    const shown = Math.min(type.count, maxElements);
    const whole = this.#whole(object, shown * stride);
    const elements: ValueDocument[] = [];
    for (let i = 0; i < shown; i++) {
      const at = slice(whole.object, element, i * stride, stride);
      elements.push(this.render(at, path === undefined ? undefined : elementOf(path, i), depth, nesting + 1));
    }
    const length = type.count;
    if (whole.absent !== undefined && elements.every(isWhollyAbsent)) {
      return { elements: [], length, ...this.#missing(whole.absent, path) };
    }
    return { elements, length, ...stated(whole.object.provenance) };
  }

  /** Text of an array of characters: up to the first NUL, or all of it. */
  #arrayText(object: ObjectView, type: ArrayType, element: Type, stride: number, path: Path): Body {
    const wide = wideCharacterBytes(element) !== undefined;
    if ((!isCharacter(element) && !wide) || object.gaps !== undefined) return {};
    const count = type.count ?? 0;
    const wanted = Math.min(count * stride, this.#context.limits.maxStringBytes);
    if (wide) {
      const read = this.#read(object, 0, wanted - (wanted % stride));
      return isAbsent(read) ? {} : { text: decodeWideText(read.bytes, stride) };
    }
    if (count === 0) return { text: '' };
    const read =
      object.address === undefined
        ? knownString(object.bytes ?? new Uint8Array(), wanted)
        : readString(this.#context.memory, object.address, wanted);
    if (isAbsent(read)) return {};
    const text = decodeText(read.bytes);
    if (read.cut === undefined || read.bytes.length === count) return { text };
    return { text, ...this.#missing(read.cut, path) };
  }

  /** Resolves the count of a variable-length array, also where it is the element of another. */
  #resolve(type: ArrayType): ArrayType | Absent {
    const element = stripType(type.element());
    const inner = element.kind === 'array' ? this.#resolve(element) : undefined;
    if (isAbsent(inner)) return inner;
    const resolvedElement = inner === undefined || inner === element ? type.element : () => inner;
    if (type.count !== undefined || type.dynamicCount === undefined) {
      return resolvedElement === type.element ? type : { ...type, element: resolvedElement };
    }
    const count =
      this.#context.evaluateCount?.(type) ??
      absent('unsupported', 'the length of the array is computed in its frame, which is not known here');
    if (isAbsent(count)) return count;
    return { kind: 'array', element: resolvedElement, count: Math.max(0, count) };
  }

  /** Tries to read an object at once; what cannot be is left to its parts. */
  #whole(object: ObjectView, size: number): { object: ObjectView; absent?: Absent } {
    if (object.bytes !== undefined || size === 0 || size > maxWholeRead) return { object };
    const read = this.#read(object, 0, size);
    if (isAbsent(read)) return { object, absent: read };
    return { object: { ...object, ...read } };
  }

  #read(
    object: ObjectView,
    start: number,
    end: number,
  ): { readonly bytes: Uint8Array; readonly provenance?: Provenance } | Absent {
    if (object.absent !== undefined) return object.absent;
    if (object.bytes !== undefined && object.bytes.length >= end) {
      return {
        bytes: object.bytes.subarray(start, end),
        ...(object.provenance === undefined ? {} : { provenance: object.provenance }),
      };
    }
    if (object.address !== undefined) {
      const address = BigInt.asUintN(64, object.address + BigInt(start));
      const read = this.#context.memory.read(address, end - start);
      if (!isAbsent(read)) return read;
      // The reader says what is missing; how much of this object that is, is known here.
      const missing = read.address ?? address;
      return { ...read, address: missing, length: Number(address + BigInt(end - start) - missing) };
    }
    const have = object.bytes?.length ?? 0;
    return absent('unreadable', `only ${have} of ${end} bytes of the value are known`);
  }

  #missing(reason: Absent, path: Path): { absent: AbsentDocument } {
    const { captureHint = hintToCapture } = this.#context;
    const hint =
      reason.hint ??
      (reason.absent === 'not-captured' && path !== undefined && !isNowhere(reason.address)
        ? captureHint(captureText(path))
        : undefined);
    return {
      absent: {
        reason: reason.absent,
        detail: reason.detail,
        ...(reason.address === undefined ? {} : { address: hex(reason.address) }),
        ...(reason.length === undefined ? {} : { length: reason.length }),
        ...(hint === undefined ? {} : { hint }),
      },
    };
  }
}

function knownString(bytes: Uint8Array, wanted: number): ReturnType<typeof readString> {
  const nul = bytes.indexOf(0);
  const end = nul < 0 || nul > wanted ? wanted : nul;
  const cut =
    nul === end || end < wanted ? undefined : absent('limit', `the string goes on after ${wanted} bytes`);
  return { bytes: bytes.subarray(0, end), provenance: undefined, cut };
}

function stated(provenance: Provenance | undefined): { provenance?: Provenance } {
  return provenance === undefined ? {} : { provenance };
}

/** Nothing of it is there: no scalar, no field, no element. */
function isWhollyAbsent(document: Body): boolean {
  return (
    document.absent !== undefined &&
    document.value === undefined &&
    document.text === undefined &&
    document.fields === undefined &&
    (document.elements === undefined || document.elements.length === 0)
  );
}

/** The order in which CLI.md lists the properties. */
function inOrder(body: Body, address: bigint | undefined): Omit<ValueDocument, 'type' | 'kind'> {
  const { value, text, fields, elements, target, length, provenance, absent: missing } = body;
  return {
    ...(value === undefined ? {} : { value }),
    ...(text === undefined ? {} : { text }),
    ...(address === undefined ? {} : { address: hex(address) }),
    ...(fields === undefined ? {} : { fields }),
    ...(elements === undefined ? {} : { elements }),
    ...(target === undefined ? {} : { target }),
    ...(length === undefined ? {} : { length }),
    ...(provenance === undefined ? {} : { provenance }),
    ...(missing === undefined ? {} : { absent: missing }),
  };
}

/** The first 64 KiB belong to nobody (vm.mmap_min_addr): to capture them is no advice. */
function isNowhere(address: bigint | undefined): boolean {
  return address !== undefined && address < 0x10000n;
}

/** `capture it with --capture 'order->items'`. */
export function hintToCapture(expression: string): string {
  return `capture it with --capture ${quoted(expression)}`;
}

/** As an argument of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
