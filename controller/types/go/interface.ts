/**
 * Interfaces (runtime/runtime2.go `iface`, `eface`): what they hold, as the type that the value has. Its descriptor says which that is and whether the
 * data word is the value itself or points to it; all that it says is compared with debug information before it is believed.
 */
import { absent, type Absent, isAbsent } from '../../../format/absent.js';
import { hex } from '../../../format/address.js';
import type { MemoryReader } from '../../../format/memory.js';
import { least } from '../blocks.js';
import { asArray, asComposite, findMember, sizeOf, stripType } from '../layout.js';
import { type ObjectView, slice } from '../object-view.js';
import {
  binary,
  choose,
  computeRecipe,
  constant,
  pointerAt,
  type Recipe,
} from '../../../format/recipe/recipe.js';
import { decodeInteger } from '../../../format/integer.js';
import type { Type } from '../type.js';
import { typeName } from '../type-name.js';
import type { Value } from '../value.js';
import type { Block, DynamicView, ViewContext } from '../view.js';
import { GO_KIND, goFacts } from './kind.js';
import { corrupt } from '../../../format/walk/found.js';

export function interfaceView(type: Type): DynamicView | undefined {
  const data = findMember(type, 'data');
  const descriptor = descriptorOf(type);
  if (data === undefined || descriptor === undefined) return undefined;
  return {
    kind: 'dynamic',
    isNone: binary(descriptor.tag, '==', constant(0)),
    blocks: () => valueBlocks(descriptor, data.byteOffset),
    resolve(object, context) {
      const tag = computeRecipe(descriptor.tag, object, context.memory);
      if (isAbsent(tag)) return tag;
      if (tag === 0n) return undefined;
      const address = computeRecipe(descriptor.type, object, context.memory);
      if (isAbsent(address)) return address;
      return resolveAt(address, slice(object, object.type, data.byteOffset, 8), context);
    },
  };
}

const maxValueBytes = 256;
/** Of what a pointer leads to: the value is one where it is as large as one. */
const pointedBytes = 64;

/** For a plan: the table that an `iface` has, and the value, whose size its descriptor begins with. */
function valueBlocks(descriptor: { readonly tag: Recipe; readonly type: Recipe }, data: number): Block[] {
  const size: Recipe = { op: 'load', address: descriptor.type, size: 8 };
  const isWord = binary(size, '==', constant(8));
  const value: Block = {
    address: pointerAt(data),
    bytes: choose(
      descriptor.tag,
      choose(isWord, constant(pointedBytes), least(size, constant(maxValueBytes))),
      constant(0),
    ),
    maxBytes: maxValueBytes,
  };
  const table: Block = { address: descriptor.tag, bytes: constant(24), maxBytes: 24 };
  const blocks = [value, textBlock(descriptor.tag, pointerAt(data))];
  return descriptor.tag === descriptor.type ? blocks : [table, ...blocks];
}

const maxTextBytes = 256;

/**
 * What is most often asked of an interface is the text of an error, and that is a string at the beginning of what it holds or points to. Nothing in the kernel
 * knows the type: what looks like a string's address and length there is brought, and is shown only where a string is.
 */
function textBlock(tag: Recipe, data: Recipe): Block {
  const length: Recipe = { op: 'load', address: binary(data, '+', constant(8)), size: 8 };
  const text: Recipe = { op: 'load', address: data, size: 8 };
  return {
    address: choose(tag, text, constant(0)),
    bytes: choose(binary(length, '<', constant(maxTextBytes + 1)), length, constant(0)),
    maxBytes: maxTextBytes,
  };
}

/** Of an `eface` the descriptor itself; of an `iface` that of the itab (`_type`, since Go 1.22 `Type`). */
function descriptorOf(type: Type): { readonly tag: Recipe; readonly type: Recipe } | undefined {
  const direct = findMember(type, '_type');
  if (direct !== undefined) {
    const tag = pointerAt(direct.byteOffset);
    return { tag, type: tag };
  }
  const table = findMember(type, 'tab');
  const target = table === undefined ? undefined : stripType(table.type);
  if (table === undefined || target?.kind !== 'pointer') return undefined;
  const member = findMember(target.target(), '_type') ?? findMember(target.target(), 'Type');
  if (member === undefined) return undefined;
  const tag = pointerAt(table.byteOffset);
  const offset = constant(member.byteOffset);
  return { tag, type: { op: 'load', address: binary(tag, '+', offset), size: 8 } };
}

