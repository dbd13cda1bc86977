/**
 * The value of a checked expression in a frame. What is missing is absent with its reason: never a guess, never zeros.
 * An object in memory comes back as its place, unread; whoever shows it reads it.
 */
import { absent, isAbsent, type Absent } from '../../format/absent.js';
import { compareText, maxSearchedBytes } from '../../format/decision/text.js';
import { type MemoryReader, type Provenance, weaker } from '../../format/memory.js';
import { isPointer, sizeOf, stripType } from '../types/layout.js';
import { objectOf } from '../types/object-view.js';
import { missingBits, partOfBytes, placeAt } from '../types/place.js';
import { typeName } from '../types/type-name.js';
import type { Place, Value } from '../types/value.js';
import { numericOf } from './c-types.js';
import { missingAt } from './missing.js';
import {
  arithmetic,
  bitWindow,
  compare,
  convertScalar,
  decodeBits,
  decodeScalar,
  encodeScalar,
  isTrue,
  negate,
  shift,
  wrap,
  type Scalar,
  wholeOf,
} from './scalar.js';
import type { EvaluationFrame } from './scope.js';
import {
  countValue,
  dynamicValue,
  elementValue,
  lookupValue,
  pagedType,
  type ViewEvaluation,
} from './evaluate-view.js';
import {
  isPlaced,
  type ConditionalNode,
  type PartsNode,
  type GuardedNode,
  type SliceNode,
  type TextNode,
  type TextsNode,
  type Typed,
  type ViewPageNode,
} from './typed.js';

/** Of a goroutine that waits. */
function noThread(node: Typed): Absent {
  return absent('not-in-scope', `${node.path} is not known: no thread runs the goroutine`);
}

/** Never throws for what the target's state is; an absent value says why. */
export function evaluate(node: Typed, frame: EvaluationFrame): Value {
  return new Evaluator(frame).value(node);
}

/** Whether a condition holds; absent when that cannot be told. */
export function evaluateCondition(node: Typed, frame: EvaluationFrame): boolean | Absent {
  const value = new Evaluator(frame).scalar(node);
  return isAbsent(value) ? value : isTrue(value);
}

/** A number, pointer or enumeration; absent for anything else. */
export function evaluateScalar(node: Typed, frame: EvaluationFrame): Scalar | Absent {
  return new Evaluator(frame).scalar(node);
}

/** Casts and sums around one pointer. */
const maxPointerNesting = 16;

type Located = Pick<Value, 'place' | 'bits'>;

class Evaluator {
  readonly #frame: EvaluationFrame;
  /** The weakest provenance of the bytes that were read for the result. */
  #provenance: Provenance | undefined;
  /** Objects that are looked at several times. */
  readonly #bound = new Map<Typed, Located>();

  constructor(frame: EvaluationFrame) {
    this.#frame = frame;
  }

