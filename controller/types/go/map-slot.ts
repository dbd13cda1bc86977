/** Keys and values in the slots of maps: in place, or behind a pointer where they are large. */
import { isAbsent } from '../../../format/absent.js';
import type { MemoryReader } from '../../../format/memory.js';
import { sizeOf, stripType } from '../layout.js';
import { decodeInteger } from '../../../format/integer.js';
import { binary, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { Type } from '../type.js';
import type { Place, Value } from '../value.js';
import type { Block } from '../view.js';
import { corrupt } from './record.js';

/** In bytes; larger ones stand behind a pointer (internal/abi MapMaxKeyBytes and MapMaxElemBytes, the same in both kinds of map). */
const maxInPlace = 128;

export interface SlotPart {
  /** Within the bucket or group, of the first slot. */
  readonly offset: number;
  /** From what stands in one slot to the next, where they stand side by side. */
  readonly stride: number;
  readonly type: Type;
  readonly isIndirect: boolean;
}

/** `stored`: what debug information says stands in a slot. Undefined where that is not what the runtime would put there. */
export function slotPart(stored: Type, offset: number, type: Type): SlotPart | undefined {
  const [size, stride] = [sizeOf(type), sizeOf(stored)];
  if (size === undefined || stride === undefined) return undefined;
  const isIndirect = size > maxInPlace;
  if (isIndirect ? stripType(stored).kind !== 'pointer' : stride !== size) return undefined;
  return { offset, stride, type, isIndirect };
}

/** A key or a value for a plan to follow; what stands behind a pointer is left to the walk. */
export function slotObject(
  part: SlotPart,
  base: Recipe,
  exists: Recipe,
  skip: number,
): NonNullable<Block['objects']> {
  if (part.isIndirect) return [];
  return [{ type: () => part.type, address: binary(base, '+', constant(part.offset + skip)), exists }];
}

/** `bytes`: those of the bucket or group at `base`. */
export function valueIn(
  part: SlotPart,
  base: bigint,
  bytes: Uint8Array,
  skip: number,
  memory: MemoryReader,
): Value {
  const offset = part.offset + skip;
  const { type } = part;
  const address = BigInt.asUintN(64, base + BigInt(offset));
  if (!part.isIndirect) return { type, place: { kind: 'memory', address } };
  return { type, place: behind(address, bytes.subarray(offset, offset + 8), memory) };
}

function behind(address: bigint, bytes: Uint8Array, memory: MemoryReader): Place {
  const pointer = decodeInteger(bytes, false);
  if (pointer === 0n) return { kind: 'absent', absent: corrupt('a slot in use leads nowhere', address) };
  const first = memory.read(pointer, 1);
  return isAbsent(first) ? { kind: 'absent', absent: first } : { kind: 'memory', address: pointer };
}
