/** `Vec` and what is a `Vec` inside: `BinaryHeap`. */
import { sizeOf } from '../layout.js';
import type { Recipe } from '../../../format/recipe/recipe.js';
import type { CompositeType, Type } from '../type.js';
import type { SequenceView } from '../view.js';
import { firstPart, partAt, wordOf } from './layout.js';

export interface VecParts {
  readonly data: Recipe;
  readonly length: Recipe;
  /** Undefined where elements have no size: then any number has room. */
  readonly capacity?: Recipe;
  readonly element: Type;
}

/** Where a `Vec` that begins at an offset of the object has its elements. */
export function vecParts(type: Type, offset = 0): VecParts | undefined {
  const buffer = bufferParts(type, offset);
  const length = wordOf(moved(partAt(type, 'len'), offset));
  return buffer === undefined || length === undefined ? undefined : { ...buffer, length };
}

/** The same of a `RawVec` in a member `buf`, which a `VecDeque` has too. */
export function bufferParts(type: Type, offset = 0): Omit<VecParts, 'length'> | undefined {
  const data = wordOf(moved(firstPart(type, ['buf', 'inner', 'ptr'], ['buf', 'ptr']), offset));
  const capacity = wordOf(moved(firstPart(type, ['buf', 'inner', 'cap'], ['buf', 'cap']), offset));
  const element = argument(type, 0);
  if (data === undefined || capacity === undefined || element === undefined) return undefined;
  return { data, element, ...(sizeOf(element) === 0 ? {} : { capacity }) };
}

/** A type argument of a generic type. */
export function argument(type: Type, index: number): Type | undefined {
  if (type.kind !== 'struct') return undefined;
  return type.origin?.templateArguments()[index]?.type();
}

function moved<T extends { readonly offset: number }>(part: T | undefined, by: number): T | undefined {
  return part === undefined ? undefined : { ...part, offset: part.offset + by };
}

export function vecView(type: CompositeType): SequenceView | undefined {
  const parts = vecParts(type);
  return parts === undefined ? undefined : sequence(parts);
}

export function binaryHeapView(type: CompositeType): SequenceView | undefined {
  const data = partAt(type, 'data');
  const parts = data === undefined ? undefined : vecParts(data.type, data.offset);
  return parts === undefined ? undefined : sequence(parts);
}

function sequence({ element, ...parts }: VecParts): SequenceView {
  return { kind: 'sequence', ...parts, element: () => element };
}