  value(node: Typed): Value {
    if (node.kind === 'slice') return this.#slice(node);
    if (node.kind === 'let') return this.value(node.body);
    if (node.kind === 'guarded') {
      const why = this.#unguarded(node);
      if (why !== undefined) return { type: node.type, place: { kind: 'absent', absent: why } };
      return this.value(node.operand);
    }
    if (node.kind === 'view-page') return this.#page(node);
    if (node.kind === 'conditional') {
      if (numericOf(node.type) === undefined) {
        const chosen = this.#chosen(node);
        if (!isAbsent(chosen)) return this.value(chosen);
        return { type: node.type, place: { kind: 'absent', absent: chosen } };
      }
    } else if (isPlaced(node)) return { type: node.type, ...this.#located(node) };
    const value = this.scalar(node);
    const numeric = numericOf(node.type);
    const size = sizeOf(node.type);
    if (isAbsent(value)) return { type: node.type, place: { kind: 'absent', absent: value } };
    if (numeric === undefined || size === undefined) {
      const detail = `a value of type "${typeName(node.type)}" cannot be computed`;
      return { type: node.type, place: { kind: 'absent', absent: absent('unsupported', detail) } };
    }
    const bytes = encodeScalar(value, numeric, size);
    const provenance = this.#provenance === undefined ? {} : { provenance: this.#provenance };
    return { type: node.type, place: { kind: 'bytes', bytes, ...provenance } };
  }

  scalar(node: Typed): Scalar | Absent {
    switch (node.kind) {
      case 'constant':
        return node.value;
      case 'variable':
      case 'dereference':
      case 'member':
      case 'element':
      case 'view-element':
      case 'view-lookup':
      case 'dynamic':
        return this.#load(node);
      case 'guarded':
        return this.#unguarded(node) ?? this.scalar(node.operand);
      case 'let':
        return this.scalar(node.body);
      case 'bound':
        return this.#address(node.object);
      case 'view-count':
        return countValue(node, this.#views());
      case 'register': {
        const value = this.#frame.register(node.register);
        const numeric = numericOf(node.type);
        if (isAbsent(value) || numeric?.kind !== 'integer') return value;
        return wrap(value >> BigInt(node.shift), numeric);
      }
      case 'fact':
        if (node.fact === 'comm') return unreadable(node);
        if (node.fact === 'duration') return this.#frame.durationNs ?? unreadable(node);
        if (node.fact === 'tid' && this.#frame.tid === 0) return noThread(node);
        return BigInt(node.fact === 'tid' ? this.#frame.tid : this.#frame.pid);
      case 'address':
        return this.#address(node.operand);
      case 'convert': {
        const value = this.scalar(node.operand);
        const numeric = numericOf(node.type);
        if (isAbsent(value)) return value;
        return numeric === undefined ? unreadable(node) : inContext(convertScalar(value, numeric), node);
      }
      case 'unary':
        return this.#unary(node.operator, node);
      case 'not': {
        const value = this.scalar(node.operand);
        return isAbsent(value) ? value : truth(!isTrue(value));
      }
      case 'arithmetic': {
        const left = this.scalar(node.left);
        if (isAbsent(left)) return left;
        const right = this.scalar(node.right);
        if (isAbsent(right)) return right;
        const numeric = numericOf(node.type);
        if (numeric === undefined) return unreadable(node);
        return inContext(arithmetic(node.operator, left, right, numeric), node);
      }
      case 'shift': {
        const left = this.scalar(node.left);
        if (isAbsent(left)) return left;
        const right = this.scalar(node.right);
        if (isAbsent(right)) return right;
        const numeric = numericOf(node.type);
        if (numeric?.kind !== 'integer' || typeof left !== 'bigint' || typeof right !== 'bigint') {
          return unreadable(node);
        }
        return inContext(shift(node.operator, left, right, numeric), node);
      }
      case 'compare': {
        const left = this.scalar(node.left);
        if (isAbsent(left)) return left;
        const right = this.scalar(node.right);
        return isAbsent(right) ? right : truth(compare(node.operator, left, right));
      }
      case 'logical': {
        const left = this.scalar(node.left);
        if (isAbsent(left)) return left;
        if (isTrue(left) === (node.operator === '||')) return truth(node.operator === '||');
        const right = this.scalar(node.right);
        return isAbsent(right) ? right : truth(isTrue(right));
      }
      case 'conditional': {
        const chosen = this.#chosen(node);
        return isAbsent(chosen) ? chosen : this.scalar(chosen);
      }
      case 'offset': {
        const pointer = this.scalar(node.pointer);
        if (isAbsent(pointer)) return pointer;
        const index = this.scalar(node.index);
        if (isAbsent(index)) return index;
        const distance = wholeOf(index) * BigInt(node.size);
        return BigInt.asUintN(64, wholeOf(pointer) + (node.subtract ? -distance : distance));
      }
      case 'difference': {
        const left = this.scalar(node.left);
        if (isAbsent(left)) return left;
        const right = this.scalar(node.right);
        if (isAbsent(right)) return right;
        return BigInt.asIntN(64, wholeOf(left) - wholeOf(right)) / BigInt(node.size);
      }
      case 'text':
        return this.#text(node);
      case 'texts':
        return this.#texts(node);
      case 'string':
      case 'function':
      case 'parts':
      case 'slice':
      case 'view-page':
        return unreadable(node);
    }
  }

  /** Why a guarded value is none; undefined where it is one. */
  #unguarded(node: GuardedNode): Absent | undefined {
    const holds = this.scalar(node.condition);
    if (isAbsent(holds)) return holds;
    if (isTrue(holds)) return undefined;
    const shown = node.shows.map((each) => this.scalar(each));
    const detail = node.detail.replaceAll(/\{(\d)\}/g, (_, digit: string) => {
      const value = shown[Number(digit)];
      return value === undefined || isAbsent(value) ? '?' : String(value);
    });
    return absent('unreadable', detail);
  }

  #views(): ViewEvaluation {
    const { memory, views } = this.#frame;
    const noting: MemoryReader = {
      read: (address, length) => {
        const found = memory.read(address, length);
        if (!isAbsent(found)) this.#note(found.provenance);
        return found;
      },
    };
    return {
      context: { memory: noting, ...views },
      object: (node) =>
        objectOf(isPlaced(node) ? { type: node.type, ...this.#located(node) } : this.value(node)),
      scalar: (node) => this.scalar(node),
    };
  }

  #page(node: ViewPageNode): Value {
    const ends = [node.from, node.to].map((end) => (end === undefined ? undefined : this.scalar(end)));
    const why = ends.find((end) => isAbsent(end));
    const { place } = this.#located(node.object);
    if (isAbsent(why)) return { type: node.type, place: { kind: 'absent', absent: why } };
    const [from = 0, to] = ends.map((end) => (end === undefined || isAbsent(end) ? undefined : Number(end)));
    return { type: pagedType(node.object.type, node.view, from, to), place };
  }

  #unary(operator: '-' | '~', node: Typed & { readonly operand: Typed }): Scalar | Absent {
    const value = this.scalar(node.operand);
    if (isAbsent(value)) return value;
    const numeric = numericOf(node.type);
    if (numeric === undefined) return unreadable(node);
    if (operator === '-') return convertScalar(negate(value), numeric);
    return typeof value === 'bigint' ? convertScalar(~value, numeric) : unreadable(node);
  }

  /** The numbers one after another; absent as a whole where one is missing. */
  #parts(node: PartsNode): Place {
    const parts: Uint8Array[] = [];
    for (const each of node.parts) {
      const value = this.scalar(each);
      if (isAbsent(value)) return { kind: 'absent', absent: value };
      const numeric = numericOf(each.type);
      const size = sizeOf(each.type);
      if (numeric === undefined || size === undefined) return { kind: 'absent', absent: unreadable(each) };
      parts.push(encodeScalar(value, numeric, size));
    }
    const provenance = this.#provenance === undefined ? {} : { provenance: this.#provenance };
    return { kind: 'bytes', bytes: new Uint8Array(Buffer.concat(parts)), ...provenance };
  }

  #chosen(node: ConditionalNode): Typed | Absent {
    const condition = this.scalar(node.condition);
    if (isAbsent(condition)) return condition;
    return isTrue(condition) ? node.whenTrue : node.whenFalse;
  }

