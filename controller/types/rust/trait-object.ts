/**
 * Trait objects: a pointer to an object and one to a vtable, which begins with the function that drops the object, its size and its alignment.
 * What type it is only debug information of that vtable says.
 */
import { type Absent, absent, isAbsent } from '../../../format/absent.js';
import { hex } from '../../../format/address.js';
import type { MemoryReader } from '../../../format/memory.js';
import { sizeOf } from '../layout.js';
import type { ObjectView } from '../object-view.js';
import { binary, computeRecipe, constant, type Recipe } from '../../../format/recipe/recipe.js';
import { decodeInteger } from '../../../format/integer.js';
import type { CompositeType } from '../type.js';
import { typeName } from '../type-name.js';
import type { Value } from '../value.js';
import type { Block, DynamicView, ViewContext } from '../view.js';
import { partAt, wordOf } from './layout.js';

export function traitObjectView(type: CompositeType, ...path: readonly string[]): DynamicView | undefined {
  const pointer = wordOf(partAt(type, ...path, 'pointer'));
  const vtable = wordOf(partAt(type, ...path, 'vtable'));
  if (pointer === undefined || vtable === undefined) return undefined;
  return viewBehind({ pointer, vtable, offset: 0 });
}

/** `Rc<dyn T>`: the object stands behind its counts, at the next address that fits its alignment. */
export function countedTraitObjectView(pointer: Recipe, vtable: Recipe, offset: number): DynamicView {
  return viewBehind({ pointer, vtable, offset });
}

interface Behind {
  readonly pointer: Recipe;
  readonly vtable: Recipe;
  readonly offset: number;
}

function viewBehind(behind: Behind): DynamicView {
  return {
    kind: 'dynamic',
    resolve: (object, context) => resolve(object, behind, context),
    blocks: () => blocksOf(behind),
  };
}

const vtableBytes = 24;
const maxObjectBytes = 4096;
/** More than the alignment of what is not made for a cache line or a page. */
const maxAlignment = 64;

/** The object, as long as its vtable says; what it leads to is not known before its type is. */
function blocksOf({ pointer, vtable, offset }: Behind): readonly Block[] {
  const size: Recipe = { op: 'load', address: binary(vtable, '+', constant(8)), size: 8 };
  // Behind counts it may begin later.
  const before = constant(offset === 0 ? 0 : Math.max(offset, maxAlignment));
  return [
    { address: vtable, bytes: constant(vtableBytes), maxBytes: vtableBytes },
    { address: pointer, bytes: binary(size, '+', before), maxBytes: maxObjectBytes },
  ];
}

function resolve(object: ObjectView, behind: Behind, context: ViewContext): Value | Absent {
  const { memory } = context;
  const pointer = computeRecipe(behind.pointer, object, memory);
  if (isAbsent(pointer)) return pointer;
  const vtable = computeRecipe(behind.vtable, object, memory);
  if (isAbsent(vtable)) return vtable;
  const type = context.typeOfDescriptor?.(vtable, 'rust-vtable');
  if (type === undefined) {
    const detail = `no debug information says whose vtable is at ${hex(vtable)}`;
    return absent('no-debug-info', detail, { address: vtable });
  }
  const facts = vtableFacts(vtable, memory);
  if (isAbsent(facts)) {
    // Without an offset to find, the alignment does not matter.
    return behind.offset === 0 ? { type, place: { kind: 'memory', address: pointer } } : facts;
  }
  const { size, align } = facts;
  if (size !== BigInt(sizeOf(type) ?? 0) || align === 0n || (align & (align - 1n)) !== 0n) {
    const detail = `the vtable at ${hex(vtable)} is corrupt: an object of ${size} bytes is no ${typeName(type)}`;
    return absent('unreadable', detail, { address: vtable });
  }
  const offset = (BigInt(behind.offset) + align - 1n) & ~(align - 1n);
  return { type, place: { kind: 'memory', address: BigInt.asUintN(64, pointer + offset) } };
}

function vtableFacts(
  vtable: bigint,
  memory: MemoryReader,
): { readonly size: bigint; readonly align: bigint } | Absent {
  const read = memory.read(BigInt.asUintN(64, vtable + 8n), 16);
  if (isAbsent(read)) return read;
  return {
    size: decodeInteger(read.bytes.subarray(0, 8), false),
    align: decodeInteger(read.bytes.subarray(8, 16), false),
  };
}
