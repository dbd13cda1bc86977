/**
 * What a view says of an object, read and checked: lengths that can be, the alternative that it is, the objects that it leads to. The renderer and the evaluator
 * both read through here, so that they never differ. Pure but for the memory.
 */
import { type Absent, absent, isAbsent } from '../../format/absent.js';
import type { MemoryReader } from '../../format/memory.js';
import { arrayLength, corruptObject } from '../../format/walk/array.js';
import { sizeOf } from './layout.js';
import { type ObjectView, slice } from './object-view.js';
import { computeRecipe, type Recipe } from '../../format/recipe/recipe.js';
import type { Type } from './type.js';
import { typeName } from './type-name.js';
import type { Alternative, SequenceView, StringView, VariantView } from './view.js';

/** The object that begins where a recipe says. Where that is a part of an object without an address, it is that part. */
export function objectAt(
  recipe: Recipe,
  object: ObjectView,
  memory: MemoryReader,
  { type, size }: { readonly type: Type; readonly size: number },
): ObjectView {
  if (recipe.op === 'address') return slice(object, type, recipe.offset, size);
  if (recipe.op === 'if') {
    const condition = computeRecipe(recipe.condition, object, memory);
    if (isAbsent(condition)) return { type, absent: condition };
    return objectAt(condition === 0n ? recipe.otherwise : recipe.then, object, memory, { type, size });
  }
  const address = computeRecipe(recipe, object, memory);
  return isAbsent(address) ? { type, absent: address } : { type, address };
}

export interface Extent {
  /** In elements, or units of a string. */
  readonly length: bigint;
  readonly stride: number;
  readonly unit: Type;
}

/** How long a string or a sequence is, where it can be that long. */
export function extentOf(
  view: StringView | SequenceView,
  object: ObjectView,
  memory: MemoryReader,
): Extent | Absent {
  const unit = view.kind === 'string' ? view.unit : view.element();
  const stride = sizeOf(unit);
  if (stride === undefined) return absent('no-debug-info', `the size of ${typeName(unit)} is not known`);
  const length = arrayLength({ ...view, stride }, object, { memory });
  if (isAbsent(length)) return length;
  return { length, stride, unit };
}

/** Which of the alternatives an object is. */
export function alternativeOf(
  view: VariantView,
  object: ObjectView,
  memory: MemoryReader,
): Alternative | Absent {
  const discriminant = computeRecipe(view.discriminant, object, memory);
  if (isAbsent(discriminant)) return discriminant;
  return alternativeFor(view, discriminant) ?? corruptObject(`its discriminant is ${discriminant}`);
}

export function alternativeFor(view: VariantView, discriminant: bigint): Alternative | undefined {
  return (
    view.alternatives.find(({ discriminants }) =>
      discriminants?.some(({ from, to }) => isWithin(discriminant, from, to)),
    ) ?? view.alternatives.find(({ discriminants }) => discriminants === undefined)
  );
}

/** As the recipe computes them: negative ones are large. */
function isWithin(value: bigint, from: bigint, to: bigint): boolean {
  const [low, high] = [BigInt.asUintN(64, from), BigInt.asUintN(64, to)];
  return low <= high ? value >= low && value <= high : value >= low || value <= high;
}

/** A part of an object that a view names by type and offset. */
export function contentOf(
  { type, offset }: { readonly type: () => Type; readonly offset: number },
  object: ObjectView,
): ObjectView {
  const content = type();
  return slice(object, content, offset, sizeOf(content) ?? 0);
}