  /** Where an object is. */
  #located(node: Typed): Located {
    if (!isPlaced(node)) return atAddress(unreadable(node));
    switch (node.kind) {
      case 'variable':
        return { place: this.#frame.variablePlace(node.variable) };
      case 'dereference':
        return this.#pointed(node.pointer);
      case 'member': {
        const { place } = this.#located(node.object);
        const size =
          node.bits === undefined ? sizeOf(node.type) : Math.ceil((node.bits.offset + node.bits.size) / 8);
        const bits = node.bits === undefined ? {} : { bits: node.bits };
        return { place: part(place, BigInt(node.byteOffset), size, node), ...bits };
      }
      case 'element': {
        const { place } = this.#located(node.array);
        const index = this.scalar(node.index);
        if (isAbsent(index)) return atAddress(index);
        return { place: part(place, wholeOf(index) * BigInt(node.size), node.size, node) };
      }
      case 'slice':
        return this.#pointed(node.pointer);
      case 'let':
        return this.#located(node.body);
      case 'guarded': {
        const why = this.#unguarded(node);
        return why === undefined ? this.#located(node.operand) : atAddress(why);
      }
      case 'view-element':
        return locatedAt(elementValue(node, this.#views()));
      case 'view-lookup':
        return locatedAt(lookupValue(node, this.#views()));
      case 'dynamic':
        return locatedAt(dynamicValue(node, this.#views()));
      case 'view-page':
        return this.#page(node);
      case 'conditional': {
        const chosen = this.#chosen(node);
        return isAbsent(chosen) ? atAddress(chosen) : this.#located(chosen);
      }
      case 'function':
        return atAddress(this.#frame.relocate(node.address));
      case 'string':
        return { place: { kind: 'bytes', bytes: node.bytes } };
      case 'parts':
        return { place: this.#parts(node) };
      case 'fact': {
        if (this.#frame.tid === 0) return atAddress(noThread(node));
        const bytes = new Uint8Array(16);
        bytes.set(new TextEncoder().encode(this.#frame.comm).subarray(0, 15));
        return { place: { kind: 'bytes', bytes } };
      }
    }
  }

  /** What a pointer points to: also one that is nowhere, to an object that has no address. Each is looked at once, for it is asked twice where it lies. */
  #pointed(pointer: Typed): Located {
    const known = this.#bound.get(pointer);
    if (known !== undefined) return known;
    const pointed = pointer.kind === 'bound' ? this.#located(pointer.object) : this.#pointedBy(pointer);
    this.#bound.set(pointer, pointed);
    return pointed;
  }

  #pointedBy(pointer: Typed): Located {
    const place = this.#pointee(pointer, 0);
    return place === undefined ? atAddress(this.scalar(pointer)) : { place };
  }

  #pointee(pointer: Typed, nesting: number): Place | undefined {
    if (nesting > maxPointerNesting) return undefined;
    if (pointer.kind === 'convert') return this.#pointee(pointer.operand, nesting + 1);
    if (pointer.kind === 'offset') {
      const place = this.#pointee(pointer.pointer, nesting + 1);
      const index = place === undefined ? undefined : this.scalar(pointer.index);
      if (place === undefined || index === undefined) return undefined;
      if (isAbsent(index)) return { kind: 'absent', absent: index };
      const distance = wholeOf(index) * BigInt(pointer.size);
      return placeAt(place, pointer.subtract ? -distance : distance);
    }
    if (!isPlaced(pointer) || !isPointer(pointer.type)) return undefined;
    const { place } = this.#located(pointer);
    const whole = place.kind === 'bytes' ? missingBits(place.gaps, 0, place.bytes.length * 8) : place;
    return whole?.kind === 'absent' ? whole.pointee?.() : undefined;
  }

  #address(operand: Typed): bigint | Absent {
    const { place } = this.#located(operand);
    if (place.kind === 'memory') return place.address;
    if (place.kind === 'absent') return place.absent;
    return absent('unsupported', `${operand.path} is not in memory here: it has no address`);
  }

  #slice(node: SliceNode): Value {
    const { place } = this.#located(node);
    const count = node.type.count ?? this.scalar(node.count);
    if (isAbsent(count)) return { type: node.type, place: { kind: 'absent', absent: count } };
    const known = Number(count);
    if (known < 0 || !Number.isSafeInteger(known * Math.max(1, node.size))) {
      const why = absent('limit', `${node.path} would have ${wholeOf(count)} elements`);
      return { type: node.type, place: { kind: 'absent', absent: why } };
    }
    return { type: { ...node.type, count: known }, place };
  }

  #load(node: Typed): Scalar | Absent {
    const numeric = numericOf(node.type);
    const size = sizeOf(node.type);
    if (numeric === undefined || size === undefined) return unreadable(node);
    const { place, bits } = this.#located(node);
    if (bits !== undefined) {
      const { start, length } = bitWindow(bits);
      const window = { offset: bits.offset - start * 8, size: bits.size };
      const bytes = this.#bytes(part(place, BigInt(start), length, node), length, node, window);
      if (isAbsent(bytes)) return bytes;
      return decodeBits(bytes, window, numeric.kind === 'integer' && numeric.signed);
    }
    const bytes = this.#bytes(place, size, node);
    if (isAbsent(bytes)) return bytes;
    return inContext(decodeScalar(bytes, numeric), node);
  }

  /** `bits`: what of them is wanted, where that is not all. */
  #bytes(
    place: Place,
    length: number,
    node: Typed,
    bits: { readonly offset: number; readonly size: number } = { offset: 0, size: length * 8 },
  ): Uint8Array | Absent {
    if (place.kind === 'absent') return place.absent;
    if (place.kind === 'bytes') {
      const missing = missingBits(place.gaps, bits.offset, bits.offset + bits.size);
      if (missing !== undefined) return missing.absent;
      if (place.provenance !== undefined) this.#note(place.provenance);
      if (place.bytes.length >= length) return place.bytes.subarray(0, length);
      return absent(
        'unsupported',
        `only ${place.bytes.length} of the ${length} bytes of ${node.path} are known`,
      );
    }
    const found = this.#frame.memory.read(place.address, length);
    if (isAbsent(found)) return missingAt(found, node.path, place.address, length);
    this.#note(found.provenance);
    return found.bytes;
  }

  #note(provenance: Provenance): void {
    const now = this.#provenance;
    this.#provenance = now === undefined ? provenance : weaker(now, provenance);
  }

  #text(node: TextNode): Scalar | Absent {
    const { operator, literal, pattern, length } = node;
    if (length !== undefined) return this.#countedText(node, length);
    // For equality and beginnings no more is read than decides: what the kernel reads, too.
    const whole = operator === 'contains' || operator === 'matches';
    const subject = this.#string(node.subject, whole ? undefined : literal, operator !== 'startsWith');
    if (isAbsent(subject)) return subject;
    return truth(compareText(operator, subject, literal, pattern));
  }

  /** Of a string that knows its length, whatever bytes are in it. Equal ones have equal lengths: of others no byte is read. */
  #countedText({ operator, subject, literal, pattern, unitBytes }: TextNode, length: Typed): Scalar | Absent {
    const units = this.scalar(length);
    if (isAbsent(units)) return units;
    const { maxStringBytes } = this.#frame.limits;
    const size = Number(units) * unitBytes;
    const isEquality = operator === '==' || operator === '!=';
    if (isEquality && size !== literal.length) return truth(operator === '!=');
    if (operator === 'startsWith' && size < literal.length) return truth(false);
    const wanted = operator === 'contains' || operator === 'matches' ? size : literal.length;
    if (wanted > Math.max(maxStringBytes, literal.length) && wanted > maxSearchedBytes) {
      return absent('limit', `${subject.path} is longer than ${maxSearchedBytes} bytes`);
    }
    if (wanted === 0) return truth(compareText(operator, new Uint8Array(), literal, pattern));
    const { place } = this.#pointed(subject);
    const bytes = this.#bytes(place, wanted, subject);
    if (!isAbsent(bytes)) return truth(compareText(operator, bytes, literal, pattern, unitBytes));
    if (operator === 'contains' || operator === 'matches') return bytes;
    // As the kernel does, which reads no byte after the first that differs.
    for (const [i, wantedByte] of literal.entries()) {
      const byte = this.#bytes(part(place, BigInt(i), 1, subject), 1, subject);
      if (isAbsent(byte)) return stringMissing(byte, subject, wanted - i);
      if (byte[0] !== wantedByte) return truth(operator === '!=');
    }
    return bytes;
  }

  /** Of two strings that know their lengths: where these differ, no byte is read. */
  #texts({ operator, left, right, unitBytes }: TextsNode): Scalar | Absent {
    const length = this.scalar(left.length);
    if (isAbsent(length)) return length;
    const other = this.scalar(right.length);
    if (isAbsent(other)) return other;
    if (length !== other) return truth(operator === '!=');
    const size = Number(length) * unitBytes;
    if (size === 0) return truth(operator === '==');
    if (size > maxSearchedBytes) {
      return absent('limit', `${left.subject.path} is longer than ${maxSearchedBytes} bytes`);
    }
    const bytes = this.#bytes(this.#pointed(left.subject).place, size, left.subject);
    if (isAbsent(bytes)) return bytes;
    const others = this.#bytes(this.#pointed(right.subject).place, size, right.subject);
    return isAbsent(others) ? others : truth(compareText(operator, bytes, others));
  }