function resolveAt(address: bigint, data: ObjectView, context: ViewContext): Value | Absent {
  const { memory, typeOfDescriptor } = context;
  const facts = descriptorFacts(address, memory);
  if (isAbsent(facts)) return facts;
  const type = typeOfDescriptor?.(address, 'go-type');
  if (type === undefined)
    return absent('no-debug-info', `no type of the debug information has the descriptor at ${hex(address)}`, {
      address,
    });
  const kind = goFacts(type)?.kind;
  if (BigInt(sizeOf(type) ?? -1) !== facts.size || (kind !== undefined && kind !== facts.kind))
    return corrupt(`the descriptor is not that of ${typeName(type)}`, address);
  if (facts.isDirect && !isPointerShaped(type, 0))
    return corrupt(`a value of ${typeName(type)} does not fit into a pointer`, address);
  if (facts.isDirect) return valueOf(data, type);
  const pointer = computeRecipe(pointerAt(0), data, memory);
  if (isAbsent(pointer)) return pointer;
  if (pointer === 0n) return corrupt(`an interface of ${typeName(type)} without a value`, address);
  return { type, place: { kind: 'memory', address: pointer } };
}

interface DescriptorFacts {
  readonly size: bigint;
  readonly kind: number;
  /** The data word is the value. */
  readonly isDirect: boolean;
}

/** internal/abi.Type, the same in all versions: size at 0, tflag at 20, kind at 23, in whose upper bits flags were until Go 1.25. */
const kindDirectIface = 1 << 5;
const tflagDirectIface = 1 << 5;
const kindMask = kindDirectIface - 1;

function descriptorFacts(address: bigint, memory: MemoryReader): DescriptorFacts | Absent {
  const read = memory.read(address, 24);
  if (isAbsent(read)) return read;
  const kind = read.bytes[23] ?? 0;
  const isDirect = (kind & kindDirectIface) !== 0 || ((read.bytes[20] ?? 0) & tflagDirectIface) !== 0;
  return { size: decodeInteger(read.bytes.subarray(0, 8), false), kind: kind & kindMask, isDirect };
}

/** Types whose values are one pointer (cmd/compile/internal/types.IsDirectIface). */
function isPointerShaped(type: Type, nesting: number): boolean {
  switch (goFacts(type)?.kind) {
    case GO_KIND.Chan:
    case GO_KIND.Func:
    case GO_KIND.Map:
    case GO_KIND.Pointer:
    case GO_KIND.UnsafePointer:
      return true;
    case undefined:
      // unsafe.Pointer, which the linker describes without a kind, and arrays.
      break;
    default:
  }
  if (nesting > 8) return false;
  const array = asArray(type);
  if (array !== undefined) return array.count === 1 && isPointerShaped(array.element(), nesting + 1);
  const members = asComposite(type)?.members();
  const [only] = members ?? [];
  if (only !== undefined && members?.length === 1) return isPointerShaped(only.type(), nesting + 1);
  return stripType(type).kind === 'pointer';
}

/** The same bytes as another type. */
function valueOf(object: ObjectView, type: Type): Value {
  if (object.absent !== undefined) return { type, place: { kind: 'absent', absent: object.absent } };
  const { bytes, address, provenance, gaps } = object;
  if (bytes !== undefined) {
    const known = {
      ...(provenance === undefined ? {} : { provenance }),
      ...(gaps === undefined ? {} : { gaps }),
    };
    return { type, place: { kind: 'bytes', bytes, ...known } };
  }
  if (address !== undefined) return { type, place: { kind: 'memory', address } };
  const why = absent('unreadable', 'only a part of the interface is known');
  return { type, place: { kind: 'absent', absent: why } };
}
