/**
 * Trait objects: a pointer to an object and one to a vtable, which begins with the function that drops the object, its size and its alignment.
 * What type it is only debug information of that vtable says.
 */
import { type Absent, absent, isAbsent } from '../../../format/absent.js';
import { hex } from '../../../format/address.js';
import type { MemoryReader } from '../../../format/memory.js';
import { sizeOf } from '../layout.js';
import type { ObjectView } from '../object-view.js';
import { least } from '../blocks.js';
import { binary, computeRecipe, constant, type Recipe } from '../recipe.js';
import { decodeInteger } from '../read.js';
import type { CompositeType } from '../type.js';
import { typeName } from '../type-name.js';
import type { Value } from '../value.js';
import type { Block, DynamicView, ViewContext } from '../view.js';
import { partAt, wordOf } from './layout.js';

export function traitObjectView(type: CompositeType, ...path: readonly string[]): DynamicView | undefined {
  const pointer = wordOf(partAt(type, ...path, 'pointer'));
  const vtable = wordOf(partAt(type, ...path, 'vtable'));
  if (pointer === undefined || vtable === undefined) return undefined;
  const behind = { pointer, vtable, offset: 0 };
  return {
    kind: 'dynamic',
    blocks: () => objectBlocks(behind),
    resolve: (object, context) => resolve(object, behind, context),
  };
}

const maxObjectBytes = 256;

/** For a plan: the object, as far as its vtable says that it reaches; in front of it are the counts of an `Rc`. */
function objectBlocks({ pointer, vtable, offset }: Behind): Block[] {
  const size: Recipe = { op: 'load', address: binary(vtable, '+', constant(8)), size: 8 };
  // Behind the counts it begins at the next address that fits: at most as many bytes further as it is aligned to.
  const room = offset === 0 ? size : binary(size, '+', constant(offset + 16));
  return [{ address: pointer, bytes: least(room, constant(maxObjectBytes)), maxBytes: maxObjectBytes }];
}

/** `Rc<dyn T>`: the object stands behind its counts, at the next address that fits its alignment. */
export function countedTraitObjectView(pointer: Recipe, vtable: Recipe, offset: number): DynamicView {
  const behind = { pointer, vtable, offset };
  return {
    kind: 'dynamic',
    blocks: () => objectBlocks(behind),
    resolve: (object, context) => resolve(object, behind, context),
  };
}

interface Behind {
  readonly pointer: Recipe;
  readonly vtable: Recipe;
  readonly offset: number;
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