  /**
   * The bytes of a string up to its NUL, or up to where they differ from `against` (and, with `end`, to one byte more,
   * so that a longer string is not equal).
   */
  #string(subject: Typed, against: Uint8Array | undefined, end: boolean): Uint8Array | Absent {
    const { maxStringBytes } = this.#frame.limits;
    let place: Place;
    let capacity = Infinity;
    if (stripType(subject.type).kind === 'array') {
      const value = this.value(subject);
      place = value.place;
      const size = sizeOf(value.type);
      if (size !== undefined) capacity = size;
    } else place = atAddress(this.scalar(subject)).place;
    if (place.kind === 'absent') return place.absent;
    const most = against === undefined ? maxStringBytes : against.length + (end ? 1 : 0);
    const bytes: number[] = [];
    for (let i = 0; i < Math.min(most, capacity); i++) {
      const byte = this.#bytes(part(place, BigInt(i), 1, subject), 1, subject);
      if (isAbsent(byte)) return stringMissing(byte, subject, Math.min(most, capacity) - i);
      const [code = 0] = byte;
      if (code === 0) break;
      bytes.push(code);
      if (against !== undefined && code !== against[i]) break;
      if (against === undefined && i + 1 === most && most < capacity) {
        return absent('limit', `${subject.path} is longer than ${most} bytes`);
      }
    }
    return Uint8Array.from(bytes);
  }
}

