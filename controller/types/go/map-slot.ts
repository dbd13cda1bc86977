/** Keys and values in the slots of maps: in place, or behind a pointer where they are large. */
import { binary, constant, type Recipe } from '../../../format/recipe/recipe.js';
import type { GoSlotPart } from '../../../format/walk/go-slot.js';
import { sizeOf, stripType } from '../layout.js';
import type { Type } from '../type.js';
import type { Block } from '../view.js';

/** In bytes; larger ones stand behind a pointer (internal/abi MapMaxKeyBytes and MapMaxElemBytes, the same in both kinds of map). */
const maxInPlace = 128;

export interface SlotPart extends GoSlotPart {
  /** From what stands in one slot to the next, where they stand side by side. */
  readonly stride: number;
  readonly type: Type;
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

/** What the walk needs of it: no type. */
export function placeOf({ offset, isIndirect }: SlotPart): GoSlotPart {
  return { offset, isIndirect };
}