function locatedAt(value: Value | Absent): Located {
  return isAbsent(value) ? atAddress(value) : value;
}

function stringMissing(byte: Absent, subject: Typed, length: number): Absent {
  return byte.address === undefined ? byte : missingAt(byte, subject.path, byte.address, length);
}

const truth = (value: boolean): bigint => (value ? 1n : 0n);

function atAddress(address: Scalar | Absent): Located {
  if (isAbsent(address)) return { place: { kind: 'absent', absent: address } };
  return { place: { kind: 'memory', address: BigInt.asUintN(64, wholeOf(address)) } };
}

/** A part of an object; of one that is not in memory only what is there. */
function part(place: Place, offset: bigint, size: number | undefined, node: Typed): Place {
  if (place.kind === 'absent') return place;
  if (place.kind === 'memory') {
    return { kind: 'memory', address: BigInt.asUintN(64, place.address + offset) };
  }
  const from = Number(offset);
  if (from < 0 || from + (size ?? 0) > place.bytes.length) {
    const why = absent(
      'unsupported',
      `${node.path} is outside of the ${place.bytes.length} bytes that are known of its object`,
    );
    return { kind: 'absent', absent: why };
  }
  return partOfBytes(place, from, size === undefined ? place.bytes.length : from + size);
}

function unreadable(node: Typed): Absent {
  return absent('unsupported', `values of type "${typeName(node.type)}" are not supported in expressions`);
}

/** Says which part of the expression had no value. */
function inContext(value: Scalar | Absent, node: Typed): Scalar | Absent {
  return isAbsent(value) ? { ...value, detail: `${value.detail} (in ${node.path})` } : value;
}
